"""
Services with a fault that no setting gives them, for the doctor to find.

    SERVICE_PORT=0 python -m tests.spoiled leak

The real service, of which one part is put out of order before it starts.
"""

import os
import resource
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from service import server, settings
from service.limits import Guard
from service.tracks import TrackA, TrackNull
from service.triton import Pool

LEAK_BYTES, LEAK_EVERY_S = 2_000_000, 0.05
FEW_FILES = 256


def put(owner: Any, **parts: Any) -> None:
    """Replace parts of a module or a class."""
    for name, part in parts.items():
        setattr(owner, name, part)


def leak() -> None:
    """Requests leave something behind, as much of it in a second however many they are."""
    kept: dict[int, bytes] = {}
    whole = Guard.answer

    async def answer(self: Guard, *scope: Any) -> None:
        kept.setdefault(int(monotonic() / LEAK_EVERY_S), b"x" * LEAK_BYTES)
        await whole(self, *scope)

    put(Guard, answer=answer)


def fail() -> None:
    """Each prediction ends in an error of the service."""

    async def answer(*_: Any) -> Any:
        raise RuntimeError("out of order")

    put(TrackA, answer=answer)
    put(TrackNull, answer=answer)


def other_loop() -> None:
    """It runs with another loop and another parser than it was set to."""
    configured(lambda config: vars(config).update(loop="asyncio", http="h11"))


def few_files() -> None:
    """It may open few files, as after `ulimit -Sn 256`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, hard))


def never_recycle() -> None:
    """Its workers do not count their requests."""
    configured(lambda config: vars(config).update(limit_max_requests=None))


def no_pool() -> None:
    """Its clients of Triton are thrown away before they are used again."""
    whole = Pool.client

    @asynccontextmanager
    async def client(self: Pool, name: str) -> AsyncIterator[Any]:
        self.clients.clear()
        async with whole(self, name) as found:
            yield found

    put(Pool, client=client)


def configured(change: Callable[[Any], None]) -> None:
    """Change what uvicorn is told."""
    whole = server.configuration

    def configuration(wanted: settings.Settings) -> Any:
        config = whole(wanted)
        change(config)
        return config

    put(server, configuration=configuration)


FAULTS = {f.__name__: f for f in (leak, fail, other_loop, few_files, never_recycle, no_pool)}

if __name__ == "__main__":
    for name in sys.argv[1:]:
        FAULTS[name]()
    server.serve(settings.read(os.environ))
