"""
Where the time goes: the stages of each cell, one bar a cell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pyarrow as pa

from analysis.comparison import Comparison
from analysis.figures.axes import Row, Rows, Span, named_axis
from analysis.figures.figure import Figure, chart_of, layered
from analysis.figures.style import CHARACTER_PX, ordered
from analysis.stages import MEAN, ORDER, REST
from analysis.why import name as stage_name
from analysis.words import duration, levels_phrase, measure_name, number, percent, plain
from benchmarks.record import level_title

ROW_PX, BAR_PX = 28, 20
NARROW_PX = 430.0  # the width for which labels are put into segments
# Tol's light scheme (SRON/EPS/TN/09-002): areas that carry black text, none of a variant's colour.
FILLS = {
    "queue": "#EEDD88",
    "receive": "#99DDFF",
    "decode": "#77AADD",
    "preprocess": "#44BB99",
    "infer": "#EE8866",
    "postprocess": "#FFAABB",
    "serialize": "#BBCC33",
    REST: "#CCCCCC",
}


@dataclass(frozen=True, slots=True)
class _Segment:
    """A stage of a cell: its mean over repeats, and where it begins on the bar."""

    variant: str
    level: str
    stage: str
    ms: float
    from_ms: float
    total_ms: float


def stage_bars(
    comparison: Comparison,
    measure: str = MEAN,
    levels: Sequence[str] = (),
    *,
    shares: bool = False,
) -> Figure | None:
    """
    Stages and rest of each cell, of all requests or of those about a percentile.

    All levels if none is named, on one axis: of times, or of shares of the whole. None if no cell
    has stages.
    """
    segments = list(_segments(comparison, measure, levels or comparison.plan.levels))
    if not segments:
        return None
    what = "all requests" if measure == MEAN else f"the requests about {measure_name(measure)}"
    kind = "shares" if shares else "times"
    return Figure(
        name=f"stages-{measure}-{kind}",
        title=f"Stages of {what}",
        explained=f"Mean times of {what} in each stage inside the service, in the order in which"
        " a request passes them. Outside the stages: network, waiting for the event loop,"
        " parsing. At the right, the whole.",
        alt=_bars_alt(segments, what),
        table=_bars_table(segments),
        chart=_bars(segments, shares=shares),
    )


def _segments(comparison: Comparison, measure: str, levels: Sequence[str]) -> Iterator[_Segment]:
    for level in levels:
        for variant in ordered(comparison.plan):
            cell = comparison.matrix.cells.get((variant, level))
            mix = cell.mix(measure) if cell else None
            if not mix:
                continue
            # A rest below zero is two clocks that disagree; it has no place on a bar.
            total, at = sum(mix.values()), 0.0
            for stage in ORDER:
                if mix.get(stage, 0.0) > 0:
                    yield _Segment(variant, level, stage, mix[stage], at, total)
                    at += mix[stage]


def _bars(segments: Sequence[_Segment], *, shares: bool) -> alt.LayerChart:
    rows, places = Rows(), {}
    for segment in segments:
        if (segment.level, "") not in places:
            rows.head(level_title(segment.level))
            places[segment.level, ""] = Row(0, 0)
        if (segment.level, segment.variant) not in places:
            places[segment.level, segment.variant] = rows.row(plain(segment.variant), ROW_PX)
    longest = max(segment.total_ms for segment in segments)
    across = Span(0.0, 1.0, log=False) if shares else Span(0.0, longest * 1.02, log=False)
    marks = [_mark(s, places[s.level, s.variant], across, shares) for s in segments]
    totals = {places[s.level, s.variant].middle: duration(s.total_ms) for s in segments}
    axis = (
        alt.Axis(title="share of the whole time", format=".0%", grid=True)
        if shares
        else across.axis("mean time, ms: shorter is faster")
    )
    found = [stage for stage in ORDER if any(s.stage == stage for s in segments)]
    return _bar_layers(marks, found, rows, alt.X("x:Q", scale=across.scale(), axis=axis), totals)


def _mark(segment: _Segment, row: Row, across: Span, shares: bool) -> dict[str, Any]:
    whole = segment.total_ms if shares else 1.0
    x, x2 = segment.from_ms / whole, (segment.from_ms + segment.ms) / whole
    width = NARROW_PX * (across.share(x2) - across.share(x))
    fitting = (f"{stage_name(segment.stage)} {number(segment.ms)}", number(segment.ms))
    label = next((text for text in fitting if CHARACTER_PX * len(text) + 6 <= width), "")
    return {
        "stage": stage_name(segment.stage),
        "x": x,
        "x2": min(x2, across.high),
        "middle": (x + x2) / 2,
        "y": row.middle - BAR_PX / 2,
        "y2": row.middle + BAR_PX / 2,
        "centre": row.middle,
        "label": label,
    }


def _bar_layers(
    marks: list[dict[str, Any]],
    found: Sequence[str],
    rows: Rows,
    x: alt.X,
    totals: dict[float, str],
) -> alt.LayerChart:
    names = [stage_name(stage) for stage in found]
    scale = alt.Scale(domain=names, range=[FILLS[stage] for stage in found])
    legend = alt.Legend(
        title=None, orient="top", symbolType="square", symbolSize=140, columns=len(found)
    )
    base = chart_of(marks)
    right = named_axis(list(totals.items()), orient="right", labelPadding=8)
    return layered(
        base.mark_rect(style="tile").encode(
            x=x,
            x2="x2:Q",
            y=rows.y("y"),
            y2="y2:Q",
            color=alt.Color("stage:N", scale=scale, legend=legend),
        ),
        base.transform_filter("datum.label != ''")
        .mark_text(style="note", color="#000000")
        .encode(x="middle:Q", y=rows.y("centre", axis=None), text="label:N"),
        base.mark_point(opacity=0).encode(y=rows.y("y", axis=right)),
        height=rows.height,
        y_axes=True,
    )


def _bars_alt(segments: Sequence[_Segment], what: str) -> str:
    cells = {(s.variant, s.level): s.total_ms for s in segments}
    told = []
    for (variant, level), total in cells.items():
        longest = max(
            (s for s in segments if (s.variant, s.level) == (variant, level)), key=lambda s: s.ms
        )
        told.append(
            f"{plain(variant)} {levels_phrase([level])}: {duration(total)},"
            f" {percent(longest.ms / total)} of it {stage_name(longest.stage)}"
        )
    return f"Stages of {what}, one bar a cell. {'; '.join(told)}."


def _bars_table(segments: Sequence[_Segment]) -> pa.Table:
    return pa.table(
        {
            "variant": [plain(s.variant) for s in segments],
            "load": [level_title(s.level) for s in segments],
            "stage": [stage_name(s.stage) for s in segments],
            "mean_ms": [s.ms for s in segments],
            "share": [s.ms / s.total_ms for s in segments],
        }
    )
