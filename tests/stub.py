"""A server with exactly known delays, for tests of what measures it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import NO_TLS

ROOT = Path(__file__).parent.parent
IMAGE = ROOT / "loadtests/images/cat-451x300.jpg"


@dataclass(frozen=True, slots=True)
class Stub:
    """A running tb_stub."""

    url: str
    pid: int

    def stats(self) -> dict[str, int]:
        """What it saw: requests, connections, frozen_at_unix_ns."""
        with httpx.Client(verify=NO_TLS) as client:
            stats: dict[str, int] = client.get(f"{self.url}/stats").json()
        return stats


@contextmanager
def stub(*flags: str) -> Iterator[Stub]:
    """Run tb_stub on a port that the kernel picked."""
    program = ROOT / ".tools/bin/tb_stub"
    assert program.exists(), f"{program} is missing: run `make build`"
    with subprocess.Popen([program, *flags], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Stub(process.stdout.readline().strip(), process.pid)
        finally:
            process.kill()


@dataclass(frozen=True, slots=True)
class Bench:
    """What one run of triton_bench left."""

    status: int
    summary: dict[str, Any]
    stderr: str


def bench(program: Path, url: str, *flags: str) -> Bench:
    """Run triton_bench with one small image and, unless the flags differ, no warm-up."""
    command = [str(program), "--url", url, "--image", str(IMAGE), "--warmup", "0", "--json"]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=60)
    return Bench(done.returncode, json.loads(done.stdout or "{}"), done.stderr)
