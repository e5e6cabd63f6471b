"""
How many clients at a time one service carries: within an objective, or until more only wait.
"""

from math import inf

from analysis.capacity import capacity
from analysis.capacity import sentences as carried
from analysis.cells import THROUGHPUT, Cell
from analysis.compare import Ratio, ratio
from analysis.comparison import Comparison
from analysis.knee import FLAT
from analysis.objective import text
from analysis.words import load_of, percent, plain, ratio_interval, ratio_point

EVEN_ONE = "even the lowest load that was tried"


def sentences(comparison: Comparison) -> list[str]:
    """The recommendation first; the rest is what is known of capacity, knee and scaling."""
    return [_recommendation(comparison), *carried(comparison, comparison.slo)]


def _recommendation(comparison: Comparison) -> str:
    variant, slo = comparison.plan.reference, comparison.slo
    if slo is None:
        return _enough(comparison, variant)
    (found,) = (each for each in capacity(comparison, slo) if each.variant == variant)
    if found.holds:
        return f"clients: up to {load_of(found.holds)[1]:g} at a time, within {text(slo)}."
    return f"clients: no number of them surely keeps {text(slo)}, {EVEN_ONE}."


def _enough(comparison: Comparison, variant: str) -> str:
    """The fewest clients that surely get nearly all the answers that can be had."""
    cells = {n: comparison.matrix.cells.get((variant, n)) for n in comparison.plan.levels}
    known = [cell for cell in cells.values() if cell and cell.value(THROUGHPUT)]
    known.sort(key=lambda cell: load_of(cell.level))
    if not known:
        return f"clients: cannot be told, as {plain(variant)} gave no good answer."
    best = max(known, key=_throughput)
    for cell in known[: known.index(best)]:
        share = _of_best(cell, best)
        if share and share.low >= 1 / (1 + FLAT):
            return (
                f"clients: {_load(cell)} at a time get {ratio_point(share)}"
                f" {ratio_interval(share)} times the answers of {_load(best)}, surely within"
                f" {percent(FLAT)}: more only wait."
            )
    told = f"clients: {_load(best)} at a time get the most answers, and no fewer surely come within"
    more = f"{load_of(best.level)[1] * 2:g},{load_of(best.level)[1] * 4:g}"
    beyond = f" Go on with --clients {more}." if best is known[-1] else ""
    return f"{told} {percent(FLAT)} of it.{beyond}"


def _load(cell: Cell) -> str:
    return f"{load_of(cell.level)[1]:g}"


def _throughput(cell: Cell) -> float:
    value = cell.value(THROUGHPUT)
    return value.value if value else -inf


def _of_best(cell: Cell, best: Cell) -> Ratio | None:
    """Throughput of one level / of the best one, repeat by repeat."""
    theirs = {visit.repeat: visit.value(THROUGHPUT) for visit in best.visits}
    pairs = [(visit.value(THROUGHPUT), theirs.get(visit.repeat)) for visit in cell.visits]
    return ratio([(ours, other) for ours, other in pairs if ours and other])
