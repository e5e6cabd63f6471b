"""
Measures statements beside each other, in fresh processes: a block after the other.

As pyperf does, each statement is warmed up and its loops are counted out in a process that has
just been started; a value is the median of a few visits. Unlike it, all statements of a block are
visited in turn, in an order that is drawn anew each time, so that a drift of the machine touches
all alike. Each environment of a block is one process (timed.py), which ends when this one does.
"""

import json
import random
import statistics
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.components.result import Case
from benchmarks.environments import ROOT, interpreter
from benchmarks.processes import RunError, runner_environment

COMMAND = ("-W", "ignore", "-m", "benchmarks.components.timed")
WALL = ".wall"  # the case of the same name has the CPU time
GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class Timed:
    """A statement to be timed: Python as text, since it runs in another environment's process."""

    name: str
    says: str
    statement: str
    setup: str = ""
    environment: str = "default"
    handled: str = ""  # an expression: the bytes that one run goes through


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: blocks, visits to each case in a block, and a visit's length."""

    blocks: int
    visits: int
    least_s: float


FULL = Effort(blocks=8, visits=3, least_s=0.05)
QUICK = Effort(blocks=3, visits=1, least_s=0.02)


class Child:
    """A process of an environment that times statements."""

    def __init__(self, environment: str) -> None:
        self._python = str(interpreter(environment, ROOT))
        self._process = subprocess.Popen(
            [self._python, *COMMAND],
            cwd=ROOT,
            env=runner_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends its children
        )

    def asked(self, name: str, do: str, **said: Any) -> dict[str, Any]:
        """Its answer about a case; RunError when it has none."""
        assert self._process.stdin, "it has pipes"
        assert self._process.stdout, "it has pipes"
        try:
            self._process.stdin.write(json.dumps({"do": do, "name": name, **said}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer: dict[str, Any] = json.loads(line) if line else {"error": "its process ended"}
        if "error" in answer:
            raise RunError(
                f"case {name!r}: {answer['error']}; expected it to run with {self._python};"
                " `make setup build setup-simd setup-triton` installs what components need"
            )
        return answer

    def prepare(self, case: Timed, least_s: float) -> int | None:
        """Warm a case up; the bytes that it handles."""
        said = {"setup": case.setup, "statement": case.statement, "handled": case.handled}
        answer = self.asked(case.name, "prepare", least_s=least_s, **said)
        handled: int | None = answer["handled_bytes"]
        return handled

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate(timeout=GRACE_S)


@contextmanager
def children(environments: Sequence[str]) -> Iterator[dict[str, Child]]:
    """A fresh process of each environment."""
    with ExitStack() as stack:
        started: dict[str, Child] = {}
        for environment in environments:
            started[environment] = Child(environment)
            stack.callback(started[environment].close)
        yield started


def measure(
    cases: Sequence[Timed], effort: Effort, show: Callable[[int, int], None]
) -> dict[str, Case]:
    """Every case in every block: its CPU time under its name, its wall time under name.wall."""
    environments = sorted({case.environment for case in cases})
    found: dict[str, list[dict[str, float]]] = {case.name: [] for case in cases}
    handled: dict[str, int | None] = {}
    for block in range(effort.blocks):
        show(block, effort.blocks)
        with children(environments) as processes:
            for case in cases:
                child = processes[case.environment]
                handled[case.name] = child.prepare(case, effort.least_s)
            visits = visited(cases, processes, effort, random.Random(block))
        for name, seen in visits.items():
            found[name].append({of: statistics.median(v[of] for v in seen) for of in seen[0]})
    show(effort.blocks, effort.blocks)
    return {name: made for case in cases for name, made in both(case, found, handled).items()}


def visited(
    cases: Sequence[Timed], processes: dict[str, Child], effort: Effort, order: random.Random
) -> dict[str, list[dict[str, float]]]:
    """What each visit to each case found."""
    seen: dict[str, list[dict[str, float]]] = {case.name: [] for case in cases}
    for _ in range(effort.visits):
        for case in order.sample(cases, len(cases)):
            seen[case.name].append(processes[case.environment].asked(case.name, "time"))
    return seen


def both(
    case: Timed, found: dict[str, list[dict[str, float]]], handled: dict[str, int | None]
) -> dict[str, Case]:
    """A case as the result has it: CPU and wall."""
    blocks, size = found[case.name], handled[case.name]
    return {
        f"{case.name}{suffix}": Case(
            f"{case.says}{of}", case.environment, unit, tuple(b[unit] for b in blocks), size
        )
        for suffix, of, unit in (("", "", "cpu_ms"), (WALL, " (wall time)", "ms"))
    }
