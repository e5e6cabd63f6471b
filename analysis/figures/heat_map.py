"""
What each cell measured: variant x load, from fast to slow, and where an SLO holds.
"""

from collections.abc import Iterator, Sequence
from math import log, sqrt

import pyarrow as pa

from analysis.cells import THROUGHPUT
from analysis.comparison import Comparison
from analysis.figures import style
from analysis.figures.figure import Figure
from analysis.figures.style import ordered
from analysis.figures.tiles import Tile, doubt_numbers, tile_chart
from analysis.kept import Kept, kept
from analysis.objective import Objective, text
from analysis.words import levels_phrase, measure_header, measure_name, measured, plain
from benchmarks.record import level_title

LEAST_SPREAD = 2.0  # the colours span at least this ratio: noise must not look like a difference
WORDS = {Kept.HOLDS: "holds", Kept.BROKEN: "broken", Kept.CANNOT_TELL: "unclear"}


def heat_map(comparison: Comparison, measure: str, slo: Objective | None = None) -> Figure:
    """
    The median over repeats in every cell, dark blue where it is fast.

    With an SLO: which cells hold it, outlined. Doubts that do not concern every cell are numbered
    as in the report.
    """
    values = {
        (variant, level): cell.value(measure)
        for (variant, level), cell in comparison.matrix.cells.items()
    }
    numbers = {place: found.value for place, found in values.items() if found is not None}
    tiles = list(_tiles(comparison, measure, slo, numbers))
    return Figure(
        name=f"cells-{measure}",
        title=f"{measure_name(measure)} of every variant at every load",
        explained=" ".join(_explained(measure, slo, tiles)),
        alt=_alt(measure, numbers, comparison),
        table=_table(tiles, measure, slo, numbers),
        chart=tile_chart(tiles, comparison.plan.levels),
    )


def _tiles(
    comparison: Comparison,
    measure: str,
    slo: Objective | None,
    numbers: dict[tuple[str, str], float],
) -> Iterator[Tile]:
    shades = _shades(numbers, reverse=measure == THROUGHPUT)
    for variant in ordered(comparison.plan):
        for level in comparison.plan.levels:
            place = variant, level
            cell = comparison.matrix.cells.get(place)
            outcome = kept(cell, slo).outcome if cell and slo else None
            yield Tile(
                variant=plain(variant),
                level=level,
                visited=cell is not None,
                label=measured(cell.value(measure), measure) if cell else "",
                colour=shades.get(place),
                note=WORDS[outcome] if outcome else "",
                doubts=doubt_numbers(comparison, {place}),
                inside=outcome is Kept.HOLDS,
            )


def _shades(numbers: dict[tuple[str, str], float], *, reverse: bool) -> dict[tuple[str, str], str]:
    """By the logarithm, from the smallest value to the largest."""
    known = {place: value for place, value in numbers.items() if value > 0}
    if not known:
        return {}
    low, high = min(known.values()), max(known.values())
    middle, spread = sqrt(low) * sqrt(high), log(max(high / low, LEAST_SPREAD))
    shares = {place: 0.5 + log(value / middle) / spread for place, value in known.items()}
    return {p: style.ramp(1 - share if reverse else share) for p, share in shares.items()}


def _explained(measure: str, slo: Objective | None, tiles: Sequence[Tile]) -> Iterator[str]:
    better = "higher" if measure == THROUGHPUT else "lower"
    unit = "answers a second" if measure == THROUGHPUT else "milliseconds"
    yield f"Median over repeats, {unit}: {better} is faster, and dark blue is fastest."
    if slo:
        yield f"Outlined: the SLO holds ({text(slo)}). Unclear: its interval includes the limit."
    if any(tile.colour is None and tile.visited for tile in tiles):
        yield "- is a cell with too few requests to say."
    if not all(tile.visited for tile in tiles):
        yield "A crossed cell was not measured."
    if any(tile.doubts for tile in tiles):
        yield "d and numbers in a corner are the doubts that concern this cell."


def _alt(measure: str, numbers: dict[tuple[str, str], float], comparison: Comparison) -> str:
    head = f"Heat map of {measure_header(measure)} by variant and load."
    if not numbers:
        return f"{head} No cell has a value."
    fast, slow = (
        f"{plain(variant)} {levels_phrase([level])},"
        f" {measured(comparison.matrix.cells[variant, level].value(measure), measure)}"
        for variant, level in (
            min(numbers, key=numbers.__getitem__),
            max(numbers, key=numbers.__getitem__),
        )
    )
    return f"{head} Lowest: {fast}. Highest: {slow}."


def _table(
    tiles: Sequence[Tile],
    measure: str,
    slo: Objective | None,
    numbers: dict[tuple[str, str], float],
) -> pa.Table:
    column = "throughput_rps" if measure == THROUGHPUT else f"{measure}_ms"
    shown = {(plain(variant), level): value for (variant, level), value in numbers.items()}
    columns = {
        "variant": [tile.variant for tile in tiles],
        "load": [level_title(tile.level) for tile in tiles],
        column: pa.array([shown.get((t.variant, t.level)) for t in tiles], pa.float64()),
        "shown": [tile.label for tile in tiles],
        "doubts": [tile.doubts for tile in tiles],
    }
    return pa.table(columns | ({"slo": [tile.note for tile in tiles]} if slo else {}))
