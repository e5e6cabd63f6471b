"""
What the service costs beyond its stages, as CPU per request, for each preset.

    python -m benchmarks.components.overhead [--model nano] [--rounds 20]

One process is the service, and runs decode, preprocess, inference and postprocess in a tight
loop when told to (service/overhead.py). A block is a few pictures, four times: loop, service,
service, loop, or the other way round, so that a drift of the machine cancels. The overhead is
the difference of the two, and its median over the blocks.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "loadtests/images"
ENVIRONMENTS = {"baseline": ".venv", "seed": ".venv-simd", "optimized": ".venv"}
BOUNDARY = "windtunnel-overhead"
# The speed of a shared machine changes within a second: a block should take less.
BLOCK_PICTURES = 4
# Requests without stages are so quick that one pass of them would be mostly noise.
NULL_PASSES = 5

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
    blocks: list[Block]
    null: list[float]


def multipart(name: str, picture: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
    body = head.encode() + b"Content-Type: image/jpeg\r\n\r\n" + picture
    return body + f"\r\n--{BOUNDARY}--\r\n".encode()


def environment(preset: str) -> dict[str, str]:
    """One worker, so that there is one process to read; the other settings are the preset's."""
    others = {k: v for k, v in os.environ.items() if not k.startswith("SERVICE_")}
    return others | {
        "SERVICE_PRESET": preset,
        "SERVICE_PORT": "0",
        "SERVICE_TRACK": "A",
        "SERVICE_TRITON_URL": "none",
        "SERVICE_WORKERS": "1",
        "SERVICE_RECYCLE_REQUESTS": "0",
        "SERVICE_LOG_LEVEL": "error",
        "SERVICE_SLOW_MS": "1000000",
    }


class Service:
    """A service of one preset: its connection, and the line to what counts its CPU time."""

    def __init__(self, preset: str, process: subprocess.Popen[str], model: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.to, self.back = process.stdin, process.stdout
        self.model = model
        port = self.back.readline()
        if not port:
            raise SystemExit(f"overhead: {preset} did not start; its message is above")
        self.connection = ready(int(port))

    def told(self, line: str) -> dict[str, int]:
        self.to.write(line + "\n")
        self.to.flush()
        reading: dict[str, int] = json.loads(self.back.readline())
        return reading

    def loop_ms(self, first: int, end: int) -> float:
        began = self.told("read")
        done = self.told(f"loop {self.model} {first} {end}")
        return (done["cpu_ns"] - began["cpu_ns"]) / 1e6 / (end - first)

    def request_ms(self, bodies: list[bytes], query: str = "") -> tuple[float, float]:
        """What a request took, and how much of that in its stages."""
        path = f"/predict/{self.model}{query}"
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        began = self.told("read")
        for body in bodies:
            self.connection.request("POST", path, body, headers)
            response = self.connection.getresponse()
            answer = response.read()
            if response.status != 200:
                raise SystemExit(f"overhead: {path} answered {response.status}: {answer[:200]!r}")
        done = self.told("read")
        whole, stages = (done[k] - began[k] for k in ("cpu_ns", "stages_ns"))
        return whole / 1e6 / len(bodies), stages / 1e6 / len(bodies)


@contextmanager
def serving(preset: str, model: str) -> Iterator[Service]:
    python = str(ROOT / ENVIRONMENTS[preset] / "bin/python")
    process = subprocess.Popen(
        [python, "-m", "service", "overhead", str(IMAGES)],
        env=environment(preset),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Service(preset, process, model)
    finally:
        process.terminate()
        process.communicate()


def ready(port: int) -> HTTPConnection:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            response.read()
            if response.status == 200:
                return connection
        except (OSError, HTTPException):
            pass
        connection.close()
        time.sleep(0.1)
    raise SystemExit(f"overhead: port {port} was not ready in 60 s")


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
                    found[preset].blocks += blocks
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="nano", help="nano, small or medium (default: nano)")
    parser.add_argument("--rounds", type=int, default=20, help="at least 6 (default: 20)")
    asked = parser.parse_args()
    if asked.rounds < 6:
        parser.error("--rounds: an interval needs at least 6")
    print(table(measure(asked.model, asked.rounds)))


if __name__ == "__main__":
    main()
