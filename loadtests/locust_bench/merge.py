"""
From the parts of all processes to one samples file, and to the numbers that the summary needs.

Rows pass in pieces, so memory does not grow with their number, except for 24 bytes a measured row.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from loadtests import samples
from loadtests.locust_bench.footer import Footer, footers_in
from loadtests.samples import ERRORS, OUTCOMES, SCHEMA, Window

GROUP_ROWS = 1 << 16


class BrokenError(Exception):
    """A run that cannot be reported, with what was found and what to do about it."""


@dataclass(slots=True)
class Step:
    """A number of users that was held; times are of the monotonic clock, then of the run."""

    name: str
    clients: int
    start_ns: int
    measure_ns: int
    end_ns: int = 1 << 62

    def since(self, t0_ns: int) -> "Step":
        """The same on the run's clock."""
        times = (self.start_ns, self.measure_ns, self.end_ns)
        return Step(self.name, self.clients, *(max(0, at - t0_ns) for at in times))


@dataclass(slots=True)
class Times:
    """Of one step, what was measured: counts, and times of those that have one."""

    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    ok_in_window: int = 0
    sent_in_window: int = 0
    response_ns: list[NDArray[np.int64]] = field(default_factory=list)
    service_ns: list[NDArray[np.int64]] = field(default_factory=list)
    lag_ns: list[NDArray[np.int64]] = field(default_factory=list)
    given_up: list[NDArray[np.bool_]] = field(default_factory=list)


@dataclass(slots=True)
class Merged:
    """All parts together."""

    steps: list[Step]
    times: list[Times]
    footers: list[Footer]
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def issued(self) -> int:
        """How many requests were begun."""
        return sum(footer.issued for footer in self.footers)


def merge(
    folder: Path, images: list[str], t0_ns: int, steps: list[Step], write: Any = None
) -> Merged:
    """Go through all rows once; *write* takes each piece as a table in the samples' columns."""
    footers = footers_in(folder)
    since = [step.since(t0_ns) for step in steps]
    merged = Merged(since, [Times() for _ in since], list(footers.values()))
    first_client = 0
    for name, footer in footers.items():
        rows = 0
        for piece in _pieces(folder / f"{name}.arrow"):
            table = _conform(piece, images, t0_ns, first_client, since)
            _count(table, merged)
            rows += table.num_rows
            if write:
                write(table)
        if rows != footer.issued:
            raise BrokenError(
                f"{name}: {footer.issued} requests were begun and {rows} have a row;"
                " expected a row for each; measure again"
            )
        first_client += footer.clients
    return merged


def write_samples(
    path: Path, folder: Path, images: list[str], t0_ns: int, steps: list[Step], window: Window
) -> Merged:
    """Merge into a file that appears under its name only when it is complete."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            with pq.ParquetWriter(file, SCHEMA, compression="zstd", store_schema=False) as writer:
                merged = merge(folder, images, t0_ns, steps, writer.write_table)
                counts = {name: merged.counts[name] for name in OUTCOMES}
                accounting = {"issued": merged.issued, **counts}
                for key, value in (
                    (samples.VERSION_KEY, samples.VERSION),
                    (samples.WINDOW_KEY, json.dumps(asdict(window))),
                    (samples.ACCOUNTING_KEY, json.dumps(accounting)),
                ):
                    writer.add_key_value_metadata({key.decode(): value})
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise BrokenError(
            f"{path}: cannot be written ({error}); expected a folder with room; nothing was kept"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return merged


def _pieces(path: Path) -> Iterator[pa.Table]:
    """A part in pieces that make good row groups."""
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_stream(source) as batches:
        held, rows = [], 0
        for batch in batches:
            held.append(batch)
            rows += batch.num_rows
            if rows >= GROUP_ROWS:
                yield pa.Table.from_batches(held).combine_chunks()
                held, rows = [], 0
        if held:
            yield pa.Table.from_batches(held).combine_chunks()


def _conform(
    piece: pa.Table, images: list[str], t0_ns: int, first_client: int, steps: list[Step]
) -> pa.Table:
    """The samples' columns: times from t0, names for numbers, users numbered through, a phase."""
    columns = {name: piece[name] for name in piece.column_names}
    for name in ("due_ns", "sent_ns", "first_byte_ns", "done_ns"):
        columns[name] = pa.compute.subtract(columns[name], t0_ns)
    # The first users are free a moment before t0 is taken, or their clock's tick is.
    columns["due_ns"] = pa.compute.max_element_wise(columns["due_ns"], 0)
    columns["client"] = pa.compute.add(columns["client"], pa.scalar(first_client, pa.int32()))
    columns["error"] = _named(columns["error"], ERRORS)
    columns["image"] = _named(columns["image"], images)
    measured = _step_of(columns["due_ns"].to_numpy(), steps) >= 0
    columns["phase"] = _named(pa.array(measured.astype(np.int32)), samples.PHASES)
    return pa.table([columns[field.name] for field in SCHEMA], schema=SCHEMA)


def _named(numbers: Any, names: Any) -> pa.Array:
    if isinstance(numbers, pa.ChunkedArray):
        numbers = numbers.combine_chunks()
    return pa.DictionaryArray.from_arrays(numbers, pa.array(names, pa.string()))


def _step_of(due: NDArray[np.int64], steps: list[Step]) -> NDArray[np.int64]:
    """In whose measured time each request was due; -1: in none."""
    number = np.searchsorted([step.measure_ns for step in steps], due, side="right") - 1
    ends = np.array([step.end_ns for step in steps])
    inside: NDArray[np.int64] = np.where((number >= 0) & (due < ends[number]), number, -1)
    return inside


def _count(table: pa.Table, merged: Merged) -> None:
    outcome = samples.outcome(table).to_numpy(zero_copy_only=False)
    for name in OUTCOMES:
        merged.counts[name] += int(np.count_nonzero(outcome == name))
    due, sent, done, status = (
        table[name].to_numpy() for name in ("due_ns", "sent_ns", "done_ns", "status")
    )
    error = table["error"].cast(pa.string()).to_numpy()
    step_of = _step_of(due, merged.steps)
    for number, (step, times) in enumerate(zip(merged.steps, merged.times, strict=True)):
        in_window = (done >= step.measure_ns) & (done < step.end_ns)
        times.ok_in_window += int(np.count_nonzero(in_window & (outcome == "ok")))
        sent_in_window = (sent >= step.measure_ns) & (sent < step.end_ns)
        times.sent_in_window += int(np.count_nonzero(sent_in_window))
        mine = step_of == number
        times.counts.update(outcome[mine].tolist())
        given_up = (outcome == "timeout") | (outcome == "censored")
        timed = mine & (given_up | (outcome == "ok"))
        times.response_ns.append((done - due)[timed])
        times.service_ns.append((done - sent)[timed])
        times.lag_ns.append((sent - due)[mine & (error != "connect")])
        times.given_up.append(given_up[timed])
        times.errors.update(error[mine & (error != "")].tolist())
        refused = status[mine & (outcome == "http_error")].tolist()
        times.errors.update(f"http_{code}" for code in refused)
