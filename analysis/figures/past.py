"""
One cell, run after run: is it slower than it was, and since when?
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from statistics import geometric_mean, median
from typing import Any

import altair as alt
import pyarrow as pa

from analysis.cells import THROUGHPUT
from analysis.changes import Change, Changes
from analysis.compare import Bound, Ratio
from analysis.figures.axes import Span, fine_span, named_axis
from analysis.figures.figure import Figure, chart_of, layered, nothing
from analysis.figures.style import VARIANTS
from analysis.history import History, Point, sentences, untold
from analysis.words import (
    floor_text,
    levels_phrase,
    measure_header,
    measure_name,
    plain,
    ratio_interval,
    ratio_point,
)

HEIGHT_PX = 300
MOST_RUNS = 400
MOST_LABELS = 7
LABEL_SHARE = 0.1  # of the width, which the ratio at a change takes
CROWDED = 100  # runs, from which marks are smaller
# At a value that is a bound: which way the true one lies.
ARROWS = {Bound.AT_LEAST.value: ("↑", -10), Bound.AT_MOST.value: ("↓", 10)}


@dataclass(frozen=True, slots=True)
class _Level:
    """The runs between two changes, by place; `middle` is their geometric mean."""

    first: int
    last: int
    middle: float
    floor: float  # the median noise floor of its runs; 0 where there is none


def history(found: History, *, relative: bool = False) -> Figure:
    """
    Each run's value with its interval, the levels between changes, the noise of copies about them.

    *relative*: the ratio to the reference of the same run instead, which cancels the machine's
    drift. Of more than 400 runs the newest are drawn.
    """
    asked = found.asked
    points, changes = found.series(relative)
    name = f"{measure_name(asked.measure)} of {plain(asked.variant)}"
    told = plain("; ".join(sentences(found, relative)))
    against = f", against {plain(asked.reference or '')}" if relative else ""
    return Figure(
        name=f"history-{asked.measure}{'-ratio' if relative else ''}",
        title=f"{name} {levels_phrase([asked.level])}, run after run{against}",
        explained=" ".join(_explained(found, points, relative)),
        alt=f"{name} in {counted(len(points), 'run')}. {told}.",
        table=_table(points, relative, asked.measure),
        chart=_chart(points, changes, _title(found, relative), relative),
    )


def _title(found: History, relative: bool) -> str:
    measure = found.asked.measure
    better = "higher" if measure == THROUGHPUT else "lower"
    if relative:
        return f"{measure_name(measure)}, variant / reference: {better} is faster"
    return f"{measure_header(measure)}: {better} is faster"


def _values(points: Sequence[Point], relative: bool) -> list[tuple[float, Ratio]]:
    """Each point's value and its interval, in the unit of the axis."""
    if relative:
        return [(point.ratio.point, point.ratio) for point in points if point.ratio]
    return [(point.value.value, point.interval) for point in points]


def _levels(
    points: Sequence[Point], values: Sequence[tuple[float, Ratio]], changes: Changes
) -> Iterator[_Level]:
    bounds = [0, *(change.first for change in changes.found), len(values)]
    for first, end in pairwise(bounds):
        floors = [point.floor for point in points[first:end] if point.floor is not None]
        middle = geometric_mean([value for value, _ in values[first:end]])
        yield _Level(first, end - 1, middle, median(floors) if floors else 0.0)


def _chart(points: Sequence[Point], changes: Changes, title: str, relative: bool) -> alt.LayerChart:
    values = _values(points, relative)
    if not values:
        return nothing("no run has this cell")
    levels = list(_levels(points, values, changes))
    skipped = max(0, len(values) - MOST_RUNS)
    marks = [
        _mark(place, value, of, points[place].bound(relative))
        for place, (value, of) in enumerate(values)
        if place >= skipped
    ]
    up = fine_span(_ends(marks, levels, skipped))
    for mark in marks:
        mark["low"], mark["high"] = max(mark["low"], up.low), min(mark["high"], up.high)
    axis = named_axis(_dates(points, skipped), title="run (UTC date and commit), oldest first")
    across = alt.Scale(domain=[skipped - 0.7, len(values) - 0.3], nice=False, zero=False)
    x, y = (
        alt.X("x:Q", scale=across, axis=axis),
        alt.Y("y:Q", scale=up.scale(), axis=up.axis(title)),
    )
    base = chart_of(marks).encode(x=x)
    low = alt.Y("low:Q", scale=up.scale())
    crowded = len(marks) > CROWDED
    return layered(
        *_bands(levels, up, x, skipped),
        *_rules(changes, x, skipped, len(values)),
        base.transform_filter("datum.interval")
        .mark_rule(color=VARIANTS[0], strokeWidth=1.5, opacity=0.3 if crowded else 0.7)
        .encode(y=low, y2="high:Q"),
        base.mark_point(
            color=VARIANTS[0], filled=True, size=15 if crowded else 45, opacity=1
        ).encode(y=y),
        *(
            base.transform_filter(f"datum.bound == '{bound}'")
            .mark_text(style="label", text=arrow, dy=dy)
            .encode(y=y)
            for bound, (arrow, dy) in ARROWS.items()
            if any(mark["bound"] == bound for mark in marks)
        ),
        height=HEIGHT_PX,
    )


