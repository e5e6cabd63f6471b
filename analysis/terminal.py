"""
A comparison as a person reads it in a terminal, a pipe or a log: 80 columns are enough.

Colour only repeats what a word already says. Names come from records that others wrote, so
they are printed as text and never as markup.
"""

from collections.abc import Iterator
from math import inf, log

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from analysis.checks import Doubt
from analysis.compare import Bound, Ratio, Verdict
from analysis.comparison import Comparison
from analysis.matrix import Difference
from analysis.summary import sentences, undecided
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
from benchmarks.record import level_title

STYLES = {
    Verdict.FASTER: "bold green",
    Verdict.SLOWER: "bold red",
    Verdict.SAME: "bold",
    Verdict.UNRESOLVED: "yellow",
}
PICTURE_WIDTH = 21  # odd, so that the ratio 1 has a column
WIDE = 96  # from here on, each difference has its picture


def show(comparison: Comparison, console: Console) -> None:
    """Doubts first, then the numbers they concern, and the answer last, next to the prompt."""
    with console.capture() as captured:
        _show(comparison, console)
    # Tables fill their last column with blanks, which only files and pipes would see.
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
    model, track = campaign.get("model"), campaign.get("track")
    without = " (no inference)" if track == "null" else ""
    what = [record.name, model, f"track {track}{without}" if track else None]
    repeats = f"{record.repeats} repeat{'s' if record.repeats != 1 else ''}"
    if campaign.get("duration_s"):
        repeats += f" of {campaign['duration_s']:g} s"
        repeats += " or more" if campaign.get("min_requests") else ""
    sha = (record.run.get("commit") or {}).get("sha")
    facts = [repeats, record.status, f"commit {sha[:7]}" if sha else None]
    return plain(f"{', '.join(filter(None, what))}: {', '.join(filter(None, facts))}")


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


def _values(comparison: Comparison, level: str) -> Table:
    """The median over repeats of each measure."""
    plan = comparison.plan
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("median of repeats", overflow="fold", min_width=17)
    for measure in plan.measures:
        table.add_column(measure_header(measure), justify="right", no_wrap=True)
    table.add_column("")
    for cell in comparison.matrix.level(level):
        values = [measured(cell.value(measure), measure) for measure in plan.measures]
        table.add_row(Text(plain(cell.variant)), *values, role(cell.variant, comparison))
    return table


def role(variant: str, comparison: Comparison) -> str:
    if variant == comparison.plan.reference:
        return "reference"
    return f"copy of {plain(comparison.plan.original)}" if variant == comparison.plan.aa else ""


def shown(comparison: Comparison, level: str) -> Iterator[Difference]:
    """The differences of a level for which there is a ratio; of a mere A/A pair, its own."""
    for difference in comparison.matrix.differences or comparison.matrix.aa:
        if difference.level == level and difference.ratio is not None:
            yield difference


def _differences(differences: list[Difference], comparison: Comparison, *, wide: bool) -> Table:
    reach = _reach(comparison)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column(f"against {plain(comparison.plan.reference)}", overflow="fold", min_width=17)
    table.add_column("")
    for name in ("ratio", "95 % interval", "noise floor"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    if wide:
        table.add_column(_scale(reach), no_wrap=True)
    previous = ""
    for d in differences:
        assert d.ratio is not None
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


def _reach(comparison: Comparison) -> float:
    """The ratio at the right edge of every picture of a run, so that pictures compare."""
    exact = [
        d.ratio.point
        for d in comparison.matrix.differences
        if d.ratio and d.ratio.bound is Bound.EXACT
    ]
    largest = max((max(point, 1 / point) for point in exact), default=1.0)
    return next((edge for edge in (1.25, 1.5, 2.0, 4.0) if largest < edge), 10.0)


def _scale(reach: float) -> str:
    low, high = f"{1 / reach:.2g}", f"{reach:.3g}"
    half = PICTURE_WIDTH // 2
    return f"{low:<{half}}1{high:>{half}}"


def picture(ratio: Ratio, floor: float | None, reach: float) -> Text:
    """`..-o-.|....` on a logarithmic scale: `o` in its interval, `|` is 1, dots the noise floor."""
    half = PICTURE_WIDTH // 2

    def column(value: float) -> int:
        place = log(value) / log(reach) * half if 0 < value < inf else value - 1
        return half + round(max(-half - 1.0, min(half + 1.0, place)))

    line = [" "] * PICTURE_WIDTH
    if floor is not None:
        dots = range(max(0, column(1 / (1 + floor))), min(2 * half, column(1 + floor)) + 1)
        line = ["." if place in dots else " " for place in range(PICTURE_WIDTH)]
    low, high = column(ratio.low), column(ratio.high)
    for place in range(max(0, low), min(2 * half, high) + 1):
        line[place] = "-"
    line[half] = "|"
    if 0 <= (point := column(ratio.point)) <= 2 * half:
        line[point] = "o"
    line[0] = "<" if low < 0 else line[0]
    line[-1] = ">" if high > 2 * half else line[-1]
    return Text("".join(line))


def _answer(comparison: Comparison) -> RenderableType:
    parts: list[RenderableType] = []
    for title, lines in (
        ("Answer", sentences(comparison)),
        ("Not decided", list(undecided(comparison))),
    ):
        if lines:
            grid = Table.grid(padding=(0, 1))
            for line in lines:
                grid.add_row("-", Text(plain(line)))
            parts += [Text(title, style="bold"), Padding(grid, (0, 0, 1, 1))]
    return Group(*parts)
