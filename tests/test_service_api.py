import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.telemetry import LOG_FIELDS, STAGES
from tests.conftest import (
    NO_TLS,
    ROOT,
    Service,
    service_environment,
    service_program,
    wait_until_ready,
)

Serving = Callable[..., Service]

CAT = (ROOT / "loadtests/images/cat-451x300.jpg").read_bytes()
JPEG = {"content-type": "image/jpeg"}
FORMS: dict[str, dict[str, Any]] = {
    "multipart": {"files": {"image": ("cat.jpg", CAT, "image/jpeg")}},
    "raw": {"content": CAT, "headers": JPEG},
}
# What differs between these is everything that touches a request outside the model.
PRESETS = ("baseline", "seed", "optimized")


def serve(serving: Serving, preset: str, **more: str) -> Service:
    return serving(PRESET=preset, WORKERS="1", RECYCLE_REQUESTS="0", **more)


def stages(answer: httpx.Response) -> dict[str, float]:
    entries = answer.headers["server-timing"].split(", ")
    return {name: float(dur) for name, dur in (entry.split(";dur=") for entry in entries)}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("form", FORMS)
def test_an_answer_has_the_shape_and_the_stage_times_of_the_contract(
    serving: Serving, preset: str, form: str
) -> None:
    with serve(serving, preset).client() as client:
        answer = client.post("/predict/nano", **FORMS[form])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert list(found) == ["model", "track", "engine", "image", "detections"]
    assert found | {"detections": []} == {
        "model": "nano",
        "track": "A",
        "engine": "onnxruntime-cpu",
        "image": {"width": 451, "height": 300},
        "detections": [],
    }
    (cat,) = found["detections"]
    assert (cat["class_id"], cat["label"]) == (15, "cat")
    assert 0.38 < cat["confidence"] < 0.50
    assert len(cat["box"]) == 4
    assert re.fullmatch(r"\d+\.\d\dms", answer.headers["x-process-time"])
    assert re.fullmatch(r"(\w+;dur=\d+\.\d{3}, ){7}total;dur=\d+\.\d{3}", timing(answer))
    spent = stages(answer)
    assert list(spent) == [*STAGES, "total"]
    assert spent["infer"] > 2
    assert sum(spent[name] for name in STAGES) <= spent["total"]


def timing(answer: httpx.Response) -> str:
    text: str = answer.headers["server-timing"]
    return text


@pytest.mark.parametrize("preset", PRESETS)
def test_track_null_is_marked_and_does_not_look_at_the_picture(
    serving: Serving, preset: str
) -> None:
    with serve(serving, preset).client() as client:
        answer = client.post("/predict/nano?track=null", content=b"no picture", headers=JPEG)
        empty = client.post("/predict/nano?track=null", content=b"", headers=JPEG)
        real = client.post("/predict/nano", **FORMS["raw"])
    found = answer.json()
    assert (answer.status_code, found["track"], found["engine"]) == (200, "null", "none")
    assert found["image"] is None
    assert [d["label"] for d in found["detections"]][:2] == ["person", "bicycle"]
    assert answer.headers["x-track"] == "null"
    assert real.headers["x-track"] == "A"
    assert set(stages(answer)) == {"queue", "receive", "serialize", "total"}
    assert (empty.status_code, empty.json()["error"]["code"]) == (400, "image_empty")


