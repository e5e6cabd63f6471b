import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from service import detection, imaging
from service.model import build_model
from service.model.graph import TENSORRT
from service.model.weights import Weights

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
        tensor = imaging.PIPELINES["pillow"].letterbox(decoded, imaging.Buffers(size))
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
        tensor = imaging.PIPELINES["pillow_draft"].letterbox(decoded, buffers)
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
    assert len(built) == 12
    for file in built:
        assert file.read_bytes() == (detection.FOLDER / file.name).read_bytes(), file.name


@pytest.mark.parametrize("form", ["", "_end2end"])
@pytest.mark.parametrize("model", detection.SIZES)
def test_the_graph_that_takes_bytes_answers_as_the_one_that_takes_floats(
    model: str, form: str
) -> None:
    size = detection.SIZES[model]
    floats, bytes_ = (
        onnxruntime.InferenceSession(
            str(detection.FOLDER / f"nanodet_g_{size}{form}{kind}.onnx"),
            providers=["CPUExecutionProvider"],
        )
        for kind in ("", "_u8")
    )
    pipeline = imaging.PIPELINES["turbo"]
    buffers = imaging.Buffers(size)
    for name in ("cat-451x300.jpg", "collage-01-768x576.jpg"):
        picture = pipeline.decode(IMAGES[name].read_bytes(), size, 40_000_000)
        tensor = pipeline.letterbox(picture, buffers)
        expected = floats.run(None, {"images": tensor})
        found = bytes_.run(None, {"images": buffers.canvas.pixels[None]})
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_provenance_lists_every_graph_as_it_is() -> None:
    rows = re.findall(
        r"^\| `(.+)` \| ([\d,]+) \| `(\w{64})` \|$",
        (detection.FOLDER / "PROVENANCE.md").read_text(),
        re.MULTILINE,
    )
    graphs = {file.name for file in detection.FOLDER.glob("*.onnx")}
    assert {name for name, *_ in rows} >= graphs
    for name, length, digest in rows:
        data = (detection.FOLDER / name).read_bytes()
        assert len(data) == int(length.replace(",", "")), name
        assert hashlib.sha256(data).hexdigest() == digest, name


class EfficientNms(OpRun):
    """TensorRT's plugin as it is documented, one picture at a time."""

    op_domain = "TRT"

    def _run(self, boxes: Any, scores: Any, **attributes: Any) -> tuple[Any, ...]:
        rows = attributes["max_output_boxes"]
        assert (attributes["box_coding"], attributes["class_agnostic"]) == (1, 0)
        cells, classes = np.nonzero(scores[0] >= attributes["score_threshold"])
        order = np.argsort(-scores[0, cells, classes], kind="stable")
        kept: list[tuple[Box, int, float]] = []
        for cell, label in zip(cells[order].tolist(), classes[order].tolist(), strict=True):
            x, y, width, height = boxes[0, cell].tolist()
            box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
            rivals = [other for other, theirs, _ in kept if theirs == label]
            if all(iou(box, other) < attributes["iou_threshold"] for other in rivals):
                kept.append((box, label, float(scores[0, cell, label])))
        found = [np.zeros((1, rows, 4)), np.zeros((1, rows)), np.zeros((1, rows))]
        for row, (box, label, score) in enumerate(kept[:rows]):
            found[0][0, row], found[1][0, row], found[2][0, row] = box, score, label
        count = np.array([[min(len(kept), rows)]], np.int32)
        return count, *(a.astype(np.float32) for a in found[:2]), found[2].astype(np.int32)


EfficientNms.__name__ = "EfficientNMS_TRT"  # onnx finds an operator by the name of its class


def cut_at_the_plugin(model: onnx.ModelProto) -> tuple[bytes, onnx.ModelProto]:
    """What ONNX Runtime can run of the graph, and the rest of it."""
    nodes = list(model.graph.node)
    at = next(i for i, node in enumerate(nodes) if node.op_type == "EfficientNMS_TRT")
    between = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in nodes[at].input
    ]
    first, rest = onnx.ModelProto(), onnx.ModelProto()
    for half, kept in ((first, nodes[:at]), (rest, nodes[at:])):
        half.CopyFrom(model)
        del half.graph.node[:]
        half.graph.node.extend(kept)
    del first.graph.output[:], rest.graph.input[:]
    first.graph.output.extend(between)
    rest.graph.input.extend(between)
    return first.SerializeToString(), rest


def test_the_graph_for_tensorrt_answers_as_the_end2end_graph() -> None:
    """ONNX Runtime computes its fp16 part in fp32: this is about the graph, not the rounding."""
    size = detection.SIZES["small"]
    model = build_model.build(Weights(), size, TENSORRT, end2end=True)
    onnx.checker.check_model(model, full_check=True)
    providers = ["CPUExecutionProvider"]
    first, rest = cut_at_the_plugin(model)
    network = onnxruntime.InferenceSession(first, providers=providers)
    suppression = ReferenceEvaluator(rest, new_ops=[EfficientNms])
    whole = onnxruntime.InferenceSession(
        str(detection.FOLDER / f"nanodet_g_{size}_end2end_u8.onnx"), providers=providers
    )
    pipeline = imaging.PIPELINES["turbo"]
    for name in ("collage-04-768x576.jpg", "living-room-801x1200.jpg", "rocket-640x427.jpg"):
        picture = pipeline.decode(IMAGES[name].read_bytes(), size, 40_000_000)
        pixels = pipeline.canvas(picture, imaging.Canvas(size))[None]
        boxes, scores = network.run(None, {"images": pixels})
        names = [value.name for value in rest.graph.input]
        found = suppression.run(None, dict(zip(names, (boxes, scores), strict=True)))
        for one, other in zip(whole.run(None, {"images": pixels}), found, strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, atol=1e-3)


def test_there_is_a_label_for_each_of_the_classes() -> None:
    assert len(detection.LABELS) == 80
    assert detection.LABELS[0] == "person"
    assert detection.LABELS[79] == "toothbrush"
