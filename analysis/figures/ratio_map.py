"""
Each variant against the reference at every load, where a forest of ratios would be too long.
"""

from collections.abc import Iterator, Sequence
from math import log

import pyarrow as pa

from analysis.cells import THROUGHPUT
from analysis.compare import Bound, Verdict
from analysis.comparison import Comparison
from analysis.differences import Difference
from analysis.figures import style
from analysis.figures.figure import Figure, nothing
from analysis.figures.tiles import Tile, doubt_numbers, tile_chart
from analysis.words import measure_name, plain, ratio_interval, ratio_point
from benchmarks.record import level_title

STRONGEST = 2.0  # the ratio from which the colour grows no stronger
WORDS = {
    Verdict.FASTER: "▲ faster",
    Verdict.SLOWER: "▼ slower",
    Verdict.SAME: "same",
    Verdict.UNRESOLVED: "unresolved",
}


def ratio_map(comparison: Comparison, measure: str) -> Figure:
    """
    The ratio to the reference and the verdict in every cell; coloured where it is decided.

    Without a variant that is judged, the reference's copy takes its place.
    """
    plan, matrix = comparison.plan, comparison.matrix
    differences = [d for d in matrix.differences or matrix.aa if d.measure == measure]
    tiles = [_tile(comparison, d) for d in differences]
    reference, name = plain(plan.reference), measure_name(measure)
    return Figure(
        name=f"ratios-map-{measure}",
        title=f"{name} of each variant against {reference}, at every load",
        explained=" ".join(_explained(reference, measure, tiles)),
        alt=f"Ratios of {name} to {reference} by variant and load: {_counts(differences)}.",
        table=_table(differences),
        chart=tile_chart(tiles, plan.levels) if tiles else nothing("there is nothing to compare"),
    )


def _tile(comparison: Comparison, d: Difference) -> Tile:
    sides = {(d.variant, d.level), (comparison.plan.reference, d.level)}
    return Tile(
        variant=plain(d.variant),
        level=d.level,
        visited=(d.variant, d.level) in comparison.matrix.cells,
        label=ratio_point(d.ratio) if d.ratio else "-",
        colour=_colour(d),
        note=WORDS[d.verdict] if d.ratio else "",
        doubts=doubt_numbers(comparison, sides),
    )


def _colour(d: Difference) -> str | None:
    """Purple is faster, orange is slower, the same is pale, and what is open has none."""
    if d.ratio is None or d.verdict is Verdict.UNRESOLVED:
        return None
    if d.verdict is Verdict.SAME:
        return style.PUOR[2]
    strength = min(1.0, abs(log(d.ratio.point)) / log(STRONGEST))
    share = 0.5 - 0.5 * (0.25 + 0.75 * strength)
    return style.ramp(share if d.verdict is Verdict.FASTER else 1 - share, style.PUOR)


def _explained(reference: str, measure: str, tiles: Sequence[Tile]) -> Iterator[str]:
    less = "more" if measure == THROUGHPUT else "less"
    yield f"Variant / {reference}, taken block by block: {less} than 1 is faster."
    yield "Purple is faster and orange slower, the stronger the further from 1; grey is open."
    if any(tile.label == "-" for tile in tiles):
        yield "- cannot be compared."
    if any(tile.doubts for tile in tiles):
        yield "d and numbers in a corner are the doubts that concern the two cells."


def _counts(differences: Sequence[Difference]) -> str:
    counts = {v: sum(d.verdict is v for d in differences if d.ratio) for v in Verdict}
    return ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n) or "none"


def _table(differences: Sequence[Difference]) -> pa.Table:
    found = [d for d in differences if d.ratio is not None]
    ratios = [d.ratio for d in found if d.ratio is not None]
    return pa.table(
        {
            "variant": [plain(d.variant) for d in found],
            "load": [level_title(d.level) for d in found],
            "ratio": [ratio.point for ratio in ratios],
            "interval": [ratio_interval(ratio) for ratio in ratios],
            "exact": [ratio.bound is Bound.EXACT for ratio in ratios],
            "verdict": [str(d.verdict) for d in found],
        }
    )
