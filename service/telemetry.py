"""
What the service says about each request: stage times, headers and the slow-request line.

The names of the stages stand here and nowhere else. The load generators read the
`Server-Timing` header into their samples, so its format is a contract.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.limits import App, Message, Receive, Scope, Send

STAGES = ("queue", "receive", "decode", "preprocess", "infer", "postprocess", "serialize")

PROCESS_TIME = "X-Process-Time"
SERVER_TIMING = "Server-Timing"
TRACK = "X-Track"

CLOCK = "service.clock"  # its place in the ASGI scope

slow_log = logging.getLogger("service.slow")


class Clock:
    """
    The stage times of one request, each in the order in which it was measured.

    Only one thread works on a request at a time, so nothing here is locked, but for a
    batch: its images go through the stages side by side, each with a clock of its own.
    """

    __slots__ = (
        "queued_ns",
        "serialize_from_ns",
        "spent_ns",
        "started_ns",
        "traceparent",
        "track",
    )

    def __init__(self, traceparent: str = "") -> None:
        self.started_ns = perf_counter_ns()
        self.queued_ns = 0  # when a job was handed over to the threads
        self.serialize_from_ns = 0  # when the answer was there, but not yet as bytes
        self.track = ""  # which one answered, if any
        self.traceparent = traceparent  # the caller's, to be passed on to Triton
        self.spent_ns: dict[str, int] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, also one that fails: a refused picture has cost its decoding."""
        began = perf_counter_ns()
        try:
            yield
        finally:
            self.add(name, perf_counter_ns() - began)

    def add(self, name: str, nanoseconds: int) -> None:
        """Stages that come back, as in a batch, add up."""
        self.spent_ns[name] = self.spent_ns.get(name, 0) + nanoseconds

    def received(self) -> None:
        """The body is complete."""
        self.add("receive", perf_counter_ns() - self.started_ns)

    def queued(self) -> None:
        """A job has been handed over; what follows is waiting for a thread."""
        self.queued_ns = perf_counter_ns()

    def taken(self) -> None:
        """A thread has begun to work on the job."""
        self.add("queue", perf_counter_ns() - self.queued_ns)

    def answered(self) -> None:
        """The answer exists as values; from here to the first byte is serialization."""
        self.serialize_from_ns = perf_counter_ns()

    def close(self) -> int:
        """End the last stage and give the whole time in nanoseconds."""
        now = perf_counter_ns()
        if self.serialize_from_ns:
            self.add("serialize", now - self.serialize_from_ns)
            self.serialize_from_ns = 0
        return now - self.started_ns

    def merge(self, other: "Clock") -> None:
        for name, nanoseconds in other.spent_ns.items():
            self.add(name, nanoseconds)


def process_time(total_ns: int) -> str:
    return f"{total_ns / 1e6:.2f}ms"


def server_timing(clock: Clock, total_ns: int) -> str:
    """
    Only stages that took place: a refused request has no `infer`, rather than one of 0 ms.

    The total is more than their sum: routing, and the way back from the thread, are no stage.
    """
    spent = clock.spent_ns
    parts = [f"{name};dur={spent[name] / 1e6:.3f}" for name in STAGES if name in spent]
    return ", ".join([*parts, f"total;dur={total_ns / 1e6:.3f}"])


def report_slow(method: str, path: str, status: int, total_ns: int, clock: Clock) -> None:
    """One line, with the path quoted: a client chose it, and may have put a line end into it."""
    spent = clock.spent_ns
    stages = ", ".join(f"{name} {spent[name] / 1e6:.1f}" for name in STAGES if name in spent)
    slow_log.warning(
        "slow request: %s %r %d took %.1f ms (%s)",
        method,
        path[:200],
        status,
        total_ns / 1e6,
        stages or "no stage",
    )


def headers(clock: Clock, total_ns: int) -> dict[str, str]:
    stamped = {PROCESS_TIME: process_time(total_ns), SERVER_TIMING: server_timing(clock, total_ns)}
    return stamped | {TRACK: clock.track} if clock.track else stamped


class Timing:
    """The clock and its headers as plain ASGI: a wrapped `send`, and nothing else."""

    def __init__(self, app: App, slow_ms: float) -> None:
        self.app = app
        self.slow_ns = slow_ms * 1e6

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        clock = scope[CLOCK] = Clock()

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                total_ns = clock.close()
                message["headers"] = [
                    *message["headers"],
                    (b"x-process-time", process_time(total_ns).encode()),
                    (b"server-timing", server_timing(clock, total_ns).encode()),
                ]
                if clock.track:
                    message["headers"].append((b"x-track", clock.track.encode()))
                if total_ns > self.slow_ns:
                    report_slow(scope["method"], scope["path"], message["status"], total_ns, clock)
            await send(message)

        await self.app(scope, receive, stamped)


def decorated(slow_ms: float) -> Callable[..., Any]:
    """The same as a function for `@app.middleware("http")`, as most services have it."""

    async def timing(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        clock = request.scope[CLOCK] = Clock()
        response = await call_next(request)
        total_ns = clock.close()
        for name, value in headers(clock, total_ns).items():
            response.headers[name] = value
        if total_ns > slow_ms * 1e6:
            path = request.scope["path"]
            report_slow(request.method, path, response.status_code, total_ns, clock)
        return response

    return timing
