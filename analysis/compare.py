"""
Is one variant faster than another? Answered over repeats, never over requests.

Requests of one repeat share a warm cache, a neighbour and a scheduler: counted one by one they
make every difference "significant". A block is one level of one repeat, in which every variant
was visited close together in time, so drift of the machine cancels in the block's ratio.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, inf, log, log1p, sqrt

import numpy as np

# scipy.special, because scipy.stats alone takes a second to import.
from scipy.special import nctdtrinc, stdtr, stdtrit

CONFIDENCE = 0.95
LARGEST = 600.0  # of a logarithm: beyond it a ratio is no number any more
POWER = 0.80  # of a minimum detectable difference
MOST_REPEATS = 100  # beyond this, more repeats are no advice

# Reasons of "unresolved"; summary.py knows what would help.
TOO_FEW_REPEATS = "fewer than 2 repeats that can be compared"
INCLUDES_1 = "the interval includes 1"
GIVEN_UP = "the percentile lies among requests that were given up"
BOTH_GIVEN_UP = "both sides gave requests up, so nothing is known of their ratio"
NOT_BEYOND_THE_FLOOR = "not beyond the noise floor"
ONE_OF_MANY = "chance gives one such among so many comparisons"


class Verdict(StrEnum):
    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    UNRESOLVED = "unresolved"


class Bound(StrEnum):
    """What a ratio says when one side was given up before it was answered."""

    EXACT = "exact"
    AT_LEAST = "at least"
    AT_MOST = "at most"


@dataclass(frozen=True, slots=True)
class Value:
    """One measure of one repeat."""

    value: float
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Ratio:
    """Variant / reference: the point, its 95 % interval and the ratio of each block."""

    point: float
    low: float
    high: float
    blocks: tuple[float, ...]
    bound: Bound = Bound.EXACT

    @property
    def sd_log(self) -> float:
        return float(np.std(np.log(self.blocks), ddof=1)) if len(self.blocks) > 1 else inf

    @property
    def smallest_difference(self) -> float:
        """The half width as a share: intervals exclude 1 half of the time at such a difference."""
        return inf if self.high == inf else sqrt(self.high / self.low) - 1

    @property
    def detectable(self) -> float:
        """
        The true difference, as a share, whose interval excludes 1 in 80 % of such campaigns.

        The mean of n logarithms over its standard error is then noncentral t with n-1 degrees of
        freedom (Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2, chapter
        31); the noise is taken to be what these blocks show. 0.25 is a ratio of 1.25 or 1 / 1.25.
        """
        n = len(self.blocks)
        if n < 2:
            return inf
        errors = float(nctdtrinc(n - 1, 1 - POWER, t_quantile(n - 1)))
        return exp(min(LARGEST, errors * self.sd_log / sqrt(n))) - 1


@dataclass(frozen=True, slots=True)
class Noise:
    """The standard deviation of one logarithm inside a block, and its degrees of freedom."""

    sd_log: float
    df: int


def t_quantile(df: int, confidence: float = CONFIDENCE) -> float:
    """Student's t that leaves half of the rest on each side: 2.5 % where nothing else is said."""
    return float(stdtrit(df, (1 + confidence) / 2))


def ratio(pairs: Sequence[tuple[Value, Value]]) -> Ratio | None:
    """
    The geometric mean of the block ratios, with a paired t interval over their logarithms.

    Latencies are positive and their noise is multiplicative, so the logarithms of the ratios
    are near enough to symmetric for t at n-1 degrees of freedom; with one block there is no
    interval. None: no block, or blocks of which nothing follows (both sides given up).
    """
    bound = _bound(pairs)
    if not pairs or bound is None:
        return None
    logs = np.log([v.value / r.value for v, r in pairs])
    point, n = float(np.mean(logs)), len(logs)
    half = t_quantile(n - 1) * float(np.std(logs, ddof=1)) / sqrt(n) if n > 1 else inf
    half = min(half, LARGEST) if n > 1 else inf
    blocks = tuple(float(value) for value in np.exp(logs))
    return Ratio(exp(point), exp(point - half), exp(point + half), blocks, bound)


def _bound(pairs: Sequence[tuple[Value, Value]]) -> Bound | None:
    above = any(v.at_least for v, _ in pairs)
    below = any(r.at_least for _, r in pairs)
    if above and below:
        return None
    return Bound.AT_LEAST if above else Bound.AT_MOST if below else Bound.EXACT


