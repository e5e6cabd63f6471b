"""
The one definition of a percentile, with an interval that assumes no shape.

Everything that prints a P50, P95 or P99 (terminal, gate, reports, app) gets it from here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, floor, inf, log

import numpy as np
from numpy.typing import NDArray

# scipy.special, because scipy.stats alone takes a second to import.
from scipy.special import bdtr, bdtrik

# Each side of a 95 % interval.
TAIL = 0.025


class AnalysisError(Exception):
    """Something that cannot be computed from this record, said in one line."""


@dataclass(frozen=True, slots=True)
class Percentile:
    """
    One percentile of one repeat, in milliseconds.

    With `at_least` the value is a lower bound: the percentile lies among requests that were
    given up before they were answered. The interval takes requests as independent. Under load
    they are not, so it is for display inside one repeat; variants are compared over repeats.
    """

    q: float
    n: int
    value_ms: float
    low_ms: float
    high_ms: float  # inf: the interval reaches into the requests that were given up
    at_least: bool


def percentile(
    latencies_ms: NDArray[np.float64], q: float, censored: NDArray[np.bool_] | None = None
) -> Percentile:
    """
    The smallest observed latency that at least *q* percent of the requests did not exceed.

    That is the value of rank ceil(n q / 100) (Hyndman and Fan 1996, definition 1, the inverse of
    the empirical distribution), so it can be found again in the samples. A censored latency (a
    time-out) counts as slower than every answered one: how much slower was not seen, so a
    percentile among them is "at least" the value of that rank with each of them at its bound.
    """
    (found,) = percentiles(latencies_ms, (q,), censored)
    return found


def percentiles(
    latencies_ms: NDArray[np.float64],
    qs: Iterable[float],
    censored: NDArray[np.bool_] | None = None,
) -> list[Percentile]:
    """Several percentiles of the same requests, which are put in order once."""
    n, wanted = len(latencies_ms), tuple(qs)
    for q in wanted:
        if n < min_count(q):
            raise AnalysisError(
                f"P{q:g} of {n} requests; it needs {min_count(q)}; measure for longer"
            )
    ranks = {q: (*interval_ranks(n, q), rank_of(n, q)) for q in wanted}
    every = sorted({rank for found in ranks.values() for rank in found})
    given_up = censored is not None and bool(censored.any())
    answered_ms = latencies_ms[~censored] if given_up and censored is not None else latencies_ms
    answered = _ranked(answered_ms, [rank for rank in every if rank <= len(answered_ms)])
    # In order only if one of the ranks lies among those that were given up.
    bounds = _ranked(latencies_ms, [rank for rank in every if rank > len(answered_ms)])
    return [_percentile(q, n, ranks[q], answered, bounds) for q in wanted]


def _ranked(latencies_ms: NDArray[np.float64], ranks: Sequence[int]) -> dict[int, float]:
    """The values of some ranks, from 1; a partition by as many is slower than a vector sort."""
    if not ranks:
        return {}
    places = [rank - 1 for rank in ranks]
    values = np.sort(latencies_ms)[places]
    return dict(zip(ranks, values.tolist(), strict=True))


def _percentile(
    q: float,
    n: int,
    ranks: tuple[int, int, int],
    answered: Mapping[int, float],
    bounds: Mapping[int, float],
) -> Percentile:
    """A rank that is not among the answered lies among the requests that were given up."""
    low, high, rank = ranks
    return Percentile(
        q=q,
        n=n,
        value_ms=answered[rank] if rank in answered else bounds[rank],
        low_ms=answered[low] if low in answered else bounds[low],
        high_ms=answered.get(high, inf),
        at_least=rank not in answered,
    )


def rank_of(n: int, q: float) -> int:
    """
    ceil(n q / 100), from 1 to n.

    The product is rounded first: 0.999 * 1000 is 999.0000000000001 in binary, and the rank 999.
    """
    return min(n, max(1, ceil(round(n * q / 100, 9))))


@cache
def min_count(q: float) -> int:
    """
    The fewest requests for which a percentile has a two-sided 95 % interval: 72 for P95.

    The largest of n values lies above the p-quantile with probability 1 - p^n, so an upper limit
    needs p^n <= 0.025, and a lower one (1-p)^n <= 0.025 (David and Nagaraja, Order Statistics,
    3rd ed. 2003, section 7.1).
    """
    if not 0 < q < 100:
        raise AnalysisError(f"percentile: found {q:g}; expected more than 0 and less than 100")
    p = q / 100
    return max(ceil(log(TAIL) / log(p)), ceil(log(TAIL) / log(1 - p)))


@cache
def interval_ranks(n: int, q: float) -> tuple[int, int]:
    """
    Ranks (from 1) of the order statistics that enclose the q-th percentile in 95 % of runs.

    How many of n values lie below the p-quantile is Binomial(n, p). The lower is the largest
    rank l with P(B <= l-1) <= 2.5 %, the upper the smallest u with P(B <= u-1) >= 97.5 % (David
    and Nagaraja 2003, section 7.1; Hahn and Meeker, Statistical Intervals, section 5.2).
    """
    p = q / 100
    # bdtrik is where the continuous extension of the distribution function reaches its argument.
    low = floor(bdtrik(TAIL, n, p)) + 1
    while low > 1 and bdtr(low - 1, n, p) > TAIL:
        low -= 1
    high = ceil(bdtrik(1 - TAIL, n, p)) + 1
    return low, high
