"""
What the service is right now: resources, and the optimizations that are really active.

The flags are read off the running process, not off the settings: a flag that repeats a
wish would hide the very mistakes this page is asked about.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import onnxruntime
import psutil
import pynvml
from fastapi import FastAPI
from fastapi.responses import ORJSONResponse
from PIL import features
from starlette.middleware.base import BaseHTTPMiddleware

from service import api, detection, imaging
from service.settings import cores
from service.worker import Worker

PROCESS = psutil.Process()


def report(app: FastAPI, worker: Worker, loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    name, version = imaging.pil()
    return {
        "status": "healthy",
        "pid": os.getpid(),
        "track": worker.settings.track,
        # Where the optimization guide has its users look.
        "performance": {
            "memory_mb": round(PROCESS.memory_info().rss / 1e6, 1),
            # Since the last time somebody asked: a share over an interval would make him wait.
            "cpu_percent": PROCESS.cpu_percent(None),
            "gpu": gpu(),
            "optimizations": optimizations(app, worker, loop),
        },
        "machine": {"cores": cores(), "memory_available_mb": round(available() / 1e6, 1)},
        "pillow": {
            "name": name,
            "version": version,
            "libjpeg_turbo": features.version_feature("libjpeg_turbo"),
            "accepts": list(imaging.accepted()),
        },
        "engine": engine(worker),
        "triton": triton(worker),
        "settings": worker.settings.as_variables(),
    }


def available() -> int:
    free: int = psutil.virtual_memory().available
    return free


def optimizations(app: FastAPI, worker: Worker, loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    kinds = layers(app)
    json = encoder(app)
    name, _ = imaging.pil()
    pipeline = next(n for n, p in imaging.PIPELINES.items() if p is worker.local.pipeline)
    return {
        "loop": type(loop).__module__.partition(".")[0],
        "http": parser(),
        "json": json,
        "orjson_enabled": json != "stdlib",
        "imaging": pipeline,
        "pillow_simd": name == "pillow-simd" and pipeline != "turbo",
        "upload": "direct" if api.Direct in kinds else "form",
        "middleware": "decorator" if BaseHTTPMiddleware in kinds else "asgi",
    }


def layers(app: FastAPI) -> list[Any]:
    """The kinds of layers of ours that a request passes, in front of FastAPI and behind it."""
    found, layer = [], app.state.outermost
    while layer is not app:
        found.append(type(layer))
        layer = layer.app
    return found + [entry.cls for entry in app.user_middleware]


def encoder(app: FastAPI) -> str:
    """Which JSON encoder answers: the endpoint's own, or FastAPI's default response class."""
    if app.state.encode is api.ENCODERS["bytes"]:
        return "bytes"
    default = app.router.default_response_class
    return "orjson_response" if default is ORJSONResponse else "stdlib"


def parser() -> str:
    """Which of uvicorn's protocols this process has loaded; it loads the one it uses."""
    for name in ("httptools", "h11"):
        if f"uvicorn.protocols.http.{name}_impl" in sys.modules:
            return name
    return "unknown"


def engine(worker: Worker) -> dict[str, Any]:
    """What answers on the default track, model by model, and what runs models in this process."""
    track = worker.track(None)
    return {
        "name": worker.local.engine_name,
        "version": onnxruntime.__version__,
        "threads": worker.settings.engine_threads,
        "slots": worker.settings.threads,
        "real": track.name != "null",
        "default_track": {model: track.engine(model) for model in detection.SIZES},
    }


def triton(worker: Worker) -> dict[str, Any] | None:
    """What is known of Triton from the requests so far; None without one."""
    if worker.remote is None:
        return None
    server, memory = worker.remote.triton, worker.remote.memory
    return {
        "url": server.url,
        "answered": sorted(server.answered_at),
        "engines": {name: server.engine(name) for name in sorted(server.engines)},
        "clients": {
            "kind": "pooled" if server.pooled else "per_request",
            "created": server.clients.created,
            "cached": server.clients.cached,
        },
        "tensors": {
            "kind": worker.settings.tensors,
            "regions": len(memory.known),
            "bytes": memory.bytes,
        },
    }


def gpu() -> list[dict[str, Any]] | None:
    """Each GPU's memory and load, or None on a machine without one, or that has just lost it."""
    if not nvml():
        return None
    try:
        count = pynvml.nvmlDeviceGetCount()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(count)]
    except pynvml.NVMLError:
        return None
    return [
        {
            "name": asked(pynvml.nvmlDeviceGetName, handle),
            "memory_used_bytes": asked(lambda h: pynvml.nvmlDeviceGetMemoryInfo(h).used, handle),
            "memory_total_bytes": asked(lambda h: pynvml.nvmlDeviceGetMemoryInfo(h).total, handle),
            "percent": asked(lambda h: pynvml.nvmlDeviceGetUtilizationRates(h).gpu, handle),
        }
        for handle in handles
    ]


def asked(question: Callable[[Any], Any], handle: Any) -> Any:
    """The answer, or None: a GPU that is split into instances does not know its load."""
    try:
        return question(handle)
    except pynvml.NVMLError:
        return None


@cache
def nvml() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    return True
