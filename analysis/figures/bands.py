"""
Lines of variants with bands: the median over repeats, the lowest repeat and the highest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pyarrow as pa

from analysis.figures import lines
from analysis.figures.axes import Span
from analysis.figures.figure import chart_of, layered
from analysis.figures.lines import HEIGHT_PX, Looks
from analysis.words import plain

DIGITS = 9  # to which places on an axis are alike


@dataclass(frozen=True, slots=True)
class Point:
    """A place on a variant's line."""

    variant: str
    x: float
    middle: float
    low: float
    high: float
    at_least: bool = False


def banded(
    points: Sequence[Point],
    looks: Looks,
    x: alt.X,
    up: Span,
    axis: alt.Axis,
    marked: set[float],
    above: Sequence[alt.Chart] = (),
) -> alt.LayerChart:
    """
    Bands below, lines above, and each variant's name at the right.

    A variant's shape stands at the *marked* places and at its line's end; *above* is drawn over it.
    """
    last = {point.variant: point for point in points}
    places = {round(place, DIGITS) for place in marked}
    numbers = lines.number_of(looks)
    values = [
        _mark(point, numbers[point.variant], up)
        | {"marked": round(point.x, DIGITS) in places or point is last[point.variant]}
        for point in points
    ]
    ends = {name: point.middle for name, point in last.items()}
    return layered(
        *_layers(values, looks, x, up, axis),
        *above,
        *lines.names_beside(looks, ends, up),
        height=HEIGHT_PX,
        y_axes=True,
    )


def _mark(point: Point, number: int, up: Span) -> dict[str, Any]:
    return {
        "variant": number,
        "x": point.x,
        "y": point.middle,
        "low": max(point.low, up.low),
        "high": min(point.high, up.high),
        "cut": point.at_least,
    }


def _layers(
    values: list[dict[str, Any]], looks: Looks, x: alt.X, up: Span, axis: alt.Axis
) -> Iterator[alt.Chart]:
    grey = chart_of(values).encode(x=x)
    base = grey.encode(color=lines.colour(looks))
    y, named = (alt.Y("y:Q", scale=up.scale(), axis=each) for each in (None, axis))
    low = alt.Y("low:Q", scale=up.scale(), axis=None)
    yield base.mark_area(opacity=0.16).encode(y=low, y2="high:Q", detail="variant:N")
    yield base.mark_line(strokeWidth=2).encode(y=named, strokeDash=lines.dash(looks))
    shapes = base.transform_filter("datum.marked").mark_point(filled=True, size=45, opacity=1)
    yield shapes.encode(y=y, shape=lines.shape(looks))
    cut = grey.transform_filter("datum.cut")
    yield cut.mark_text(style="label", text="↑", dy=-10).encode(y=y)


def band_table(
    points: Sequence[Point], x_name: str, unit: str, x_of: Callable[[float], float]
) -> pa.Table:
    """What is drawn; *x_of* makes a number that people know of a place on the axis."""
    return pa.table(
        {
            "variant": [plain(point.variant) for point in points],
            x_name: [x_of(point.x) for point in points],
            f"median_{unit}": [point.middle for point in points],
            f"lowest_{unit}": [point.low for point in points],
            f"highest_{unit}": [point.high for point in points],
            "at_least": [point.at_least for point in points],
        }
    )
