"""
A comparison as a person reads it in a terminal, a pipe or a log: 80 columns are enough.

Colour only repeats what a word already says. Names come from records that others wrote, so
they are printed as text and never as markup.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from analysis import answer, triton
from analysis.checks import Doubt
from analysis.compare import Verdict
from analysis.comparison import Comparison
from analysis.differences import Difference
from analysis.picture import picture, reach_of, scale
from analysis.words import (
    cells_phrase,
    floor_text,
    machine,
    measure_header,
    measure_name,
    measured,
    percent,
    plain,
    ratio_interval,
    ratio_point,
)
from benchmarks.record import Record, level_title

STYLES = {
    Verdict.FASTER: "bold green",
    Verdict.SLOWER: "bold red",
    Verdict.SAME: "bold",
    Verdict.UNRESOLVED: "yellow",
}
WIDE = 96  # from here on, each difference has its picture


def show(comparison: Comparison, console: Console) -> None:
    """Doubts first, then the numbers they concern, and the answer last, next to the prompt."""
    with trimmed(console):
        _show(comparison, console)


@contextmanager
def trimmed(console: Console) -> Iterator[None]:
    """Tables fill their last column with blanks, which only files and pipes would see."""
    with console.capture() as captured:
        yield
    lines = (line.rstrip() for line in captured.get().splitlines())
    console.file.write("\n".join(lines) + "\n")


def _show(comparison: Comparison, console: Console) -> None:
    console.print(_heading(comparison))
    if comparison.doubts:
        console.print(_doubts(comparison))
    console.print(_legend(comparison))
    for level in comparison.plan.levels:
        if comparison.matrix.level(level):
            console.print(_level(comparison, level, console.width))
    if comparison.matrix.curves:
        console.print(_curves(comparison, console.width))
    if rows := triton.rows(comparison):
        console.print(_triton(rows, triton.engines(comparison)))
    console.print(_answer(comparison))
    # Not wrapped: a path is there to be copied.
    console.print(Text(f"record: {plain(comparison.record.path)}"), soft_wrap=True)


def _heading(comparison: Comparison) -> RenderableType:
    record = comparison.record
    return Group(
        Text(plain(record.question or record.name), style="bold"),
        Text(setting(comparison), style="dim"),
        Text(machine(record.run.get("machine") or {}), style="dim"),
        Text(),
    )


def setting(comparison: Comparison) -> str:
    """`demo, nano, track A: 3 repeats of 5 s at each of 3 levels, complete, commit 1a2b3c4`."""
    record, campaign = comparison.record, comparison.record.campaign
    what = [record.name, campaign.get("model"), _tracks(record)]
    repeats = f"{record.repeats} repeat{'s' if record.repeats != 1 else ''}"
    if campaign.get("duration_s"):
        repeats += f" of {campaign['duration_s']:g} s"
        repeats += " or more" if campaign.get("min_requests") else ""
    sha = (record.run.get("commit") or {}).get("sha")
    facts = [repeats, record.status, f"commit {sha[:7]}" if sha else None]
    return plain(f"{', '.join(filter(None, what))}: {', '.join(filter(None, facts))}")


def _tracks(record: Record) -> str | None:
    """The tracks of the variants that were started; null infers nothing."""
    names = record.tracks
    if names == ["null"]:
        return "track null (no inference)"
    return f"track{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else None


def _doubts(comparison: Comparison) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True, style="yellow")
    grid.add_column(overflow="fold")
    for index, doubt in enumerate(comparison.doubts, 1):
        text = Text(doubt_line(doubt, comparison))
        text.append(f"\n-> {plain(doubt.next_step)}", style="dim")
        grid.add_row(str(index), text)
    count = len(comparison.doubts)
    title = Text(f"{count} doubt{'s' if count != 1 else ''}", style="bold yellow")
    return Group(title, Padding(grid, (0, 0, 1, 1)))


def doubt_line(doubt: Doubt, comparison: Comparison) -> str:
    """What is doubted, and where."""
    if not doubt.cells:
        return plain(doubt.text)
    plan = comparison.plan
    everywhere = len(doubt.cells) == len(plan.variants) * len(plan.levels) > 1
    place = "in every cell" if everywhere else cells_phrase(doubt.cells, plan.levels)
    if len(doubt.cells) > 1 and doubt.worst:
        place += f" (the worst: {cells_phrase([doubt.worst], plan.levels)})"
    return plain(f"{doubt.text}; {place}")


def legend(comparison: Comparison) -> str:
    return (
        f"ratio = variant / {plain(comparison.plan.reference)}, block by block, with its 95 %"
        " interval: below 1 is less time; of req/s, above 1 is more answers."
        f" noise floor = how far two copies of {plain(comparison.plan.original)} may differ."
        f" same = surely within {percent(comparison.plan.margin)}. - = too few requests."
    )


def _legend(comparison: Comparison) -> RenderableType:
    return Group(Text(legend(comparison), style="dim"), Text())


def _level(comparison: Comparison, level: str, width: int) -> RenderableType:
    title = Text(level_title(level), style="bold")
    numbers = comparison.doubts_of(level)
    if numbers:
        listed = ", ".join(map(str, numbers))
        title.append(f"   see doubt{'s' if len(numbers) > 1 else ''} {listed}", style="yellow")
    parts: list[RenderableType] = [title, _values(comparison, level)]
    differences = list(shown(comparison, level))
    if differences:
        parts.append(Text())
        parts.append(_differences(differences, comparison, wide=width >= WIDE))
    return Group(*parts, Text())


def _curves(comparison: Comparison, width: int) -> RenderableType:
    title = Text("over all levels", style="bold")
    title.append("   the geometric mean of the levels, block by block", style="dim")
    table = _differences(comparison.matrix.curves, comparison, wide=width >= WIDE)
    return Group(title, table, Text())


def _values(comparison: Comparison, level: str) -> Table:
    """The median over repeats of each measure."""
    plan = comparison.plan
    table = _table()
    table.add_column("median of repeats", overflow="fold", min_width=17)
    for measure in plan.measures:
        table.add_column(measure_header(measure), justify="right", no_wrap=True)
    table.add_column("")
    for cell in comparison.matrix.level(level):
        values = [measured(cell.value(measure), measure) for measure in plan.measures]
        table.add_row(Text(plain(cell.variant)), *values, role(cell.variant, comparison))
    return table


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)


def _triton(rows: list[list[str]], engines: str) -> RenderableType:
    """One row for each level, variant and Triton model; a level and a variant are named once."""
    title = Text("Triton", style="bold")
    title.append(f"   {engines}" if engines else "", style="dim")
    table = _table()
    for name in triton.HEAD[: triton.NAMES]:
        table.add_column(name, overflow="fold")
    for name in triton.HEAD[triton.NAMES :]:
        # On two lines, to leave the room to the names.
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    previous = ["", ""]
    for level, variant, *rest in rows:
        named = [level, variant]
        if level == previous[0]:
            named = ["", "" if variant == previous[1] else variant]
        table.add_row(*(Text(plain(cell)) for cell in (*named, *rest)))
        previous = [level, variant]
    return Group(title, Text(triton.LEGEND, style="dim"), table, Text())


def role(variant: str, comparison: Comparison) -> str:
    if variant == comparison.plan.reference:
        return "reference"
    return f"copy of {plain(comparison.plan.original)}" if variant == comparison.plan.aa else ""


def shown(comparison: Comparison, level: str) -> Iterator[Difference]:
    """The differences of a level for which there is a ratio; of a mere A/A pair, its own."""
    for difference in comparison.matrix.differences or comparison.matrix.aa:
        if difference.level == level and difference.ratio is not None:
            yield difference


def _differences(differences: Sequence[Difference], comparison: Comparison, *, wide: bool) -> Table:
    reach = reach_of(comparison.matrix.differences)
    table = _table()
    table.add_column(f"against {plain(comparison.plan.reference)}", overflow="fold", min_width=17)
    table.add_column("")
    for name in ("ratio", "95 % interval", "noise floor"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    if wide:
        table.add_column(scale(reach), no_wrap=True)
    previous = ""
    for d in differences:
        if d.ratio is None:
            continue
        name = "" if d.variant == previous else plain(d.variant)
        previous = d.variant
        table.add_row(
            Text(name),
            measure_name(d.measure),
            ratio_point(d.ratio),
            Text(ratio_interval(d.ratio)),
            floor_text(d.floor),
            Text(d.verdict, style=STYLES[d.verdict]),
            *([picture(d.ratio, d.floor, reach)] if wide else []),
        )
    return table


def _answer(comparison: Comparison) -> RenderableType:
    parts: list[RenderableType] = []
    for title, lines in answer.parts(comparison):
        grid = Table.grid(padding=(0, 1))
        for line in lines:
            grid.add_row("-", Text(plain(line)))
        parts += [Text(title, style="bold"), Padding(grid, (0, 0, 1, 1))]
    return Group(*parts)
