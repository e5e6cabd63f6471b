"""
What it takes to write and read an answer as JSON: libraries, recipes of the service, whole routes.

    python -m benchmarks.components.jsons [--quick] [--results DIR]

`encode` and `decode` are the libraries alone. `answer` is each value of SERVICE_JSON: the service's
own encoder, and its response through ASGI. `route` is a FastAPI application of a few lines, as the
optimization guide has it: without and with its default_response_class.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.components import interleaved, result, tables
from benchmarks.components.interleaved import Timed

NAME = "json"
QUESTION = "What does orjson save, by itself and in the recipes that a service uses it in?"
BOXES = (6, 100, 5000)  # a photo of the corpus, the most that the service answers, a crowd

SETUP = """
import json, random, orjson
draw = random.Random(1)
answer = {
    "model": "small", "track": "A", "engine": "onnxruntime-cpu",
    "image": {"width": 1280, "height": 960},
    "detections": [
        {"class_id": draw.randrange(80), "label": "traffic light",
          "confidence": round(draw.uniform(0.25, 1), 4),
          "box": [round(draw.uniform(0, 960), 1) for _ in range(4)]}
        for _ in range(boxes)
    ],
}
blob = orjson.dumps(answer)

async def send(message):
    pass

async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}

def done(coroutine):
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for something")
"""
# Compact, as Starlette's JSONResponse writes it.
STDLIB = "json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(',', ':')).encode()"
SERVICE = """
from service.api import ENCODERS, send_json
scope = {"type": "http", "method": "POST", "headers": []}
"""
ROUTE = """
import asyncio
from fastapi import FastAPI
from fastapi.responses import ORJSONResponse
app = FastAPI()

@app.get("/")
async def predict():
    return answer

def scope():
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/", "raw_path": b"/", "query_string": b"", "headers": [],
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 81), "state": {},
    }

loop = asyncio.new_event_loop()
"""
ROUTES = {"stdlib": "", "orjson": "default_response_class=ORJSONResponse"}


def cases() -> Iterator[Timed]:
    """All of them, at each size."""
    for boxes in BOXES:
        for name, says, statement, more in kinds():
            setup = f"boxes = {boxes}\n{SETUP}{more}"
            yield Timed(f"{name}.{boxes}", says, statement, setup, handled="len(blob)")


def kinds() -> Iterator[tuple[str, str, str, str]]:
    """Of one size: name, what it is, the statement, and what its setup has besides."""
    yield "encode.stdlib", "json.dumps to bytes", STDLIB, ""
    yield "encode.orjson", "orjson.dumps", "orjson.dumps(answer)", ""
    yield "decode.stdlib", "json.loads", "json.loads(blob)", ""
    yield "decode.orjson", "orjson.loads", "orjson.loads(blob)", ""
    for recipe in ("stdlib", "orjson_response"):
        says = f"SERVICE_JSON={recipe}: encoder and response"
        sent = f"done(ENCODERS['{recipe}'](answer)(scope, receive, send))"
        yield f"answer.{recipe}", says, sent, SERVICE
    says = "SERVICE_JSON=bytes: straight to bytes, and sent"
    yield "answer.bytes", says, "done(send_json(send, orjson.dumps(answer)))", SERVICE
    for way, options in ROUTES.items():
        says = f"a whole route of FastAPI({options}) that returns a dict"
        asked = "loop.run_until_complete(app(scope(), receive, send))"
        yield f"route.{way}", says, asked, ROUTE.replace("FastAPI()", f"FastAPI({options})")


def groups() -> list[list[str]]:
    """What is compared with what."""
    ways: dict[str, list[str]] = {}
    for name, *_ in kinds():
        ways.setdefault(name.partition(".")[0], []).append(name)
    return [[f"{name}.{boxes}" for name in names] for names in ways.values() for boxes in BOXES]


def measured(options: tables.Options) -> Path:
    """Measure, print, write; the file."""
    begun = result.beginning()
    effort = interleaved.QUICK if options.quick else interleaved.FULL
    found = interleaved.measure(list(cases()), effort, tables.shower(NAME))
    print(tables.table(found, groups()))
    return result.write(options.results, NAME, QUESTION, begun, found, quick=options.quick)


if __name__ == "__main__":
    wanted = tables.options("jsons", QUESTION, "2 minutes, with --quick 15 seconds")
    sys.exit(tables.ended(NAME, lambda: measured(wanted)))
