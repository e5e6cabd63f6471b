"""
What a run has come to so far, for the line a second: counts, and percentiles to a few percent.

The summary does not use it: its percentiles are observed values, from all rows.
"""

from math import ceil
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

BUCKETS_PER_OCTAVE = 32
BUCKETS = 64 * BUCKETS_PER_OCTAVE


class Tally:
    """Counts of one process, or the sum of the workers'."""

    def __init__(self, measure_ns: int) -> None:
        self.measure_ns = measure_ns
        self.ok = self.errors = self.last_due_ns = self.last_done_ns = 0
        self.warmup: NDArray[np.int64] = np.zeros(BUCKETS, np.int64)
        self.measure: NDArray[np.int64] = np.zeros(BUCKETS, np.int64)

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a part."""
        due, done, status, error = (
            batch.column(name).to_numpy() for name in ("due_ns", "done_ns", "status", "error")
        )
        ok = (error == 0) & (status >= 200) & (status < 300)
        octaves = np.log2(np.maximum(done - due, 1)[ok])
        buckets = (octaves * BUCKETS_PER_OCTAVE).astype(np.int64)
        measured = due[ok] >= self.measure_ns
        self.measure += np.bincount(buckets[measured], minlength=BUCKETS)
        self.warmup += np.bincount(buckets[~measured], minlength=BUCKETS)
        self.ok += int(np.count_nonzero(ok))
        self.errors += int(np.count_nonzero(~ok))
        self.last_due_ns = max(self.last_due_ns, int(due.max()))
        self.last_done_ns = max(self.last_done_ns, int(done.max()))

    def as_message(self) -> dict[str, Any]:
        """What a worker sends to its master; only buckets in use."""
        pairs = {name: _sparse(getattr(self, name)) for name in ("warmup", "measure")}
        return {"ok": self.ok, "errors": self.errors, **pairs}

    def percentile_ms(self, p: float) -> float | None:
        """About the percentile of the measured time so far, or of the warm-up before it."""
        counts = self.measure if self.measure.any() else self.warmup
        total = int(counts.sum())
        if not total:
            return None
        bucket = int(np.searchsorted(np.cumsum(counts), max(1, ceil(p * total - 1e-9))))
        return round(float(2 ** ((bucket + 0.5) / BUCKETS_PER_OCTAVE)) / 1e6, 3)


def combined(messages: list[dict[str, Any]], measure_ns: int) -> Tally:
    """The sum of what the workers said last."""
    tally = Tally(measure_ns)
    for message in messages:
        tally.ok += message["ok"]
        tally.errors += message["errors"]
        for name in ("warmup", "measure"):
            for bucket, count in message[name]:
                getattr(tally, name)[bucket] += count
    return tally


def _sparse(counts: NDArray[np.int64]) -> list[list[int]]:
    used = np.flatnonzero(counts)
    return [[int(bucket), int(counts[bucket])] for bucket in used]
