"""
Requests of another tool as a sample file: its columns, with nothing in them that nobody said.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.imports.found import NS, Columns, Found
from benchmarks.imports.source import Source
from loadtests.samples import ERRORS, PHASES, SCHEMA, Window

UNKNOWN = -1  # which client sent a request


def rows(source: Source, found: Found, warmup_s: float) -> tuple[pa.Table, Window]:
    """
    One row a request, due when it was sent, and the window in which requests began.

    The time zero is when the load began. A ForeignFileError if the warm-up leaves nothing.
    """
    columns, (begin, end) = found.requests, found.span_ns
    assert columns is not None
    start_ns = begin + round(warmup_s * NS)
    measured = columns.begun_ns >= start_ns
    if start_ns >= end - 1 or not measured.any():
        load = f"a load of {(end - begin) / NS:.1f} s"
        raise source.wrong(load, f"more than --warmup {warmup_s:g}s", "give a shorter one")
    window = Window(found.start_unix_ns or 0, start_ns - begin, end - begin)
    return _table(columns, begin, measured), window


def _table(columns: Columns, zero_ns: int, measured: NDArray[np.bool_]) -> pa.Table:
    begun_ns, n = columns.begun_ns - zero_ns, len(columns.begun_ns)
    values: dict[str, Any] = {
        "due_ns": begun_ns,
        "sent_ns": begun_ns,
        "done_ns": begun_ns + columns.took_ns,
        "status": columns.status,
        "error": _names(columns.error, ERRORS),
        "bytes_in": columns.bytes_in,
        "bytes_out": columns.bytes_out,
        "image": _names(np.zeros(n, np.int8), ("",)),
        "client": np.full(n, UNKNOWN, np.int32),
        "phase": _names(measured.astype(np.int8), PHASES),
    }
    arrays = [
        pa.array(values[field.name]).cast(field.type)
        if field.name in values
        else pa.nulls(n, field.type)
        for field in SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _names(places: NDArray[np.int8], names: tuple[str, ...]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32)), pa.array(names))
