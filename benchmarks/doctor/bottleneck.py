"""
What limits a service under a load: the first of its resources that is full.

Looked at from the outside in: the generator, a GPU, the control group, other programs, Triton's
queue, an event loop, the threads, the CPUs. Where the CPUs are full, the stage that takes most of a
request says what for. A closed loop fills nothing when its clients are few: that is said, and not a
guess.
"""

import shlex
from collections.abc import Iterator

import psutil

from benchmarks.doctor import watch
from benchmarks.doctor.findings import Finding, Grade, judged
from benchmarks.doctor.load import Loaded
from benchmarks.doctor.load_checks import fewer_clients
from benchmarks.doctor.service import Service

GPU_FULL = 0.90
QUEUE_FULL = 0.30  # of an answer's time
HELD_FULL = 0.50  # of the periods of a control group
LOOP_FULL = 0.70  # of a core: what is left is lost between requests
CPU_FULL = 0.85
IMAGING = ("decode", "preprocess")
COMPUTING = (*IMAGING, "infer", "postprocess", "serialize")


def finding(service: Service, load: Loaded) -> Finding:
    """The bottleneck; none of them may be full."""
    if load.response_ms is None:
        return judged(
            "bottleneck", "no answer to look at", "answers", service.picture, problem=True
        )
    candidates = (generator, gpu, limit, others, triton_queue, event_loop, slots, cpu)
    found = (each for check in candidates for each in check(service, load))
    return next(found, None) or nothing(service, load)


def generator(service: Service, load: Loaded) -> Iterator[Finding]:
    """The instrument itself."""
    if not load.summary["instrument"].get("valid", True):
        yield Finding(
            "bottleneck",
            Grade.PROBLEM,
            "the generator: what it measured is itself",
            "a service that is the limit",
            fewer_clients(service, load),
        )


def gpu(service: Service, load: Loaded) -> Iterator[Finding]:
    """The guide's own first suspect."""
    seen = [m.gpu_share for m in load.moments if m.gpu_share is not None]
    share = sum(seen) / len(seen) if seen else 0.0
    if share >= GPU_FULL:
        yield Finding(
            "bottleneck",
            Grade.OK,
            f"the GPU, busy {share:.0%} of the time: the service around it is not the limit",
            "the GPU, where there is one",
            "nvidia-smi dmon -s u",
        )


def others(service: Service, load: Loaded) -> Iterator[Finding]:
    """CPUs that are full, but not with what is looked at."""
    mine, machine = load.usage.get("service"), load.usage["machine"]
    if not mine or machine["busy_share"] < CPU_FULL:
        return
    share = machine["other_cpu_share"]
    if share * (psutil.cpu_count() or 1) > mine["cpu_s"] / load.window_s:
        yield Finding(
            "bottleneck",
            Grade.PROBLEM,
            f"other programs: they use {share:.0%} of the CPUs, more than the service does",
            "a machine of its own, or a quiet one",
            "top",
        )


def limit(service: Service, load: Loaded) -> Iterator[Finding]:
    """A control group that has used its time and waits for the next period."""
    held, periods = watch.held(load.moments)
    if service.limit and held > HELD_FULL * periods:
        yield Finding(
            "bottleneck",
            Grade.NOTE,
            f"the CPU limit: the service's control group may use {service.limit.cpus:g} CPUs, and"
            f" is held back in {held / periods:.0%} of all periods",
            "the machine's own CPUs",
            service.limit.command,
        )


def triton_queue(service: Service, load: Loaded) -> Iterator[Finding]:
    """Requests that wait in Triton."""
    seen = load.inferred
    if seen is None or load.response_ms is None or seen.queue_ms < QUEUE_FULL * load.response_ms:
        return
    used = (load.usage.get("service") or {}).get("by_process", {}).get("triton")
    cores = f"; it uses {used['cpu_s'] / load.window_s:.1f} cores" if used else ""
    track = str(service.setting("TRACK"))
    knob = "delay-ms=0,1,10" if track.startswith("D") else "instances=1,2,4"
    yield Finding(
        "bottleneck",
        Grade.NOTE,
        f"Triton's queue: {seen.queue_ms:.1f} of {load.response_ms:.1f} ms are spent waiting in"
        f" it, and {seen.compute_ms:.1f} ms in its models{cores}",
        "inference itself; a queue is clients beyond what Triton carries, or a wait for a batch",
        f"windtunnel tune --preset optimized --track {shlex.quote(track)} --knob {knob}",
    )


