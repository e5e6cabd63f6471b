"""
What the service refuses, and how: the codes, and the guard around the application.

The guard is ASGI and stands in every variant, because a limit that depends on a variant
would make the variants answer differently.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from service.clock import CLOCK, Clock, about

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# The status of every refusal; what each means is in the README, and a test compares the two.
STATUS = {
    "image_broken": 400,
    "image_truncated": 400,
    "image_empty": 400,
    "form_broken": 400,
    "body_incomplete": 400,
    "not_found": 404,
    "model_unknown": 404,
    "method_not_allowed": 405,
    "receive_timeout": 408,
    "body_too_large": 413,
    "image_too_large": 413,
    "image_type_unknown": 415,
    "body_type_unknown": 415,
    "image_missing": 422,
    "image_not_alone": 422,
    "too_many_images": 422,
    "track_unknown": 422,
    "request_not_valid": 422,
    "too_many_requests": 429,
    "internal": 500,
    "triton_failed": 502,
    "not_ready": 503,
    "triton_unavailable": 503,
    "triton_overloaded": 503,
    "model_not_loaded": 503,
    "triton_timeout": 504,
}
# Refusals that pass: the client is told when to come back.
PASSING = (
    "too_many_requests",
    "not_ready",
    "triton_unavailable",
    "triton_overloaded",
    "model_not_loaded",
    "triton_timeout",
)

RETRY_AFTER_S = 1
PREDICTIONS = ("/predict", "/pytorch/predict")
BODY = "service.body"  # its place in the ASGI scope

log = logging.getLogger("service")


class Refusal(Exception):
    """An answer that is not what was asked for: a code of the table and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = STATUS[code]

    def fresh(self) -> "Refusal":
        """The same without a traceback: its frames hold the upload, and whoever holds it them."""
        return Refusal(self.code, self.message)

    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message}}

    def headers(self) -> dict[str, str]:
        """Where the rest of the body is not wanted, the connection ends with the answer."""
        headers = {}
        if self.code in ("body_too_large", "receive_timeout"):
            headers["connection"] = "close"
        if self.code in PASSING:
            headers["retry-after"] = str(RETRY_AFTER_S)
        return headers


def internal() -> Refusal:
    return Refusal("internal", "the service failed on this request; see its log")


async def refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    scope[CLOCK].code = refusal.code
    body = json.dumps(refusal.body()).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    raw = [(k.encode(), v.encode()) for k, v in (headers | refusal.headers()).items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


class Count(Protocol):
    """Who is told how many predictions are in flight."""

    def entered(self, in_flight: int) -> None: ...

    def left(self, in_flight: int) -> None: ...


class Guard:
    """
    Limits on the bytes, the time and the number of requests, before the application.

    A body is refused by its Content-Length before a byte of it is read, or counted as it
    comes. Unfinished *headers* never get here; see the README on what a proxy has to do.
    """

    def __init__(
        self, app: App, max_bytes: int, timeout_s: float, admission: int, count: Count | None
    ) -> None:
        self.app = app
        self.count = count
        self.max_bytes = max_bytes
        self.timeout_s = timeout_s
        self.admission = admission
        self.admitted = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif declared_bytes(scope) > self.max_bytes:
            await refuse(scope, send, self.too_large())
        elif not scope["path"].startswith(PREDICTIONS):
            await self.answer(scope, receive, send)
        elif self.admitted >= self.admission:
            await refuse(scope, send, self.too_many())
        else:
            self.admitted += 1
            if self.count is not None:
                self.count.entered(self.admitted)
            try:
                await self.answer(scope, receive, send)
            finally:
                self.admitted -= 1
                if self.count is not None:
                    self.count.left(self.admitted)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, unless the body or an error of ours decides otherwise."""
        body = scope[BODY] = Body(self, receive, scope[CLOCK])
        started = False

        async def passed_on(message: Message) -> None:
            nonlocal started
            # Frameworks turn any error of `receive` into an answer of their own, often a 400.
            if body.refusal is None or started:
                started = True
                await send(message)

        refusal: Refusal | None = None
        try:
            await self.app(scope, body.receive, passed_on)
        except Refusal as error:
            refusal = error.fresh()
        except asyncio.CancelledError:
            if started:
                raise
            # The server's stop cancels what it can wait for no longer, and then answers in its
            # own words, with a 500.
            refusal = Refusal("not_ready", "the service is stopping; try again elsewhere")
        except Exception:
            refusal = body.fault()
            if not body.disconnected:
                where = scope["method"], scope["path"][:200]
                log.exception("%s %r failed", *where, extra=about(scope[CLOCK]))
        del scope[BODY]  # it knows the server's side of the request, which knows the scope
        refusal = body.refusal or refusal
        if refusal is not None and not started:
            await refuse(scope, send, refusal)

    def too_large(self) -> Refusal:
        return Refusal(
            "body_too_large", f"the body is larger than the {self.max_bytes} bytes allowed"
        )

    def too_many(self) -> Refusal:
        return Refusal(
            "too_many_requests",
            f"{self.admission} requests are being answered; try again in {RETRY_AFTER_S} s",
        )


class Body:
    """The body of one request as it comes in: its bytes counted, its sender timed."""

    __slots__ = ("clock", "deadline", "disconnected", "guard", "more", "refusal", "source")

    def __init__(self, guard: Guard, source: Receive, clock: Clock) -> None:
        self.guard = guard
        self.source = source
        self.clock = clock  # it keeps the number of bytes
        self.deadline = asyncio.get_running_loop().time() + guard.timeout_s
        self.more = True
        self.refusal: Refusal | None = None
        self.disconnected = False

    async def receive(self) -> Message:
        if not self.more:  # the framework listens for a disconnect: no deadline for that
            return await self.source()
        message = await self.next_message()
        self.counted(message)
        return message

    def counted(self, message: Message) -> bytes:
        """The bytes of one message, or the end of the request if they are too many."""
        self.disconnected = message["type"] == "http.disconnect"
        self.more = message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        self.clock.received_bytes += len(piece)
        if self.clock.received_bytes > self.guard.max_bytes:
            self.refusal = self.guard.too_large()
            raise self.refusal.fresh()
        return piece

    def fault(self) -> Refusal:
        """What an error comes to that is no refusal."""
        if self.disconnected:
            # Nobody will read this; the middleware around us wants an answer all the same.
            return Refusal("body_incomplete", "the client left before the end of the body")
        return internal()

    def late(self) -> Refusal:
        self.refusal = Refusal(
            "receive_timeout", f"the body was not complete after {self.guard.timeout_s:g} s"
        )
        return self.refusal

    async def whole(self) -> bytes:
        """The body in one piece, under one timer; receiving it piece by piece needs one each."""
        pieces = []
        task = asyncio.current_task()
        assert task is not None
        timer = asyncio.get_running_loop().call_at(self.deadline, self.expire, task)
        try:
            while self.more:
                pieces.append(self.counted(await self.source()))
        except asyncio.CancelledError:
            if self.refusal is None or task.uncancel() > 0:
                raise  # somebody else has cancelled us
            raise self.refusal.fresh() from None
        finally:
            timer.cancel()
        return b"".join(pieces)

    def expire(self, task: asyncio.Task[Any]) -> None:
        """What `asyncio.timeout_at` does in five calls, each of them on the hot path."""
        self.late()
        task.cancel()

    async def next_message(self) -> Message:
        try:
            async with asyncio.timeout_at(self.deadline):
                return await self.source()
        except TimeoutError:
            raise self.late().fresh() from None


def declared_bytes(scope: Scope) -> int:
    """The Content-Length; both parsers have already refused one that is no number."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0
