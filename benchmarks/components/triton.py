"""
What the service costs in front of Triton: answers a second against a bare tritonclient loop.

    python -m benchmarks.components.triton [--model small] [--clients 8] [--repeats 8]

One Triton, and in each repeat one after the other: the bare loop with the same tensors
(benchmarks/components/bare_triton.py), then each variant of the service on track B. The ratio is
taken repeat by repeat. Start-up times are printed as well.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks import environments
from benchmarks.components.tables import available, ratio
from benchmarks.environments import ROOT
from benchmarks.processes import RunError
from benchmarks.triton.served import Served
from benchmarks.triton.server import Ports, Server
from benchmarks.variants import Request, Service, service_command

IMAGES = ROOT / "loadtests/images"
PICTURE = IMAGES / "cat-451x300.jpg"
BENCH = ROOT / ".tools/bin/triton_bench"
PATIENCE_S = 60.0
LEAST_REPEATS = 3
BARE = "bare loop"

# Each with its environment.
VARIANTS: dict[str, tuple[str, dict[str, str]]] = {
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
ratio: answers a second / those of the bare loop in the same repeat, geometric mean and 95 %
interval (paired t) over {repeats} repeats of {seconds:g} s. CPU: milliseconds a request of the
service's processes, and of Triton with its stubs, medians. With {cpus} CPUs, generator, service and
Triton share them: what the service computes (decoding and letterboxing above all) is taken from
Triton."""


@dataclass(slots=True)
class Found:
    """One variant in all repeats."""

    rates: list[float] = field(default_factory=list)
    service_ms: list[float] = field(default_factory=list)
    triton_ms: list[float] = field(default_factory=list)


def cpu_s(pid: int | None) -> float:
    """CPU seconds of a process and its children."""
    if pid is None:
        return 0.0
    root = psutil.Process(pid)
    return sum(sum(p.cpu_times()[:2]) for p in [root, *root.children(recursive=True)])


def service(name: str, triton: Server, model: str, folder: Path) -> Service:
    """One variant on track B of that Triton."""
    environment, settings = VARIANTS[name]
    ours = {"SERVICE_TRACK": "B", "SERVICE_TRITON_URL": triton.grpc, "SERVICE_SLOW_MS": "1000000"}
    python = environments.interpreter(environment, ROOT)
    command = service_command(settings | ours, python, ROOT, None)
    request = Request(PICTURE, "raw", PATIENCE_S)
    log = folder / f"{name}.txt"
    return Service(name, command, request, f"/predict/{model}?track=B", log)


def asked(command: list[str], seconds: float) -> dict[str, float | dict[str, int]]:
    """What a generator says at its end, as JSON."""
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + PATIENCE_S
    )
    if done.returncode != 0:
        raise RunError(
            f"{' '.join(command[:4])}: ended with status {done.returncode}: {done.stderr[-500:]}"
        )
    said: dict[str, float | dict[str, int]] = json.loads(done.stdout)
    return said


def bare(triton: Server, model: str, clients: int, seconds: float) -> tuple[float, int]:
    """Answers a second of the bare loop, and how many."""
    program = [sys.executable, "-m", "benchmarks.components.bare_triton"]
    said = asked([*program, triton.grpc, model, str(clients), f"{seconds:g}"], seconds)
    answers, took = said["answers"], said["seconds"]
    assert isinstance(answers, int)
    assert isinstance(took, float)
    return answers / took, answers


def loaded(target: Service, clients: int, seconds: float) -> tuple[float, int]:
    """The same of the service, asked by triton_bench."""
    program = [str(BENCH), "--url", target.url, "--images", str(IMAGES), "--json"]
    load = ["--clients", str(clients), "--duration", f"{seconds:g}s", "--warmup", "0.5s"]
    said = asked([*program, *load], seconds)
    measured, whole = said["measured"], said["accounting"]
    assert isinstance(measured, dict)
    assert isinstance(whole, dict)
    if whole["ok"] != whole["issued"]:
        raise RunError(f"{target.name}: requests failed ({whole}); expected an answer to each")
    return measured["ok"] / seconds, whole["ok"]


def measure(model: str, clients: int, repeats: int, seconds: float) -> tuple[dict[str, Found], str]:
    """Every variant in every repeat, and what was seen of the starts."""
    names = [name for name, (environment, _) in VARIANTS.items() if available(environment, name)]
    found = {name: Found() for name in (BARE, *names)}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="windtunnel-")))
        triton = Server(Served((model,), ("B",)), folder / "log", ports=Ports.free())
        stack.callback(triton.stop)
        starts = [f"{started_s(triton):.1f} s: Triton, track B of {model}, to right answers"]
        services: dict[str, Service] = {}
        for name in names:
            services[name] = service(name, triton, model, folder)
            stack.callback(services[name].stop)
            starts.append(f"{started_s(services[name]):.1f} s: {name}, to its first answer")
        for number in range(repeats + 1):
            print(f"repeat {number} of {repeats}", file=sys.stderr, flush=True)
            for name, of in found.items():
                target = services.get(name)
                pid = next(iter(target.pids)) if target else None
                before = cpu_s(pid), cpu_s(triton.pid)
                if target:
                    rate, answers = loaded(target, clients, seconds)
                else:
                    rate, answers = bare(triton, model, clients, seconds)
                if number > 0:  # the first warms up
                    of.rates.append(rate)
                    of.service_ms.append(1e3 * (cpu_s(pid) - before[0]) / answers)
                    of.triton_ms.append(1e3 * (cpu_s(triton.pid) - before[1]) / answers)
    return found, "\n".join(starts)


def started_s(target: Server | Service) -> float:
    """Start it and wait until it has answered; how long that took."""
    began = time.monotonic()
    target.start()
    target.wait_ready()
    return time.monotonic() - began


def table(found: dict[str, Found]) -> str:
    reference = found[BARE]
    lines = ["| variant | req/s | ratio | CPU service | CPU Triton |", "|---|---|---|---|---|"]
    for name, of in found.items():
        against = "1" if of is reference else ratio(of.rates, reference.rates)
        spent = "-" if of is reference else f"{statistics.median(of.service_ms):.1f}"
        lines.append(
            f"| {name} | {statistics.median(of.rates):.1f} | {against} | {spent} "
            f"| {statistics.median(of.triton_ms):.1f} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="small", help="nano, small or medium (default: small)")
    parser.add_argument("--clients", type=int, default=8, help="default: 8")
    parser.add_argument("--repeats", type=int, default=8, help="at least 3 (default: 8)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each repeat (default: 4)")
    wanted = parser.parse_args()
    if wanted.repeats < LEAST_REPEATS:
        parser.error(f"--repeats: an interval needs at least {LEAST_REPEATS}")
    try:
        environments.make("triton", ROOT, print)
        found, starts = measure(wanted.model, wanted.clients, wanted.repeats, wanted.seconds)
    except RunError as error:
        print(f"triton: {error}", file=sys.stderr)
        return 2
    cpus = len(os.sched_getaffinity(0))
    print(f"{starts}\n\n{wanted.model}, {wanted.clients} clients:\n\n{table(found)}")
    print(HOW_TO_READ.format(repeats=wanted.repeats, seconds=wanted.seconds, cpus=cpus))
    return 0


if __name__ == "__main__":
    sys.exit(main())
