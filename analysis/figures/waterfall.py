"""
Where a difference comes from: from one time to another, stage by stage.
"""

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

import altair as alt
import pyarrow as pa

from analysis.figures.axes import Row, Rows, Span, named_axis
from analysis.figures.figure import Figure, chart_of, layered
from analysis.figures.style import PUOR
from analysis.stages import Explanation, Part
from analysis.why import name as stage_name
from analysis.words import duration, percent, plain, rounded_to

ROW_PX, BAR_PX = 28, 20
LESS, MORE = PUOR[0], PUOR[-1]
PALE = 0.35  # opacity of what may be noise


def waterfall(explanation: Explanation, before: str, after: str, where: str) -> Figure:
    """
    From one time through the stages to another: what each adds or takes, with its interval.

    *before* and *after* name the two (a reference and a variant, or P50 and P99) and *where* the
    cell. The axis counts from the first one's time, so that no bar is cut.
    """
    before, after = plain(before), plain(after)
    return Figure(
        name="difference-by-stage",
        title=f"From {before} to {after}, stage by stage, {plain(where)}",
        explained=f"Each bar begins where the last one ended; {before} takes"
        f" {duration(explanation.before_ms)}, {after} {duration(explanation.after_ms)} on average"
        f" over {explanation.blocks} blocks. Lines are 95 % intervals; pale bars, whose interval"
        " includes no difference, may be noise.",
        alt=_fall_alt(explanation, before, after),
        table=_fall_table(explanation),
        chart=_fall(explanation, before, after),
    )


def _fall(explanation: Explanation, before: str, after: str) -> alt.LayerChart:
    rows, marks, at = Rows(), [], 0.0
    texts: list[tuple[float, str | list[str]]] = []
    total_ms = explanation.total.ms
    rows.row(f"{before} {duration(explanation.before_ms)}", ROW_PX)
    for part in explanation.parts:
        row = rows.row(stage_name(part.stage), ROW_PX)
        marks.append(_step(part, at, row))
        texts.append((row.middle, _told(part, total_ms)))
        at += part.ms
    last = rows.row(f"{after} {duration(explanation.after_ms)}", ROW_PX)
    marks.append(_step(explanation.total, 0.0, last))
    texts.append((last.middle, _told(explanation.total, total_ms)))
    across = _reach(marks)
    for mark in marks:
        for end in ("low", "high"):
            mark[end] = min(max(float(mark[end]), across.low), across.high)
    right = named_axis(texts, orient="right", labelPadding=8)
    return layered(
        *_layers(marks, rows, across, f"ms more or less than {before}"),
        chart_of(marks).mark_point(opacity=0).encode(y=rows.y("y", axis=right)),
        height=rows.height,
        y_axes=True,
    )


def _step(part: Part, at: float, row: Row) -> dict[str, Any]:
    return {
        "x": at,
        "x2": at + part.ms,
        "low": at + part.low_ms,
        "high": at + part.high_ms,
        "interval": part.high_ms < inf,
        "shown": part.shown,
        "more": part.ms > 0,
        "y": row.middle - BAR_PX / 2,
        "y2": row.middle + BAR_PX / 2,
        "centre": row.middle,
        "next": row.bottom + (ROW_PX - BAR_PX) / 2,
    }


def _reach(marks: Sequence[dict[str, Any]]) -> Span:
    """All bars, and intervals unless they are wider than all bars together."""
    ends = [0.0, *(float(mark[end]) for mark in marks for end in ("x", "x2"))]
    low, high = min(ends), max(ends)
    width = (high - low) or 1.0
    lows = [max(float(mark["low"]), low - width / 2) for mark in marks if mark["interval"]]
    highs = [min(float(mark["high"]), high + width / 2) for mark in marks if mark["interval"]]
    low, high = min([low, *lows]), max([high, *highs])
    return Span(low - width * 0.03, high + width * 0.03, log=False)


def _told(part: Part, total_ms: float) -> str:
    """`-70.6 [-84.9, -56.3] ms, 88%`."""
    ms, low, high = map(rounded_to(total_ms), (part.ms, part.low_ms, part.high_ms))
    interval = f" [{low}, {high}]" if part.high_ms < inf else ""
    share = "" if part.stage == "total" else f", {percent(part.share)}"
    return f"{'+' if part.ms > 0 else ''}{ms}{interval} ms{share}"


def _layers(
    marks: list[dict[str, Any]], rows: Rows, across: Span, title: str
) -> Iterator[alt.Chart]:
    """Zero, the bars, a dotted line from each to the next, and the intervals."""
    base = chart_of(marks)
    x = alt.X("x:Q", scale=across.scale(), axis=across.axis(title))
    low, end = (alt.X(f"{field}:Q", scale=across.scale()) for field in ("low", "x2"))
    two = [False, True]
    colour = alt.Color("more:N", scale=alt.Scale(domain=two, range=[LESS, MORE]), legend=None)
    opacity = alt.Opacity("shown:N", scale=alt.Scale(domain=two, range=[PALE, 1]), legend=None)
    yield chart_of([{"x": 0}]).mark_rule(style="line").encode(x=x)
    bars = base.mark_rect().encode(x=x, x2="x2:Q", y=rows.y("y"), y2="y2:Q")
    yield bars.encode(color=colour, opacity=opacity)
    dotted = base.mark_rule(style="faint", strokeDash=[2, 2])
    yield dotted.encode(x=end, y=rows.y("y2", axis=None), y2="next:Q")
    known = base.transform_filter("datum.interval").mark_rule(style="line")
    yield known.encode(x=low, x2="high:Q", y=rows.y("centre", axis=None))


def _fall_alt(explanation: Explanation, before: str, after: str) -> str:
    largest = max(explanation.parts, key=lambda part: abs(part.ms))
    return (
        f"From {before}, {duration(explanation.before_ms)}, to {after},"
        f" {duration(explanation.after_ms)}, stage by stage. Largest: {stage_name(largest.stage)},"
        f" {_told(largest, explanation.total.ms)} of the difference."
    )


def _fall_table(explanation: Explanation) -> pa.Table:
    parts = [*explanation.parts, explanation.total]
    return pa.table(
        {
            "stage": [stage_name(part.stage) for part in parts],
            "difference_ms": [part.ms for part in parts],
            "low_ms": [part.low_ms for part in parts],
            "high_ms": [part.high_ms for part in parts],
            "share": [part.share for part in parts],
        }
    )