def test_the_default_track_is_a_setting_and_health_says_that_it_is_null(serving: Serving) -> None:
    service = serving(PRESET="optimized", WORKERS="1", TRACK="null")
    with service.client() as client:
        assert client.post("/predict/nano", **FORMS["multipart"]).json()["track"] == "null"
        assert client.post("/predict/nano?track=A", **FORMS["multipart"]).json()["track"] == "A"
        health = client.get("/health").json()
    assert health["track"] == "null"
    assert health["engine"]["real"] is False


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nothing", {}, 404, "not_found"),
        ("POST", "/predict/huge", FORMS["raw"], 404, "model_unknown"),
        ("POST", "/predict/huge/batch", FORMS["multipart"], 404, "model_unknown"),
        ("GET", "/predict/nano", {}, 405, "method_not_allowed"),
        ("POST", "/predict/nano?track=E", FORMS["multipart"], 422, "track_unknown"),
        ("POST", "/predict/nano?track=B", FORMS["multipart"], 503, "triton_unavailable"),
        ("POST", "/predict/nano_end2end", FORMS["multipart"], 503, "triton_unavailable"),
        ("POST", "/predict/nano_end2end/batch", FORMS["multipart"], 503, "triton_unavailable"),
        ("POST", "/pytorch/predict/huge", FORMS["multipart"], 404, "model_unknown"),
        ("POST", "/predict/nano", {"files": {"picture": CAT}}, 422, "image_missing"),
        ("POST", "/predict/nano", {"files": {"image": (None, b"text")}}, 422, "image_missing"),
        ("POST", "/predict/nano", {"files": [("image", CAT)] * 2}, 422, "image_not_alone"),
        ("POST", "/predict/nano/batch", {"files": {"a": CAT}}, 422, "image_missing"),
        ("POST", "/predict/nano/batch", {"files": [("image", CAT)] * 17}, 422, "too_many_images"),
        ("POST", "/predict/nano", {"json": {"image": "x"}}, 415, "body_type_unknown"),
        ("POST", "/predict/nano", {"content": CAT}, 415, "body_type_unknown"),
        ("POST", "/predict/nano", {"data": {"image": "x"}}, 415, "body_type_unknown"),
        ("POST", "/predict/nano", {"files": {"IMAGE": CAT}}, 422, "image_missing"),
        ("POST", "/predict/nano", {"files": {"image": ("a.jpg", b"")}}, 400, "image_empty"),
        (
            "POST",
            "/predict/nano",
            {"content": b"--x\r\nnonsense", "headers": {"content-type": "multipart/form-data"}},
            400,
            "form_broken",
        ),
    ],
)
def test_what_is_refused_is_json_with_a_code_a_sentence_and_times(
    serving: Serving,
    preset: str,
    method: str,
    path: str,
    body: dict[str, Any],
    status: int,
    code: str,
) -> None:
    with serve(serving, preset).client() as client:
        answer = client.request(method, path, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), answer.text
    assert set(error) == {"code", "message"}
    assert len(error["message"]) > 10
    assert stages(answer)["total"] > 0
    assert answer.headers["x-process-time"].endswith("ms")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_batch_answers_each_picture_in_its_order(serving: Serving, preset: str) -> None:
    dog = (ROOT / "loadtests/images/photographer-grey-512x512.jpg").read_bytes()
    files = [("image", CAT), ("image", b"no picture"), ("image", dog)]
    with serve(serving, preset).client() as client:
        answer = client.post("/predict/small/batch", files=files)
        alone = client.post("/predict/small", content=dog, headers=JPEG).json()
    found = answer.json()
    assert answer.status_code == 200
    assert list(found) == ["model", "track", "engine", "results"]
    first, second, third = found["results"]
    assert "cat" in [d["label"] for d in first["detections"]]
    assert second["error"]["code"] == "image_type_unknown"
    assert third == {"image": alone["image"], "detections": alone["detections"]}
    assert set(stages(answer)) == {*STAGES, "total"}


def test_unusual_forms_are_read_by_the_library_and_answered_alike(serving: Serving) -> None:
    """The direct reading is for one plain form; everything else must not notice it."""
    part = b'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n' + CAT
    other = b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    bodies = {
        "plain": b"--x\r\n" + part + b"\r\n--x--\r\n",
        "no end of line": b"--x\r\n" + part + b"\r\n--x--",
        "preamble": b"hello\r\n--x\r\n" + part + b"\r\n--x--\r\n",
        "another field": other + b"--x\r\n" + part + b"\r\n--x--\r\n",
        "epilogue": b"--x\r\n" + part + b"\r\n--x--\r\nbye",
    }
    answers = {}
    for preset in ("baseline", "optimized"):
        with serve(serving, preset).client() as client:
            for name, body in bodies.items():
                for kind in (
                    "multipart/form-data; boundary=x",
                    'multipart/form-data; boundary="x"',
                ):
                    headers = {"content-type": kind}
                    answer = client.post("/predict/nano", content=body, headers=headers)
                    answers[preset, name, kind] = answer.status_code
    ours = {key[1:]: status for key, status in answers.items() if key[0] == "optimized"}
    theirs = {key[1:]: status for key, status in answers.items() if key[0] == "baseline"}
    assert ours == theirs
    assert ours["plain", "multipart/form-data; boundary=x"] == 200


