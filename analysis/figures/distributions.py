"""
All latencies of one level: by percentile, and as shares of requests answered within a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import inf, log10
from statistics import median, median_high

import altair as alt
import numpy as np

from analysis.figures.axes import Span, named_axis, span
from analysis.figures.bands import Point, band_table, banded
from analysis.figures.figure import Figure, chart_of, nothing
from analysis.figures.lines import Looks
from analysis.figures.style import COPY, first
from analysis.frames import Repeat
from analysis.latency import min_count, percentiles
from analysis.words import duration, levels_phrase, number, percent, plain

# By variant; all repeats of one level.
Repeats = Mapping[str, Sequence[Repeat]]

NAMED = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999)
# Evenly on the axis, which is the logarithm of 1 / (1 - q), and the named ones exactly.
GRID = sorted({*NAMED, *(100 * (1 - 10 ** (-step / 12)) for step in range(1, 61))})
STEPS = 120  # of the axis of times
ALONE = 0.01  # of an axis of percentiles that has a single one
FEWEST_SHOWN = 0.001  # of all requests: what lies beyond ends the axis of times


def by_percentile(repeats: Repeats, looks: Looks) -> Figure:
    """
    Latency by percentile, out to the last percentile that every repeat of a variant can tell.

    *looks* are those of the record's variants (`style.looks`); at most eight and a copy are drawn.
    """
    kept = _kept(repeats, looks)
    points = [point for name in kept for point in _percentiles(name, repeats[name])]
    cut = any(point.at_least for point in points)
    return Figure(
        name="by-percentile",
        title=f"Latency by percentile, {_where(repeats)}",
        explained="Each line is the median over repeats, its band goes from the lowest repeat to"
        " the highest; lower is faster. One request in 10 is slower than P90, one in 100 than P99."
        " A line ends where a repeat has too few requests to say"
        + (", and with ↑ where requests were given up." if cut else "."),
        alt="Latency by percentile, one line a variant." + _ends(points),
        table=band_table(points, "percentile", "ms", _percentile_of),
        chart=_percentile_chart(points, kept),
    )


def ecdf(repeats: Repeats, looks: Looks, limit_ms: float | None = None) -> Figure:
    """
    The share of all requests that were answered well within a time, failed ones never.

    With a limit (the SLO's) the time is marked.
    """
    kept = _kept(repeats, looks)
    across = _times(repeats, limit_ms)
    points = [point for name in kept for point in _shares(name, repeats[name], across)]
    marked = f" The SLO's limit is {duration(limit_ms)}." if limit_ms else ""
    return Figure(
        name="answered-within",
        title=f"Share of requests answered within a time, {_where(repeats)}",
        explained="Each line is the median over repeats, its band goes from the lowest repeat to"
        " the highest; further left is faster. Requests that failed or were given up count as"
        f" never answered, so that a line may end below 100 %.{marked}",
        alt="Share of requests answered within a time, one line a variant." + _ends(points, 1.0),
        table=band_table(points, "within_ms", "share", lambda x: x),
        chart=_share_chart(points, kept, across, limit_ms),
    )


def _kept(repeats: Repeats, looks: Looks) -> Looks:
    """The variants that are there and fit in, copies (which have a grey of their own) last."""
    found = [name for name in looks if repeats.get(name)]
    drawn = first([name for name in found if looks[name].colour != COPY])
    return {name: looks[name] for name in found if looks[name].colour == COPY or name in drawn}


def _where(repeats: Repeats) -> str:
    levels = dict.fromkeys(repeat.level for found in repeats.values() for repeat in found)
    return levels_phrase([next(iter(levels))]) if levels else "no requests"


def _percentiles(variant: str, repeats: Sequence[Repeat]) -> Iterator[Point]:
    fewest = min(len(repeat.response_ms) for repeat in repeats)
    qs = [q for q in GRID if fewest >= min_count(q)]
    found = [percentiles(repeat.response_ms, qs, repeat.censored) for repeat in repeats]
    for q, alike in zip(qs, zip(*found, strict=True), strict=True):
        values = [each.value_ms for each in alike]
        upper = median_high(values)
        at_least = any(each.at_least and each.value_ms <= upper for each in alike)
        x = -log10(1 - q / 100)
        yield Point(variant, x, median(values), min(values), max(values), at_least)
        if at_least:
            return


def _percentile_of(x: float) -> float:
    return round(100 * (1 - 10**-x), 6)


def _percentile_chart(points: Sequence[Point], looks: Looks) -> alt.LayerChart:
    known = [point for point in points if point.low > 0]
    if not known:
        return nothing("no variant has enough requests for a percentile here")
    furthest = max(point.x for point in known)
    up = span([value for point in known for value in (point.low, point.high)])
    marks = [(-log10(1 - q / 100), f"P{q:g}") for q in NAMED]
    axis = named_axis(
        [mark for mark in marks if mark[0] <= furthest + 1e-9],
        title="percentile (log scale of the requests that are slower)",
        grid=True,
    )
    first = min(point.x for point in known)
    x = alt.X(
        "x:Q", scale=alt.Scale(domain=[first, furthest * 1.02 + ALONE], nice=False), axis=axis
    )
    title = "response time, ms: lower is faster"
    return banded(known, looks, x, up, up.axis(title), {place for place, _ in marks})


def _times(repeats: Repeats, limit_ms: float | None) -> Span:
    """From the fastest request to all but the slowest thousandth of each variant."""
    ends = [limit_ms] if limit_ms else []
    for repeat in (repeat for found in repeats.values() for repeat in found):
        answered = repeat.response_ms[~repeat.censored]
        if len(answered):
            rank = min(len(answered) - 1, int(len(answered) * (1 - FEWEST_SHOWN)))
            ends += [float(answered.min()), float(np.partition(answered, rank)[rank])]
    return span(ends)


def _shares(variant: str, repeats: Sequence[Repeat], across: Span) -> Iterator[Point]:
    times = [across.at(step / STEPS) for step in range(STEPS + 1)]
    shares = []
    for repeat in repeats:
        answered = np.sort(repeat.response_ms[~repeat.censored])
        counts = np.searchsorted(answered, times, side="right")
        shares.append(counts / max(1, repeat.issued))
    for place, alike in zip(times, zip(*shares, strict=True), strict=True):
        values = [float(value) for value in alike]
        yield Point(variant, place, median(values), min(values), max(values))


def _share_chart(
    points: Sequence[Point], looks: Looks, across: Span, limit_ms: float | None
) -> alt.LayerChart:
    if not points:
        return nothing("no requests")
    up = Span(0.0, 1.0, log=False)
    x = alt.X("x:Q", scale=across.scale(), axis=across.axis("response time, ms"))
    axis = alt.Axis(title="requests answered within", format=".0%", grid=True, tickCount=5)
    marked = {points[step].x for step in range(STEPS // 8, STEPS, STEPS // 8)}
    limit = _limit(limit_ms, across) if limit_ms else []
    return banded(points, looks, x, up, axis, marked, limit)


def _limit(limit_ms: float, across: Span) -> list[alt.Chart]:
    rows = chart_of([{"x": limit_ms, "text": f"SLO: {duration(limit_ms)}"}])
    at = alt.X("x:Q", scale=across.scale())
    return [
        rows.mark_rule(style="line", strokeDash=[4, 3]).encode(x=at),
        rows.mark_text(style="note", baseline="bottom").encode(
            x=at, y=alt.value(-3), text="text:N"
        ),
    ]


def _ends(points: Sequence[Point], most: float = inf) -> str:
    """Where each line ends, in words."""
    last = {point.variant: point for point in points}
    said = []
    for name, point in last.items():
        value = percent(point.middle) if most == 1 else duration(point.middle)
        place = duration(point.x) if most == 1 else f"P{number(_percentile_of(point.x))}"
        said.append(f"{plain(name)}: {value} at {place}")
    return f" At their ends, {'; '.join(said)}." if said else ""
