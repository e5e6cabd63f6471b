"""
CPU and memory of a visit: of the service with all its workers and the Triton that it uses, of the
generator, of the machine.

Counters are read twice a second and interpolated at the edges of the measured window. A worker
that was recycled is not lost: its CPU time is in its parent's count of ended children.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil

INTERVAL_S = 0.5
# What a variant's pids are of, in their order.
PARTS = ("service", "triton")


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters since boot or since a process began, in seconds of one core, at one moment."""

    at_ns: int
    seconds: dict[str, float]  # of each part, `generator`, and of the machine `busy`, `steal`, ...


@dataclass(slots=True)
class Tree:
    """A process and all its descendants, as they are now; ended ones are in `cpu_s` too."""

    cpu_s: float = 0.0
    rss_bytes: dict[int, int] = field(default_factory=dict)  # of each process, by its pid


def edges_ns(window: dict[str, Any]) -> tuple[int, int]:
    """Begin and end of the generator's measured window, by the wall clock."""
    zero = int(window["start_unix_ns"])
    return zero + int(window["measure_start_ns"]), zero + int(window["measure_end_ns"])


def nothing(_meter: "Meter") -> None:
    """For a visit of which nothing else is read."""


class Meter:
    """
    Reads the counters of one visit.

    A reading takes 1 to 2 ms, and 0.1 ms more for each process of a Triton: up to 1 % of one core.
    *also* is called after each reading, for what else is to be known at the same moments.
    """

    def __init__(
        self,
        pids: tuple[int, ...],
        generator_pid: int,
        also: Callable[["Meter"], None] = nothing,
    ) -> None:
        self._parts = dict(zip(PARTS, pids, strict=False))
        self._generator_pid = generator_pid
        self._also = also
        self._readings: list[Reading] = []
        self._memory: list[tuple[int, dict[str, int]]] = []
        self._due = 0.0
        self.pids: set[int] = set()
        # At the last reading: of each part, of each of its processes.
        self.rss_bytes: dict[str, dict[int, int]] = {}

    def read_if_due(self) -> None:
        """Read when half a second has passed since the last time."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + INTERVAL_S
            self.read()

    def read(self) -> None:
        """Read all counters once."""
        trees: dict[str, Tree] = {}
        for part, pid in self._parts.items():
            counted = {found for tree in trees.values() for found in tree.rss_bytes}
            trees[part] = _tree(pid, without=counted)
        seconds = {part: tree.cpu_s for part, tree in trees.items()}
        seconds["generator"] = _tree(self._generator_pid, recursive=False).cpu_s
        if self._readings:  # a process that has just ended keeps what it had used
            before = self._readings[-1].seconds
            seconds = {name: max(value, before[name]) for name, value in seconds.items()}
        at_ns = time.time_ns()
        self._readings.append(Reading(at_ns, seconds | machine_seconds()))
        self.rss_bytes = {part: tree.rss_bytes for part, tree in trees.items()}
        sums = {part: sum(of.values()) for part, of in self.rss_bytes.items()}
        self._memory.append((at_ns, sums))
        self.pids |= {pid for of in self.rss_bytes.values() for pid in of}
        self._also(self)

    def over(self, window: dict[str, Any]) -> dict[str, Any]:
        """CPU and memory over the measured window, as cell.json has them."""
        edges = edges_ns(window)
        return {"service": self.service(*edges), "machine": self.machine(*edges)}

    def service(self, start_ns: int, end_ns: int) -> dict[str, Any] | None:
        """What the service used in the window; None for a service that others run."""
        if not self._parts:
            return None
        used = self._used(start_ns, end_ns)
        inside = [rss for at, rss in self._memory if start_ns <= at <= end_ns]
        memory = inside or [rss for _, rss in self._memory[-1:]]
        return {
            "pids": sorted(self.pids),
            "cpu_s": round(sum(used[part] for part in self._parts), 3),
            "rss_max_bytes": max((sum(rss.values()) for rss in memory), default=0),
            "by_process": {
                part: {
                    "cpu_s": round(used[part], 3),
                    "rss_max_bytes": max((rss[part] for rss in memory), default=0),
                }
                for part in self._parts
            },
        }

    def machine(self, start_ns: int, end_ns: int) -> dict[str, float]:
        """How busy all cores were in the window, and with what else than what is ours."""
        used = self._used(start_ns, end_ns)
        total = max(used["total"], 1e-9)
        ours = sum(used[part] for part in (*self._parts, "generator"))
        other = max(0.0, used["busy"] - ours)
        shares = {"busy": used["busy"], "steal": used["steal"], "other_cpu": other}
        return {f"{name}_share": round(value / total, 4) for name, value in shares.items()}

    def _used(self, start_ns: int, end_ns: int) -> dict[str, float]:
        first, last = self._at(start_ns), self._at(end_ns)
        return {name: last[name] - first[name] for name in first}

    def _at(self, moment_ns: int) -> dict[str, float]:
        """The counters at a moment between two readings, on the straight line that joins them."""
        before = [r for r in self._readings if r.at_ns <= moment_ns]
        after = [r for r in self._readings if r.at_ns > moment_ns]
        if not before or not after:
            return (before or after)[-1 if before else 0].seconds
        low, high = before[-1], after[0]
        share = (moment_ns - low.at_ns) / (high.at_ns - low.at_ns)
        return {
            name: value + share * (high.seconds[name] - value)
            for name, value in low.seconds.items()
        }


def _tree(pid: int, *, recursive: bool = True, without: set[int] | None = None) -> Tree:
    """A process and its descendants, except those that were counted already."""
    tree = Tree()
    try:
        root = psutil.Process(pid)
        processes = [root, *(root.children(recursive=True) if recursive else ())]
    except psutil.Error:
        return tree
    for process in processes:
        if process.pid in (without or ()):
            continue
        try:
            with process.oneshot():
                # User, system, and those of ended children.
                tree.cpu_s += sum(process.cpu_times()[:4])
                tree.rss_bytes[process.pid] = process.memory_info().rss
        except psutil.Error:
            continue
    return tree


def machine_seconds() -> dict[str, float]:
    """Busy, stolen and all seconds of all cores; guest time is already part of user time."""
    times = psutil.cpu_times()._asdict()
    for twice in ("guest", "guest_nice"):
        times.pop(twice, None)
    total = float(sum(times.values()))
    steal = float(times.get("steal", 0.0))
    idle = float(times["idle"]) + float(times.get("iowait", 0.0))
    return {"busy": total - idle - steal, "steal": steal, "total": total}