@pytest.mark.parametrize(
    ("preset", "settings", "flags"),
    [
        ("baseline", {}, {"loop": "asyncio", "http": "h11", "json": "stdlib", "upload": "form"}),
        ("optimized", {}, {"loop": "uvloop", "http": "httptools", "json": "bytes"}),
        ("seed", {}, {"json": "orjson_response", "pillow_simd": True, "middleware": "decorator"}),
        ("baseline", {"JSON": "orjson_response", "LOOP": "uvloop"}, {"json": "orjson_response"}),
        ("baseline", {"IMAGING": "pillow_draft", "HTTP": "httptools"}, {"http": "httptools"}),
        ("optimized", {"JSON": "stdlib", "UPLOAD": "form"}, {"imaging": "turbo", "upload": "form"}),
        ("optimized", {"MIDDLEWARE": "decorator", "HTTP": "h11"}, {"middleware": "decorator"}),
    ],
)
def test_each_setting_switches_what_its_name_says_and_nothing_else(
    serving: Serving, preset: str, settings: dict[str, str], flags: dict[str, Any]
) -> None:
    with serve(serving, preset, **settings).client() as client:
        health = client.get("/health").json()
        plain = client.get("/health") if settings else None
        answer = client.post("/predict/nano", **FORMS["multipart"])
        raw = client.post("/predict/nano", **FORMS["raw"])
    seen = health["performance"]["optimizations"]
    assert seen | flags == seen
    for name, value in settings.items():
        assert seen[name.lower()] == value
        assert health["settings"][f"SERVICE_{name}"] == value
    assert plain is None or plain.status_code == 200
    assert answer.status_code == raw.status_code == 200
    assert answer.json() == raw.json()


def test_health_tells_the_state_of_the_process(serving: Serving) -> None:
    service = serve(serving, "optimized")
    with service.client() as client:
        began = time.monotonic()
        health = client.get("/health").json()
        took = time.monotonic() - began
    resident = int(Path(f"/proc/{service.pid}/statm").read_text().split()[1])
    measured = health["performance"]["memory_mb"] * 1e6
    assert health["status"] == "healthy"
    assert health["pid"] == service.pid
    assert abs(measured - resident * os.sysconf("SC_PAGESIZE")) < 30e6
    assert health["machine"]["cores"] >= 1
    assert health["performance"]["cpu_percent"] >= 0
    gpu = health["performance"]["gpu"]
    assert gpu is None or gpu[0]["memory_total_bytes"] > 0
    assert health["engine"]["threads"] == 1
    assert health["pillow"]["name"] == "Pillow"
    assert took < 2


def test_the_models_are_listed(serving: Serving) -> None:
    with serve(serving, "optimized").client() as client:
        listed = client.get("/models").json()
        alive = client.get("/livez").json()
    sizes = {model["name"]: model["input_size"] for model in listed["models"]}
    assert sizes == {"nano": 224, "small": 320, "medium": 416}
    assert len(listed["models"][0]["labels"]) == 80
    assert listed["tracks"] == {
        "A": dict.fromkeys(sizes, "onnxruntime-cpu"),
        "null": dict.fromkeys(sizes, "none"),
    }
    assert listed["models"][1]["paths"]["D"] == "/predict/small_gpu_e2e"
    assert alive == {"status": "alive"}


@pytest.mark.parametrize("preset", ["baseline", "optimized"])
def test_a_slow_request_is_logged_in_one_line_with_its_stages(
    serving: Serving, preset: str
) -> None:
    service = serve(serving, preset, SLOW_MS="0", LOGS="line")
    quick = serve(serving, preset, SLOW_MS="100000", LOGS="line")
    for each in (service, quick):
        with each.client() as client:
            client.post("/predict/nano", **FORMS["raw"])
            client.get("/a%0Ab")
    lines = [line for line in service.log.read_text().splitlines() if "slow request" in line]
    assert re.search(
        r"WARNING service.slow: slow request: POST '/predict/nano' 200 took \d+\.\d ms "
        r"\(queue \d+\.\d, receive .*, infer .*, serialize \d+\.\d\)$",
        next(line for line in lines if "POST" in line),
    )
    assert any(r"GET '/a\nb' 404 took" in line for line in lines)
    assert "slow request" not in quick.log.read_text()
    silent = serve(serving, preset, SLOW_MS="0", LOG_LEVEL="error")
    with silent.client() as client:
        client.post("/predict/nano", **FORMS["raw"])
    assert "slow request" not in silent.log.read_text()


