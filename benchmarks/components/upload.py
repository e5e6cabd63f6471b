"""
What a form costs against the bare bytes of a picture, by the service's two ways of taking them.

    python -m benchmarks.components.upload [--quick] [--results DIR]

SERVICE_UPLOAD=form (FastAPI's UploadFile) and direct, each asked with multipart/form-data and with
image/jpeg, on track null: nothing looks at the picture, so what remains is receiving it. One
connection, one request after the other; CPU is the service's own.
"""

import random
import sys
import time
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from statistics import median

from benchmarks.components import result, tables
from benchmarks.components.interleaved import WALL
from benchmarks.components.one_worker import IMAGES, MULTIPART, Service, multipart, serving
from benchmarks.components.result import Case

NAME = "upload"
QUESTION = "What does an upload cost as a form, and what as the bare bytes of the picture?"
WAYS = ("form", "direct")
BODIES = {"multipart": MULTIPART, "raw": "image/jpeg"}
# The last is past the megabyte from which on FastAPI's form keeps a file on the disk.
PICTURES = {
    "31kb": "cat-451x300.jpg",
    "304kb": "dogs-window-large-1182x1776.jpg",
    "1135kb": "large/sunset-large-4272x2848.jpg",
}

Visit = tuple[float, float]  # CPU and wall, milliseconds a request


def names() -> list[str]:
    """All cases: form.multipart.31kb and so on."""
    return [f"{way}.{body}.{size}" for size, way, body in product(PICTURES, WAYS, BODIES)]


def visit(service: Service, body: str, picture: str, requests: int) -> Visit:
    """So many requests of one kind."""
    file = IMAGES / picture
    data = multipart(file.name, file.read_bytes()) if body == "multipart" else file.read_bytes()
    before, began = service.server.cpu_ms(), time.perf_counter()
    service.ask([data] * requests, "?track=null", BODIES[body])
    wall_s = time.perf_counter() - began
    return (service.server.cpu_ms() - before) / requests, wall_s * 1e3 / requests


def block(number: int, visits: int, requests: int) -> dict[str, Visit]:
    """Every case in fresh services: medians of its visits, after one that warms up."""
    order, seen = random.Random(number), {name: list[Visit]() for name in names()}
    with ExitStack() as stack:
        services = {
            way: stack.enter_context(serving("optimized", "nano", SERVICE_UPLOAD=way))
            for way in WAYS
        }
        for turn in range(visits + 1):
            for name in order.sample(names(), len(seen)):
                way, body, size = name.split(".")
                found = visit(services[way], body, PICTURES[size], requests if turn else 3)
                seen[name] += [found] if turn else []
    return {
        name: (median(cpu for cpu, _ in found), median(wall for _, wall in found))
        for name, found in seen.items()
    }


def cases(blocks: list[dict[str, Visit]]) -> dict[str, Case]:
    """As the result has them."""
    found = {}
    for name in names():
        way, body, size = name.split(".")
        says, handled = f"SERVICE_UPLOAD={way}, {body}", (IMAGES / PICTURES[size]).stat().st_size
        cpu, wall = zip(*(each[name] for each in blocks), strict=True)
        found[name] = Case(f"{says}, CPU of the service", "default", "cpu_ms", cpu, handled)
        found[name + WALL] = Case(f"{says}, an answer each", "default", "ms", wall, handled)
    return found


def measured(options: tables.Options) -> Path:
    """Measure, print, write; the file."""
    begun = result.beginning()
    blocks, visits, requests = (3, 1, 10) if options.quick else (8, 3, 40)
    seen = [block(number, visits, requests) for number in tables.numbered(NAME, blocks)]
    found = cases(seen)
    pairs = [
        [f"{way}.{body}.{size}{of}" for way, body in product(WAYS, BODIES)]
        for of, size in product(("", WALL), PICTURES)
    ]
    print(tables.table(found, pairs))
    return result.write(options.results, NAME, QUESTION, begun, found, quick=options.quick)


if __name__ == "__main__":
    wanted = tables.options("upload", QUESTION, "a minute, with --quick 15 seconds")
    sys.exit(tables.ended(NAME, lambda: measured(wanted)))
