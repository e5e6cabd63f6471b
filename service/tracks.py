"""
Where the stages of a request run: a track turns the bytes of a picture into an answer.

A runs all of them in this process. `null` answers fixed boxes without looking at the
picture: what remains is what the API itself costs.
"""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from service import detection, imaging
from service.limits import Refusal
from service.settings import Settings
from service.telemetry import Clock

Answer = dict[str, Any]


class Track(Protocol):
    name: str
    engine: str

    def answer(self, model: str, data: bytes, clock: Clock) -> Answer: ...


class TrackA:
    """Everything in this process: the pipeline of the settings, ONNX Runtime, NMS in numpy."""

    name = "A"
    engine = detection.ENGINE

    def __init__(self, settings: Settings) -> None:
        self.pipeline = imaging.PIPELINES[settings.imaging]
        self.max_pixels = settings.max_pixels
        self.sessions = {
            model: detection.load(model, settings.engine_threads) for model in detection.SIZES
        }
        self.local = threading.local()

    def buffers(self, model: str) -> imaging.Buffers:
        """Those of this thread; a request holds its thread until its tensor has been used."""
        mine: dict[str, imaging.Buffers] | None = getattr(self.local, "buffers", None)
        if mine is None:
            mine = {name: imaging.Buffers(size) for name, size in detection.SIZES.items()}
            self.local.buffers = mine
        return mine[model]

    def answer(self, model: str, data: bytes, clock: Clock) -> Answer:
        with clock.stage("decode"):
            decoded = self.pipeline.decode(data, detection.SIZES[model], self.max_pixels)
        with clock.stage("preprocess"):
            tensor = self.pipeline.letterbox(decoded, self.buffers(model))
        with clock.stage("infer"):
            output = detection.infer(self.sessions[model], tensor)
        with clock.stage("postprocess"):
            found = detection.in_picture(detection.detect(output), decoded.frame)
        size = {"width": decoded.frame.width, "height": decoded.frame.height}
        return answer(model, self, size, found)


class TrackNull:
    """As many boxes as a photo of the corpus has on average, the same for every picture."""

    name = "null"
    engine = "none"
    boxes = tuple(
        {
            "class_id": i,
            "label": detection.LABELS[i],
            "confidence": round(0.9 - i / 10, 4),
            "box": [10.5 + i, 20.5, 110.5, 220.5 + i],
        }
        for i in range(6)
    )

    def answer(self, model: str, data: bytes, clock: Clock) -> Answer:
        if not data:
            raise Refusal("image_empty", "the image has no bytes; send the whole file")
        return answer(model, self, None, [dict(box) for box in self.boxes])


def answer(model: str, track: Track, size: Any, found: list[dict[str, Any]]) -> Answer:
    return {
        "model": model,
        "track": track.name,
        "engine": track.engine,
        "image": size,
        "detections": found,
    }


class Worker:
    """What one process of the service works with: its tracks and its bounded set of threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tracks: dict[str, Track] = {"A": TrackA(settings), "null": TrackNull()}
        self.executor = ThreadPoolExecutor(settings.threads, thread_name_prefix="slot")
        self.warm = False

    def warm_up(self) -> None:
        """Run a real inference of each model on each thread: no client pays for a first one."""
        picture = (Path(__file__).parent / "model" / "warm-up.jpg").read_bytes()
        all_here = threading.Barrier(self.settings.threads)

        def on_each_thread() -> None:
            all_here.wait()
            for model in detection.SIZES:
                self.tracks["A"].answer(model, picture, Clock())

        jobs = [self.executor.submit(on_each_thread) for _ in range(self.settings.threads)]
        for job in jobs:
            job.result()
        self.warm = True

    def track(self, wanted: str | None) -> Track:
        name = wanted or self.settings.track
        if name not in self.tracks:
            names = ", ".join(self.tracks)
            raise Refusal("track_unknown", f"found track {name[:50]!r}; expected one of {names}")
        return self.tracks[name]

    async def one(self, track: Track, model: str, data: bytes, clock: Clock) -> Answer:
        """The answer for one picture, from a thread: nothing long runs on the event loop."""
        clock.received()
        clock.track = track.name
        given = await self.in_slot(track, model, data, clock)
        clock.answered()
        return given

    async def many(
        self, track: Track, model: str, pictures: Sequence[bytes], clock: Clock
    ) -> Answer:
        """
        Each picture is a job of its own, so that a batch takes no more than its turn.

        One call with many pictures gains nothing on a CPU: eight take eight times as long as
        one. A picture that is refused does not spoil the others.
        """
        clock.received()
        clock.track = track.name
        clocks = [Clock(queued_ns=clock.queued_ns) for _ in pictures]
        jobs = [self.in_slot(track, model, *job) for job in zip(pictures, clocks, strict=True)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        for other in clocks:
            clock.merge(other)
        clock.answered()
        found = {"model": model, "track": track.name, "engine": track.engine}
        return found | {"results": [result_of(result) for result in results]}

    async def in_slot(self, track: Track, model: str, data: bytes, clock: Clock) -> Answer:
        """
        A thread's answer, straight into a future of the event loop.

        `run_in_executor` ties the executor's future to one of the loop by five callbacks, and
        all of that runs with the caches full of an inference.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.executor.submit(work, future, track, model, data, clock)
        try:
            return await future
        finally:
            # An error holds this frame, and the future holds the error.
            del future


def work(
    future: asyncio.Future[Answer], track: Track, model: str, data: bytes, clock: Clock
) -> None:
    """A request's turn on a thread."""
    clock.taken()
    result = outcome(track, model, data, clock)
    # A loop that is closed was stopped with requests in it: nobody waits.
    with suppress(RuntimeError):
        future.get_loop().call_soon_threadsafe(settle, future, result)


def outcome(track: Track, model: str, data: bytes, clock: Clock) -> Answer | BaseException:
    """
    An answer or an error, in a frame that does not know the future it goes to.

    A cycle of the two would keep the upload and what the decoder made of it in memory until
    the garbage collector comes by.
    """
    try:
        return track.answer(model, data, clock)
    except Refusal as error:
        return error.fresh()
    except BaseException as error:
        return error


def settle(future: asyncio.Future[Answer], result: Answer | BaseException) -> None:
    """Give a request its answer, unless the service's stop has cancelled it."""
    if future.done():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)


def result_of(result: Answer | BaseException) -> Answer:
    """One entry of a batch: what was found, or why nothing could be."""
    if isinstance(result, Refusal):
        return result.body()
    if isinstance(result, BaseException):
        raise result
    return {"image": result["image"], "detections": result["detections"]}
