"""
The values behind a claim: one number a block, from the repeats of a record or a component's result.

Of a record: `mean`, `p50`, `p95`, `p99` (ms of response time), `throughput` (req/s), `cpu` (ms of
CPU a request, of the service's processes), `memory` and `memory_per_worker` (MB, the largest sum of
resident memory), `errors`, `timed` (shares of requests and of answers, counted), `restart_errors`
(the same as errors, if more processes were seen than of the variant it is against), `infer_share`
(% of the mean), `outside_infer` (ms of the mean), and the mean of stages (`decode+preprocess`).
Of a component: `value`, in its case's unit, or `mb_per_s`.
"""

from collections.abc import Callable
from functools import partial

from analysis.cells import THROUGHPUT, Visited
from analysis.costs import visit_cpu_ms, visit_memory_mb
from analysis.stages import MEAN
from loadtests.samples import STAGES

PERCENTILES = ("p50", "p95", "p99")
COUNTED = ("errors", "restart_errors", "timed")
MORE_IS_BETTER = (THROUGHPUT, "mb_per_s")
UNITS = {
    **dict.fromkeys(("mean", *PERCENTILES, "cpu", "outside_infer"), "ms"),
    **dict.fromkeys(("memory", "memory_per_worker"), "MB"),
    **dict.fromkeys(("infer_share", *COUNTED), "%"),
    THROUGHPUT: "req/s",
}


def is_measure(source: str, name: str) -> bool:
    """Whether a record (`campaign`) or a component has such a measure."""
    if source == "component":
        return name in ("value", "mb_per_s")
    return name in UNITS or all(stage in STAGES for stage in name.split("+"))


def value_of(visit: Visited, measure: str, workers: float | None = None) -> float | None:
    """One measure of one repeat; None where it cannot be told, as among requests given up."""
    if measure in PERCENTILES or measure == THROUGHPUT:
        found = visit.value(measure)
        return None if found is None or found.at_least else found.value
    if measure == "memory_per_worker":
        memory = visit_memory_mb(visit, own=True)
        return memory / workers if memory and workers else None
    read = _READERS.get(measure)
    return read(visit) if read else _stages(visit, measure.split("+"))


def _stages(visit: Visited, stages: list[str]) -> float | None:
    mix = visit.mixes.get(MEAN)
    if mix is None or not any(stage in mix.stages_ms for stage in stages):
        return None
    return sum(mix.stages_ms.get(stage, 0.0) for stage in stages)


def _mean(visit: Visited) -> float | None:
    """Of all requests: with one that was given up, the mean is not known."""
    given_up = visit.counts.get("timeout", 0) + visit.counts.get("censored", 0)
    mix = visit.mixes.get(MEAN)
    return mix.total_ms if mix and not given_up else None


def _outside_infer(visit: Visited) -> float | None:
    mean, infer = _mean(visit), _stages(visit, ["infer"])
    return None if mean is None or infer is None else mean - infer


def _infer_share(visit: Visited) -> float | None:
    mean, infer = _mean(visit), _stages(visit, ["infer"])
    return None if not mean or infer is None else 100 * infer / mean


_READERS: dict[str, Callable[[Visited], float | None]] = {
    "mean": _mean,
    "cpu": partial(visit_cpu_ms, own=True),
    "memory": partial(visit_memory_mb, own=True),
    "infer_share": _infer_share,
    "outside_infer": _outside_infer,
}