def noise_floor(copy: Sequence[float], original: Sequence[float]) -> float | None:
    """
    By how much two copies of the same service may differ, as a share (0.04 is 4 %).

    The true mean of the log ratios is 0, so their root mean square has n degrees of freedom.
    """
    if len(copy) < 2:
        return None
    logs = np.log(np.divide(copy, original))
    n = len(logs)
    return exp(t_quantile(n) * sqrt(float(np.mean(logs**2))) / sqrt(n)) - 1


def block_noise(values: Mapping[str, Sequence[float]]) -> Noise | None:
    """
    The noise inside blocks, from several variants together.

    The residuals of a randomised complete block design, after the variants' and the blocks'
    means are taken out (Montgomery, Design and Analysis of Experiments, section 4.1). Three
    variants in 3 blocks give 4 degrees of freedom, where one pair gives 2.
    """
    logs = np.log(np.array([list(series) for series in values.values()]))
    df = (logs.shape[0] - 1) * (logs.shape[1] - 1) if logs.ndim == 2 else 0
    if df < 1:
        return None
    rest = logs - logs.mean(axis=0) - logs.mean(axis=1, keepdims=True) + logs.mean()
    return Noise(sqrt(float(np.sum(rest**2)) / df), df)


def p_value(ratio: Ratio, noise: Noise | None) -> float:
    """
    The two-sided p of "no difference", from the noise of the block design where there is one.

    That noise is pooled, so this p is right for variants that are as noisy as each other; the
    paired interval, which a verdict needs as well, takes only the two that it compares.
    """
    n, distance = len(ratio.blocks), abs(log(ratio.point))
    if n < 2:
        return 1.0
    sd, df = (ratio.sd_log, n - 1) if noise is None else (noise.sd_log * sqrt(2), noise.df)
    if sd == 0:
        return 1.0 if distance == 0 else 0.0
    return float(2 * stdtr(df, -distance * sqrt(n) / sd))


def holm(p_values: Sequence[float]) -> list[float]:
    """
    P-values adjusted for being read together: below 5 %, and the chance that any of them is
    wrong is below 5 %, however they depend on each other (Holm, Scand. J. Statist. 6, 1979), as
    far as each p-value is right by itself.
    """
    adjusted, largest = [1.0] * len(p_values), 0.0
    for position, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - position)))
        adjusted[index] = largest
    return adjusted


def judge(
    ratio: Ratio | None,
    floor: float | None,
    margin: float,
    adjusted_p: float,
    *,
    more_is_better: bool = False,
) -> tuple[Verdict, str]:
    """The verdict, and for an unresolved one the reason. README.md tells the rule in words."""
    if ratio is None or len(ratio.blocks) < 2:
        return Verdict.UNRESOLVED, TOO_FEW_REPEATS
    exact = ratio.bound is Bound.EXACT
    if exact and ratio.low >= 1 / (1 + margin) and ratio.high <= 1 + margin:
        return Verdict.SAME, ""
    if ratio.low <= 1 <= ratio.high:
        return Verdict.UNRESOLVED, INCLUDES_1
    above = ratio.low > 1
    if not exact and above is not (ratio.bound is Bound.AT_LEAST):
        return Verdict.UNRESOLVED, GIVEN_UP
    if floor is not None and abs(log(ratio.point)) <= log1p(floor):
        return Verdict.UNRESOLVED, NOT_BEYOND_THE_FLOOR
    if adjusted_p > 1 - CONFIDENCE:
        return Verdict.UNRESOLVED, ONE_OF_MANY
    return (Verdict.FASTER if above is more_is_better else Verdict.SLOWER), ""


def repeats_needed(ratio: Ratio, margin: float) -> int | None:
    """
    How many repeats would narrow an interval that includes 1 until it excludes 1 or lies inside
    the margin, if noise and ratio stay as they are. None: over 100, or not the interval's fault.

    The noise floor and the adjustment for many comparisons are not foreseen: a verdict may take
    more repeats.
    """
    if len(ratio.blocks) < 2 or ratio.bound is not Bound.EXACT or not ratio.low <= 1 <= ratio.high:
        return None
    distance = abs(log(ratio.point))
    half = max(distance, log1p(margin) - distance)
    for n in range(len(ratio.blocks) + 1, MOST_REPEATS + 1):
        if t_quantile(n - 1) * ratio.sd_log / sqrt(n) <= half:
            return n
    return None


def narrows_to(ratio: Ratio, margin: float) -> str:
    """What `repeats_needed` are needed for, whichever comes first."""
    near = abs(log(ratio.point)) < log1p(margin) / 2
    return "bring it inside the margin" if near else "make the interval exclude 1"
