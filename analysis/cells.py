"""
What is said about one repeat and about one cell: percentiles, throughput, counts, facts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, median, median_high
from typing import Any

import numpy as np

from analysis.batching import Use
from analysis.compare import Value
from analysis.frames import Repeat
from analysis.latency import Percentile, min_count, percentiles
from analysis.objective import Objective
from analysis.stages import ORDER, Mix, mixes
from analysis.steady import Trend, trend

THROUGHPUT = "throughput"
NO_ANSWER = "one repeat has no good answer"
NOT_REPORTED = "the tool that measured it does not tell this percentile"


@dataclass(frozen=True, slots=True)
class Visited:
    """One repeat, reduced to what is said about it; its samples need not stay in memory."""

    variant: str
    level: str
    repeat: int
    requests: int  # with a latency, censored ones included
    counts: dict[str, int]
    error_share: float
    window_s: float
    throughput_rps: float
    send_lag_p99_ms: float
    percentiles: dict[str, Percentile]  # by measure; those with too few requests are not there
    service_percentiles: dict[str, Percentile]
    trend: Trend | None
    mixes: dict[str, Mix]  # by measure, and "mean"; none if the service names no stages
    over_slo: int | None  # failed, given up, or slower than the SLO's limit; None without an SLO
    facts: dict[str, Any]
    triton: dict[str, Use]

    def value(self, measure: str) -> Value | None:
        if measure == THROUGHPUT:
            return Value(self.throughput_rps) if self.throughput_rps > 0 else None
        found = self.percentiles.get(measure)
        # Answers of 0 ms do not happen; a clock that says so has no logarithm.
        return Value(found.value_ms, found.at_least) if found and found.value_ms > 0 else None


@dataclass(frozen=True, slots=True)
class Cell:
    """One variant at one level of load."""

    variant: str
    level: str
    visits: tuple[Visited, ...]

    def value(self, measure: str) -> Value | None:
        """The median over repeats; None if one repeat has too few requests to say."""
        values = [visit.value(measure) for visit in self.visits]
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return None
        numbers = [value.value for value in known]
        upper = median_high(numbers)
        return Value(median(numbers), any(v.at_least and v.value <= upper for v in known))

    def lack(self, measure: str) -> str:
        """Why the cell has no value of this measure."""
        if measure == THROUGHPUT:
            return NO_ANSWER
        needed = min_count(float(measure.removeprefix("p")))
        if self.visits and self.fewest_requests >= needed:
            return NOT_REPORTED
        return f"{measure.upper()} needs {needed} requests in each repeat"

    def mix(self, measure: str) -> dict[str, float] | None:
        """By stage, the mean over repeats in ms: medians would not add up."""
        found = [visit.mixes[measure] for visit in self.visits if measure in visit.mixes]
        if not found or len(found) < len(self.visits):
            return None
        names = {name for mix in found for name in mix.stages_ms}
        return {
            name: fmean(mix.stages_ms.get(name, 0.0) for mix in found)
            for name in ORDER
            if name in names
        }

    @property
    def failed(self) -> tuple[int, int]:
        """Requests without a good answer, of so many, in all repeats."""
        issued = sum(sum(visit.counts.values()) for visit in self.visits)
        return issued - sum(visit.counts["ok"] for visit in self.visits), issued

    @property
    def fewest_requests(self) -> int:
        return min((visit.requests for visit in self.visits), default=0)


def reduce(repeat: Repeat, qs: Iterable[float], slo: Objective | None = None) -> Visited:
    """What is said about a repeat, at those percentiles for which it has enough requests."""
    wanted = [q for q in qs if len(repeat.response_ms) >= min_count(q)]
    response, service, censored = repeat.response_ms, repeat.service_ms, repeat.censored
    found = _by_measure(percentiles(response, wanted, censored))
    return Visited(
        variant=repeat.variant,
        level=repeat.level,
        repeat=repeat.repeat,
        requests=len(response),
        counts=repeat.counts,
        error_share=repeat.error_share,
        window_s=repeat.window_s,
        throughput_rps=repeat.throughput_rps,
        send_lag_p99_ms=repeat.send_lag_p99_ms,
        percentiles=found,
        service_percentiles=_by_measure(percentiles(service, wanted, censored)),
        trend=trend(response, censored, repeat.due_s, repeat.window_s),
        mixes=mixes(response, repeat.stages_ms, censored, found),
        over_slo=None if slo is None else _over(repeat, slo.limit_ms),
        facts=repeat.facts,
        triton=repeat.triton,
    )


def _by_measure(found: Iterable[Percentile]) -> dict[str, Percentile]:
    return {percentile_key(each.q): each for each in found}


def _over(repeat: Repeat, limit_ms: float) -> int:
    """Every request that was not answered well within the limit."""
    within = np.count_nonzero(~repeat.censored & (repeat.response_ms <= limit_ms))
    return repeat.issued - int(within)


def percentile_key(q: float) -> str:
    """`p95`, `p99.9`: the name of a measure in tables and files."""
    return f"p{q:g}"
