"""What the service says about itself: whether it is up, what it can do, what it is."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request

from service import api, detection, health
from service.limits import Refusal
from service.worker import Worker


def routes(worker: Worker) -> APIRouter:
    router = APIRouter()

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

    return router


def describe(model: str) -> dict[str, Any]:
    return {
        "name": model,
        "network": "NanoDet-g",
        "input_size": detection.SIZES[model],
        "labels": list(detection.LABELS),
        "paths": {track or "default": path for path, track in api.paths(model)},
    }


def tracks(worker: Worker) -> dict[str, dict[str, str]]:
    """What runs each model on each track; Triton is known once it has answered on it."""
    return {
        name: {model: track.engine(model) for model in detection.SIZES}
        for name, track in worker.tracks.items()
    }
