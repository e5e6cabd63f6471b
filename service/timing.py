"""
The outermost layer: each request gets its clock, and its answer the times that came out.

In two forms, because their difference is one of the things that are measured: plain ASGI, and
a function for `@app.middleware("http")`, as most services have it.
"""

import logging
import os
import re
from collections.abc import Awaitable, Callable
from itertools import count
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from service.clock import CLOCK, Clock, about
from service.limits import App, Message, Receive, Scope, Send
from service.metrics import Metrics
from service.telemetry import PROCESS_TIME, REQUEST_ID, SERVER_TIMING, STAGES, TRACK

if TYPE_CHECKING:
    from service.tracing import Tracing

# As W3C has it: neither id may be all zeros.
TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
TRACEPARENT_BYTES = 55
GIVEN_ID = re.compile(rb"[!-~]{1,128}")

# As ASGI has them.
RAW_PROCESS_TIME, RAW_SERVER_TIMING, RAW_REQUEST_ID, RAW_TRACK = (
    name.lower().encode() for name in (PROCESS_TIME, SERVER_TIMING, REQUEST_ID, TRACK)
)

slow_log = logging.getLogger("service.slow")


class Observer:
    """What is done at the beginning and at the end of each request."""

    def __init__(self, slow_ms: float, metrics: Metrics | None, tracing: "Tracing | None") -> None:
        self.slow_ns = slow_ms * 1e6
        self.metrics = metrics
        self.tracing = tracing
        self.prefix = os.urandom(4).hex().encode()
        self.numbers = count(1)

    def begin(self, scope: Scope) -> Clock:
        """A clock that knows whose request it is; one that records spans if it is sampled."""
        parent = request_id = baggage = b""
        for name, value in scope["headers"]:
            if name == b"traceparent":
                # A second one makes both worthless.
                parent = b"" if parent else traceparent(value)
            elif name == RAW_REQUEST_ID:
                request_id = value if GIVEN_ID.fullmatch(value) else b""
            elif name == b"baggage":
                baggage = baggage + b"," + value if baggage else value
        if self.tracing is None:
            clock = Clock()
            if asks_for_spans(parent):
                clock.outgoing = parent.decode("ascii")
        else:
            clock = self.tracing.clock(parent, asks_for_spans(parent), baggage)
        if parent:
            clock.trace_id = parent[3:35].decode("ascii")
        clock.request_id = request_id or b"%s-%x" % (self.prefix, next(self.numbers))
        scope[CLOCK] = clock
        return clock

    def end(self, scope: Scope, status: int, total_ns: int, sent_bytes: int) -> None:
        clock: Clock = scope[CLOCK]
        if self.metrics is not None:
            self.metrics.ended(clock, scope["path"], status, total_ns, sent_bytes)
        if clock.sampled:
            assert self.tracing is not None
            self.tracing.ended(clock, scope, status, total_ns, sent_bytes)
        if total_ns > self.slow_ns:
            report_slow(scope, status, total_ns, clock)


def traceparent(value: bytes) -> bytes:
    """The part of a header that says whose request it is; a later version may have more to say."""
    given, more = value[:TRACEPARENT_BYTES], value[TRACEPARENT_BYTES:]
    if not TRACEPARENT.fullmatch(given) or (more and (given[:2] == b"00" or more[:1] != b"-")):
        return b""
    return given


def asks_for_spans(traceparent: bytes) -> bool:
    """Whether the caller records this trace, and wants us to."""
    return bool(traceparent) and bool(int(traceparent[54:55], 16) & 1)


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


def report_slow(scope: Scope, status: int, total_ns: int, clock: Clock) -> None:
    """One line, with the path quoted: a client chose it, and may have put a line end into it."""
    method, path = scope["method"], scope["path"][:200]
    spent = {name: clock.spent_ns[name] for name in STAGES if name in clock.spent_ns}
    stages = ", ".join(f"{name} {spent[name] / 1e6:.1f}" for name in spent)
    slow_log.warning(
        "slow request: %s %r %d took %.1f ms (%s)",
        method,
        path,
        status,
        total_ns / 1e6,
        stages or "no stage",
        extra=about(clock)
        | {
            "method": method,
            "path": path,
            "status": status,
            "total_ms": round(total_ns / 1e6, 3),
            "stages_ms": {name: round(spent[name] / 1e6, 3) for name in spent},
        },
    )


def headers(clock: Clock, total_ns: int) -> list[tuple[str, str]]:
    stamped = [
        (PROCESS_TIME, process_time(total_ns)),
        (SERVER_TIMING, server_timing(clock, total_ns)),
        (REQUEST_ID, clock.request_id.decode("ascii")),
    ]
    return [*stamped, (TRACK, clock.track)] if clock.track else stamped


class Timing:
    """The clock and its headers as plain ASGI: a wrapped `send`, and nothing else."""

    def __init__(self, app: App, observer: Observer) -> None:
        self.app = app
        self.observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        clock = self.observer.begin(scope)
        status = sent_bytes = 0

        async def stamped(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status, total_ns = message["status"], clock.close()
                message["headers"] = [*message["headers"], *raw_headers(clock, total_ns)]
            else:
                sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, stamped)
        finally:
            self.observer.end(scope, status, perf_counter_ns() - clock.started_ns, sent_bytes)


def raw_headers(clock: Clock, total_ns: int) -> list[tuple[bytes, bytes]]:
    stamped = [
        (RAW_PROCESS_TIME, process_time(total_ns).encode()),
        (RAW_SERVER_TIMING, server_timing(clock, total_ns).encode()),
        (RAW_REQUEST_ID, clock.request_id),
    ]
    if clock.track:
        stamped.append((RAW_TRACK, clock.track.encode()))
    return stamped


def decorated(observer: Observer) -> Callable[..., Any]:
    """The same as a function for `@app.middleware("http")`."""

    async def timing(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        clock = observer.begin(request.scope)
        status = total_ns = sent_bytes = 0
        try:
            response = await call_next(request)
            total_ns, status = clock.close(), response.status_code
            for name, value in headers(clock, total_ns):
                response.headers[name] = value
            sent_bytes = int(response.headers.get("content-length", 0))
            return response
        finally:
            observer.end(request.scope, status, total_ns or clock.close(), sent_bytes)

    return timing
