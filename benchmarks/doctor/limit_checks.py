"""
Is a service set so that it can work here: processes and threads for the CPUs, queues and files for
the requests, memory for the uploads; and what it has refused since it was started.
"""

from collections.abc import Iterator

import psutil

from benchmarks import listening
from benchmarks.doctor.exposition import Page
from benchmarks.doctor.files import number
from benchmarks.doctor.findings import Finding, judged
from benchmarks.doctor.host import Host
from benchmarks.doctor.service import Service

MIB, GIB = 2**20, 2**30
# Threads that compute, for each CPU: beyond, they only take turns.
MOST_THREADS = 2.0
SOMAXCONN = "proc/sys/net/core/somaxconn"
# Refusals that say that there is too much to do, or nobody to do it.
OVERLOAD = (
    "too_many_requests", "triton_overloaded", "triton_unavailable", "triton_timeout",
    "triton_failed", "model_not_loaded", "receive_timeout",
)  # fmt: skip


def findings(service: Service, machine: Host) -> Iterator[Finding]:
    """All checks of the limits."""
    yield ready(service)
    yield workers(service)
    yield threads(service, machine)
    yield backlog(service, machine)
    yield from files(service)
    yield uploads(service, machine)
    yield recycling(service)
    yield refused(service)


def ready(service: Service) -> Finding:
    """What /readyz says."""
    triton = "triton" in service.missing.lower()
    return judged(
        "ready",
        service.missing or "yes",
        "/readyz answers 200",
        "windtunnel triton" if triton else f"curl {service.typed('/readyz')}",
        problem=bool(service.missing),
    )


def workers(service: Service) -> Finding:
    """Whether all of them are there; one that dies is started again, and dies again."""
    wanted = service.number("WORKERS")
    there = service.page.total("api_workers") if service.page else None
    counted = service.page is not None and there is not None
    return judged(
        "workers",
        f"{there:.0f} of {wanted:.0f} are there"
        if counted
        else f"{wanted:.0f} are wanted; how many are there is not told without SERVICE_METRICS=on",
        "all of them",
        f"windtunnel doctor --url {service.url}"
        if counted
        else "SERVICE_METRICS=on windtunnel serve",
        note=not counted,
        problem=counted and there != wanted,
    )


def threads(service: Service, machine: Host) -> Finding:
    """How many threads compute at the same time, for the CPUs that there are."""
    shape = [service.number(name) for name in ("WORKERS", "THREADS", "ENGINE_THREADS")]
    total = shape[0] * shape[1] * shape[2]
    said = service.said("machine", "cores")
    cpus = service.cpus or (said if isinstance(said, int) and said > 0 else machine.cpus)
    best = service.optimized.get("SERVICE_WORKERS", 1)
    return judged(
        "threads",
        f"{total:.0f} that compute ({shape[0]:.0f} workers x {shape[1]:.0f} threads"
        f" x {shape[2]:.0f} of the engine) for {cpus:g} CPUs",
        f"at most {MOST_THREADS:g} for each CPU: more take turns, and each worker takes memory",
        f"SERVICE_WORKERS={best} windtunnel serve",
        note=total > MOST_THREADS * cpus,
    )


def backlog(service: Service, machine: Host) -> Finding:
    """The kernel cuts a longer queue of connections, and says nothing."""
    wanted, most = service.number("BACKLOG"), number(machine.root, SOMAXCONN)
    cut = most is not None and bool(service.pids) and wanted > most
    return judged(
        "backlog",
        f"{wanted:.0f} connections may wait"
        + (f", of which the kernel grants {most} (net.core.somaxconn)" if cut else ""),
        "no more than the kernel grants",
        f"sudo sysctl net.core.somaxconn={wanted:.0f}",
        note=cut,
    )


def files(service: Service) -> Iterator[Finding]:
    """Each request in flight is a connection, and each connection a file of its worker."""
    found = listening.process(service.pid) if service.pid else None
    if found is None:
        return
    try:
        soft, hard = found.rlimit(psutil.RLIMIT_NOFILE)
    except psutil.Error:
        return
    needed = service.number("ADMISSION")
    limited = soft != psutil.RLIM_INFINITY and soft < needed
    yield judged(
        "open files",
        f"a worker may open {soft if soft != psutil.RLIM_INFINITY else 'any number'}",
        f"more than the {needed:.0f} requests that it admits (SERVICE_ADMISSION)",
        f"ulimit -n {hard if hard != psutil.RLIM_INFINITY else 65536}; windtunnel serve",
        note=limited,
    )


def uploads(service: Service, machine: Host) -> Finding:
    """
    What requests may hold in memory when as many are admitted as may be.

    Bodies are taken as large as they have come so far: the limits alone allow more than most
    machines have, and who uploads is not known here.
    """
    admitted = service.number("WORKERS") * service.number("ADMISSION")
    most, body = service.number("MAX_BYTES"), mean_body_bytes(service.page)
    over = body is not None and admitted * body > machine.memory_bytes and bool(service.pids)
    fit = machine.memory_bytes / 2 / (body or 1.0) / max(1.0, service.number("WORKERS"))
    return judged(
        "uploads",
        f"the {admitted:.0f} requests that may be admitted hold"
        f" {admitted * most / GIB:.1f} GiB with"
        f" the largest bodies, of {most / MIB:.1f} MiB"
        + (f", and {admitted * body / GIB:.2g} GiB with such as came so far" if body else ""),
        f"less than the memory, {machine.memory_bytes / GIB:.1f} GiB; where strangers upload, by"
        " the largest",
        f"SERVICE_ADMISSION={max(1, int(fit))} windtunnel serve",
        note=over,
    )


def mean_body_bytes(page: Page | None) -> float | None:
    """Of the predictions so far; None before the first."""
    admitted = admitted_so_far(page)
    received = page.total("api_request_body_bytes_total") if page else None
    return received / admitted if received and admitted else None


def recycling(service: Service) -> Finding:
    """Workers that began together have had their number together."""
    every, jitter = service.number("RECYCLE_REQUESTS"), service.number("RECYCLE_JITTER")
    together = every > 0 and jitter == 0 and service.number("WORKERS") > 1
    return judged(
        "recycling",
        f"a worker ends after {every:.0f} to {every + jitter:.0f} requests"
        if every
        else "workers are not recycled",
        "jitter, so that not all workers end at once; or none, if memory does not grow",
        f"SERVICE_RECYCLE_JITTER={max(1, every / 10):.0f} windtunnel serve",
        note=together,
    )


def refused(service: Service) -> Finding:
    """What was not answered since the service was started, by whose fault."""
    codes = service.page.by("api_refusals_total", "code") if service.page else {}
    codes = {code: number for code, number in codes.items() if number}
    admitted = admitted_so_far(service.page)
    said = ", ".join(f"{number:.0f} {code}" for code, number in sorted(codes.items()))
    faults = codes.get("internal", 0) > 0
    counts = f"curl {service.typed('/metrics')} | grep api_refusals_total"
    return judged(
        "refused so far",
        f"{said or 'nothing'}; {admitted:.0f} predictions were admitted"
        if service.page
        else "not told without SERVICE_METRICS=on",
        "no faults of the service (internal), and nothing for want of room",
        counts + ("  # its log says why" if faults else ""),
        note=any(code in OVERLOAD for code in codes),
        problem=faults,
    )


def admitted_so_far(page: Page | None) -> float:
    """Predictions since the service was started; 0 where nobody counts."""
    return (page.total("api_admitted_total") if page else None) or 0.0
