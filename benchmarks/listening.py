"""
Who listens on a port of this machine, and which processes are one service.

A service with workers is its supervisor and all of them. Supervisor and workers hold the same
listening socket, so the highest process that listens on a port is the first of its service.
"""

import ipaddress
import socket
from contextlib import suppress

import psutil


def process(pid: int) -> psutil.Process | None:
    """A process of this machine; None where there is none."""
    try:
        return psutil.Process(pid)
    except (psutil.Error, ValueError, OverflowError):
        return None


def tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants, as they are now; none where it has ended."""
    first = process(pid)
    if first is None:
        return []
    with suppress(psutil.Error):
        return [first, *first.children(recursive=True)]
    return []


def ports(of: psutil.Process) -> set[int]:
    """Where a process listens; a psutil.Error where it has ended or its sockets are hidden."""
    found = of.net_connections(kind="tcp")
    return {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN}


def listens(candidate: psutil.Process, port: int) -> bool:
    """Whether a process listens on a port, as far as that can be seen."""
    with suppress(psutil.Error):
        return port in ports(candidate)
    return False


def listeners(port: int) -> set[int]:
    """
    Who listens on a port, on any address of this machine.

    Without the rights to see it, a process of somebody else is not found; of processes that share
    a socket the kernel's table names only one.
    """
    with suppress(psutil.Error):
        found = psutil.net_connections(kind="tcp")
        status = psutil.CONN_LISTEN
        there = [each for each in found if each.status == status and each.laddr.port == port]
        return {int(each.pid) for each in there if each.pid}
    return set()


def first_of(pid: object, port: int) -> int | None:
    """
    The first process of the service that a worker belongs to; None if that is not on this machine.

    A pid that does not listen on the port is another machine's or container's, and may be
    anybody's here.
    """
    found = process(pid) if isinstance(pid, int) else None
    if found is None or not listens(found, port):
        return None
    parents: list[psutil.Process] = []
    with suppress(psutil.Error):
        parents = found.parents()
    highest = next((each for each in reversed(parents) if listens(each, port)), found)
    return int(highest.pid)


def at_address(address: str) -> int | None:
    """The process that listens at `host:port`, if that is here and may be looked at."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or not is_here(host.strip("[]")):
        return None
    return min(listeners(int(port)), default=None)


def is_here(host: str) -> bool:
    """Whether a name or an address is this machine's: its loopback, or one of its interfaces."""
    try:
        found = {each[4][0] for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return False
    mine = {each.address for card in psutil.net_if_addrs().values() for each in card}
    return any(_local(str(each)) or each in mine for each in found)


def _local(address: str) -> bool:
    with suppress(ValueError):
        found = ipaddress.ip_address(address)
        return found.is_loopback or found.is_unspecified
    return False
