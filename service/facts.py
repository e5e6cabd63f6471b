"""What the service says about itself: whether it is up, what it can do, what it is."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import REGISTRY
from starlette.responses import Response

from service import detection, health
from service.limits import Refusal
from service.metrics import Metrics, exposition
from service.routes import paths
from service.worker import Worker


def routes(worker: Worker, metrics: Metrics | None) -> APIRouter:
    router = APIRouter()
    one_scrape = asyncio.Lock()

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz(request: Request) -> dict[str, str]:
        if missing := await request.app.state.missing():
            raise Refusal("not_ready", missing)
        return {"status": "ready"}

    @router.get("/models", response_model=None)
    async def models() -> dict[str, Any]:
        return {"models": [describe(model) for model in detection.SIZES], "tracks": tracks(worker)}

    @router.get("/health", response_model=None)
    async def get_health(request: Request) -> dict[str, Any]:
        # From a thread: asking a GPU about itself may take milliseconds.
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(health.report, request.app, worker, loop)

    @router.get("/metrics", response_class=Response)
    async def get_metrics(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        # From a thread: it takes tens of milliseconds, and requests are waiting; and one at a time.
        async with one_scrape:
            text, content_type = await asyncio.to_thread(told, worker, metrics, accept)
        return Response(text, headers={"content-type": content_type})

    return router


def told(worker: Worker, metrics: Metrics | None, accept: str) -> tuple[bytes, str]:
    """Our metrics, or those of whoever counts instead."""
    if metrics is not None:
        return exposition(metrics.registry, accept)
    if worker.settings.metrics == "off":
        raise Refusal("not_found", "metrics are switched off; start with SERVICE_METRICS=on")
    return exposition(REGISTRY, accept)


def describe(model: str) -> dict[str, Any]:
    return {
        "name": model,
        "network": "NanoDet-g",
        "input_size": detection.SIZES[model],
        "labels": list(detection.LABELS),
        "paths": {track or "default": path for path, track in paths(model)},
    }


def tracks(worker: Worker) -> dict[str, dict[str, str]]:
    """What runs each model on each track; Triton is known once it has answered on it."""
    return {
        name: {model: track.engine(model) for model in detection.SIZES}
        for name, track in worker.tracks.items()
    }
