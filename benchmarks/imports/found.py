"""
What is read from a file of another tool, before it is part of a record.
"""

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.imports.source import ForeignFileError, Source, excerpt
from loadtests.samples import ERRORS

# A row is a request; more need more memory than a laptop has.
MOST_REQUESTS = 20_000_000
# Longer ones are slips of a unit or of a clock, and nanoseconds have to fit into 64 bits.
LONGEST_S = 30 * 24 * 3600
MOST_CLIENTS = 1_000_000
MOST_NAMES = 100
NS = 1_000_000_000

CODES = {name: place for place, name in enumerate(ERRORS)}
TRACES = "what happened inside the service: there are no stages and no trace ids"
MACHINE = "what else the machine did, and whether the generator was itself the limit"
SENT = (
    "when each request was due: its time counts from when it was sent, so waiting inside the"
    " generator is missing (coordinated omission)"
)


@dataclass(frozen=True, slots=True)
class Options:
    """What a histogram log does not say itself: which of its tags, and the unit of its times."""

    tag: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """Requests, one entry each. Times are nanoseconds on whatever clock the tool has."""

    begun_ns: NDArray[np.int64]
    took_ns: NDArray[np.int64]
    status: NDArray[np.int32]
    error: NDArray[np.int8]  # places in samples.ERRORS
    bytes_in: NDArray[np.int64]
    bytes_out: NDArray[np.int64]

    @property
    def span_ns(self) -> tuple[int, int]:
        """From the first request to just after the last one begins: what a load was offered in."""
        return int(self.begun_ns.min()), int(self.begun_ns.max()) + 1


@dataclass(frozen=True, slots=True)
class Found:
    """One file: requests, or what a tool reported in their place."""

    tool: str
    level: str | None  # as the file tells it: c0008, q0050
    cannot_know: tuple[str, ...]  # what the format does not say, as sentences
    requests: Columns | None = None
    span_ns: tuple[int, int] = (0, 0)  # when a load was offered, on the clock of the requests
    start_unix_ns: int | None = None  # the wall clock when the span begins
    reported: dict[str, Any] | None = None
    besides: tuple[Path, ...] = ()  # other files that were read for it


class Requests:
    """Requests as they are read, each refused that cannot be one; 37 bytes a request."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._begun_ns, self._took_ns, self._received, self._sent = (array("q") for _ in range(4))
        self._status, self._error = array("i"), array("b")

    def __len__(self) -> int:
        return len(self._begun_ns)

    def add(
        self,
        line: int,
        begun_ns: int,
        took_ns: int,
        status: int,
        error: str = "",
        received: int = 0,
        sent: int = 0,
    ) -> None:
        """One request; *line* is where it was read."""
        if not 0 <= took_ns <= LONGEST_S * NS:
            took_s = max(-LONGEST_S, min(took_ns // NS, LONGEST_S))
            found = f"a request that took {took_s:,} s" + (" or more" if took_s > 0 else "")
            raise self._wrong(found, "0 s or more, and less than 30 days", line)
        if not 0 <= begun_ns < 1 << 63:
            raise self._wrong("a time that no clock shows", "one since 1970", line)
        if not (0 <= status <= 999 and 0 <= received < 1 << 62 and 0 <= sent < 1 << 62):
            found = f"status {excerpt(status)}, {excerpt(received)} and {excerpt(sent)} bytes"
            raise self._wrong(found, "those of one request", line)
        if len(self._status) == MOST_REQUESTS:
            raise self._wrong(f"over {MOST_REQUESTS:,} requests", "fewer", line)
        self._begun_ns.append(begun_ns)
        self._took_ns.append(took_ns)
        self._status.append(status)
        self._error.append(CODES[error])
        self._received.append(received)
        self._sent.append(sent)

    def columns(self) -> Columns:
        """All of them, in the order in which they began."""
        begun_ns = np.frombuffer(self._begun_ns, np.int64)
        if not len(begun_ns):
            raise self._source.wrong("no request in it", "at least two", "measure again")
        seconds = (int(begun_ns.max()) - int(begun_ns.min())) / NS
        if not 0 < seconds <= LONGEST_S:
            raise self._source.wrong(
                f"requests that begin within {seconds:g} s ({len(begun_ns)} in all)",
                "those of one load: over 0 s, and at most 30 days",
                "give the results of one run",
            )
        order = np.argsort(begun_ns, kind="stable")
        return Columns(
            begun_ns[order],
            np.frombuffer(self._took_ns, np.int64)[order],
            np.frombuffer(self._status, np.int32)[order],
            np.frombuffer(self._error, np.int8)[order],
            np.frombuffer(self._received, np.int64)[order],
            np.frombuffer(self._sent, np.int64)[order],
        )

    def _wrong(self, found: str, expected: str, line: int) -> ForeignFileError:
        return self._source.wrong(found, expected, "export again, from one run", line)


class Names:
    """The addresses that were asked, or the names that stand for them; a few are kept."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def add(self, name: object) -> None:
        """Of one request."""
        if len(self._names) < MOST_NAMES:
            self._names.add(str(name))

    @property
    def pooled(self) -> str:
        """What has to be said of more than one."""
        if len(self._names) < 2:
            return ""
        count = f"{len(self._names)}{' or more' if len(self._names) == MOST_NAMES else ''}"
        return f"how {count} addresses differ: all requests are taken together"


def clients_told(value: float) -> int:
    """A number of clients; ValueError for what cannot be one."""
    if not 0 <= value <= MOST_CLIENTS:
        raise ValueError(value)
    return int(value)


def nanoseconds(value: float, unit_ns: float) -> int:
    """A time in another unit; ValueError for what is no number."""
    if not math.isfinite(value):
        raise ValueError(value)
    return round(value * unit_ns)


def sentences(*parts: str | Iterable[str]) -> tuple[str, ...]:
    """Those that are not empty, each once."""
    flat = (s for part in parts for s in ([part] if isinstance(part, str) else part))
    return tuple(dict.fromkeys(sentence for sentence in flat if sentence))


def redirects(columns: Columns) -> str:
    """Other tools count an answer of 3xx as a success; here only 2xx is one."""
    moved = int(np.count_nonzero((columns.status >= 300) & (columns.status < 400)))
    if not moved:
        return ""
    return f"where redirects led: answers of 3xx ({moved}) count as errors of HTTP"