def event_loop(service: Service, load: Loaded) -> Iterator[Finding]:
    """One thread of each worker, which every request passes."""
    share = watch.busiest_loop(load.moments)
    if share is not None and share >= LOOP_FULL:
        workers = service.number("WORKERS") or 1
        yield Finding(
            "bottleneck",
            Grade.NOTE,
            f"an event loop: its thread uses {share:.0%} of a core, and a worker has no other",
            "inference; a worker more, or less work on the loop (SERVICE_MIDDLEWARE=asgi,"
            " SERVICE_HTTP=httptools, SERVICE_JSON=bytes)",
            tune(service, "workers", workers, workers + 1, 2 * workers + 1),
        )


def slots(service: Service, load: Loaded) -> Iterator[Finding]:
    """Threads that are all taken while CPUs are idle."""
    busy, threads = cpu_share(service, load), service.number("THREADS")
    if load.share_of("queue") >= QUEUE_FULL and busy is not None and busy < CPU_FULL:
        yield Finding(
            "bottleneck",
            Grade.NOTE,
            f"the threads: {load.share_of('queue'):.0%} of an answer's time is spent waiting for"
            f" one, while only {busy:.0%} of the CPUs are busy",
            "threads for all CPUs",
            tune(service, "threads", threads, 2 * threads, 4 * threads),
        )


def cpu_share(service: Service, load: Loaded) -> float | None:
    """
    How full the CPUs are that the service may use.

    Of those that it is limited to, its own use is known; of one elsewhere, what it says of itself.
    """
    there, used = service.cpus, load.service_cores
    if load.usage.get("service"):
        if there and used is not None and there < (psutil.cpu_count() or 1):
            return min(1.0, used / there)
        return float(load.usage["machine"]["busy_share"])
    there = service.said("machine", "cores")
    return used / there if used is not None and isinstance(there, int) and there > 0 else None


def cpu(service: Service, load: Loaded) -> Iterator[Finding]:
    """All CPUs are busy, most of them with the service: with what?"""
    cores, busy = load.service_cores, cpu_share(service, load)
    if cores is None or busy is None or busy < CPU_FULL:
        return
    times = {stage: load.stages_ms.get(stage, 0.0) for stage in COMPUTING}
    total = sum(times.values())
    said = f"the CPU: {busy:.0%} of its CPUs are busy, the service uses {cores:.1f} of them"
    if not total:
        yield judged("bottleneck", said, "inference", profile(service), note=True)
        return
    imaging = sum(times[stage] for stage in IMAGING)
    most = max(times, key=lambda stage: times[stage])
    if most in IMAGING and imaging > times["infer"]:
        named, share, expected = "decode and preprocess", imaging / total, "inference"
    else:
        named, share, expected = most, times[most] / total, "inference, or what it needs"
    yield judged(
        "bottleneck",
        f"{said}, and {named} takes {share:.0%} of the time of its stages",
        expected,
        next_step(service, named),
        note=named != "infer",
    )


def next_step(service: Service, stage: str) -> str:
    """What to try where a stage takes most."""
    plain = service.known and service.setting("IMAGING") != "turbo"
    if stage.startswith("decode") and plain:
        return "SERVICE_IMAGING=turbo windtunnel serve"
    return profile(service)


def profile(service: Service) -> str:
    """Whose frames they are; processes elsewhere cannot be looked into, only loaded."""
    if not service.pids:
        return f"windtunnel tune --url {service.url} --clients 1,8,32"
    return f"windtunnel profile --url {service.url} --output profile.svg"


def tune(service: Service, knob: str, *values: float) -> str:
    """A sweep of one of our settings; what another server has is not known."""
    if not service.known:
        return profile(service)
    listed = ",".join(f"{value:.0f}" for value in values)
    return f"windtunnel tune --preset optimized --knob {knob}={listed}"


def nothing(service: Service, load: Loaded) -> Finding:
    """Nothing is full: more clients would be answered."""
    cores, loop = load.service_cores, watch.busiest_loop(load.moments)
    busy = cpu_share(service, load)
    seen = [f"{busy:.0%} of its CPUs are busy"] if busy is not None else ["its CPUs are not seen"]
    seen += [f"the service uses {cores:.1f} cores"] if cores is not None else []
    seen += [f"its busiest event loop {loop:.0%} of one"] if loop is not None else []
    return judged(
        "bottleneck",
        f"nothing is full with {load.clients} clients: {', '.join(seen)}",
        "a load under which something is",
        f"windtunnel doctor --url {service.url} --clients {4 * load.clients}",
        note=True,
    )
