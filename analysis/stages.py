"""
Why: which stage of the service the time goes to, and which one makes a difference.

The service says with every answer how long each of its stages took. Means of a set of requests
add up, percentiles do not; so a percentile is explained by the means of the requests about it:
those that lie in its own order-statistic interval. What no stage accounts for (network, waiting
for the event loop, parsing) is shown as the rest and never shared out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from analysis.compare import t_quantile
from analysis.latency import Percentile
from loadtests.samples import STAGES

REST = "rest"
MEAN = "mean"
ORDER = (*STAGES, REST)


@dataclass(frozen=True, slots=True)
class Mix:
    """Mean times in ms of some requests of one repeat; the stages and the rest make the total."""

    n: int
    total_ms: float
    stages_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Part:
    """A difference in ms with its 95 % interval over blocks, and its share of the whole."""

    stage: str
    ms: float
    low_ms: float
    high_ms: float
    share: float  # of the total difference; beyond 1 where other stages went the other way

    @property
    def shown(self) -> bool:
        """Whether its interval excludes 0."""
        return self.low_ms > 0 or self.high_ms < 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where one time exceeds another, stage by stage; the parts add up to the total."""

    total: Part
    parts: tuple[Part, ...]  # in the order in which a request passes them, the rest last
    before_ms: float  # means over the blocks: what the difference is between
    after_ms: float
    blocks: int


def mixes(
    response_ms: NDArray[np.float64],
    stages_ms: Mapping[str, NDArray[np.float64]],
    censored: NDArray[np.bool_],
    percentiles: Mapping[str, Percentile],
) -> dict[str, Mix]:
    """
    The means of all requests of a repeat, and of those about each of its percentiles.

    Arrays have one entry a request, times are ms; NaN is a stage that an answer did not name.
    Empty for a service that names none.
    """
    if not stages_ms:
        return {}
    told = ~censored & ~np.logical_and.reduce([np.isnan(ms) for ms in stages_ms.values()])
    ranges = {MEAN: (-inf, inf)} | {
        key: (found.low_ms, found.high_ms) for key, found in percentiles.items()
    }
    found = {
        key: _mix(response_ms, stages_ms, told & (response_ms >= low) & (response_ms <= high))
        for key, (low, high) in ranges.items()
    }
    return {key: mix for key, mix in found.items() if mix is not None}


def _mix(
    response_ms: NDArray[np.float64],
    stages_ms: Mapping[str, NDArray[np.float64]],
    chosen: NDArray[np.bool_],
) -> Mix | None:
    n = int(np.count_nonzero(chosen))
    if not n:
        return None
    total_ms = float(np.mean(response_ms[chosen]))
    # A request that did not pass a stage spent nothing in it.
    stages = {stage: float(np.nansum(ms[chosen])) / n for stage, ms in stages_ms.items()}
    return Mix(n, total_ms, {**stages, REST: total_ms - sum(stages.values())})


def explain(pairs: Sequence[tuple[Mix, Mix]]) -> Explanation | None:
    """
    The second of each pair less the first, in ms: means over blocks with paired t intervals.

    Differences in ms add up over the stages, which ratios do not; None without a pair.
    """
    if not pairs:
        return None
    before, after = ([side.total_ms for side in sides] for sides in zip(*pairs, strict=True))
    totals = np.subtract(after, before)
    names = {name for pair in pairs for mix in pair for name in mix.stages_ms}
    whole = float(np.mean(totals))
    parts = tuple(
        _part(
            name,
            np.array([b.stages_ms.get(name, 0.0) - a.stages_ms.get(name, 0.0) for a, b in pairs]),
            whole,
        )
        for name in ORDER
        if name in names
    )
    total = _part("total", totals, whole)
    return Explanation(total, parts, float(np.mean(before)), float(np.mean(after)), len(pairs))


def _part(stage: str, differences_ms: NDArray[np.float64], whole_ms: float) -> Part:
    n, ms = len(differences_ms), float(np.mean(differences_ms))
    half = t_quantile(n - 1) * float(np.std(differences_ms, ddof=1)) / sqrt(n) if n > 1 else inf
    return Part(stage, ms, ms - half, ms + half, ms / whole_ms if whole_ms else 0.0)
