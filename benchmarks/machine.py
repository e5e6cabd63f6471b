"""
Facts about the machine and the code, as they stand before a run: what a reader needs to judge a
number, or to refuse to compare it with one from elsewhere.

A fact that cannot be read is None; it is never guessed.
"""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    "fastapi", "uvicorn", "uvloop", "httptools", "h11", "onnxruntime", "numpy", "orjson",
    "pillow", "pillow-simd", "simplejpeg", "opencv-python-headless", "tritonclient", "torch",
    "nvidia-pytriton",
)  # fmt: skip
_LIST_VERSIONS = """
import importlib.metadata as m, json, platform, sys
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = m.version(name)
    except m.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def facts() -> dict[str, Any]:
    """The machine, for run.json."""
    memory = psutil.virtual_memory()
    return {
        "cpu": _cpu_model(),
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "available_cpus": sorted(os.sched_getaffinity(0)),
        "caches": _caches(),
        "avx2": has_avx2(),
        "memory_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "kernel": platform.release(),
        "os": _os_name(),
        "python": platform.python_version(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "virtualization": _virtualization(),
        "cgroup": _cgroup(),
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def commit(root: Path) -> dict[str, Any]:
    """The commit of the code that runs, and whether tracked files differ from it."""
    sha = _output(["git", "rev-parse", "HEAD"], root)
    changes = _output(["git", "status", "--porcelain", "--untracked-files=no"], root)
    return {"sha": sha, "dirty": None if sha is None else bool(changes)}


def versions(pythons: Mapping[str, Path]) -> dict[str, Any]:
    """The main packages of each environment, asked of its own interpreter."""
    found = {}
    for name, python in pythons.items():
        text = _output([str(python), "-c", _LIST_VERSIONS, *PACKAGES], Path.cwd())
        found[name] = json.loads(text) if text else None
    return found


def has_avx2() -> bool:
    """Whether the CPU knows AVX2, for which pillow-simd has its fastest code."""
    return " avx2" in (_read("/proc/cpuinfo") or "")


def cores() -> list[tuple[int, ...]]:
    """The CPUs that we may use, grouped by physical core: two threads of one core share it."""
    available = os.sched_getaffinity(0)
    groups = set()
    for cpu in available:
        listed = _read(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        siblings = _parse_cpus(listed) if listed else {cpu}
        groups.add(tuple(sorted((siblings & available) | {cpu})))
    return sorted(groups)


def _parse_cpus(text: str) -> set[int]:
    cpus: set[int] = set()
    for part in text.split(","):
        low, _, high = part.partition("-")
        cpus |= set(range(int(low), int(high or low) + 1))
    return cpus


def _cpu_model() -> str | None:
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or None


def _caches() -> dict[str, str]:
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (_read(folder / name) for name in ("level", "type", "size"))
        if level and size:
            suffix = {"Data": "d", "Instruction": "i"}.get(kind or "", "")
            found[f"L{level}{suffix}"] = size
    return found


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def in_container() -> bool:
    """Whether this is a container of Docker's or Podman's, where rights are given from outside."""
    return any(Path(sign).exists() for sign in ("/.dockerenv", "/run/.containerenv"))


def _virtualization() -> str | None:
    known = _output(["systemd-detect-virt"], Path("/"))
    if known:
        return known
    if in_container():
        return "container"
    return "virtual machine" if " hypervisor" in (_read("/proc/cpuinfo") or "") else None


def _cgroup() -> dict[str, str | None]:
    """Limits of our own control group; "max" is none."""
    base = Path("/sys/fs/cgroup")
    for line in (_read("/proc/self/cgroup") or "").splitlines():
        if line.startswith("0::"):
            base = base / line.removeprefix("0::").lstrip("/")
    if not (base / "cpu.max").exists():
        base = Path("/sys/fs/cgroup")
    return {name: _read(base / name) for name in ("cpu.max", "cpuset.cpus.effective", "memory.max")}


def _read(path: str | Path) -> str | None:
    try:
        return Path(path).read_text(errors="replace").strip() or None
    except OSError:
        return None


def _output(command: list[str], cwd: Path) -> str | None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
