"""
The generator as a process: its command line, its live progress, its summary.

Its interface is that of `triton_bench --json --progress json`; nothing of it is imported.
With generator = "locust" it is Locust, to which loadtests/locustfile.py gives the same interface.
"""

import json
import os
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import Any
from urllib.parse import urlsplit

from benchmarks.campaign import Campaign
from benchmarks.environments import ROOT
from benchmarks.processes import Command, Process, RunError, runner_environment
from benchmarks.record import Visit
from benchmarks.usage import Meter, nothing

TICK_S = 0.2
# Beyond what it was asked to take: connecting, writing the samples, a machine that is busy.
PATIENCE_S = 60.0
GRACE_S = 5.0

# Where each generator is, and what puts it there.
PROGRAMS = {"triton_bench": (".tools/bin", "make build"), "locust": (".venv/bin", "make setup")}
LOCUSTFILE = "loadtests/locustfile.py"

Progress = dict[str, Any]


class GeneratorError(RunError):
    """A measurement that the generator could not make."""


@dataclass(slots=True)
class Outcome:
    """What the generator left."""

    code: int = 0
    stdout: bytes = b""
    said: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The JSON summary of a measurement; an error with its last words if there is none."""
        if self.code == 0:
            try:
                value = json.loads(self.stdout)
            except ValueError:
                value = None
            if isinstance(value, dict) and "window" in value:
                return value
        last = "\n".join(f"    {line}" for line in self.said[-8:]) or "    (it said nothing)"
        raise GeneratorError(
            f"the generator ended with status {self.code}; expected 0 and a summary;"
            f" its last lines:\n{last}"
        )


def program(root: Path, generator: str = "triton_bench") -> Path:
    """The generator's program."""
    folder, remedy = PROGRAMS[generator]
    path = root / folder / generator
    if not path.exists():
        raise RunError(f"{path}: not there; expected the generator; `{remedy}` installs it")
    return path


def arguments(
    campaign: Campaign,
    visit: Visit,
    url: str,
    *,
    run: str,
    images: Path,
    seed: int,
    samples: Path,
    metrics_addr: str | None = None,
) -> list[str]:
    """The generator's command line for one repeat."""
    served = ["--metrics-addr", metrics_addr] if metrics_addr else []
    ratio = campaign.trace_ratio_of(campaign.services[visit.variant])
    least = ["--min-requests", str(campaign.min_requests)] if campaign.min_requests else []
    load = _locust if campaign.generator == "locust" else _triton_bench
    return [
        *load(campaign, campaign.levels[visit.level], url),
        *least,
        *("--duration", f"{campaign.duration_s:g}s"),
        *("--warmup", f"{campaign.warmup_s:g}s"),
        *("--timeout", f"{campaign.timeout_s:g}s"),
        *("--image" if images.is_file() else "--images", str(images)),
        *("--body", campaign.body),
        *("--seed", str(seed)),
        *("--trace-ratio", repr(ratio)),
        *labels(campaign, visit, run),
        *served,
        *("--samples", str(samples)),
        *("--progress", "json"),
    ]


def labels(campaign: Campaign, visit: Visit, run: str) -> list[str]:
    """What the visit is called in the generator's metrics and in the service's traces."""
    named = {
        "campaign": campaign.name,
        "run": run,
        "variant": visit.variant,
        "cell": f"{visit.variant} {visit.level}",
        "repeat": str(visit.repeat),
    }
    return [word for name, value in named.items() for word in ("--label", f"{name}={value}")]


def _triton_bench(campaign: Campaign, value: float, url: str) -> list[str]:
    load = ["--clients", f"{value:.0f}"] if campaign.clients else ["--rate", f"{value:g}"]
    return ["--url", url, *load, "--calibrate", "100ms", "--json"]


def _locust(campaign: Campaign, value: float, url: str) -> list[str]:
    """All users at once; a service that fails is in the rows and no failure of Locust's."""
    parts, users = urlsplit(url), f"{value:.0f}"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return [
        *("-f", LOCUSTFILE, "--headless", "--only-summary", "--loglevel", "ERROR"),
        *("--exit-code-on-error", "0", "--summary", "-"),
        *("--host", f"{parts.scheme}://{parts.netloc}", "--path", path),
        *("--users", users, "--spawn-rate", users),
    ]


def all_well() -> None:
    """For a service of which nobody asks meanwhile whether it is still there."""


def measure(
    command: list[str],
    limit_s: float,
    pids: tuple[int, ...],
    show: Callable[[Progress], None],
    check: Callable[[], None] = all_well,
    *,
    cpus: tuple[int, ...] | None = None,
    also: Callable[[Meter], None] = nothing,
) -> tuple[dict[str, Any], Meter]:
    """
    Run the generator from its start to its end; returns its summary, and the meter of *pids*.

    It should take *limit_s*. *also* is called with the meter after each of its readings; *check*
    raises when the service has ended: what is measured after that is not the service.
    """
    process = _start(command, cpus)
    try:
        meter = Meter(pids, process.pid, also)
        meter.read_if_due()  # before there is load, so that no window opens unread
        return _follow(process, limit_s, meter, show, check).summary(), meter
    finally:
        process.stop(0)


def _start(command: list[str], cpus: tuple[int, ...] | None) -> Process:
    """The caller's LOCUST_* would be options of it."""
    env = runner_environment(**({"GOMAXPROCS": str(len(cpus))} if cpus else {}))
    env = {key: value for key, value in env.items() if not key.startswith("LOCUST_")}
    return Process(Command(tuple(command), ROOT, env, cpus), stdout=PIPE, stderr=PIPE)


def _follow(
    process: Process,
    limit_s: float,
    meter: Meter,
    show: Callable[[Progress], None],
    check: Callable[[], None],
) -> Outcome:
    """Read what the generator says until it ends, and the meter meanwhile."""
    outcome, pending = Outcome(), bytearray()
    deadline = time.monotonic() + limit_s + PATIENCE_S
    with selectors.DefaultSelector() as selector:
        for stream in (process.popen.stdout, process.popen.stderr):
            assert stream is not None
            selector.register(stream, selectors.EVENT_READ, stream is process.popen.stdout)
        while selector.get_map():
            _read_available(selector, outcome, pending)
            _take_lines(pending, outcome, show)
            meter.read_if_due()
            check()
            if time.monotonic() > deadline:
                raise GeneratorError(f"the generator did not end in {limit_s + PATIENCE_S:g} s")
    _take_lines(pending + b"\n", outcome, show)
    meter.read()
    outcome.code = process.popen.wait()
    return outcome


def _read_available(selector: selectors.BaseSelector, outcome: Outcome, pending: bytearray) -> None:
    """Take what is there: standard output for the summary, standard error for its lines."""
    for key, _ in selector.select(TICK_S):
        data = os.read(key.fd, 1 << 16)
        if not data:
            selector.unregister(key.fileobj)
        elif key.data:
            outcome.stdout += data
        else:
            pending += data


def _take_lines(pending: bytearray, outcome: Outcome, show: Callable[[Progress], None]) -> None:
    """Hand each complete line on: progress to the display, anything else to be quoted."""
    *lines, rest = pending.split(b"\n")
    pending[:] = rest
    for line in lines:
        text = line.decode(errors="replace").strip()
        try:
            value = json.loads(text) if text.startswith("{") else None
        except ValueError:
            value = None
        if isinstance(value, dict) and "elapsed_s" in value:
            show(value)
        elif text:
            outcome.said.append(text)
