"""
How early uploads that are too large are refused, and what that saves: bytes, time and memory.

    python -m benchmarks.components.limits [--quick] [--results DIR]

A body of 252 MB against the service's limit of 52 (50 MiB): with a Content-Length, with Expect:
100-continue, without a length (chunked), and by a client that pushes on after the answer; and, to
compare, to services whose limit is higher. The same against the optimization guide's own limit, a
middleware that looks at Content-Length. The service is on track null, so nothing but the body
counts. What a client has sent is what its connection took: the few megabytes that the system keeps
for a server are in it, read or not.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from benchmarks import probe
from benchmarks.components import result, tables
from benchmarks.components.counted import counted
from benchmarks.components.guide_server import PATH
from benchmarks.components.launched import launched
from benchmarks.components.oversized import Body, Seen, Sender
from benchmarks.components.result import Case, Check
from benchmarks.environments import ROOT
from benchmarks.processes import RunError, runner_environment
from benchmarks.variants import Request

NAME = "limits"
QUESTION = "Is an upload that is too large refused before it is taken, and what does that save?"
MB = 10**6
LIMIT_BYTES = 50 * 2**20
SIZE_BYTES = 240 * 2**20
PICTURE = ROOT / "loadtests/images/cat-451x300.jpg"
PATIENCE_S = 60.0
# What the system may hold for a server that reads nothing: both sockets' buffers, and more.
BUFFERS_BYTES = 16 * 2**20
GUIDE = "guide"
# The others are services of one worker with these settings, and each its own.
COMMON = {
    "SERVICE_PRESET": "optimized",
    "SERVICE_WORKERS": "1",
    "SERVICE_TRITON_URL": "none",
    "SERVICE_SLOW_MS": "1000000",
}
SERVERS = {
    "limited": {"SERVICE_MAX_BYTES": f"{LIMIT_BYTES}"},
    "unlimited": {"SERVICE_MAX_BYTES": f"{2 * SIZE_BYTES}"},
    "unlimited_form": {"SERVICE_MAX_BYTES": f"{2 * SIZE_BYTES}", "SERVICE_UPLOAD": "form"},
}


@dataclass(frozen=True, slots=True)
class Way:
    """An upload to one of the servers, and what is to become of it."""

    server: str
    says: str
    body: Body
    expected: str
    status: int
    most_bytes: int  # that may have been sent by then
    may_end: bool = False  # the connection's end, without an answer, is one too
    must_end: bool = False

    def kept(self, seen: Seen) -> bool:
        """Whether it was so."""
        answered = seen.status == self.status or (self.may_end and seen.cut and not seen.status)
        in_time = seen.sent_bytes <= self.most_bytes
        return answered and in_time and (seen.cut or not self.must_end)


early = partial(Way, expected="413 before the body is read", status=413, most_bytes=BUFFERS_BYTES)
at_limit = partial(
    Way,
    expected="413 at the limit, or the connection's end",
    status=413,
    most_bytes=LIMIT_BYTES + BUFFERS_BYTES,
    may_end=True,
)
taken = partial(Way, expected="all of it is taken", status=200, most_bytes=SIZE_BYTES)
WHOLE, FORM = Body(SIZE_BYTES), Body(SIZE_BYTES, form=True)
MIDDLEWARE = "as a form, to the guide's middleware"
WAYS = {
    "declared": early("limited", "with a Content-Length", WHOLE),
    "expect": early(
        "limited",
        "with Expect: 100-continue",
        Body(SIZE_BYTES, expect=True),
        expected="413 before a byte is sent",
        most_bytes=0,
    ),
    "pushing": early(
        "limited",
        "going on after the answer",
        Body(SIZE_BYTES, pushing=True),
        expected="413, and the connection is ended",
        must_end=True,
    ),
    # The last of the service with the limit: what it took for this is its own from then on.
    "chunked": at_limit("limited", "without a length", Body(SIZE_BYTES, chunked=True)),
    "unlimited": taken("unlimited", "to a higher limit", WHOLE),
    "unlimited_form": taken("unlimited_form", "as a form, to a higher limit", FORM),
    "guide_declared": early(GUIDE, f"{MIDDLEWARE}, with a Content-Length", FORM),
    "guide_chunked": at_limit(
        GUIDE, f"{MIDDLEWARE}, without a length", Body(SIZE_BYTES, form=True, chunked=True)
    ),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A server that is ready."""

    url: str
    pid: int
    picture: str  # how a picture is sent to it: raw or multipart


