"""
Times statements in a process of its own, in any environment: the other end of interleaved.py.

    python -m benchmarks.components.timed

Each line on stdin is a JSON object that is answered with one. `prepare` runs a case's setup and
finds how many loops take long enough, which warms it up; `time` runs that many; `peak` says the
most memory that the process had. It ends with its stdin. It needs nothing but Python.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

MOST_LOOPS = 1 << 20


@dataclass(slots=True)
class Statement:
    """A statement with the names that its setup made."""

    run: Callable[[int], None]
    names: dict[str, Any]
    loops: int = 1


@dataclass(slots=True)
class Bench:
    """The statements of this process."""

    statements: dict[str, Statement] = field(default_factory=dict)

    def prepare(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Compile a case, run it once, and double its loops until they take *least_s* (0: stay)."""
        names: dict[str, Any] = {}
        exec(compile(asked["setup"], f"<setup of {asked['name']}>", "exec"), names)
        statement = Statement(looped(asked["statement"], names), names)
        self.statements[asked["name"]] = statement
        statement.run(1)
        least_s = asked["least_s"]
        while least_s and took_s(statement) < least_s and statement.loops < MOST_LOOPS:
            statement.loops *= 2
        handled = eval(asked["handled"], names) if asked["handled"] else None
        # What one case holds on to is not to be gone through while another is timed.
        gc.collect()
        gc.freeze()
        return {"loops": statement.loops, "handled_bytes": handled}

    def time(self, asked: dict[str, Any]) -> dict[str, Any]:
        """CPU time of all threads and wall time, milliseconds for each loop."""
        statement = self.statements[asked["name"]]
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        statement.run(statement.loops)
        cpu_ns, wall_ns = time.process_time_ns() - cpu_ns, time.perf_counter_ns() - wall_ns
        return {"cpu_ms": cpu_ns / 1e6 / statement.loops, "ms": wall_ns / 1e6 / statement.loops}

    def peak(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Megabytes (10^6) of resident memory, since this program began."""
        return {"mb": peak_bytes() / 1e6}


def looped(statement: str, names: dict[str, Any]) -> Callable[[int], None]:
    """A function that runs a statement so many times, as timeit does: no call in between."""
    body = "\n".join(f"        {line}" for line in statement.splitlines())
    source = f"def looped(loops):\n    for _ in range(loops):\n{body}\n"
    code: CodeType = compile(source, f"<{statement.splitlines()[0]}>", "exec")
    exec(code, names)
    run: Callable[[int], None] = names["looped"]
    return run


def peak_bytes() -> int:
    """Not what getrusage says: a child begins there with what its parent had when it was made."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024


def took_s(statement: Statement) -> float:
    began = time.perf_counter()
    statement.run(statement.loops)
    return time.perf_counter() - began


def main() -> None:
    """Answer until stdin ends; what goes wrong is an answer too."""
    bench = Bench()
    actions = {"prepare": bench.prepare, "time": bench.time, "peak": bench.peak}
    answers, sys.stdout = sys.stdout, sys.stderr  # a library that prints does not spoil an answer
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            said = actions[asked["do"]](asked)
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main()
