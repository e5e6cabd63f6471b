"""
The tracks that need Triton: how much of a request's stages it runs.

B sends it the letterboxed square and gets the raw output back; C gets boxes back, suppressed in
the graph; D and its two other forms send the file as it came, and an ensemble does the rest.
"""

import asyncio
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferRequestedOutput

from service import detection, imaging
from service.clock import Clock
from service.limits import Refusal
from service.settings import Settings
from service.slots import Slots
from service.tensors import Arrays, Memory, Shapes, Store, unregister_dead
from service.tracks import Answer, Track, answer
from service.triton import Triton

# How old an answer may be that shows that a track is ready.
FRESH_S = 5.0
# Triton's model of each track.
NAMES = {
    "B": "{model}",
    "C": "{model}_end2end",
    "D": "{model}_D",
    "D_streaming": "{model}_D_streaming",
    "D_batch": "{model}_D_batch",
}
BOXES: Shapes = {
    "num_dets": (1,),
    "boxes": (detection.MAX_DETECTIONS, 4),
    "scores": (detection.MAX_DETECTIONS,),
    "classes": (detection.MAX_DETECTIONS,),
}


Found = list[dict[str, Any]]


class Remote:
    """All of it in one worker: the way to Triton, the memory shared with it, and the tracks."""

    def __init__(self, settings: Settings, slots: Slots) -> None:
        self.triton = Triton(settings)
        self.memory = Memory(self.triton, wanted=settings.tensors == "shared_memory")
        self.probe: asyncio.Task[str] | None = None
        squares = [
            Square("B", raw_output, suppressed, settings, slots, self.memory),
            Square("C", lambda model: BOXES, placed, settings, slots, self.memory),
        ]
        ensembles = [TrackD(name, self.triton) for name in NAMES if name.startswith("D")]
        tracks: list[Track] = [*squares, *ensembles]
        self.tracks = {track.name: track for track in tracks}

    async def start(self) -> None:
        """Meet Triton. One that is not there yet is no reason to die: it may come later."""
        await unregister_dead(self.triton)

    async def ready(self, track: str) -> str:
        """
        What is wrong with a track; nothing if a real inference has just been answered on it.

        By a request or, where there was none, by a picture of our own: one at a time, however many
        ask, because a Triton in trouble has enough to do.
        """
        now, answered_at = monotonic(), self.triton.answered_at
        names = (NAMES[track].format(model=model) for model in detection.SIZES)
        if any(now - answered_at.get(name, -inf) < FRESH_S for name in names):
            return ""
        if self.probe is None or self.probe.done():
            self.probe = asyncio.create_task(self.proven(self.tracks[track]))
        return await asyncio.shield(self.probe)

    async def proven(self, track: Track) -> str:
        """Which models are loaded is Triton's business: one that answers is enough."""
        picture = detection.WARM_UP.read_bytes()
        trouble = ""
        for model in detection.SIZES:
            try:
                await track.answer(model, picture, Clock())
            except Refusal as error:
                trouble = error.message
                if error.code != "model_not_loaded":
                    break
            else:
                return ""
        return trouble

    async def close(self) -> None:
        if self.probe is not None:
            self.probe.cancel()
            await asyncio.gather(self.probe, return_exceptions=True)
        await self.memory.close()
        await self.triton.close()


def raw_output(model: str) -> Shapes:
    return {"output0": (4 + len(detection.LABELS), detection.cells(model))}


class Square:
    """
    B and C: decoding and letterboxing here, into memory that Triton reads, and inference there.

    They differ in what comes back (`outputs`) and in what is left to do with it (`found`).
    """

    def __init__(
        self,
        name: str,
        outputs: Callable[[str], Shapes],
        found: Callable[[Arrays, imaging.Frame, Clock], Found],
        settings: Settings,
        slots: Slots,
        memory: Memory,
    ) -> None:
        self.name, self.found, self.slots, self.triton = name, found, slots, memory.triton
        self.pipeline = imaging.PIPELINES[settings.imaging]
        self.max_pixels = settings.max_pixels
        self.stores = {
            model: Store(memory, size, outputs(model)) for model, size in detection.SIZES.items()
        }

    def engine(self, model: str) -> str:
        return self.triton.engine(NAMES[self.name].format(model=model))

    async def answer(self, model: str, data: bytes, clock: Clock) -> Answer:
        name, store = NAMES[self.name].format(model=model), self.stores[model]
        async with store.take() as tensors:
            frame, pixels = await self.slots.run(
                clock, self.square, model, data, tensors.canvas, clock
            )
            outputs = await store.infer(name, tensors, pixels, clock)
            # Boxes that are suppressed already are too few to change threads for.
            if self.found is placed:
                found = placed(outputs, frame, clock)
            else:
                found = await self.slots.run(clock, self.found, outputs, frame, clock)
        return answer(model, self, frame, found)

    def square(
        self, model: str, data: bytes, canvas: imaging.Canvas, clock: Clock
    ) -> tuple[imaging.Frame, NDArray[np.uint8]]:
        with clock.stage("decode"):
            decoded = self.pipeline.decode(data, detection.SIZES[model], self.max_pixels)
        with clock.stage("preprocess"):
            return decoded.frame, self.pipeline.canvas(decoded, canvas)


def suppressed(outputs: Arrays, frame: imaging.Frame, clock: Clock) -> Found:
    with clock.stage("postprocess"):
        return detection.in_picture(detection.detect(outputs[0]), frame)


def placed(outputs: Arrays, frame: imaging.Frame, clock: Clock) -> Found:
    with clock.stage("postprocess"):
        (count,), boxes, scores, classes = outputs
        kept = classes[:count], scores[:count], boxes[:count]
        return detection.in_picture(kept, frame)


class TrackD:
    """All of it in Triton: the file crosses the wire; boxes and the picture's size come back."""

    def __init__(self, name: str, triton: Triton) -> None:
        self.name, self.triton = name, triton
        self.outputs = [InferRequestedOutput(output) for output in (*BOXES, "size")]

    def engine(self, model: str) -> str:
        return self.triton.engine(NAMES[self.name].format(model=model))

    async def answer(self, model: str, data: bytes, clock: Clock) -> Answer:
        imaging.kind(data)  # what is no picture need not travel
        encoded = InferInput("encoded", [1, len(data)], "UINT8")
        encoded.set_data_from_numpy(np.frombuffer(data, np.uint8)[None])
        name = NAMES[self.name].format(model=model)
        result = await self.triton.infer(name, [encoded], self.outputs, clock)
        *outputs, (width, height) = (result.as_numpy(o.name())[0] for o in self.outputs)
        frame = imaging.frame(int(width), int(height), detection.SIZES[model])
        return answer(model, self, frame, placed(outputs, frame, clock))
