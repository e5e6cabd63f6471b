"""
A server that does nothing: an ASGI application in uvicorn, or, below HTTP, an echo on a bare loop.

    python -m benchmarks.components.bare_server uvloop httptools
    python -m benchmarks.components.bare_server uvloop echo

Run by eventloop.py and behaviour.py, through counted.py. A number after the parser is uvicorn's
--limit-concurrency.
"""

import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Literal, cast

import uvicorn
import uvloop

# What the event loop still does after the client has its answer belongs to the request.
SETTLE_S = 0.002
ANSWER = b"hello"
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(ANSWER))]
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
ECHO = "echo"

Message = MutableMapping[str, Any]


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Take the body, if there is one, and say hello."""
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """All of it, at once."""
        self.transport.write(data)


def controlled(stop: Callable[[], object]) -> None:
    """Answer stdin in a thread, whose own CPU time is not the server's; stop at its end."""

    def control() -> None:
        for _ in sys.stdin:
            time.sleep(SETTLE_S)
            cpu_ns = time.process_time_ns() - time.thread_time_ns()
            print(json.dumps({"cpu_ns": cpu_ns}), flush=True)
        stop()

    threading.Thread(target=control, daemon=True).start()


async def echo(listener: socket.socket) -> None:
    """Serve echoes until stdin ends."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    controlled(lambda: loop.call_soon_threadsafe(stopped.set))
    server = await loop.create_server(Echo, sock=listener)
    await stopped.wait()
    server.close()


def serve(
    served: Callable[..., Any],
    loop: str,
    http: str,
    listener: socket.socket,
    limit: int | None = None,
) -> None:
    """Serve an application in uvicorn until stdin ends; *limit* is its --limit-concurrency."""
    config = uvicorn.Config(
        served,
        loop=cast(Literal["asyncio", "uvloop"], loop),
        http=cast(Literal["h11", "httptools"], http),
        lifespan="off",
        access_log=False,
        log_level="error",
        limit_concurrency=limit,
    )
    server = uvicorn.Server(config)
    controlled(lambda: setattr(server, "should_exit", True))
    server.run(sockets=[listener])


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A socket, whose port is told on stdout."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        # As the service's own socket: without it asyncio's small answers wait for each other.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(listener.getsockname()[1], flush=True)
        yield listener


def main(loop: str, what: str, limit: str = "") -> None:
    """Serve until stdin ends."""
    with listening() as listener:
        if what == ECHO:
            with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                runner.run(echo(listener))
        else:
            serve(app, loop, what, listener, int(limit) if limit else None)


if __name__ == "__main__":
    main(*sys.argv[1:])
