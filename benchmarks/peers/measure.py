"""One visit: a fresh server, one tool, one load; what both of them say about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.outputs import Report
from benchmarks.peers.running import Cpus, Ended, run, server
from benchmarks.peers.tools import Load, Tool

# Beyond the duration that a tool is asked for: its start and end, and answers that are slow.
GRACE_S = 45.0


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the programs are, and where they run."""

    stub: Path
    programs: dict[str, str]  # by the name of the tool
    cpus: Cpus


@dataclass(frozen=True, slots=True)
class Visit:
    """What was found out about one tool in one run."""

    argv: tuple[str, ...]
    ended: Ended
    report: Report
    served: int  # requests, as the server counted them
    server_cpu_s: float

    def facts(self) -> dict[str, Any]:
        """What every part records."""
        wall_s = self.ended.wall_s
        return {
            "command": [shown(word) for word in self.argv],
            "requests": self.served,
            "reported_requests": self.report.requests,
            "reported_errors": self.report.errors,
            "cpu_s": round(self.ended.cpu_s, 4),
            "wall_s": round(wall_s, 4),
            "others_share": round(self.ended.others_cpu_s / wall_s, 4),
            "server_share": round(self.server_cpu_s / wall_s, 4),
            **self.report.extra,
        }


def shown(word: str) -> str:
    """An argument without the folders of this machine, which say nothing elsewhere."""
    name, equals, path = word.rpartition("=")
    return f"{name}{equals}{Path(path).name}" if path.startswith("/") else word


def visit(bench: Bench, tool: Tool, load: Load, stub_flags: Sequence[str]) -> Visit:
    """Run the tool against a server that is started for it. load.url is the path."""
    with server(bench.stub, stub_flags, bench.cpus) as running:
        to = Load(running.url + load.url, load.connections, load.duration_s, load.rate,
                  load.body, load.work)  # fmt: skip
        invocation = tool.invoke(bench.programs[tool.name], to)
        cpu_s = running.cpu_s()
        ended = run(invocation.argv, bench.cpus.generator, load.duration_s + GRACE_S)
        cpu_s = running.cpu_s() - cpu_s
        served = running.requests()
    text = invocation.output.read_text() if invocation.output else ended.stdout
    if invocation.after:
        text = run(invocation.after, bench.cpus.generator, GRACE_S).stdout
    return Visit(invocation.argv, ended, tool.parse(text), served, cpu_s)
