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
from PIL import features
from starlette.middleware.base import BaseHTTPMiddleware

from service import detection, imaging
from service.settings import cores
from service.tracks import Worker

PROCESS = psutil.Process()


def report(app: FastAPI, worker: Worker, loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    name, version = imaging.pil()
    return {
        "status": "healthy",
        "pid": os.getpid(),
        "track": worker.settings.track,
        "memory": {"rss_bytes": PROCESS.memory_info().rss, "machine_available_bytes": available()},
        # Since the last time somebody asked: a share over an interval would make him wait.
        "cpu": {"percent": PROCESS.cpu_percent(None), "cores": cores()},
        "gpu": gpu(),
        "optimizations": optimizations(app, worker, loop),
        "pillow": {
            "name": name,
            "version": version,
            "libjpeg_turbo": features.version_feature("libjpeg_turbo"),
            "accepts": list(imaging.accepted()),
        },
        "engine": engine(worker),
        "settings": worker.settings.as_variables(),
    }


def available() -> int:
    free: int = psutil.virtual_memory().available
    return free


def optimizations(app: FastAPI, worker: Worker, loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    # Plain ASGI stands before the framework, which then has no middleware of ours.
    kinds: list[Any] = [entry.cls for entry in app.user_middleware]
    name, _ = imaging.pil()
    track_a: Any = worker.tracks["A"]
    pipeline = next(n for n, p in imaging.PIPELINES.items() if p is track_a.pipeline)
    return {
        "loop": type(loop).__module__.partition(".")[0],
        "http": parser(),
        "json": app.state.json,
        "orjson_enabled": app.state.json != "stdlib",
        "imaging": pipeline,
        "pillow_simd": name == "pillow-simd" and pipeline != "turbo",
        "upload": app.state.upload,
        "middleware": "decorator" if BaseHTTPMiddleware in kinds else "asgi",
        "performance_middleware": True,
        "workers": worker.settings.workers,
    }


def parser() -> str:
    """Which of uvicorn's protocols this process has loaded; it loads the one it uses."""
    for name in ("httptools", "h11"):
        if f"uvicorn.protocols.http.{name}_impl" in sys.modules:
            return name
    return "unknown"


def engine(worker: Worker) -> dict[str, Any]:
    return {
        "name": detection.ENGINE,
        "version": onnxruntime.__version__,
        "threads": worker.settings.engine_threads,
        "slots": worker.settings.threads,
        "real": worker.settings.track != "null",
    }


def gpu() -> list[dict[str, Any]] | None:
    """Each GPU's memory and load, or None on a machine without one."""
    if not nvml():
        return None
    handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
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
