"""
Waiting for the parts of the workers: all of them, or a word about the one that vanished.

Only workers on this machine can take part: their clock is ours, and so is the folder.
"""

import json
import time
from pathlib import Path
from typing import Any

import gevent
import psutil

from loadtests.locust_bench.footer import boot_id

LOOK_S = 0.02
BEGIN_S = 5.0


def wait(folder: Path, expected: set[str], patience_s: float) -> str | None:
    """None when every part is complete; otherwise what is wrong."""
    began = time.monotonic()
    while True:
        there = {file.stem for file in folder.glob("*.open")}
        missing = expected - there
        if problem := vanished(folder):
            return problem
        waited_s = time.monotonic() - began
        if missing and waited_s > BEGIN_S:
            return (
                f"{_names(missing)}: left no samples; found those of {_names(there)}, expected a"
                " part of each worker that was there at the start; did it end before its users"
                " began? measure again"
            )
        running = _unfinished(folder)
        if not missing and not running:
            return None
        if waited_s > patience_s:
            return (
                f"{_names(set(running))}: did not end in {patience_s:g} s; expected its samples;"
                " stop it, then measure again"
            )
        gevent.sleep(LOOK_S)


def vanished(folder: Path) -> str | None:
    """Say which worker has ended without its samples, or is where they cannot be read."""
    for name, said in _unfinished(folder).items():
        if said["boot"] != boot_id():
            return (
                f"{name}: runs on another machine, whose clock is another; expected all workers on"
                " one; for more load than one machine has, run Locust there by itself"
            )
        finished = folder / f"{name}.json"
        if not _is_running(said["pid"], said["created"]) and not finished.exists():
            return (
                f"{name} (pid {said['pid']}): vanished, and its requests with it; expected it to"
                " run until the end; measure again"
            )
    return None


def _unfinished(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        file.stem: json.loads(file.read_text())
        for file in sorted(folder.glob("*.open"))
        if not file.with_suffix(".json").exists()
    }


def _is_running(pid: int, created: float) -> bool:
    try:
        process = psutil.Process(pid)
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return not zombie and abs(process.create_time() - created) < 1.0
    except psutil.Error:
        return False


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "no worker"
