"""
An ASGI application that does nothing, in uvicorn: what is left is event loop, parser and server.

    python -m benchmarks.components.bare_server uvloop httptools

Run by eventloop.py, through counted.py.
"""

import json
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal, cast

import uvicorn

# What the event loop still does after the client has its answer belongs to the request.
SETTLE_S = 0.002
ANSWER = b"hello"
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(ANSWER))]

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


def control(server: uvicorn.Server) -> None:
    """Answer stdin; this thread's own CPU time is not the server's."""
    for _ in sys.stdin:
        time.sleep(SETTLE_S)
        cpu_ns = time.process_time_ns() - time.thread_time_ns()
        print(json.dumps({"cpu_ns": cpu_ns}), flush=True)
    server.should_exit = True


def main(loop: str, http: str) -> None:
    """Serve until stdin ends."""
    config = uvicorn.Config(
        app,
        loop=cast(Literal["asyncio", "uvloop"], loop),
        http=cast(Literal["h11", "httptools"], http),
        lifespan="off",
        access_log=False,
        log_level="error",
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        # As the service's own socket: without it asyncio's small answers wait for each other.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=control, args=(server,), daemon=True).start()
        server.run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
