"""
Starts one program and outlives it by nothing: run as a script, never imported.

The runner holds the other end of standard input. When that closes, because the runner ended, was
killed with -9 or lost its mind, the warden kills the program and everything it started. A parent
death signal would not do: it follows a thread, not a process, and the workers of a killed service
would stay. The warden adopts orphans (PR_SET_CHILD_SUBREAPER), so a worker whose parent died is
still found. Commands on standard input: T asks the program to stop (SIGTERM), K kills all.

    python -I -S warden.py <cpu,cpu,...|-> <program> [argument ...]

WINDTUNNEL_SHM_PREFIX names shared memory of the program that a kill would leave behind; it is
removed after the program's end.

It answers with the program's pid, then ends with the program's exit status (128 + n for signal n).
"""

import ctypes
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
CONTROL = 0


def main(cpus: str, program: list[str]) -> int:
    """Start the program, wait for it or for the runner, and leave nothing behind."""
    adopt_orphans()
    if cpus != "-":
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    waker = wake_on_signals()
    try:
        devnull = (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)
        child = os.posix_spawn(program[0], program, os.environ, file_actions=[devnull], setpgroup=0)
    except OSError as error:
        os.write(CONTROL, f"{error}\n".encode())
        return 127
    os.write(CONTROL, f"{child}\n".encode())
    status = watch(child, waker)
    kill_all(child)
    remove_shared_memory(os.environ.get("WINDTUNNEL_SHM_PREFIX", ""))
    code = 128 + signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends; Linux only."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wake_on_signals() -> int:
    """Return a descriptor that becomes readable when a child ends or when we are told to stop."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    return read


def watch(child: int, waker: int) -> int | None:
    """Wait for the program to end (its status) or for the order to kill it (None)."""
    while True:
        ready, _, _ = select.select([CONTROL, waker], [], [])
        if waker in ready and set(os.read(waker, 64)) - {signal.SIGCHLD}:
            return None
        if (status := reap(child)) is not None:
            return status
        if CONTROL in ready:
            command = read_control()
            if command in (b"", b"K"):
                return None
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)


def read_control() -> bytes:
    """One command; nothing when the runner is gone."""
    try:
        return os.read(CONTROL, 1)
    except ConnectionError:
        return b""


def reap(child: int) -> int | None:
    """Collect whatever has ended; return the program's status if it was among them."""
    found = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            found = ended[1] if ended[0] == child else found
    return found


def kill_all(child: int) -> None:
    """Kill the program's group, and then every orphan that comes to us, until there is none."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            for pid in children():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)


def remove_shared_memory(prefix: str) -> None:
    """What the program and its children shared, when none of them is left."""
    for region in Path("/dev/shm").glob(f"{prefix}*") if prefix else ():
        with suppress(OSError):
            region.unlink()


def children() -> list[int]:
    """Our own children, orphans included; the kernel may be built without this file."""
    try:
        return [int(pid) for pid in Path("/proc/thread-self/children").read_text().split()]
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
