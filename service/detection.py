"""
The detector: its graphs in ONNX Runtime, and from their output to boxes.

The three models share their weights and differ in input size, that is in computation.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.imaging import Frame

# Builds of ONNX Runtime may report their use to its makers; a lab's machines are its own business.
onnxruntime.disable_telemetry_events()

FOLDER = Path(__file__).parent / "model"
SIZES = {"nano": 224, "small": 320, "medium": 416}
LABELS = tuple((FOLDER / "labels.txt").read_text().split("\n")[:80])
ENGINE = "onnxruntime-cpu"
WARM_UP = FOLDER / "warm-up.jpg"

# The thresholds of the end2end graphs, so that every track answers alike.
SCORE_THRESHOLD = 0.25
IOU_THRESHOLD = 0.45
MAX_DETECTIONS = 100
# A picture gives tens of candidates. Past this many, pairs of them would cost megabytes.
MAX_CANDIDATES = 1000

Floats = NDArray[np.float32]
Infer = Callable[[Floats], Floats]  # a tensor [1,3,S,S] to the raw output [84,P]
Detections = tuple[NDArray[np.intp], Floats, Floats]  # classes, scores, boxes


def cells(model: str) -> int:
    """How many places of the picture the raw output is about."""
    return sum((SIZES[model] // stride) ** 2 for stride in (8, 16, 32))


def graph(model: str) -> Path:
    return FOLDER / f"nanodet_g_{SIZES[model]}.onnx"


def load(model: str, engine_threads: int) -> onnxruntime.InferenceSession:
    """A session, loaded from its path: the graphs name the weights file relative to themselves."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = engine_threads
    options.inter_op_num_threads = 1
    # Idle engine threads that spin would take the CPU from the other slots of this service.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        str(graph(model)), options, providers=["CPUExecutionProvider"]
    )


def infer(session: onnxruntime.InferenceSession, tensor: Floats) -> Floats:
    """The raw output of one picture: 84 rows (cx, cy, w, h, 80 scores), a column a cell."""
    (output,) = session.run(["output0"], {"images": tensor})
    first: Floats = output[0]
    return first


def detect(output: Floats) -> Detections:
    """The best class of each cell above the threshold, suppressed within a class, best first."""
    best = output[4:].max(axis=0)
    cells = np.flatnonzero(best > SCORE_THRESHOLD)
    if len(cells) == 0:
        return np.empty(0, np.intp), np.empty(0, np.float32), np.empty((0, 4), np.float32)
    cells = cells[np.argsort(-best[cells], kind="stable")][:MAX_CANDIDATES]
    found = output[:, cells]
    classes = found[4:].argmax(axis=0)
    half = found[2:4] / 2
    boxes = np.concatenate([found[:2] - half, found[:2] + half])
    kept = suppress(boxes, classes)[:MAX_DETECTIONS]
    return classes[kept], best[cells[kept]], boxes[:, kept].T


def suppress(boxes: Floats, classes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Which of the boxes [4, n], best first, overlap no better one of their class."""
    left, top, right, bottom = boxes
    width = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    height = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    area = (right - left) * (bottom - top)
    # As a product, so that two boxes without area do not divide by zero.
    rivals = shared > IOU_THRESHOLD * (area[:, None] + area - shared)
    rivals &= classes[:, None] == classes
    alive = np.ones(len(classes), bool)
    for i in range(len(classes)):
        if alive[i]:
            alive[i + 1 :] &= ~rivals[i, i + 1 :]
    return np.flatnonzero(alive)


def in_picture(detections: Detections, place: Frame) -> list[dict[str, Any]]:
    """As the answer lists them: boxes in pixels of the upright picture, cut at its edges."""
    classes, scores, boxes = detections
    if len(classes) == 0:
        return []
    offset = np.array([place.left, place.top] * 2, np.float32)
    scale = np.array(
        [place.width / place.inner_width, place.height / place.inner_height] * 2, np.float32
    )
    edge = np.array([place.width, place.height] * 2, np.float32)
    pixels = ((boxes - offset) * scale).clip(0, edge).astype(np.float64).round(1)
    rows = zip(
        classes.tolist(), scores.astype(np.float64).round(4).tolist(), pixels.tolist(), strict=True
    )
    return [
        {"class_id": index, "label": LABELS[index], "confidence": score, "box": box}
        for index, score, box in rows
    ]
