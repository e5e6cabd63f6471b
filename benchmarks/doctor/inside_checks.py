"""
What a load showed of a service's inside: whether memory grows, workers end when they should,
clients of Triton and its tensors are kept, and what is written for each request is wanted.
"""

from collections.abc import Iterator

from benchmarks.doctor import watch
from benchmarks.doctor.findings import Finding, judged
from benchmarks.doctor.load import Loaded
from benchmarks.doctor.service import Service, at

MIB = 2**20
# A service that has just been started still fills its buffers; a leak goes on.
GROWTH_BYTES, GROWTH_NOTE, GROWTH_PROBLEM = 8 * MIB, 0.03, 0.10
FRESH_REQUESTS = 200  # of a worker
LEAST_READINGS = 6
# uvicorn looks every tenth of a second whether a worker has had its number, and then ends it.
SETTLE_S = 1.0
# New clients for each request, where they are kept: some for each model and worker are normal.
POOLED_SHARE = 0.05
SPARE_CLIENTS = 16


def findings(service: Service, load: Loaded) -> Iterator[Finding]:
    """All checks of the inside; of a server of others only its memory can be seen."""
    yield from memory(service, load)
    if service.known:
        yield slow_log(service, load)
        yield recycled(service, load)
        yield from clients(service, load)
        yield from tensors(service, load)
        yield from spans(service, load)


def memory(service: Service, load: Loaded) -> Iterator[Finding]:
    """Whether the service's processes grow all the time, third by third."""
    values = watch.memory_bytes(load.moments)
    if len(values) < LEAST_READINGS:
        return
    third = len(values) // 3
    first, middle, last = (
        sum(part) / len(part) for part in (values[:third], values[third:-third], values[-third:])
    )
    growth = last - first
    steady = first < middle < last and growth > max(GROWTH_BYTES, GROWTH_NOTE * first)
    fresh = begun(service, load)
    longer = f"windtunnel doctor --url {service.url} --load 5m"
    advice = "SERVICE_RECYCLE_REQUESTS=10000 SERVICE_RECYCLE_JITTER=1000 windtunnel serve"
    yield judged(
        "memory",
        f"{first / MIB:.0f} MiB, {growth / MIB:+.0f} MiB in {load.ok} requests"
        + (", of a service that may have just begun: look again" if fresh and steady else ""),
        "no growth from one third of the load to the next; a slow leak needs --load 5m",
        f"{longer}  # and if it goes on: {advice}"
        if service.known and not service.number("RECYCLE_REQUESTS")
        else longer,
        note=steady,
        problem=steady and growth > GROWTH_PROBLEM * first and not fresh,
    )


def begun(service: Service, load: Loaded) -> bool:
    """
    Whether its buffers may not have been filled when a third of the load was over.

    What was asked before the load counts too, where the service tells.
    """
    before = (load.before.total("api_admitted_total") if load.before else None) or 0.0
    return before + load.ok / 3 < FRESH_REQUESTS * max(1.0, service.number("WORKERS"))


def slow_log(service: Service, load: Loaded) -> Finding:
    """A line of the log for each request is a cost of its own, and hides what is slow."""
    slow_ms = service.number("SLOW_MS")
    middle_ms = (load.summary.get("response_ms") or {}).get("p50") or 0.0
    return judged(
        "slow threshold",
        f"half of the requests take {middle_ms:.0f} ms or more; above {slow_ms:.0f} ms"
        " each is logged",
        "a threshold above the P50, so that what is logged is what is slow",
        f"SERVICE_SLOW_MS={max(1.0, 3 * middle_ms):.0f} windtunnel serve",
        note=0 < slow_ms < middle_ms,
    )


def recycled(service: Service, load: Loaded) -> Finding:
    """Whether workers end when they have had their number of requests."""
    every, jitter = service.number("RECYCLE_REQUESTS"), service.number("RECYCLE_JITTER")
    fresh, expected = load.fresh_workers, f"one after {every:.0f} to {every + jitter:.0f} requests"
    # A moment before the end at least one of the workers has had the most that it may.
    settled = load.sent - SETTLE_S * float(load.summary["throughput_rps"])
    due = settled > service.number("WORKERS") * (every + jitter)
    if not every:
        return judged("recycled", "not wanted", "only where memory grows: clients see it", "")
    if fresh is None:
        said, tell = "not told without SERVICE_METRICS=on", "SERVICE_METRICS=on windtunnel serve"
        return judged("recycled", said, f"{expected} of a worker", tell, note=True)
    return judged(
        "recycled",
        f"{fresh} fresh workers after {load.sent} requests"
        + ("" if due or fresh else "; none was due yet"),
        f"{expected} of a worker",
        "ps -eo pid,ppid,etime,args | grep service",
        problem=due and not fresh,
        note=due and fresh > 0,
    )


def clients(service: Service, load: Loaded) -> Iterator[Finding]:
    """Clients of Triton that were made, for the requests that were answered."""
    made = load.grown("api_triton_clients_created_total")
    if not service.remote or made is None:
        return
    pooled = service.setting("CLIENTS") == "pooled"
    many = made > POOLED_SHARE * load.sent + SPARE_CLIENTS
    yield judged(
        "pool",
        f"{made:.0f} clients of Triton were made for {load.sent} requests"
        + (": the pool is passed by, or too small" if many and pooled else ""),
        "one for each model and worker, kept from then on",
        f"SERVICE_POOL_SIZE={2 * max(1, service.number('POOL_SIZE')):.0f} windtunnel serve"
        if pooled
        else "SERVICE_CLIENTS=pooled windtunnel serve",
        note=many and not pooled,
        problem=many and pooled,
    )


def tensors(service: Service, load: Loaded) -> Iterator[Finding]:
    """Shared memory that Triton could not map is not used, and only the log says so."""
    if service.setting("TRACK") not in ("B", "C"):
        return
    wanted = service.setting("TENSORS") == "shared_memory"
    regions = at(load.health, "triton", "tensors", "regions") or 0
    yield judged(
        "tensors",
        f"{regions} regions are shared with Triton"
        if regions
        else "inline, in each message"
        + (", though SERVICE_TENSORS is shared_memory" if wanted else ""),
        "shared memory, where Triton is on this machine",
        "docker run --ipc host ..." if wanted else "SERVICE_TENSORS=shared_memory windtunnel serve",
        note=not regions,
    )


def spans(service: Service, load: Loaded) -> Iterator[Finding]:
    """Spans that nobody took were made for nothing."""
    if service.setting("TRACING") in (None, "off"):
        return
    lost = {o: load.grown("api_spans_total", outcome=o) or 0 for o in ("failed", "dropped")}
    yield judged(
        "traces",
        f"{lost['failed']:.0f} spans failed and {lost['dropped']:.0f} were dropped"
        f" (to {service.setting('OTLP_URL')})",
        "all of them are taken, or none is made",
        "SERVICE_TRACING=off windtunnel serve",
        note=sum(lost.values()) > 0,
    )
