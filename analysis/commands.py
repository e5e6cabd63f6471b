"""
The analysis' commands: `windtunnel compare` and `windtunnel gate`.
"""

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from analysis import export, gate, markdown, policy, terminal
from analysis.comparison import Comparison, compare
from analysis.latency import AnalysisError
from analysis.objective import EXAMPLE, parse
from analysis.plan import PERCENTILES
from analysis.words import plain
from benchmarks.record import RESULTS, RecordError, load, shown
from loadtests.samples import SamplesError

FILE_WIDTH = 100

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


# What `compare` and `report` are asked alike.
AnyRecord = Annotated[
    Path,
    typer.Argument(
        metavar="RECORD",
        help="A run's folder; of a campaign or results folder, the newest.",
        show_default="benchmarks/results",
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(metavar="VARIANT", help="Compare with this variant (default: the campaign's)."),
]
Margin = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help="What counts as the same: 5% (default: the campaign's)."),
]
Slo = Annotated[
    str | None,
    typer.Option(metavar="SLO", help=f"What has to hold: {EXAMPLE} (default: the campaign's)."),
]


class Format(StrEnum):
    table = "table"
    markdown = "markdown"
    json = "json"


@app.command(
    name="compare",
    epilog="example: windtunnel compare benchmarks/results/demo --format markdown",
)
def compare_command(
    record: AnyRecord = RESULTS,
    output_format: Annotated[
        Format, typer.Option("--format", help="table for people, markdown for a pull request.")
    ] = Format.table,
    reference: Reference = None,
    margin: Margin = None,
    percentile: Annotated[
        list[float] | None,
        typer.Option(metavar="Q", help="May be repeated (default: 50, 95, 99)."),
    ] = None,
    slo: Slo = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write to this file (default: the terminal)."),
    ] = None,
) -> None:
    """Say which variant of a record is faster, by how much, and how sure that is."""
    comparison = compare(
        load(shown(record)),
        reference=reference,
        margin=None if margin is None else parse_margin(margin),
        percentiles=percentile or PERCENTILES,
        slo=None if slo is None else parse(slo),
    )
    if output is None and output_format is Format.table:
        terminal.show(comparison, Console())
    elif output is None:
        sys.stdout.write(render(comparison, output_format))
    else:
        write(output, render(comparison, output_format))


def parse_margin(text: str) -> float:
    """`5%` or `0.05`."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise AnalysisError(f"--margin: found {text!r}; expected a share such as 5% or 0.05")
    return share


def render(comparison: Comparison, output_format: Format) -> str:
    if output_format is Format.json:
        return json.dumps(export.document(comparison), indent=2, allow_nan=False) + "\n"
    if output_format is Format.markdown:
        return markdown.text(comparison)
    page = StringIO()
    terminal.show(comparison, Console(file=page, width=FILE_WIDTH))
    return page.getvalue()


def write(path: Path, text: str) -> None:
    """Write a file that was asked for; AnalysisError where that cannot be."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be written ({error}); choose another --output") from (
            error
        )


@app.command(
    name="gate",
    epilog="example: windtunnel gate benchmarks/results/demo --policy"
    " benchmarks/policies/example.toml",
)
def gate_command(
    record: Annotated[
        Path,
        typer.Argument(
            metavar="RECORD", help="A run's folder; of a campaign or results folder, the newest."
        ),
    ],
    policy_file: Annotated[
        Path,
        typer.Option("--policy", metavar="FILE", help="The rules, in TOML (analysis/README.md)."),
    ],
) -> None:
    """
    Hold a record against a policy, for CI.

    Exit status: 0 every rule is kept, 1 one is broken (a regression), 2 it cannot be told.
    """
    with _never_1():
        rules = policy.read(policy_file)
        comparison = compare(
            load(shown(record)), reference=rules.reference, percentiles=gate.percentiles(rules)
        )
        checks = gate.run(comparison, rules)
        _print_gate(comparison, checks, Console())
    raise typer.Exit(gate.exit_status(checks))


@contextmanager
def _never_1() -> Iterator[None]:
    """Status 1 says regression; an unexpected mistake, which Python ends with 1, ends with 2."""
    try:
        yield
    except (AnalysisError, RecordError, SamplesError):
        raise  # one line and status 2, like everywhere
    except Exception as error:
        traceback.print_exc()
        raise typer.Exit(gate.EXIT_STATUS[gate.Outcome.CANNOT_TELL]) from error


def _print_gate(comparison: Comparison, checks: list[gate.Check], console: Console) -> None:
    """One line for each doubt and each check, not wrapped: CI logs are searched by line."""
    for doubt in comparison.doubts:
        told = f"{'DOUBT':<11}  {terminal.doubt_line(doubt, comparison)}; {doubt.next_step}"
        console.print(Text(plain(told), style="yellow"), soft_wrap=True)
    styles = {"PASS": "green", "FAIL": "bold red", "CANNOT TELL": "yellow"}
    for check in checks:
        line = Text(f"{check.outcome:<11}", style=styles[check.outcome])
        line.append(f"  {plain(check.what)}: {plain(check.why)}", style="default")
        console.print(line, soft_wrap=True)
    console.print(Text(f"record: {plain(comparison.record.path)}"), soft_wrap=True)
