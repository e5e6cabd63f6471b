"""What one process of the service works with: its tracks, its threads and its way to Triton."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from service import detection
from service.clock import Clock
from service.limits import Refusal
from service.settings import NOBODY, REMOTE_TRACKS, Settings
from service.slots import Slots
from service.tracks import Answer, Track, TrackA, TrackNull

if TYPE_CHECKING:
    from service.remote import Remote

NOT_WARM = "not every worker has run a real inference yet"


class Worker:
    """Built before the event loop runs; `start` and `stop` are the loop's."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.slots = Slots(settings.threads)
        self.local = TrackA(settings, self.slots)
        self.tracks: dict[str, Track] = {"A": self.local, "null": TrackNull(self.slots)}
        self.remote = remote(settings, self.slots)
        if self.remote is not None:
            self.tracks |= self.remote.tracks
        self.warm = False

    def warm_up(self) -> None:
        """Run a real inference of each model on each thread: no client pays for a first one."""
        picture = detection.WARM_UP.read_bytes()

        def every_model() -> None:
            for model in detection.SIZES:
                self.local.stages(model, picture, Clock())

        self.slots.on_each(every_model)
        self.warm = True

    async def start(self) -> None:
        """What needs the event loop."""
        if self.remote is not None:
            await self.remote.start()
            if self.settings.track in REMOTE_TRACKS:
                await self.remote.ready(self.settings.track)

    async def missing(self) -> str:
        """What is missing before the default track can answer; nothing if it can."""
        if not self.warm:
            return NOT_WARM
        if self.settings.track not in REMOTE_TRACKS or self.remote is None:
            return ""
        return await self.remote.ready(self.settings.track)

    async def stop(self) -> None:
        """Leave Triton, and let the threads end."""
        if self.remote is not None:
            await self.remote.close()
        self.slots.close()

    def track(self, wanted: str | None) -> Track:
        name = wanted or self.settings.track
        if name in self.tracks:
            return self.tracks[name]
        if name in REMOTE_TRACKS:
            raise Refusal(
                "triton_unavailable",
                f"track {name} needs Triton, and SERVICE_TRITON_URL is none; set it to Triton's "
                "gRPC address",
            )
        names = ", ".join(self.tracks)
        raise Refusal("track_unknown", f"found track {name[:50]!r}; expected one of {names}")

    async def one(self, track: Track, model: str, data: bytes, clock: Clock) -> Answer:
        """The answer for one picture."""
        clock.received()
        clock.track = track.name
        given = await track.answer(model, data, clock)
        clock.detections = len(given["detections"])
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
        clocks = [clock.for_picture() for _ in pictures]
        jobs = [track.answer(model, *job) for job in zip(pictures, clocks, strict=True)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        for other in clocks:
            clock.merge(other)
        clock.detections = sum(
            len(result["detections"]) for result in results if not isinstance(result, BaseException)
        )
        clock.answered()
        found = {"model": model, "track": track.name, "engine": track.engine(model)}
        return found | {"results": [result_of(result) for result in results]}


def remote(settings: Settings, slots: Slots) -> "Remote | None":
    """The way to Triton. Half a second to import: who has no Triton does not wait for it."""
    if settings.triton_url == NOBODY:
        return None
    from service.remote import Remote

    return Remote(settings, slots)


def result_of(result: Answer | BaseException) -> Answer:
    """One entry of a batch: what was found, or why nothing could be."""
    if isinstance(result, Refusal):
        return result.body()
    if isinstance(result, BaseException):
        raise result
    return {"image": result["image"], "detections": result["detections"]}
