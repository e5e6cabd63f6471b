"""
Are the tools of this checkout there, and may they do what they do: the generator, the packages of
this environment, py-spy and its right to read other processes.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import generator, machine
from benchmarks.doctor import host
from benchmarks.doctor.files import number
from benchmarks.doctor.findings import Finding, judged
from benchmarks.environments import ROOT
from benchmarks.machine import in_container
from benchmarks.processes import RunError
from benchmarks.profiles import sampler

# The two that install the same files, and who else is worth a line.
PILLOWS = ("pillow", "pillow-simd")
SHOWN = ("python", "fastapi", "uvicorn", "uvloop", "httptools", "orjson", *PILLOWS, "onnxruntime")
SCOPE = "proc/sys/kernel/yama/ptrace_scope"
PARANOID = "proc/sys/kernel/perf_event_paranoid"
# From 2 on, who is not root sees no kernel frames; from 3 on, nothing at all (Debian's patch).
CLOSED = 3


def findings(root: Path, pid: int | None, checkout: Path = ROOT) -> Iterator[Finding]:
    """All checks of the tools; *pid* is that of the service, where it is on this machine."""
    yield bench(checkout)
    yield packages(machine.versions({"here": Path(sys.executable)})["here"])
    yield profiler()
    yield tracing(root, pid)
    yield counters(root)


def bench(checkout: Path) -> Finding:
    """The instrument."""
    try:
        found, missing = str(generator.program(checkout).relative_to(checkout)), False
    except RunError as error:
        found, missing = str(error), True
    return judged("generator", found, "triton_bench is built", "make build", problem=missing)


def packages(versions: dict[str, Any] | None) -> Finding:
    """The versions that a service of this environment has."""
    found = versions or {}
    both = all(name in found for name in PILLOWS)
    named = ", ".join(f"{name} {found[name]}" for name in SHOWN if name in found)
    return judged(
        "packages",
        f"{named or 'nothing is known of them'}" + (": both Pillows in one place" if both else ""),
        "Pillow or pillow-simd: they install the same files, and both together are silently wrong",
        "rm -r .venv && make setup",
        note=not found,
        problem=both,
    )


def profiler() -> Finding:
    """What reads the stacks."""
    try:
        found, missing = sampler.program_version(), False
    except RunError as error:
        found, missing = str(error), True
    return judged(
        "py-spy", found, "installed, for `windtunnel profile`", "make setup", note=missing
    )


def tracing(root: Path, pid: int | None) -> Finding:
    """
    Whether py-spy may read a process that is not its child.

    The service itself is tried if there is one: it may be another user's, or have more rights.
    """
    may = host.may_attach(pid) if pid else host.may_attach_to_others()
    scope = number(root, SCOPE)
    able = host.has_capability(root, host.CAP_SYS_PTRACE)
    whom = f"process {pid}" if pid else "processes that it did not start"
    why = f"CAP_SYS_PTRACE {'yes' if able else 'no'}, kernel.yama.ptrace_scope " + (
        "not in this kernel" if scope is None else str(scope)
    )
    return judged(
        "ptrace",
        f"py-spy {'may' if may else 'may not'} read {whom} ({why})",
        "it may; in a container with cap_add: [SYS_PTRACE]",
        "docker run --cap-add SYS_PTRACE ..."
        if in_container()
        else f"sudo sysctl kernel.yama.ptrace_scope=0  # or: sudo {Path(sys.argv[0]).name} ...",
        note=not may,
    )


def counters(root: Path) -> Finding:
    """Whether perf could count; nothing here needs it, but who looks for cache misses does."""
    level = number(root, PARANOID)
    able = host.has_capability(root, host.CAP_PERFMON)
    closed = level is not None and level >= CLOSED and not able
    said = "not in this kernel" if level is None else f"kernel.perf_event_paranoid {level}"
    return judged(
        "perf",
        said + (", and the right to pass by it" if able else ""),
        f"under {CLOSED}, if perf is to count (windtunnel does not need it)",
        "sudo sysctl kernel.perf_event_paranoid=1",
        note=closed,
    )
