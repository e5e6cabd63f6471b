"""
What becomes of requests when a service is told to stop: those in flight, and those that still come.

`in_flight` proves that each request has begun before SIGTERM is sent: the service has asked for its
body (100 Continue). `sending` leaves clients at it, who know nothing of the stop.
"""

import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.processes import RunError
from benchmarks.variants import Target

PATIENCE_S = 60.0
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(slots=True)
class Stopped:
    """Of one stop: requests in flight at SIGTERM, those without an answer, ms until its end."""

    in_flight: int
    lost: int
    ms: float


@dataclass(slots=True)
class Sent:
    """Of clients that went on: requests with an answer, and those without one."""

    answered: int = 0
    lost: int = 0  # on a connection that had been answered before
    unserved: int = 0  # on a new one
    failed: int = 0  # with an answer that is no 200


def in_flight(target: Target, picture: Path, requests: int) -> Stopped:
    """Stop a service while so many requests are being answered."""
    with ExitStack() as stack:
        clients = [stack.enter_context(begun(target.url, picture)) for _ in range(requests)]
        for client in clients:
            client.sendall(picture.read_bytes())
        done, _, _ = select.select(clients, [], [], 0)
        waiting = [client for client in clients if client not in done]
        ended = stop(target)
        lost = sum(status(client) != 200 for client in waiting)
        return Stopped(len(waiting), lost, ended())


def begun(url: str, picture: Path) -> socket.socket:
    """A connection on whose request the service waits for the body."""
    address = urlsplit(url)
    client = socket.create_connection(("127.0.0.1", address.port or 80), PATIENCE_S)
    lines = [
        f"POST {address.path}?{address.query} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: image/jpeg",
        f"Content-Length: {picture.stat().st_size}",
        "Expect: 100-continue",
    ]
    client.sendall("\r\n".join([*lines, "", ""]).encode())
    said = client.recv(len(CONTINUE), socket.MSG_WAITALL)
    if said != CONTINUE:
        client.close()
        raise RunError(f"{url}: found {said!r}; expected 100 Continue for a request that waits")
    return client


def status(client: socket.socket) -> int:
    """Of its answer; 0 for a connection that ends without one."""
    try:
        line = client.makefile("rb").readline()
        return int(line.split()[1]) if line.endswith(b"\n") else 0
    except OSError:
        return 0


def stop(target: Target) -> Callable[[], float]:
    """Send SIGTERM; what it gives waits for the end, and gives the ms until then."""
    process, began = psutil.Process(target.pids[0]), time.perf_counter()
    target.ask_to_stop()

    def ended() -> float:
        process.wait(PATIENCE_S)
        return (time.perf_counter() - began) * 1e3

    return ended


def sending(target: Target, picture: Path, clients: int, before_s: float) -> Sent:
    """Stop a service while clients send one request after the other, until it takes none."""
    found = [Sent() for _ in range(clients)]
    data = picture.read_bytes()
    threads = [threading.Thread(target=send, args=(target.url, data, each)) for each in found]
    for thread in threads:
        thread.start()
    time.sleep(before_s)
    stop(target)()
    for thread in threads:
        thread.join()
    return total(found)


def send(url: str, data: bytes, found: Sent) -> None:
    """Send until no connection is taken; a request is lost if it was sent and not answered."""
    address = urlsplit(url)
    connection = HTTPConnection("127.0.0.1", address.port, timeout=PATIENCE_S)
    while True:
        kept = connection.sock is not None
        try:
            if not kept:
                connection.connect()
        except OSError:
            return
        try:
            head = {"Content-Type": "image/jpeg"}
            connection.request("POST", f"{address.path}?{address.query}", data, head)
            answer = connection.getresponse()
            answer.read()
            found.answered += answer.status == 200
            found.failed += answer.status != 200
        except (OSError, HTTPException):
            found.lost += kept
            found.unserved += not kept
            connection.close()


def total(found: Sequence[Sent]) -> Sent:
    """Of all clients."""
    return Sent(
        sum(each.answered for each in found),
        sum(each.lost for each in found),
        sum(each.unserved for each in found),
        sum(each.failed for each in found),
    )
