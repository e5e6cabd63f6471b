"""
What a Locust process has counted of its run, for metrics: read off its rows, many at a time.

Nothing is counted when a request ends. Rows are taken when somebody scrapes, when a worker reports
to its master, or when they leave for the disk, whichever comes first.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtests.samples import ERRORS, OUTCOMES

# Seconds: the service's bounds and triton_bench's (report/metrics.go).
TIMES_S = (
    0.001, 0.0015, 0.0025, 0.004, 0.006, 0.01, 0.015, 0.025, 0.04, 0.05, 0.075, 0.1,
    0.15, 0.25, 0.4, 0.5, 0.75, 1.0, 1.5, 2.5, 4.0, 6.0, 10.0,
)  # fmt: skip
LAGS_S = (
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1.0, 10.0,
)  # fmt: skip

# Places in a row of part.py.
_COLUMNS = (0, 1, 3, 4, 5, 7)  # due, sent, done, status, error, bytes_out
_TIMEOUT, _CENSORED = ERRORS.index("timeout"), ERRORS.index("censored")
_OK, _HTTP_ERROR, _TRANSPORT = (
    OUTCOMES.index(name) for name in ("ok", "http_error", "transport_error")
)
_OUT_TIMEOUT, _OUT_CENSORED = OUTCOMES.index("timeout"), OUTCOMES.index("censored")


@dataclass(slots=True)
class Times:
    """A histogram: counts up to each bound, then above all of them."""

    counts: list[int]
    sum_s: float = 0.0

    def add(self, more: "Times") -> None:
        """What another process has counted."""
        self.counts = [a + b for a, b in zip(self.counts, more.counts, strict=True)]
        self.sum_s += more.sum_s

    def observe(
        self, ns: NDArray[np.int64], bounds_s: tuple[float, ...], above: NDArray[np.bool_]
    ) -> None:
        """Count times; those that were given up are above every bound."""
        bounds_ns = np.rint(np.array(bounds_s) * 1e9).astype(np.int64)
        places = np.where(above, len(bounds_s), np.searchsorted(bounds_ns, ns, side="left"))
        self.add(
            Times(np.bincount(places, minlength=len(bounds_s) + 1).tolist(), float(ns.sum()) / 1e9)
        )


def _no_times() -> Times:
    return Times([0] * (len(TIMES_S) + 1))


def _no_lags() -> Times:
    return Times([0] * (len(LAGS_S) + 1))


@dataclass(slots=True)
class Tally:
    """Counts since the beginning of a run; those of several processes can be added."""

    outcomes: list[int] = field(default_factory=lambda: [0] * len(OUTCOMES))
    issued: int = 0
    connections: int = 0
    cpu_s: float = 0.0
    rss_bytes: int = 0
    response: Times = field(default_factory=_no_times)
    service: Times = field(default_factory=_no_times)
    lag: Times = field(default_factory=_no_lags)

    @property
    def in_flight(self) -> int:
        """Begun and not ended."""
        return self.issued - sum(self.outcomes)

    def count(self, rows: list[tuple[Any, ...]]) -> None:
        """Take rows of part.py."""
        if not rows:
            return
        picked = np.array([[row[place] for place in _COLUMNS] for row in rows], np.int64)
        due, sent, done, status, error, bytes_out = picked.T
        success = (status >= 200) & (status < 300)
        outcome = np.select(
            [error == _TIMEOUT, error == _CENSORED, error != 0, success],
            [_OUT_TIMEOUT, _OUT_CENSORED, _TRANSPORT, _OK],
            _HTTP_ERROR,
        )
        counted = np.bincount(outcome, minlength=len(OUTCOMES)).tolist()
        self.outcomes = [a + b for a, b in zip(self.outcomes, counted, strict=True)]
        given_up = outcome == _OUT_TIMEOUT
        # Only an answer that was asked for has a time; one cut short by the user says nothing.
        timed = (outcome == _OK) | given_up
        self.response.observe((done - due)[timed], TIMES_S, given_up[timed])
        timed &= bytes_out > 0
        self.service.observe((done - sent)[timed], TIMES_S, given_up[timed])
        self.lag.observe(sent - due, LAGS_S, np.zeros(len(due), np.bool_))

    def add(self, more: "Tally") -> None:
        """What another process has counted."""
        self.outcomes = [a + b for a, b in zip(self.outcomes, more.outcomes, strict=True)]
        self.issued += more.issued
        self.connections += more.connections
        self.cpu_s += more.cpu_s
        self.rss_bytes += more.rss_bytes
        for name in ("response", "service", "lag"):
            getattr(self, name).add(getattr(more, name))


def packed(tally: Tally) -> dict[str, Any]:
    """A tally as a worker's report carries it."""
    return asdict(tally)


def unpacked(said: dict[str, Any]) -> Tally:
    """The tally of a report."""
    times = {name: Times(**said[name]) for name in ("response", "service", "lag")}
    return Tally(**{**said, **times})


def together(tallies: Iterable[Tally]) -> Tally:
    """The sum of all."""
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total
