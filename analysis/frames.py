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
import pyarrow as pa
from numpy.typing import NDArray

from analysis import batching
from analysis.batching import Use
from analysis.latency import AnalysisError
from benchmarks import metrics
from benchmarks.record import Record, Visit
from benchmarks.triton.statistics import STATISTICS
from loadtests import samples

MS = 1e6  # nanoseconds
US = 1e3  # microseconds of a millisecond
STAGE_COLUMNS = {stage: f"stage_{stage}_us" for stage in samples.STAGES}
OK = samples.OUTCOMES.index("ok")
GIVEN_UP = [samples.OUTCOMES.index(name) for name in ("timeout", "censored")]


@dataclass(frozen=True, slots=True, weakref_slot=True)
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
    # When those requests were due that failed at once; they have no entry in the other arrays.
    failed_s: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    # By stage, one entry a request like response_ms; NaN where the answer did not say.
    stages_ms: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    triton: dict[str, Use] = field(default_factory=dict)  # by model; none if none was recorded

    @property
    def issued(self) -> int:
        return sum(self.counts.values())

    @property
    def error_share(self) -> float:
        """The share of requests that did not get a good answer, time-outs included."""
        failed = self.issued - self.counts["ok"]
        return failed / self.issued if failed else 0.0


def read(record: Record, visit: Visit) -> Repeat:
    remedy = f"delete {record.path / visit.folder}, then `windtunnel run --resume {record.path}`"
    data = samples.read(record.samples(visit), remedy, STAGE_COLUMNS.values())
    window_s = data.window.duration_s
    if window_s <= 0:
        raise AnalysisError(
            f"{record.samples(visit)}: the measured window is {window_s:g} s long;"
            f" expected more than 0; {remedy}"
        )
    times = (samples.integers(data.table[name]) for name in ("due_ns", "sent_ns", "done_ns"))
    due, sent, done = times
    start, end = data.window.measure_start_ns, data.window.measure_end_ns
    outcomes = samples.outcomes(data.table)
    ok = outcomes == OK
    measured = (due >= start) & (due < end)
    given_up = np.isin(outcomes, GIVEN_UP)
    (timed,) = np.nonzero(measured & (given_up | ok))
    completed = ok & (done >= start) & (done < end)
    counted = np.bincount(outcomes[measured], minlength=len(samples.OUTCOMES))
    return Repeat(
        variant=visit.variant,
        level=visit.level,
        repeat=visit.repeat,
        response_ms=(done[timed] - due[timed]) / MS,
        service_ms=(done[timed] - sent[timed]) / MS,
        censored=given_up[timed],
        due_s=(due[timed] - start) / 1e9,
        counts=dict(zip(samples.OUTCOMES, counted.tolist(), strict=True)),
        window_s=window_s,
        throughput_rps=float(np.count_nonzero(completed)) / window_s,
        send_lag_p99_ms=_send_lag_p99_ms((sent - due)[measured & ok]),
        facts=record.facts(visit),
        failed_s=(due[measured & ~ok & ~given_up] - start) / 1e9,
        stages_ms=dict(_stages(data.table, timed)),
        triton=_triton(record, visit, data.window),
    )


def _stages(table: pa.Table, timed: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Those stages of which at least one request says how long they took."""
    for stage, name in STAGE_COLUMNS.items():
        column = table[name]
        if column.null_count < len(column):
            yield stage, samples.floats(column)[timed] / US


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


def _send_lag_p99_ms(lag_ns: NDArray[np.int64]) -> float:
    """A check of the generator, not a reported percentile: any number of requests will do."""
    if not len(lag_ns):
        return 0.0
    return float(np.quantile(lag_ns, 0.99, method="inverted_cdf")) / MS