def test_where_nobody_reads_along_the_log_is_json_and_knows_its_requests(serving: Serving) -> None:
    service = serve(serving, "optimized", SLOW_MS="0")  # its stderr is a file
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    given = {"x-request-id": "mine-1", "traceparent": f"00-{trace}-00f067aa0ba902b7-00"}
    with service.client() as client:
        answer = client.post("/predict/nano", **FORMS["raw"])
        other = client.get('/a%0A"b', headers=given)
    assert other.headers["x-request-id"] == "mine-1"
    deadline = time.monotonic() + 30
    while '"mine-1"' not in service.log.read_text():  # it is written when the answer has gone
        assert time.monotonic() < deadline
        time.sleep(0.02)
    _, *lines = service.log.read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert all(set(entry) <= set(LOG_FIELDS) for entry in entries)
    slow = {entry["request_id"]: entry for entry in entries if entry["logger"] == "service.slow"}
    mine = slow["mine-1"]
    assert (mine["level"], mine["status"], mine["trace_id"]) == ("WARNING", 404, trace)
    assert mine["path"] == '/a\n"b'
    predicted = slow[answer.headers["x-request-id"]]
    assert "trace_id" not in predicted
    assert set(predicted["stages_ms"]) == set(STAGES)
    assert sum(predicted["stages_ms"].values()) <= predicted["total_ms"]


def test_the_recipe_of_the_seed_runs_with_its_workers_and_its_ready_means_all(
    serving: Serving,
) -> None:
    service = serving(PRESET="seed", LOG_LEVEL="info")
    with service.client() as client:
        health = client.get("/health").json()
        assert client.post("/predict/nano", **FORMS["multipart"]).status_code == 200
    expected = 2 * health["machine"]["cores"] + 1
    assert health["settings"]["SERVICE_WORKERS"] == expected
    assert health["settings"]["SERVICE_RECYCLE_REQUESTS"] == 10_000
    log = service.log.read_text()
    assert log.count("Application startup complete") >= expected
    assert "PIL is pillow-simd" in log
    assert "DeprecationWarning" not in log


def test_a_worker_is_recycled_and_the_service_goes_on(serving: Serving) -> None:
    service = serving(PRESET="optimized", WORKERS="1", RECYCLE_REQUESTS="5", RECYCLE_JITTER="0")
    pids: set[int] = set()
    deadline = time.monotonic() + 40
    while len(pids) < 2 and time.monotonic() < deadline:
        try:
            pids.add(httpx.get(f"{service.url}/health", timeout=10, verify=NO_TLS).json()["pid"])
        except httpx.TransportError:  # the connection of the worker that goes
            time.sleep(0.1)
    assert len(pids) >= 2
    assert service.pid not in pids


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_lets_the_request_in_flight_finish_and_leaves_nothing(
    tmp_path: Path, workers: str
) -> None:
    settings = {"SERVICE_PRESET": "optimized", "SERVICE_WORKERS": workers}
    environment = service_environment(settings) | {"TMPDIR": str(tmp_path)}
    log = tmp_path / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            service_program(settings), env=environment, cwd=ROOT, stderr=sink
        )
    url = wait_until_ready(process, log)
    workers_seen = [int(pid) for pid in re.findall(r"server process \[(\d+)\]", log.read_text())]
    with httpx.stream(
        "POST", f"{url}/predict/medium", content=stopping(process), headers=JPEG, verify=NO_TLS
    ) as a:
        assert a.status_code == 200
    assert process.wait(20) == 0
    assert list(tmp_path.glob("windtunnel-*")) == []
    assert not [pid for pid in workers_seen if Path(f"/proc/{pid}").exists()]
    assert "Traceback" not in log.read_text()


def stopping(process: "subprocess.Popen[bytes]") -> Any:
    """A body in the middle of which the service is told to stop."""
    yield CAT[:1000]
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    yield CAT[1000:]


def test_workers_end_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    settings = {"SERVICE_PRESET": "optimized", "SERVICE_WORKERS": "2"}
    environment = service_environment(settings) | {"TMPDIR": str(tmp_path)}
    log = tmp_path / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            service_program(settings), env=environment, cwd=ROOT, stderr=sink
        )
    wait_until_ready(process, log)
    workers = [int(pid) for pid in re.findall(r"server process \[(\d+)\]", log.read_text())]
    assert len(workers) == 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its supervisor"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """A process that nobody has waited for yet is a zombie, and serves nobody."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
