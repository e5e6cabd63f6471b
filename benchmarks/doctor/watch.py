"""
What is watched of a service while it is under load: memory, event loops, its group's CPU, its GPU.

Taken with each reading of the Meter, twice a second; the counters of the measured window are the
differences of the first and the last reading in it.
"""

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

from benchmarks import probe
from benchmarks.doctor.service import Service, at
from benchmarks.usage import Meter, edges_ns

GPU_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading: of each process its resident memory and its first thread's CPU seconds."""

    at_ns: int
    rss_bytes: dict[int, int]
    loop_s: dict[int, float]
    gpu_share: float | None
    periods: tuple[int, int] = (0, 0)  # of a limited control group: all, and those held back


@dataclass(slots=True)
class Watch:
    """The readings of one load."""

    service: Service
    moments: list[Moment] = field(default_factory=list)

    def read(self, meter: Meter) -> None:
        """Take one more."""
        rss = meter.rss_bytes.get("service", {})
        loops = {}
        for pid in rss:
            with suppress(psutil.Error):
                loops[pid] = first_thread_s(psutil.Process(pid))
        limit = self.service.limit
        periods = limit.periods() if limit else (0, 0)
        self.moments.append(Moment(time.time_ns(), rss, loops, self._gpu(), periods))

    def _gpu(self) -> float | None:
        """The load of the busiest; services on machines without one are not asked."""
        if not self.service.said("performance", "gpu"):
            return None
        gpus = at(probe.health(self.service.address, GPU_TIMEOUT_S), "performance", "gpu")
        loads = [at(gpu, "percent") for gpu in (gpus if isinstance(gpus, list) else ())]
        return max((load / 100 for load in loads if isinstance(load, int | float)), default=None)

    def within(self, window: dict[str, Any]) -> list[Moment]:
        """The readings of the generator's measured window."""
        start_ns, end_ns = edges_ns(window)
        return [moment for moment in self.moments if start_ns <= moment.at_ns <= end_ns]


def first_thread_s(process: psutil.Process) -> float:
    """CPU seconds of a process's first thread, on which a worker's event loop runs."""
    mine = next((thread for thread in process.threads() if thread.id == process.pid), None)
    return mine.user_time + mine.system_time if mine else 0.0


def busiest_loop(moments: list[Moment]) -> float | None:
    """The share of a core that the busiest event loop used; None where that was not seen."""
    if len(moments) < 2:
        return None
    first, last = moments[0], moments[-1]
    seconds = (last.at_ns - first.at_ns) / 1e9
    both = first.loop_s.keys() & last.loop_s.keys()
    shares = [(last.loop_s[pid] - first.loop_s[pid]) / seconds for pid in both]
    return max(shares, default=None)


def memory_bytes(moments: list[Moment]) -> list[int]:
    """Resident memory of all processes at each reading, of the time without a restart."""
    if not moments:
        return []
    same = [moment for moment in moments if moment.rss_bytes.keys() == moments[-1].rss_bytes.keys()]
    return [sum(moment.rss_bytes.values()) for moment in same if moment.rss_bytes]


def held(moments: list[Moment]) -> tuple[int, int]:
    """In how many periods the control group was held back, and of how many."""
    if not moments:
        return 0, 0
    (before, held_before), (after, held_after) = moments[0].periods, moments[-1].periods
    return held_after - held_before, after - before
