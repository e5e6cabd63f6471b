"""The variants are the same service: the same boxes for the same pictures."""

from collections.abc import Callable
from typing import Any

import pytest

from service.detection import SCORE_THRESHOLD
from tests.conftest import ROOT, Service
from tests.test_model import iou

IMAGES = sorted((ROOT / "loadtests/images").rglob("*.jpg"))
# Same class, IoU of at least 0.95 and a score within 0.02. A detection may be missing on one
# side when its score is within 0.02 of the threshold, where rounding decides.
MIN_IOU = 0.95
SCORE_TOLERANCE = 0.02

# Two candidates for this cup, of IoU 0.83, score 0.49502 and 0.49500: pillow-simd's rounding of
# one value in two thousand decides between them, and no tolerance on scores can.
TIES = {("collage-05-768x576.jpg", "cup"): 0.8}

Found = dict[str, list[dict[str, Any]]]


def detections(service: Service, model: str) -> Found:
    found: Found = {}
    with service.client() as client:
        for file in IMAGES:
            files = {"image": (file.name, file.read_bytes(), "image/jpeg")}
            found[file.name] = client.post(f"/predict/{model}", files=files).json()["detections"]
    return found


def unmatched(ours: Found, theirs: Found) -> list[str]:
    """The detections of *ours* that *theirs* does not have."""
    missing = []
    for name, boxes in ours.items():
        for box in boxes:
            if box["confidence"] < SCORE_THRESHOLD + SCORE_TOLERANCE:
                continue
            same = [
                other
                for other in theirs[name]
                if other["label"] == box["label"]
                and iou(other["box"], box["box"]) >= TIES.get((name, box["label"]), MIN_IOU)
                and abs(other["confidence"] - box["confidence"]) <= SCORE_TOLERANCE
            ]
            if not same:
                missing.append(f"{name}: {box}")
    return missing


@pytest.mark.parametrize("model", ["nano", "small", "medium"])
@pytest.mark.parametrize(
    "variant",
    [
        {"PRESET": "seed"},
        {"PRESET": "optimized"},
        {"PRESET": "baseline", "IMAGING": "pillow_draft", "HTTP": "httptools"},
        {"PRESET": "optimized", "IMAGING": "turbo_simd"},
    ],
    ids=["seed", "optimized", "draft", "turbo on pillow-simd"],
)
def test_every_variant_finds_the_same_boxes(
    serving: Callable[..., Service], variant: dict[str, str], model: str
) -> None:
    one = {"WORKERS": "1", "RECYCLE_REQUESTS": "0"}
    reference = detections(serving(PRESET="baseline", **one), model)
    found = detections(serving(**variant, **one), model)
    assert sum(len(boxes) for boxes in reference.values()) > 30
    assert unmatched(found, reference) == []
    assert unmatched(reference, found) == []
