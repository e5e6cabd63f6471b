"""
Lines of variants: their colours, dashes and shapes, and their names beside them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from analysis.figures.axes import Span, named_axis
from analysis.figures.figure import chart_of
from analysis.figures.labels import spread
from analysis.figures.style import LINE_PX, Look, wrapped

HEIGHT_PX = 340
SWATCH_PX = (8, 34)  # from the edge of the plot
NAME_CHARACTERS = 18

Looks = Mapping[str, Look]  # of the variants that are drawn; in the data they are numbers


def number_of(looks: Looks) -> dict[str, int]:
    """What stands for a variant in a chart's data: names may be anything, and alike when shown."""
    return {name: number for number, name in enumerate(looks)}


def colour(looks: Looks) -> alt.Color:
    return alt.Color(
        "variant:N", scale=_scale(looks, [look.colour for look in looks.values()]), legend=None
    )


def dash(looks: Looks) -> alt.StrokeDash:
    dashes = [list(look.dash) for look in looks.values()]
    return alt.StrokeDash("variant:N", scale=_scale(looks, dashes), legend=None)


def shape(looks: Looks) -> alt.Shape:
    shapes = [look.shape for look in looks.values()]
    return alt.Shape("variant:N", scale=_scale(looks, shapes), legend=None)


def _scale(looks: Looks, found: Sequence[Any]) -> alt.Scale:
    return alt.Scale(domain=list(range(len(looks))), range=list(found))


def names_beside(
    looks: Looks, ends: Mapping[str, float], span: Span, height_px: float = HEIGHT_PX
) -> list[alt.Chart]:
    """
    At the right edge, each name with a piece of its line, as near to the line's end as can be.

    The chart must resolve its y axes independently, and only one other layer may have one.
    """
    names = [name for name in looks if name in ends]
    lines = {name: wrapped(name, NAME_CHARACTERS) for name in names}
    sizes = [LINE_PX * len(lines[name]) + 3 for name in names]
    wanted = [height_px * (1 - span.share(ends[name])) for name in names]
    middles = spread(wanted, sizes, 0, height_px)
    numbers = number_of(looks)
    texts: list[tuple[float, str | list[str]]] = []
    swatches = []
    for name, middle in zip(names, middles, strict=True):
        first = middle - LINE_PX * (len(lines[name]) - 1) / 2
        for line, text in enumerate(lines[name]):
            texts.append((span.at(1 - (first + LINE_PX * line) / height_px), text))
        swatches.append({"variant": numbers[name], "y": span.at(1 - middle / height_px)})
    axis = named_axis(texts, orient="right", labelPadding=SWATCH_PX[1] + 6)
    return _swatches(looks, swatches, span, axis)


def _swatches(
    looks: Looks, found: list[dict[str, float]], span: Span, axis: alt.Axis
) -> list[alt.Chart]:
    left, right = SWATCH_PX
    base = chart_of(found).encode(color=colour(looks))
    edge = alt.value(alt.expr("width"))
    named, unnamed = (alt.Y("y:Q", scale=span.scale(), axis=each) for each in (axis, None))
    return [
        base.mark_rule(strokeWidth=2, xOffset=left, x2Offset=right).encode(
            x=edge, x2=edge, y=named, strokeDash=dash(looks)
        ),
        base.mark_point(filled=True, size=55, xOffset=(left + right) / 2, opacity=1).encode(
            x=edge, y=unnamed, shape=shape(looks)
        ),
    ]
