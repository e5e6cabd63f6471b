"""
One profile outside of a campaign: of a service that is started for it, or of one that runs.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks import campaign as campaigns
from benchmarks import generator, lineup, machine, plan, probe
from benchmarks.campaign import Campaign
from benchmarks.environments import ROOT
from benchmarks.fields import CampaignError, unknown
from benchmarks.processes import RunError
from benchmarks.profiles import attach, sampler, taken
from benchmarks.profiles.attach import Running
from benchmarks.profiles.options import Options
from benchmarks.profiles.taken import Load, Watcher
from benchmarks.progress import Display
from benchmarks.record import Visit, clients_level
from benchmarks.signals import signals_ignored
from benchmarks.variants import Address, Request, Target

# What a service that others run is called in the generator's metrics.
SERVICE = "service"
WARMUP_S = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which service, and the load on it; one of pid, url and variant."""

    pid: int | None
    url: str | None
    variant: str | None
    campaign: Path | None
    clients: int
    model: str | None
    track: str | None
    load: bool

    @property
    def path(self) -> str:
        """Where a service of ours predicts; without a track, its own default."""
        return f"/predict/{self.model or 'nano'}" + (f"?track={self.track}" if self.track else "")


def of_variant(wanted: Wanted, seconds: float) -> Campaign:
    """A campaign of the one variant: a preset, or one of a campaign file with its settings."""
    name = wanted.variant or ""
    if wanted.campaign:
        read = campaigns.read(wanted.campaign)
        if name not in read.variants:
            raise CampaignError(unknown(str(wanted.campaign), "variant", name, read.variants))
        values = read.only([name]).as_dict()
        settings = values["variants"][name].get("settings", {})
        if wanted.track and "SERVICE_TRACK" in settings:  # it goes before the campaign's
            settings["SERVICE_TRACK"] = wanted.track
        return _of(str(wanted.campaign), values, wanted, seconds)
    if name not in campaigns.PRESETS:
        raise CampaignError(
            unknown("--variant", "preset", name, campaigns.PRESETS)
            + "; for a variant of a campaign give --campaign FILE"
        )
    return _of("--variant", {"variants": {name: {"preset": name}}}, wanted, seconds)


def of_url(wanted: Wanted, url: str, seconds: float) -> Campaign:
    """A campaign of a service that others run."""
    return _of("--url", {"variants": {SERVICE: {"url": url}}}, wanted, seconds)


def _of(where: str, values: dict[str, Any], wanted: Wanted, seconds: float) -> Campaign:
    """One visit, as long as the profile needs, and nothing that a run does besides."""
    asked = {"model": wanted.model, "track": wanted.track}
    besides = ("aa", "rates", "min_requests", "profile", "prometheus", "generator")
    alone = dict.fromkeys(besides)
    visit = {"name": "profile", "clients": [wanted.clients], "repeats": 1, "warmup_s": WARMUP_S}
    given = {key: value for key, value in asked.items() if value}
    return campaigns.from_record(
        where, {**values, **given, **alone, **visit, "duration_s": seconds}
    )


