"""
What a load showed: whether the instrument, the machine and the service kept up, who was refused,
what waits, and whether memory grows, workers are recycled and clients are pooled.
"""

import shlex
from collections.abc import Iterator

from benchmarks.doctor import watch
from benchmarks.doctor.exposition import grown_by
from benchmarks.doctor.findings import Finding, judged
from benchmarks.doctor.load import Loaded
from benchmarks.doctor.service import START, Service, at

MIB = 2**20
WAITING_NOTE = 0.25
OTHER_NOTE, STEAL_NOTE = 0.10, 0.01
# A service that has just been started still fills its buffers; a leak goes on.
GROWTH_BYTES, GROWTH_NOTE, GROWTH_PROBLEM = 8 * MIB, 0.03, 0.10
FRESH_REQUESTS = 200  # of a worker
LEAST_READINGS = 6
# uvicorn looks every tenth of a second whether a worker has had its number, and then ends it.
SETTLE_S = 1.0
# New clients for each request, where they are kept: some for each model and worker are normal.
POOLED_SHARE = 0.05
SPARE_CLIENTS = 16
ADVICE = {
    "too_many_requests": "windtunnel tune --preset optimized --knob admission=64,512",
    "triton_overloaded": "windtunnel triton --max-queue 4096",
    "triton_unavailable": "windtunnel triton",
    "model_not_loaded": "windtunnel triton",
    "triton_timeout": "windtunnel tune --preset optimized --track B --knob delay-ms=0,1,10",
    "body_too_large": "SERVICE_MAX_BYTES=104857600 windtunnel serve",
}


def findings(service: Service, load: Loaded) -> Iterator[Finding]:
    """All checks of a load."""
    yield instrument(load)
    yield from machine(load)
    yield refused(service, load)
    yield connections(service, load)
    yield waiting(load)
    yield from memory(service, load)
    if service.known:
        yield slow_log(service, load)
        yield recycled(service, load)
        yield from clients(service, load)
        yield from tensors(service, load)
        yield from spans(service, load)


def instrument(load: Loaded) -> Finding:
    """A generator that is late measures itself."""
    said = load.summary["instrument"]
    reasons = "; ".join(str(reason) for reason in said.get("reasons") or ())
    late_ms = said.get("send_lag_p99_ms") or 0.0
    return judged(
        "generator",
        reasons or f"on time: 99 of 100 requests at most {late_ms:.2g} ms late",
        "a generator that is not itself the limit",
        "windtunnel doctor --clients 2",
        problem=not said.get("valid", True),
    )


def machine(load: Loaded) -> Iterator[Finding]:
    """Who else used the CPUs meanwhile; of a service elsewhere that cannot be told."""
    if not load.usage.get("service"):
        return
    shares = load.usage["machine"]
    other, steal = shares["other_cpu_share"], shares["steal_share"]
    yield judged(
        "others' load",
        f"other programs used {other:.0%} of the machine, the hypervisor {steal:.1%}",
        f"under {OTHER_NOTE:.0%} and {STEAL_NOTE:.0%}",
        "top",
        note=other > OTHER_NOTE or steal > STEAL_NOTE,
    )


def refused(service: Service, load: Loaded) -> Finding:
    """Answers that are none, by their status and, where the service tells, by their code."""
    bad = {status: number for status, number in load.statuses.items() if not 200 <= status < 300}
    codes = grown_by("api_refusals_total", "code", load.before, load.after)
    worst = max(codes, key=lambda code: codes[code], default="")
    said = ", ".join(f"{number} with {status}" for status, number in sorted(bad.items()))
    named = f" ({', '.join(f'{code} {number:.0f}' for code, number in sorted(codes.items()))})"
    return judged(
        "refused",
        f"{said or 'none'} of {load.sent} requests" + (named if codes and bad else ""),
        f"none, with {load.clients} clients: a service that refuses work looks fast",
        ADVICE.get(worst, f"curl {service.address}/metrics | grep api_refusals_total"),
        problem=bool(bad),
    )


