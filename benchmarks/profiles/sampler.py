"""
py-spy as a process: it reads the stacks of a service and of all its workers from outside.

Nothing of it is imported, and the service knows nothing of it. Reading another process's memory
needs the right to trace it, which containers do not give by themselves: what it says then leads
nobody to the cause, so that is looked at first.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks import listening
from benchmarks.environments import ROOT
from benchmarks.processes import Command, Process, RunError, runner_environment
from benchmarks.profiles.options import Options
from benchmarks.profiles.stripped import strip

# What a person asks for, and what py-spy calls it.
FORMATS = {"svg": "flamegraph", "speedscope": "speedscope", "collapsed": "raw"}
DUMP_S = 30.0
# To find the interpreter in a big program and its symbols, and to write what was read.
PATIENCE_S = 60.0
# To let go of what it reads when it is interrupted.
GRACE_S = 5.0
# From so many threads on, the pauses in which a stack is read are felt: each is stopped alone.
MANY_THREADS = 16
SAID_BYTES = 1 << 20
_DENIED = re.compile(r"permission denied|operation not permitted|os error (1|13)\b", re.IGNORECASE)
_COUNTED = re.compile(r"Samples: (\d+) Errors: (\d+)")
_BEHIND = re.compile(r"([\d.]+)s behind in sampling")
_ENDED = "Stopped sampling because process exited"

NOT_ALLOWED = (
    "the kernel does not let py-spy read process {pid} (permission denied); expected the right to"
    " trace it; in a container: `cap_add: [SYS_PTRACE]` in docker-compose.yml or `docker run"
    " --cap-add SYS_PTRACE`; outside of one: run it with sudo, or as the service's user with"
    " kernel.yama.ptrace_scope=0"
)

TOO_LATE = "py-spy did not end in time; expected it to; is the machine very busy?"


class ProfileError(RunError):
    """A profile that could not be taken."""


@dataclass(frozen=True, slots=True)
class Read:
    """What py-spy says of its work; a sample is one thread's stack at one moment."""

    samples: int
    errors: int
    behind_s: float  # the most it was late; 0 when it kept its rate


def program() -> Path:
    """Where py-spy is: beside this Python, or on the PATH."""
    beside = Path(sys.executable).with_name("py-spy")
    found = beside if beside.exists() else shutil.which("py-spy")
    if not found:
        raise ProfileError(f"{beside}: not there; expected py-spy; `make setup` installs it")
    return Path(found)


def program_version() -> str:
    """As it says itself: `py-spy 0.4.3`."""
    done = subprocess.run([program(), "--version"], capture_output=True, text=True, timeout=DUMP_S)
    return done.stdout.strip()


def check_allowed(pid: int) -> None:
    """Refuse a process that may not be read, before there is a load."""
    # Killed while it holds a process, as Ctrl-C does here, it would leave that stopped.
    command = [str(program()), "dump", "--nonblocking", "--pid", str(pid)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DUMP_S, env=_environment()
        )
    except subprocess.TimeoutExpired as error:
        raise ProfileError(
            f"py-spy could not read process {pid} in {DUMP_S:g} s; expected its stacks at once;"
            " is the machine very busy?"
        ) from error
    if done.returncode and _DENIED.search(done.stderr):
        raise ProfileError(NOT_ALLOWED.format(pid=pid))


def check_here() -> None:
    """The same before there is a service: whether a process that we start could be read."""
    code = "import time; time.sleep(60)"
    command = Command((sys.executable, "-S", "-c", code), ROOT, runner_environment())
    child = Process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        check_allowed(child.pid)
    finally:
        child.stop(0)


def most_threads(pid: int) -> int:
    """Threads of the process of a tree that has most; 0 where it has ended."""
    counts = [0]
    for process in listening.tree(pid):
        with suppress(psutil.Error):
            counts.append(process.num_threads())
    return max(counts)


def threads_note(pid: int, options: Options) -> str | None:
    """What to say of a process whose threads make each pause a long one."""
    threads = most_threads(pid)
    if threads <= MANY_THREADS or options.nonblocking:
        return None
    return (
        f"process {pid} or one of its workers has {threads} threads, each of which is paused while"
        " a stack is read: nonblocking costs the service less, at the price of some stacks that"
        " mix two moments"
    )


