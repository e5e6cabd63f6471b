"""The tracks behind the real Triton: the same answers as track A, by whichever way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.campaign import TRACKS
from benchmarks.triton import served
from benchmarks.triton.served import Served
from benchmarks.triton.server import Server
from service import remote
from service.settings import LOCAL_TRACKS, REMOTE_TRACKS
from tests.conftest import NO_TLS, ROOT, Service
from tests.test_service_presets import IMAGES, unmatched

Serving = Callable[..., Service]

CAT = (ROOT / "loadtests/images/cat-451x300.jpg").read_bytes()
HOSTILE = sorted((ROOT / "tests/data/hostile").glob("*.*"))
JPEG = {"content-type": "image/jpeg"}
ENGINE = "triton-python-onnxruntime"


def optimized(serving: Serving, triton: Server, **more: str) -> Service:
    return serving(PRESET="optimized", TRITON_URL=triton.grpc, **more)


def detections(service: Service, model: str, track: str) -> dict[str, list[dict[str, Any]]]:
    with service.client() as client:
        answers = {
            file.name: client.post(
                f"/predict/{model}?track={track}", content=file.read_bytes(), headers=JPEG
            )
            for file in IMAGES
        }
    for name, answer in answers.items():
        assert answer.status_code == 200, f"{name}: {answer.text}"
        assert answer.headers["x-track"] == track
    return {name: answer.json()["detections"] for name, answer in answers.items()}


@pytest.mark.parametrize("model", ["nano", "small", "medium"])
def test_every_track_finds_the_boxes_of_track_a(
    serving: Serving, triton: Server, model: str
) -> None:
    service = optimized(serving, triton)
    reference = detections(service, model, "A")
    assert sum(len(boxes) for boxes in reference.values()) > 30
    for track in REMOTE_TRACKS:
        found = detections(service, model, track)
        assert unmatched(found, reference) == [], track
        assert unmatched(reference, found) == [], track


@pytest.mark.parametrize(
    "settings",
    [
        {"PRESET": "baseline"},
        {"PRESET": "optimized", "TENSORS": "inline"},
        {"PRESET": "optimized", "CLIENTS": "per_request"},
        {"PRESET": "optimized", "POOL_SIZE": "1"},
    ],
    ids=lambda settings: "-".join(settings.values()),
)
def test_every_way_to_triton_gives_the_same_answer(
    serving: Serving, triton: Server, settings: dict[str, str]
) -> None:
    reference = detections(optimized(serving, triton), "nano", "A")
    service = serving(TRITON_URL=triton.grpc, **settings)
    with service.client() as client:
        before = client.get("/health").json()["triton"]["clients"]["created"]
    for track in ("B", "C", "D"):
        found = detections(service, "nano", track)
        assert unmatched(found, reference) == unmatched(reference, found) == [], track
    with service.client() as client:
        health = client.get("/health").json()["triton"]
    pooled = settings.get("CLIENTS", "pooled") == "pooled" and settings["PRESET"] != "baseline"
    assert health["clients"]["kind"] == ("pooled" if pooled else "per_request")
    if pooled:
        assert health["clients"]["cached"] <= int(settings.get("POOL_SIZE", 32))
    else:
        assert health["clients"]["created"] - before == 3 * len(IMAGES)
        assert health["clients"]["cached"] == 0
    assert (health["tensors"]["regions"] > 0) is (
        settings.get("TENSORS", "shared") != "inline" and settings["PRESET"] != "baseline"
    )


def test_a_pooled_client_is_created_once_for_each_model(serving: Serving, triton: Server) -> None:
    service = serving(PRESET="optimized", TRITON_URL=triton.grpc, SLOW_MS="90")
    with service.client() as client:
        for _ in range(3):
            for path in ("small", "small_end2end"):
                assert client.post(f"/predict/{path}", content=CAT, headers=JPEG).is_success
    log = service.log.read_text()
    assert log.count("Creating cached client for small at") == 1
    assert log.count("Creating cached client for small_end2end at") == 1


@pytest.mark.parametrize(
    ("path", "track"),
    [
        ("/predict/small", "B"),
        ("/predict/small_end2end", "C"),
        ("/predict/small_gpu_e2e", "D"),
        ("/predict/small_gpu_e2e_streaming", "D_streaming"),
        ("/predict/small_gpu_e2e_batch", "D_batch"),
        ("/pytorch/predict/small", "A"),
        ("/predict/small_end2end?track=A", "A"),
    ],
)
@pytest.mark.parametrize("preset", ["baseline", "optimized"])
def test_the_paths_of_the_guide_choose_the_track_and_the_answer_says_who_inferred(
    serving: Serving, triton: Server, path: str, track: str, preset: str
) -> None:
    # Without a track of its own, a service that finds a Triton at its start answers by B.
    with serving(PRESET=preset, TRITON_URL=triton.grpc).client() as client:
        found = client.post(path, files={"image": ("cat.jpg", CAT, "image/jpeg")}).json()
    assert (found["model"], found["track"]) == ("small", track)
    assert found["engine"] == ("onnxruntime-cpu" if track == "A" else ENGINE)
    assert found["image"] == {"width": 451, "height": 300}
    assert [d["label"] for d in found["detections"]] == ["cat"]


def test_the_engine_stands_in_the_metadata_of_every_model(triton: Server) -> None:
    models = triton.facts()["models"]
    assert set(models) == set(Served().loaded)
    for name in models:
        config = httpx.get(f"http://{triton.http}/v2/models/{name}/config", verify=NO_TLS).json()
        assert config["parameters"]["engine"]["string_value"] == ENGINE


@pytest.mark.parametrize("file", HOSTILE, ids=lambda file: file.name)
def test_a_hostile_picture_is_refused_alike_on_every_track(
    serving: Serving, triton: Server, file: Path
) -> None:
    data = file.read_bytes()
    with optimized(serving, triton).client() as client:
        answers = {
            track: client.post(f"/predict/nano?track={track}", content=data, headers=JPEG)
            for track in ("A", "B", "C", "D")
        }
        again = client.post("/predict/nano?track=D", content=CAT, headers=JPEG)
    said = {
        track: (answer.status_code, answer.json().get("error", {}).get("code"))
        for track, answer in answers.items()
    }
    assert set(said.values()) == {said["A"]}, said
    assert again.status_code == 200


@pytest.mark.parametrize("track", ["B", "D"])
def test_a_batch_goes_to_triton_side_by_side_and_a_bad_picture_spoils_no_other(
    serving: Serving, triton: Server, track: str
) -> None:
    files = [("image", CAT), ("image", CAT[:5000]), ("image", b"no picture"), ("image", CAT)]
    with optimized(serving, triton).client() as client:
        found = client.post(f"/predict/nano/batch?track={track}", files=files).json()
    first, truncated, unknown, last = found["results"]
    assert (found["track"], found["engine"]) == (track, ENGINE)
    assert first == last
    assert [d["label"] for d in first["detections"]] == ["cat"]
    assert truncated["error"]["code"] == "image_truncated"
    assert unknown["error"]["code"] == "image_type_unknown"


def test_stages_that_run_in_triton_are_part_of_infer(serving: Serving, triton: Server) -> None:
    with optimized(serving, triton).client() as client:
        spent = {
            track: client.post(f"/predict/nano?track={track}", content=CAT, headers=JPEG).headers[
                "server-timing"
            ]
            for track in ("A", "B", "D")
        }
    names = {
        track: [part.partition(";")[0] for part in s.split(", ")] for track, s in spent.items()
    }
    assert names["A"] == names["B"]
    assert names["D"] == ["receive", "infer", "postprocess", "serialize", "total"]


def test_the_tracks_and_their_models_are_the_same_on_both_sides() -> None:
    assert remote.NAMES == served.ASKED
    assert (*LOCAL_TRACKS, *REMOTE_TRACKS) == TRACKS
