"""
Asks an echo on a bare event loop: so many connections, a message at a time on each.

One thread on epoll, since threads of Python would wait for one another. Wall time has its own part
in it, so the server's CPU is the number to trust.
"""

import select
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack

from benchmarks.components.counted import Counted
from benchmarks.processes import RunError

MESSAGE = bytes(1024)
WARMUP_S = 0.2
PATIENCE_S = 10.0


def echoed(server: Counted, connections: int, seconds: float) -> tuple[float, float]:
    """CPU milliseconds of the server and wall milliseconds a message, in so many seconds."""
    with ExitStack() as stack:
        ready = stack.enter_context(select.epoll())
        clients = {}
        for _ in range(connections):
            client = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
            stack.enter_context(client).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ready.register(client, select.EPOLLIN)
            clients[client.fileno()] = client
        turns(clients, ready, WARMUP_S)
        before = server.cpu_ms()
        began = time.perf_counter()
        messages = turns(clients, ready, seconds)
        wall_ms = (time.perf_counter() - began) * 1e3
        return (server.cpu_ms() - before) / messages, wall_ms / messages


def turns(clients: Mapping[int, socket.socket], ready: select.epoll, seconds: float) -> int:
    """Each sends a message, and the next when all of it is back; how many came back."""
    end = time.perf_counter() + seconds
    missing = dict.fromkeys(clients, len(MESSAGE))
    for client in clients.values():
        client.sendall(MESSAGE)
    messages = 0
    while missing:
        for number in arrived(ready):
            said = clients[number].recv(len(MESSAGE))
            if not said:
                raise RunError("an echo ended its connection; expected each message back")
            missing[number] -= len(said)
            if not missing[number]:
                messages += 1
                if time.perf_counter() < end:
                    missing[number] = len(MESSAGE)
                    clients[number].sendall(MESSAGE)
                else:
                    del missing[number]
    return messages


def arrived(ready: select.epoll) -> list[int]:
    """The connections on which something came."""
    found = [number for number, _ in ready.poll(PATIENCE_S)]
    if not found:
        raise RunError(f"no echo in {PATIENCE_S:g} s; expected each message back")
    return found
