"""
Processes that cannot outlive the runner: services and generators are started through a warden.

A process is asked to stop (SIGTERM), given time, and then killed with everything it started.
"""

import os
import random
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import listening

WARDEN = Path(__file__).with_name("warden.py")
START_S = 20.0


class RunError(Exception):
    """A run that cannot start or go on, with what was found and what to do about it."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to start, where and on which CPUs (None: all that there are)."""

    program: tuple[str, ...]
    cwd: Path
    env: dict[str, str]
    cpus: tuple[int, ...] | None = None


class Process:
    """A program under a warden. Its pid is the program's own."""

    def __init__(self, command: Command, *, stdout: int, stderr: int) -> None:
        self._control, theirs = socket.socketpair()
        cpus = ",".join(map(str, command.cpus)) if command.cpus else "-"
        with theirs:
            self.popen: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, "-I", "-S", str(WARDEN), cpus, *command.program],
                cwd=command.cwd,
                env=command.env,
                stdin=theirs.fileno(),
                stdout=stdout,
                stderr=stderr,
                # Ctrl-C at the terminal is for the runner, which then stops what it started.
                start_new_session=True,
            )
        try:
            self.pid = self._greeting(command.program[0])
            self._identity = psutil.Process(self.pid) if psutil.pid_exists(self.pid) else None
        except BaseException:
            self.stop(0)
            raise

    def _greeting(self, program: str) -> int:
        self._control.settimeout(START_S)
        try:
            answer = self._control.recv(4096).decode(errors="replace").strip()
        except OSError as error:
            answer = str(error)
        if not answer.isdigit():
            raise RunError(
                f"{program}: could not be started ({answer or 'no answer'});"
                " expected a program that runs; `make setup build` installs it"
            )
        return int(answer)

    def poll(self) -> int | None:
        """Return the exit status, 128 + n after signal n; None while it runs."""
        return self.popen.poll()

    def listens_on(self, port: int) -> bool:
        """Whether it is this program that listens there."""
        return self._identity is not None and listening.listens(self._identity, port)

    def interrupt(self, wait_s: float) -> bool:
        """Send SIGINT to the program, as Ctrl-C does; whether it has ended within that time."""
        with suppress(psutil.Error):
            if self._identity is not None:
                self._identity.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(wait_s)
        return self.popen.poll() is not None

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the program, whose business it is to stop its workers."""
        self._order(b"T")

    def _order(self, order: bytes) -> None:
        with suppress(OSError):
            self._control.send(order)

    def stop(self, grace_s: float) -> int:
        """Stop it and everything it started; with no time to be graceful, kill at once."""
        for order, wait_s in ((b"T", grace_s), (b"K", START_S)):
            if self.popen.poll() is None and wait_s > 0:
                self._order(order)
                with suppress(subprocess.TimeoutExpired):
                    self.popen.wait(wait_s)
        self._control.close()
        if self.popen.poll() is None:
            self.popen.kill()
        code = self.popen.wait()
        for stream in (self.popen.stdout, self.popen.stderr):
            if stream is not None:
                stream.close()
        self._kill_abandoned()
        return code

    def _kill_abandoned(self) -> None:
        """If the warden itself was killed, the program is still there; psutil knows it from its
        start time, so that a new process with the same number is left alone."""
        identity = getattr(self, "_identity", None)
        if identity and identity.is_running():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)


def free_port() -> int:
    """
    A port that was free a moment ago; whoever uses it must be ready to find it taken.

    Taken from below the range from which the kernel gives connections their own ports: during a
    run there are many of those.
    """
    try:
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        low = 0
    for _ in range(100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(10_000, low) if low > 11_000 else 0))
            return int(probe.getsockname()[1])
    raise RunError("no free port among 100 tried; expected one on 127.0.0.1; stop other servers")


def port_taken(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def runner_environment(**extra: str) -> dict[str, str]:
    """The caller's environment without SERVICE_*: a variant is its campaign's settings alone."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SERVICE_")}
    return {**kept, **extra}


def last_lines(path: Path, count: int = 12, since: int = 0) -> str:
    """The end of a log, indented, for an error message."""
    try:
        with path.open("rb") as log:
            log.seek(max(since, path.stat().st_size - 64 * 1024))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError as error:
        return f"    ({error})"
    return "\n".join(f"    {line}" for line in lines[-count:]) or "    (it wrote nothing)"
