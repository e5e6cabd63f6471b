"""
Cells as points of throughput and latency, and the loads written beside them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import altair as alt
import pyarrow as pa

from analysis.cells import THROUGHPUT, Cell, Visited
from analysis.comparison import Comparison
from analysis.figures.axes import Span, load_title
from analysis.figures.figure import chart_of
from analysis.figures.labels import Box, along, sides
from analysis.figures.lines import HEIGHT_PX
from analysis.words import load_of, plain
from benchmarks.record import level_title

NARROW_PX = 480.0  # the width for which labels are placed: wider, they are further apart
EDGES = Box(-10, -10, NARROW_PX + 10, HEIGHT_PX)
SIDES: dict[str, dict[str, Any]] = {
    "above": {"dy": -11},
    "below": {"dy": 11},
    "right": {"dx": 7, "align": "left"},
    "left": {"dx": -7, "align": "right"},
}


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """A cell, or one repeat of it."""

    variant: str
    level: str
    throughput_rps: float
    latency_ms: float
    at_least: bool
    repeat: int | None  # None: the cell's medians


def load_points(
    comparison: Comparison, measure: str, variants: Sequence[str]
) -> Iterator[LoadPoint]:
    """The repeats of each cell, then the cell, where both numbers are known."""
    for variant in variants:
        for level in comparison.plan.levels:
            cell = comparison.matrix.cells.get((variant, level))
            if cell is None:
                continue
            for visit in cell.visits:
                yield from _point(visit, variant, level, measure, visit.repeat)
            yield from _point(cell, variant, level, measure, None)


def _point(
    source: Cell | Visited, variant: str, level: str, measure: str, repeat: int | None
) -> Iterator[LoadPoint]:
    throughput, latency = source.value(THROUGHPUT), source.value(measure)
    if throughput and latency:
        yield LoadPoint(variant, level, throughput.value, latency.value, latency.at_least, repeat)


def load_labels_at(
    comparison: Comparison, points: Sequence[LoadPoint], across: Span, up: Span
) -> Iterator[alt.Chart]:
    """The load at each cell's point where there is room; a copy's are its original's."""
    plan = comparison.plan
    cells = [point for point in points if point.repeat is None]
    # The ends of the lines choose first, then the reference, then the others.
    ends = {plan.levels[0], plan.levels[-1]}
    cells.sort(key=lambda p: (p.variant == plan.aa, p.level not in ends))
    texts = [_load(p, load_title(plan.levels)) for p in cells]
    others = [_place(p, across, up) for p in points if p.repeat is not None]
    for a, b in permutations(cells, 2):
        if a.variant == b.variant and _next(plan.levels, a.level, b.level):
            others += along(_place(a, across, up), _place(b, across, up))
    chosen = sides([_place(p, across, up) for p in cells], texts, EDGES, others)
    rows = [
        {"x": p.throughput_rps, "y": p.latency_ms, "text": text, "side": side}
        for p, text, side in zip(cells, texts, chosen, strict=True)
        if side and p.variant != plan.aa
    ]
    base = chart_of(rows).encode(
        x=alt.X("x:Q", scale=across.scale()),
        y=alt.Y("y:Q", scale=up.scale(), axis=None),
        text="text:N",
    )
    for side, look in SIDES.items():
        yield base.transform_filter(f"datum.side == '{side}'").mark_text(style="note", **look)


def _place(point: LoadPoint, across: Span, up: Span) -> tuple[float, float]:
    return (
        NARROW_PX * across.share(point.throughput_rps),
        HEIGHT_PX * (1 - up.share(point.latency_ms)),
    )


def _next(levels: Sequence[str], level: str, other: str) -> bool:
    """Whether a line goes from one level to the other."""
    same_loop = load_of(level)[0] == load_of(other)[0]
    return same_loop and levels.index(other) - levels.index(level) == 1


def _load(point: LoadPoint, title: str) -> str:
    loop, load = load_of(point.level)
    rate = "/s" if title == "load" and loop == "rate" else ""
    return f"{load:g}{rate}{' ↑' if point.at_least else ''}"


def load_table(points: Sequence[LoadPoint], measure: str) -> pa.Table:
    """What is drawn; without a repeat: the medians over repeats."""
    return pa.table(
        {
            "variant": [plain(point.variant) for point in points],
            "load": [level_title(point.level) for point in points],
            "repeat": pa.array([point.repeat for point in points], pa.int64()),
            "throughput_rps": [point.throughput_rps for point in points],
            f"{measure}_ms": [point.latency_ms for point in points],
            "at_least": [point.at_least for point in points],
        }
    )
