"""
`windtunnel flame`: one profile, or the difference of two, as a page, a table or for speedscope.
"""

import json
import webbrowser
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from analysis.commands import write
from analysis.flame import because, graph, profiles, speedscope
from analysis.flame.profiles import Profile
from analysis.flame.stacks import Stacks
from analysis.flame.table import changed
from analysis.latency import AnalysisError
from analysis.terminal import trimmed
from analysis.words import load_of, plain
from benchmarks.record import RESULTS, Record, load, shown

EXAMPLES = """
Examples

windtunnel flame RECORD --variant optimized --level 8 --open

windtunnel flame before.txt after.txt --output difference.html

windtunnel flame service.txt --format speedscope --output service.speedscope.json
"""

app = typer.Typer()


class Format(StrEnum):
    html = "html"
    speedscope = "speedscope"
    table = "table"


SUFFIXES = {Format.html: ".html", Format.speedscope: ".speedscope.json"}


@app.command(name="flame", epilog=EXAMPLES)
def flame_command(
    a: Annotated[
        Path,
        typer.Argument(
            metavar="A",
            help="A profile (collapsed stacks), or a record that has profiles.",
            show_default="benchmarks/results",
        ),
    ] = RESULTS,
    b: Annotated[
        Path | None,
        typer.Argument(metavar="B", help="A second profile, whose difference from A is wanted."),
    ] = None,
    copy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A second profile like A, from which the noise is seen."),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(metavar="VARIANT", help="Of a record (default: the first that is profiled)."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="VARIANT", help="Compare with it (default: the reference)."),
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="c0008 or 8, q0050 (default: the heaviest load)."),
    ] = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="One variant's profile, not a difference.")
    ] = False,
    output_format: Annotated[
        Format, typer.Option("--format", help="html stands alone; table writes no file.")
    ] = Format.html,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write to this file.", show_default="flame.html"),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """
    Show where the CPU time of a request goes, or where two profiles differ.

    In CPU ms a request where that was measured. What is within the noise is grey.
    """
    if a.is_dir():
        _refuse(b, "B", "a record has both profiles in it; choose them by --variant and --against")
        _refuse(copy, "--copy", "a record with an A/A pair has its own")
        _refuse(against if alone else None, "--against", "--alone shows one variant's profile")
        sides, pairs, at = _of_record(load(shown(a)), variant, against, level, alone=alone)
    else:
        for name, value in (("variant", variant), ("against", against), ("level", level)):
            _refuse(value, f"--{name}", "it chooses from a record, and A is a file")
        if b is None:
            _refuse(copy, "--copy", "it shows the noise of a difference, and there is no B")
        sides = [profiles.from_file(path) for path in (a, b) if path is not None]
        pairs = [] if copy is None else [(sides[0].stacks, profiles.from_file(copy).stacks)]
        at = ""
    document = graph.document(sides, level=at, pairs=pairs)
    lines = because.explained(sides, pairs, level=at) if len(sides) > 1 else []
    console = Console()
    show(document, lines, console)
    if output_format is Format.table:
        return
    path = output or Path(f"flame{SUFFIXES[output_format]}")
    write(path, _text(document, lines, sides, output_format))
    console.print(Text(plain(path)), soft_wrap=True)
    if open_it:
        webbrowser.open(path.absolute().as_uri())


def _refuse(value: object, name: str, why: str) -> None:
    if value is not None:
        raise AnalysisError(f"{name}: found {plain(value)}; expected none: {why}")


def _of_record(
    record: Record, variant: str | None, against: str | None, level: str | None, *, alone: bool
) -> tuple[list[Profile], list[tuple[Stacks, Stacks]], str]:
    """The profiles that are asked for, the pairs that show the noise, and the level."""
    there = record.profiles()
    first = record.reference if against is None else against
    others = [name for name, _ in there if name not in (first, record.aa)]
    name = variant or next(iter(others), first)
    _refuse(against if against == name else None, "--against", f"the variant is {plain(name)} too")
    names = [name] if alone or name == first else [name, first]
    levels = [x for x in record.levels if all((each, x) in there for each in names)]
    known = {f"{load_of(x)[1]:g}": x for x in sorted(record.levels, reverse=True)}
    at = known.get(level, level) if level else max(levels, key=load_of, default=record.levels[-1])
    return *profiles.of_cell(record, at, *names), at


def _text(
    document: dict[str, Any], lines: Sequence[str], sides: Sequence[Profile], wanted: Format
) -> str:
    if wanted is Format.speedscope:
        return json.dumps(speedscope.document(sides))
    # Here, because templates take a while to import, and a table needs none.
    from analysis.flame import standalone

    return standalone.html(document, lines)


def show(document: dict[str, Any], lines: Sequence[str], console: Console) -> None:
    """What it is, doubts, the functions, and the sentences next to the prompt."""
    parts: list[RenderableType] = [Text(plain(document["title"]), style="bold")]
    parts += [Text(f"doubt: {plain(doubt)}", style="yellow") for doubt in document["doubts"]]
    if document["noise"]:
        parts.append(Text(plain(document["noise"]), style="dim"))
    parts.append(Padding(changed(document), (1, 0)))
    parts += [Text(plain(line)) for line in lines]
    with trimmed(console):
        console.print(Group(*parts))
