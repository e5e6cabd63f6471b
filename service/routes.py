"""
The paths that the service answers, and the route and the model that each of them stands for.

All of them are known beforehand, so that a path is looked up and not parsed, and so that nothing
that a client makes up can become a label.
"""

from typing import NamedTuple

from service import detection
from service.telemetry import NONE, OTHER

PREDICT = "/predict/{model}"
PREDICT_LOCAL = "/pytorch/predict/{model}"
PREDICT_BATCH = "/predict/{model}/batch"
FACTS = ("/health", "/livez", "/readyz", "/models", "/metrics")
ROUTES = (PREDICT, PREDICT_LOCAL, PREDICT_BATCH, *FACTS, OTHER)

# The guide's paths choose a track by the end of the model's name.
SUFFIXES = {
    "": None,
    "_end2end": "C",
    "_gpu_e2e": "D",
    "_gpu_e2e_streaming": "D_streaming",
    "_gpu_e2e_batch": "D_batch",
}
ENDPOINTS: dict[str, tuple[str, str | None]] = {
    model + suffix: (model, track)
    for model in detection.SIZES
    for suffix, track in SUFFIXES.items()
}


def paths(model: str) -> list[tuple[str, str | None]]:
    """Where a model answers, and on which track; None is the default one."""
    named = [
        (f"/predict/{end}", track) for end, (name, track) in ENDPOINTS.items() if name == model
    ]
    return [*named, (f"/pytorch/predict/{model}", "A")]


PATHS = {path: (model, track) for model in detection.SIZES for path, track in paths(model)}


class Place(NamedTuple):
    """What a path comes to in labels."""

    route: str
    model: str


ELSEWHERE = Place(OTHER, NONE)
PLACES = {
    **{path: Place(path, NONE) for path in FACTS},
    **{f"/predict/{end}": Place(PREDICT, model) for end, (model, _) in ENDPOINTS.items()},
    **{
        f"/predict/{end}/batch": Place(PREDICT_BATCH, model)
        for end, (model, _) in ENDPOINTS.items()
    },
    **{f"/pytorch/predict/{model}": Place(PREDICT_LOCAL, model) for model in detection.SIZES},
}
