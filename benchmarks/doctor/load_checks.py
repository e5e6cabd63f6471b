"""
What a load showed from the outside: whether the instrument, the machine and the service kept up,
who was refused, who got no answer, and who waited.
"""

from collections.abc import Iterator

from benchmarks.doctor import watch
from benchmarks.doctor.exposition import grown_by
from benchmarks.doctor.findings import Finding, judged
from benchmarks.doctor.load import Loaded
from benchmarks.doctor.service import Service

WAITING_NOTE = 0.25
OTHER_NOTE, STEAL_NOTE = 0.10, 0.01
# Of the periods of its control group: beyond that the P99 is what the limit makes of it.
HELD_PROBLEM = 0.10
ADVICE = {
    "too_many_requests": "windtunnel tune --preset optimized --knob admission=64,512",
    "triton_overloaded": "windtunnel triton --max-queue 4096",
    "triton_unavailable": "windtunnel triton",
    "model_not_loaded": "windtunnel triton",
    "triton_timeout": "windtunnel tune --preset optimized --track B --knob delay-ms=0,1,10",
    "body_too_large": "SERVICE_MAX_BYTES=104857600 windtunnel serve",
}


def findings(service: Service, load: Loaded) -> Iterator[Finding]:
    """All checks of what is seen from the outside."""
    yield instrument(service, load)
    yield from machine(load)
    yield from limit(service, load)
    yield refused(service, load)
    yield connections(service, load)
    yield waiting(service, load)


def instrument(service: Service, load: Loaded) -> Finding:
    """A generator that is late measures itself."""
    said = load.summary["instrument"]
    reasons = "; ".join(str(reason) for reason in said.get("reasons") or ())
    late_ms = said.get("send_lag_p99_ms") or 0.0
    return judged(
        "generator",
        reasons or f"on time: 99 of 100 requests at most {late_ms:.2g} ms late",
        "a generator that is not itself the limit",
        fewer_clients(service, load),
        problem=not said.get("valid", True),
    )


def fewer_clients(service: Service, load: Loaded) -> str:
    """The same load, half as much of it."""
    return f"windtunnel doctor --url {service.url} --clients {max(1, load.clients // 2)}"


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


def limit(service: Service, load: Loaded) -> Iterator[Finding]:
    """A group that is held back stands still for the rest of each period."""
    if not service.limit:
        return
    held, periods = watch.held(load.moments)
    yield judged(
        "CPU limit",
        f"{service.limit.cpus:g} CPUs by the service's control group, which was held back in"
        f" {held} of {periods} periods",
        "no limit, or one that is not reached: who is held back has a long P99",
        service.limit.command,
        note=held > 0,
        problem=held > HELD_PROBLEM * periods,
    )


def refused(service: Service, load: Loaded) -> Finding:
    """Answers that are none, by their status and, where the service tells, by their code."""
    bad = {status: number for status, number in load.statuses.items() if not 200 <= status < 300}
    codes = grown_by("api_refusals_total", "code", load.before, load.after)
    worst = max(codes, key=lambda code: codes[code], default="")
    said = ", ".join(f"{number} with {status}" for status, number in sorted(bad.items()))
    named = f" ({', '.join(f'{code} {number:.0f}' for code, number in sorted(codes.items()))})"
    counts = f"curl {service.typed('/metrics')} | grep api_refusals_total"
    return judged(
        "refused",
        f"{said or 'none'} of {load.sent} requests" + (named if codes and bad else ""),
        f"none, with {load.clients} clients: a service that refuses work looks fast",
        ADVICE.get(worst, counts) if service.known else service.picture,
        problem=bool(bad),
    )


def connections(service: Service, load: Loaded) -> Finding:
    """
    Requests that got no answer at all.

    Connections that the kernel dropped may have been another server's, so that they are a hint;
    a client whose connection was dropped tries again a second later.
    """
    whole = load.summary["accounting"]
    lost = int(whole["transport_error"]) + int(whole["timeout"])
    fresh = load.fresh_workers
    ended = service.number("RECYCLE_REQUESTS") > 0 and fresh != 0
    said = f"{lost} of {load.sent} requests got no answer"
    if lost and ended:
        said += f": workers {'may have ' * (fresh is None)}ended while clients kept their"
        said += " connections (SERVICE_RECYCLE_REQUESTS)"
    if load.overflows:
        said += "; a queue of connections was full, and this machine's kernel dropped"
        said += f" {load.overflows}, of this or of another server"
    return judged(
        "connections",
        said,
        "an answer to each request, and no connection dropped",
        after_lost(service, load, ended=ended),
        note=load.overflows > 0,
        problem=lost > 0,
    )


def after_lost(service: Service, load: Loaded, *, ended: bool) -> str:
    """What to try; the settings of another server are not known."""
    if not service.known:
        return fewer_clients(service, load)
    return f"SERVICE_{'RECYCLE_REQUESTS=0' if ended else 'BACKLOG=8192'} windtunnel serve"


def waiting(service: Service, load: Loaded) -> Finding:
    """How much of an answer's time is spent in the queue for a thread."""
    queue_ms, share = load.stages_ms.get("queue", 0.0), load.share_of("queue")
    if load.response_ms is None:
        return judged("queue", "no answer to look at", "answers", service.picture, problem=True)
    steps = ",".join(str(n) for n in sorted({1, max(1, load.clients // 4), load.clients}))
    return judged(
        "queue",
        f"{queue_ms:.1f} of {load.response_ms:.1f} ms are spent waiting for a thread ({share:.0%})",
        f"under {WAITING_NOTE:.0%}: beyond what the service carries, clients only wait longer",
        f"windtunnel tune --url {service.url} --clients {steps}",
        note=share > WAITING_NOTE,
    )
