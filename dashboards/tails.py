"""
From the middle requests of a cell to its slow ones, stage by stage: on the pages Cell and Stages.
"""

from analysis.comparison import Comparison
from analysis.figures.figure import Figure
from analysis.figures.waterfall import waterfall
from analysis.words import level_name, measure_name
from dashboards.once import once

MIDDLE, SLOW = "p50", ("p99", "p95")  # of the slow ones, the first that the cell has


def figure(comparison: Comparison, variant: str, level: str) -> Figure | None:
    """None if the cell has no stages, or too few requests for P95."""
    for slow in SLOW:
        explanation = comparison.matrix.tail(variant, level, MIDDLE, slow)
        if explanation is not None:
            where = f"{variant}, {level_name(level)}"
            return once(waterfall, explanation, measure_name(MIDDLE), measure_name(slow), where)
    return None
