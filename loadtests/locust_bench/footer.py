"""
What a process says about its part: that it takes part, and what came of it.

The folder of the parts is the register: an .open file for each process, a .json once it is done.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil


@dataclass(slots=True)
class Footer:
    """What a process says when its part is complete."""

    rows: int = 0
    issued: int = 0
    clients: int = 0
    dials: int = 0
    last_due_ns: int = 0
    last_done_ns: int = 0
    cpu_s: float = 0.0
    rss_max_bytes: int = 0
    gc_pause_max_ms: float = 0.0
    loop_lag_p99_ms: float = 0.0
    examples: dict[str, str] = field(default_factory=dict)
    fault: str = ""


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
