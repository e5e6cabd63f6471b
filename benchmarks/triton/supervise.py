"""
`windtunnel triton`: a server that is kept up, and started again when it or one of its stubs dies.

A dead stub cannot be replaced while its server runs, so the whole server is started anew, which
takes seconds; clients are refused meanwhile and come back by themselves. In a campaign nothing is
restarted: there a server that dies ends the run.
"""

import time
from collections.abc import Callable
from typing import NoReturn

from benchmarks.processes import RunError
from benchmarks.signals import stopped_by_signals
from benchmarks.triton.server import Server

# More ends than this within so many seconds have a cause that starting again does not mend.
MOST_ENDS, WITHIN_S = 5, 120.0
WATCH_S = 0.25

Say = Callable[[str], None]


def supervise(server: Server, say: Say) -> None:
    """Keep the server up until Ctrl-C or SIGTERM, which raise KeyboardInterrupt."""
    ends: list[float] = []
    was_up = False
    with stopped_by_signals():
        try:
            while True:
                try:
                    _start(server, say)
                    was_up = True
                    _wait_for_end(server)
                except RunError as error:
                    if not was_up:
                        raise
                    reason = str(error).partition("; its last lines")[0]
                ends = [at for at in ends if at > time.monotonic() - WITHIN_S] + [time.monotonic()]
                if len(ends) >= MOST_ENDS:
                    raise RunError(f"Triton ended {len(ends)} times in {WITHIN_S:g} s; {reason}")
                say(f"{reason}\nstarting it again")
                server.stop(0)
        finally:
            server.stop()


def _start(server: Server, say: Say) -> None:
    began = time.monotonic()
    server.start()
    server.wait_ready()
    said = server.facts()
    say(
        f"triton: ready after {time.monotonic() - began:.1f} s, one right answer of each model:"
        f" gRPC {server.grpc}, HTTP {server.http}, metrics {server.metrics};"
        f" Triton {said['version']}, engine {said['engine']}"
    )


def _wait_for_end(server: Server) -> NoReturn:
    """Wait until the server or one of its stubs ends, which raises a RunError that says which."""
    while True:
        server.wait_for_end(WATCH_S)
        server.check()
