"""
The slowest requests of a repeat with their trace ids: the way from a percentile to its traces.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtests import samples, traces

COUNT = 10


def slowest(path: Path, trace_ratio: float, count: int = COUNT) -> list[dict[str, Any]]:
    """
    Those measured requests that took longest from when they were due, the slowest first.

    Whether one asked to be traced follows from its id and the share that was asked for.
    """
    table = samples.read(path).table
    table = table.filter(pc.equal(pc.cast(table["phase"], pa.string()), "measure"))
    took_ns = pc.subtract(table["done_ns"], table["due_ns"]).to_numpy()
    first = np.argsort(-took_ns, kind="stable")[:count]
    least = traces.least_sampled(trace_ratio)
    columns = ("trace_id", "status", "error", "due_ns", "image")
    return [
        {
            "trace_id": row["trace_id"],
            "sampled": bool(row["trace_id"]) and traces.is_sampled(row["trace_id"], least),
            "latency_ms": round(ns / 1e6, 3),
            **{name: row[name] for name in columns[1:]},
        }
        for row, ns in zip(
            table.select(columns).take(first).to_pylist(), took_ns[first].tolist(), strict=True
        )
    ]
