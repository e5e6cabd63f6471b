"""
What event loop and HTTP parser take of a request that does nothing else, and the loop by itself.

    python -m benchmarks.components.eventloop [--quick] [--results DIR]

A bare ASGI application in one uvicorn worker, on asyncio or uvloop, with h11 or httptools: a GET,
and a POST of 200 kB, which triton_bench sends with 8 clients over connections that stay. `echo` is
the loop without HTTP: 1 KiB back and forth over 8 connections of an asyncio.Protocol. CPU is what
the server itself takes for a request; wall is the time from one answer to the next, 1000 / requests
a second. Generator and server share the machine, so CPU is the number to trust.
"""

import random
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from statistics import median

from benchmarks import generator
from benchmarks.components import result, tables
from benchmarks.components.bare_server import ECHO, LOOPS
from benchmarks.components.counted import Counted, counted
from benchmarks.components.echoes import MESSAGE, echoed
from benchmarks.components.interleaved import WALL
from benchmarks.components.result import Case
from benchmarks.components.triton import asked
from benchmarks.environments import ROOT
from benchmarks.processes import RunError, runner_environment

NAME = "eventloop"
QUESTION = "What do uvloop and httptools save a request, in CPU and in requests a second?"
SERVERS = [f"{loop}_{http}" for loop, http in product(LOOPS, ("h11", "httptools"))]
REQUESTS = {"hello": "GET without a body", "body": "POST of 200 kB"}
NAMES = [f"{r}.{s}" for r, s in product(REQUESTS, SERVERS)] + [f"{ECHO}.{loop}" for loop in LOOPS]
BODY_BYTES = 200_000
CLIENTS = 8
WARMUP_S = 0.2

Visit = tuple[float, float]  # CPU and wall, milliseconds a request


def load(server: Counted, request: str, body: Path, seconds: float) -> Visit:
    """One visit of the generator; a request that fails is an error."""
    sent = ["--method", "GET"] if request == "hello" else ["--image", str(body), "--body", "raw"]
    program = [str(generator.program(ROOT)), "--url", f"http://127.0.0.1:{server.port}/", *sent]
    length = ["--warmup", f"{WARMUP_S}s", "--duration", f"{seconds:g}s", "--min-requests", "20"]
    how = ["--clients", str(CLIENTS), "--calibrate", "0", "--json", "--quiet"]
    before = server.cpu_ms()
    said = asked([*program, *length, *how], seconds)
    spent = server.cpu_ms() - before
    counts, rate = said["accounting"], said["throughput_rps"]
    assert isinstance(counts, dict)
    assert isinstance(rate, float | int)
    if not counts["ok"] or counts["ok"] + counts.get("censored", 0) != counts["issued"]:
        raise RunError(f"{NAME}: requests failed ({counts}); expected an answer to each")
    return spent / counts["ok"], 1000 / rate


def visit(servers: Mapping[str, Counted], case: str, body: Path, seconds: float) -> Visit:
    """One case once."""
    request, server = case.split(".")
    if request == ECHO:
        return echoed(servers[f"{server}_{ECHO}"], CLIENTS, seconds)
    return load(servers[server], request, body, seconds)


def block(number: int, body: Path, visits: int, seconds: float) -> dict[str, Visit]:
    """Every case once, in fresh servers: medians of its visits."""
    seen: dict[str, list[Visit]] = {name: [] for name in NAMES}
    order = random.Random(number)
    with ExitStack() as stack:
        module = [sys.executable, "-m", "benchmarks.components.bare_server"]
        env = runner_environment()
        servers = {
            name: stack.enter_context(counted([*module, *name.split("_")], env))
            for name in (*SERVERS, *(f"{loop}_{ECHO}" for loop in LOOPS))
        }
        for _ in range(visits):
            for case in order.sample(NAMES, len(NAMES)):
                seen[case].append(visit(servers, case, body, seconds))
    return {
        case: (median(cpu for cpu, _ in found), median(wall for _, wall in found))
        for case, found in seen.items()
    }


def cases(blocks: list[dict[str, Visit]]) -> dict[str, Case]:
    """As the result has them."""
    found = {}
    texts = {**REQUESTS, ECHO: f"echo of {len(MESSAGE)} bytes without HTTP"}
    sizes = {"body": BODY_BYTES, ECHO: len(MESSAGE)}
    for name in NAMES:
        request, server = name.split(".")
        says, size = f"{texts[request]}: {server.replace('_', ', ')}", sizes.get(request)
        cpu, wall = zip(*(each[name] for each in blocks), strict=True)
        found[name] = Case(f"{says}, CPU of the server", "default", "cpu_ms", cpu, size)
        found[name + WALL] = Case(f"{says}, an answer each", "default", "ms", wall, size)
    return found


def groups() -> list[list[str]]:
    """What is compared with what."""
    return [
        [f"{name}{of}" for name in NAMES if name.startswith(f"{request}.")]
        for request, of in product((*REQUESTS, ECHO), ("", WALL))
    ]


def measured(options: tables.Options) -> Path:
    """Measure, print, write; the file."""
    begun = result.beginning()
    blocks, visits, seconds = (3, 1, 0.5) if options.quick else (8, 1, 1.2)
    with tempfile.TemporaryDirectory(prefix="windtunnel-") as folder:
        body = Path(folder) / "body.jpg"
        body.write_bytes(bytes(BODY_BYTES))
        seen = [block(n, body, visits, seconds) for n in tables.numbered(NAME, blocks)]
    found = cases(seen)
    print(tables.table(found, groups()))
    return result.write(options.results, NAME, QUESTION, begun, found, quick=options.quick)


if __name__ == "__main__":
    wanted = tables.options("eventloop", QUESTION, "3 minutes, with --quick 25 seconds")
    sys.exit(tables.ended(NAME, lambda: measured(wanted)))