def connections(service: Service, load: Loaded) -> Finding:
    """Requests that got no answer at all."""
    whole = load.summary["accounting"]
    lost = int(whole["transport_error"]) + int(whole["timeout"])
    ended = service.number("RECYCLE_REQUESTS") > 0 and recycled_pids(load) > 0
    said = f"{lost} of {load.sent} requests got no answer"
    if lost and ended:
        said += ": workers ended while clients kept their connections (SERVICE_RECYCLE_REQUESTS)"
    if load.overflows:
        said += f"; the kernel dropped {load.overflows} connections, whose queue was full"
    return judged(
        "connections",
        said,
        "an answer to each request, and no connection dropped",
        "SERVICE_RECYCLE_REQUESTS=0 windtunnel serve"
        if ended
        else "SERVICE_BACKLOG=8192 windtunnel serve",
        problem=lost > 0 or load.overflows > 0,
    )


def waiting(load: Loaded) -> Finding:
    """How much of an answer's time is spent in the queue for a thread."""
    queue_ms, share = load.stages_ms.get("queue", 0.0), load.share_of("queue")
    if load.response_ms is None:
        return judged("queue", "no answer to look at", "answers", START, problem=True)
    steps = ",".join(str(n) for n in sorted({1, max(1, load.clients // 4), load.clients}))
    return judged(
        "queue",
        f"{queue_ms:.1f} of {load.response_ms:.1f} ms are spent waiting for a thread ({share:.0%})",
        f"under {WAITING_NOTE:.0%}: beyond what the service carries, clients only wait longer",
        f"windtunnel tune --url {shlex.quote(load.summary['url'])} --clients {steps}",
        note=share > WAITING_NOTE,
    )


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
    steady = first < middle < last and growth > GROWTH_BYTES
    admitted = (load.before.total("api_admitted_total") if load.before else None) or 0.0
    fresh = service.known and admitted < FRESH_REQUESTS * service.number("WORKERS")
    advice = "SERVICE_RECYCLE_REQUESTS=10000 SERVICE_RECYCLE_JITTER=1000 windtunnel serve"
    yield judged(
        "memory",
        f"{first / MIB:.0f} MiB, {growth / MIB:+.0f} MiB in {load.ok} requests"
        + (" of a service that has just begun: look again" if fresh and steady else ""),
        "no growth from one third of the load to the next; a slow leak needs --load 5m",
        "windtunnel doctor --load 5m"
        if service.number("RECYCLE_REQUESTS")
        else f"windtunnel doctor --load 5m  # and if it goes on: {advice}",
        note=steady and growth > GROWTH_NOTE * first and not fresh,
        problem=steady and growth > GROWTH_PROBLEM * first,
    )


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


def recycled_pids(load: Loaded) -> int:
    """Workers that are there after the load and were not before it."""
    name = "process_start_time_seconds"
    if load.before is None or load.after is None:
        return 0
    old = set(load.before.series.get(name, {}).values())
    return len(set(load.after.series.get(name, {}).values()) - old)


def recycled(service: Service, load: Loaded) -> Finding:
    """Whether workers end when they have had their number of requests."""
    every, jitter = service.number("RECYCLE_REQUESTS"), service.number("RECYCLE_JITTER")
    fresh = recycled_pids(load)
    # A moment before the end at least one of the workers has had the most that it may.
    settled = load.sent - SETTLE_S * float(load.summary["throughput_rps"])
    due = every > 0 and settled > service.number("WORKERS") * (every + jitter)
    said = f"{fresh} fresh workers after {load.sent} requests" if every else "not wanted"
    return judged(
        "recycled",
        said + ("" if due or fresh or not every else "; none was due yet"),
        f"one after {every:.0f} to {every + jitter:.0f} requests of a worker"
        if every
        else "only where memory grows: clients see it",
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
