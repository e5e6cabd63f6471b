"""
`windtunnel report`: a record as one HTML file for people, or as Markdown.
"""

import shlex
import webbrowser
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from analysis import markdown, objective
from analysis.commands import AnyRecord, Margin, Reference, Slo, parse_margin, write
from analysis.comparison import Comparison, compare
from analysis.words import plain
from benchmarks.record import RESULTS, load, shown

app = typer.Typer()


class Format(StrEnum):
    html = "html"
    markdown = "markdown"


SUFFIXES = {Format.html: ".html", Format.markdown: ".md"}


@app.command(
    name="report",
    epilog="example: windtunnel report benchmarks/results/demo --slo p95=250ms --open",
)
def report_command(
    record: AnyRecord = RESULTS,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write to this file.", show_default="report.html"),
    ] = None,
    output_format: Annotated[
        Format, typer.Option("--format", help="html stands alone, markdown is for pull requests.")
    ] = Format.html,
    slo: Slo = None,
    reference: Reference = None,
    margin: Margin = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Write a report of a record: doubts, answer, figures and every number behind them."""
    found = load(shown(record))
    comparison = compare(
        found,
        reference=reference,
        margin=None if margin is None else parse_margin(margin),
        slo=None if slo is None else objective.parse(slo),
    )
    options = {"--slo": slo, "--reference": reference, "--margin": margin}
    path = output or Path(f"report{SUFFIXES[output_format]}")
    write(path, _text(comparison, output_format, _command(found.path, options)))
    Console().print(Text(plain(path)), soft_wrap=True)
    if open_it:
        webbrowser.open(path.absolute().as_uri())


def _command(record: Path, options: dict[str, str | None]) -> str:
    """What makes the same report again; where it was written to is left to the reader."""
    given = [part for name, value in options.items() if value for part in (name, value)]
    return shlex.join(["windtunnel", "report", str(record), *given])


def _text(comparison: Comparison, output_format: Format, command: str) -> str:
    if output_format is Format.markdown:
        return markdown.text(comparison)
    # Here, because charts take a second to import, and no other command draws one.
    from analysis import report

    return report.html(comparison, command)
