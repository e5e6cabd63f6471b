"""
The load at which a percentile crosses the limit of an SLO, between two levels that were measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp, log

from analysis.cells import Cell, percentile_key
from analysis.compare import Bound, Ratio, Value
from analysis.interval import over_repeats
from analysis.objective import Objective
from analysis.words import load_of


@dataclass(frozen=True, slots=True)
class Crossing:
    """At which load the percentile crosses the limit."""

    load: Ratio | None  # clients or requests/s: point and 95 % interval over repeats
    between: tuple[str, str] | None  # the levels between which all repeats cross it
    reason: str  # why it is not known


def crossing(cells: Sequence[Cell], slo: Objective) -> Crossing:
    """
    In each block, where the percentile first goes beyond the limit, between two levels.

    Between them it is taken to be straight on logarithmic axes. That is a guess, which the
    interval, of t over the logarithms of the blocks' loads, knows nothing of.
    """
    measure = percentile_key(slo.q)
    known = [cell for cell in cells if cell.value(measure) is not None]
    series = [{v.repeat: v.value(measure) for v in cell.visits} for cell in known]
    blocks = sorted(set.intersection(*map(set, series))) if series else []
    if len(known) < 2 or len(blocks) < 2:
        return Crossing(None, None, f"fewer than 2 levels and repeats have a P{slo.q:g}")
    loads = [load_of(cell.level)[1] for cell in known]
    found = []
    for block in blocks:
        values = [value for each in series if (value := each[block]) is not None]
        found.append(_first(loads, values, slo.limit_ms))
    crossed = [each for each in found if each is not None]
    if len(crossed) < len(found):
        return Crossing(None, None, _not_crossed(len(found) - len(crossed), len(found), slo))
    load = over_repeats([Value(load) for load, _, _ in crossed])
    # A percentile that is higher than is known was crossed sooner than is known.
    if load and any(bounded for _, bounded, _ in crossed):
        load = replace(load, bound=Bound.AT_MOST)
    pairs = [pair for _, _, pair in crossed]
    return Crossing(load, (known[min(pairs)].level, known[max(pairs) + 1].level), "")


def _first(
    loads: Sequence[float], values: Sequence[Value], limit_ms: float
) -> tuple[float, bool, int] | None:
    """The load, whether it may be less, and the lower level's place. None: not between levels."""
    for place, ((low, before), (high, after)) in enumerate(
        pairwise(zip(loads, values, strict=True))
    ):
        if before.value > limit_ms or before.at_least:
            return None
        if after.value > limit_ms:
            share = log(limit_ms / before.value) / log(after.value / before.value)
            return exp(log(low) + share * log(high / low)), after.at_least, place
    return None


def _not_crossed(without: int, repeats: int, slo: Objective) -> str:
    where = "every repeat" if without == repeats else f"{without} of {repeats} repeats"
    return f"in {where} P{slo.q:g} does not cross the limit between two levels"
