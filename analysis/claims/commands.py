"""
`windtunnel claims`: measures what claims are about, judges them, and writes the page.
"""

import json
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from analysis import export, markdown
from analysis.claims import measuring, outcomes, pages, tables
from analysis.claims.asked import Claims
from analysis.claims.outcomes import Sources
from analysis.claims.reading import read
from analysis.commands import FILE_WIDTH, Format, write
from analysis.comparison import Comparison, compare
from analysis.latency import AnalysisError
from benchmarks.components import result
from benchmarks.components.result import Result
from benchmarks.environments import ROOT
from benchmarks.record import RESULTS, RecordError, load, shown
from benchmarks.recorder import run_name

CLAIMS = ROOT / "benchmarks/claims.toml"
OUTCOME, PAGE = "claims.json", "README.md"
QUICK = "quick"  # where a quick look goes, apart from what was measured in earnest

EXAMPLES = """
[bold]Examples[/bold]

windtunnel claims --dry-run           (what would be measured, and how long it takes)

windtunnel claims --quick             (a look, in some minutes: most verdicts stay open)

windtunnel claims --reuse             (goes on with what this commit has measured here)

windtunnel claims --only uvloop --only httptools

windtunnel claims --record RECORD --format markdown --output page.md     (measures nothing)
"""

app = typer.Typer(rich_markup_mode="rich")


@app.command(name="claims", epilog=EXAMPLES)
def claims_command(
    claims: Annotated[
        Path, typer.Option("--claims", metavar="FILE", help="The claims.", show_default=False)
    ] = CLAIMS,
    quick: Annotated[
        bool, typer.Option("--quick", help="Two short blocks of everything: a look, no result.")
    ] = False,
    reuse: Annotated[
        bool,
        typer.Option("--reuse", help="Keep what this commit has measured on this machine."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    record: Annotated[
        list[Path] | None,
        typer.Option(
            "--record",
            metavar="PATH",
            help="Measure nothing: judge by this record, or result of a component (.json), or show"
            " an earlier claims.json; may be repeated.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ID", help="Judge this claim only; may be repeated."),
    ] = None,
    output_format: Annotated[
        Format, typer.Option("--format", help="table for people, markdown for a page.")
    ] = Format.table,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write to this file (default: the terminal)."),
    ] = None,
    results: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where records, results and the outcome go (default: benchmarks/results).",
            show_default=False,
        ),
    ] = RESULTS,
) -> None:
    """
    Put claims about a service to the test, and say which of them are true.

    Runs every campaign and component that the claims need, judges each claim by the intervals of
    what was measured, and leaves claims.json with its page under the results.
    """
    asked = read(claims)
    asked = asked.only(only) if only else asked
    if record:
        _show(_given(asked, record, alone=not only), output_format, output)
        return
    asked = asked.judged_only() if quick else asked
    target = results.resolve() / QUICK if quick else results.resolve()
    planned = measuring.steps(asked, target, reuse=reuse, quick=quick)
    count = len(asked.claims)
    _say(f"{count} claim{'' if count == 1 else 's'}; to be measured:")
    for line in measuring.describe(planned):
        _say(line)
    if not dry_run:
        folder, outcome = _measured(asked, planned, target, quick=quick)
        _say("")
        _show(outcome, output_format, output)
        _say(f"\nclaims: {shown(folder / PAGE)}")


def _measured(
    asked: Claims, planned: Sequence[measuring.Step], target: Path, *, quick: bool
) -> tuple[Path, dict[str, Any]]:
    """Everything measured and judged; the folder where the outcome, its page and summaries are."""
    try:
        found = measuring.measure(planned, asked, target, quick=quick, say=_say)
    except typer.Exit:
        again = "--quick --reuse" if quick else "--reuse"
        print(
            f"interrupted; `windtunnel claims {again}` goes on, as long as no file is changed",
            file=sys.stderr,
        )
        raise
    comparisons = {
        name: compared
        for name, path in found.records.items()
        if (compared := _compared(path)) is not None
    }
    results = {
        name: known for name, path in found.results.items() if (known := _loaded(path)) is not None
    }
    sources = Sources(comparisons, results)
    outcome = outcomes.document(asked, sources, quick=quick)
    folder = target / "claims" / run_name()
    outcomes.write(folder / OUTCOME, outcome)
    write(folder / PAGE, pages.text(outcome))
    _summarize(folder, comparisons, {name: found.results[name] for name in results})
    return folder, outcome


def _compared(path: Path) -> Comparison | None:
    """None, which is said, where nothing can be compared: its claims cannot be told."""
    try:
        return compare(load(shown(path)))
    except (AnalysisError, RecordError) as error:
        _say(f"NOT MEASURED: {error}")
        return None


def _loaded(path: Path) -> Result | None:
    """None, which is said, where it is damaged."""
    try:
        return result.load(path)
    except RecordError as error:
        _say(f"NOT MEASURED: {error}")
        return None


def _summarize(folder: Path, records: dict[str, Comparison], results: dict[str, Path]) -> None:
    """What lies behind the outcome, small enough to be kept with it."""
    sources = folder / "sources"
    try:
        sources.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnalysisError(f"{sources}: cannot be made ({error}); choose other --results") from (
            error
        )
    for name, found in records.items():
        write(sources / f"{name}.md", markdown.text(found))
        document = json.dumps(export.document(found), indent=1, allow_nan=False)
        write(sources / f"{name}.json", document + "\n")
    for name, path in results.items():
        write(sources / f"{name}.json", path.read_text(encoding="utf-8"))


def _given(asked: Claims, paths: Sequence[Path], *, alone: bool) -> dict[str, Any]:
    """Judged by what was measured before; of two records of one campaign, by the last."""
    records: dict[str, Comparison] = {}
    results: dict[str, Result] = {}
    for path in (each / OUTCOME if (each / OUTCOME).is_file() else each for each in paths):
        if path.suffix != ".json" or path.name == "run.json":
            found = compare(load(shown(path)))
            records[found.record.name] = found
            continue
        if path.name == OUTCOME:
            if len(paths) > 1 or not alone:
                raise AnalysisError(
                    f"{shown(path)}: an outcome is shown as it is; expected no other --record and"
                    " no --only beside it; give the records to judge again"
                )
            return outcomes.load(path)
        component = result.load(path)
        results[component.component] = component
    if not {*records, *results} & {row.source[1] for row in asked.rows()}:
        given = ", ".join({**records, **results})
        raise RecordError(
            f"--record: found what {given} measured, and no claim speaks of it; expected some of"
            f" {', '.join([*asked.needed('campaign'), *asked.needed('component')])};"
            " give one of these, or leave --record out to measure"
        )
    return outcomes.document(asked, Sources(records, results))


def _show(outcome: dict[str, Any], output_format: Format, output: Path | None) -> None:
    if output is None and output_format is Format.table:
        tables.show(outcome, Console())
    elif output is None:
        sys.stdout.write(render(outcome, output_format))
    else:
        write(output, render(outcome, output_format))


def render(outcome: dict[str, Any], output_format: Format) -> str:
    """The outcome in one of its forms."""
    if output_format is Format.json:
        return outcomes.text(outcome)
    if output_format is Format.markdown:
        return pages.text(outcome)
    page = StringIO()
    tables.show(outcome, Console(file=page, width=FILE_WIDTH))
    return page.getvalue()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
