"""
What a Locust process used and how it held up: CPU, memory, collector pauses, a loop that is late.
"""

import gc
import resource
import sys
from array import array
from math import ceil
from time import monotonic_ns
from typing import Any

import gevent

LOOK_S = 0.02
READ_EVERY = 25  # looks


class Gauge:
    """Looks from its making until `stop`."""

    def __init__(self) -> None:
        # What is there already will stay: the collector need not go through it during a run.
        gc.collect()
        gc.freeze()
        self._pause_ns = self._pause_max_ns = self._began_ns = 0
        self._late_ns = array("q")
        self._cpu: list[tuple[int, float]] = []
        gc.callbacks.append(self._collecting)
        self._read()
        self._looking = gevent.spawn(self._look)

    def _collecting(self, phase: str, _about: dict[str, int]) -> None:
        if phase == "start":
            self._began_ns = monotonic_ns()
        else:
            pause_ns = monotonic_ns() - self._began_ns
            self._pause_ns += pause_ns
            self._pause_max_ns = max(self._pause_max_ns, pause_ns)

    def _read(self) -> None:
        self._cpu.append((monotonic_ns(), cpu_s()))

    def _look(self) -> None:
        """Users that work keep all others waiting; this one shows for how long."""
        while True:
            due_ns = monotonic_ns() + round(LOOK_S * 1e9)
            gevent.sleep(LOOK_S)
            self._late_ns.append(monotonic_ns() - due_ns)
            if len(self._late_ns) % READ_EVERY == 0:
                self._read()

    def stop(self) -> dict[str, Any]:
        """What it saw."""
        self._looking.kill()
        gc.callbacks.remove(self._collecting)
        self._read()
        late = sorted(self._late_ns)
        return {
            "cpu": self._cpu,
            "rss_max_bytes": rss_max_bytes(),
            "gc_pause_s": self._pause_ns / 1e9,
            "gc_pause_max_ms": self._pause_max_ns / 1e6,
            "loop_lag_p99_ms": max(0, late[ceil(0.99 * len(late)) - 1]) / 1e6 if late else 0.0,
        }


def cpu_s() -> float:
    """Seconds of one core that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rss_max_bytes() -> int:
    """Linux counts kibibytes, Darwin bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
