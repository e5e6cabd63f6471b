"""
Verdicts and outcomes in a word with a sign: never by colour alone.
"""

from collections.abc import Sequence
from typing import Any, Literal

from analysis.compare import Verdict
from analysis.comparison import Comparison
from analysis.differences import Difference
from analysis.kept import Kept
from analysis.words import (
    MISSING,
    detectable,
    floor_text,
    level_name,
    measure_name,
    plain,
    ratio_interval,
    ratio_point,
)

SIGNS = {
    Verdict.FASTER: "▲ faster",
    Verdict.SLOWER: "▼ slower",
    Verdict.SAME: "= same",
    Verdict.UNRESOLVED: "? unresolved",
}
Colour = Literal["green", "red", "gray", "yellow"]
COLOURS: dict[Verdict, Colour] = {
    Verdict.FASTER: "green",
    Verdict.SLOWER: "red",
    Verdict.SAME: "gray",
    Verdict.UNRESOLVED: "yellow",
}
KEPT = {Kept.HOLDS: "✓ holds", Kept.BROKEN: "✗ broken", Kept.CANNOT_TELL: "? cannot be told"}


def table(differences: Sequence[Difference]) -> dict[str, list[Any]]:
    """By column, one row a difference."""
    return {
        "load": [level_name(d.level) for d in differences],
        "measure": [measure_name(d.measure) for d in differences],
        "variant": [plain(d.variant) for d in differences],
        "verdict": [SIGNS[d.verdict] for d in differences],
        "ratio": [ratio_point(d.ratio) if d.ratio else MISSING for d in differences],
        "95 % interval": [ratio_interval(d.ratio) if d.ratio else MISSING for d in differences],
        "would have shown": [detectable(d.ratio) if d.ratio else MISSING for d in differences],
        "noise floor": [floor_text(d.floor) for d in differences],
        "adjusted p": [_p(d) for d in differences],
        "why unresolved": [plain(d.reason) for d in differences],
    }


def _p(d: Difference) -> str:
    """Below a thousandth the digits say nothing."""
    if d.ratio is None or len(d.ratio.blocks) < 2:
        return MISSING
    return f"{d.adjusted_p:.3f}" if d.adjusted_p >= 0.001 else "< 0.001"


def every(comparison: Comparison) -> list[Difference]:
    """Level by level, then over all levels; of a mere A/A pair, its own."""
    matrix = comparison.matrix
    return [*(matrix.differences or matrix.aa), *matrix.curves]
