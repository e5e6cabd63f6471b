"""
When did a series of runs change its level?

PELT with the squared error (Killick, Fearnhead and Eckley, J. Amer. Statist. Assoc. 107, 2012)
proposes where, at Yao's penalty of 2 log(n) variances (Statistics & Probability Letters 6, 1988).
What it proposes must also pass a t-test that allows for all the places where it could have been.
Two levels need three runs each: of one odd run nobody can tell whether it is the new level.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log, sqrt

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

# scipy.special, because scipy.stats alone takes a second to import.
from scipy.special import stdtr, stdtrit

from analysis.compare import POWER, Bound, Ratio, t_quantile

FEWEST = 3  # runs of a level
# Of histories without a change, so many may show one; a little under 5 %, as runs are not normal.
ALARMS = 0.04
ODD = 4.0  # standard deviations from its neighbours' median, beyond which a run is pulled back


@dataclass(frozen=True, slots=True)
class Change:
    """From the run *first* (from 0) on: level after / level before, with its 95 % interval."""

    first: int
    ratio: Ratio | None  # None: values that are bounds pull it both ways


@dataclass(frozen=True, slots=True)
class Changes:
    """What a series of n values shows."""

    found: tuple[Change, ...]
    n: int
    sd_log: float  # of one run about its level, as a logarithm
    detectable: float  # the change that 8 of 10 such series would show, as a share; inf: not known


def find(
    values: Sequence[float], errors: Sequence[float] = (), known: Sequence[Bound] = ()
) -> Changes:
    """
    The changes of level in positive values, in the order of the runs.

    *errors*: how far each value may be off by itself, as standard deviations of its logarithm; runs
    are not taken to be closer together than these say. *known*: which values are only bounds, by
    default none; a change between levels is then a bound as well.
    """
    n = len(values)
    if n < 2 * FEWEST:
        return Changes((), n, inf, inf)
    logs = _without_odd(np.log(np.asarray(values, dtype=np.float64)))
    least_sd = float(np.median(errors)) if len(errors) else 0.0
    bounds = _proposed(logs, least_sd)
    while len(bounds) > 2:
        p_values = [_p_value(logs, bounds, i, least_sd) for i in range(1, len(bounds) - 1)]
        weakest = int(np.argmax(p_values))
        if p_values[weakest] <= ALARMS:
            break
        del bounds[weakest + 1]
    sd_log = _sd(logs, bounds, least_sd)
    known = known or [Bound.EXACT] * n
    found = tuple(
        _change(logs, bounds, i, sd_log, _bound(known[first:at], known[at:end]))
        for i, (first, at, end) in enumerate(zip(bounds, bounds[1:], bounds[2:], strict=False), 1)
    )
    exact = all(each is Bound.EXACT for each in known)
    return Changes(found, n, sd_log, _detectable(n, sd_log) if exact else inf)


def _bound(before: Sequence[Bound], after: Sequence[Bound]) -> Bound | None:
    """What after / before is; None: one value pulls it up and another one down."""
    inverse = {Bound.AT_LEAST: Bound.AT_MOST, Bound.AT_MOST: Bound.AT_LEAST}
    told = {*after, *(inverse.get(each, each) for each in before)} - {Bound.EXACT}
    return None if len(told) > 1 else next(iter(told), Bound.EXACT)


def _without_odd(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Runs that stand alone, pulled towards the median of five about them.

    Levels of three runs survive that; a single slow run would seem to be a level, or hide one.
    """
    about = np.median(sliding_window_view(logs, 2 * FEWEST - 1), axis=1)
    about = np.pad(about, FEWEST - 1, mode="edge")
    # Of successive differences, which a change of level enters once. 0.6745: normal distribution.
    sd = float(np.median(np.abs(np.diff(logs)))) / 0.6745 / sqrt(2)
    return np.clip(logs, about - ODD * sd, about + ODD * sd) if sd > 0 else logs


def _proposed(logs: NDArray[np.float64], least_sd: float) -> list[int]:
    """The first runs of the levels, with the number of runs at the end."""
    # Here, because it takes long to import and most commands look for no change.
    from ruptures import KernelCPD

    variance = max(float(np.mean(np.diff(logs) ** 2)) / 2, least_sd**2)
    if variance == 0:
        return [0, len(logs)]
    # With this kernel its cost is the squared error.
    search = KernelCPD(kernel="linear", min_size=FEWEST).fit(logs[:, np.newaxis])
    proposed = search.predict(pen=2 * log(len(logs)) * variance)
    return [0, *map(int, proposed)]


def _sd(logs: NDArray[np.float64], bounds: Sequence[int], least_sd: float) -> float:
    """The standard deviation about the levels."""
    levels = np.split(logs, bounds[1:-1])
    squares = sum(float(np.sum((level - level.mean()) ** 2)) for level in levels)
    return max(sqrt(squares / (len(logs) - len(levels))), least_sd)


def _step(logs: NDArray[np.float64], bounds: Sequence[int], i: int) -> tuple[float, float]:
    """How far two levels that meet are apart, and the standard error of that in sds of a run."""
    before, after = logs[bounds[i - 1] : bounds[i]], logs[bounds[i] : bounds[i + 1]]
    return float(after.mean() - before.mean()), sqrt(1 / len(before) + 1 / len(after))


def _p_value(logs: NDArray[np.float64], bounds: Sequence[int], i: int, least_sd: float) -> float:
    """Two-sided, and adjusted for the places where a change could have been (Bonferroni)."""
    step, width = _step(logs, bounds, i)
    sd = _sd(logs, bounds, least_sd)
    t = abs(step) / (sd * width) if sd > 0 else inf
    return float(2 * stdtr(_df(logs, bounds), -t)) * _places(len(logs))


def _change(
    logs: NDArray[np.float64], bounds: Sequence[int], i: int, sd_log: float, bound: Bound | None
) -> Change:
    if bound is None:
        return Change(bounds[i], None)
    step, width = _step(logs, bounds, i)
    half = t_quantile(_df(logs, bounds)) * sd_log * width
    return Change(bounds[i], Ratio(exp(step), exp(step - half), exp(step + half), (), bound))


def _df(logs: NDArray[np.float64], bounds: Sequence[int]) -> int:
    return len(logs) - len(bounds) + 1


def _places(n: int) -> int:
    return n - 2 * FEWEST + 1


def _detectable(n: int, sd_log: float) -> float:
    """Wherever it is, so for the worst place: as near to an end as it is looked for."""
    passing = float(stdtrit(n - 2, 1 - ALARMS / 2 / _places(n))) + float(stdtrit(n - 2, POWER))
    return exp(min(700.0, passing * sd_log * sqrt(1 / FEWEST + 1 / (n - FEWEST)))) - 1
