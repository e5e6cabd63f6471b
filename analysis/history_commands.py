"""
`windtunnel history`: one cell of a campaign, run after run, as a table and in sentences.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from analysis import catalogue
from analysis.asked import Asked
from analysis.compare import Bound, Ratio
from analysis.history import MEASURES, History, Point, history, sentences, untold
from analysis.latency import AnalysisError
from analysis.picture import picture, scale
from analysis.terminal import trimmed
from analysis.words import (
    MISSING,
    floor_text,
    levels_phrase,
    load_of,
    measure_header,
    measure_name,
    measured,
    number,
    plain,
    ratio_interval,
    ratio_point,
)
from benchmarks.record import RESULTS, shown

WIDE = 96  # from here on, each run has its picture
app = typer.Typer()


@app.command(
    name="history", epilog="example: windtunnel history demo --variant optimized --level 32"
)
def history_command(
    campaign: Annotated[str, typer.Argument(metavar="CAMPAIGN", help="The campaign's name.")],
    results: Annotated[
        Path, typer.Option(metavar="DIR", help="Where runs are.", show_default="benchmarks/results")
    ] = RESULTS,
    variant: Annotated[
        str | None,
        typer.Option(metavar="VARIANT", help="Default: the first that is not the reference."),
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="c0008 or 8, q0050 (default: the heaviest load)."),
    ] = None,
    measure: Annotated[
        str, typer.Option(metavar="MEASURE", help=f"One of {', '.join(MEASURES)}.")
    ] = "p95",
    machine: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Default: the machine of the newest run."),
    ] = None,
    relative: Annotated[
        bool | None,
        typer.Option(
            "--against-reference/--absolute",
            help="Ratios cancel what the machine did that day (default: ratios, where there are).",
        ),
    ] = None,
) -> None:
    """Show how one cell of a campaign did in each run, and since when it does otherwise."""
    entries = catalogue.entries(shown(results))
    if not entries:
        raise AnalysisError(
            f"--results: no record under {shown(results)}; expected runs of {campaign!r};"
            " `windtunnel run CAMPAIGN` makes one"
        )
    levels = [name for entry in entries if entry.campaign == campaign for name in entry.levels]
    found = history(
        entries,
        campaign,
        variant=variant,
        level=None if level is None else _level(level, levels),
        measure=measure,
        machine_key=machine,
    )
    if relative and found.asked.reference is None:
        raise AnalysisError(
            f"--against-reference: {found.asked.variant} is the reference; expected another"
            " variant; choose one with --variant, or take --absolute"
        )
    show(found, bool(found.compared) if relative is None else relative, Console())


def _level(text: str, levels: list[str]) -> str:
    """`8` is the level of 8 clients, or of 8 requests/s where there is no such."""
    named = {f"{load_of(level)[1]:g}": level for level in sorted(levels, reverse=True)}
    return named.get(text, text)


def show(found: History, relative: bool, console: Console) -> None:
    """What it is, the runs from old to new, those left out, and the answer next to the prompt."""
    with trimmed(console):
        console.print(Text(_title(found.asked, relative), style="bold"))
        console.print(
            Text(f"{plain(found.asked.machine)} ({found.asked.machine_key})", style="dim")
        )
        if caution := untold(found.series(relative)[0]):
            console.print(Text(caution, style="yellow"))
        console.print(Padding(_table(found, relative, console.width >= WIDE), (1, 0)))
        reasons = Counter(left_out.reason for left_out in found.left_out)
        for reason, count in reasons.items():
            runs = f"{count} run{'' if count == 1 else 's'} left out"
            console.print(Text(f"{runs}: {plain(reason)}", style="yellow"))
        for line in sentences(found, relative):
            console.print(Text(plain(line), style="bold"))


def _title(asked: Asked, relative: bool) -> str:
    """`demo: P95 of optimized with 32 clients, against baseline`."""
    what = f"{measure_name(asked.measure)} of {asked.variant} {levels_phrase([asked.level])}"
    against = f", against {asked.reference}" if relative else ""
    return plain(f"{asked.campaign}: {what}{against}")


def _table(found: History, relative: bool, wide: bool) -> Table:
    points, seen = found.series(relative)
    firsts = {change.first for change in seen.found}
    pictured = _pictured([_ratio(point, relative) for point in points])
    reach = _reach(pictured)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name in ("run", "commit"):
        table.add_column(name, no_wrap=True)
    value = "ratio" if relative else measure_header(found.asked.measure)
    for name in (value, "95 % interval", *(["noise floor"] if relative else []), "repeats"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    if wide:
        table.add_column(f"{scale(reach)} x median", no_wrap=True)
    for n, (point, ratio) in enumerate(zip(points, pictured, strict=True)):
        entry = point.entry
        table.add_row(
            Text(plain(entry.started[:16].replace("T", " ") or entry.run)),
            Text(plain(entry.commit or "")[:7]),
            *map(Text, _cells(point, found.asked.measure, relative)),
            " ".join(_remarks(point, n in firsts)),
            *([picture(ratio, point.floor, reach)] if wide else []),
        )
    return table


def _remarks(point: Point, changed: bool) -> Iterator[str]:
    if changed:
        yield "changed"
    if point.entry.status != "complete":
        yield point.entry.status


def _cells(point: Point, measure: str, relative: bool) -> list[str]:
    repeats = str(point.repeats)
    if relative and point.ratio is not None:
        interval = ratio_interval(point.ratio)
        return [ratio_point(point.ratio), interval, floor_text(point.floor), repeats]
    low, high = point.interval.low, point.interval.high
    exact = point.interval.bound is Bound.EXACT and high < inf
    interval = f"[{number(low)}, {number(high)}]" if exact else MISSING
    return [measured(point.value, measure), interval, repeats]


def _ratio(point: Point, relative: bool) -> Ratio:
    return point.ratio if relative and point.ratio is not None else point.interval


def _pictured(series: Sequence[Ratio]) -> list[Ratio]:
    """In units of the median, so that the middle of a picture is the middle of the runs."""
    middle = median(each.point for each in series) if series else 1.0
    return [
        replace(each, point=each.point / middle, low=each.low / middle, high=each.high / middle)
        for each in series
    ]


def _reach(series: Iterable[Ratio]) -> float:
    """The ratio at the right edge of the pictures."""
    largest = max((max(each.point, 1 / each.point) for each in series), default=1.0)
    return next((edge for edge in (1.1, 1.25, 1.5, 2.0, 4.0) if largest < edge), 10.0)
