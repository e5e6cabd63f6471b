"""
What a count of samples comes to on each side: its cost a request, its share, its noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from analysis.flame import noise
from analysis.flame.noise import Dispersion, Floats, Scale
from analysis.flame.profiles import OWN, Profile, calibrated_apart
from analysis.flame.stacks import Stacks


@dataclass(frozen=True, slots=True)
class Costs:
    """What a sample of each side costs, and what of a difference is noise."""

    samples: tuple[int, ...]
    totals: tuple[float, ...]
    whole: Scale | None  # None: one profile, or nothing to compare with
    dispersion: Dispersion

    def cost(self, samples: Sequence[int]) -> list[float]:
        """Of a frame on each side, in the unit of the totals."""
        found = zip(samples, self.samples, self.totals, strict=True)
        return [count / of * total for count, of, total in found]

    def share(self, samples: Sequence[int]) -> list[float]:
        return [count / of for count, of in zip(samples, self.samples, strict=True)]

    def z(self, samples: Sequence[Sequence[int]]) -> list[float | None]:
        """Of many frames at once; None for one profile."""
        if self.whole is None:
            return [None] * len(samples)
        counts: Floats = np.array(samples, dtype=float).reshape(-1, 2)
        of = self.samples[0], self.samples[1]
        found = noise.z(counts, of, self.whole, self.dispersion.phi)
        return [float(value) for value in found]

    def differ(self, among: int = 1, *, times: float = 1.0) -> bool:
        """
        Whether the wholes differ beyond the noise, of which the blocks are all.

        As the largest difference *among* so many that were looked at; so many *times* beyond it.
        """
        (z,) = self.z([self.samples])
        return z is not None and abs(z) > times * noise.threshold(among, Dispersion())


def costs_of(sides: Sequence[Profile], pairs: Sequence[tuple[Stacks, Stacks]]) -> Costs:
    """
    Of one profile or two; where one does not know its CPU time, both are shares of 1.

    *pairs* are stacks of copies of one service, from which the noise is measured.
    """
    known = all(side.cpu_ms for side in sides)
    samples = tuple(side.stacks.samples for side in sides)
    by_block = _by_block(sides) if known else [{OWN: 1.0} for _ in sides]
    dispersion = _dispersion(sides, pairs)
    if len(by_block) == 1:
        return Costs(samples, (fmean(by_block[0].values()),), None, dispersion)
    whole = noise.scale(by_block[0], by_block[1], exact=not known)
    return Costs(samples, (float(whole.a.mean()), float(whole.b.mean())), whole, dispersion)


def _by_block(sides: Sequence[Profile]) -> list[Mapping[int, float]]:
    """Both from measured repeats, or both from the profiled window, where that can be had."""
    own = [side.own_cpu_ms for side in sides]
    if calibrated_apart(sides) and all(own):
        return [{OWN: cost} for cost in own if cost]
    return [side.cpu_ms for side in sides]


def _dispersion(sides: Sequence[Profile], pairs: Sequence[tuple[Stacks, Stacks]]) -> Dispersion:
    measured = noise.dispersion(pairs)
    if measured.measured:
        return measured
    told = [found for side in sides if (found := side.samples_a_request) is not None]
    return noise.assumed(max(told, default=None))
