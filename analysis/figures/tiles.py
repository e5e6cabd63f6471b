"""
Variant x load as tiles, each with its value written in it, so that the colour only repeats it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from analysis.comparison import Comparison
from analysis.figures import style
from analysis.figures.axes import Row, Rows, load_labels, load_title, named_axis
from analysis.figures.figure import chart_of, layered

ROW_PX, NOTE_PX = 42, 8  # a row, and what a second line adds to it
ROOMY = 7  # columns, up to which a word has room in the larger type


@dataclass(frozen=True, slots=True)
class Tile:
    """One cell as it is drawn; without a colour nothing is known of it."""

    variant: str
    level: str
    visited: bool
    label: str
    colour: str | None
    note: str = ""  # the second line
    doubts: str = ""
    inside: bool = False  # of the region that is outlined


def doubt_numbers(comparison: Comparison, cells: set[tuple[str, str]]) -> str:
    """The numbers of the doubts that name one of these cells, unless they name every cell."""
    everywhere = len(comparison.plan.variants) * len(comparison.plan.levels)
    return ",".join(
        str(number)
        for number, doubt in enumerate(comparison.doubts, 1)
        if cells & set(doubt.cells) and len(doubt.cells) < everywhere
    )


def tile_chart(tiles: Sequence[Tile], levels: Sequence[str]) -> alt.LayerChart:
    """A row a variant, a column a load; what was never measured is crossed out."""
    rows, places = Rows(), {}
    height = ROW_PX + (NOTE_PX if any(tile.note for tile in tiles) else 0)
    for tile in tiles:
        if tile.variant not in places:
            places[tile.variant] = rows.row(tile.variant, height)
    marks = [_mark(tile, places[tile.variant], levels.index(tile.level)) for tile in tiles]
    edges = list(_outline(tiles, places, levels))
    return layered(*_layers(marks, rows, levels), *_edges(edges, rows), height=rows.height)


def _mark(tile: Tile, row: Row, column: int) -> dict[str, Any]:
    return {
        "x": column,
        "x2": column + 1,
        "middle": column + 0.5,
        "y": row.top,
        "y2": row.bottom,
        "centre": row.middle + (0 if tile.note else 3),
        "below": row.middle + 15,
        "colour": tile.colour,
        "ink": style.label_on(tile.colour) if tile.colour else None,
        "label": tile.label,
        "note": tile.note,
        "doubts": f"d{tile.doubts}" if tile.doubts else "",
        "visited": tile.visited,
    }


def _layers(marks: list[dict[str, Any]], rows: Rows, levels: Sequence[str]) -> Iterator[alt.Chart]:
    x = alt.X(
        "x:Q",
        scale=alt.Scale(domain=[0, len(levels)], nice=False),
        axis=named_axis(
            [(n + 0.5, text) for n, text in enumerate(load_labels(levels))],
            title=load_title(levels),
        ),
    )
    base = chart_of(marks)
    area = base.encode(x=x, x2="x2:Q", y=rows.y("y"), y2="y2:Q")
    yield area.transform_filter("!datum.colour").mark_rect(style="shade")
    yield (
        area.transform_filter("datum.colour")
        .mark_rect()
        .encode(color=alt.Color("colour:N", scale=None))
    )
    yield area.mark_rect(style="gap", filled=False)
    yield area.transform_filter("!datum.visited").mark_rule(style="faint")
    corner: dict[str, Any] = {"align": "right", "baseline": "top", "dx": -4, "dy": 4}
    second = "small" if len(levels) > ROOMY else "note"
    for field, x_field, y_field, look, more in (
        ("label", "middle", "centre", "value", {}),
        ("note", "middle", "below", second, {}),
        ("doubts", "x2", "y", "small", corner),
    ):
        text = base.encode(x=f"{x_field}:Q", y=rows.y(y_field), text=f"{field}:N")
        yield text.transform_filter("!datum.colour").mark_text(style=look, **more)
        yield (
            text.transform_filter("datum.colour")
            .mark_text(style=look, **more)
            .encode(color=alt.Color("ink:N", scale=None))
        )


def _outline(
    tiles: Sequence[Tile], places: dict[str, Row], levels: Sequence[str]
) -> Iterator[dict[str, float]]:
    """Pieces of line between tiles of which one is inside the region and the other is not."""
    inside = {(tile.variant, tile.level) for tile in tiles if tile.inside}
    if not inside:
        return
    names = list(places)
    for column, level in enumerate(levels):
        for above, below in zip([None, *names], [*names, None], strict=True):
            if ((above, level) in inside) != ((below, level) in inside):
                y = places[below].top if below is not None else places[names[-1]].bottom
                yield {"x": column, "x2": column + 1, "y": y, "y2": y}
    for name in names:
        for column, (left, right) in enumerate(zip([None, *levels], [*levels, None], strict=True)):
            if ((name, left) in inside) != ((name, right) in inside):
                row = places[name]
                yield {"x": column, "x2": column, "y": row.top, "y2": row.bottom}


def _edges(edges: list[dict[str, float]], rows: Rows) -> Iterator[alt.Chart]:
    """Ink between two pale lines, so that it is seen on every colour."""
    if edges:
        base = chart_of(edges).encode(x="x:Q", x2="x2:Q", y=rows.y("y"), y2="y2:Q")
        yield base.mark_rule(style="edge-halo", strokeCap="square")
        yield base.mark_rule(style="edge", strokeCap="square")
