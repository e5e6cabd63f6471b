"""
Was a repeat warm? The start of its window against the rest of it.

The early part of a series against its later part is Geweke's test of convergence (Bayesian
Statistics 4, 1992, p. 169). Response times have tails, so medians take the place of means, and
their order-statistic intervals the place of the normal approximation. 10 % is the tolerance of
Triton's perf_analyzer between measurement windows (its option --stability-percentage).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.latency import min_count, percentile

FIRST = 0.25  # of the window
TOLERANCE = 0.10


@dataclass(frozen=True, slots=True)
class Trend:
    """How the first quarter of the window compares with the rest of it."""

    change: float  # 0.3: the first quarter's median is 30 % above; -0.2: 20 % below
    shown: bool  # by more than the tolerance, and the two intervals do not meet


def trend(
    response_ms: NDArray[np.float64],
    censored: NDArray[np.bool_],
    due_s: NDArray[np.float64],
    window_s: float,
) -> Trend | None:
    """None: too few requests in one of the two parts to know their medians."""
    early = due_s < FIRST * window_s
    if min(np.count_nonzero(early), np.count_nonzero(~early)) < min_count(50):
        return None
    first = percentile(response_ms[early], 50, censored[early])
    rest = percentile(response_ms[~early], 50, censored[~early])
    if rest.value_ms <= 0:
        return None
    apart = first.low_ms > rest.high_ms or first.high_ms < rest.low_ms
    change = first.value_ms / rest.value_ms - 1
    return Trend(change, apart and abs(change) > TOLERANCE)
