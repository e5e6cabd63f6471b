"""
The knee of throughput over clients: from where more clients add wait rather than answers.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from analysis.cells import THROUGHPUT
from analysis.compare import CONFIDENCE, Ratio, ratio
from analysis.curve import Curve, curve, lacking
from analysis.matrix import Matrix
from analysis.words import percent, ratio_interval, ratio_point
from benchmarks.record import clients_level

LEVELS = 4
SENSITIVITY = 1.0  # what the paper takes, and calls S
RESAMPLES = 1000
FLAT = 0.10  # as much as repeats may disagree before they are doubted
WAIT = "p50"
MORE = "take more repeats"
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Knee:
    """
    The knee of one variant: one of its levels, as between them nothing was seen.

    Its interval reaches to the levels on either side, which are the nearest that it is not.
    """

    variant: str
    clients: float | None  # None: no knee
    low: float | None  # 95 % interval over repeats
    high: float | None
    seen: float  # share of the resampled curves that have a knee
    top: float | None  # the most clients that were measured
    gain: Ratio | None  # throughput with the most clients / at the knee
    wait: Ratio | None  # P50, likewise
    reason: str  # why there is none


def knee(matrix: Matrix, variant: str) -> Knee:
    """
    The knee of the mean curve, with an interval from resampled ones.

    The blocks' curves are resampled with normal multipliers, scaled so that every mean has
    Student's t with n-1 degrees of freedom (the wild bootstrap of Wu, Ann. Statist. 14, 1986):
    drawing 3 blocks out of 3 would make intervals that are far too narrow. The seed is fixed.
    """
    found = curve(matrix, variant)
    if reason := lacking(found, LEVELS):
        return _none(found, f"the knee is not known: {reason}")
    point = kneedle(found.clients, found.mean_rps[None, :])[0]
    resampled = kneedle(found.clients, _resampled(np.log(found.rps)))
    with_knee = resampled[~np.isnan(resampled)]
    seen = len(with_knee) / len(resampled)
    if seen < 1 - CONFIDENCE:
        top = found.clients[-1]
        more = f"add clients = [{2 * top:g}, {4 * top:g}]"
        return _none(found, f"no knee up to {top:g} clients: {more}", seen)
    if np.isnan(point) or seen < CONFIDENCE:
        untold = f"of the curves that noise could have made, {percent(seen)} have a knee"
        return _none(found, f"whether there is a knee cannot be told: {untold}; {MORE}", seen)
    return _seen(found, matrix, float(point), with_knee, seen)


def _seen(found: Curve, matrix: Matrix, point: float, resampled: Array, seen: float) -> Knee:
    levels, top = found.clients, float(found.clients[-1])
    low, high = np.quantile(resampled, [0.025, 0.975], method="inverted_cdf")
    below = max(0, int(np.searchsorted(levels, low)) - 1)
    above = min(len(levels) - 1, int(np.searchsorted(levels, high)) + 1)
    return Knee(
        variant=found.variant,
        clients=point,
        low=float(levels[below]),
        high=float(levels[above]),
        seen=seen,
        top=top,
        gain=_between(matrix, found.variant, point, top, THROUGHPUT),
        wait=_between(matrix, found.variant, point, top, WAIT),
        reason="",
    )


def _none(found: Curve, reason: str, seen: float = 0.0) -> Knee:
    top = float(found.clients[-1]) if len(found.clients) else None
    return Knee(found.variant, None, None, None, seen, top, None, None, reason)


def kneedle(clients: Array, rps: Array) -> Array:
    """
    The knee of each curve, NaN where there is none: *clients* (L,), *rps* (R, L) to (R,).

    Kneedle (Satopaa, Albrecht, Irwin and Raghavan, Finding a "Kneedle" in a Haystack, ICDCS
    workshops 2011) for concave, rising curves: both axes scaled to [0, 1], the difference y - x,
    its local maxima, and the first from which it falls by S times the mean step before it rises
    again. The curve begins with no clients and no throughput: without that point a service that
    is busy with 1 client would have a curve of noise alone.
    """
    x = np.concatenate([[0.0], clients])
    y = np.concatenate([np.zeros((len(rps), 1)), rps], axis=1)
    above = y / y.max(axis=1, keepdims=True) - x / x[-1]
    threshold = SENSITIVITY / (len(x) - 1)
    found = np.full(len(rps), np.nan)
    for i in range(1, len(x) - 1):
        here = above[:, i]
        falling = (here > above[:, i - 1]) & np.isnan(found)
        for j in range(i + 1, len(x)):
            falling &= above[:, j] < above[:, j - 1]
            found[falling & (above[:, j] < here - threshold)] = x[i]
    return found


def _resampled(logs: Array) -> Array:
    """Curves (R, L) around the mean of *logs* (B, L), with Student's t at each level."""
    blocks = len(logs)
    rng = np.random.default_rng(0)
    scale = np.sqrt((blocks - 1) / rng.chisquare(blocks - 1, (RESAMPLES, 1)))
    weights = rng.standard_normal((RESAMPLES, blocks)) * scale / sqrt(blocks * (blocks - 1))
    mean = logs.mean(axis=0)
    # Of 2 blocks, t has tails without end: so far out, every curve is a spike alike.
    away = np.clip(weights @ (logs - mean), -20, 20)
    curves: Array = np.exp(away + mean - mean.max())
    return curves


def _between(matrix: Matrix, variant: str, low: float, high: float, measure: str) -> Ratio | None:
    """The measure with *high* clients / with *low*, block by block."""
    sides = []
    for clients in (high, low):
        visits = matrix.cells[variant, clients_level(int(clients))].visits
        values = {visit.repeat: visit.value(measure) for visit in visits}
        sides.append({repeat: value for repeat, value in values.items() if value is not None})
    ours, theirs = sides
    return ratio([(ours[b], theirs[b]) for b in sorted(ours.keys() & theirs.keys())])


def clause(found: Knee) -> str:
    """`adding clients beyond 8 adds wait, not throughput: ...`; or why it is not told."""
    if found.clients is None or found.top is None or found.gain is None:
        return found.reason
    beyond = f"{found.clients:g} (it may be anything from {found.low:g} to {found.high:g})"
    costs = f"{_times(found.gain)} the answers"
    if found.wait is not None:
        costs += f" at {_times(found.wait)} the P50"
    what = _what(found.top / found.clients, found.gain)
    return f"adding clients beyond {beyond} adds {what}: {found.top:g} clients get {costs}"


def _times(found: Ratio) -> str:
    return f"{ratio_point(found)} {ratio_interval(found)} times"


def _what(more: float, gain: Ratio) -> str:
    """In words, of *more* times the clients for *gain* times the answers."""
    if gain.high <= 1 + FLAT:
        return "wait, not throughput"
    # With no pause between requests, clients = throughput x wait (Little): this is the balance.
    return "more wait than throughput" if gain.high < sqrt(more) else "less throughput than before"
