import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import detection, imaging

ROOT = Path(__file__).parent.parent
IMAGES = {file.name: file for file in (ROOT / "loadtests/images").rglob("*.jpg")}
EXPECTED = json.loads((ROOT / "tests/data/expected.json").read_text())

Box = list[float]


def iou(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (areas - shared)


@pytest.mark.parametrize("model", detection.SIZES)
def test_the_photos_give_the_expected_detections(model: str) -> None:
    # Another version of Pillow or ONNX Runtime may move a score in its second decimal, and a
    # box by a pixel or two of the model's square; more would be another model.
    size = detection.SIZES[model]
    session = detection.load(model, 1)
    for name, by_size in EXPECTED.items():
        decoded = imaging.decode_pillow(IMAGES[name].read_bytes(), size, 40_000_000)
        tensor = imaging.letterbox_pillow(decoded, imaging.Buffers(size))
        found = detection.in_picture(
            detection.detect(detection.infer(session, tensor)), decoded.frame
        )
        place = decoded.frame
        for expected in by_size[str(size)]:
            x1, y1, x2, y2 = expected["box"]
            box = [max(x1, 0), max(y1, 0), min(x2, place.width), min(y2, place.height)]
            same = [d for d in found if d["label"] == expected["label"]]
            near = [d for d in same if iou(d["box"], box) >= 0.97]
            assert near, f"{name}: {expected} is not among {same}"
            assert abs(near[0]["confidence"] - expected["score"]) <= 0.02
        strong = [d for d in found if d["confidence"] >= 0.37]
        assert len(strong) <= len(by_size[str(size)]), f"{name}: {strong}"


@pytest.mark.parametrize("model", detection.SIZES)
def test_our_suppression_keeps_what_the_end2end_graph_keeps(model: str) -> None:
    size = detection.SIZES[model]
    whole = onnxruntime.InferenceSession(
        str(detection.FOLDER / f"nanodet_g_{size}_end2end.onnx"), providers=["CPUExecutionProvider"]
    )
    session = detection.load(model, 1)
    buffers = imaging.Buffers(size)
    for name in ("collage-01-768x576.jpg", "living-room-801x1200.jpg", "rocket-640x427.jpg"):
        decoded = imaging.decode_turbo(IMAGES[name].read_bytes(), size, 40_000_000)
        tensor = imaging.letterbox_draft(decoded, buffers)
        classes, scores, boxes = detection.detect(detection.infer(session, tensor))
        count, their_boxes, their_scores, their_classes = whole.run(None, {"images": tensor})
        n = int(count[0, 0])
        assert len(classes) == n
        np.testing.assert_array_equal(classes, their_classes[0, :n])
        np.testing.assert_allclose(scores, their_scores[0, :n], atol=1e-6)
        np.testing.assert_allclose(boxes, their_boxes[0, :n], atol=1e-3)


@given(
    st.lists(
        st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(0, 12)] * 2, st.integers(0, 2)),
        max_size=40,
    )
)
def test_what_is_suppressed_overlaps_a_better_one_of_its_class(
    drawn: list[tuple[int, int, int, int, int]],
) -> None:
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in drawn], np.float32).reshape(-1, 4)
    classes = np.array([c for *_, c in drawn], np.intp)
    kept = set(detection.suppress(boxes.T, classes).tolist())

    def rivals(i: int, j: int) -> bool:
        a, b = boxes[i].tolist(), boxes[j].tolist()
        empty = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) == 0
        same = bool(classes[i] == classes[j])
        return not empty and same and iou(a, b) > detection.IOU_THRESHOLD

    for i in range(len(drawn)):
        better = [j for j in kept if j < i and rivals(j, i)]
        assert (i in kept) == (not better)


def test_an_output_without_detections_gives_none() -> None:
    place = imaging.frame(640, 480, 224)
    silent = np.zeros((84, 1029), np.float32)
    assert detection.in_picture(detection.detect(silent), place) == []


def test_the_graphs_are_rebuilt_byte_for_byte(tmp_path: Path) -> None:
    script = detection.FOLDER / "build_model.py"
    subprocess.run([sys.executable, script, "--out", tmp_path], check=True, capture_output=True)
    built = sorted(tmp_path.glob("*.onnx"))
    assert len(built) == 6
    for file in built:
        assert file.read_bytes() == (detection.FOLDER / file.name).read_bytes(), file.name


def test_there_is_a_label_for_each_of_the_classes() -> None:
    assert len(detection.LABELS) == 80
    assert detection.LABELS[0] == "person"
    assert detection.LABELS[79] == "toothbrush"
