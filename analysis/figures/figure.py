"""
A figure: a chart with what belongs to it, and the files that can be made of it.

A chart is built without the colours of a theme and without a width, so that the app, a report in
light and dark and a file of its own all draw the same one. Nothing here reaches for the network.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from xml.sax.saxutils import quoteattr

import altair
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import vl_convert

from analysis.figures import style

WIDTH_PX = 760
SCALE = 2.0  # of a PNG: pixels of the image for each pixel of the figure
VL_VERSION = "6.4"
SUBTITLE_CHARACTER_PX = 6.2
ROOM_PX = 8
VIEW = re.compile(r'width="[^"]*" height="[^"]*" viewBox="0 0 ([^ ]*) ([^"]*)"')
# What a page says once for all its figures, or not at all: a quarter of their size.
SUPERFLUOUS = re.compile(r' (?:class|role|aria-[a-z]+|pointer-events|font-family)="[^"]*"')


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One picture: its sentence, its text alternative and the numbers that are drawn.

    `name` is fit for a file's name; `chart` fills the width it is given and has a height of its
    own; the columns of `table` have their units last in their names.
    """

    name: str
    title: str
    explained: str  # what is drawn, how to read it, which way is faster: text under the picture
    alt: str  # what the picture shows, for those who do not see it
    table: pa.Table
    chart: altair.LayerChart


def chart_of(rows: Sequence[Mapping[str, Any]]) -> altair.Chart:
    """What a layer draws: one mark a row."""
    return altair.Chart({"values": list(rows)})


def layered(*layers: altair.Chart, height: float, y_axes: bool = False) -> altair.LayerChart:
    """
    One chart of several layers, as wide as the place it is put in.

    With *y_axes* each layer has the y axis that it names (names of lines at the right), on the one
    scale that all of them share.
    """
    chart = altair.LayerChart(
        layer=list(layers),
        width="container",
        height=round(height),
        # The height is of the plot, as labels are placed in its pixels.
        autosize=altair.AutoSizeParams(type="fit-x", contains="padding"),
    )
    return chart.resolve_axis(y="independent") if y_axes else chart


def nothing(reason: str) -> altair.LayerChart:
    """In place of a chart: why there is none."""
    told = chart_of([{"text": reason}]).mark_text(style="note")
    return layered(told.encode(text="text:N"), height=60)


def themed(figure: Figure, *, dark: bool = False) -> altair.LayerChart:
    """The chart in the colours of a theme, for `st.altair_chart(..., theme=None)`."""
    chart: altair.LayerChart = figure.chart.configure(**style.config(dark=dark))
    return chart


def svg(figure: Figure, *, dark: bool = False, width_px: int = WIDTH_PX) -> str:
    """A file of its own, with title, sentence and background."""
    text: str = vl_convert.vegalite_to_svg(_alone(figure, dark, width_px), VL_VERSION)
    return text


def png(figure: Figure, *, dark: bool = False, width_px: int = WIDTH_PX) -> bytes:
    """An image for slides and chats, likewise."""
    spec = _alone(figure, dark, width_px)
    image: bytes = vl_convert.vegalite_to_png(spec, VL_VERSION, scale=SCALE)
    return image


def inline_svg(figure: Figure, *, width_px: int = WIDTH_PX, prefix: str = "") -> str:
    """
    An <svg> for a page that defines the variables of `style.css`: one for light and for dark.

    Its ids begin with *prefix*, as those of all figures of a page share one space.
    """
    text = vl_convert.vegalite_to_svg(_spec(figure, dark=False, width_px=width_px), VL_VERSION)
    text = re.sub(r"<[a-zA-Z][^>]*>", lambda tag: _of_page(tag[0], prefix), text)
    text = VIEW.sub(lambda view: _with_room(view[1], view[2]), text, count=1)
    return text.replace("<svg ", f'<svg role="img" aria-label={quoteattr(figure.alt)} ', 1)


def _of_page(tag: str, prefix: str) -> str:
    """A tag with the page's colours and font, and ids of its own; texts between are left alone."""
    tag = SUPERFLUOUS.sub("", tag)
    for role, colour in style.LIGHT.items():
        tag = tag.replace(f'"{colour}"', f'"var(--{role})"')
    return tag.replace(' id="', f' id="{prefix}').replace("url(#", f"url(#{prefix}")


def _with_room(width: str, height: str) -> str:
    """Room at both sides, should the reader's font be wider than the one that was measured."""
    whole = float(width) + 2 * ROOM_PX
    return f'width="{whole:g}" height="{height}" viewBox="-{ROOM_PX} 0 {whole:g} {height}"'


def csv(figure: Figure) -> bytes:
    """The numbers that are drawn, with a header."""
    out = BytesIO()
    pyarrow.csv.write_csv(figure.table, out)
    return out.getvalue()


def parquet(figure: Figure) -> bytes:
    """The numbers that are drawn."""
    out = BytesIO()
    pyarrow.parquet.write_table(figure.table, out, compression="zstd")
    return out.getvalue()


def _spec(figure: Figure, *, dark: bool, width_px: int) -> dict[str, Any]:
    spec: dict[str, Any] = themed(figure, dark=dark).to_dict(validate=False)
    spec["width"] = width_px
    # Each mark would describe itself; the figure's own text does that once.
    spec["config"]["aria"] = False
    return spec


def _alone(figure: Figure, dark: bool, width_px: int) -> dict[str, Any]:
    spec = _spec(figure, dark=dark, width_px=width_px)
    spec["config"]["background"] = style.colours(dark=dark)["surface"]
    spec["config"]["padding"] = 16
    lines = textwrap.wrap(figure.explained, round(width_px / SUBTITLE_CHARACTER_PX))
    spec["title"] = {"text": figure.title, "subtitle": lines}
    return spec
