"""
Users that send images and are timed at the socket; locustfile.py says where each class sends.
"""

import os
from collections.abc import Iterator
from time import monotonic_ns
from typing import Any

import gevent
from gevent import GreenletExit
from locust import FastHttpUser, task
from locust.contrib.fasthttp import FastResponse, LocustBadStatusCode, LocustUserAgent
from locust.exception import StopUser

from loadtests import payloads, traces
from loadtests.locust_bench.connection import Connections, Exchange
from loadtests.locust_bench.options import Options
from loadtests.locust_bench.run import RUN

FIRST_PAUSE_S, LAST_PAUSE_S = 0.01, 1.0


class Answer(FastResponse):
    """An answer that Locust counts as a failure unless its status says success; so 302 is one."""

    def raise_for_status(self) -> None:
        super().raise_for_status()  # type: ignore[no-untyped-call]
        if not 200 <= self.status_code < 300:
            raise LocustBadStatusCode(self.url, code=self.status_code)


class Agent(LocustUserAgent):
    """
    Follows no redirect and leaves the status to Answer.

    Locust's own looks at it before the body is read and closes the connection of every refusal,
    so a service that answers 503 would be sent fewer requests than it was offered.
    """

    response_type = Answer
    valid_response_codes = frozenset(range(100, 1000))
    redirect_response_codes = frozenset()


class ImageUser(FastHttpUser):
    """Sends images one after the other, each when the answer to the last one is complete."""

    abstract = True
    fixed_path = ""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        options, part = RUN.options, RUN.part
        self.number, name = RUN.number_user()
        self.exchange = Exchange(self.number, options.timeout_s, part)
        self.connections = Connections(self.exchange)
        self.client.client = Agent(client_pool=self.connections, max_redirects=0, max_retries=0)
        self.images: Iterator[int] = payloads.order(options.seed, name, len(RUN.payloads))
        self.name = name
        self.due_ns = 0
        self.refused_s = 0.0

    @classmethod
    def paths(cls, options: Options) -> list[str]:
        """Where images of this class may go."""
        return [cls.fixed_path or options.path]

    def path(self) -> str:
        """Where the next image goes."""
        return self.fixed_path or RUN.options.path

    def on_start(self) -> None:
        """A user is free from here on."""
        self.due_ns = monotonic_ns()

    def on_stop(self) -> None:
        """Leave no connection open."""
        self.connections.close()

    def wait_time(self) -> float:
        """None, unless nobody listens; then the user is free."""
        if self.refused_s:
            gevent.sleep(self.refused_s)
            self.due_ns = monotonic_ns()
        return 0.0

    @task
    def predict(self) -> None:
        """Send the next image, unless the time is over."""
        if RUN.is_over(self.due_ns):
            raise StopUser
        image = next(self.images)
        self._send(RUN.payloads[image], image)

    def _send(self, payload: payloads.Payload, image: int) -> None:
        trace = os.urandom(24).hex()  # not from the seed: ids of two runs must differ
        sampled = traces.is_sampled(trace, RUN.least_sampled)
        exchange = self.exchange
        exchange.begin(self.due_ns, image, trace[:32])
        RUN.part.issued += 1
        path = self.path()
        headers = {
            "traceparent": f"00-{trace[:32]}-{trace[32:]}-{'01' if sampled else '00'}",
            "User-Agent": "locust",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Content-Type": payload.content_type,
        }
        if sampled and RUN.baggage:
            headers["baggage"] = RUN.baggage
        try:
            self.client.post(
                path,
                data=payload.body,  # type: ignore[arg-type]
                headers=headers,
                context={"exchange": exchange},
            )
        except (GreenletExit, Exception) as error:
            if not exchange.done_ns:  # no event was fired for it
                RUN.part.failed(exchange, error)
            if isinstance(error, GreenletExit):
                raise
        finally:
            exchange.over()
            self.connections.settle()
        self._free()

    def _free(self) -> None:
        """From the last byte on the user is free; what it does itself counts as send lag."""
        exchange = self.exchange
        self.due_ns = exchange.done_ns
        if exchange.sent_ns:
            self.refused_s = 0.0
        else:  # could not connect
            self.refused_s = min(2 * self.refused_s, LAST_PAUSE_S) or FIRST_PAUSE_S
