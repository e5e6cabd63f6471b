"""
The endpoints, and how a picture gets out of a request.

`form` takes it through FastAPI's UploadFile. `direct` is an endpoint before FastAPI's that
reads the body as it is and finds the one picture in it; whatever is not the plain form of
one file goes to the same library that `form` uses.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, File, Request, UploadFile
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, ORJSONResponse, Response
from starlette.datastructures import QueryParams
from starlette.datastructures import UploadFile as FormFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service import detection
from service.clock import CLOCK
from service.limits import BODY, App, Body, Message, Receive, Refusal, Scope, Send
from service.routes import ENDPOINTS, PATHS, PREDICT, PREDICT_BATCH, PREDICT_LOCAL
from service.settings import Settings
from service.tracks import Answer, Track
from service.worker import Worker

BOUNDARY = re.compile(rb"multipart/form-data; ?boundary=([0-9A-Za-z'()+_,./:=?-]{1,70})", re.I)
PART_HEAD = re.compile(
    rb'(?i:content-disposition): form-data; name="image"; filename="[^"\\\r\n]*"'
    rb"(?:\r\n(?i:content-type): [^\r\n]*)?"
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
    raise type_unknown(request)


def type_unknown(request: Request) -> Refusal:
    kind = request.headers.get("content-type", "")
    return Refusal(
        "body_type_unknown",
        f"found Content-Type {kind[:80]!r}; send multipart/form-data with a field 'image', or the "
        "bytes of the picture as image/jpeg, image/png or image/webp",
    )


async def pictures(request: Request) -> list[bytes]:
    """The pictures of a request, by the library; a raw body is one picture."""
    if not is_form(request):
        return [await request.body()]
    try:
        async with request.form() as form:
            values = form.getlist("image")
            if not values or not all(isinstance(value, FormFile) for value in values):
                raise missing()
            return [await value.read() for value in values if isinstance(value, FormFile)]
    except HTTPException as error:  # what Starlette makes of a parser's complaint
        raise Refusal("form_broken", str(error.detail)) from error


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


def no_file(request: Request) -> Refusal:
    """What is wrong with a field `image` that is no file: the field, or the kind of form."""
    kind = request.headers.get("content-type", "")
    multipart = kind.lower().startswith("multipart/form-data")
    return missing() if multipart else type_unknown(request)


def known_model(name: str) -> tuple[str, str | None]:
    """The model and the track of the last part of a path."""
    if name not in ENDPOINTS:
        names = ", ".join(detection.SIZES)
        raise Refusal("model_unknown", f"found model {name[:50]!r}; expected one of {names}")
    return ENDPOINTS[name]


Encoder = Callable[[Answer], Response]

# FastAPI does for a dict what the first two do, with its default response class.
ENCODERS: dict[str, Encoder] = {
    "stdlib": lambda answer: JSONResponse(jsonable_encoder(answer)),
    "orjson_response": lambda answer: ORJSONResponse(jsonable_encoder(answer)),
    "bytes": lambda answer: Response(orjson.dumps(answer), media_type="application/json"),
}


class Direct:
    """
    The endpoint of one picture before FastAPI's: the body as it comes, one look, one answer.

    After an inference the caches are cold, and every layer that a request goes through
    costs twice what it costs in a benchmark of that layer. FastAPI's own route of the same
    path stays for the API's description.
    """

    def __init__(self, app: App, encode: Encoder, worker: Worker) -> None:
        self.app = app
        self.encode = encode
        self.as_bytes = encode is ENCODERS["bytes"]
        self.worker = worker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = PATHS.get(scope["path"]) if scope["type"] == "http" else None
        if asked and scope["method"] == "POST":
            await self.answer(*asked, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def answer(
        self, model: str, named: str | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        track = self.worker.track(query_track(scope["query_string"]) or named)
        guarded: Body = scope[BODY]
        body = await guarded.whole()
        if guarded.disconnected:
            raise ClientDisconnect
        kind = header(scope, b"content-type")
        data = body if kind.startswith(b"image/") else only_part(kind, body)
        if data is None:
            # With an app in its scope, the library's complaints are HTTP errors.
            data = only(await pictures(Request({**scope, "app": self.app}, once(body))))
        del body  # a form's is as large again as the picture in it
        answer = await self.worker.one(track, model, data, scope[CLOCK])
        if self.as_bytes:
            await send_json(send, orjson.dumps(answer))
        else:
            await self.encode(answer)(scope, receive, send)


async def send_json(send: Send, body: bytes) -> None:
    """What a Response comes to, without making one."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def once(body: bytes) -> Receive:
    """A body that has been read, to be read again by the library."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def header(scope: Scope, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            found: bytes = value
            return found
    return b""


def query_track(query: bytes) -> str | None:
    """Most requests have no query, and need no parser for it."""
    return QueryParams(query).get("track") if query else None


def predictions(settings: Settings, encoder: Encoder, worker: Worker) -> APIRouter:
    """The two endpoints under test, in the form that the settings ask for."""
    router = APIRouter()
    as_bytes = encoder is ENCODERS["bytes"]

    def encode(answer: Answer) -> Any:
        return encoder(answer) if as_bytes else answer

    def track_of(request: Request, named: str | None) -> Track:
        return worker.track(request.query_params.get("track") or named)

    async def answer(request: Request, model: str, track: Track, image: Files) -> Any:
        if not is_form(request):
            data = await request.body()
        elif image:
            data = only([await file.read() for file in image])
        else:
            raise missing()
        return encode(await worker.one(track, model, data, request.scope[CLOCK]))

    async def predict(request: Request, model: str, image: Files = None) -> Any:
        name, named = known_model(model)
        return await answer(request, name, track_of(request, named), image)

    async def predict_local(request: Request, model: str, image: Files = None) -> Any:
        name, named = known_model(model)
        return await answer(request, name, track_of(request, named or "A"), image)

    async def batch(request: Request, model: str) -> Any:
        name, named = known_model(model)
        track = track_of(request, named)
        found = await pictures(request)
        if len(found) > settings.max_images:
            raise Refusal(
                "too_many_images",
                f"the form has {len(found)} images; at most {settings.max_images} are accepted",
            )
        return encode(await worker.many(track, name, found, request.scope[CLOCK]))

    described: dict[str, Any] = {
        "methods": ["POST"],
        "response_model": None,
        "openapi_extra": BODY_SCHEMA,
    }
    router.add_api_route(PREDICT, predict, name="predict", **described)
    router.add_api_route(PREDICT_LOCAL, predict_local, name="predict_local", **described)
    router.add_api_route(PREDICT_BATCH, batch, name="predict_batch", **described)
    return router
