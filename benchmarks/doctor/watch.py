"""
What is watched of a service while it is under load: its memory, its event loops, its GPU.

Read with each reading of the Meter, twice a second; the counters of the measured window are the
differences of the first and the last reading in it.
"""

import time
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from benchmarks import probe
from benchmarks.doctor import processes
from benchmarks.doctor.service import Service, at

GPU_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading: of each process its resident memory and its first thread's CPU seconds."""

    at_ns: int
    rss_bytes: dict[int, int]
    loop_s: dict[int, float]
    gpu_share: float | None


@dataclass(slots=True)
class Watch:
    """The readings of one load."""

    service: Service
    moments: list[Moment] = field(default_factory=list)

    def read(self) -> None:
        """Take one more."""
        rss, loops = {}, {}
        for each in processes.tree(self.service.pids[0]) if self.service.pids else []:
            with suppress(psutil.Error):
                rss[each.pid] = int(each.memory_info().rss)
                loops[each.pid] = first_thread_s(each)
        self.moments.append(Moment(time.time_ns(), rss, loops, self._gpu()))

    def _gpu(self) -> float | None:
        """The load of the busiest; services on machines without one are not asked."""
        if not self.service.said("performance", "gpu"):
            return None
        gpus = at(probe.health(self.service.address, GPU_TIMEOUT_S), "performance", "gpu")
        loads = [at(gpu, "percent") for gpu in (gpus if isinstance(gpus, list) else ())]
        return max((load / 100 for load in loads if isinstance(load, int | float)), default=None)

    def within(self, start_ns: int, end_ns: int) -> list[Moment]:
        """The readings of a window."""
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
