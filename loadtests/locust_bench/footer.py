"""
What a process says about its part: that it takes part, and what came of it.

The folder of the parts is the register: an .open file for each process, a .json once it is done.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil


@dataclass(slots=True)
class Footer:
    """What a process says when its part is complete."""

    issued: int = 0
    clients: int = 0
    dials: int = 0
    last_due_ns: int = 0
    cpu: list[tuple[int, float]] = field(default_factory=list)  # monotonic ns, s used so far
    rss_max_bytes: int = 0
    gc_pause_s: float = 0.0
    gc_pause_max_ms: float = 0.0
    loop_lag_p99_ms: float = 0.0
    examples: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    @property
    def cpu_s(self) -> float:
        """Of one core, in the whole run."""
        return self.cpu[-1][1] - self.cpu[0][1]

    @property
    def gc_pause_share(self) -> float:
        """Of the time, that the collector took."""
        return self.gc_pause_s / max(1, self.cpu[-1][0] - self.cpu[0][0]) * 1e9

    def busy_share(self, start_ns: int, end_ns: int) -> float:
        """How much of a CPU was used between two times."""
        at, used = zip(*self.cpu, strict=True)
        before, after = np.interp([start_ns, end_ns], at, used)
        return float(after - before) / max(1, end_ns - start_ns) * 1e9


def announce(path: Path) -> None:
    """Say that this process takes part, and how to see whether it still runs."""
    process = psutil.Process()
    said = {"pid": process.pid, "created": process.create_time(), "boot": boot_id()}
    write_json(path, said)


def boot_id() -> str:
    """What tells this machine, and its clock, from others; empty where there is none to read."""
    file = Path("/proc/sys/kernel/random/boot_id")
    return file.read_text().strip() if file.exists() else ""


def write_json(path: Path, value: Any) -> None:
    """Write a file that appears only when it is complete."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(value))
    partial.replace(path)


def footers_in(folder: Path) -> dict[str, Footer]:
    """What the processes say whose parts are complete."""
    return {
        file.stem: Footer(**json.loads(file.read_text())) for file in sorted(folder.glob("*.json"))
    }
