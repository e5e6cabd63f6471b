"""
The sample file: one row for each request, written by the load generators and read by the analysis.

Times are nanoseconds since the generator's t0, on its monotonic clock. The columns are explained in
`loadtests/README.md`; SCHEMA is what the file must hold. VERSION 1 is the first; early files of it
lack the accounting.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

VERSION = "1"
VERSION_KEY = b"windtunnel.samples"
WINDOW_KEY = b"windtunnel.window"
ACCOUNTING_KEY = b"windtunnel.accounting"

# In the order in which a request passes them; `queue` is the wait for a worker thread.
STAGES = ("queue", "receive", "decode", "preprocess", "infer", "postprocess", "serialize")

# What is needed to know when a request was due, what became of it and whether it counts.
TIMES = ("due_ns", "sent_ns", "done_ns", "status", "error", "phase")

ERRORS = ("", "connect", "reset", "closed", "protocol", "timeout", "censored")
PHASES = ("warmup", "measure")
OUTCOMES = ("ok", "http_error", "transport_error", "timeout", "censored")

_NAME = pa.dictionary(pa.int32(), pa.string())

SCHEMA = pa.schema(
    [
        pa.field("due_ns", pa.int64(), nullable=False),
        pa.field("sent_ns", pa.int64(), nullable=False),
        pa.field("first_byte_ns", pa.int64()),
        pa.field("done_ns", pa.int64(), nullable=False),
        pa.field("status", pa.int32(), nullable=False),
        pa.field("error", _NAME, nullable=False),
        pa.field("bytes_in", pa.int64(), nullable=False),
        pa.field("bytes_out", pa.int64(), nullable=False),
        pa.field("image", _NAME, nullable=False),
        pa.field("client", pa.int32(), nullable=False),
        *(pa.field(f"stage_{stage}_us", pa.int32()) for stage in STAGES),
        pa.field("trace_id", pa.string()),
        pa.field("phase", _NAME, nullable=False),
    ]
)


class SamplesError(Exception):
    """A sample file that cannot be trusted; the message is for a person."""


@dataclass(frozen=True, slots=True)
class Window:
    """When was measured: the wall clock at t0, and the measured time on the samples' clock."""

    start_unix_ns: int
    measure_start_ns: int
    measure_end_ns: int

    @property
    def duration_s(self) -> float:
        """How long was measured; throughput divides by it."""
        return (self.measure_end_ns - self.measure_start_ns) / 1e9


@dataclass(frozen=True, slots=True)
class Samples:
    """One sample file: its rows, and when was measured."""

    table: pa.Table
    window: Window


def read(
    path: Path, remedy: str = "measure again", columns: Iterable[str] = SCHEMA.names
) -> Samples:
    """
    Read a sample file that is complete, of a known version, and whose rows make sense.

    *remedy* is what to do about a damaged one; who keeps the file in a record knows better. Of
    the columns, TIMES are always there: a file of a million rows is read in half of the time if
    not all others are asked for.
    """
    file = scan(path, remedy)
    metadata = file.schema_arrow.metadata
    window = _window(path, metadata, remedy)
    wanted = {*TIMES, *columns}
    _same_columns(path, file.schema_arrow.names)
    with whole(path, remedy):
        table = file.read([name for name in SCHEMA.names if name in wanted])
    table = _conform(path, table)
    _check(path, table)
    _check_accounting(path, table, metadata.get(ACCOUNTING_KEY), remedy)
    return Samples(table, window)


def scan(path: Path, remedy: str = "measure again") -> pq.ParquetFile:
    """A complete sample file of a known version, to be read in parts, whose rows nobody checks."""
    file = _open(path, remedy)
    version = (file.schema_arrow.metadata or {}).get(VERSION_KEY)
    if version is None:
        raise SamplesError(
            f"{path}: a Parquet file, but not of samples; expected one that a load generator wrote"
        )
    if version != VERSION.encode():
        raise SamplesError(
            f"{path}: samples of version {version.decode(errors='replace')}; expected {VERSION}; "
            "read it with the release that wrote it or a later one"
        )
    return file


@contextmanager
def whole(path: Path, remedy: str = "measure again") -> Iterator[None]:
    """Say of a file that cannot be read to its end that it is damaged."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise SamplesError(f"{path}: damaged ({error}); expected a whole file; {remedy}") from error


def write(path: Path, table: pa.Table, window: Window, issued: int | None = None) -> None:
    """
    Write a sample file so that it appears under its name only when it is complete.

    *issued* is the number of requests that were begun, where the writer counts them itself.
    """
    _same_columns(path, table.column_names)
    table = _conform(path, table)
    _check(path, table)
    counts = accounting(table) if issued is None else {**accounting(table), "issued": issued}
    metadata = {
        VERSION_KEY: VERSION.encode(),
        WINDOW_KEY: json.dumps(asdict(window)).encode(),
        ACCOUNTING_KEY: json.dumps(counts).encode(),
    }
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            pq.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise SamplesError(
            f"{path}: cannot be written ({error}); expected a folder with room; nothing was kept"
        ) from error


def integers(column: pa.ChunkedArray) -> NDArray[Any]:
    """A column without nulls. pyarrow's own way imports pandas first, which takes half a second."""
    numbers: NDArray[Any] = np.from_dlpack(column.combine_chunks())
    return numbers


def floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A column of 32-bit integers; its nulls are NaN."""
    array = column.combine_chunks()
    if not array.null_count:
        return np.from_dlpack(array).astype(np.float64)
    numbers = np.frombuffer(array.buffers()[1], np.int32, len(array), array.offset * 4)
    known = np.from_dlpack(pc.cast(pc.is_valid(array), pa.int8())).astype(bool)
    return np.where(known, numbers, np.nan)


def outcomes(table: pa.Table) -> NDArray[np.int8]:
    """
    The one class that each request is counted in, as its place in OUTCOMES.

    issued = ok + http_error + transport_error + timeout + censored holds by construction here; the
    generator checks it against what it issued.
    """
    # By number: comparing the texts of a million rows takes longer than reading them.
    errors = table["error"].combine_chunks()
    errors = errors if pa.types.is_dictionary(errors.type) else errors.dictionary_encode()
    failed = {"timeout": "timeout", "censored": "censored", "": "http_error"}
    names = [failed.get(name, "transport_error") for name in errors.dictionary.to_pylist()]
    of_error = np.array([OUTCOMES.index(name) for name in names], np.int8)
    found: NDArray[np.int8] = of_error[np.from_dlpack(errors.indices)]
    status = integers(table["status"])
    found[(found == OUTCOMES.index("http_error")) & (status >= 200) & (status < 300)] = 0
    return found


def outcome(table: pa.Table) -> pa.Array:
    """The same by name, a member of OUTCOMES."""
    return pa.DictionaryArray.from_arrays(outcomes(table), list(OUTCOMES)).cast(pa.string())


def accounting(table: pa.Table) -> dict[str, int]:
    """How many requests there are, and how many of each outcome."""
    counted = np.bincount(outcomes(table), minlength=len(OUTCOMES))
    return {"issued": table.num_rows, **dict(zip(OUTCOMES, counted.tolist(), strict=True))}


def _open(path: Path, remedy: str) -> pq.ParquetFile:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise SamplesError(f"{path}: {error.strerror}; expected a sample file") from error
    if size == 0:
        raise SamplesError(f"{path}: empty; expected a sample file; {remedy}")
    try:
        columns = pq.read_schema(path).names
        names = [field.name for field in SCHEMA if field.type == _NAME and field.name in columns]
        return pq.ParquetFile(path, read_dictionary=names)
    except (pa.ArrowException, OSError) as error:
        with path.open("rb") as file:
            truncated = file.read(4) == b"PAR1"
        found = "truncated: its end is missing" if truncated else "not a Parquet file"
        raise SamplesError(f"{path}: {found}; expected a complete sample file; {remedy}") from error


def _window(path: Path, metadata: dict[bytes, bytes], remedy: str) -> Window:
    try:
        fields: dict[str, Any] = json.loads(metadata[WINDOW_KEY])
        window = Window(**fields)
        sound = all(type(value) is int for value in fields.values())
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound or window.measure_end_ns < window.measure_start_ns:
        raise SamplesError(
            f"{path}: says nothing usable of when was measured; expected start_unix_ns, "
            f"measure_start_ns and measure_end_ns under {WINDOW_KEY.decode()}; {remedy}"
        )
    return window


def _same_columns(path: Path, names: list[str]) -> None:
    if names != SCHEMA.names:
        missing = [name for name in SCHEMA.names if name not in names]
        extra = [name for name in names if name not in SCHEMA.names]
        raise SamplesError(
            f"{path}: columns missing: {', '.join(missing) or 'none'}, "
            f"unknown: {', '.join(extra) or 'none'}; "
            f"expected {', '.join(SCHEMA.names)} in this order"
        )


def _conform(path: Path, table: pa.Table) -> pa.Table:
    """The table with the types of SCHEMA; the name columns may come as plain strings."""
    fields = [SCHEMA.field(name) for name in table.column_names]
    for field in fields:
        column = table[field.name]
        found = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        expected = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if found != expected:
            raise SamplesError(f"{path}: column {field.name} is {found}; expected {expected}")
        if column.null_count and not field.nullable:
            raise SamplesError(
                f"{path}: column {field.name} has {column.null_count} nulls; expected none"
            )
    return table.cast(pa.schema(fields))


def _check(path: Path, table: pa.Table) -> None:
    """Refuse rows that no generator writes: an unknown name would be counted in the wrong class."""
    for column, known in (("error", ERRORS), ("phase", PHASES)):
        unknown = set(pc.unique(table[column]).to_pylist()) - set(known)
        if unknown:
            raise SamplesError(
                f"{path}: {column} {', '.join(map(repr, sorted(unknown)))}; "
                f"expected one of {', '.join(map(repr, known))}"
            )
    for early, late in (("due_ns", "sent_ns"), ("sent_ns", "done_ns")):
        backwards = pc.sum(pc.less(table[late], table[early])).as_py() or 0
        if backwards:
            raise SamplesError(
                f"{path}: {backwards} rows have {late} before {early}; expected time to go forwards"
            )


def _check_accounting(path: Path, table: pa.Table, note: bytes | None, remedy: str) -> None:
    """Refuse a file from which requests are missing: those are rarely the fast ones."""
    if note is None:
        return
    found = accounting(table)
    try:
        expected = json.loads(note)
    except ValueError:
        expected = note.decode(errors="replace")
    if found != expected:
        raise SamplesError(
            f"{path}: requests are missing: found {found}; expected {expected}; {remedy}"
        )
