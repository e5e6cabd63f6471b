"""
Which processes make up a service that is already running: those of a pid, or those behind a URL.

Any worker answers `/health`, and says its own pid: what is profiled is the first process of the
service that it belongs to. It has to be one of this machine.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks import fields, listening, probe
from benchmarks.processes import RunError
from benchmarks.profiles.sampler import NOT_ALLOWED

IN_A_CONTAINER = (
    "if it runs in a container, give the pid that this machine knows it by:"
    " windtunnel profile --pid $(docker inspect --format '{{.State.Pid}}' CONTAINER)"
)


@dataclass(frozen=True, slots=True)
class Running:
    """A service: which of its processes is looked at, and where images can be posted."""

    pid: int
    url: str | None  # None: nobody knows
    first: int  # its first process: another one where only a worker is looked at

    @property
    def whole(self) -> bool:
        """Whether all of its processes are looked at."""
        return self.pid == self.first


def by_pid(pid: int, path: str) -> Running:
    """A process; if it is a service of ours, or a worker of one, *path* is where it predicts."""
    tree = listening.tree(pid)
    if not tree:
        raise RunError(
            f"--pid {pid}: no such process; expected a service that runs;"
            " `pgrep -f 'service serve'` finds those of this project"
        )
    for port in sorted(_ports(pid, tree)):
        first = listening.first_of(pid, port) or pid
        said = (probe.health(f"http://127.0.0.1:{port}") or {}).get("pid")
        # Another service may answer there: that of another container, or one on the same port.
        if isinstance(said, int) and said in _own_pids(listening.tree(first)):
            return Running(pid, f"http://127.0.0.1:{port}{path}", first)
    return Running(pid, None, pid)


def by_url(url: str, path: str) -> Running:
    """The service that answers there; an address without a path is one of ours, with *path*."""
    parts = urlsplit(fields.url("--url", url))
    if not listening.is_here(parts.hostname or ""):
        raise RunError(
            f"--url {url}: {parts.hostname} is no address of this machine; expected a service that"
            f" runs here; profile it where it runs. Or, {IN_A_CONTAINER}"
        )
    health = probe.health(f"{parts.scheme}://{parts.netloc}")
    pid = _first(url, parts.port or 80, (health or {}).get("pid"))
    if parts.path.strip("/"):
        return Running(pid, url, pid)
    if health is None:
        return Running(pid, None, pid)
    return Running(pid, f"{parts.scheme}://{parts.netloc}{path}", pid)


def _first(url: str, port: int, said: object) -> int:
    """The process below which all are that listen on a port, or why there is none."""
    if isinstance(said, int):
        return _first_of_said(url, port, said)
    found = listening.listeners(port)
    if not found:
        raise RunError(
            f"--url {url}: no process that can be seen listens on port {port} of this machine;"
            " expected the service; is it running, as another user (use sudo)?"
            f" Or, {IN_A_CONTAINER}"
        )
    firsts = {listening.first_of(pid, port) or pid for pid in found}
    if len(firsts) > 1:
        raise RunError(
            f"--url {url}: processes {', '.join(map(str, sorted(firsts)))} listen on port {port},"
            " and none of them started the others; expected one service; choose with --pid"
        )
    return firsts.pop()


def _first_of_said(url: str, port: int, said: int) -> int:
    """The same for a service that says which process answered."""
    if first := listening.first_of(said, port):
        return first
    if (process := listening.process(said)) and _hidden(process):
        raise RunError(NOT_ALLOWED.format(pid=said))
    raise RunError(
        f"--url {url}: the service there says that it is process {said}, which does not listen"
        f" on port {port} of this machine; expected one of its processes; {IN_A_CONTAINER}"
    )


def _hidden(process: psutil.Process) -> bool:
    """Whether it may not be seen where a process listens: then it cannot be profiled either."""
    try:
        listening.ports(process)
    except psutil.AccessDenied:
        return True
    except psutil.Error:  # it has just ended
        return False
    return False


def _ports(pid: int, tree: Iterable[psutil.Process]) -> set[int]:
    """What the processes of a tree listen on."""
    found: set[int] = set()
    for process in tree:
        try:
            found |= listening.ports(process)
        except psutil.AccessDenied as error:
            raise RunError(NOT_ALLOWED.format(pid=pid)) from error
        except psutil.Error:  # one of them has just ended
            continue
    return found


def _own_pids(tree: Iterable[psutil.Process]) -> set[int]:
    """What the processes of a tree call themselves, in the container that they may run in."""
    found = set()
    for process in tree:
        with suppress(OSError):
            lines = Path(f"/proc/{process.pid}/status").read_text(errors="replace").splitlines()
            numbers = next((line for line in lines if line.startswith("NSpid:")), "")
            # Kernels without such namespaces do not have the line.
            found.add(int((numbers.split() or [str(process.pid)])[-1]))
    return found