def load_of(campaign: Campaign, url: str) -> Load:
    """What is sent: the same pictures in the same order each time, so that profiles compare."""
    name = next(iter(campaign.variants))
    visit = Visit(name, clients_level(campaign.clients[0]), 1)
    return Load(campaign, visit, url, "profile", 1, ROOT / campaign.images)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what is not kept."""
    with tempfile.TemporaryDirectory(prefix="windtunnel-profile-") as folder:
        yield Path(folder)


def started(wanted: Wanted, options: Options, output: Path, kind: str) -> dict[str, Any]:
    """Start a variant, profile it, stop it; the facts of the profile."""
    sampler.check_here()
    generator.program(ROOT)
    campaign = of_variant(wanted, taken.load_s(options))
    name, pinning = next(iter(campaign.variants)), plan.pin(machine.cores())
    prepared = plan.prepare(campaign, ROOT, say)
    target = lineup.target(prepared, name, output.parent, ROOT, pinning.service)
    if not isinstance(target, Address):
        say(f"starting {name}")
    try:
        target.start()
        target.wait_ready()
        pid = target.pids[0] if target.pids else attach.by_url(target.url, wanted.path).pid
        load = load_of(campaign, target.url) if wanted.load else None
        cell = {"variant": name, **({"level": load.visit.level} if load else {})}
        return _take(target, pid, load, options, output, kind, pinning.generator, cell)
    finally:
        with signals_ignored():
            target.stop()


def running(wanted: Wanted, options: Options, output: Path, kind: str) -> dict[str, Any]:
    """Profile a service that runs already, which goes on afterwards; the facts of the profile."""
    if wanted.pid is not None:
        found = attach.by_pid(wanted.pid, wanted.path)
    else:
        found = attach.by_url(wanted.url or "", wanted.path)
    cpus = plan.pin(machine.cores()).generator
    if note := _load_note(wanted, found):
        say(f"NOTE: {note}")
    if not (wanted.load and found.url):
        return _take(None, found.pid, None, options, output, kind, cpus, {})
    target, load = _loaded(wanted, found.url, options)
    target.wait_ready()
    profile = _take(target, found.pid, load, options, output, kind, cpus, {})
    # Who answered how many of the requests is not known.
    return profile if found.whole else {**profile, "answers": None}


def _load_note(wanted: Wanted, found: Running) -> str | None:
    """What to say of a load that is not sent, or that a profiled worker shares with others."""
    if not wanted.load:
        return None
    if found.url and not found.whole:
        return (
            f"process {found.pid} is one worker of the service of process {found.first}:"
            " all of it is loaded, and this worker's share of the answers is not known;"
            f" --pid {found.first} profiles all"
        )
    if found.url:
        return None
    if wanted.url:
        raise RunError(
            f"--url {wanted.url}: no path, and what answers there is no service of this project;"
            " expected the address to which images are posted, as in http://127.0.0.1:8000/predict;"
            " or send the load yourself, with --no-load"
        )
    return (
        f"process {found.pid} is no service of this project that can be reached from here: no load"
        " is sent; send it some now, or give --url with the address to which images are posted"
    )


def _loaded(wanted: Wanted, url: str, options: Options) -> tuple[Target, Load]:
    """A service that others run as something that is asked, and the load that is sent to it."""
    generator.program(ROOT)
    campaign = of_url(wanted, url, taken.load_s(options))
    plan.check_images(campaign)
    pictures = probe.images_in(ROOT / campaign.images)
    request = Request(pictures[0], campaign.body, campaign.timeout_s)
    return Address(campaign.variants[SERVICE], request), load_of(campaign, url)


def _take(
    target: Target | None,
    pid: int,
    load: Load | None,
    options: Options,
    output: Path,
    kind: str,
    cpus: tuple[int, ...] | None,
    cell: dict[str, str],
) -> dict[str, Any]:
    """The profile of processes that are there."""
    sampler.check_allowed(pid)
    if note := sampler.threads_note(pid, options):
        say(f"NOTE: {note} (--nonblocking)")
    clients = load.campaign.clients[0] if load else 0
    with_load = f"with {clients} client{'' if clients == 1 else 's'}" if load else "without load"
    say(
        f"profiling process {pid} and its workers for {options.duration_s} s at"
        f" {options.rate_hz} Hz, {with_load}"
    )

    def check() -> None:
        if target:
            target.check()
        if not psutil.pid_exists(pid):
            raise RunError(f"process {pid} has ended; expected it to run while it is profiled")

    visit = load.visit if load else Visit(SERVICE, clients_level(0), 1)
    with Display("profile", [visit]) as display:
        display.profile(visit, lambda running_s: max(0.0, _whole_s(load, options) - running_s))
        watcher = Watcher(display.show, check)
        return taken.take(load, options, output, kind, pid, cpus, watcher, **cell)


def _whole_s(load: Load | None, options: Options) -> float:
    return WARMUP_S + taken.load_s(options) if load else options.duration_s


def say(text: str) -> None:
    """A line for who waits."""
    print(text, flush=True)
