"""
What the optimization guide promises of an endpoint besides speed: stops, refusals, logs, headers.

    python -m benchmarks.components.behaviour [--quick] [--results DIR]

A service of the guide's preset `seed` (with Pillow, so that it needs no other environment) and two
workers: it is stopped with requests in flight, and under clients that go on sending; it is asked
slowly and quickly, to see what it logs. uvicorn's --limit-concurrency is asked for its refusal, and
the guide's way to tell pillow-simd from Pillow is tried on both.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from benchmarks import probe
from benchmarks.components import result, tables
from benchmarks.components.counted import counted
from benchmarks.components.launched import launched
from benchmarks.components.logged import SLOW_MS, Logged, logged
from benchmarks.components.one_worker import IMAGES
from benchmarks.components.result import Case, Check
from benchmarks.components.stopping import Sent, Stopped, in_flight, sending
from benchmarks.environments import ROOT, interpreter
from benchmarks.processes import runner_environment
from benchmarks.variants import Request, Service

NAME = "behaviour"
QUESTION = "Does an endpoint stop, refuse and log as the optimization guide says?"
SMALL, LARGE = IMAGES / "cat-451x300.jpg", IMAGES / "large/sunset-large-4272x2848.jpg"
SETTINGS = {
    "SERVICE_PRESET": "seed",
    "SERVICE_IMAGING": "pillow",
    "SERVICE_WORKERS": "2",
    "SERVICE_TRITON_URL": "none",
}
PATH = "/predict/nano?track=A"
PATIENCE_S = 60.0
CLIENTS = 8
BEFORE_S = 1.0  # of sending, before the stop
LIMIT, OVER = 4, 6  # connections that uvicorn may have, and requests that find them taken
FEATURE = "from PIL import features; print(features.check_feature('libjpeg_turbo'))"


@dataclass(frozen=True, slots=True)
class Block:
    """All of it once."""

    stopped: Stopped
    sent: Sent
    requests: tuple[Logged, ...]
    refusals: tuple[int, ...]


def service(name: str, folder: Path) -> AbstractContextManager[tuple[Service, Path]]:
    """A fresh service, and its log."""
    return launched(name, SETTINGS, Request(SMALL, "raw", PATIENCE_S), PATH, folder)


def block(folder: Path, number: int) -> Block:
    """All of it, in fresh servers."""
    with service(f"stop{number}", folder) as (target, log):
        requests = logged(target.address, log, SMALL, f"{NAME}-{number}")
        stopped = in_flight(target, LARGE, CLIENTS)
    with service(f"sending{number}", folder) as (target, _):
        sent = sending(target, SMALL, CLIENTS, BEFORE_S)
    return Block(stopped, sent, requests, refusals())


def refusals() -> tuple[int, ...]:
    """What uvicorn answers when as many connections are open as --limit-concurrency allows."""
    module = [sys.executable, "-m", "benchmarks.components.bare_server"]
    with ExitStack() as stack:
        server = stack.enter_context(
            counted([*module, "uvloop", "httptools", f"{LIMIT}"], runner_environment())
        )
        for _ in range(LIMIT):
            connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
            stack.callback(connection.close)
            connection.putrequest("POST", "/")
            connection.putheader("Content-Length", "2")
            connection.endheaders(b"1")  # and never the other byte
        url = f"http://127.0.0.1:{server.port}/"
        return tuple(probe.get(url, PATIENCE_S)[0] for _ in range(OVER))


def feature() -> Iterator[Check]:
    """The guide's way to verify that pillow-simd is installed, with it and without."""
    if tables.available("simd", "whether libjpeg_turbo tells pillow-simd"):
        said = {}
        for environment, name in (("simd", "pillow-simd"), ("default", "Pillow")):
            command = [str(interpreter(environment, ROOT)), "-c", FEATURE]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
            said[name] = done.stdout.strip() or done.stderr.strip()[-100:]
        found = ", ".join(f"{text} with {name}" for name, text in said.items())
        right = said == {"pillow-simd": "True", "Pillow": "False"}
        expected = "True with pillow-simd, False with Pillow"
        yield Check("libjpeg_turbo tells pillow-simd", expected, found, right)


