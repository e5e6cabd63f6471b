"""
One examination: the machine, then the service if there is one, then a load on it.

A load that cannot be made is a finding too, so that what was found before it is not lost.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.doctor import (
    active_checks,
    bottleneck,
    host,
    inside_checks,
    limit_checks,
    load,
    load_checks,
    machine_checks,
    tools,
)
from benchmarks.doctor import service as services
from benchmarks.doctor.findings import Finding, Grade, Section, judged
from benchmarks.doctor.host import Host
from benchmarks.doctor.service import DEFAULT_URL, START, Service
from benchmarks.plan import duration
from benchmarks.processes import RunError

Say = Callable[[str], None]
Show = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be examined. Without a URL the usual address is tried, where nobody need be."""

    url: str | None = None
    load_s: float | None = 5.0  # None: no load
    clients: int = 8
    watch_s: float = 1.0  # of the machine, before there is a load
    root: Path = Path("/")

    @property
    def address(self) -> str:
        """Where the service is looked for."""
        return self.url or DEFAULT_URL


def examine(asked: Asked, say: Say, show: Show) -> Iterator[Section]:
    """Each section as it is found."""
    services.divided(asked.address)  # a URL that is none is said before anything is looked at
    say(f"looking at the machine for {duration(asked.watch_s)}")
    machine = host.look(asked.root, asked.watch_s)
    service = services.look(asked.address)
    found = (*machine_checks.findings(machine), *tools.findings(asked.root, service.pid))
    yield Section("machine", "machine", found)
    title = f"service at {service.address}"
    yield Section("service", title, tuple(of_service(asked, service, machine)))
    if asked.load_s is not None and service.answers and not service.missing:
        say(f"{asked.clients} clients for {duration(load.WARMUP_S + asked.load_s)}")
        title = f"under load: {asked.clients} clients for {asked.load_s:g} s"
        yield Section("load", title, tuple(of_load(asked, service, show)))


def of_service(asked: Asked, service: Service, machine: Host) -> Iterator[Finding]:
    """What it is, or that there is none."""
    if not service.answers:
        yield judged(
            "answers",
            "nobody",
            "a service; without one only the machine is looked at",
            START if asked.url is None else f"curl {service.typed('/health')}",
            note=asked.url is None,
            problem=asked.url is not None,
        )
    elif not service.known:
        yield judged(
            "answers",
            "somebody, but /health is not that of a service of this project",
            "the service that is meant; of others only the load is looked at",
            f"curl {service.typed('/health')}",
            note=True,
        )
    else:
        yield from limit_checks.findings(service, machine)
        yield from active_checks.findings(service)


def of_load(asked: Asked, service: Service, show: Show) -> Iterator[Finding]:
    """What a load shows, if it can be made."""
    assert asked.load_s is not None
    try:
        loaded = load.take(service, asked.clients, asked.load_s, show)
    except RunError as error:
        said = " ".join(str(error).split())  # a generator's last lines, in one
        yield Finding("load", Grade.PROBLEM, said, "one real picture is answered", service.picture)
        return
    yield from load_checks.findings(service, loaded)
    yield from inside_checks.findings(service, loaded)
    yield bottleneck.finding(service, loaded)
