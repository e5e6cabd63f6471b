"""
How much of the difference between two profiles is noise, frame by frame.

Two parts: samples are counts, more scattered than independent draws because stacks come in
bursts; and the CPU time of a request differs from block to block. The first is measured on
profiles of two copies of one service, the second on the blocks. A frame has changed when its
difference is beyond what both give for the most extreme of all frames that are looked at.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf, sqrt
from statistics import fmean
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

# scipy.special, because scipy.stats alone takes a second to import.
from scipy.special import chdtri, ndtr, ndtri

from analysis.compare import CONFIDENCE, t_quantile
from analysis.flame.stacks import Stacks
from analysis.flame.stage_frames import stage_of

Floats = NDArray[np.float64]
Piece = TypeVar("Piece")

# Where neither a pair of copies nor blocks were measured: the least that is assumed. Pairs here had
# 1 to 3 on a quiet machine, 12 and more on a busy one; CPU time a request varied by 1 to 5 %.
ASSUMED_DISPERSION = 4.0
ASSUMED_SCALE = 0.05
SMALLEST_PIECE = 10  # samples of both profiles; rarer functions are one piece together
QUANTILES, HALVINGS = 1000, 40  # of a threshold: to more digits than anybody reads
LARGE = 0.01  # of all samples: a function of which the scatter is measured apart


@dataclass(frozen=True, slots=True)
class Dispersion:
    """The variance of sample counts, in units of that of independent samples; at least 1."""

    phi: float = ASSUMED_DISPERSION
    df: int = 0  # degrees of freedom behind it; 0: assumed

    @property
    def measured(self) -> bool:
        return self.df > 0


@dataclass(frozen=True, slots=True)
class Scale:
    """What the whole of a profile stands for, on both sides, in the blocks that both have."""

    a: Floats
    b: Floats
    exact: bool = False  # shares: the whole is 1

    @property
    def blocks(self) -> int:
        return len(self.a)


def dispersion(pairs: Iterable[tuple[Stacks, Stacks]]) -> Dispersion:
    """
    From profiles of copies of one service: Pearson's chi-square over its degrees of freedom.

    Pieces are disjoint (McCullagh and Nelder, Generalized Linear Models, 2nd ed. 1989, section
    4.5). What comes in long bursts scatters more, and so does what many functions share; so it is
    measured on the functions that run, on the larger of them and on stages, and the most is taken.
    """
    every = list(pairs)
    found = [_of_pieces([pieces(a, b) for a, b in every]) for pieces in (_running, _large, _stages)]
    measured = [each for each in found if each.measured]
    return max(measured, key=lambda each: each.phi, default=Dispersion())


def assumed(samples_a_request: float | None) -> Dispersion:
    """
    Without copies: as if all samples of a request were of one function, and requests alike.

    Clusters of m that are all alike scatter m times as much (Kish, Survey Sampling, 1965, 5.4).
    """
    return Dispersion(max(ASSUMED_DISPERSION, samples_a_request or 0.0))


def _of_pieces(pairs: Sequence[Floats]) -> Dispersion:
    chi_square, df = 0.0, 0
    for counts in pairs:
        if counts.shape[1] < 2:
            continue
        n_a, n_b = counts.sum(axis=1)
        pooled = counts.sum(axis=0) / (n_a + n_b)
        distance = counts[0] / n_a - counts[1] / n_b
        chi_square += float(np.sum(distance**2 / pooled) / (1 / n_a + 1 / n_b))
        df += counts.shape[1] - 1
    return Dispersion(max(1.0, chi_square / df), df) if df else Dispersion()


def _running(a: Stacks, b: Stacks) -> Floats:
    return _counts(a.leaves, b.leaves, SMALLEST_PIECE)


def _large(a: Stacks, b: Stacks) -> Floats:
    return _counts(a.leaves, b.leaves, LARGE * (a.samples + b.samples))


def _stages(a: Stacks, b: Stacks) -> Floats:
    found: tuple[Counter[str], Counter[str]] = Counter(), Counter()
    for side, counted in zip((a, b), found, strict=True):
        for stack, samples in side.counts.items():
            counted[stage_of(stack)] += samples
    return _counts(*found, SMALLEST_PIECE)


def _counts(a: Counter[Piece], b: Counter[Piece], smallest: float) -> Floats:
    """Samples [2, pieces]; those that have fewer are one piece together."""
    rows = np.array([(a[piece], b[piece]) for piece in a | b], dtype=float)
    rare = rows.sum(axis=1) < smallest
    rest = rows[rare].sum(axis=0, keepdims=True)
    return np.vstack([rows[~rare], rest[rest.sum(axis=1) >= SMALLEST_PIECE]]).T


def scale(a: Mapping[int, float], b: Mapping[int, float], *, exact: bool = False) -> Scale:
    """From costs by block: the blocks that both have; where there is none, the mean of each."""
    common = sorted(a.keys() & b.keys())
    costs = [
        np.array([side[block] for block in common] or [fmean(side.values())]) for side in (a, b)
    ]
    return Scale(costs[0], costs[1], exact)


def z(counts: Floats, samples: tuple[int, int], whole: Scale, phi: float) -> Floats:
    """
    The difference of each frame's cost, b less a, over its standard error; counts are [frames, 2].

    Sampling: phi C^2 p (1-p) / n of each side, binomial, with Laplace's p = (k+1) / (n+2), so that
    a frame nobody saw is not taken to be surely absent. Scale: the standard deviation over blocks
    of s_b C_b - s_a C_a, over sqrt(n), widened as Student's t is wider than the normal.
    """
    shares = counts / samples
    means = np.array([whole.a.mean(), whole.b.mean()])
    binomial = np.stack([_binomial(counts[:, i], samples[i]) for i in (0, 1)], axis=1)
    error = np.sqrt(phi * binomial @ means**2 + _scale_variance(shares, whole))
    difference: Floats = shares[:, 1] * means[1] - shares[:, 0] * means[0]
    found: Floats = np.divide(difference, error, out=np.zeros(len(error)), where=error > 0)
    return found


def _binomial(counts: Floats, samples: int) -> Floats:
    p = (counts + 1) / (samples + 2)
    # What is on every stack has no sampling error.
    variance: Floats = np.where(counts >= samples, 0.0, p * (1 - p) / samples)
    return variance


def _scale_variance(shares: Floats, whole: Scale) -> Floats:
    if whole.exact:
        return np.zeros(len(shares))
    costs = np.stack([whole.a, whole.b])  # [2, blocks]
    if whole.blocks < 2:
        variance: Floats = ASSUMED_SCALE**2 * np.sum((shares * costs[:, 0]) ** 2, axis=1)
        return variance
    by_block = np.outer(shares[:, 1], costs[1]) - np.outer(shares[:, 0], costs[0])
    widening = t_quantile(whole.blocks - 1) / float(ndtri((1 + CONFIDENCE) / 2))
    error: Floats = widening * by_block.std(axis=1, ddof=1) / sqrt(whole.blocks)
    return error**2


@cache
def threshold(looked_at: int, found: Dispersion) -> float:
    """
    The |z| that the largest of so many frames passes by chance in 5 % of comparisons.

    Sidak's adjustment (J. Am. Stat. Assoc. 62, 1967). Where the dispersion was estimated all z
    have its error in common: the studentized maximum modulus (Stoline and Ury, Technometrics 21,
    1979), whose probability is averaged over the quantiles of the estimate.
    """
    if looked_at < 1:
        return inf
    normal = float(-ndtri((1 - CONFIDENCE ** (1 / looked_at)) / 2))
    if not found.measured:
        return normal
    middles = (np.arange(QUANTILES) + 0.5) / QUANTILES
    estimates = np.sqrt(chdtri(found.df, middles) / found.df)
    low, high = normal, normal / float(estimates.min())
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        inside = float(np.mean((2 * ndtr(middle * estimates) - 1) ** looked_at))
        low, high = (middle, high) if inside < CONFIDENCE else (low, middle)
    return high
