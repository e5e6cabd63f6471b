"""
What a Triton did in one visit: how many inferences shared an execution, how long requests waited.

It comes from the counters of Triton's statistics extension, which only rise
(docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_statistics.html):
the increase of each over the measured window, interpolated between the readings next to its edges.
A counter that falls belongs to a server that was started again; then nothing is said.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

COVERED = 0.9  # the share of the window that must lie between the first reading and the last
GAP_NS = 2_000_000_000  # readings about its edges may be so far apart, or a tenth of a long one
ALL = 0  # the batch size under which a model's own counters stand
COMPUTE = ("compute_input", "compute_infer", "compute_output")
ENSEMBLE = "ensemble"  # what run.json has as its backend

Key = tuple[str, int]  # series and batch size


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of one model, each with one value a reading."""

    at_ns: NDArray[np.int64]
    values: Mapping[Key, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Use:
    """One model in one visit. Executions and inferences are interpolated, so they are no whole
    numbers; times are means over requests, as Triton gives no more."""

    model: str
    executions: float
    inferences: float
    queue_ms: float
    compute_input_ms: float
    compute_infer_ms: float
    compute_output_ms: float
    batch_sizes: Mapping[int, float]  # the share of inferences that ran in a batch of this size
    ensemble: bool = False  # it hands its requests to other models, one by one

    @property
    def average_batch(self) -> float | None:
        """As Triton's documentation of its metrics reckons it; None of an ensemble."""
        return None if self.ensemble else self.inferences / self.executions

    @property
    def compute_ms(self) -> float:
        """The model's execution with the copies before and after it."""
        return self.compute_input_ms + self.compute_infer_ms + self.compute_output_ms

    @property
    def queue_share(self) -> float:
        whole = self.queue_ms + self.compute_ms
        return self.queue_ms / whole if whole > 0 else 0.0


def counters(rows: Iterable[tuple[int, str, str, float]]) -> dict[str, Counters]:
    """Moment, series, labels and value of every reading, by model; its versions are added up."""
    found: dict[str, dict[Key, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    known: dict[str, tuple[str, int]] = {}
    for at_ns, series, labels, value in rows:
        if labels not in known:
            named = json.loads(labels)
            known[labels] = str(named["model"]), int(named.get("batch_size", ALL))
        model, size = known[labels]
        values = found[model][series, size]
        values[at_ns] = values.get(at_ns, 0.0) + value
    return {model: _aligned(series) for model, series in found.items()}


def _aligned(series: Mapping[Key, Mapping[int, float]]) -> Counters:
    """Before its first execution a batch size is not there: its counters are 0."""
    at = sorted({moment for values in series.values() for moment in values})
    arrays = {
        key: np.array([values.get(moment, 0.0) for moment in at]) for key, values in series.items()
    }
    return Counters(np.array(at, dtype=np.int64), arrays)


def increase(found: Counters, start_ns: int, end_ns: int) -> dict[Key, float] | None:
    """By how much each counter rose in a window; None if that cannot be told."""
    at = found.at_ns
    start, end = max(start_ns, int(at[0])), min(end_ns, int(at[-1]))
    if end <= start or end - start < COVERED * (end_ns - start_ns):
        return None
    low = int(np.searchsorted(at, start, side="right")) - 1
    high = int(np.searchsorted(at, end, side="left"))
    # Between readings that are far apart, much of what lies outside would be taken for inside.
    before = int(at[low + 1] - at[low]) if start > at[low] else 0
    after = int(at[high] - at[high - 1]) if end < at[high] else 0
    if max(before, after) > max(GAP_NS, (1 - COVERED) * (end_ns - start_ns)):
        return None
    if any(np.any(np.diff(values[low : high + 1]) < 0) for values in found.values.values()):
        return None
    # From the first reading on: nanoseconds since 1970 are too many digits for a float.
    moments = (at - at[0]).astype(np.float64)
    edges = [start - int(at[0]), end - int(at[0])]
    risen = {key: np.interp(edges, moments, values) for key, values in found.values.items()}
    return {key: float(last - first) for key, (first, last) in risen.items()}


def use(
    model: str, found: Counters, start_ns: int, end_ns: int, *, ensemble: bool = False
) -> Use | None:
    """What a model did in a window; None if it did not run, or if that cannot be told."""
    risen = increase(found, start_ns, end_ns)
    # Less than one is what the interpolation leaves of an execution outside the window.
    if risen is None or risen.get(("execution_count", ALL), 0.0) < 0.5:
        return None
    times = {name: _mean_ms(risen, name) for name in ("success", "queue", *COMPUTE)}
    # An ensemble's requests wait in the queues of its steps, of which its own counter knows
    # nothing; its times of computing are those of its steps, so that the rest is what was waited.
    waited_ms = max(0.0, times["success"] - sum(times[name] for name in COMPUTE))
    return Use(
        model=model,
        executions=risen["execution_count", ALL],
        inferences=risen.get(("inference_count", ALL), 0.0),
        queue_ms=waited_ms if ensemble else times["queue"],
        compute_input_ms=times["compute_input"],
        compute_infer_ms=times["compute_infer"],
        compute_output_ms=times["compute_output"],
        batch_sizes=_sizes(risen),
        ensemble=ensemble,
    )


def _mean_ms(risen: Mapping[Key, float], name: str) -> float:
    count = risen.get((f"inference_stats.{name}.count", ALL), 0.0)
    total_ns = risen.get((f"inference_stats.{name}.ns", ALL), 0.0)
    return total_ns / count / 1e6 if count > 0 else 0.0


def _sizes(risen: Mapping[Key, float]) -> dict[int, float]:
    """A batch of 8 is one execution and eight inferences."""
    inferences = {
        size: size * executions
        for (name, size), executions in sorted(risen.items())
        if name == "batch_stats.compute_infer.count" and executions > 0
    }
    total = sum(inferences.values())
    return {size: count / total for size, count in inferences.items()}


def uses(
    found: Mapping[str, Counters], start_ns: int, end_ns: int, ensembles: Collection[str] = ()
) -> dict[str, Use]:
    """Every model that ran in a window."""
    all_of_them = (
        use(model, each, start_ns, end_ns, ensemble=model in ensembles)
        for model, each in sorted(found.items())
    )
    return {each.model: each for each in all_of_them if each is not None}


def server(run: Mapping[str, Any], variant: str) -> dict[str, Any]:
    """What run.json says of a variant's Triton; nothing, if it had none or nothing is said."""
    service = (run.get("services") or {}).get(variant)
    found = service.get("triton") if isinstance(service, dict) else None
    return found if isinstance(found, dict) else {}


def configured(run: Mapping[str, Any], variant: str) -> dict[str, dict[str, Any]]:
    """How a variant's models are configured, as far as run.json says."""
    models = server(run, variant).get("models")
    if not isinstance(models, dict):
        return {}
    return {name: facts for name, facts in models.items() if isinstance(facts, dict)}


def allowed(run: Mapping[str, Any], variant: str, model: str) -> tuple[float, float]:
    """The largest batch that a model may run, and for how many milliseconds it waits for one."""
    facts = configured(run, variant).get(model, {})
    found = (facts.get("max_batch_size"), facts.get("queue_delay_us"))
    largest, delay_us = (value if isinstance(value, int | float) else 0 for value in found)
    return largest, delay_us / 1000


def ensembles(run: Mapping[str, Any], variant: str) -> set[str]:
    """The models of a variant that only hand on to others."""
    models = configured(run, variant)
    return {name for name, facts in models.items() if facts.get("backend") == ENSEMBLE}
