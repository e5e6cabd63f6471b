"""
What the service costs beyond its stages, as CPU per request, for each preset.

    python -m benchmarks.components.overhead [--model nano] [--rounds 25]

A real service answers one keep-alive client; its CPU is read from /proc. Before or after each
of its passes over the corpus, a second process runs decode, preprocess, inference and
postprocess on the same pictures, in the same environment, in a tight loop. The overhead is the
difference, pass by pass, and its median over the rounds, with a 95 % interval. On a busy
machine the CPU time of an inference moves by more than the overhead, and the interval says so.
Track `null` measures most of it in another way: there the service does everything but those
stages.
"""

import argparse
import json
import math
import os
import re
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
# Requests without stages are so quick that one pass of them would be mostly noise.
NULL_PASSES = 5


@dataclass(frozen=True, slots=True)
class Round:
    """CPU milliseconds per request."""

    service: float
    loop: float
    null: float


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
        "SERVICE_WORKERS": "1",
        "SERVICE_RECYCLE_REQUESTS": "0",
        "SERVICE_LOG_LEVEL": "error",
        "SERVICE_SLOW_MS": "1000000",
    }


def program(preset: str) -> list[str]:
    return [str(ROOT / ENVIRONMENTS[preset] / "bin/python"), "-m", "service"]


@contextmanager
def serving(preset: str) -> Iterator[tuple[HTTPConnection, int]]:
    """A service that is ready, and its process id."""
    process = subprocess.Popen(
        [*program(preset), "serve"],
        env=environment(preset),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        address = re.search(r"http://(\S+):(\d+)", said)
        if address is None:
            raise SystemExit(f"overhead: {preset} did not start: {said.strip()}")
        yield ready(address[1], int(address[2])), process.pid
    finally:
        process.terminate()
        process.wait(60)


def ready(host: str, port: int) -> HTTPConnection:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        connection = HTTPConnection(host, port, timeout=60)
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
    raise SystemExit(f"overhead: {host}:{port} was not ready in 60 s")


@contextmanager
def looping(preset: str, model: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*program(preset), "stages", str(IMAGES), "--model", model],
        env=environment(preset),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def loop_ms(process: subprocess.Popen[str]) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return float(json.loads(process.stdout.readline())["cpu_ms"])


def cpu_ns(pid: int) -> int:
    """The CPU time of a process, from its threads: its own count is in ticks of 10 ms."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def service_ms(connection: HTTPConnection, pid: int, path: str, bodies: list[bytes]) -> float:
    """The CPU milliseconds that a request took."""
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    began = cpu_ns(pid)
    for body in bodies:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise SystemExit(f"overhead: {path} answered {response.status}: {answer[:200]!r}")
    return (cpu_ns(pid) - began) / 1e6 / len(bodies)


def measure(model: str, rounds: int) -> dict[str, list[Round]]:
    """All presets side by side, in turn, so that the machine's moods touch all alike."""
    bodies = [multipart(f.name, f.read_bytes()) for f in sorted(IMAGES.glob("*.jpg"))]
    found: dict[str, list[Round]] = {preset: [] for preset in ENVIRONMENTS}
    with ExitStack() as stack:
        services = {p: stack.enter_context(serving(p)) for p in ENVIRONMENTS}
        loops = {p: stack.enter_context(looping(p, model)) for p in ENVIRONMENTS}
        for number in range(rounds + 1):
            print(f"round {number} of {rounds}", file=sys.stderr)
            for preset, (connection, pid) in services.items():
                path = f"/predict/{model}"
                # The order turns, so that a drift of the machine does not favour one of them.
                before = loop_ms(loops[preset]) if number % 2 else math.nan
                whole = service_ms(connection, pid, path, bodies)
                loop = before if number % 2 else loop_ms(loops[preset])
                null = service_ms(connection, pid, f"{path}?track=null", bodies * NULL_PASSES)
                if number > 0:  # the first round warms up
                    found[preset].append(Round(whole, loop, null))
    return found


def median_interval(values: list[float]) -> tuple[float, float]:
    """Between two order statistics: of n values, how many lie under the median is binomial."""
    ordered, n = sorted(values), len(values)
    reach = 1.96 * math.sqrt(n) / 2
    return ordered[max(0, math.floor(n / 2 - reach))], ordered[min(n - 1, math.ceil(n / 2 + reach))]


def table(found: dict[str, list[Round]]) -> str:
    lines = [
        "CPU ms per request: median over rounds, of the overhead with its 95 % interval",
        "",
        "| preset | service | stages in a loop | overhead | overhead on track null |",
        "|---|---|---|---|---|",
    ]
    for preset, rounds in found.items():
        over = [r.service - r.loop for r in rounds]
        low, high = median_interval(over)
        lines.append(
            f"| {preset} | {statistics.median(r.service for r in rounds):.2f} "
            f"| {statistics.median(r.loop for r in rounds):.2f} "
            f"| {statistics.median(over):.2f} ({low:.2f} to {high:.2f}) "
            f"| {statistics.median(r.null for r in rounds):.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="nano", help="nano, small or medium (default: nano)")
    parser.add_argument("--rounds", type=int, default=25, help="at least 6 (default: 25)")
    asked = parser.parse_args()
    if asked.rounds < 6:
        parser.error("--rounds: an interval needs at least 6")
    print(table(measure(asked.model, asked.rounds)))


if __name__ == "__main__":
    main()