def _mark(place: int, value: float, of: Ratio, bound: Bound) -> dict[str, Any]:
    """A run; as in tables, there is no interval where one of its ends is not known."""
    interval = of.high < inf and of.bound is Bound.EXACT
    ends = {"low": of.low, "high": of.high, "interval": interval}
    return {"x": place, "y": value, **ends, "bound": bound.value}


def _ends(
    marks: Sequence[dict[str, Any]], levels: Sequence[_Level], skipped: int
) -> Iterator[float]:
    """What the axis is to hold: every value, most of the intervals, the bands."""
    values = [mark["y"] for mark in marks]
    yield from values
    reach = max(values) / min(values) * 1.5
    for mark in marks:
        if mark["interval"]:
            yield max(mark["low"], min(values) / reach)
            yield min(mark["high"], max(values) * reach)
    for level in levels:
        if level.last >= skipped:
            yield level.middle / (1 + level.floor)
            yield level.middle * (1 + level.floor)


def _dates(points: Sequence[Point], skipped: int) -> list[tuple[float, str | list[str]]]:
    """Some of the runs, evenly, the newest among them."""
    step = max(1, -(-(len(points) - skipped) // MOST_LABELS))
    return [
        (float(place), [points[place].entry.started[:10], plain(points[place].entry.commit)[:7]])
        for place in range(len(points) - 1, skipped - 1, -step)
    ]


def _bands(levels: Sequence[_Level], up: Span, x: alt.X, skipped: int) -> Iterator[alt.Chart]:
    rows = [
        {
            "x": max(level.first, skipped) - 0.5,
            "x2": level.last + 0.5,
            "y": level.middle,
            "low": level.middle / (1 + level.floor),
            "high": level.middle * (1 + level.floor),
        }
        for level in levels
        if level.last >= skipped
    ]
    base = chart_of(rows).encode(x=x, x2="x2:Q")
    low = alt.Y("low:Q", scale=up.scale())
    yield base.mark_rect(style="band").encode(y=low, y2="high:Q")
    yield base.mark_rule(style="line").encode(y=alt.Y("y:Q", scale=up.scale()))


def _rules(changes: Changes, x: alt.X, skipped: int, runs: int) -> Iterator[alt.Chart]:
    rows, labelled = [], -inf
    for change in changes.found:
        if change.first > skipped:
            apart = (change.first - labelled) / (runs - skipped) >= LABEL_SHARE
            labelled = change.first if apart else labelled
            text = f"× {_times(change)}" if apart else ""
            rows.append({"x": change.first - 0.5, "text": text})
    if rows:
        base = chart_of(rows).encode(x=x)
        yield base.mark_rule(style="line", strokeDash=[4, 3])
        yield base.mark_text(style="label", baseline="bottom").encode(
            y=alt.value(-3), text="text:N"
        )


def _times(change: Change) -> str:
    """Of a bound only the bound."""
    if change.ratio is None:
        return "?"
    exact = change.ratio.bound is Bound.EXACT
    return ratio_point(change.ratio) if exact else ratio_interval(change.ratio)


def _explained(found: History, points: Sequence[Point], relative: bool) -> Iterator[str]:
    value = "ratio to the reference of the same run" if relative else "median over repeats"
    yield f"Each point is a run's {value}, with its 95 % interval."
    yield "Level lines are the means between changes; a broken line is a change, with its ratio."
    if any(point.bound(relative) is not Bound.EXACT for point in points):
        yield "↑ is at least so much, ↓ at most: requests were given up."
    floors = [point.floor for point in points if point.floor is not None]
    if floors:
        yield f"Grey band: how far copies of one service differ ({floor_text(median(floors))})."
    if len(points) > MOST_RUNS:
        yield f"The newest {MOST_RUNS} of {len(points)} runs are drawn."
    if found.left_out:
        yield f"Left out: {counted(len(found.left_out), 'run')} that cannot be held against these."
    if caution := untold(points):
        yield f"Caution, {caution}."


def counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _table(points: Sequence[Point], relative: bool, measure: str) -> pa.Table:
    column = "ratio" if relative else "throughput_rps" if measure == THROUGHPUT else f"{measure}_ms"
    values = _values(points, relative)
    return pa.table(
        {
            "run": [plain(point.entry.run) for point in points],
            "started": [plain(point.entry.started) for point in points],
            "commit": [plain(point.entry.commit) for point in points],
            column: [value for value, _ in values],
            "bound": [point.bound(relative).value for point in points],
            "low": pa.array(
                [None if of.bound is Bound.AT_MOST else of.low for _, of in values], pa.float64()
            ),
            "high": pa.array(
                [None if of.bound is Bound.AT_LEAST else of.high for _, of in values], pa.float64()
            ),
            "noise_floor": pa.array([point.floor for point in points], pa.float64()),
            "repeats": [point.repeats for point in points],
            "requests": [point.requests for point in points],
        }
    )
