"""
From the parts of all processes to one table of samples, in memory: about 300 bytes a row
at the peak, of which an hour of Locust has a few million.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtests import samples
from loadtests.locust_bench.footer import Footer, footers_in


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


@dataclass(frozen=True, slots=True)
class Merged:
    """All parts together."""

    table: pa.Table
    steps: list[Step]
    footers: list[Footer]

    @property
    def issued(self) -> int:
        """How many requests were begun."""
        return sum(footer.issued for footer in self.footers)


def merge(folder: Path, images: list[str], t0_ns: int, steps: list[Step]) -> Merged:
    """The rows of all processes, their users numbered through."""
    footers = footers_in(folder)
    since = [step.since(t0_ns) for step in steps]
    tables, first_client = [samples.SCHEMA.empty_table()], 0
    for name, footer in footers.items():
        with pa.memory_map(str(folder / f"{name}.arrow")) as file, pa.ipc.open_stream(file) as part:
            rows = part.read_all().combine_chunks()
            tables.append(_conform(rows, images, t0_ns, first_client, since))
        if rows.num_rows != footer.issued:
            raise BrokenError(
                f"{name}: {footer.issued} requests were begun and {rows.num_rows} have a row;"
                " expected a row for each; measure again"
            )
        first_client += footer.clients
    return Merged(pa.concat_tables(tables), since, list(footers.values()))


def within(at_ns: NDArray[np.int64], steps: list[Step]) -> NDArray[np.bool_]:
    """Which times are in the measured time of a step."""
    number = np.searchsorted([step.measure_ns for step in steps], at_ns, side="right") - 1
    ends = np.array([step.end_ns for step in steps])
    inside: NDArray[np.bool_] = (number >= 0) & (at_ns < ends[number])
    return inside


def _conform(
    rows: pa.Table, images: list[str], t0_ns: int, first_client: int, steps: list[Step]
) -> pa.Table:
    """The samples' columns: times from t0, names for numbers, users numbered through, a phase."""
    columns = {name: rows[name] for name in rows.column_names}
    for name in ("due_ns", "sent_ns", "first_byte_ns", "done_ns"):
        columns[name] = pc.subtract(columns[name], t0_ns)
    columns["client"] = pc.add(columns["client"], pa.scalar(first_client, pa.int32()))
    columns["error"] = _named(columns["error"], samples.ERRORS)
    columns["image"] = _named(columns["image"], images)
    measured = within(columns["due_ns"].to_numpy(), steps)
    columns["phase"] = _named(pa.chunked_array([measured.astype(np.int32)]), samples.PHASES)
    return pa.table([columns[name] for name in samples.SCHEMA.names], schema=samples.SCHEMA)


def _named(numbers: pa.ChunkedArray, names: Any) -> pa.Array:
    return pa.DictionaryArray.from_arrays(numbers.combine_chunks(), pa.array(names, pa.string()))
