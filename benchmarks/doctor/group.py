"""
The CPU time that a control group allows: how much it is, and how often a process is held back.

A process has what the tightest of its groups allows, its own or one around it. Version 2, and the
cpu controller of version 1; what a process of another container is in may not be seen from here.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil

from benchmarks.doctor.files import number, read

GROUPS = "sys/fs/cgroup"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many CPUs, and the folder of the group that has this limit."""

    cpus: float
    folder: Path

    @property
    def command(self) -> str:
        """What shows it."""
        return f"grep . {shlex.quote(str(self.folder))}/cpu.*"

    def periods(self) -> tuple[int, int]:
        """How many have been, and in how many of them the group was held back."""
        lines = (read(self.folder, "cpu.stat") or "").splitlines()
        pairs = dict(line.split() for line in lines if len(line.split()) == 2)
        counted = (pairs.get(name, "") for name in ("nr_periods", "nr_throttled"))
        first, held = (int(text) if text.isdigit() else 0 for text in counted)
        return first, held


def limit_of(root: Path, pid: int | None = None) -> Limit | None:
    """That of a process, of this one without a pid; None where there is none, or none is seen."""
    found = [
        Limit(cpus, folder)
        for folder in folders(root, pid)
        if (cpus := allowed(folder)) is not None
    ]
    return min(found, key=lambda limit: limit.cpus, default=None)


def folders(root: Path, pid: int | None) -> Iterator[Path]:
    """Of the groups that can limit a process's CPUs, its own first."""
    text = read(root, f"proc/{'self' if pid is None else pid}/cgroup")
    for line in (text or "").splitlines():
        tree, controllers, path = (*line.split(":", 2), "", "")[:3]
        if tree == "0":
            top = root / GROUPS
        elif "cpu" in controllers.split(","):
            top = root / GROUPS / "cpu"
        else:
            continue
        # Seen from a container a group outside of it begins with `/..`, and is not there.
        own = PurePosixPath("" if ".." in path else path.lstrip("/"))
        yield from (top / part for part in (own, *own.parents))


def allowed(folder: Path) -> float | None:
    """The CPUs of one group: `150000 100000` microseconds in a period are 1.5, `max` no limit."""
    quota, _, period = (read(folder, "cpu.max") or "").partition(" ")
    if quota.isdigit() and period.isdigit() and int(period):
        return int(quota) / int(period)
    old, every = (number(folder, f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return old / every if old and every and old > 0 and every > 0 else None


def usable(pid: int, limit: Limit | None) -> float | None:
    """The CPUs that a process may use: those that it is pinned to, within its group's limit."""
    try:
        pinned = float(len(psutil.Process(pid).cpu_affinity() or ()))
    except psutil.Error:
        return limit.cpus if limit else None
    return min(pinned, limit.cpus) if limit else pinned
