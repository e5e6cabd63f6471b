"""What all components share at the command line: options, progress, and a table with ratios."""

import argparse
import math
import signal
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.special import stdtrit

from benchmarks.components.result import Case, Check
from benchmarks.environments import ROOT, UnavailableError, make
from benchmarks.fields import CampaignError
from benchmarks.processes import RunError
from benchmarks.record import RESULTS, RecordError, shown

HOW_TO_READ = """
Values are medians over {blocks} blocks, each measured in processes of its own. ratio: how many
times as much the first of a group takes, block by block: geometric mean and 95 % interval (paired
t); above 1 is less than the first."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a component was asked for."""

    quick: bool
    results: Path


def options(module: str, description: str, takes: str) -> Options:
    """The command line of a component."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.components.{module}",
        description=description,
        epilog=f"It takes {takes}. example: .venv/bin/python -m benchmarks.components.{module}"
        " --quick",
    )
    parser.add_argument("--quick", action="store_true", help="few, short blocks: a look only")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="results folder (default: benchmarks/results)"
    )
    wanted = parser.parse_args()
    try:
        wanted.results.mkdir(parents=True, exist_ok=True)  # said now, not when all is measured
    except OSError as error:
        parser.error(f"--results: {error}; expected a folder of yours")
    return Options(wanted.quick, wanted.results.resolve())


def ended(name: str, work: Callable[[], Path]) -> int:
    """Do a component's work; its exit status. What a person can mend is one line."""
    # By default this signal would leave the servers that were started.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(f"\nresult: {shown(work())}")
    except (CampaignError, RecordError, RunError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted; nothing was written", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def shower(name: str) -> Callable[[int, int], None]:
    """Progress by blocks: on a terminal one line that is written over, else a line each."""

    def show(done: int, blocks: int) -> None:
        terminal = sys.stderr.isatty()
        end = "\r" if terminal and done < blocks else "\n"
        if terminal or done < blocks:
            print(f"{name}: block {min(done + 1, blocks)} of {blocks}", end=end, file=sys.stderr)
            sys.stderr.flush()

    return show


def numbered(name: str, blocks: int) -> Iterator[int]:
    """The number of each block, with progress."""
    show = shower(name)
    for number in range(blocks):
        show(number, blocks)
        yield number
    show(blocks, blocks)


def available(environment: str, leaves_out: str) -> bool:
    """Whether an environment is there, or can be made; what is missing without it is said."""
    try:
        make(environment, ROOT, lambda text: print(text, file=sys.stderr))
    except UnavailableError as error:
        print(f"LEFT OUT: {leaves_out}: {error}", file=sys.stderr)
        return False
    return True


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> str:
    """The geometric mean of theirs / ours over the blocks, with its interval: `2.1 [1.9, 2.3]`."""
    if min(*theirs, *ours) <= 0:
        return ""
    logs = [math.log(a / b) for a, b in zip(theirs, ours, strict=True)]
    n, mean = len(logs), statistics.mean(logs)
    if n < 2:
        return f"{math.exp(mean):.2f}"
    half = float(stdtrit(n - 1, 0.975)) * statistics.stdev(logs) / math.sqrt(n)
    return f"{math.exp(mean):.2f} [{math.exp(mean - half):.2f}, {math.exp(mean + half):.2f}]"


def table(cases: Mapping[str, Case], groups: Sequence[Sequence[str]]) -> str:
    """A row for each case, in groups that begin with what the others are compared with."""
    lines = ["| case | | ratio | MB/s | what |", "|---|--:|---|--:|---|"]
    for names in groups:
        reference = cases[names[0]]
        for name in names:
            case = cases[name]
            against = "1" if name == names[0] else ratio(reference.values, case.values)
            lines.append(
                f"| {name} | {amount(case)} | {against} | {throughput(case)} | {case.says} |"
            )
    blocks = len(next(iter(cases.values())).values)
    return "\n".join(lines) + "\n" + HOW_TO_READ.format(blocks=blocks)


def amount(case: Case) -> str:
    """Three digits and the unit: `1.24 ms CPU`."""
    value = statistics.median(case.values)
    unit = {"cpu_ms": "ms CPU", "ms": "ms", "mb": "MB"}.get(case.unit, case.unit)
    counted = case.unit == "requests"
    return f"{value:g} {unit}" if counted else f"{digits(value)} {unit}"


def digits(value: float) -> str:
    """Three of them, never an exponent: 0.0123, 1.24, 1230."""
    decimals = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{round(value, decimals):.{max(0, decimals)}f}"


def throughput(case: Case) -> str:
    """Megabytes (10^6) a second of CPU or wall time, of a case that goes through bytes."""
    value = statistics.median(case.values)
    if case.handled_bytes is None or case.unit not in ("cpu_ms", "ms") or value <= 0:
        return ""
    return digits(case.handled_bytes / 1e3 / value)


def checks(found: Sequence[Check]) -> str:
    """A row for each check."""
    rows = [
        f"| {each.name} | {each.expected} | {each.found} | {'yes' if each.passed else 'NO'} |"
        for each in found
    ]
    return "\n".join(["| check | expected | found | so |", "|---|---|---|---|", *rows])
