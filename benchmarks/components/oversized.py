"""
A client that sends too much: a POST of zeros by hand, to see when a server has had enough.

It counts what it could send before an answer, or the end of the connection, was there, and looks at
the server's memory meanwhile. What lies in the sockets' buffers, a few megabytes, counts as sent.
"""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil

from benchmarks.components.one_worker import MULTIPART, multipart
from benchmarks.processes import RunError

PIECE = bytes(1 << 16)
# What a form has before and after a file.
FORM = tuple(multipart("zeros.jpg", b"\0").split(b"\0"))
PATIENCE_S = 60.0
GLANCE_S = 0.001


@dataclass(frozen=True, slots=True)
class Body:
    """How a body is sent: so many zeros, and what its head says."""

    size: int
    chunked: bool = False  # no Content-Length
    expect: bool = False  # asks first: Expect: 100-continue
    pushing: bool = False  # goes on after the answer
    form: bool = False  # the zeros are the file of a form


@dataclass(slots=True)
class Seen:
    """What became of it; status 0: the connection ended without an answer."""

    status: int = 0
    sent_bytes: int = 0
    answer_ms: float = 0.0  # until that, or the end
    memory_bytes: int = 0  # by how much the server's peak was above what it had before
    cut: bool = False  # the connection was ended before all was sent


def head(path: str, body: Body) -> bytes:
    """The request's head."""
    whole = body.size + (sum(map(len, FORM)) if body.form else 0)
    length = "Transfer-Encoding: chunked" if body.chunked else f"Content-Length: {whole}"
    kind = MULTIPART if body.form else "image/jpeg"
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", length]
    lines += ["Expect: 100-continue"] if body.expect else []
    return "\r\n".join([*lines, "", ""]).encode()


def pieces(body: Body) -> Iterator[tuple[bytes, int]]:
    """What goes over the wire, each with the bytes of the body that are in it."""
    parts = [(PIECE, len(PIECE))] * (body.size // len(PIECE))
    before, after = FORM
    for part, inside in [(before, 0), *parts, (after, 0)] if body.form else parts:
        yield b"%x\r\n%b\r\n" % (len(part), part) if body.chunked else part, inside
    if body.chunked:
        yield b"0\r\n\r\n", 0


class Sender:
    """One request over a connection of its own."""

    def __init__(self, port: int, pid: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._server = psutil.Process(pid)
        self._before = self._server.memory_info().rss
        self._began = time.perf_counter()
        self._answer = b""
        self.seen = Seen()

    def send(self, path: str, body: Body) -> Seen:
        """Send it, until there is an answer unless it pushes."""
        with self._socket:
            try:
                self._socket.sendall(head(path, body))
                if body.expect:
                    self._wait()
                self._stream(body)
                while not self.seen.status:
                    self._wait()
            except (BrokenPipeError, ConnectionResetError):
                self.seen.cut = True
                # An answer that came before the end is there still.
                with suppress(OSError):
                    self._hear()
        if not self.seen.status:
            self.seen.answer_ms = self._ms()
        return self.seen

    def _stream(self, body: Body) -> None:
        for framed, size in pieces(body):
            if self.seen.status and not body.pushing:
                return
            self._put(framed, pushing=body.pushing)
            self.seen.sent_bytes += size

    def _put(self, framed: bytes, *, pushing: bool) -> None:
        """Send a piece, with an eye on the answer; what is left when that comes is not sent."""
        rest = memoryview(framed)
        while rest:
            heard, free, _ = select.select([self._socket], [self._socket], [], GLANCE_S)
            self._look()
            if heard:
                self._hear()
                if self.seen.status and not pushing:
                    return
            if free:
                rest = rest[self._socket.send(rest, socket.MSG_DONTWAIT) :]

    def _wait(self) -> None:
        """Until something is heard, with an eye on the server's memory."""
        while not select.select([self._socket], [], [], GLANCE_S)[0]:
            self._look()
            if time.perf_counter() - self._began > PATIENCE_S:
                raise RunError(f"no answer in {PATIENCE_S:g} s to a body that is too large")
        self._look()
        self._hear()

    def _hear(self) -> None:
        """Take what the server says; the end of the connection is an error, as when it is cut."""
        said = self._socket.recv(1 << 16)
        if not said:
            raise ConnectionResetError
        self._answer += said
        self._answer = self._answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        line, ended, _ = self._answer.partition(b"\r\n")
        if ended and not self.seen.status:
            self.seen.status = int(line.split()[1])
            self.seen.answer_ms = self._ms()

    def _ms(self) -> float:
        return (time.perf_counter() - self._began) * 1e3

    def _look(self) -> None:
        grown = self._server.memory_info().rss - self._before
        self.seen.memory_bytes = max(self.seen.memory_bytes, grown)
