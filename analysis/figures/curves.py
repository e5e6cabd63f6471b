"""
Throughput against latency: what more load buys, and what it costs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import altair as alt

from analysis.cells import percentile_key
from analysis.comparison import Comparison
from analysis.figures import lines
from analysis.figures.axes import Span, load_title, span
from analysis.figures.figure import Figure, chart_of, layered, nothing
from analysis.figures.lines import HEIGHT_PX, Looks
from analysis.figures.load_points import LoadPoint, load_labels_at, load_points, load_table
from analysis.figures.style import drawn, drawn_looks
from analysis.objective import Objective
from analysis.words import (
    duration,
    levels_phrase,
    load_of,
    measure_header,
    measure_name,
    number,
    plain,
)

FAR = 4.0  # a limit that lies this many times beyond the points is told, not drawn


def throughput_latency(
    comparison: Comparison, measure: str, slo: Objective | None = None
) -> Figure:
    """
    One line a variant over its loads, a small point for each repeat, the SLO's limit.

    Closed and open loops make lines of their own.
    """
    found = drawn_looks(comparison.plan)
    points = list(load_points(comparison, measure, list(found)))
    limit_ms = slo.limit_ms if slo and percentile_key(slo.q) == measure else None
    return Figure(
        name=f"throughput-{measure}",
        title=f"What throughput costs at {measure_name(measure)}",
        explained=" ".join(_explained(comparison, points, limit_ms)),
        alt=_alt(comparison, measure, points),
        table=load_table(points, measure),
        chart=_chart(comparison, measure, points, found, limit_ms),
    )


def _chart(
    comparison: Comparison,
    measure: str,
    points: Sequence[LoadPoint],
    found: Looks,
    limit_ms: float | None,
) -> alt.LayerChart:
    if not points:
        return nothing(f"no cell has both throughput and {measure_name(measure)}")
    times = [point.latency_ms for point in points]
    near = limit_ms is not None and min(times) / FAR <= limit_ms <= max(times) * FAR
    across = span([point.throughput_rps for point in points])
    up = span([*times, limit_ms] if near and limit_ms else times)
    title = f"{measure_header(measure)}: lower is faster"
    ends = {point.variant: point.latency_ms for point in points if point.repeat is None}
    return layered(
        *(_limit(limit_ms, up) if near and limit_ms else []),
        *_lines(points, found, across, up, title),
        *load_labels_at(comparison, points, across, up),
        *lines.names_beside(found, ends, up),
        height=HEIGHT_PX,
        y_axes=True,
    )


def _lines(
    points: Sequence[LoadPoint], found: Looks, across: Span, up: Span, title: str
) -> Iterator[alt.Chart]:
    """The repeats below; each variant's line from its lowest load to its highest."""
    numbers = lines.number_of(found)
    x = alt.X("x:Q", scale=across.scale(), axis=across.axis("throughput, requests/s"))
    y, named = (alt.Y("y:Q", scale=up.scale(), axis=axis) for axis in (None, up.axis(title)))
    base = chart_of([_mark(point, numbers) for point in points])
    base = base.encode(x=x, y=y, color=lines.colour(found))
    middle, repeats = base.transform_filter("datum.cell"), base.transform_filter("!datum.cell")
    small = repeats.mark_point(size=18, filled=True, opacity=0.7)
    yield small.encode(shape=lines.shape(found), y=named)
    line = middle.mark_line(strokeWidth=2)
    yield line.encode(strokeDash=lines.dash(found), detail="loop:N", order="order:Q")
    large = middle.mark_point(size=60, filled=True, opacity=1)
    yield large.encode(shape=lines.shape(found))


def _mark(point: LoadPoint, numbers: Mapping[str, int]) -> dict[str, Any]:
    loop, load = load_of(point.level)
    return {
        "variant": numbers[point.variant],
        "x": point.throughput_rps,
        "y": point.latency_ms,
        "loop": loop,
        "order": load,
        "cell": point.repeat is None,
    }


def _limit(limit_ms: float, up: Span) -> list[alt.Chart]:
    rows = chart_of([{"y": limit_ms, "text": f"SLO: {duration(limit_ms)}"}])
    y = alt.Y("y:Q", scale=up.scale(), axis=None)
    return [
        rows.mark_rule(style="line", strokeDash=[4, 3]).encode(y=y),
        rows.mark_text(style="note", align="left", dx=6, dy=-7).encode(
            y=y, x=alt.value(0), text="text:N"
        ),
    ]


def _explained(
    comparison: Comparison, points: Sequence[LoadPoint], limit_ms: float | None
) -> Iterator[str]:
    levels = comparison.plan.levels
    title = load_title(levels)
    what = "clients, or with /s requests offered" if title == "load" else title
    yield (
        "Large points are medians over repeats, small ones the repeats; numbers at them are"
        f" {what}. Right is more answers, down is faster; between the points nothing was measured."
    )
    if any(point.at_least for point in points):
        yield "↑: at least so long, as requests were given up."
    if limit_ms:
        yield f"The SLO's limit is {duration(limit_ms)}."
    left_out = len(comparison.plan.variants) - len(drawn(comparison.plan))
    if left_out:
        yield f"{left_out} more variants are not drawn."


def _alt(comparison: Comparison, measure: str, points: Sequence[LoadPoint]) -> str:
    cells = [point for point in points if point.repeat is None]
    ends = []
    for variant in dict.fromkeys(point.variant for point in cells):
        last = [point for point in cells if point.variant == variant][-1]
        ends.append(
            f"{plain(variant)} {levels_phrase([last.level])}: {number(last.throughput_rps)}"
            f" requests/s at {duration(last.latency_ms)}"
        )
    return f"Throughput against {measure_name(measure)}, one line a variant. {'; '.join(ends)}."
