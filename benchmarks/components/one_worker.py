"""
A service of ours with one worker that counts its CPU time, and how to ask it: counted.py has the
line to it, service/overhead.py the other end.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException

from benchmarks.components.counted import Counted, counted
from benchmarks.environments import ROOT, interpreter
from benchmarks.processes import RunError, runner_environment

IMAGES = ROOT / "loadtests/images"
BOUNDARY = "windtunnel-component"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
ENVIRONMENTS = {"baseline": "default", "seed": "simd", "optimized": "default"}


def multipart(name: str, picture: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
    body = head.encode() + b"Content-Type: image/jpeg\r\n\r\n" + picture
    return body + f"\r\n--{BOUNDARY}--\r\n".encode()


def environment(preset: str) -> dict[str, str]:
    """One worker, so that there is one process to read; the other settings are the preset's."""
    return runner_environment(
        SERVICE_PRESET=preset,
        SERVICE_PORT="0",
        SERVICE_TRACK="A",
        SERVICE_TRITON_URL="none",
        SERVICE_WORKERS="1",
        SERVICE_RECYCLE_REQUESTS="0",
        SERVICE_LOG_LEVEL="error",
        SERVICE_SLOW_MS="1000000",
    )


class Service:
    """A service of one preset: its connection, and the line to what counts its CPU time."""

    def __init__(self, server: Counted, model: str) -> None:
        self.server, self.model = server, model
        self.connection = ready(server.port)

    def loop_ms(self, first: int, end: int) -> float:
        began = self.server.told("read")
        done = self.server.told(f"loop {self.model} {first} {end}")
        return (done["cpu_ns"] - began["cpu_ns"]) / 1e6 / (end - first)

    def request_ms(self, bodies: Sequence[bytes], query: str = "") -> tuple[float, float]:
        """What a request took, and how much of that in its stages."""
        began = self.server.told("read")
        self.ask(bodies, query)
        done = self.server.told("read")
        whole, stages = (done[k] - began[k] for k in ("cpu_ns", "stages_ns"))
        return whole / 1e6 / len(bodies), stages / 1e6 / len(bodies)

    def ask(self, bodies: Sequence[bytes], query: str, kind: str = MULTIPART) -> None:
        """One request after the other; all have to succeed."""
        path = f"/predict/{self.model}{query}"
        for body in bodies:
            self.connection.request("POST", path, body, {"Content-Type": kind})
            response = self.connection.getresponse()
            answer = response.read()
            if response.status != 200:
                raise RunError(
                    f"POST {path} answered {response.status} {answer[:200]!r}; expected detections"
                )


@contextmanager
def serving(preset: str, model: str, **settings: str) -> Iterator[Service]:
    """A service of a preset with these SERVICE_* settings besides."""
    python = str(interpreter(ENVIRONMENTS[preset], ROOT))
    command = [python, "-m", "service", "overhead", str(IMAGES)]
    with counted(command, environment(preset) | settings) as server:
        service = Service(server, model)
        with closing(service.connection):
            yield service


def ready(port: int) -> HTTPConnection:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            response.read()
            if response.status == 200:
                return connection
        except (OSError, HTTPException):
            pass
        connection.close()
        time.sleep(0.1)
    raise RunError(f"port {port}: the service was not ready in 60 s; its message is above")
