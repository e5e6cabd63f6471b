"""
Runs one program in a folder of its own until standard input closes: a script, never imported.

The service holds the other end. When that closes, because the service ended or was killed with -9,
the program is ended and its folder removed. When the program ends first, that is said, and the
service does not notice: it has no thread for this, and nothing to wait for.

    python -I -S keeper.py <port> <greeting> <folder> <program> [argument ...]

What the program writes goes into <folder>/log; the greeting is said when it listens on its port.
"""

import ctypes
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
STDIN = 0
POLL_S = 0.1
GRACE_S = 5.0


def main(port: int, greeting: str, folder: Path, program: list[str]) -> None:
    # Who ends this process means the program as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with (folder / "log").open("wb") as log:
            child = subprocess.Popen(
                program,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
            )
        try:
            if not wanted_to_end(child, port, greeting):
                report(program[0], child.wait(), folder / "log")
        finally:
            end(child)
    except OSError as error:
        say(f"{program[0]}: {error}; the service goes on without it")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wanted_to_end(child: "subprocess.Popen[bytes]", port: int, greeting: str) -> bool:
    """Wait for the end of the service (true) or of the program."""
    pid, greeted = os.pidfd_open(child.pid), False
    while True:
        ended, _, _ = select.select([STDIN, pid], [], [], None if greeted else POLL_S)
        if ended:
            return STDIN in ended
        if listens(port):
            say(greeting)
            greeted = True


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), POLL_S).close()
    except OSError:
        return False
    return True


def say(text: str) -> None:
    print(f"serve: {text}", file=sys.stderr, flush=True)


def end_with_parent() -> None:
    """In the child: the kernel ends it with this process, even when that is killed with -9."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def report(program: str, status: int, log: Path) -> None:
    lines = log.read_text(errors="replace").splitlines() or ["it wrote nothing"]
    say(
        f"{program} ended with status {status}; the service goes on without it; its last words:"
        f" {lines[-1]}"
    )


def end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
