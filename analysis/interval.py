"""
The 95 % interval of one measure over the repeats of a cell, and on which side of a limit it lies.

The gate and the SLO ask the same question of a cell, and get the answer here.
"""

from collections.abc import Sequence
from enum import StrEnum
from math import inf

from analysis.compare import Bound, Ratio, Value, ratio


class Side(StrEnum):
    WITHIN = "within"
    BEYOND = "beyond"
    STRADDLES = "straddles"  # or it is not known


def over_repeats(values: Sequence[Value], unit: float = 1.0) -> Ratio | None:
    """
    The geometric mean of the repeats in units of *unit*, with t over their logarithms.

    None: no repeat. One repeat has no interval, so it reaches from 0 to infinity. With values
    that are "at least", so is the result.
    """
    return ratio([(value, Value(unit)) for value in values])


def exceeds(count: int, of: int, share: float) -> bool:
    """Whether *count* is a larger share; 21 of 3000 are 0.7 %, though not as binary fractions."""
    return count > of * (share + 1e-9)


def side(found: Ratio, least: float = 0.0, most: float = inf) -> Side:
    """Whether the whole interval lies within the limits, as far as it is known."""
    low_known = found.bound is not Bound.AT_MOST
    high_known = found.bound is not Bound.AT_LEAST
    if (low_known and found.low > most) or (high_known and found.high < least):
        return Side.BEYOND
    kept_above = least == 0.0 or (low_known and found.low >= least)
    kept_below = most == inf or (high_known and found.high <= most)
    return Side.WITHIN if kept_above and kept_below else Side.STRADDLES
