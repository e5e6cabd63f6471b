"""
The endpoints, and how a picture gets out of a request.

`form` takes it through FastAPI's UploadFile. `direct` reads the body as it is and finds the
one picture in it; whatever is not the plain form of one file goes to the same library that
`form` uses.
"""

import asyncio
import re
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, File, Request, UploadFile
from fastapi.responses import Response
from starlette.datastructures import UploadFile as FormFile

from service import detection, health
from service.limits import Refusal
from service.settings import Settings
from service.telemetry import CLOCK
from service.tracks import Worker

BOUNDARY = re.compile(rb"multipart/form-data; ?boundary=([0-9A-Za-z'()+_,./:=?-]{1,70})", re.I)
PART_HEAD = re.compile(
    rb'content-disposition: form-data; name="image"; filename="[^"\\\r\n]*"'
    rb"(?:\r\ncontent-type: [^\r\n]*)?",
    re.I,
)
# A sane part head is some 100 bytes; a longer one is for the library to judge.
MAX_PART_HEAD_BYTES = 1024

Files = Annotated[list[UploadFile] | None, File(description="the picture: JPEG, PNG or WebP")]

BODY_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "format": "binary"}},
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def is_form(request: Request) -> bool:
    kind = request.headers.get("content-type", "")
    if kind.lower().startswith("multipart/form-data"):
        return True
    if kind.lower().startswith(("image/", "application/octet-stream")):
        return False
    raise Refusal(
        "body_type_unknown",
        f"found Content-Type {kind[:80]!r}; send multipart/form-data with a field 'image', or the "
        "bytes of the picture as image/jpeg, image/png or image/webp",
    )


async def pictures(request: Request) -> list[bytes]:
    """The pictures of a request, by the library; a raw body is one picture."""
    if not is_form(request):
        return [await request.body()]
    form = await request.form()
    values = form.getlist("image")
    if not values or not all(isinstance(value, FormFile) for value in values):
        raise missing()
    return [await value.read() for value in values if isinstance(value, FormFile)]


async def picture_direct(request: Request) -> bytes:
    """The one picture of a request, found in the body without a parser where that is safe."""
    body = await request.body()
    if not is_form(request):
        return body
    part = only_part(request.headers["content-type"].encode("latin-1"), body)
    return only(await pictures(request)) if part is None else part


def only_part(content_type: bytes, body: bytes) -> bytes | None:
    """The content of a form that is one file named `image` and nothing else, or None."""
    named = BOUNDARY.fullmatch(content_type)
    if named is None:
        return None
    delimiter = b"--" + named[1]
    head_at = len(delimiter) + 2
    head_end = body.find(b"\r\n\r\n", head_at, head_at + MAX_PART_HEAD_BYTES)
    if head_end < 0 or body[:head_at] != delimiter + b"\r\n":
        return None
    if not PART_HEAD.fullmatch(body, head_at, head_end):
        return None
    end = body.find(b"\r\n" + delimiter, head_end + 2)
    if end < 0 or body[end + 2 :] not in (delimiter + b"--\r\n", delimiter + b"--"):
        return None
    return body[head_end + 4 : end]


def only(found: list[bytes]) -> bytes:
    if len(found) > 1:
        raise Refusal(
            "image_not_alone",
            f"the form has {len(found)} images; send one, or use /predict/{{model}}/batch",
        )
    return found[0]


def missing() -> Refusal:
    return Refusal("image_missing", "the form has no file in a field named 'image'")


def known_model(request: Request) -> str:
    model: str = request.path_params["model"]
    if model not in detection.SIZES:
        names = ", ".join(detection.SIZES)
        raise Refusal("model_unknown", f"found model {model[:50]!r}; expected one of {names}")
    return model


def as_bytes(answer: dict[str, Any]) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json")


def as_values(answer: dict[str, Any]) -> Any:
    """FastAPI encodes it: jsonable_encoder, then the default response class of the app."""
    return answer


def predictions(settings: Settings, worker: Worker) -> APIRouter:
    """The two endpoints under test, in the form that the settings ask for."""
    router = APIRouter()
    encode = as_bytes if settings.json == "bytes" else as_values

    async def one(request: Request, data: bytes, model: str) -> Any:
        track = worker.track(request.query_params.get("track"))
        return encode(await worker.one(track, model, data, request.scope[CLOCK]))

    async def predict_form(request: Request, image: Files = None) -> Any:
        model = known_model(request)
        if not is_form(request):
            return await one(request, await request.body(), model)
        if not image:
            raise missing()
        return await one(request, only([await file.read() for file in image]), model)

    async def predict_direct(request: Request) -> Any:
        model = known_model(request)
        return await one(request, await picture_direct(request), model)

    async def batch(request: Request) -> Any:
        model = known_model(request)
        found = await pictures(request)
        if len(found) > settings.max_images:
            raise Refusal(
                "too_many_images",
                f"the form has {len(found)} images; at most {settings.max_images} are accepted",
            )
        track = worker.track(request.query_params.get("track"))
        return encode(await worker.many(track, model, found, request.scope[CLOCK]))

    described: dict[str, Any] = {
        "methods": ["POST"],
        "response_model": None,
        "openapi_extra": BODY_SCHEMA,
    }
    predict = predict_direct if settings.upload == "direct" else predict_form
    router.add_api_route("/predict/{model}", predict, name="predict", **described)
    router.add_api_route("/predict/{model}/batch", batch, name="predict_batch", **described)
    return router


def facts(worker: Worker) -> APIRouter:
    """What the service says about itself."""
    router = APIRouter()

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz(request: Request) -> dict[str, str]:
        if not request.app.state.ready():
            raise Refusal("not_ready", "not every worker has run a real inference yet")
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
        "path": f"/predict/{model}",
    }


def tracks(worker: Worker) -> dict[str, str]:
    return {name: track.engine for name, track in worker.tracks.items()}
