"""
Which processes make up a service that is already running: those of a pid, or those behind a URL.

A service with workers is its supervisor and all of them, and any worker answers `/health`: so what
is profiled is the topmost process that listens on the port. It has to be one of this machine.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from benchmarks import probe
from benchmarks.processes import RunError
from benchmarks.profiles.sampler import NOT_ALLOWED

IN_A_CONTAINER = (
    "if it runs in a container, give the pid that this machine knows it by:"
    " windtunnel profile --pid $(docker inspect --format '{{.State.Pid}}' CONTAINER)"
)


@dataclass(frozen=True, slots=True)
class Running:
    """A service: its topmost process, and where images can be posted; None: nobody knows."""

    pid: int
    url: str | None


def by_pid(pid: int, path: str) -> Running:
    """A process; if it is a service of ours, *path* is where it predicts."""
    try:
        process = psutil.Process(pid)
        tree = [process, *process.children(recursive=True)]
    except psutil.Error as error:
        raise RunError(
            f"--pid {pid}: no such process; expected a service that runs;"
            " `pgrep -f 'service serve'` finds those of this project"
        ) from error
    try:
        ports = _ports(tree)
    except psutil.AccessDenied as error:
        raise RunError(NOT_ALLOWED.format(pid=pid)) from error
    except psutil.Error:  # one of them has just ended
        ports = []
    for port in ports:
        if probe.health(f"http://127.0.0.1:{port}"):
            return Running(pid, f"http://127.0.0.1:{port}{path}")
    return Running(pid, None)


def by_url(url: str, path: str) -> Running:
    """The service that answers there; an address without a path is one of ours, with *path*."""
    parts = urlsplit(url)
    port = parts.port or 80
    health = probe.health(f"{parts.scheme}://{parts.netloc}")
    said = (health or {}).get("pid")
    pid = _topmost(url, port, said if isinstance(said, int) else None)
    if parts.path.strip("/"):
        return Running(pid, url)
    if health is None:
        return Running(pid, None)
    return Running(pid, f"{parts.scheme}://{parts.netloc}{path}")


def _topmost(url: str, port: int, said: int | None) -> int:
    """The process below which all are that listen on a port, or why there is none."""
    found = [said] if said is not None else sorted(_listeners(port))
    if said is not None and not _listens(said, port):
        raise RunError(
            f"--url {url}: the service there says that it is process {said}, which does not listen"
            f" on port {port} of this machine; expected one of its processes; {IN_A_CONTAINER}"
        )
    if not found:
        raise RunError(
            f"--url {url}: no process that can be seen listens on port {port} of this machine;"
            " expected the service; is it running, as another user (use sudo)?"
            f" Or, {IN_A_CONTAINER}"
        )
    tops = {_top(pid, port) for pid in found}
    if len(tops) > 1:
        raise RunError(
            f"--url {url}: processes {', '.join(map(str, sorted(tops)))} listen on port {port},"
            " and none of them started the others; expected one service; choose with --pid"
        )
    return tops.pop()


def _listeners(port: int) -> set[int]:
    """
    Who listens there; without the rights to see it, a process of somebody else is not found.

    Of processes that share a socket the kernel's table names only one.
    """
    found = psutil.net_connections(kind="tcp")
    status = psutil.CONN_LISTEN
    return {c.pid for c in found if c.status == status and c.laddr.port == port and c.pid}


def _top(pid: int, port: int) -> int:
    """The highest ancestor that listens there as well: workers have their supervisor's socket."""
    try:
        parents = [parent.pid for parent in psutil.Process(pid).parents()]
    except psutil.Error:
        return pid
    return next((parent for parent in reversed(parents) if _listens(parent, port, pid)), pid)


def _listens(pid: int, port: int, below: int | None = None) -> bool:
    """Whether a process listens there; one whose sockets may not be seen cannot be profiled."""
    try:
        return port in _ports([psutil.Process(pid)])
    except psutil.AccessDenied as error:
        if below is not None:  # an ancestor of somebody else's is none of the service
            return False
        raise RunError(NOT_ALLOWED.format(pid=pid)) from error
    except psutil.Error:
        return False


def _ports(tree: Iterable[psutil.Process]) -> list[int]:
    """What they listen on."""
    found = [c for process in tree for c in process.net_connections(kind="tcp")]
    return sorted({c.laddr.port for c in found if c.status == psutil.CONN_LISTEN})
