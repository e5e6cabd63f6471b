"""
Whether what a tool reports is what its requests met, at a server whose delays are known.

The truth is what a user at the intended rate would have met: each request due at k / rate, answered
after the server's delay and, in a freeze, when that is over. Theory holds for any tool that keeps
to the rate and has a free connection for every request; what a request costs beyond the delay (the
wire, waking up: 0.1 to 0.3 ms) is part of the error, and the delays are long enough for 1 %.
"""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.peers.measure import Bench, visit
from benchmarks.peers.tools import Load, Tool

DELAY_MS, SLOW_MS, FREEZE_MS = 100.0, 300.0, 2000.0
SLOW_EVERY = 10
PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Case:
    """A server's behaviour, the rate at which it is asked, and for how long."""

    name: str
    stub: tuple[str, ...]
    rate: int
    duration_s: float
    times_ms: tuple[float, ...]  # of each request, by theory
    # More than are ever in flight.
    connections: int

    @property
    def mean_delay_ms(self) -> float:
        """Without the freeze."""
        if "--slow-every" in self.stub:
            return DELAY_MS + (SLOW_MS - DELAY_MS) / SLOW_EVERY
        return DELAY_MS

    @property
    def workers(self) -> int:
        """As many as make this rate when each waits for its answer."""
        return ceil(self.rate * self.mean_delay_ms / 1e3)


def cases() -> tuple[Case, ...]:
    """The three servers. A P99 needs 368 requests at least."""
    delay = ("--delay", f"{DELAY_MS:g}ms")
    rate, requests = 200, 2000
    freeze_at = requests // 2
    return (
        Case("constant", delay, 125, 3.0, (DELAY_MS,) * 375, 50),
        Case("bimodal",
             ("--mode", "bimodal", *delay, "--slow", f"{SLOW_MS:g}ms",
              "--slow-every", str(SLOW_EVERY)),
             125, 3.0, tuple(bimodal_ms(375)), 50),
        Case("2 s freeze",
             ("--mode", "freeze", *delay, "--freeze", f"{FREEZE_MS:g}ms",
              "--freeze-at", str(freeze_at)),
             rate, requests / rate, tuple(frozen_ms(requests, rate, freeze_at)), 500),
    )  # fmt: skip


def bimodal_ms(requests: int) -> list[float]:
    """Every tenth is slow."""
    return [SLOW_MS if n % SLOW_EVERY == 0 else DELAY_MS for n in range(1, requests + 1)]


def frozen_ms(requests: int, rate: float, freeze_at: int) -> list[float]:
    """
    The response time of each arrival when number *freeze_at* (from 1) begins the freeze.

    Its own answer, and those that were still to come, come when the freeze is over. What arrives
    meanwhile is begun then.
    """
    begin_ms = (freeze_at - 1) / rate * 1e3
    end_ms = begin_ms + FREEZE_MS
    times = []
    for number in range(1, requests + 1):
        due_ms = (number - 1) / rate * 1e3
        if number <= freeze_at:
            done_ms = end_ms if due_ms + DELAY_MS > begin_ms else due_ms + DELAY_MS
        else:
            done_ms = max(due_ms, end_ms) + DELAY_MS
        times.append(done_ms - due_ms)
    return times


def percentile(times_ms: tuple[float, ...], p: float) -> float:
    """The value of rank ceil(p * n)."""
    return sorted(times_ms)[ceil(p * len(times_ms) - 1e-9) - 1]


def theory(case: Case) -> dict[str, float]:
    """What a tool should report."""
    return {name: percentile(case.times_ms, p) for name, p in PERCENTILES.items()}


@dataclass(frozen=True, slots=True)
class Truth:
    """The part of that name."""

    name: str = "truth"
    conditions: tuple[str, ...] = tuple(case.name for case in cases())

    def takes_s(self, condition: str) -> float:
        """For planning: a visit with its overheads."""
        return _case(condition).duration_s + 1.0

    def suits(self, tool: Tool) -> bool:
        """One row of triton_bench is enough: both report the same way."""
        return tool.name != "triton_bench --samples"

    def measure(self, bench: Bench, tool: Tool, condition: str, work: Path) -> dict[str, Any]:
        """One visit, for the record."""
        case = _case(condition)
        load = load_of(case, tool, work)
        found = visit(bench, tool, load, case.stub)
        reported = {name: getattr(found.report, f"{name}_ms") for name in PERCENTILES}
        facts = found.facts()
        facts["loop"] = "open" if load.rate else f"closed, {load.connections} connections"
        facts["reported_ms"] = reported
        facts["theory_ms"] = theory(case)
        return facts


def load_of(case: Case, tool: Tool, work: Path) -> Load:
    """
    The intended rate, as the tool can be asked for it.

    One that knows no rate gets as many connections as make it while the server is well.
    """
    connections = case.connections
    if not tool.open_loop:
        connections = case.workers
    elif "truth" in tool.few_workers:
        connections = 2 * case.workers
    rate = case.rate if tool.open_loop else 0
    return Load("/truth", connections, case.duration_s, rate, work=work)


def _case(name: str) -> Case:
    return next(case for case in cases() if case.name == name)
