"""
The shared memory of Triton's Python stubs: named by us, so that it can be found and removed.

A server that is stopped removes it; one that is killed leaves it in /dev/shm, megabytes of it. The
warden removes what its own server left (VARIABLE tells it the names), also when the runner was
killed; `sweep` removes what was left when the warden was killed as well.
"""

import re
from contextlib import suppress
from pathlib import Path

import psutil

FOLDER = Path("/dev/shm")
NAME = "windtunnel-triton-"
# Read by benchmarks/warden.py, which imports nothing of ours.
VARIABLE = "WINDTUNNEL_SHM_PREFIX"

_OURS = re.compile(rf"{NAME}(\d+)-[0-9a-f]+")


def remove(prefix: str) -> None:
    """Remove the regions of one server; its processes must have ended."""
    for region in FOLDER.glob(f"{prefix}*"):
        with suppress(FileNotFoundError, PermissionError):
            region.unlink()


def sweep() -> None:
    """Remove the regions of servers whose runner is gone, unless a process still uses them."""
    abandoned = [
        region
        for region in FOLDER.glob(f"{NAME}*")
        if (named := _OURS.match(region.name)) and not psutil.pid_exists(int(named[1]))
    ]
    if abandoned:
        used = _mapped()
        for region in abandoned:
            if str(region) not in used:
                with suppress(FileNotFoundError, PermissionError):
                    region.unlink()


def _mapped() -> set[str]:
    """The files of shared memory that some process has mapped."""
    found = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            text = maps.read_text(errors="replace")
            found |= set(re.findall(rf"{FOLDER}/{NAME}\S+", text))
    return found
