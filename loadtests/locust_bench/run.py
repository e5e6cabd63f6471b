"""
The run that this process takes part in: what its users need to know, and the part they fill.

A Locust process makes one run at a time, so there is one RUN; life.py begins and finishes it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from loadtests import labels, payloads, traces
from loadtests.locust_bench import options as opts
from loadtests.locust_bench.gauge import Gauge, cpu_s
from loadtests.locust_bench.options import Options
from loadtests.locust_bench.part import Part
from loadtests.locust_bench.tally import Tally

FOREVER = 1 << 62
# As triton_bench: with --min-requests a run may take so many times as long.
LONGEST = 4


@dataclass(frozen=True, slots=True)
class Orders:
    """What the master, or a process that is alone, decides for all; sent with the options."""

    folder: str
    t0_ns: int
    start_unix_ns: int
    measure_ns: int
    end_ns: int  # of the monotonic clock, as all of them; FOREVER: when it is stopped


class Run:
    """The state of the run in this process."""

    options: Options
    orders: Orders
    payloads: tuple[payloads.Payload, ...]
    part: Part
    least_sampled: int  # of the ids that ask to be traced
    baggage: str  # of those requests

    def __init__(self) -> None:
        self.active = False
        self.end_ns = FOREVER
        self._worker = 0
        self._cpu_s = 0.0
        self._gauge: Gauge | None = None

    def begin(self, given: Any, orders: Orders, worker: int | None) -> None:
        """A test starts: read the images and open the part."""
        self.options, self.orders = opts.read(given), orders
        files = payloads.image_files(self.options.images, self.options.limit)
        self.payloads = payloads.build(files, self.options.body)
        self._worker = worker or 0
        name = "alone" if worker is None else part_name(worker)
        tallied = bool(self.options.metrics_addr)
        self.part = Part(Path(orders.folder), name, orders.measure_ns, tallied=tallied)
        self.least_sampled = traces.least_sampled(self.options.trace_ratio)
        self.baggage = labels.baggage(self.options.labels)
        self.end_ns = orders.end_ns
        self._cpu_s = cpu_s()
        self._gauge = Gauge()
        self.active = True

    @property
    def fault(self) -> str:
        """What is wrong with this process's part, if anything is."""
        return self.part.footer.fault if self._gauge else ""

    @property
    def is_tallied(self) -> bool:
        """Whether somebody asks what this process has counted."""
        return bool(self._gauge and self.options.metrics_addr)

    def tally(self) -> Tally:
        """What this process has counted and used, since the run began."""
        tally = self.part.tally() if self._gauge else Tally()
        tally.cpu_s = cpu_s() - self._cpu_s if self._gauge else 0.0
        tally.rss_bytes = psutil.Process().memory_info().rss
        return tally

    def number_user(self) -> tuple[int, str]:
        """A number for a new user, and a name that no user of another worker has."""
        number = self.part.clients
        self.part.clients += 1
        return number, f"{self._worker}.{number}"

    def is_over(self, due_ns: int) -> bool:
        """Whether what is due then is no longer sent: time is up, and there is enough."""
        if due_ns < self.end_ns:
            return False
        if self.part.measured < self.options.min_requests:
            if due_ns < self.latest_ns:
                return False
            self.end_ns = self.latest_ns
        elif self.options.min_requests and self.end_ns == self.orders.end_ns:
            self.end_ns = due_ns
        return True

    def planned_end_ns(self, stopped_ns: int) -> int:
        """When it was to end, for a run that stopped then."""
        if self.is_over(stopped_ns) or not self.options.min_requests:
            return self.end_ns
        return self.latest_ns

    @property
    def latest_ns(self) -> int:
        """When it is over even without enough requests."""
        return self.orders.measure_ns + LONGEST * (self.orders.end_ns - self.orders.measure_ns)

    def finish(self) -> None:
        """The users have stopped: complete the part."""
        if self.active:
            self.active = False
            assert self._gauge, "begin() made one"
            self.part.finish(**self._gauge.stop())


def part_name(worker: int) -> str:
    """The part of a worker, by its index."""
    return f"worker-{worker}"


RUN = Run()
