"""
Closed-loop throughput per CPU-second of the generator.

Requests per second would say how many CPUs a tool was given. Per second of its own CPU time, user
and system, start and end included, is what it costs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.measure import Bench, visit
from benchmarks.peers.tools import Load, Tool

CONNECTIONS = 32
BODY_BYTES = 100_000
CONDITIONS = ("GET", "POST 100 kB")


@dataclass(frozen=True, slots=True)
class Throughput:
    """The part of that name."""

    duration_s: float
    name: str = "throughput"
    conditions: tuple[str, ...] = CONDITIONS

    def takes_s(self, condition: str) -> float:
        """For planning: a visit with its overheads."""
        return self.duration_s + 0.7

    def suits(self, tool: Tool) -> bool:
        """Whether the tool can do this at all."""
        return True

    def measure(self, bench: Bench, tool: Tool, condition: str, work: Path) -> dict[str, Any]:
        """One visit, for the record."""
        body = None
        if condition != "GET":
            body = work / "body.bin"
            body.write_bytes(bytes(range(256)) * (BODY_BYTES // 256) + bytes(BODY_BYTES % 256))
        load = Load("/null", CONNECTIONS, self.duration_s, body=body, work=work)
        found = visit(bench, tool, load, ("--mode", "null"))
        facts = found.facts()
        facts["requests_per_cpu_s"] = round(found.served / found.ended.cpu_s, 1)
        return facts
