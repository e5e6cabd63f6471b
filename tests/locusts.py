"""Locust as a program, for tests of what it measures."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stub import IMAGE, ROOT

LOCUST = [str(Path(sys.executable).with_name("locust"))]
FILE = "loadtests/locustfile.py"


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run of Locust left."""

    status: int
    summary: dict[str, Any]
    stderr: str


def command(url: str, *flags: str, file: str = FILE) -> list[str]:
    """Headless, with one small image and no warm-up unless the flags differ."""
    ours = ("--host", url, "--image", str(IMAGE), "--warmup", "0", "--summary", "-")
    theirs = ("--headless", "--only-summary", "--loglevel", "WARNING")
    return [*LOCUST, "-f", file, *theirs, *ours, *flags]


@contextmanager
def locust(
    url: str, *flags: str, file: str = FILE, cwd: Path = ROOT
) -> Iterator[subprocess.Popen[str]]:
    """A Locust that runs, in a process group of its own; it and its workers end with the block."""
    with subprocess.Popen(
        command(url, *flags, file=file),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        start_new_session=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("LOCUST_")},
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)


def ended(process: subprocess.Popen[str], timeout_s: float = 60) -> Ran:
    """What it left when it ended by itself."""
    out, err = process.communicate(timeout=timeout_s)
    return Ran(process.returncode, json.loads(out or "{}"), err)


def run(url: str, *flags: str, file: str = FILE, cwd: Path = ROOT) -> Ran:
    """Run Locust to its end."""
    with locust(url, *flags, file=file, cwd=cwd) as process:
        return ended(process)
