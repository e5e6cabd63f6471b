"""
What the analysis takes of a large record and of a folder with many: time and memory.

    python -m benchmarks.components.analysis [--rows 250000] [--runs 10000] [--folder DIR]

`windtunnel compare` of a record of 40 repeats with ROWS requests each, 10 million, and the list of
RUNS runs, when none of them was seen before and when all were. Both run as processes of their own,
with their files in the system's cache. The best of three counts: the program takes no less, and
what it takes more is the machine's.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.components import made_up

ROOT = Path(__file__).parents[2]
COMPARE = (str(Path(sys.executable).with_name("windtunnel")), "compare")
# The app lists runs from a process that is there already: starting one is not counted.
LIST = """
import pathlib, sys, time
from analysis import catalogue
began = time.perf_counter()
found = catalogue.entries(pathlib.Path(sys.argv[1]))
print(time.perf_counter() - began if len(found) == int(sys.argv[2]) else len(found))
"""
TIMES = 3
LEAST_ROWS = 2000
# What a person waits for without wondering, and what a small machine has to spare.
MOST_COMPARE_S = 5.0
MOST_COMPARE_GB = 1.5
MOST_LIST_S = 1.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took."""

    wall_s: float
    cpu_s: float
    rss_gb: float
    output: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; no *most*: nothing was promised."""

    what: str
    unit: str
    found: float
    most: float | None = None

    def __str__(self) -> str:
        target = "" if self.most is None else f"{self.most:g} {self.unit}"
        held = "" if self.most is None else "held" if self.found <= self.most else "NOT held"
        return f"| {self.what} | {self.found:.2f} {self.unit} | {target} | {held} |"


def cost(command: Sequence[str], cache: Path) -> Cost:
    """Run a command and take its time and the most memory that it held."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if process.returncode:
        raise SystemExit(f"analysis: {' '.join(command[:2])} ended with {process.returncode}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20, said)


def comparing(record: Path, rows: int, cache: Path) -> Iterator[Row]:
    what = f"`compare`, {len(made_up.VISITS) * rows:,} requests"
    command = (*COMPARE, str(record))
    cost(command, cache)  # brings the files into the system's cache
    costs = [cost(command, cache) for _ in range(TIMES)]
    best = min(costs, key=lambda each: each.wall_s)
    yield Row(f"{what}: time", "s", best.wall_s, MOST_COMPARE_S)
    yield Row(f"{what}: CPU time", "s", best.cpu_s)
    yield Row(f"{what}: memory", "GB", max(each.rss_gb for each in costs), MOST_COMPARE_GB)


def listing(results: Path, count: int, cache: Path) -> Iterator[Row]:
    command = (sys.executable, "-c", LIST, str(results), str(count))
    times_s = [float(cost(command, cache).output) for _ in range(TIMES + 1)]
    yield Row(f"list of {count:,} runs, each for the first time", "s", times_s[0])
    yield Row(f"list of {count:,} runs, seen before", "s", min(times_s[1:]), MOST_LIST_S)


def measure(folder: Path, rows: int, runs: int) -> list[Row]:
    print(
        f"analysis: making {len(made_up.VISITS) * rows:,} requests and {runs:,} runs",
        file=sys.stderr,
    )
    large, many = made_up.large(folder, rows), made_up.many(folder, runs)
    with tempfile.TemporaryDirectory() as cache:
        return [*comparing(large, rows, Path(cache)), *listing(many, runs, Path(cache))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=250_000, help="of a repeat (default: 250000)")
    parser.add_argument("--runs", type=int, default=10_000, help="default: 10000")
    parser.add_argument("--folder", type=Path, help="keep what is made here; a new folder")
    asked = parser.parse_args()
    if asked.rows < LEAST_ROWS or asked.runs < 1:
        parser.error(f"--rows: at least {LEAST_ROWS}, for a P99; --runs: at least 1")
    if asked.folder and asked.folder.exists():
        parser.error(f"--folder: {asked.folder} is there already; expected a new folder")
    with tempfile.TemporaryDirectory() as temporary:
        rows = measure(asked.folder or Path(temporary), asked.rows, asked.runs)
    print("| what | found | at most | |\n|---|--:|--:|---|", *rows, sep="\n")


if __name__ == "__main__":
    main()
