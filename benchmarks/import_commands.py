"""
The command `windtunnel import`: results of other load generators become a record.
"""

import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from benchmarks import fields
from benchmarks.imports import given as arguments
from benchmarks.imports import guess
from benchmarks.imports.facts import Imported, Plan, cannot_know
from benchmarks.imports.found import Options
from benchmarks.imports.given import Given
from benchmarks.imports.hdr import UNITS_NS
from benchmarks.imports.source import ForeignFileError, Source, Watch
from benchmarks.imports.write import writing
from benchmarks.record import RESULTS, level_title, shown
from benchmarks.signals import stopped_by_signals

EXAMPLES = """
[bold]Examples[/bold]

windtunnel import baseline=a.json candidate=b.json --name gateway

windtunnel import old=a1.csv old=a2.csv new=b1.csv new=b2.csv --clients 8      (two repeats each)

windtunnel import old@50/s=a.hlog new@50/s=b.hlog --tag response --warmup 5s

windtunnel import old@8=a8.csv old@32=a32.csv new@8=b8.csv new@32=b32.csv      (two levels)

windtunnel import old=a.json old.aa=c.json new=b.json      (old twice: how far copies differ)
"""

NAME = "imported"
EVERY_S = 10.0  # off a terminal, a line of progress

app = typer.Typer(rich_markup_mode="rich")

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME=FILE...",
        help="A variant and a result of it; the same variant again is its next repeat. NAME@8=FILE"
        " was measured with 8 clients, NAME@50/s=FILE at 50 requests a second. REFERENCE.aa=FILE"
        " is a second copy of the reference, which shows the noise floor. For Locust, FILE"
        " may be the prefix that was given to --csv.",
        show_default=False,
    ),
]
Clients = Annotated[
    int | None,
    typer.Option("--clients", help="Level of files that neither say nor are given one."),
]
Rate = Annotated[
    float | None,
    typer.Option("--rate", help="The same, in requests a second, for an open loop."),
]
Name = Annotated[str, typer.Option("--name", help="Of the campaign, as which it is kept.")]
Question = Annotated[str, typer.Option("--question", help="What the campaign asks.")]
Results = Annotated[
    Path,
    typer.Option(
        "--results", help="Where records go (default: benchmarks/results).", show_default=False
    ),
]
Reference = Annotated[
    str | None,
    typer.Option("--reference", help="What the others are compared with (default: the first)."),
]
Warmup = Annotated[
    str, typer.Option("--warmup", help="So much of each load's beginning does not count.")
]
Tag = Annotated[
    str | None, typer.Option("--tag", help="Which tag of a histogram log, if it has several.")
]
Unit = Annotated[
    str | None,
    typer.Option("--unit", help="Of times in a histogram log: ns, us, ms (default: as it hints)."),
]


@app.command("import", epilog=EXAMPLES)
def import_command(
    files: Files,
    clients: Clients = None,
    rate: Rate = None,
    name: Name = NAME,
    question: Question = "",
    results: Results = RESULTS,
    reference: Reference = None,
    warmup: Warmup = "0s",
    tag: Tag = None,
    unit: Unit = None,
) -> None:
    """
    Make a record of what k6, vegeta, hey, Locust, wrk2, wrk or an HdrHistogram log measured.

    Nothing is invented: what a format does not say is printed, and kept in the record.
    """
    chosen = arguments.read(files, arguments.level_of(clients, rate))
    if unit is not None:
        fields.Choice(*UNITS_NS)("--unit", unit)
    plan = _plan(chosen, name, question, reference, arguments.seconds(warmup))
    try:
        with stopped_by_signals():
            path = _written(chosen, plan, results, Options(tag, unit))
    except KeyboardInterrupt:
        print("interrupted; nothing was imported", file=sys.stderr)
        raise typer.Exit(130) from None
    print(f"\nrecord: {shown(path)}\n  windtunnel compare {shlex.quote(str(shown(path)))}")


def _plan(
    chosen: list[Given], name: str, question: str, reference: str | None, warmup_s: float
) -> Plan:
    fields.folder_name("--name", name)
    names = tuple(dict.fromkeys(each.variant for each in chosen))
    variants = tuple(each for each in names if not each.endswith(arguments.COPY))
    if not variants:
        original = names[0].removesuffix(arguments.COPY)
        remedy = f"add {original}=FILE"
        raise ForeignFileError(f"{names[0]}: only a second copy; expected {original} too; {remedy}")
    if reference is not None and reference not in variants:
        raise ForeignFileError(fields.unknown("--reference", "variant", reference, variants))
    reference = reference or variants[0]
    aa = arguments.copy_of(reference, names)
    return Plan(name, question, reference, variants, aa, warmup_s)


def _written(chosen: list[Given], plan: Plan, results: Path, options: Options) -> Path:
    """Read one file after the other, each into its repeat, and say what came of it."""
    readers = [guess.reader(Source(each.path)) for each in chosen]
    with writing(results.resolve(), plan) as (writer, path):
        for each, read in zip(chosen, readers, strict=True):
            with _watched(each.path) as watch:
                source = Source(each.path, watch)
                found = read(source, options)
            print(_line(writer.add(each, source, found)), flush=True)
    print("\nThe files do not say:")
    for sentence in cannot_know(writer.imported):
        print(f"- {sentence}")
    if len(plan.variants) > 1 and all(each.visit.repeat == 1 for each in writer.imported):
        print("\nEach variant has one file; for verdicts import two or more: NAME=A NAME=B")
    return path


def _line(each: Imported) -> str:
    """One repeat, as it lies in the record."""
    visit, (file, *_) = each.visit, each.files
    place = f"{visit.variant}, {level_title(visit.level)}, repeat {visit.repeat}"
    total = sum(each.counts.values())
    failed = total - each.counts["ok"]
    return f"{place}: {total:,} requests, {failed:,} failed ({each.found.tool}, {file['name']!r})"


@contextmanager
def _watched(path: Path) -> Iterator[Watch]:
    """Show how much of a file was read: on a terminal a bar, elsewhere a line now and then."""
    size, console = max(1, path.stat().st_size), Console(stderr=True)
    if not console.is_terminal:
        yield _told(path, size)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(repr(path.name), total=size)
        yield lambda done: progress.update(task, completed=done)


def _told(path: Path, size: int) -> Watch:
    said = time.monotonic()

    def watch(done: int) -> None:
        nonlocal said
        if time.monotonic() > said + EVERY_S:
            said = time.monotonic()
            print(f"{path.name!r}: {done / size:.0%} read", file=sys.stderr, flush=True)

    return watch
