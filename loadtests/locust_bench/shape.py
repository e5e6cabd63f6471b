"""
Numbers of users that are held one after the other, each with a measured time of its own.

Locust asks a shape once a second; asked close to a boundary, this one waits for it, so that a step
is as long as it should be.
"""

from abc import abstractmethod
from time import monotonic_ns
from typing import Any

import gevent
from locust import LoadTestShape
from locust.runners import STATE_INIT

from loadtests.locust_bench.merge import Step
from loadtests.locust_bench.plans import Planned
from loadtests.locust_bench.run import LONGEST, RUN

ASKED_EVERY_NS = 1_000_000_000


class Steps(LoadTestShape):
    """Makes the steps of a plan; what came of them is in `made`."""

    abstract = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._plan: list[Planned] = []
        self.made: list[Step] = []
        self.is_through = False

    @abstractmethod
    def plan(self, given: Any) -> list[Planned]:
        """The steps that the options ask for."""

    @property
    def warmup_s(self) -> float:
        """Of the first step."""
        return self._plan[0].warmup_s

    def begin(self, t0_ns: int) -> list[Step]:
        """The test has started, and so has the first step."""
        self.made = []
        self._start(t0_ns)
        return self.made

    def tick(self) -> tuple[int, float] | None:
        """How many users there should be now; None at the end."""
        assert self.runner, "Locust sets it"
        if self.runner.state == STATE_INIT:
            self._plan, self.is_through = self.plan(self._options()), False
            return self._users(self._plan[0])
        while not self._is_over():
            left_ns = self.made[-1].end_ns - monotonic_ns()
            if left_ns > ASKED_EVERY_NS:
                return self._users(self._plan[len(self.made) - 1])
            gevent.sleep(max(0.02, left_ns / 1e9))
        now_ns = monotonic_ns()
        self.made[-1].end_ns = now_ns
        if len(self.made) == len(self._plan):
            self.is_through = True
            return None
        self._start(now_ns)
        if self._plan[0].min_requests:
            RUN.part.count_from(self.made[-1].measure_ns)
        return self._users(self._plan[len(self.made) - 1])

    def _options(self) -> Any:
        assert self.runner, "Locust sets it"
        return self.runner.environment.parsed_options

    def _users(self, planned: Planned) -> tuple[int, float]:
        """All at once: what they do while they come is warm-up."""
        return planned.clients, max(each.clients for each in self._plan)

    def _start(self, now_ns: int) -> None:
        planned = self._plan[len(self.made)]
        measure_ns = now_ns + round(planned.warmup_s * 1e9)
        end_ns = measure_ns + round(planned.duration_s * 1e9)
        self.made.append(Step(planned.name, planned.clients, now_ns, measure_ns, end_ns))

    def _is_over(self) -> bool:
        """Time is up, and there are enough requests, or four times as much time is."""
        step, planned = self.made[-1], self._plan[len(self.made) - 1]
        now_ns = monotonic_ns()
        if now_ns < step.end_ns:
            return False
        latest_ns = step.measure_ns + LONGEST * round(planned.duration_s * 1e9)
        enough = not planned.min_requests or RUN.part.measured >= planned.min_requests
        return enough or now_ns >= latest_ns
