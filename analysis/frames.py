"""
Records to arrays: the only reading that the analysis does.

A `Repeat` holds what one visit to a cell measured. Latencies are those of requests that were
answered well, and of requests that were given up (censored: "at least this long"). A request
that failed fast has no latency to speak of; it counts as an error, never as a fast answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis import batching
from analysis.batching import Use
from analysis.latency import AnalysisError
from benchmarks import metrics
from benchmarks.record import Record, Visit
from benchmarks.triton.statistics import STATISTICS
from loadtests import samples

MS = 1e6  # nanoseconds


@dataclass(frozen=True, slots=True)
class Repeat:
    """One measured visit. The arrays have one entry a request that was due in the window."""

    variant: str
    level: str
    repeat: int
    response_ms: NDArray[np.float64]  # from when it was due
    service_ms: NDArray[np.float64]  # from when it was sent
    censored: NDArray[np.bool_]
    due_s: NDArray[np.float64]  # since the window opened
    counts: dict[str, int]  # by outcome, of every request due in the window
    window_s: float
    throughput_rps: float
    send_lag_p99_ms: float
    facts: dict[str, Any]  # cell.json
    triton: dict[str, Use] = field(default_factory=dict)  # by model; none if none was recorded

    @property
    def issued(self) -> int:
        return sum(self.counts.values())

    @property
    def error_share(self) -> float:
        """The share of requests that did not get a good answer, time-outs included."""
        failed = self.issued - self.counts["ok"]
        return failed / self.issued if failed else 0.0


def repeats(record: Record) -> Iterator[Repeat]:
    """Every completed visit of a record, one at a time: only one sample file is in memory."""
    for visit in record.completed():
        yield read(record, visit)


def read(record: Record, visit: Visit) -> Repeat:
    remedy = f"delete {record.path / visit.folder}, then `windtunnel run --resume {record.path}`"
    data = samples.read(record.samples(visit), remedy)
    window_s = data.window.duration_s
    if window_s <= 0:
        raise AnalysisError(
            f"{record.samples(visit)}: the measured window is {window_s:g} s long;"
            f" expected more than 0; {remedy}"
        )
    due, sent, done = (_numbers(data.table, name) for name in ("due_ns", "sent_ns", "done_ns"))
    start, end = data.window.measure_start_ns, data.window.measure_end_ns
    outcomes = _outcomes(data.table)
    measured = (due >= start) & (due < end)
    given_up = outcomes["timeout"] | outcomes["censored"]
    timed = measured & (given_up | outcomes["ok"])
    completed = outcomes["ok"] & (done >= start) & (done < end)
    return Repeat(
        variant=visit.variant,
        level=visit.level,
        repeat=visit.repeat,
        response_ms=(done[timed] - due[timed]) / MS,
        service_ms=(done[timed] - sent[timed]) / MS,
        censored=given_up[timed],
        due_s=(due[timed] - start) / 1e9,
        counts={name: int(np.count_nonzero(measured & is_it)) for name, is_it in outcomes.items()},
        window_s=window_s,
        throughput_rps=float(np.count_nonzero(completed)) / window_s,
        send_lag_p99_ms=_send_lag_p99_ms((sent - due)[measured & outcomes["ok"]]),
        facts=record.facts(visit),
        triton=_triton(record, visit, data.window),
    )


def _triton(record: Record, visit: Visit, window: samples.Window) -> dict[str, Use]:
    """What its models did in the window, which is on another clock than the readings."""
    path = record.metrics(visit)
    if path is None:
        return {}
    table = metrics.of_source(metrics.read(path), STATISTICS)
    columns = [table[name].to_pylist() for name in ("at_unix_ns", "series", "labels", "value")]
    found = batching.counters(zip(*columns, strict=True))
    zero = window.start_unix_ns
    start_ns, end_ns = zero + window.measure_start_ns, zero + window.measure_end_ns
    return batching.uses(found, start_ns, end_ns, batching.ensembles(record.run, visit.variant))


def _outcomes(table: Any) -> dict[str, NDArray[np.bool_]]:
    """For each outcome, which rows have it; by number, as a million texts are slow to compare."""
    encoded = samples.outcome(table).dictionary_encode()
    numbers, names = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
    number_of = {name: number for number, name in enumerate(names)}
    return {name: numbers == number_of.get(name, -1) for name in samples.OUTCOMES}


def _numbers(table: Any, name: str) -> NDArray[np.int64]:
    values: NDArray[np.int64] = table.column(name).to_numpy()
    return values


def _send_lag_p99_ms(lag_ns: NDArray[np.int64]) -> float:
    """A check of the generator, not a reported percentile: any number of requests will do."""
    if not len(lag_ns):
        return 0.0
    return float(np.quantile(lag_ns, 0.99, method="inverted_cdf")) / MS
