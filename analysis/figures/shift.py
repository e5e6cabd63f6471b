"""
How one variant differs from another along the whole distribution: in its middle, in its tail?
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pyarrow as pa

from analysis.compare import Bound, Ratio, Value, ratio
from analysis.figures.axes import Span, named_axis, ratio_span
from analysis.figures.distributions import Repeats
from analysis.figures.figure import Figure, chart_of, layered, nothing
from analysis.figures.style import Look
from analysis.frames import Repeat
from analysis.latency import min_count, percentiles
from analysis.words import levels_phrase, percent, plain, ratio_interval, ratio_point

HEIGHT_PX = 280
QS = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 99.0, 99.9)


def shift(repeats: Repeats, variant: str, reference: str, margin: float, look: Look) -> Figure:
    """
    The ratio variant / reference at each decile and on to the tail, block by block.

    A percentile that a repeat of either has too few requests for is not drawn. *look* is the
    variant's (`style.looks`).
    """
    ours, theirs = repeats.get(variant, ()), repeats.get(reference, ())
    found = _ratios(ours, theirs)
    names = f"{plain(variant)} / {plain(reference)}"
    where = f" {levels_phrase([ours[0].level])}" if ours else ""
    return Figure(
        name="shift",
        title=f"{names} at every percentile{where}",
        explained="Each mark is the ratio of the two at that percentile, taken block by block, with"
        " its 95 % interval; below 1 is faster. A level row is a difference that all requests"
        f" share, a rising one is in the tail. Shaded: within {percent(margin)}, which counts as"
        " the same.",
        alt=f"Ratio {names} by percentile. {_ends(found)}",
        table=_table(found),
        chart=_chart(found, margin, look),
    )


def _ratios(ours: Sequence[Repeat], theirs: Sequence[Repeat]) -> dict[float, Ratio]:
    fewest = min((len(repeat.response_ms) for repeat in (*ours, *theirs)), default=0)
    qs = [q for q in QS if fewest >= min_count(q)]
    by_block = {
        repeat.repeat: percentiles(repeat.response_ms, qs, repeat.censored) for repeat in theirs
    }
    pairs = [
        (percentiles(repeat.response_ms, qs, repeat.censored), by_block[repeat.repeat])
        for repeat in ours
        if repeat.repeat in by_block
    ]
    found = {}
    for place, q in enumerate(qs):
        values = [(v[place], r[place]) for v, r in pairs]
        between = ratio(
            [
                (Value(v.value_ms, v.at_least), Value(r.value_ms, r.at_least))
                for v, r in values
                if v.value_ms > 0 and r.value_ms > 0
            ]
        )
        if between is not None:
            found[q] = between
    return found


def _chart(found: dict[float, Ratio], margin: float, look: Look) -> alt.LayerChart:
    if not found:
        return nothing("no ratio is known here: too few requests, or they were given up")
    up = ratio_span(found.values(), [margin])
    values = [_mark(place, between, up) for place, between in enumerate(found.values())]
    names = [(float(place), f"P{q:g}") for place, q in enumerate(found)]
    across = alt.Scale(domain=[-0.5, len(found) - 0.5], nice=False, zero=False)
    x = alt.X("x:Q", scale=across, axis=named_axis(names, title="percentile of response time"))
    named = up.axis("ratio: lower is faster")
    y = alt.Y("y:Q", scale=up.scale(), axis=named)
    low = alt.Y("low:Q", scale=up.scale())
    base = chart_of(values).encode(x=x)
    mark: dict[str, Any] = {"color": look.colour, "filled": True, "opacity": 1}
    ends = {"high": "triangle-up", "low": "triangle-down"}
    return layered(
        *_margin(margin, up),
        base.transform_filter("datum.interval")
        .mark_rule(color=look.colour, strokeWidth=2)
        .encode(y=low, y2="high:Q"),
        *(
            base.transform_filter(f"datum.beyond_{end}")
            .mark_point(shape=shape, size=50, **mark)
            .encode(y=alt.Y(f"{end}:Q", scale=up.scale()))
            for end, shape in ends.items()
        ),
        base.mark_point(shape=look.shape, size=75, **mark).encode(y=y),
        height=HEIGHT_PX,
    )


def _mark(place: int, between: Ratio, up: Span) -> dict[str, Any]:
    low = up.low if between.bound is Bound.AT_MOST else between.low
    high = up.high if between.bound is Bound.AT_LEAST else between.high
    known = len(between.blocks) > 1
    return {
        "x": place,
        "y": min(max(between.point, up.low), up.high),
        "low": max(low, up.low),
        "high": min(high, up.high),
        "interval": known,
        "beyond_low": known and low <= up.low,
        "beyond_high": known and high >= up.high,
    }


def _margin(margin: float, up: Span) -> list[alt.Chart]:
    rows = chart_of([{"y": 1 / (1 + margin), "y2": 1 + margin, "one": 1}])
    y, one = (alt.Y(f"{name}:Q", scale=up.scale()) for name in ("y", "one"))
    return [
        rows.mark_rect(style="shade").encode(y=y, y2="y2:Q"),
        rows.mark_rule(style="line").encode(y=one),
    ]


def _ends(found: dict[float, Ratio]) -> str:
    told = [
        f"P{q:g}: {ratio_point(between)} {ratio_interval(between)}"
        for q, between in found.items()
        if q in (50.0, max(found))
    ]
    return f"{', '.join(told) or 'Nothing can be compared'}."


def _table(found: dict[float, Ratio]) -> pa.Table:
    return pa.table(
        {
            "percentile": list(found),
            "ratio": [between.point for between in found.values()],
            "low": [between.low for between in found.values()],
            "high": [between.high for between in found.values()],
            "bound": [str(between.bound) for between in found.values()],
        }
    )
