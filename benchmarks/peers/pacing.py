"""
How late requests are sent in an open loop: when each arrived at the server, against its schedule.

Arrivals are the kernel's receive timestamps. On the loopback device it takes them in the sender's
own context, so neither the server's waking up nor its queue is in them.

Of triton_bench, every due time is in its samples: its lag is absolute. A peer does not say when its
requests were due, only that they are evenly spaced, so its schedule is reconstructed from its own
punctual requests, and what all of them are late by cannot be seen. triton_bench is measured in
both ways: like against like in the comparison, and the difference shows what the comparison hides.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.measure import Bench, visit
from benchmarks.peers.running import RunningError
from benchmarks.peers.tools import Load, Tool, samples_file
from loadtests import samples

RATES = (100, 1_000, 10_000)
CONNECTIONS = 16
# Connections are opened and programs find their pace.
SETTLE_S = 1.0
# Below this share of the asked rate it is another load, and its lags are not compared.
ACHIEVED = 0.99

Times = NDArray[np.int64]
Lags = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pacing:
    """The part of that name."""

    duration_s: float
    name: str = "pacing"
    conditions: tuple[str, ...] = tuple(f"{rate}/s" for rate in RATES)

    def takes_s(self, condition: str) -> float:
        """For planning: a visit with its overheads."""
        return self.duration_s + 1.0

    def suits(self, tool: Tool) -> bool:
        """Due times come from the samples, so triton_bench writes them in each of its runs."""
        return tool.open_loop and tool.name != "triton_bench"

    def measure(self, bench: Bench, tool: Tool, condition: str, work: Path) -> dict[str, Any]:
        """One visit, for the record."""
        rate, log = int(condition.removesuffix("/s")), work / "arrivals.bin"
        few = self.name in tool.few_workers
        connections = max(1, rate // 1_000) if few else CONNECTIONS
        load = Load("/null", connections, self.duration_s, rate, work=work)
        found = visit(bench, tool, load, ("--mode", "null", "--log", str(log)))
        arrivals = read_arrivals(log)
        facts = found.facts() | {"achieved": round(achieved(arrivals, rate), 5)}
        settled = arrivals[arrivals >= arrivals[0] + SETTLE_S * 1e9]
        facts["lag_us"] = summary(lags_of_spaced(settled))
        if tool.ours:
            due = due_times(samples_file(load))
            facts["absolute_lag_us"] = summary(lags_of_known(arrivals, due))
        return facts


def read_arrivals(log: Path) -> Times:
    """The server's log, ascending: its threads of control read connections in some order."""
    arrivals = np.sort(np.fromfile(log, dtype="<i8").astype(np.int64))
    if arrivals.size < 2 or arrivals[0] == 0:
        raise RunningError(
            f"{log.name}: {arrivals.size} arrivals; the kernel's time of each is needed"
        )
    return arrivals


def achieved(arrivals: Times, rate: float) -> float:
    """The rate at which requests arrived, as a share of the one that was asked for."""
    return float((arrivals.size - 1) / (arrivals[-1] - arrivals[0]) * 1e9 / rate)


def lags_of_spaced(arrivals: Times) -> Lags:
    """
    How late each request was, in microseconds, against the evenly spaced schedule that fits best.

    That is the line under all arrivals, none of which can be early, from which they are away the
    least in sum: the edge of their lower convex hull at the middle of them (the sum falls with the
    height of the line there, and the hull is as high as it can be). Its slope is the tool's own
    spacing, so a rate that is off by a little is not taken for lateness.
    """
    ns = arrivals - arrivals[0]
    low, high = _edge(ns, (ns.size - 1) / 2)
    slope = (ns[high] - ns[low]) / (high - low)
    schedule = ns[low] + slope * (np.arange(ns.size) - low)
    return np.asarray(ns - schedule, dtype=np.float64) / 1e3


def _edge(ns: Times, middle: float) -> tuple[int, int]:
    """The two points of the lower convex hull between which the middle lies (monotone chain)."""
    heights: list[int] = ns.tolist()
    hull: list[int] = []
    for k, height in enumerate(heights):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (heights[b] - heights[a]) * (k - a) < (height - heights[a]) * (b - a):
                break
            hull.pop()
        hull.append(k)
    after = next(i for i, k in enumerate(hull) if k >= middle and i > 0)
    return hull[after - 1], hull[after]


def due_times(file: Path) -> Times:
    """When triton_bench's requests were due, on the wall clock."""
    read = samples.read(file)
    due = read.table.column("due_ns").to_numpy()
    return np.sort(due.astype(np.int64)) + read.window.start_unix_ns


def lags_of_known(arrivals: Times, due: Times) -> Lags:
    """
    The same against known due times, the first second left out.

    Requests are sent in the order in which they are due. What came before the schedule began, to
    see whether the server is there, has no due time.
    """
    if arrivals.size < due.size:
        raise RunningError(f"{arrivals.size} arrivals of {due.size} requests in the samples")
    arrivals = arrivals[arrivals.size - due.size :]
    settled = due >= due[0] + SETTLE_S * 1e9
    lags_us: Lags = (arrivals - due)[settled].astype(np.float64) / 1e3
    return lags_us


def summary(lags_us: Lags) -> dict[str, float]:
    """The mean, and observed values: the least, and those of rank ceil(p * n)."""
    names = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    ordered = np.sort(lags_us)
    at = {name: int(np.ceil(p * ordered.size - 1e-9)) - 1 for name, p in names.items()}
    ends = {"n": int(ordered.size), "min": float(ordered[0]), "mean": float(ordered.mean())}
    return {name: round(value, 2) for name, value in ends.items()} | {
        name: round(float(ordered[rank]), 2) for name, rank in at.items()
    }