@contextmanager
def serving(server: str, folder: Path) -> Iterator[Target]:
    """A fresh one."""
    if server == GUIDE:
        module = [sys.executable, "-m", "benchmarks.components.guide_server"]
        with counted(module, runner_environment()) as guide:
            target = Target(f"http://127.0.0.1:{guide.port}{PATH}", guide.process.pid, "multipart")
            check(target, "its start")  # the first request of a server is slow
            yield target
    else:
        settings, request = COMMON | SERVERS[server], Request(PICTURE, "raw", PATIENCE_S)
        with launched(server, settings, request, "/predict/nano?track=null", folder) as (ours, _):
            assert ours.pid, "it runs"
            yield Target(ours.url, ours.pid, "raw")


def block(folder: Path) -> dict[str, Seen]:
    """Each way once, in fresh servers."""
    found = {}
    for server in (*SERVERS, GUIDE):
        with serving(server, folder) as target:
            for name, way in WAYS.items():
                if way.server == server:
                    found[name] = sent(target, name)
    return found


def sent(target: Target, way: str) -> Seen:
    """What became of one upload; a server that then answers no picture is an error."""
    address = urlsplit(target.url)
    assert address.port, "a server has a port"
    path = f"{address.path}?{address.query}"
    seen = Sender(address.port, target.pid).send(path, WAYS[way].body)
    check(target, way)
    return seen


def check(target: Target, after: str) -> None:
    """An upload must not stop a server: it still takes a picture."""
    status, said = probe.post(target.url, PICTURE, target.picture, PATIENCE_S)
    if status != 200:
        raise RunError(
            f"{target.url}: after {after} a picture was answered with {status} {said[:200]!r};"
            " expected status 200"
        )


def cases(blocks: Sequence[Mapping[str, Seen]]) -> dict[str, Case]:
    """Of each way: milliseconds until the answer, megabytes that were sent, memory that it took."""
    found = {}
    for name, way in WAYS.items():
        seen = [each[name] for each in blocks]
        measures = {
            "ms": ("until the answer", "ms", [each.answer_ms for each in seen]),
            "sent_mb": ("sent", "mb", [each.sent_bytes / MB for each in seen]),
            "memory_mb": ("memory of the server", "mb", [each.memory_bytes / MB for each in seen]),
        }
        for measure, (what, unit, values) in measures.items():
            text = f"{way.body.size / MB:.0f} MB {way.says}: {what}"
            found[f"{name}.{measure}"] = Case(text, "default", unit, tuple(values))
    return found


def checks(blocks: Sequence[Mapping[str, Seen]]) -> list[Check]:
    """What is to be so in every block."""
    found = []
    for name, way in WAYS.items():
        seen = [each[name] for each in blocks]
        statuses = sorted({each.status for each in seen}, reverse=True)
        answers = " or ".join(str(status) if status else "no answer" for status in statuses)
        ends = sum(each.cut for each in seen)
        told = f", ended in {ends} of {len(seen)}" if ends else ""
        mb = median(each.sent_bytes for each in seen) / MB
        right = all(map(way.kept, seen))
        found.append(Check(name, way.expected, f"{answers} after {mb:.1f} MB{told}", right))
    return found


def measured(options: tables.Options) -> Path:
    """Measure, print, write; the file."""
    begun = result.beginning()
    blocks = 3 if options.quick else 5
    with tempfile.TemporaryDirectory(prefix="windtunnel-") as folder:
        seen = [block(Path(folder)) for _ in tables.numbered(NAME, blocks)]
    found, held = cases(seen), checks(seen)
    ways = ["unlimited", *(way for way in WAYS if way != "unlimited")]
    names = [[f"{way}.{what}" for way in ways] for what in ("ms", "sent_mb", "memory_mb")]
    print(tables.table(found, names))
    print(f"\n{tables.checks(held)}")
    return result.write(options.results, NAME, QUESTION, begun, found, held, quick=options.quick)


if __name__ == "__main__":
    wanted = tables.options("limits", QUESTION, "a minute, with --quick 40 seconds")
    sys.exit(tables.ended(NAME, lambda: measured(wanted)))
