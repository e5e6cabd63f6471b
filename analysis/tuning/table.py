"""
What a sweep says, at a terminal: each value under each load, and what to do.

80 columns are enough; names and values come from records, so they are printed as text.
"""

from collections.abc import Iterator

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from analysis.cells import THROUGHPUT, Cell, percentile_key
from analysis.comparison import Comparison
from analysis.costs import cpu_ms, failed_share, memory_mb
from analysis.differences import Difference
from analysis.terminal import STYLES, doubt_line, trimmed
from analysis.tuning import carried, sentences
from analysis.tuning.advice import Advice, Candidate, advise
from analysis.tuning.sweep import decisive
from analysis.words import (
    MISSING,
    measure_header,
    measured,
    number,
    percent,
    plain,
    ratio_interval,
    ratio_point,
)
from benchmarks.record import level_title

RATIO = "ratio = value / present, block by block, with its 95 % interval. "
LEGEND = (
    "CPU ms = of the service, for each answer; memory MB = of all its processes, shared pages"
    " counted in each. Medians of repeats."
)


def show(comparison: Comparison, console: Console) -> None:
    """Doubts first, then the numbers, and the recommendation last, next to the prompt."""
    alone = set(comparison.plan.variants) <= {comparison.plan.reference, comparison.plan.aa}
    with trimmed(console):
        console.print(Text(plain(comparison.record.question or comparison.record.name), "bold"))
        for doubt in comparison.doubts:
            if not (alone and doubt.kind == "no_aa_pair"):  # one variant is compared with nothing
                told = f"doubt: {doubt_line(doubt, comparison)}; {plain(doubt.next_step)}"
                console.print(Text(told, style="yellow"))
        legend = LEGEND if alone else RATIO + LEGEND
        console.print(Padding(Text(legend, style="dim"), (1, 0)))
        console.print(_clients(comparison) if alone else _knobs(comparison))
        path = plain(comparison.record.path)
        console.print(Text(f"all of it: windtunnel compare {path}"), soft_wrap=True)


def _knobs(comparison: Comparison) -> RenderableType:
    advices = advise(comparison)
    parts = [_knob(comparison, advice) for advice in advices]
    last = [Text(line, style="bold") for line in sentences.together(advices)]
    for command in sentences.commands(comparison, advices):
        last.append(Text(f"to serve so: {plain(command)}"))
    return Group(*parts, *last)


def _knob(comparison: Comparison, advice: Advice) -> RenderableType:
    """One knob: its values under each load, what is said of each, and what to do."""
    knob = advice.knob
    named = plain(knob.name if knob.name == knob.setting else f"{knob.name} ({knob.setting})")
    parts: list[RenderableType] = [Text(named, style="bold")]
    if knob.trades:
        parts.append(Text(f"{knob.trades}.\nLook at {knob.look}.", style="dim"))
    for level in comparison.plan.levels:
        parts += [Text(f"\n{level_title(level)}"), _values(comparison, advice, level)]
    parts.append(Text())
    for each in advice.candidates[1:]:
        parts.append(Text(f"{plain(each.value)}: {each.outcome}: {plain(each.reason)}"))
    first, *others = sentences.sentences(comparison, advice)
    return Group(*parts, Text(f"\n{first}", style="bold"), *map(Text, others), Text())


def _values(comparison: Comparison, advice: Advice, level: str) -> Table:
    measure = percentile_key(decisive(comparison.slo))
    table = _table("value", *_head(measure), "ratio", "verdict")
    for each in advice.candidates:
        cell = comparison.matrix.cells.get((each.variant, level))
        if cell:
            found = _difference(comparison, each, level, measure)
            table.add_row(Text(plain(each.value)), *_numbers(cell, measure), *_ratio(found))
    return table


def _clients(comparison: Comparison) -> RenderableType:
    """One service under each load."""
    measure = percentile_key(decisive(comparison.slo))
    table = _table("load", *_head(measure))
    for level in comparison.plan.levels:
        if cell := comparison.matrix.cells.get((comparison.plan.reference, level)):
            table.add_row(level_title(level), *_numbers(cell, measure))
    first, *others = carried.sentences(comparison)
    return Group(table, Text(f"\n{first}", style="bold"), *map(Text, others), Text())


def _head(measure: str) -> tuple[str, ...]:
    return ("req/s", measure_header(measure), "CPU ms", "memory MB", "failed")


def _table(first: str, *names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column(first, overflow="fold")
    for name in names:
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    return table


def _numbers(cell: Cell, measure: str) -> Iterator[str]:
    yield measured(cell.value(THROUGHPUT), THROUGHPUT)
    yield measured(cell.value(measure), measure)
    for used in (cpu_ms(cell), memory_mb(cell)):
        yield MISSING if used is None else number(used)
    yield percent(share) if (share := failed_share(cell)) else "0"


def _difference(
    comparison: Comparison, one: Candidate, level: str, measure: str
) -> Difference | None:
    wanted = (one.variant, level, measure)
    found = comparison.matrix.differences
    return next((d for d in found if (d.variant, d.level, d.measure) == wanted), None)


def _ratio(found: Difference | None) -> tuple[Text, Text]:
    if found is None:
        return Text(), Text("present")
    ratio = f"{ratio_point(found.ratio)} {ratio_interval(found.ratio)}" if found.ratio else MISSING
    return Text(ratio), Text(found.verdict, style=STYLES[found.verdict])
