"""
How throughput grows with clients: what was measured, the law that it follows, the knee.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import altair as alt
import pyarrow as pa

from analysis.cells import THROUGHPUT
from analysis.comparison import Comparison
from analysis.curve import closed
from analysis.figures import lines
from analysis.figures.axes import Span, span
from analysis.figures.figure import Figure, chart_of, layered, nothing
from analysis.figures.lines import HEIGHT_PX, Looks
from analysis.figures.style import drawn_looks
from analysis.interval import over_repeats
from analysis.knee import knee
from analysis.usl import Scaling, scaling
from analysis.words import enumeration, load_of, number, plain

STEPS = 60  # of a law's curve


@dataclass(frozen=True, slots=True)
class _Point:
    """Throughput of a variant with so many clients, measured or by the law."""

    variant: str
    clients: float
    rps: float
    low: float
    high: float
    by_law: bool


def usl(comparison: Comparison) -> Figure:
    """
    Measured throughput by clients with intervals over repeats, the fitted law with its band.

    A variant without a law, or that does not follow the one fitted, gets plain lines between its
    points. Knees are ringed.
    """
    found = drawn_looks(comparison.plan)
    points = list(_measured(comparison, list(found)))
    laws = [scaling(comparison.matrix, name) for name in found]
    fitted = [law for law in laws if isinstance(law, Scaling)]
    points += [point for law in fitted if law.misfit is None for point in _by_law(law)]
    bends = [knee(comparison.matrix, name) for name in found]
    at_knee = {bend.variant: bend.clients for bend in bends if bend.clients is not None}
    return Figure(
        name="scaling",
        title="How throughput grows with clients",
        explained=" ".join(_explained(fitted, at_knee, found)),
        alt=_alt(points),
        table=_table(points),
        chart=_chart(points, found, at_knee),
    )


def _measured(comparison: Comparison, variants: Sequence[str]) -> Iterator[_Point]:
    for variant in variants:
        for level in sorted(closed(comparison.plan.levels), key=load_of):
            cell = comparison.matrix.cells.get((variant, level))
            values = [visit.value(THROUGHPUT) for visit in cell.visits] if cell else []
            known = [value for value in values if value is not None]
            middle = over_repeats(known) if len(known) == len(values) else None
            if middle is not None:
                low, high = (middle.low, middle.high) if middle.high < inf else (middle.point,) * 2
                yield _Point(variant, load_of(level)[1], middle.point, low, high, by_law=False)


def _by_law(law: Scaling) -> Iterator[_Point]:
    """From the first level to the last: beyond them nothing was measured."""
    first, last = law.clients[0], law.clients[-1]
    clients = [first * (last / first) ** (step / STEPS) for step in range(STEPS + 1)]
    for place, rps, low, high in zip(clients, *law.curve(clients), strict=True):
        yield _Point(law.variant, place, float(rps), float(low), float(high), by_law=True)


def _chart(points: Sequence[_Point], found: Looks, knees: dict[str, float]) -> alt.LayerChart:
    measured = [point for point in points if not point.by_law]
    if not measured:
        return nothing("no level of clients was measured")
    across = span([point.clients for point in measured])
    up = span([end for point in measured for end in (point.rps, point.high)])
    numbers, lawful = lines.number_of(found), {point.variant for point in points if point.by_law}
    values = [
        {
            "variant": numbers[point.variant],
            "x": point.clients,
            "y": point.rps,
            "low": max(point.low, up.low),
            "high": min(point.high, up.high),
            "law": point.by_law,
            "line": point.by_law or point.variant not in lawful,
            "knee": not point.by_law and knees.get(point.variant) == point.clients,
        }
        for point in points
    ]
    ends = {point.variant: point.rps for point in measured}
    return layered(
        *_marks(values, found, across, up),
        *lines.names_beside(found, ends, up),
        height=HEIGHT_PX,
        y_axes=True,
    )


def _marks(
    values: list[dict[str, Any]], found: Looks, across: Span, up: Span
) -> Iterator[alt.Chart]:
    x = alt.X("x:Q", scale=across.scale(), axis=_clients_axis(values, across))
    title = "throughput, requests/s: higher is faster"
    named = alt.Y("y:Q", scale=up.scale(), axis=up.axis(title))
    y, low = (alt.Y(f"{end}:Q", scale=up.scale(), axis=None) for end in ("y", "low"))
    plain_base = chart_of(values).encode(x=x)
    base = plain_base.encode(color=lines.colour(found))
    law, seen = base.transform_filter("datum.law"), base.transform_filter("!datum.law")
    yield law.mark_area(opacity=0.16).encode(y=low, y2="high:Q", detail="variant:N")
    yield (
        base.transform_filter("datum.line")
        .mark_line(strokeWidth=2)
        .encode(y=named, strokeDash=lines.dash(found))
    )
    yield seen.mark_rule(strokeWidth=1.5).encode(y=low, y2="high:Q")
    yield seen.mark_point(filled=True, size=60, opacity=1).encode(y=y, shape=lines.shape(found))
    knees = plain_base.transform_filter("datum.knee")
    yield knees.mark_point(style="ring", shape="circle", filled=False, size=260).encode(y=y)


def _clients_axis(values: Sequence[dict[str, Any]], across: Span) -> alt.Axis:
    """Marked where it was measured."""
    places = sorted({float(str(value["x"])) for value in values if not value["law"]})
    title = "clients (log scale)" if across.log else "clients"
    return alt.Axis(title=title, values=places, format="~r", grid=True)


def _explained(
    fitted: Sequence[Scaling], knees: dict[str, float], variants: Looks
) -> Iterator[str]:
    yield "Points are geometric means over repeats with their 95 % intervals."
    told = [law for law in fitted if law.misfit is None]
    if told:
        yield (
            "Curves are the fitted laws ("
            + "; ".join(f"{plain(law.variant)}: {law.law}" for law in told)
            + "), with their 95 % bands."
        )
    if len(told) < len(variants):
        yield "Straight lines only join what was measured."
    astray = [plain(law.variant) for law in fitted if law.misfit is not None]
    if astray:
        yield f"{enumeration(astray)}: no law is drawn, as throughput does not follow it."
    if knees:
        yield "A ring is the knee, from where more clients add wait rather than answers."


def _alt(points: Sequence[_Point]) -> str:
    measured = [point for point in points if not point.by_law]
    told = []
    for variant in dict.fromkeys(point.variant for point in measured):
        best = max((p for p in measured if p.variant == variant), key=lambda point: point.rps)
        told.append(f"{plain(variant)} most with {best.clients:g}: {number(best.rps)} requests/s")
    return f"Throughput by clients, one line a variant. {'; '.join(told)}."


def _table(points: Sequence[_Point]) -> pa.Table:
    return pa.table(
        {
            "variant": [plain(point.variant) for point in points],
            "clients": [point.clients for point in points],
            "throughput_rps": [point.rps for point in points],
            "low_rps": [point.low for point in points],
            "high_rps": [point.high for point in points],
            "from": ["law" if point.by_law else "measured" for point in points],
        }
    )