class Profiler:
    """Reads the stacks of a process and of its descendants, once, into a file."""

    def __init__(
        self, pid: int, options: Options, output: Path, kind: str, cpus: tuple[int, ...] | None
    ) -> None:
        self._pid, self._options, self._output, self._kind = pid, options, output, kind
        self._cpus = cpus
        self._process: Process | None = None
        self._said = os.memfd_create("py-spy")  # in a pipe that nobody empties it would get stuck

    def begin(self) -> None:
        """Start it, unless it has been."""
        if self._process is None:
            words = tuple(_arguments(self._pid, self._options, self._output, self._kind))
            command = Command(words, ROOT, _environment(), self._cpus)
            self._process = Process(command, stdout=self._said, stderr=self._said)

    def check(self) -> None:
        """Raise if it has ended without a profile."""
        if self._process and self._process.poll():
            self.result()

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self._process is not None and self._process.poll() is not None

    def result(self) -> Read:
        """Wait for its end; what it read, with the file in its place."""
        if self._process is None:
            raise ProfileError(
                "the load ended before the profile began; expected it to last longer; is the"
                " machine very busy?"
            )
        try:
            code = self._process.popen.wait(self._options.duration_s + PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            raise ProfileError(TOO_LATE) from error
        said = self._last_said()
        counted = _COUNTED.search(said)
        samples, errors = (int(counted[1]), int(counted[2])) if counted else (0, 0)
        # A profile without a stack is written too, in one of the formats.
        if code or not samples or _ENDED in said or not self._output.is_file():
            raise ProfileError(_reason(self._pid, said))
        strip(self._output)
        behind_s = max(map(float, _BEHIND.findall(said)), default=0.0)
        return Read(samples, errors, behind_s)

    def _last_said(self) -> str:
        """What counts comes last, after a line for each stack that could not be read."""
        length = os.fstat(self._said).st_size
        said = os.pread(self._said, SAID_BYTES, max(0, length - SAID_BYTES))
        return said.decode(errors="replace")

    def stop(self) -> None:
        """End it if it still reads, and leave nothing of the service stopped."""
        if self._process:
            let_go = self._process.interrupt(GRACE_S)
            self._process.stop(0)
            if not let_go:
                _go_on(self._pid)
        os.close(self._said)


def _go_on(pid: int) -> None:
    """Wake what was stopped by a reader that was killed while it held it."""
    for process in listening.tree(pid):
        with suppress(psutil.Error):
            process.send_signal(signal.SIGCONT)


def facts(read: Read, options: Options) -> dict[str, Any]:
    """What a profile's JSON says of how it was taken."""
    return {
        "program": program_version(),
        "rate_hz": options.rate_hz,
        "duration_s": options.duration_s,
        "options": options.switches(),
        "samples": read.samples,
        "errors": read.errors,
        "behind_s": read.behind_s,
    }


def _arguments(pid: int, options: Options, output: Path, kind: str) -> list[str]:
    switches = [f"--{name}" for name, on in options.switches().items() if on]
    return [
        *(str(program()), "record", "--pid", str(pid), "--subprocesses", "--hideprogress"),
        *("--rate", str(options.rate_hz), "--duration", str(options.duration_s)),
        *("--format", FORMATS[kind], "--output", str(output), *switches),
    ]


def _environment() -> dict[str, str]:
    """Its own backtraces say nothing to anybody here."""
    return runner_environment(RUST_BACKTRACE="0")


def _reason(pid: int, said: str) -> str:
    """Why there is no profile, from what py-spy said."""
    if _DENIED.search(said):
        return NOT_ALLOWED.format(pid=pid)
    if _ENDED in said or not psutil.pid_exists(pid):
        return f"process {pid} has ended; expected it to run while it is profiled; start it again"
    if "No stack counts" in said or "Samples: 0 " in said:
        return (
            f"process {pid} did nothing while it was profiled; expected it to be under load; send"
            " it some (leave --no-load out), or show threads that wait with --idle"
        )
    lines = [line for line in said.splitlines() if line.strip() and "Sampling process" not in line]
    first = lines[0].strip().removeprefix("Error: ") if lines else "it said nothing"
    return f"py-spy: {first}; expected a process of Python, or one that has such workers"
