"""
What the service costs in front of Triton: answers a second against a bare tritonclient loop.

    python -m benchmarks.components.triton [--model small] [--clients 8] [--rounds 8]

One Triton, and in each round one after the other: the bare loop with the same tensors
(benchmarks/components/bare_triton.py), then the service on track B as each preset, or part of one,
has it. The ratio is taken round by round. Start-up times are printed as well.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from scipy.special import stdtrit

from benchmarks import environments, probe
from benchmarks.environments import ROOT, UnavailableError
from benchmarks.processes import free_port
from benchmarks.triton.served import Served
from benchmarks.triton.server import Ports, Server

IMAGES = ROOT / "loadtests/images"
PICTURE = IMAGES / "cat-451x300.jpg"
BENCH = ROOT / ".tools/bin/triton_bench"
START_S = 30.0
LEAST_ROUNDS = 3

WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "optimized": ("default", {"SERVICE_PRESET": "optimized"}),
    "optimized, inline": ("default", {"SERVICE_PRESET": "optimized", "SERVICE_TENSORS": "inline"}),
    "optimized, per request": (
        "default",
        {"SERVICE_PRESET": "optimized", "SERVICE_CLIENTS": "per_request"},
    ),
    "optimized, pillow-simd": ("simd", {"SERVICE_PRESET": "optimized"}),
    "baseline": ("default", {"SERVICE_PRESET": "baseline"}),
}

HOW_TO_READ = """
ratio: answers a second / those of the bare loop in the same round, geometric mean and 95 %
interval (paired t) over {rounds} rounds of {seconds:g} s. CPU: milliseconds a request of the
service's process, and of Triton with its stubs, medians. With {cpus} CPUs, generator, service and
Triton share them: what the service computes (decoding and letterboxing above all) is taken from
Triton."""


@dataclass(slots=True)
class Found:
    """One way in all rounds."""

    rates: list[float] = field(default_factory=list)
    service_ms: list[float] = field(default_factory=list)
    triton_ms: list[float] = field(default_factory=list)


def cpu_s(pid: int | None) -> float:
    """CPU seconds of a process and its children."""
    if pid is None:
        return 0.0
    root = psutil.Process(pid)
    return sum(sum(p.cpu_times()[:2]) for p in [root, *root.children(recursive=True)])


@contextmanager
def serving(
    environment: str, settings: dict[str, str], triton: Server
) -> Iterator[tuple[int, str]]:
    """A service on track B; its pid and its address, after its first answer."""
    others = {k: v for k, v in os.environ.items() if not k.startswith("SERVICE_")}
    ours = {"SERVICE_TRACK": "B", "SERVICE_TRITON_URL": triton.grpc, "SERVICE_SLOW_MS": "1000000"}
    port = free_port()
    python = environments.interpreter(environment, ROOT)
    process = subprocess.Popen(
        [str(python), "-m", "service", "serve"],
        env=others | ours | settings | {"SERVICE_PORT": str(port)},
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process.pid, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def first_answer_s(address: str, model: str) -> float:
    """Wait for an answer; how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < START_S:
        try:
            if probe.post(f"{address}/predict/{model}", PICTURE, "raw", START_S)[0] == 200:
                return time.monotonic() - began
        except probe.FAILURES:
            pass
        time.sleep(0.01)
    raise SystemExit(f"triton: {address} gave no answer in {START_S:g} s")


def bare(triton: Server, model: str, clients: int, seconds: float) -> tuple[float, int]:
    """Answers a second of the bare loop, and how many."""
    program = [sys.executable, "-m", "benchmarks.components.bare_triton"]
    asked = [triton.grpc, model, str(clients), f"{seconds:g}"]
    done = subprocess.run([*program, *asked], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"triton: the bare loop failed: {done.stderr[-500:]}")
    said = json.loads(done.stdout)
    return said["answers"] / said["seconds"], int(said["answers"])


