"""
What a service says of a request: the time in its answer's head, and in its log if it is slow.
"""

import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.processes import RunError

SLOW_MS = 100.0  # the guide's threshold, and the service's
PAUSE_S = 0.2  # in the middle of a body: such a request is slow
QUICK_REQUESTS = 20
LOG_S = 5.0
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Logged:
    """Of one request: the time that its answer carries, None without; whether the log has it."""

    said_ms: float | None
    logged: bool

    @property
    def slow(self) -> bool:
        """By its own time."""
        return self.said_ms is not None and self.said_ms > SLOW_MS


def logged(address: str, log: Path, picture: Path, prefix: str) -> tuple[Logged, ...]:
    """A slow request, and many that are quick; their ids begin with *prefix*."""
    pauses = [PAUSE_S, *[0.0] * QUICK_REQUESTS]
    names = [f"{prefix}-{number}" for number in range(len(pauses))]
    said = [
        process_time(ask(address, picture, name, pause))
        for name, pause in zip(names, pauses, strict=True)
    ]
    lines = slow_lines(log, names[0])
    return tuple(
        Logged(ms, any(f'"{name}"' in line for line in lines))
        for name, ms in zip(names, said, strict=True)
    )


def ask(address: str, picture: Path, name: str, pause_s: float) -> HTTPMessage:
    """A request without stages, its body in two parts; the head of its answer."""
    data = picture.read_bytes()
    connection = HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE_S)
    try:
        connection.putrequest("POST", "/predict/nano?track=null")
        head = {"Content-Type": "image/jpeg", "Content-Length": f"{len(data)}"}
        for key, value in {**head, "X-Request-ID": name}.items():
            connection.putheader(key, value)
        connection.endheaders(data[:1000])
        time.sleep(pause_s)
        connection.send(data[1000:])
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RunError(f"{address}: answered {answer.status} to a picture; expected 200")
        return answer.headers
    finally:
        connection.close()


def process_time(head: HTTPMessage) -> float | None:
    """Milliseconds, of X-Process-Time: 23.45ms."""
    said = head.get("X-Process-Time", "")
    return float(said.removesuffix("ms")) if said.endswith("ms") else None


def slow_lines(log: Path, awaited: str) -> list[str]:
    """The log's lines about slow requests, as soon as one is about the awaited request."""
    deadline = time.monotonic() + LOG_S
    while True:
        lines = [line for line in log.read_text().splitlines() if "slow request" in line]
        if any(f'"{awaited}"' in line for line in lines) or time.monotonic() > deadline:
            return lines
        time.sleep(0.05)
