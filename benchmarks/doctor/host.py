"""
What the doctor reads of the machine: files of /proc and /sys, and a second of watching it.

A fact that cannot be read is None. *root* stands for `/`, so that another machine's files, or made
up ones, can be looked at too.
"""

import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import machine, usage
from benchmarks.doctor.files import number, read
from benchmarks.doctor.group import Limit, limit_of

WATCH_S = 1.0
TOP = 3
CAP_SYS_PTRACE, CAP_PERFMON = 19, 38
CPU = "sys/devices/system/cpu"


@dataclass(frozen=True, slots=True)
class Busy:
    """A process that used CPU while the machine was watched, in cores."""

    pid: int
    name: str
    cores: float


@dataclass(frozen=True, slots=True)
class Watched:
    """How busy the machine was for a while without a load of ours; shares of all CPUs."""

    busy_share: float
    steal_share: float
    swapped_bytes: int
    top: tuple[Busy, ...]


@dataclass(frozen=True, slots=True)
class Host:
    """One machine."""

    root: Path
    cores: tuple[tuple[int, ...], ...]  # CPUs by physical core
    limit: Limit | None  # of CPU time, by our own control group
    virtualization: str | None
    governors: tuple[str, ...]
    turbo: str | None  # the file that switches it off, where it is on
    clock: str | None
    memory_bytes: int
    available_bytes: int
    swap_used_bytes: int
    watched: Watched

    @property
    def cpus(self) -> int:
        """Those that we may use."""
        return sum(map(len, self.cores))


def look(root: Path = Path("/"), watch_s: float = WATCH_S) -> Host:
    """Read everything, and watch for a while."""
    memory = psutil.virtual_memory()
    return Host(
        root=root,
        cores=tuple(machine.cores()),
        limit=limit_of(root),
        virtualization=machine.facts()["virtualization"],
        governors=governors(root),
        turbo=turbo_switch(root),
        clock=read(root, "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        memory_bytes=memory.total,
        available_bytes=memory.available,
        swap_used_bytes=psutil.swap_memory().used,
        watched=watch(watch_s),
    )


def governors(root: Path) -> tuple[str, ...]:
    """Those in use; none where the frequency is not ours to see."""
    files = (root / CPU).glob("cpu[0-9]*/cpufreq/scaling_governor")
    found = {read(root, str(file.relative_to(root))) for file in files}
    return tuple(sorted(filter(None, found)))


def turbo_switch(root: Path) -> str | None:
    """The file that says that turbo is on; None where it is off, or nobody knows."""
    for name, on in (("intel_pstate/no_turbo", 0), ("cpufreq/boost", 1)):
        if number(root, f"{CPU}/{name}") == on:
            return f"/{CPU}/{name}"
    return None


def watch(seconds: float) -> Watched:
    """What the machine does while we wait."""
    before, processes = usage.machine_seconds(), cpu_by_process()
    swap = _swapped()
    began = time.monotonic()
    time.sleep(seconds)
    took_s = time.monotonic() - began
    after = usage.machine_seconds()
    used = {name: after[name] - before[name] for name in after}
    total = max(used["total"], 1e-9)
    return Watched(
        busy_share=max(0.0, used["busy"]) / total,
        steal_share=used["steal"] / total,
        swapped_bytes=_swapped() - swap,
        top=busiest(processes, cpu_by_process(), took_s),
    )


def _swapped() -> int:
    swap = psutil.swap_memory()
    return int(swap.sin + swap.sout)


Processes = Mapping[tuple[int, float], tuple[str, float]]


def cpu_by_process() -> Processes:
    """Name and CPU seconds so far, by pid and start: a pid may be another's a moment later."""
    found = {}
    for process in psutil.process_iter(["name", "cpu_times", "create_time"]):
        about = process.info
        if about["cpu_times"] is not None:
            spent_s = about["cpu_times"].user + about["cpu_times"].system
            found[process.pid, about["create_time"]] = about["name"] or "?", spent_s
    return found


def busiest(before: Processes, after: Processes, took_s: float) -> tuple[Busy, ...]:
    """The processes that used most, this one left out."""
    own = psutil.Process()
    spent = [
        Busy(key[0], name, (cpu_s - before.get(key, (name, 0.0))[1]) / took_s)
        for key, (name, cpu_s) in after.items()
        if key[0] != own.pid
    ]
    ordered = sorted(spent, key=lambda each: each.cores, reverse=True)
    return tuple(each for each in ordered[:TOP] if each.cores >= 0.02)


def has_capability(root: Path, bit: int) -> bool:
    """Whether this process has an effective capability, whoever it runs as."""
    for line in (read(root, "proc/self/status") or "").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> bit & 1)
    return False


def may_attach(pid: int) -> bool:
    """Whether a profiler could attach: the kernel asks the same when this file is opened."""
    try:
        with Path(f"/proc/{pid}/mem").open("rb"):
            return True
    except OSError:
        return False


def may_attach_to_others() -> bool:
    """The same for a process of ours that is no child of this one, as a service is none."""
    shell = ["sh", "-c", "sleep 5 >/dev/null 2>&1 & echo $!"]
    pid = int(subprocess.run(shell, capture_output=True, text=True, check=True).stdout)
    try:
        return may_attach(pid)
    finally:
        with suppress(psutil.Error):
            psutil.Process(pid).kill()
