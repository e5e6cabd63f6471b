"""
Is this machine fit to measure on: its CPUs, their frequency, who else uses them, its memory.
"""

from collections.abc import Iterator

from benchmarks.doctor.findings import Finding, judged
from benchmarks.doctor.host import Host
from benchmarks.plan import CPUS_TO_SEPARATE, pin

STEAL_NOTE, STEAL_PROBLEM = 0.01, 0.05
OTHER_NOTE, OTHER_PROBLEM = 0.10, 0.30
GIB = 2**30
MEMORY_NOTE, MEMORY_PROBLEM = 2 * GIB, GIB // 2
# Reading these takes a hundred times as long as the CPU's own counter.
SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies")
DRY_RUN = "windtunnel run --dry-run benchmarks/campaigns/demo.toml"


def findings(host: Host) -> Iterator[Finding]:
    """All checks of the machine."""
    for check in (cpus, quota, frequency, turbo, steal, other_load, memory, swap, clock):
        yield check(host)


def cpus(host: Host) -> Finding:
    """Generator and services need CPUs of their own."""
    pinning = pin(list(host.cores))
    shared = pinning.service is None
    return judged(
        "CPUs",
        pinning.reason if shared else f"{host.cpus} CPUs: {pinning.reason}",
        f"{CPUS_TO_SEPARATE} or more; with fewer, compare ratios and no absolute numbers",
        DRY_RUN,
        note=shared,
    )


def quota(host: Host) -> Finding:
    """What the generator may use; under load the service's own group is looked at."""
    limit = host.limit
    return judged(
        "CPU limit",
        "none" if limit is None else f"{limit.cpus:g} CPUs by the control group of this program",
        "none: a generator that is held back measures that",
        limit.command if limit else "",
        note=limit is not None and limit.cpus < host.cpus,
    )


def frequency(host: Host) -> Finding:
    """A governor that saves power makes the first requests slow, and the idle variant faster."""
    found = ", ".join(host.governors)
    return judged(
        "frequency scaling",
        f"governor {found}" if found else "none to be seen here (a virtual machine's host has it)",
        "governor performance",
        "sudo cpupower frequency-set --governor performance",
        note=bool(found) and host.governors != ("performance",),
    )


def turbo(host: Host) -> Finding:
    """Turbo is fast while it is cool: whoever is measured first is faster."""
    value = "1" if host.turbo and host.turbo.endswith("no_turbo") else "0"
    return judged(
        "turbo",
        f"on ({host.turbo})" if host.turbo else "off, or not to be seen here",
        "off while measuring: it depends on temperature and on how many cores are busy",
        f"echo {value} | sudo tee {host.turbo}",
        note=host.turbo is not None,
    )


def steal(host: Host) -> Finding:
    """Time that the hypervisor gave to others."""
    share = host.watched.steal_share
    where = host.virtualization or "no virtual machine"
    return judged(
        "steal",
        f"{share:.1%} of the CPU time was taken away ({where})",
        f"under {STEAL_NOTE:.0%}",
        "vmstat 1 5",
        note=share > STEAL_NOTE,
        problem=share > STEAL_PROBLEM,
    )


def other_load(host: Host) -> Finding:
    """What is busy while nothing is measured."""
    share, top = host.watched.busy_share, host.watched.top
    named = ", ".join(f"{each.name} ({each.pid}) {each.cores:.0%}" for each in top)
    pids = ",".join(str(each.pid) for each in top)
    return judged(
        "other load",
        f"{share:.0%} of all CPUs are busy before any load of ours"
        + (f": {named} of one" if named else ""),
        f"under {OTHER_NOTE:.0%}: what is measured beside other programs is theirs too",
        f"ps -o pid,ppid,etime,args -p {pids}" if pids else "top",
        note=share > OTHER_NOTE,
        problem=share > OTHER_PROBLEM,
    )


def memory(host: Host) -> Finding:
    """A machine short of memory drops the files that it would need next."""
    free = host.available_bytes
    return judged(
        "memory",
        f"{free / GIB:.1f} of {host.memory_bytes / GIB:.1f} GiB are available",
        f"{MEMORY_NOTE / GIB:.0f} GiB or more: a worker takes a quarter, a Triton one or two",
        "ps -eo pid,rss,args --sort=-rss | head",
        note=free < MEMORY_NOTE,
        problem=free < MEMORY_PROBLEM,
    )


def swap(host: Host) -> Finding:
    """Pages that are fetched from a disk are milliseconds of somebody's request."""
    moved, used = host.watched.swapped_bytes, host.swap_used_bytes
    return judged(
        "swap",
        f"{used / GIB:.1f} GiB in use, {moved / 2**20:.0f} MiB moved just now",
        "none in use, and nothing moved",
        "swapon --show",
        note=used > 0,
        problem=moved > 0,
    )


def clock(host: Host) -> Finding:
    """Every stage of every request asks for the time."""
    slow = host.clock in SLOW_CLOCKS
    return judged(
        "clock",
        host.clock or "not to be seen here",
        "one that the CPU reads by itself, as tsc or kvm-clock",
        "cat /sys/devices/system/clocksource/clocksource0/available_clocksource",
        note=slow,
    )
