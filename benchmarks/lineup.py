"""
Which services are up: those of one repeat side by side (restart = "block"), or just the one that is
visited (restart = "cell").

Side by side, the visits of a block follow each other without a start in between, so that what is
compared is close in time; the idle ones wait in the kernel and use next to no CPU. Fresh processes
for each repeat make the luck of a start (memory layout, address hashing) part of the spread between
repeats.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks import environments, plan, probe, variants
from benchmarks.environments import ROOT
from benchmarks.plan import Prepared
from benchmarks.processes import RunError
from benchmarks.record import Visit
from benchmarks.triton.backed import BackedService
from benchmarks.variants import Address, Request, Service, Target


def target(
    prepared: Prepared,
    name: str,
    logs: Path,
    checkout: Path,
    cpus: tuple[int, ...] | None,
    under: tuple[str, ...] = (),
) -> Target:
    """
    A variant of a prepared campaign as something that can be started; it logs to a folder.

    *under* are words for Python in front of the service's: another program that runs it.
    """
    campaign, variant = prepared.campaign, prepared.campaign.services[name]
    environment = prepared.environments.get(name, "default")
    images = probe.images_in(ROOT / campaign.images)
    smallest = min(images, key=lambda file: file.stat().st_size)
    request = Request(smallest, campaign.body, campaign.timeout_s)
    if variant.url:
        return Address(variant, request)
    python = environments.interpreter(environment, ROOT)
    environ = plan.environ(campaign, variant, checkout)
    command = variants.service_command(environ, python, checkout, cpus)
    interpreter, *service = command.program
    command = replace(command, program=(interpreter, *under, *service))
    log, path = logs / f"{name}.txt", variants.predict_path(campaign, variant)
    if served := campaign.served_to(variant):
        return BackedService(name, command, request, path, log, served, environment=environment)
    return Service(name, command, request, path, log, environment=environment)


class Lineup:
    """The services that are up, changed as visits need it."""

    def __init__(self, targets: dict[str, Target], restart: str) -> None:
        self.targets = targets
        self._restart = restart
        self._up: list[Target] = []
        self._repeat = 0

    def prepare(
        self, visit: Visit, rest: list[Visit], say: Callable[[str], None]
    ) -> tuple[list[Target], float]:
        """Have up what a visit needs; returns what was started for it, and the seconds it took."""
        if self._restart == "block" and self._up and self._repeat == visit.repeat:
            return [], 0.0
        same = {v.variant for v in rest if v.repeat == visit.repeat}
        needed = same if self._restart == "block" else {visit.variant}
        names = [name for name in self.targets if name in needed]
        began = time.monotonic()
        self.stop()
        say(f"starting {', '.join(names)}")
        self._repeat, self._up = visit.repeat, [self.targets[name] for name in names]
        for target in self._up:
            target.start()
        for target in self._up:
            target.wait_ready()
        return list(self._up), time.monotonic() - began

    def check(self) -> None:
        """Raise if a service that should be up has ended."""
        for target in self._up:
            target.check()

    def stop(self) -> None:
        """Stop everything that is up, all at the same time."""
        up, self._up = self._up, []
        for target in up:
            target.ask_to_stop()
        failed: list[str] = []
        for target in up:
            try:
                target.stop()
            except OSError as error:
                failed.append(f"{target.name} ({error})")
        if failed:
            raise RunError(f"could not stop {', '.join(failed)}; expected them to end; kill them")
