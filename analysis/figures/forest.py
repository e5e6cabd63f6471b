"""
The marks of a forest plot: ratios with their intervals, noise floors and the margin.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import altair as alt

from analysis.cells import THROUGHPUT
from analysis.compare import Bound, Ratio, Verdict
from analysis.differences import Difference
from analysis.figures import lines
from analysis.figures.axes import Row, Rows, Span
from analysis.figures.figure import chart_of
from analysis.figures.lines import Looks

FLOOR_PX = 14
BEYOND = {"left": ("low", "triangle-left"), "right": ("high", "triangle-right")}


@dataclass(frozen=True, slots=True)
class Entry:
    """A difference and where it is drawn."""

    difference: Difference
    ratio: Ratio
    row: Row


def margin_column(margin: float, across: Span) -> list[alt.Chart]:
    """The column within which variants are the same, and the line of no difference."""
    rows = chart_of([{"x": 1 / (1 + margin), "x2": 1 + margin, "one": 1}])
    x = alt.X("x:Q", scale=across.scale(), axis=across.axis("ratio, variant / reference"))
    one = alt.X("one:Q", scale=across.scale())
    return [
        rows.mark_rect(style="shade").encode(x=x, x2="x2:Q"),
        rows.mark_rule(style="line").encode(x=one),
    ]


def intervals(
    entries: Sequence[Entry], looks: Looks, across: Span, rows: Rows
) -> Iterator[alt.Chart]:
    """Floors below; intervals with an arrow where the axis cuts them; hollow what is open."""
    numbers = lines.number_of(looks)
    values = [_mark(entry, across, numbers[entry.difference.variant]) for entry in entries]
    grey = chart_of(values)
    base = grey.encode(color=lines.colour(looks))
    y, top = (rows.y(field, axis=None) for field in ("y", "top"))
    x = {
        field: alt.X(f"{field}:Q", scale=across.scale())
        for field in ("point", "low", "high", "floor_low")
    }
    floors = grey.transform_filter("datum.floor").mark_rect(style="band")
    yield floors.encode(x=x["floor_low"], x2="floor_high:Q", y=top, y2="bottom:Q")
    known = base.transform_filter("datum.interval").mark_rule(strokeWidth=2)
    yield known.encode(x=x["low"], x2="high:Q", y=y)
    for end, (field, shape) in BEYOND.items():
        ends = base.transform_filter(f"datum.beyond_{end}")
        yield ends.mark_point(shape=shape, filled=True, size=50, opacity=1).encode(x=x[field], y=y)
    yield from _dots(grey.encode(x=x["point"], y=y, shape=lines.shape(looks)), lines.colour(looks))


def _dots(base: alt.Chart, colour: alt.Color) -> Iterator[alt.Chart]:
    decided, undecided = (base.transform_filter(f"{no}datum.decided") for no in ("", "!"))
    yield decided.mark_point(filled=True, size=75, opacity=1).encode(color=colour)
    yield undecided.mark_point(filled=True, size=75, opacity=1, style="hole")
    hollow = undecided.mark_point(filled=False, size=75, opacity=1, strokeWidth=2)
    yield hollow.encode(color=colour)


def _mark(entry: Entry, across: Span, number: int) -> dict[str, Any]:
    ratio, floor, row = entry.ratio, entry.difference.floor, entry.row
    low = across.low if ratio.bound is Bound.AT_MOST else ratio.low
    high = across.high if ratio.bound is Bound.AT_LEAST else ratio.high
    known = ratio.high < inf
    return {
        "variant": number,
        "y": row.middle,
        "top": row.middle - FLOOR_PX / 2,
        "bottom": row.middle + FLOOR_PX / 2,
        "point": min(max(ratio.point, across.low), across.high),
        "low": max(low, across.low),
        "high": min(high, across.high),
        "interval": known,
        "beyond_left": known and low <= across.low,
        "beyond_right": known and high >= across.high,
        "decided": entry.difference.verdict is not Verdict.UNRESOLVED,
        "floor": floor is not None,
        "floor_low": max(1 / (1 + (floor or 0)), across.low),
        "floor_high": min(1 + (floor or 0), across.high),
    }


def directions(rows: Rows, across: Span) -> Iterator[alt.Chart]:
    """Over each group, which side is faster: less time, but more answers."""
    values = []
    for measure, middle in rows.heads:
        left, right = ("slower", "faster") if measure == THROUGHPUT else ("faster", "slower")
        values.append({"x": 1, "y": middle, "left": f"← {left}", "right": f"{right} →"})
    base = chart_of(values).encode(x=alt.X("x:Q", scale=across.scale()), y=rows.y("y", axis=None))
    yield base.mark_text(style="note", align="right", dx=-8).encode(text="left:N")
    yield base.mark_text(style="note", align="left", dx=8).encode(text="right:N")
