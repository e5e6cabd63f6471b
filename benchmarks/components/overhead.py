"""
What the service costs beyond its stages, as CPU per request, for each preset.

    python -m benchmarks.components.overhead [--model nano] [--rounds 20]

One process is the service, and runs decode, preprocess, inference and postprocess in a tight
loop when told to (service/overhead.py). A block is a few pictures, four times: loop, service,
service, loop, or the other way round, so that a drift of the machine cancels. The overhead is
the difference of the two, and its median over the blocks.
"""

import argparse
import math
import statistics
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.components import result, tables
from benchmarks.components.one_worker import ENVIRONMENTS, IMAGES, Service, multipart, serving
from benchmarks.components.result import Case
from benchmarks.record import RESULTS

NAME = "overhead"
QUESTION = "What does the service cost beyond its stages, by preset?"
# The speed of a shared machine changes within a second: a block should take less.
BLOCK_PICTURES = 4
# Requests without stages are so quick that one pass of them would be mostly noise.
NULL_PASSES = 5
ROUNDS = 20

HOW_TO_READ = """
Milliseconds of CPU per request, median over {blocks} blocks (95 % interval). Overhead: CPU of the
service's process, less that of the same pictures through the same functions in a tight loop in
the same process. It is the sum of two parts: outside stages, the CPU that the service spends
anywhere else than in its stages (threads' own clocks; precise), and stages slower than the loop
runs them, because a request has come between and the caches are cold (a small difference of large
numbers; most of the interval). Track null: a request with no stages at all, so with warm caches.
Compare the presets of one run: the machine's speed is in all of the numbers."""


@dataclass(frozen=True, slots=True)
class Block:
    """CPU milliseconds per request."""

    service: float
    stages: float  # of `service`, what was spent inside them
    loop: float

    @property
    def overhead(self) -> float:
        return self.service - self.loop

    @property
    def outside(self) -> float:
        return self.service - self.stages

    @property
    def slower(self) -> float:
        return self.stages - self.loop


@dataclass(slots=True)
class Found:
    rounds: list[list[Block]]
    null: list[float]

    @property
    def blocks(self) -> list[Block]:
        return [block for blocks in self.rounds for block in blocks]


def block(service: Service, bodies: list[bytes], first: int, loop_first: bool) -> Block:
    """Four slices of the same pictures, in the order ABBA."""
    end = min(first + BLOCK_PICTURES, len(bodies))
    loops: list[float] = []
    requests: list[tuple[float, float]] = []
    for loop in (loop_first, not loop_first, not loop_first, loop_first):
        if loop:
            loops.append(service.loop_ms(first, end))
        else:
            requests.append(service.request_ms(bodies[first:end]))
    whole, stages = (statistics.mean(values) for values in zip(*requests, strict=True))
    return Block(whole, stages, statistics.mean(loops))


def measure(model: str, rounds: int) -> dict[str, Found]:
    """All presets side by side, in turn, so that the machine's moods touch all alike."""
    bodies = [multipart(f.name, f.read_bytes()) for f in sorted(IMAGES.glob("*.jpg"))]
    found = {preset: Found([], []) for preset in ENVIRONMENTS}
    with ExitStack() as stack:
        services = {p: stack.enter_context(serving(p, model)) for p in ENVIRONMENTS}
        for number in range(rounds + 1):
            progress(number, rounds)
            for preset, service in services.items():
                firsts = range(0, len(bodies), BLOCK_PICTURES)
                blocks = [
                    block(service, bodies, first, (number + turn) % 2 == 0)
                    for turn, first in enumerate(firsts)
                ]
                null, _ = service.request_ms(bodies * NULL_PASSES, "?track=null")
                if number > 0:  # the first round warms up
                    found[preset].rounds.append(blocks)
                    found[preset].null.append(null)
    return found


def progress(number: int, rounds: int) -> None:
    """On a terminal one line that is written over; elsewhere the beginning only."""
    if sys.stderr.isatty():
        end = "\r" if number < rounds else "\n"
        print(f"round {number} of {rounds}", end=end, file=sys.stderr, flush=True)
    elif number == 0:
        print(f"overhead: {rounds} rounds of about 5 s", file=sys.stderr)


def median_interval(values: list[float]) -> tuple[float, float]:
    """Between two order statistics: of n values, how many lie under the median is binomial."""
    ordered, n = sorted(values), len(values)
    reach = 1.96 * math.sqrt(n) / 2
    return ordered[max(0, math.floor(n / 2 - reach))], ordered[min(n - 1, math.ceil(n / 2 + reach))]


def stated(values: list[float]) -> str:
    low, high = median_interval(values)
    return f"{statistics.median(values):.2f} ({low:.2f} to {high:.2f})"


def table(found: dict[str, Found]) -> str:
    lines = [
        "| preset | service | loop | overhead | = outside stages | + slower stages | track null |",
        "|---|---|---|---|---|---|---|",
    ]
    for preset, of in found.items():
        lines.append(
            f"| {preset} | {statistics.median(b.service for b in of.blocks):.2f} "
            f"| {statistics.median(b.loop for b in of.blocks):.2f} "
            f"| {stated([b.overhead for b in of.blocks])} "
            f"| {stated([b.outside for b in of.blocks])} "
            f"| {stated([b.slower for b in of.blocks])} "
            f"| {stated(of.null)} |"
        )
    blocks = len(next(iter(found.values())).blocks)
    return "\n".join(lines) + "\n" + HOW_TO_READ.format(blocks=blocks)


def cases(found: dict[str, Found]) -> dict[str, Case]:
    """As the result has them: a value for each round over all pictures."""
    cases = {}
    for preset, of in found.items():
        measures = {
            "service": ("CPU of a request", [[b.service for b in r] for r in of.rounds]),
            "overhead": ("less its stages in a loop", [[b.overhead for b in r] for r in of.rounds]),
            "outside": ("outside of its stages", [[b.outside for b in r] for r in of.rounds]),
            "null": ("CPU of a request without stages", [[value] for value in of.null]),
        }
        for name, (says, rounds) in measures.items():
            values = tuple(statistics.mean(values) for values in rounds)
            case = Case(f"{preset}: {says}", ENVIRONMENTS[preset], "cpu_ms", values)
            cases[f"{preset}.{name}"] = case
    return cases


def measured(model: str, rounds: int, results: Path) -> Path:
    """Measure, print, write; the file."""
    begun = result.beginning(tuple(ENVIRONMENTS.values()))
    found = measure(model, rounds)
    print(table(found))
    return result.write(results, NAME, QUESTION, begun, cases(found), quick=rounds < ROUNDS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="nano", help="nano, small or medium (default: nano)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="at least 6 (default: 20)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="results folder")
    asked = parser.parse_args()
    if asked.rounds < 6:
        parser.error("--rounds: an interval needs at least 6")
    return tables.ended(NAME, lambda: measured(asked.model, asked.rounds, asked.results.resolve()))


if __name__ == "__main__":
    sys.exit(main())
