"""
What a run is going to do, before it does it: environments, CPUs, how long it will take.

Everything that can be refused is refused here, so that a run that has started can finish.
"""

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import environments, machine, probe, snapshot
from benchmarks.campaign import TRITON_URL, Campaign, Variant
from benchmarks.environments import ROOT, UnavailableError
from benchmarks.processes import RunError
from benchmarks.profiles import sampler, taken
from benchmarks.profiles.options import Options
from benchmarks.queries import Prometheus
from benchmarks.record import Visit, level_title

# First guesses for the estimate; the run replaces them by what it sees. Locust takes its time to
# start and to end.
VISIT_OVERHEAD_S = {"triton_bench": 0.6, "locust": 3.0}
START_S = 2.5
TRITON_START_S = 2.0
# With fewer CPUs than this, sets of their own would leave one of the two starved.
CPUS_TO_SEPARATE = 4


@dataclass(frozen=True, slots=True)
class Pinning:
    """The CPUs of services and generator; None where all are shared."""

    service: tuple[int, ...] | None
    generator: tuple[int, ...] | None
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """What run.json says about it."""
        sets = {"service": self.service, "generator": self.generator}
        return {**{k: list(v) if v else None for k, v in sets.items()}, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A campaign that can be run here: each variant's environment, and who cannot take part."""

    campaign: Campaign
    environments: dict[str, str]
    left_out: dict[str, str]


def pin(cores: list[tuple[int, ...]]) -> Pinning:
    """
    Give the generator a quarter of the physical cores and the services the rest.

    Whole cores, because two threads of one core slow each other down.
    """
    cpus = sum(len(core) for core in cores)
    if cpus < CPUS_TO_SEPARATE or len(cores) < 2:
        return Pinning(
            None,
            None,
            f"{cpus} CPUs, which generator and services share;"
            f" {CPUS_TO_SEPARATE} are needed to separate them",
        )
    count = max(1, len(cores) // 4)
    generator = tuple(sorted(cpu for core in cores[-count:] for cpu in core))
    service = tuple(sorted(cpu for core in cores[:-count] for cpu in core))
    return Pinning(service, generator, "generator and services have cores of their own")


def prepare(
    campaign: Campaign,
    checkout: Path,
    say: Callable[[str], None],
    *,
    skip_unavailable: bool = False,
    home: Path = ROOT,
) -> Prepared:
    """Ask the service about every variant's settings, and make the environments they need."""
    check_images(campaign)
    if campaign.prometheus:
        check_targets(campaign.name, campaign.prometheus)
        snapshot.check(campaign.prometheus, campaign.duration_s, say)
    if campaign.profiled():
        sampler.check_here()
    say(f"{campaign.name}: checking the settings of its variants")
    chosen = {
        name: environments.environment_of(environments.effective_settings(variant, checkout))
        for name, variant in _ours(campaign)
    }
    left_out: dict[str, str] = {}
    for name, environment in chosen.items():
        needed = [environment]
        if campaign.served_to(campaign.variants[name]):
            needed.append("triton")
        try:
            for each in needed:
                environments.make(each, home, say)
        except UnavailableError as error:
            if not skip_unavailable:
                raise
            left_out[name] = str(error)
            say(f"LEFT OUT: variant {name}: {error}")
    _check_reference(campaign, left_out)
    if campaign.copy_name:
        chosen[campaign.copy_name] = chosen.get(campaign.reference, "default")
    return Prepared(campaign, chosen, left_out)


def _ours(campaign: Campaign) -> list[tuple[str, Variant]]:
    """The variants that we start."""
    return [(name, variant) for name, variant in campaign.variants.items() if not variant.url]


def environ(campaign: Campaign, variant: Variant, checkout: Path) -> dict[str, str]:
    """
    The SERVICE_* variables that a variant's service is started with.

    Its default track is what it is asked for, so that it is ready when that is; and a Triton that
    happens to run on this machine is none of its business. A service of a checkout that knows no
    such settings is not told of them.
    """
    known = environments.effective_settings(variant, checkout)
    ours = {"SERVICE_TRACK": campaign.track_of(variant), TRITON_URL: "none"}
    return {**{k: v for k, v in ours.items() if TRITON_URL in known}, **variant.environ}


def _check_reference(campaign: Campaign, left_out: dict[str, str]) -> None:
    if campaign.reference in left_out:
        raise RunError(
            f"{campaign.name}: the reference {campaign.reference!r} cannot run here"
            f" ({left_out[campaign.reference]}); expected something to compare with;"
            " choose another reference"
        )


def check_images(campaign: Campaign) -> None:
    """A campaign without images measures nothing."""
    if not probe.images_in(ROOT / campaign.images):
        raise RunError(
            f"{campaign.name}: images: nothing to send in {campaign.images!r}; expected a folder"
            " with .jpg, .png or .webp files; correct the path (it is relative to the repository)"
        )


def check_targets(name: str, watched: Prometheus) -> None:
    """The file from which Prometheus is to learn where the services are must be one to write."""
    if not watched.targets:
        return
    folder = (ROOT / watched.targets).parent
    if not folder.is_dir():
        raise RunError(
            f"{name}: [prometheus] targets: no folder {folder}; expected that of the file that"
            " Prometheus reads with file_sd_configs; make it, or correct the path"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RunError(
            f"{name}: [prometheus] targets: no file can be made in {folder}; expected a folder of"
            " yours, which Prometheus can read; change its permissions, or choose another"
        )


def check_metrics_address(address: str | None) -> None:
    """The generator of each visit is to serve its metrics there: nobody else may."""
    if address is None:
        return
    try:
        parts = urlsplit(f"//{address}")
        if not parts.hostname or not parts.port or parts.netloc != address:
            raise ValueError("it is not HOST:PORT")
        family = socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET
        socket.create_server((parts.hostname, parts.port), family=family).close()
    except (ValueError, OSError) as error:
        raise RunError(
            f"--metrics-addr {address}: cannot be served ({error}); expected HOST:PORT that is"
            " free, as in 127.0.0.1:9646; choose another, or stop what listens there"
        ) from error


def starts(campaign: Campaign, visits: Iterable[Visit]) -> int:
    """How many services have to be started for these visits."""
    ours = [v for v in visits if not campaign.services[v.variant].url]
    if campaign.restart == "cell":
        return len(ours)
    return len({(visit.repeat, visit.variant) for visit in ours})


class Clock:
    """How long the rest takes: first guessed, then learned from what has been seen."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._visits: list[float] = []
        self._starts: list[float] = []

    def saw_visit(self, seconds: float) -> None:
        """A visit took this long."""
        self._visits.append(seconds)

    def saw_start(self, seconds: float, services: int) -> None:
        """Some services were started and stopped in this time."""
        if services:
            self._starts.append(seconds / services)

    def left_s(self, visits: list[Visit], running_s: float = 0.0) -> float:
        """How long these visits take, of which the first has been running for a while."""
        campaign = self._campaign
        overhead_s = VISIT_OVERHEAD_S[campaign.generator]
        visit_s = _mean(self._visits, campaign.warmup_s + campaign.duration_s + overhead_s)
        start_s = _mean(self._starts, _guessed_start_s(campaign))
        measured = sum(visit.repeat <= campaign.repeats for visit in visits)
        profiles_s = (len(visits) - measured) * (profile_s(campaign) + overhead_s)
        starts_s = starts(campaign, visits) * start_s
        return max(0.0, measured * visit_s + profiles_s + starts_s - running_s)


def profile_s(campaign: Campaign) -> float:
    """How long the load of one profile lasts."""
    options = campaign.profile.options if campaign.profile else Options()
    return campaign.warmup_s + taken.load_s(options)


def _guessed_start_s(campaign: Campaign) -> float:
    """Of one of the services, on average; some have a Triton to start as well."""
    backed = [bool(campaign.served_to(variant)) for variant in campaign.services.values()]
    return START_S + TRITON_START_S * sum(backed) / len(backed)


def _mean(values: list[float], guess: float) -> float:
    return sum(values) / len(values) if values else guess


def describe(
    campaign: Campaign, visits: list[Visit], pinning: Pinning, profiles: Sequence[Visit] = ()
) -> str:
    """The plan for visits and profiles, all of a campaign or those that a run still misses."""
    variants = {visit.variant for visit in (*visits, *profiles)}
    names = [name for name in campaign.services if name in variants]
    if campaign.copy_name in names:
        names[-1] += f" (a second copy of {campaign.reference}, which shows the noise)"
    met = {visit.level for visit in (*visits, *profiles)}
    levels = ", ".join(f"{load:g}" for level, load in campaign.levels.items() if level in met)
    load = "requests a second" if campaign.rates else "client" if levels == "1" else "clients"
    by = "" if campaign.generator == "triton_bench" else f"; sent by {campaign.generator}"
    about = "at least" if campaign.min_requests else "about"
    return "\n".join(
        [
            f"{campaign.name}: {campaign.question or 'no question'}",
            f"  variants  {', '.join(names)}",
            f"  load      {levels} {load}; model {campaign.model}{_tracks(campaign)}{by}",
            *([f"  repeats   {_repeats(campaign, visits)}"] if visits else []),
            *(f"  profiles  {text}" for text in _profiles(campaign, profiles)),
            f"  takes     {about} {duration(Clock(campaign).left_s([*visits, *profiles]))}",
            f"  CPUs      {pinning.reason}",
        ]
    )


def _tracks(campaign: Campaign) -> str:
    """Of the variants that we start; what a URL answers by is not ours to say."""
    names = campaign.tracks
    return f", track{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else ""


def _repeats(campaign: Campaign, visits: list[Visit]) -> str:
    """How many repeats there are to measure, and how long each of them is."""
    per_cell = Counter((visit.variant, visit.level) for visit in visits)
    count = f"{len(visits)}"
    if set(per_cell.values()) == {campaign.repeats}:
        cells = f"{len(per_cell)} cell" + ("" if len(per_cell) == 1 else "s")
        count = f"{len(visits)}: {campaign.repeats} of each of {cells}"
    time = f"{campaign.duration_s:g} s"
    if campaign.min_requests:
        time += f" or more ({campaign.min_requests} requests)"
    return f"{count}; each of {time} after {campaign.warmup_s:g} s of warm-up"


def _profiles(campaign: Campaign, profiles: Sequence[Visit]) -> Iterator[str]:
    """How many there are to take, of which load; or why a campaign that asks for them has none."""
    if not campaign.profile:
        return
    if not campaign.profiled():
        yield "none: its services are run by others, which are not profiled"
    if profiles:
        levels = ", ".join(dict.fromkeys(level_title(visit.level) for visit in profiles))
        length = f"each of {campaign.profile.options.duration_s} s"
        yield f"{len(profiles)} at {levels}; {length}, after what is measured"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def facts(prepared: Prepared, checkout: Path) -> dict[str, Any]:
    """Machine, versions and commit, for run.json."""
    names = {"default", *prepared.environments.values()}
    campaign = prepared.campaign
    ours = (v for name, v in campaign.variants.items() if name not in prepared.left_out)
    if any(campaign.served_to(variant) for variant in ours):
        names.add("triton")
    pythons = {name: environments.interpreter(name, ROOT) for name in sorted(names)}
    return {
        "machine": machine.facts(),
        "versions": machine.versions(pythons),
        "commit": machine.commit(checkout),
        "checkout": recorded(checkout),
    }


def recorded(checkout: Path) -> str | None:
    """A checkout for run.json: this one is null, because it may be moved, with its records."""
    return None if checkout == ROOT else str(checkout)
