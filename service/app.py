"""The application: middleware, error answers and routes put together for one worker process."""

import asyncio
import ctypes
import logging
import os
import signal
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, ORJSONResponse
from starlette.exceptions import HTTPException
from uvicorn.config import STARTUP_FAILURE

from service import api, facts, imaging, peers, run_folder
from service.clock import CLOCK
from service.limits import BODY, App, Guard, Refusal, internal
from service.metrics import Metrics
from service.settings import Settings, read
from service.timing import Observer, Timing, decorated
from service.worker import NOT_WARM, Worker

if TYPE_CHECKING:
    from service.tracing import Tracing

PR_SET_PDEATHSIG = 1  # of linux/prctl.h

CODES = {400: "form_broken", 404: "not_found", 405: "method_not_allowed"}

log = logging.getLogger("service")


def create_app(worker: Worker) -> App:
    """
    The application with its layers, the last one added the outermost.

    `add_middleware` puts a layer behind five of FastAPI's own, for error pages and telemetry,
    which a request and each part of its answer pass. Plain ASGI can stand before them: the
    guard answers for errors, and what FastAPI is not needed for does not come to it.
    """
    settings = worker.settings
    metrics = Metrics(worker, run_folder.here()) if settings.metrics == "on" else None
    observer = Observer(settings.slow_ms, metrics, tracing(settings, metrics))
    app = api_app(worker, observer)
    if settings.middleware == "asgi":
        inner: App = app
        if settings.upload == "direct":
            inner = api.Direct(inner, app.state.encode, worker)
        app.state.outermost = Timing(Guard(inner, **limits(settings), count=metrics), observer)
        return peers.wrapped(app.state.outermost, app, settings)
    if settings.upload == "direct":
        app.add_middleware(api.Direct, encode=app.state.encode, worker=worker)
    app.add_middleware(Guard, **limits(settings), count=metrics)
    app.middleware("http")(decorated(observer))
    return peers.wrapped(app, app, settings)


def tracing(settings: Settings, metrics: Metrics | None) -> "Tracing | None":
    """What records spans, if they are wanted; without, nothing of it is loaded."""
    if settings.tracing not in ("grpc", "http"):
        return None
    from service.tracing import Tracing

    return Tracing(settings, metrics)


def limits(settings: Settings) -> dict[str, Any]:
    return {
        "max_bytes": settings.max_bytes,
        "timeout_s": settings.receive_timeout_s,
        "admission": settings.admission,
    }


def api_app(worker: Worker, observer: Observer) -> FastAPI:
    """The routes, and how errors are answered."""
    settings = worker.settings
    app = FastAPI(
        title="windtunnel: object detection",
        lifespan=lifespan,
        default_response_class=response_class(settings),
        # FastAPI's own would find any provider that somebody sets, and count twice.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.worker = worker
    app.state.observer = observer
    app.state.outermost = app
    app.state.encode = api.ENCODERS[settings.json]
    app.state.missing = readiness(worker)
    app.add_exception_handler(Refusal, on_refusal)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    # Starlette raises the error again after this answer, and the guard logs it.
    app.add_exception_handler(Exception, on_fault)
    app.include_router(api.predictions(settings, app.state.encode, worker))
    app.include_router(facts.routes(worker, observer.metrics))
    return app


def response_class(settings: Settings) -> type[JSONResponse]:
    if settings.json != "orjson_response":
        return JSONResponse
    # FastAPI deprecates this class. The recipe under test is to make it the default all the
    # same, so the one warning that says so is the only one silenced.
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    return ORJSONResponse


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    observer: Observer = app.state.observer
    await app.state.worker.start()
    if observer.metrics is not None:
        observer.metrics.start()
    run_folder.say_warm()
    yield
    await app.state.worker.stop()
    if observer.metrics is not None:
        await observer.metrics.stop()
    if observer.tracing is not None:
        await asyncio.to_thread(observer.tracing.stop)


def readiness(worker: Worker) -> Callable[[], Awaitable[str]]:
    """
    What this worker lacks, or that others have not once been warm; nothing if all is well.

    A worker that still loads its models takes the CPU from those that answer, so a
    measurement must not begin before the last one. One that is recycled later does not
    make the service unready.
    """
    folder = run_folder.here()
    all_were = folder is None

    async def missing() -> str:
        nonlocal all_were
        if not all_were and folder is not None:
            all_were = run_folder.warm(folder) >= worker.settings.workers
        return await worker.missing() if all_were else NOT_WARM

    return missing


async def on_refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    return refused(request, error)


def refused(
    request: Request, refusal: Refusal, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    request.scope[CLOCK].code = refusal.code
    return JSONResponse(refusal.body(), refusal.status, headers or refusal.headers())


async def on_http_exception(request: Request, error: Exception) -> JSONResponse:
    """What Starlette refuses by itself: a path, a method, a form it cannot parse."""
    assert isinstance(error, HTTPException)
    code = CODES.get(error.status_code, "request_not_valid")
    sentences = {
        "not_found": f"there is no {request.url.path[:100]!r}; POST /predict/{{model}}",
        "method_not_allowed": f"{request.method} is not what this path answers",
    }
    refusal = Refusal(code, sentences.get(code, str(error.detail)))
    return refused(request, refusal, error.headers)


async def on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    if any("image" in problem["loc"] for problem in error.errors()):
        return await on_refusal(request, api.no_file(request))
    first: Any = error.errors()[0]
    where = ".".join(str(step) for step in first["loc"])
    return await on_refusal(request, Refusal("request_not_valid", f"{where}: {first['msg']}"))


async def on_fault(request: Request, error: Exception) -> JSONResponse:
    body = request.scope.get(BODY)
    return await on_refusal(request, body.fault() if body else internal())


def die_with_parent(settings: Settings) -> None:
    """A worker whose supervisor was killed would keep the port, and nobody would know it."""
    if settings.workers > 1 or settings.recycle_requests:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def create() -> App:
    """The factory that uvicorn calls in each worker; what fails here fails in every worker."""
    settings = read(os.environ)
    die_with_parent(settings)
    try:
        imaging.prepare(settings.imaging)
        worker = Worker(settings)
        worker.warm_up()
        return create_app(worker)
    except Exception as error:
        log.error("the worker cannot start: %s", (str(error) or repr(error)).splitlines()[0])
        # With this status uvicorn's supervisor stops too, instead of trying for ever.
        sys.exit(STARTUP_FAILURE)
