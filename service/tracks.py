"""
Where the stages of a request run: a track turns the bytes of a picture into an answer.

A runs all of them in this process. `null` answers fixed boxes without looking at the
picture: what remains is what the API itself costs. Those that need Triton are in remote.py.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from service import detection, imaging, pytorch
from service.clock import Clock
from service.limits import Refusal
from service.settings import Settings
from service.slots import Slots

Answer = dict[str, Any]


class Track(Protocol):
    name: str

    def engine(self, model: str) -> str: ...

    async def answer(self, model: str, data: bytes, clock: Clock) -> Answer: ...


class TrackA:
    """Everything in this process: the pipeline and the engine of the settings, NMS in numpy."""

    name = "A"

    def __init__(self, settings: Settings, slots: Slots) -> None:
        self.pipeline = imaging.PIPELINES[settings.imaging]
        self.max_pixels = settings.max_pixels
        self.slots = slots
        self.engine_name, load = engine(settings.engine)
        self.infer = {model: load(model, settings.engine_threads) for model in detection.SIZES}
        self.local = threading.local()

    def engine(self, model: str) -> str:
        return self.engine_name

    async def answer(self, model: str, data: bytes, clock: Clock) -> Answer:
        return await self.slots.run(clock, self.stages, model, data, clock)

    def stages(self, model: str, data: bytes, clock: Clock) -> Answer:
        """All of them, on one thread."""
        with clock.stage("decode"):
            decoded = self.pipeline.decode(data, detection.SIZES[model], self.max_pixels)
        with clock.stage("preprocess"):
            tensor = self.pipeline.letterbox(decoded, self.buffers(model))
        with clock.stage("infer"):
            output = self.infer[model](tensor)
        with clock.stage("postprocess"):
            found = detection.in_picture(detection.detect(output), decoded.frame)
        return answer(model, self, decoded.frame, found)

    def buffers(self, model: str) -> imaging.Buffers:
        """Those of this thread; a request holds its thread until its tensor has been used."""
        mine: dict[str, imaging.Buffers] | None = getattr(self.local, "buffers", None)
        if mine is None:
            mine = {name: imaging.Buffers(size) for name, size in detection.SIZES.items()}
            self.local.buffers = mine
        return mine[model]


def engine(name: str) -> tuple[str, Callable[[str, int], detection.Infer]]:
    """What runs the model in this process: its name in the answers, and how a model is loaded."""
    if name == "pytorch":
        return pytorch.engine_name(), pytorch.load
    return detection.ENGINE, lambda model, threads: partial(
        detection.infer, detection.load(model, threads)
    )


class TrackNull:
    """As many boxes as a photo of the corpus has on average, the same for every picture."""

    name = "null"
    boxes = tuple(
        {
            "class_id": i,
            "label": detection.LABELS[i],
            "confidence": round(0.9 - i / 10, 4),
            "box": [10.5 + i, 20.5, 110.5, 220.5 + i],
        }
        for i in range(6)
    )

    def __init__(self, slots: Slots) -> None:
        self.slots = slots

    def engine(self, model: str) -> str:
        return "none"

    async def answer(self, model: str, data: bytes, clock: Clock) -> Answer:
        return await self.slots.run(clock, self.fixed, model, data)

    def fixed(self, model: str, data: bytes) -> Answer:
        if not data:
            raise Refusal("image_empty", "the image has no bytes; send the whole file")
        return answer(model, self, None, [dict(box) for box in self.boxes])


def answer(
    model: str, track: Track, frame: imaging.Frame | None, found: list[dict[str, Any]]
) -> Answer:
    return {
        "model": model,
        "track": track.name,
        "engine": track.engine(model),
        "image": {"width": frame.width, "height": frame.height} if frame else None,
        "detections": found,
    }