def cases(blocks: Sequence[Block]) -> dict[str, Case]:
    """What was counted in each."""
    stops, sent = [each.stopped for each in blocks], [each.sent for each in blocks]
    measures: dict[str, tuple[str, str, list[float]]] = {
        "stop.in_flight": ("in flight at SIGTERM", "requests", [s.in_flight for s in stops]),
        "stop.lost": ("of them without a 200", "requests", [s.lost for s in stops]),
        "stop.ms": ("from SIGTERM to the service's end", "ms", [s.ms for s in stops]),
        "sending.answered": (
            f"{CLIENTS} clients that go on: answered",
            "requests",
            [s.answered for s in sent],
        ),
        "sending.lost": (
            "without an answer, on a kept connection",
            "requests",
            [s.lost + s.failed for s in sent],
        ),
        "sending.unserved": (
            "without an answer, on a new connection",
            "requests",
            [s.unserved for s in sent],
        ),
    }
    return {
        name: Case(says, "default", unit, tuple(map(float, values)))
        for name, (says, unit, values) in measures.items()
    }


def checks(blocks: Sequence[Block]) -> Iterator[Check]:
    """What the guide says, over all blocks."""
    yield from _refused([status for each in blocks for status in each.refusals])
    yield from _stops([each.stopped for each in blocks], [each.sent for each in blocks])
    yield from _logs([request for each in blocks for request in each.requests])


def _refused(statuses: Sequence[int]) -> Iterator[Check]:
    found = ", ".join(f"{each}" for each in sorted(set(statuses)))
    right = set(statuses) == {429}
    yield Check("limit-concurrency answers 429", "429", f"{found} to {len(statuses)}", right)


def _stops(stops: Sequence[Stopped], sent: Sequence[Sent]) -> Iterator[Check]:
    begun, lost = sum(each.in_flight for each in stops), sum(each.lost for each in stops)
    yield Check(
        "stop answers what is in flight",
        "an answer to each request that had begun at SIGTERM",
        f"{begun} in flight, {lost} lost",
        begun > 0 and not lost,
    )
    kept, new = sum(s.lost + s.failed for s in sent), sum(s.unserved for s in sent)
    answered = sum(each.answered for each in sent)
    yield Check(
        "stop loses no request",
        "an answer to each request that a connection took",
        f"{answered} answered, {kept} lost on kept connections, {new} on new ones",
        answered > 0 and not kept and not new,
    )


def _logs(requests: Sequence[Logged]) -> Iterator[Check]:
    slow = [each for each in requests if each.slow]
    quick = [each for each in requests if not each.slow]
    for which, right, wanted in (("slow", "are", True), ("fast", "are not", False)):
        of = slow if wanted else quick
        lines = sum(each.logged for each in of)
        limit = f"{'over' if wanted else 'up to'} {SLOW_MS:g} ms"
        yield Check(
            f"{which} requests {right} logged",
            f"{'a line' if wanted else 'no line'} for one of {limit}",
            f"{lines} of {len(of)} logged",
            bool(of) and lines == (len(of) if wanted else 0),
        )
    timed = sum(each.said_ms is not None for each in requests)
    found = f"with {timed} of {len(requests)} answers"
    yield Check("X-Process-Time is sent", "with each answer", found, timed == len(requests))


def measured(options: tables.Options) -> Path:
    """Measure, print, write; the file."""
    tell = list(feature())
    begun = result.beginning(("default", "simd") if tell else ("default",))
    blocks = 2 if options.quick else 5
    with tempfile.TemporaryDirectory(prefix="windtunnel-") as folder:
        seen = [block(Path(folder), number) for number in tables.numbered(NAME, blocks)]
    found, held = cases(seen), [*tell, *checks(seen)]
    print(tables.table(found, [[name] for name in found]))
    print(f"\n{tables.checks(held)}")
    return result.write(options.results, NAME, QUESTION, begun, found, held, quick=options.quick)


if __name__ == "__main__":
    wanted = tables.options("behaviour", QUESTION, "75 seconds, with --quick 35")
    sys.exit(tables.ended(NAME, lambda: measured(wanted)))
