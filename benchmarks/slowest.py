"""
The slowest requests of a repeat with their trace ids: the way from a percentile to its traces.

A repeat may have millions of rows. Three columns are gone through in batches; of the others only
the row groups that hold what was found are read.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from loadtests import samples, traces

COUNT = 10
BATCH_ROWS = 1 << 16
COLUMNS = ("trace_id", "status", "error", "due_ns", "image")


def slowest(path: Path, trace_ratio: float, count: int = COUNT) -> list[dict[str, Any]]:
    """
    Those measured requests that took longest from when they were due, the slowest first.

    Whether one asked to be traced follows from its id and the share that was asked for.
    """
    least = traces.least_sampled(trace_ratio)
    with samples.scan(path) as file, samples.whole(path):
        took_ns, places = _longest(file, count)
        rows = _rows(file, places)
    return [
        {
            "trace_id": row["trace_id"],
            "sampled": bool(row["trace_id"]) and traces.is_sampled(row["trace_id"], least),
            "latency_ms": round(ns / 1e6, 3),
            **{name: row[name] for name in COLUMNS[1:]},
        }
        for row, ns in zip(rows, took_ns.tolist(), strict=True)
    ]


def _longest(file: pq.ParquetFile, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The longest times, and the places of their rows; of equal ones the first in the file."""
    took_ns, places = np.empty(0, np.int64), np.empty(0, np.int64)
    passed = 0
    for batch in file.iter_batches(BATCH_ROWS, columns=["due_ns", "done_ns", "phase"]):
        measured = pc.equal(pc.cast(batch["phase"], pa.string()), "measure")
        these_ns = pc.subtract(batch["done_ns"], batch["due_ns"]).to_numpy()
        found = measured.to_numpy(zero_copy_only=False)
        if len(took_ns) == count:
            found &= these_ns > took_ns[-1]
        (at,) = np.nonzero(found)
        took_ns = np.concatenate([took_ns, these_ns[at]])
        places = np.concatenate([places, passed + at])
        first = np.argsort(-took_ns, kind="stable")[:count]
        took_ns, places = took_ns[first], places[first]
        passed += batch.num_rows
    return took_ns, places


def _rows(file: pq.ParquetFile, places: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The rows at these places, in their order."""
    rows: dict[int, dict[str, Any]] = {}
    end = 0
    for group in range(file.metadata.num_row_groups):
        begin, end = end, end + file.metadata.row_group(group).num_rows
        if not np.any((places >= begin) & (places < end)):
            continue
        for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=COLUMNS):
            wanted = places[(places >= begin) & (places < begin + batch.num_rows)]
            rows |= zip(wanted.tolist(), batch.take(wanted - begin).to_pylist(), strict=True)
            begin += batch.num_rows
    return [rows[place] for place in places.tolist()]
