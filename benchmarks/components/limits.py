"""
How early the service refuses what is too large, and what that saves: bytes, time and memory.

    python -m benchmarks.components.limits [--quick] [--results DIR]

A body of 63 MB against the service's limit of 52 (50 MiB): with a Content-Length, with Expect:
100-continue, without a length (chunked), by a client that pushes on after the answer, and, to
compare, to a service whose limit is higher. All on track null, so nothing but the body counts.
What a client has sent is what its connection took: the few megabytes that the system keeps for a
server are in it, read or not.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from benchmarks import probe
from benchmarks.components import result, tables
from benchmarks.components.oversized import Body, Seen, Sender
from benchmarks.components.result import Case, Check
from benchmarks.environments import ROOT
from benchmarks.processes import RunError
from benchmarks.variants import Request, Service, service_command

NAME = "limits"
QUESTION = "Is an upload that is too large refused before it is taken, and what does that save?"
MB = 10**6
LIMIT_BYTES = 50 * 2**20
SIZE_BYTES = 60 * 2**20
PICTURE = ROOT / "loadtests/images/cat-451x300.jpg"
PATIENCE_S = 60.0
# What the system may hold for a server that reads nothing: both sockets' buffers, and more.
BUFFERS_BYTES = 16 * 2**20
WAYS = {
    "declared": ("with a Content-Length", Body(SIZE_BYTES)),
    "expect": ("with Expect: 100-continue", Body(SIZE_BYTES, expect=True)),
    "pushing": ("going on after the answer", Body(4 * SIZE_BYTES, pushing=True)),
    # The last of the service with the limit: what it took for this is its own from then on.
    "chunked": ("without a length", Body(SIZE_BYTES, chunked=True)),
    "unlimited": ("to a service with a higher limit", Body(SIZE_BYTES)),
}


@contextmanager
def service(name: str, limit_bytes: int, folder: Path) -> Iterator[Service]:
    """A fresh service of one worker with a limit."""
    settings = {
        "SERVICE_PRESET": "optimized",
        "SERVICE_WORKERS": "1",
        "SERVICE_TRITON_URL": "none",
        "SERVICE_MAX_BYTES": str(limit_bytes),
        "SERVICE_SLOW_MS": "1000000",
    }
    command = service_command(settings, Path(sys.executable), ROOT, None)
    request = Request(PICTURE, "raw", PATIENCE_S)
    target = Service(name, command, request, "/predict/nano?track=null", folder / f"{name}.txt")
    try:
        target.start()
        target.wait_ready()
        yield target
    finally:
        target.stop()


def block(folder: Path) -> dict[str, Seen]:
    """Each way once, in two fresh services."""
    found = {}
    with service("limited", LIMIT_BYTES, folder) as target:
        for way in WAYS:
            if way != "unlimited":
                found[way] = sent(target, way)
    with service("unlimited", 4 * LIMIT_BYTES, folder) as target:
        found["unlimited"] = sent(target, "unlimited")
    return found


def sent(target: Service, way: str) -> Seen:
    """What became of one upload; a service that then answers no picture is an error."""
    address = urlsplit(target.url)
    assert address.port, "a service has a port"
    assert target.pid, "and runs"
    seen = Sender(address.port, target.pid).send(f"{address.path}?{address.query}", WAYS[way][1])
    status, said = probe.post(target.url, PICTURE, "raw", PATIENCE_S)
    if status != 200:
        raise RunError(
            f"after {way}: a picture was answered with {status} {said[:200]!r}; expected"
            " detections: one upload must not stop a service"
        )
    return seen


def cases(blocks: Sequence[Mapping[str, Seen]]) -> dict[str, Case]:
    """Of each way: milliseconds until the answer, megabytes that were sent, memory that it took."""
    found = {}
    for way, (says, body) in WAYS.items():
        seen = [each[way] for each in blocks]
        measures = {
            "ms": ("until the answer", "ms", [each.answer_ms for each in seen]),
            "sent_mb": ("sent", "mb", [each.sent_bytes / MB for each in seen]),
            "memory_mb": ("memory of the service", "mb", [each.memory_bytes / MB for each in seen]),
        }
        for name, (what, unit, values) in measures.items():
            text = f"{body.size / MB:.0f} MB {says}: {what}"
            found[f"{way}.{name}"] = Case(text, "default", unit, tuple(values))
    return found


def checks(blocks: Sequence[Mapping[str, Seen]]) -> list[Check]:
    """What must be so in every block."""
    found = []
    rules = {
        "declared": ("413 before the body is read", 413, BUFFERS_BYTES),
        "expect": ("413 before a byte is sent", 413, 0),
        "chunked": ("413 at the limit", 413, LIMIT_BYTES + BUFFERS_BYTES),
        "pushing": ("413, and the connection is ended", 413, BUFFERS_BYTES),
        "unlimited": ("all of it is taken", 200, SIZE_BYTES),
    }
    for way, (expected, status, most_bytes) in rules.items():
        seen = [each[way] for each in blocks]
        right = all(each.status == status and each.sent_bytes <= most_bytes for each in seen)
        cut = all(each.cut for each in seen) if way == "pushing" else True
        sent = median(each.sent_bytes for each in seen) / MB
        answers = " or ".join(sorted({str(each.status) for each in seen}))
        said = f"{answers} after {sent:.1f} MB" + (", ended" if cut and way == "pushing" else "")
        found.append(Check(way, expected, said, right and cut))
    return found


def measured(options: tables.Options) -> Path:
    """Measure, print, write; the file."""
    begun = result.beginning()
    show, blocks = tables.shower(NAME), 3 if options.quick else 5
    seen = []
    with tempfile.TemporaryDirectory(prefix="windtunnel-") as folder:
        for number in range(blocks):
            show(number, blocks)
            seen.append(block(Path(folder)))
        show(blocks, blocks)
    found, held = cases(seen), checks(seen)
    ways = ["unlimited", *(way for way in WAYS if way != "unlimited")]
    names = [[f"{way}.{what}" for way in ways] for what in ("ms", "sent_mb", "memory_mb")]
    print(tables.table(found, names))
    print(f"\n{tables.checks(held)}")
    return result.write(options.results, NAME, QUESTION, begun, found, held)


if __name__ == "__main__":
    wanted = tables.options("limits", QUESTION, "a minute, with --quick 25 seconds")
    sys.exit(tables.ended(NAME, lambda: measured(wanted)))
