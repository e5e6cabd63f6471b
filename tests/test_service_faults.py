"""What no client should ever see, and what no client should be able to leave behind."""

import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from service.app import create_app
from service.clock import Clock
from service.limits import Refusal
from service.settings import read
from service.slots import Slots
from service.tracks import Answer
from service.worker import Worker
from tests.conftest import NO_TLS

JPEG = {"content-type": "image/jpeg"}


class Faulty:
    """A track with a fault in it, or with a complaint about every picture."""

    name = "A"

    def __init__(self, error: type[Exception], *said: str) -> None:
        self.slots = Slots(2)
        self.error = error
        self.said = said

    def engine(self, model: str) -> str:
        return "none"

    async def answer(self, model: str, data: bytes, clock: Clock) -> Answer:
        return await self.slots.run(clock, self.stages)

    def stages(self) -> Answer:
        raise self.error(*self.said)


@contextmanager
def served(track: Faulty, **settings: str) -> Iterator[httpx.Client]:
    """The application with this track, behind a real server in this process."""
    settings |= {"TRACK": "A", "TRITON_URL": "none"}
    worker = Worker(read({f"SERVICE_{name}": value for name, value in settings.items()}))
    worker.tracks["A"] = track
    config = uvicorn.Config(create_app(worker), log_config=None, ws="none", lifespan="on")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=url, timeout=20, verify=NO_TLS) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@pytest.mark.parametrize("upload", ["form", "direct"])
@pytest.mark.parametrize("middleware", ["decorator", "asgi"])
def test_a_fault_of_the_service_is_json_too_and_in_its_log_once(
    upload: str, middleware: str, caplog: pytest.LogCaptureFixture
) -> None:
    track = Faulty(ZeroDivisionError, "a secret")
    with served(track, UPLOAD=upload, MIDDLEWARE=middleware) as client:
        answers = [
            client.post("/predict/nano", content=b"x", headers=JPEG),
            client.post("/predict/nano", files={"image": b"x"}),
            client.post("/predict/nano/batch", files={"image": b"x"}),
        ]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
        assert "secret" not in answer.text
        assert "total;dur=" in answer.headers["server-timing"]
    logged = [record for record in caplog.records if record.exc_info]
    assert [record.name for record in logged] == ["service"] * len(answers)
    assert "a secret" in caplog.text


@contextmanager
def no_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def left_over() -> list[Any]:
    return [thing for thing in gc.get_objects() if isinstance(thing, Refusal)]


@pytest.mark.parametrize(("preset", "upload"), [("baseline", "form"), ("optimized", "direct")])
def test_a_refused_upload_is_gone_with_its_answer(preset: str, upload: str) -> None:
    # A refusal that is still there is in a cycle with its traceback, whose frames hold the upload.
    track = Faulty(Refusal, "image_broken", "no picture")
    limits = {"MAX_BYTES": "5000", "RECEIVE_TIMEOUT_S": "0.2"}
    with (
        served(track, PRESET=preset, UPLOAD=upload, **limits) as client,
        no_garbage_collector(),
    ):
        assert client.post("/predict/nano", content=b"x", headers=JPEG).status_code == 400
        assert client.post("/predict/nano", files={"image": b"x"}).status_code == 400
        many = iter([b"x" * 3000] * 3)
        assert client.post("/predict/nano", content=many, headers=JPEG).status_code == 413
        assert client.post("/predict/nano", content=slow(), headers=JPEG).status_code == 408
        deadline = time.monotonic() + 5
        while left_over() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left_over() == []


def slow() -> Iterator[bytes]:
    yield b"x"
    time.sleep(0.6)
    yield b"x"
