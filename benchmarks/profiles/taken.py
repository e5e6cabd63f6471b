"""
A profile under load: the generator loads a service, and when that is warm its stacks are read.

What is measured meanwhile (answers, CPU time) is of a service that is being watched: it calibrates
the profile when nothing better is known, and is no result.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import generator
from benchmarks.campaign import Campaign
from benchmarks.environments import ROOT
from benchmarks.generator import TICK_S, Progress
from benchmarks.profiles import sampler
from benchmarks.profiles.options import Options
from benchmarks.profiles.sampler import ProfileError, Profiler
from benchmarks.record import FORMAT, SAMPLES, Visit
from benchmarks.recorder import now
from benchmarks.signals import signals_ignored
from benchmarks.usage import Meter

# The generator tells once a second that it is warm, and py-spy takes its time to begin: the load
# goes on for so much longer than stacks are read.
LEAD_S, NATIVE_LEAD_S = 2.5, 5.0


@dataclass(frozen=True, slots=True)
class Load:
    """A campaign's load on one service: which of its cells, and where it answers."""

    campaign: Campaign
    visit: Visit
    url: str
    run: str
    seed: int
    images: Path

    def command(self, folder: Path) -> list[str]:
        """The generator's, which leaves its samples in a folder."""
        arguments = generator.arguments(
            self.campaign,
            self.visit,
            self.url,
            run=self.run,
            images=self.images,
            seed=self.seed,
            samples=folder / SAMPLES,
        )
        return [str(generator.program(ROOT, self.campaign.generator)), *arguments]

    @property
    def limit_s(self) -> float:
        """How long it may take."""
        return self.campaign.longest_s + self.campaign.timeout_s


@dataclass(frozen=True, slots=True)
class Watcher:
    """What is told and asked while a profile is taken."""

    show: Callable[[Progress], None]
    check: Callable[[], None]  # raises when the service has ended


def load_s(options: Options) -> float:
    """How long the load of a profile is measured."""
    return options.duration_s + (NATIVE_LEAD_S if options.native else LEAD_S)


def under_load(
    profiler: Profiler,
    load: Load,
    folder: Path,
    pid: int,
    cpus: tuple[int, ...] | None,
    watcher: Watcher,
) -> dict[str, Any]:
    """
    Load the service and read its stacks when it is warm.

    Returns `answers` that were good, `window_s`, `cpu_s` of the service's processes, whether
    py-spy `outlasted` the load, and `generator`, its summary; the stacks are read when the
    profiler's result is asked for.
    """

    def show(progress: Progress) -> None:
        if progress.get("phase") != "warmup":
            profiler.begin()
        watcher.show(progress)

    def check() -> None:
        watcher.check()
        profiler.check()

    summary, meter = generator.measure(
        load.command(folder), load.limit_s, (pid,), show, check, cpus=cpus
    )
    outlasted = not profiler.ended
    window = summary["window"]
    used = meter.over(window)["service"] or {}
    return {
        "answers": (summary.get("measured") or {}).get("ok"),
        "window_s": (window["measure_end_ns"] - window["measure_start_ns"]) / 1e9,
        "cpu_s": used.get("cpu_s"),
        "outlasted": outlasted,
        "generator": summary,
    }


def without_load(
    profiler: Profiler, pid: int, options: Options, watcher: Watcher
) -> dict[str, Any]:
    """Read the stacks of a service that somebody else loads; nobody counts its answers."""
    meter, began = Meter((pid,), pid), time.monotonic()
    start_ns = time.time_ns()
    profiler.begin()
    while not profiler.ended:
        meter.read_if_due()
        watcher.check()
        seconds = time.monotonic() - began
        if seconds > options.duration_s + sampler.PATIENCE_S:
            raise ProfileError(sampler.TOO_LATE)
        watcher.show({"elapsed_s": seconds, "total_s": options.duration_s, "phase": "profile"})
        time.sleep(TICK_S)
    meter.read()
    end_ns = time.time_ns()
    used = meter.service(start_ns, end_ns) or {}
    return {
        "answers": None,
        "window_s": round((end_ns - start_ns) / 1e9, 3),
        "cpu_s": used.get("cpu_s"),
        "outlasted": False,
        "generator": None,
    }


def facts(
    profiler: Profiler, options: Options, started: str, measured: dict[str, Any], **cell: str
) -> dict[str, Any]:
    """The JSON beside the stacks; `cell` is variant and level, where they are known."""
    named = {"variant": cell.get("variant"), "level": cell.get("level")}
    taken = sampler.facts(profiler.result(), options)
    return {"format": FORMAT, **named, "started": started, **taken, **measured}


def notes(profile: dict[str, Any]) -> list[str]:
    """What is to be known of how a profile was taken before it is believed."""
    found = []
    if profile["behind_s"]:
        found.append(
            f"py-spy was up to {profile['behind_s']:.1f} s late, so some moments are missing:"
            " a lower rate or nonblocking helps"
        )
    if profile["outlasted"]:
        found.append(
            "py-spy was not ready when the load ended, so its last moments may be of a service"
            " without load: take it again when the machine is less busy"
        )
    return found


def take(
    load: Load | None,
    options: Options,
    output: Path,
    kind: str,
    pid: int,
    cpus: tuple[int, ...] | None,
    watcher: Watcher,
    **cell: str,
) -> dict[str, Any]:
    """
    A profile in *output*, in one of the formats of sampler.FORMATS; returns its facts.

    The generator's samples lie beside it afterwards, for whoever made the folder to remove.
    """
    started, profiler = now(), Profiler(pid, options, output, kind, cpus)
    try:
        if load:
            measured = under_load(profiler, load, output.parent, pid, cpus, watcher)
        else:
            measured = without_load(profiler, pid, options, watcher)
        return facts(profiler, options, started, measured, **cell)
    finally:
        with signals_ignored():
            profiler.stop()
