"""
Which processes of this machine are a service's, from what it says of itself and where it listens.
"""

import socket
from contextlib import suppress

import psutil


def first_of(pid: object, port: int) -> int | None:
    """
    The first process of the service that a worker belongs to; None if that is not on this machine.

    Supervisor and workers hold the same listening socket. A pid that does not is another machine's
    or container's, and may be anybody's here.
    """
    found = process(pid) if isinstance(pid, int) else None
    if found is None or not listens(found, port):
        return None
    while (parent := parent_of(found)) and listens(parent, port):
        found = parent
    return int(found.pid)


def listening(address: str) -> int | None:
    """The process that listens at host:port, if that is here and may be looked at."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or not is_here(host.strip("[]")):
        return None
    with suppress(psutil.Error):
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr.port == int(port) and each.pid:
                return int(each.pid)
    return None


def tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants, as they are now."""
    first = process(pid)
    if first is None:
        return []
    with suppress(psutil.Error):
        return [first, *first.children(recursive=True)]
    return []


def process(pid: int) -> psutil.Process | None:
    """A process of this machine."""
    try:
        return psutil.Process(pid)
    except (psutil.Error, ValueError, OverflowError):
        return None


def parent_of(child: psutil.Process) -> psutil.Process | None:
    """Its parent, if that can be looked at."""
    with suppress(psutil.Error):
        return child.parent()
    return None


def listens(candidate: psutil.Process, port: int) -> bool:
    """Whether a process listens on a port."""
    with suppress(psutil.Error):
        found = candidate.net_connections(kind="tcp")
        return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in found)
    return False


def is_here(host: str) -> bool:
    """Whether a name is one of this machine's loopback."""
    try:
        return socket.gethostbyname(host).startswith("127.")
    except (OSError, UnicodeError):
        return host == "::1"
