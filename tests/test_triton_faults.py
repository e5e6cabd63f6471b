"""A Triton that dies, hangs, is full or lacks the model: a clear answer, and no restart."""

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from benchmarks.triton.served import Served
from benchmarks.triton.server import Ports, Server
from service import remote, tensors
from service.clock import Clock
from service.detection import WARM_UP
from service.remote import Remote
from service.settings import read
from service.slots import Slots
from tests.conftest import NO_TLS, ROOT, Service, launched, running

Serving = Callable[..., Service]

CAT = (ROOT / "loadtests/images/cat-451x300.jpg").read_bytes()
JPEG = {"content-type": "image/jpeg"}
TIMEOUT_S = "1.5"


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A small Triton of this test alone."""
    yield from running(Server(Served(("nano",), ("B", "D")), tmp_path / "log", ports=Ports.free()))


def serve(serving: Serving, triton: Server, **more: str) -> Service:
    settings = {"PRESET": "optimized", "TRACK": "B", "TRITON_TIMEOUT_S": TIMEOUT_S}
    return serving(**(settings | {"TRITON_URL": triton.grpc} | more))


def post(client: httpx.Client, path: str = "/predict/nano") -> httpx.Response:
    return client.post(path, content=CAT, headers=JPEG)


def code(answer: httpx.Response) -> str:
    found: dict[str, Any] = answer.json()
    return str(found["error"]["code"]) if "error" in found else ""


class Load:
    """Clients that ask without pause, and every answer that they get."""

    def __init__(self, service: Service, clients: int) -> None:
        self.answers: list[tuple[float, int, str, str]] = []
        self.broken: list[str] = []
        self._service, self._stop = service, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self) -> None:
        with self._service.client() as client:
            while not self._stop.is_set():
                try:
                    answer = post(client)
                except httpx.HTTPError as error:
                    self.broken.append(repr(error))
                    return
                retry = answer.headers.get("retry-after", "")
                self.answers.append((time.monotonic(), answer.status_code, code(answer), retry))
                if answer.status_code != 200:
                    time.sleep(0.02)  # a refusal is quick, and thousands of them show no more


@pytest.mark.parametrize("preset", ["baseline", "optimized"])
def test_a_triton_that_is_killed_under_load_is_answered_for_and_found_again(
    serving: Serving, mortal: Server, preset: str
) -> None:
    service = serve(serving, mortal, PRESET=preset)
    with Load(service, clients=8) as load:
        time.sleep(1.0)
        assert mortal.pid
        os.kill(mortal.pid, signal.SIGKILL)
        time.sleep(1.0)
        with service.client() as client:
            unready = client.get("/readyz")
        mortal.stop(0)
        mortal.start()
        mortal.wait_ready()
        back = time.monotonic()
        time.sleep(3.0)
    statuses = Counter((status, named) for _, status, named, _ in load.answers)
    assert load.broken == []
    assert {status for status, _ in statuses} == {200, 503}, statuses
    assert {named for status, named in statuses if status == 503} <= {
        "triton_unavailable",
        "model_not_loaded",  # a server that has begun to listen and not yet loaded it
    }
    assert all(retry == "1" for _, status, _, retry in load.answers if status == 503)
    first = min(at for at, status, _, _ in load.answers if status == 200 and at > back)
    assert first - back < 2.0
    later = [status for at, status, _, _ in load.answers if at > back + 2.0]
    assert len(later) > 5
    assert set(later) == {200}
    assert (unready.status_code, code(unready)) == (503, "not_ready")
    with service.client() as client:
        assert client.get("/readyz").status_code == 200
        assert [d["label"] for d in post(client).json()["detections"]] == ["cat"]
    # The new server was told of one region for each request in flight, and of none twice.
    assert len(regions(mortal)) <= (9 if preset == "optimized" else 0)
    assert "Traceback" not in service.log.read_text()


def stubs(server: Server) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(server.pid).children()
    return found


def test_a_triton_that_hangs_is_given_up_at_the_deadline(serving: Serving, mortal: Server) -> None:
    service = serve(serving, mortal)
    with service.client() as client:
        assert post(client).status_code == 200
        # All of it: a stub that hangs alone is noticed by Triton itself.
        server = psutil.Process(mortal.pid)
        server.suspend()
        began = time.monotonic()
        late = post(client)
        took = time.monotonic() - began
        server.resume()
        again = [post(client) for _ in range(5)]
    assert (late.status_code, code(late), late.headers["retry-after"]) == (
        504,
        "triton_timeout",
        "1",
    )
    assert float(TIMEOUT_S) <= took < float(TIMEOUT_S) + 1.0
    assert [answer.status_code for answer in again] == [200] * 5


def test_a_stub_that_died_is_told_from_a_model_that_answers(
    serving: Serving, mortal: Server
) -> None:
    with serve(serving, mortal).client() as client:
        assert post(client).status_code == 200
        for stub in stubs(mortal):
            stub.kill()
        answers = [post(client) for _ in range(4)]
    assert {(a.status_code, code(a)) for a in answers} <= {
        (503, "triton_unavailable"),
        (504, "triton_timeout"),
    }


def test_a_model_that_is_not_loaded_is_named(serving: Serving, mortal: Server) -> None:
    with serve(serving, mortal).client() as client:
        answers = [post(client, f"/predict/{name}") for name in ("nano_end2end", "small")]
        loaded = post(client)
    assert [(a.status_code, code(a)) for a in answers] == [(503, "model_not_loaded")] * 2
    assert "nano_end2end" in answers[0].json()["error"]["message"]
    assert loaded.status_code == 200


def test_a_full_queue_is_answered_at_once(serving: Serving, tmp_path: Path) -> None:
    served = Served(("nano",), ("B",), max_queue=1, instances=1, max_batch=1)
    for triton in running(Server(served, tmp_path / "log", ports=Ports.free())):
        service = serve(serving, triton, TRITON_TIMEOUT_S="20")
        with service.client() as client, ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: post(client), range(48)))
            assert post(client).status_code == 200
    found = Counter((answer.status_code, code(answer)) for answer in answers)
    assert set(found) == {(200, ""), (503, "triton_overloaded")}, found


def test_a_service_that_starts_without_its_triton_serves_when_it_comes(
    serving: Serving, tmp_path: Path
) -> None:
    triton = Server(Served(("nano",), ("B",)), tmp_path / "log", ports=Ports.free())
    # Its default track is not the one that is missing, or it would not be ready.
    with serve(serving, triton, TRACK="A").client() as client:
        before = post(client, "/predict/nano?track=B")
        local = post(client)
        for _ in running(triton):
            time.sleep(0.5)
            after = post(client, "/predict/nano?track=B")
    assert (before.status_code, code(before)) == (503, "triton_unavailable")
    assert (local.status_code, local.json()["track"]) == (200, "A")
    assert (after.status_code, after.json()["track"]) == (200, "B")


def regions(triton: Server) -> list[str]:
    """The shared memory that Triton has mapped."""
    listed = httpx.get(f"http://{triton.http}/v2/systemsharedmemory/status", verify=NO_TLS).json()
    return [region["name"] for region in listed]


def test_no_name_is_left_in_shared_memory_and_triton_lets_go_at_the_end(
    mortal: Server, tmp_path: Path
) -> None:
    settings = {"PRESET": "optimized", "TRACK": "B", "TRITON_URL": mortal.grpc}
    killed, process = launched(tmp_path / "killed", **settings)
    try:
        with killed.client() as client:
            assert post(client).status_code == 200
        assert list(Path("/dev/shm").glob(f"{tensors.OWN}-{killed.pid}-*")) == []
        assert regions(mortal)
    finally:
        process.kill()
        process.wait()
    # One that is killed cannot have it let go; the next that starts does that for it.
    assert any(name.startswith(f"{tensors.OWN}-{killed.pid}-") for name in regions(mortal))
    stopped, process = launched(tmp_path / "stopped", **settings)
    try:
        with stopped.client() as client:
            assert post(client).status_code == 200
        mine = regions(mortal)
    finally:
        process.terminate()
        assert process.wait(20) == 0
    assert mine
    assert all(name.startswith(f"{tensors.OWN}-{stopped.pid}-") for name in mine)
    assert regions(mortal) == []


def in_process(triton: Server, **settings: str) -> tuple[Remote, Slots]:
    """The tracks without a service around them."""
    given = {"SERVICE_PRESET": "optimized", "SERVICE_TRITON_URL": triton.grpc} | settings
    slots = Slots(1)
    return Remote(read(given), slots), slots


def test_a_triton_that_does_not_see_our_memory_gets_the_tensors_inline(
    triton: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # A folder in which Triton does not look: as if it were on another machine.
    monkeypatch.setattr(tensors, "FOLDER", tmp_path)

    async def answers() -> tuple[dict[str, Any], int]:
        way, slots = in_process(triton)
        found = await way.tracks["B"].answer("nano", WARM_UP.read_bytes(), Clock())
        known = len(way.memory.known)
        await way.close()
        slots.close()
        return found, known

    found, known = asyncio.run(answers())
    assert [d["label"] for d in found["detections"]] == ["cat"]
    assert known == 0
    assert "inline" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_beyond_the_budget_tensors_go_inline_and_refusals_cost_no_memory(
    mortal: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensors, "MAX_BYTES", 2_000_000)  # three regions of nano, one of small

    async def ask() -> tuple[list[Any], int, list[str], int]:
        way, slots = in_process(mortal)
        picture = WARM_UP.read_bytes()
        jobs = [way.tracks["B"].answer("nano", picture, Clock()) for _ in range(12)]
        answers = list(await asyncio.gather(*jobs))
        kept = way.memory.bytes
        refused = await asyncio.gather(
            *(way.tracks["B"].answer("small", picture, Clock()) for _ in range(8)),
            return_exceptions=True,
        )
        retiring = len(way.memory.retiring)
        await way.close()
        slots.close()
        return answers, kept, [getattr(error, "code", repr(error)) for error in refused], retiring

    answers, kept, refused, retiring = asyncio.run(ask())
    assert [[d["label"] for d in a["detections"]] for a in answers] == [["cat"]] * 12
    assert 0 < kept <= 2_000_000
    assert refused == ["model_not_loaded"] * 8
    assert retiring == 0
    assert regions(mortal) == []
    assert list(Path("/dev/shm").glob(f"{tensors.OWN}-{os.getpid()}-*")) == []


@pytest.mark.parametrize("kind", ["shared_memory", "inline"])
def test_a_request_that_is_given_up_does_not_share_its_tensors_with_the_next(
    triton: Server, kind: str
) -> None:
    rocket = (ROOT / "loadtests/images/rocket-640x427.jpg").read_bytes()

    async def ask() -> tuple[Any, Any]:
        way, slots = in_process(triton, SERVICE_TENSORS=kind)
        track, busy = way.tracks["B"], threading.Event()
        alone = await track.answer("nano", rocket, Clock())
        # The one thread is busy, so that the job of the first is still to come when it is given up.
        waiting = asyncio.create_task(slots.run(Clock(), busy.wait, 5))
        first = asyncio.create_task(track.answer("nano", CAT, Clock()))
        await asyncio.sleep(0.1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        second = asyncio.create_task(track.answer("nano", rocket, Clock()))
        await asyncio.sleep(0.05)
        busy.set()
        answer = await second
        await waiting
        await way.close()
        slots.close()
        return alone["detections"], answer["detections"]

    alone, answer = asyncio.run(ask())
    assert answer == alone


def test_a_triton_that_dies_while_nobody_asks_makes_the_service_unready(
    serving: Serving, mortal: Server
) -> None:
    with serve(serving, mortal).client() as client:
        assert client.get("/readyz").status_code == 200
        psutil.Process(mortal.pid).kill()
        deadline = time.monotonic() + remote.FRESH_S + 3
        while client.get("/readyz").status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_traceparent_that_is_none_is_not_passed_on(serving: Serving, triton: Server) -> None:
    with serve(serving, triton).client() as client:
        for value in (b"caf\xe9", b"00-short-01", b"\x01"):
            headers = [(b"content-type", b"image/jpeg"), (b"traceparent", value)]
            answer = client.post("/predict/nano", content=CAT, headers=headers)
            assert answer.status_code in (200, 400)  # h11 and httptools refuse control characters


CYCLES = 1000


def test_a_thousand_connections_leak_neither_memory_nor_descriptors(
    triton: Server, tmp_path: Path
) -> None:
    """Each request is a connection to the service and, with these settings, one to Triton."""
    # A picture of one pixel: what is repeated is the connecting.
    dot = (ROOT / "tests/data/hostile/1x1.jpg").read_bytes()
    service, process = launched(
        tmp_path / "log",
        PRESET="optimized",
        TRACK="B",
        CLIENTS="per_request",
        TENSORS="shared_memory",
        TRITON_URL=triton.grpc,
    )
    seen = psutil.Process(service.pid)

    def ask(_: int) -> int:
        # httpx would read the certificates of all authorities for each.
        with closing(HTTPConnection(service.url.removeprefix("http://"), timeout=30)) as connection:
            connection.request("POST", "/predict/nano", dot, JPEG)
            answer = connection.getresponse()
            answer.read()
            return answer.status

    try:
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(ask, range(100))) == {200}
            before = seen.num_fds(), seen.memory_info().rss
            assert set(pool.map(ask, range(CYCLES))) == {200}
        deadline = time.monotonic() + 5
        while seen.num_fds() > before[0] and time.monotonic() < deadline:
            time.sleep(0.1)
        after = seen.num_fds(), seen.memory_info().rss
    finally:
        process.terminate()
        assert process.wait(20) == 0
    assert after[0] <= before[0] + 4, f"{before[0]} descriptors became {after[0]}"
    assert after[1] - before[1] < 10e6, f"{before[1]} bytes became {after[1]}"
