"""
A user's connection, watched at its socket: when a request's first byte went, when its answer came.

Locust's own times begin before there is a connection and are rounded when they are counted. And the
pool of its client loses a place for good when a request is given up while it is being sent, and
takes a socket numbered above 1023 for dead: both would change the load.
"""

import select
from time import monotonic_ns
from typing import Any

import gevent
from gevent import monkey, socket
from geventhttpclient.client import HTTPClient, HTTPClientPool
from geventhttpclient.url import URL

BLOCK_BYTES = 1 << 16
_poll = monkey.get_original("select", "poll")


class Exchange:
    """One request and its answer; each user has one and uses it again."""

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "client",
        "deadline",
        "done_ns",
        "due_ns",
        "ended",
        "first_byte_ns",
        "image",
        "last_byte_ns",
        "part",
        "sent_ns",
        "timeout_s",
        "trace",
    )

    def __init__(self, client: int, timeout_s: float, part: Any) -> None:
        self.client, self.timeout_s, self.part = client, timeout_s, part
        self.begin(0, 0, "")

    def begin(self, due_ns: int, image: int, trace: str) -> None:
        """Forget the one before."""
        self.due_ns, self.image, self.trace = due_ns, image, trace
        self.sent_ns = self.first_byte_ns = self.last_byte_ns = self.done_ns = 0
        self.bytes_in = self.bytes_out = 0
        self.ended = False
        self.deadline: Any = None

    def sending(self) -> None:
        """From here on it has `timeout_s`, whatever it waits for."""
        if not self.sent_ns:
            self.deadline = gevent.Timeout(self.timeout_s)
            self.deadline.start()
            self.sent_ns = monotonic_ns()

    def received(self, count: int) -> None:
        """Some bytes of the answer are here, or its end."""
        if not count:
            self.ended = True
            return
        self.last_byte_ns = monotonic_ns()
        self.first_byte_ns = self.first_byte_ns or self.last_byte_ns
        self.bytes_in += count

    def over(self) -> None:
        """No deadline any more."""
        if self.deadline is not None:
            self.deadline.close()


class Watched(socket.socket):  # type: ignore[misc]
    """A socket that tells the exchange what passes."""

    exchange: Exchange

    def sendall(self, data: Any, flags: int = 0) -> Any:
        self.exchange.sending()
        return super().sendall(data, flags)

    def send(self, data: Any, *rest: Any, **named: Any) -> int:
        count: int = super().send(data, *rest, **named)
        self.exchange.bytes_out += count
        return count

    def recv(self, *size: int) -> bytes:
        data: bytes = super().recv(*size)
        self.exchange.received(len(data))
        return data


class Connection:
    """What geventhttpclient needs of a pool, with one place."""

    size = 0

    def __init__(self, host: str, port: int, exchange: Exchange) -> None:
        self._address, self._exchange = (host, port), exchange
        self._idle: Watched | None = None
        self._busy: Watched | None = None

    def get_socket(self) -> Watched:
        """The open connection if nothing has happened to it meanwhile, else a new one."""
        idle, self._idle = self._idle, None
        if idle is not None and not _is_quiet(idle):
            idle.close()
            idle = None
        self._busy = idle or self._dial()
        return self._busy

    def _dial(self) -> Watched:
        exchange = self._exchange
        failure: OSError | None = None
        for family, kind, protocol, _, address in socket.getaddrinfo(
            *self._address, 0, socket.SOCK_STREAM
        ):
            opened = Watched(family, kind, protocol)
            try:
                opened.settimeout(exchange.timeout_s)
                opened.connect(address)
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except BaseException as error:
                opened.close()
                if not isinstance(error, OSError):
                    raise
                failure = error
                continue
            opened.settimeout(None)
            opened.exchange = exchange
            exchange.part.dials += 1
            return opened
        raise failure or OSError(f"{self._address[0]}: has no address")

    def return_socket(self, used: Watched) -> None:
        """An answer is complete."""
        self._idle, self._busy = used, None

    def release_socket(self, used: Watched) -> None:
        """The connection cannot be used again."""
        used.close()
        self._busy = None

    def settle(self) -> None:
        """Close what a request that was given up left open."""
        if self._busy is not None:
            self.release_socket(self._busy)

    def close(self) -> None:
        """Close all."""
        self.settle()
        if self._idle is not None:
            self._idle.close()
            self._idle = None


class Connections(HTTPClientPool):
    """A client for each host that a user talks to."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def get_client(self, url: str | URL) -> HTTPClient:
        """The client of a host."""
        url = url if isinstance(url, URL) else URL(url)
        key = url.host, url.port
        if key not in self.clients:
            client = HTTPClient(url.host, port=url.port, block_size=BLOCK_BYTES)
            client._connection_pool = Connection(  # type: ignore[assignment]
                url.host.strip("[]"), client.port or 80, self._exchange
            )
            self.clients[key] = client
        return self.clients[key]

    def settle(self) -> None:
        """Close what a request that was given up left open."""
        for client in self.clients.values():
            client._connection_pool.settle()  # type: ignore[attr-defined]


def _is_quiet(idle: Watched) -> bool:
    """Whether the server has neither closed an idle connection nor sent what nobody asked for."""
    poll = _poll()
    poll.register(idle.fileno(), select.POLLIN)
    return not poll.poll(0)
