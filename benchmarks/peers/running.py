"""
Runs a server and a generator, each on a CPU of its own, and takes the time that each used.

What is started is ended by its pid, whatever happens meanwhile.
"""

import json
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import IO

STOP_S = 5.0
POLL_S = 0.02


class RunningError(Exception):
    """A program that did not do what it was started for."""


@dataclass(frozen=True, slots=True)
class Cpus:
    """Where the two sides run. This program sleeps beside the server."""

    server: int
    generator: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has run to its end."""

    stdout: str
    cpu_s: float  # user and system, of all its threads
    wall_s: float
    # CPU time on its CPU that was not its own: kernel threads, neighbours, what the host took.
    others_cpu_s: float


@dataclass(frozen=True, slots=True)
class Server:
    """A running tb_stub."""

    url: str
    pid: int

    def requests(self) -> int:
        """How many it has answered; brings its log up to date."""
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=STOP_S)
        connection.request("GET", "/stats")
        stats: dict[str, int] = json.loads(connection.getresponse().read())
        connection.close()
        return stats["requests"]

    def cpu_s(self) -> float:
        """What it has used since it was started."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def choose_cpus() -> Cpus:
    """The first and the last CPU that this process may use; with one CPU, the same."""
    available = sorted(os.sched_getaffinity(0))
    return Cpus(available[0], available[-1])


@contextmanager
def _on(cpu: int) -> Iterator[None]:
    """This thread, and so what it starts meanwhile, on one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def server(program: Path, flags: Sequence[str], cpus: Cpus) -> Iterator[Server]:
    """Run tb_stub on the server's CPU, on a free port."""
    with _on(cpus.server):
        process = subprocess.Popen(
            [program, *flags], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
    with process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise RunningError(f"{program} did not start; its last words are above")
            yield Server(url, process.pid)
        finally:
            process.kill()


def run(argv: Sequence[str], cpu: int, limit_s: float) -> Ended:
    """Run a generator on its CPU; it must succeed within the limit."""
    name = Path(argv[0]).name
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        busy_s, begun = _busy_s(cpu), time.monotonic()
        with _on(cpu):
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        try:
            usage = _wait(process, begun + limit_s)
        except BaseException:
            _end(process)
            raise
        wall_s, busy_s = time.monotonic() - begun, _busy_s(cpu) - busy_s
        stdout, stderr = _content(out), _content(err)
    if usage is None:
        raise RunningError(f"{name}: still running after {limit_s:.0f} s: ended")
    if process.returncode:
        said = (stderr or stdout).strip().splitlines()
        last = said[-1][:300] if said else "without a word"
        raise RunningError(f"{name}: ended with {process.returncode}: {last}")
    cpu_s = usage.ru_utime + usage.ru_stime
    return Ended(stdout, cpu_s, wall_s, max(busy_s - cpu_s, 0.0))


def _wait(process: "subprocess.Popen[bytes]", until: float) -> "resource.struct_rusage | None":
    """What the process used; None if it had to be ended."""
    while time.monotonic() < until:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage
        time.sleep(POLL_S)
    _end(process)
    return None


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
        return
    process.kill()
    process.wait()


def _busy_s(cpu: int) -> float:
    """What the CPU has worked since the machine started, and what the host took from it."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{cpu} "):
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
            ticks = user + nice + system + irq + softirq + steal
            return ticks / os.sysconf("SC_CLK_TCK")
    raise RunningError(f"/proc/stat: no line for CPU {cpu}")


def _content(file: IO[str]) -> str:
    file.seek(0)
    return file.read()
