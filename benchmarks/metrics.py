"""
The metrics file of a repeat: what servers said of themselves while it was measured.

One row for each value of each reading, as it was read: whoever reads the file makes differences
and interpolates. `benchmarks/README.md` explains the columns; SCHEMA is what the file must hold.
The table is long, so that any source fits in. VERSION 1 is the first.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.record import RecordError, shown

VERSION = "1"
VERSION_KEY = b"windtunnel.metrics"

_NAME = pa.dictionary(pa.int32(), pa.string())

SCHEMA = pa.schema(
    [
        pa.field("at_unix_ns", pa.int64(), nullable=False),
        pa.field("source", _NAME, nullable=False),
        pa.field("series", _NAME, nullable=False),
        pa.field("labels", _NAME, nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)


class Row(NamedTuple):
    """One value of one reading; `labels` as `labels_text` writes them."""

    at_unix_ns: int
    source: str
    series: str
    labels: str
    value: float


def labels_text(labels: Mapping[str, str]) -> str:
    """Labels as one text that is the same whenever they are: JSON with sorted keys."""
    return json.dumps(labels, sort_keys=True, ensure_ascii=False)


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write a metrics file and see it to the disk. Each series is in one piece, in time order."""
    ordered = sorted(rows, key=lambda row: (row.source, row.series, row.labels, row.at_unix_ns))
    columns = list(zip(*ordered, strict=True)) or [()] * len(SCHEMA)
    arrays = [
        # Cast to a dictionary afterwards: a plain list is not taken for one.
        pa.array(column, f.type.value_type if pa.types.is_dictionary(f.type) else f.type)
        for column, f in zip(columns, SCHEMA, strict=True)
    ]
    table = pa.Table.from_arrays(arrays, names=SCHEMA.names).cast(SCHEMA)
    metadata = {VERSION_KEY: VERSION.encode()}
    with path.open("wb") as file:
        pq.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> pa.Table:
    """Read a metrics file that is complete and of a known version; its columns are SCHEMA's."""
    remedy = f"delete {shown(path)}, without which the repeat is complete too"
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise RecordError(
            f"{shown(path)}: cannot be read ({error}); expected a whole Parquet file; {remedy}"
        ) from error
    version = (table.schema.metadata or {}).get(VERSION_KEY)
    if version != VERSION.encode():
        found = "no metrics file" if version is None else f"metrics of version {version.decode()}"
        raise RecordError(
            f"{shown(path)}: {found}; expected version {VERSION};"
            f" read it with the release that wrote it, or {remedy}"
        )
    if table.column_names != SCHEMA.names or not _castable(table):
        raise RecordError(
            f"{shown(path)}: its columns are {', '.join(map(str, table.schema))};"
            f" expected {', '.join(map(str, SCHEMA))}; {remedy}"
        )
    return table.cast(SCHEMA)


def of_source(table: pa.Table, source: str) -> pa.Table:
    """The rows that came from one source."""
    return table.filter(pc.equal(pc.cast(table["source"], pa.string()), source))


def _castable(table: pa.Table) -> bool:
    """Whether the columns hold what SCHEMA's do, dictionaries or not, without a gap."""
    for field in SCHEMA:
        column = table[field.name]
        found = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        wanted = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if found != wanted or column.null_count:
            return False
    return True
