"""
A memory view of a variant: its service runs under memray, is loaded, and is stopped.

memray writes down every allocation, which makes the service several times slower: what it says of
memory is true, and no time of such a run means anything.
"""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import environments, generator, lineup, machine, plan
from benchmarks.campaign import Campaign
from benchmarks.environments import ROOT
from benchmarks.plan import Prepared
from benchmarks.processes import RunError, runner_environment
from benchmarks.profiles.stripped import strip
from benchmarks.profiles.taken import Load
from benchmarks.signals import signals_ignored
from benchmarks.variants import Target

REPORT_S = 600
# One process: what a fork allocates is not in the file, and recycling needs a supervisor.
ALONE = {"SERVICE_WORKERS": "1", "SERVICE_RECYCLE_REQUESTS": "0"}


@dataclass(frozen=True, slots=True)
class Memory:
    """What a service took: at most at one moment, and in how many pieces for each request."""

    peak_bytes: int
    start_allocations: int  # to import, to warm up and to answer once
    allocations: int
    answers: int
    bytes_allocated: int
    start_bytes_allocated: int

    @property
    def allocations_a_request(self) -> float:
        """Of the load alone: what the start took is taken off."""
        return (self.allocations - self.start_allocations) / self.answers

    @property
    def bytes_a_request(self) -> float:
        """The same of the sizes: all that was ever allocated, most of which lives shortly."""
        return (self.bytes_allocated - self.start_bytes_allocated) / self.answers


def alone(campaign: Campaign, name: str) -> Campaign:
    """A campaign whose variant runs in one process; refuses one that memray cannot run."""
    variant = campaign.variants[name]
    if variant.url:
        raise RunError(
            f"variant {name!r}: a url; expected a variant that is started here, since memray has to"
            " be there from the beginning; choose a preset or another variant"
        )
    environment = environments.environment_of(environments.effective_settings(variant, ROOT))
    if environment != "default" or find_spec("memray") is None:
        raise RunError(
            f"variant {name!r} runs in the environment {environment!r}, where memray is not;"
            " expected one of the default environment after `make setup`; choose a variant without"
            " pillow-simd and PyTorch"
        )
    changed = replace(variant, settings={**variant.settings, **ALONE})
    return replace(campaign, variants={name: changed})


def view(
    prepared: Prepared,
    load: Callable[[Target], Load],
    folder: Path,
    output: Path,
    say: Callable[[str], None],
    show: Callable[[dict[str, Any]], None],
) -> Memory:
    """Write the flamegraph of the moment of most memory to *output*; return the numbers."""
    name = next(iter(prepared.campaign.variants))
    say(f"starting {name} under memray, without load: what a start takes")
    start = _allocated(_recorded(prepared, name, None, folder / "start.bin", show)[0])
    say(f"starting {name} under memray, with load")
    capture, answers = _recorded(prepared, name, load, folder / "load.bin", show)
    if not answers:
        raise RunError(f"variant {name!r}: no request was answered under memray; give it longer")
    found = _allocated(capture)
    say("drawing the flamegraph")
    _memray("flamegraph", "--no-web", "--force", "--output", str(output), str(capture))
    strip(output)
    return Memory(
        peak_bytes=found["metadata"]["peak_memory"],
        start_allocations=start["total_num_allocations"],
        allocations=found["total_num_allocations"],
        answers=answers,
        bytes_allocated=found["total_bytes_allocated"],
        start_bytes_allocated=start["total_bytes_allocated"],
    )


def _recorded(
    prepared: Prepared,
    name: str,
    load: Callable[[Target], Load] | None,
    capture: Path,
    show: Callable[[dict[str, Any]], None],
) -> tuple[Path, int]:
    """One life of the service under memray: the file that it left, and its good answers."""
    under = ("-m", "memray", "run", "--quiet", "--output", str(capture))
    pinning = plan.pin(machine.cores())
    target = lineup.target(prepared, name, capture.parent, ROOT, pinning.service, under)
    answers = 0
    try:
        target.start()
        target.wait_ready()
        if load:
            answers = _load(load(target), capture.parent, target, pinning.generator, show)
    finally:
        with signals_ignored():
            target.stop()
    if not capture.is_file():
        raise RunError(f"variant {name!r}: memray left no file; expected {capture.name}")
    return capture, answers


def _load(
    load: Load,
    folder: Path,
    target: Target,
    cpus: tuple[int, ...] | None,
    show: Callable[[dict[str, Any]], None],
) -> int:
    """Send it; all good answers count, those of the warm-up as well."""
    command = load.command(folder)
    summary, _ = generator.measure(command, load.limit_s, (), show, target.check, cpus=cpus)
    return int((summary.get("accounting") or {}).get("ok") or 0)


def _allocated(capture: Path) -> dict[str, Any]:
    """memray's own sums of a file."""
    output = capture.with_suffix(".json")
    _memray("stats", "--json", "--force", "--output", str(output), str(capture))
    found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return found


def _memray(*words: str) -> None:
    python = environments.interpreter("default", ROOT)
    done = subprocess.run(
        [str(python), "-m", "memray", *words],
        capture_output=True,
        text=True,
        timeout=REPORT_S,
        env=runner_environment(),
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RunError(f"memray {words[0]}: {last}; expected a report; is the disk full?")