def loaded(address: str, model: str, clients: int, seconds: float) -> tuple[float, int]:
    """The same of the service, asked by triton_bench."""
    program = [str(BENCH), "--url", f"{address}/predict/{model}?track=B", "--images", str(IMAGES)]
    asked = ["--clients", str(clients), "--duration", f"{seconds:g}s", "--warmup", "0.5s", "--json"]
    done = subprocess.run([*program, *asked], capture_output=True, text=True)
    said = json.loads(done.stdout)
    ok, all_of_them = int(said["measured"]["ok"]), int(said["accounting"]["ok"])
    if all_of_them != said["accounting"]["issued"]:
        raise SystemExit(f"triton: {address}: requests failed: {said['accounting']}")
    return ok / seconds, all_of_them


def measure(model: str, clients: int, rounds: int, seconds: float) -> tuple[dict[str, Found], str]:
    """Every way in every round, and what was seen of the starts."""
    ways = {name: way for name, way in WAYS.items() if available(name, way[0])}
    found = {name: Found() for name in ("bare loop", *ways)}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="windtunnel-")))
        triton = Server(Served((model,), ("B",)), folder / "log", ports=Ports.free())
        stack.callback(triton.stop)
        began = time.monotonic()
        triton.start()
        triton.wait_ready()
        starts = [f"Triton, track B of {model}: {time.monotonic() - began:.1f} s to right answers"]
        services = {}
        for name, (environment, settings) in ways.items():
            services[name] = stack.enter_context(serving(environment, settings, triton))
            seen = first_answer_s(services[name][1], model)
            starts.append(f"service, {name}: {seen:.1f} s to its first answer")
        for number in range(rounds + 1):
            print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
            for name, of in found.items():
                pid = services[name][0] if name in services else None
                before = cpu_s(pid), cpu_s(triton.pid)
                if name in services:
                    rate, answers = loaded(services[name][1], model, clients, seconds)
                else:
                    rate, answers = bare(triton, model, clients, seconds)
                if number > 0:  # the first round warms up
                    of.rates.append(rate)
                    of.service_ms.append(1e3 * (cpu_s(pid) - before[0]) / answers)
                    of.triton_ms.append(1e3 * (cpu_s(triton.pid) - before[1]) / answers)
    return found, "\n".join(starts)


def available(name: str, environment: str) -> bool:
    try:
        environments.make(environment, ROOT, lambda text: print(text, file=sys.stderr))
    except UnavailableError as error:
        print(f"LEFT OUT: {name}: {error}", file=sys.stderr)
        return False
    return True


def ratio(ours: list[float], theirs: list[float]) -> str:
    """The geometric mean of the rounds' ratios, with its interval."""
    logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    n, mean = len(logs), statistics.mean(logs)
    half = float(stdtrit(n - 1, 0.975)) * statistics.stdev(logs) / math.sqrt(n)
    return f"{math.exp(mean):.2f} [{math.exp(mean - half):.2f}, {math.exp(mean + half):.2f}]"


def table(found: dict[str, Found]) -> str:
    reference = found["bare loop"]
    lines = ["| way | req/s | ratio | CPU service | CPU Triton |", "|---|---|---|---|---|"]
    for name, of in found.items():
        against = "1" if of is reference else ratio(of.rates, reference.rates)
        service = "-" if of is reference else f"{statistics.median(of.service_ms):.1f}"
        lines.append(
            f"| {name} | {statistics.median(of.rates):.1f} | {against} | {service} "
            f"| {statistics.median(of.triton_ms):.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="small", help="nano, small or medium (default: small)")
    parser.add_argument("--clients", type=int, default=8, help="default: 8")
    parser.add_argument("--rounds", type=int, default=8, help="at least 3 (default: 8)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each slice (default: 4)")
    asked = parser.parse_args()
    if asked.rounds < LEAST_ROUNDS:
        parser.error(f"--rounds: an interval needs at least {LEAST_ROUNDS}")
    environments.make("triton", ROOT, print)
    found, starts = measure(asked.model, asked.clients, asked.rounds, asked.seconds)
    cpus = len(os.sched_getaffinity(0))
    print(f"{starts}\n\n{asked.model}, {asked.clients} clients:\n\n{table(found)}")
    print(HOW_TO_READ.format(rounds=asked.rounds, seconds=asked.seconds, cpus=cpus))


if __name__ == "__main__":
    main()
