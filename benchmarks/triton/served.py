"""
What a Triton is asked to serve: models, tracks, and how their detectors gather batches.

Which of Triton's models a track needs is written down here and, for the service, in
service/remote.py; a test holds the two alike.
"""

from dataclasses import dataclass, replace
from typing import Any

from benchmarks.fields import CampaignError

# What a track asks for; the server is told to load this, and an ensemble brings its parts.
ASKED = {
    "B": "{model}",
    "C": "{model}_end2end",
    "D": "{model}_D",
    "D_streaming": "{model}_D_streaming",
    "D_batch": "{model}_D_batch",
}
# The parts of an ensemble, the detector first.
PARTS = {
    "D": ("{model}_balanced", "{model}_decode"),
    "D_streaming": ("{model}_streaming", "{model}_decode"),
    "D_batch": ("{model}_batch", "{model}_decode"),
}
MODELS = ("nano", "small", "medium")
TRACKS = tuple(ASKED)
ALL = "all"

# Campaign settings of a variant's Triton, and the bounds of their values.
SETTINGS = {
    "TRITON_QUEUE_DELAY_MS": (0.0, 10_000.0),
    "TRITON_MAX_BATCH": (1, 1024),
    "TRITON_MAX_QUEUE": (1, 1_000_000),
    "TRITON_INSTANCES": (1, 64),
}


@dataclass(frozen=True, slots=True)
class Served:
    """Models and tracks, and what differs from the repository; None leaves it as it is there."""

    models: tuple[str, ...] = MODELS
    tracks: tuple[str, ...] = TRACKS
    queue_delay_ms: float | None = None
    max_batch: int | None = None
    max_queue: int | None = None  # waiting requests of a detector; more are refused
    instances: int | None = None

    @property
    def asked(self) -> dict[str, tuple[str, str]]:
        """Triton's models that are asked for, each with the model and track it answers."""
        return {
            ASKED[track].format(model=model): (model, track)
            for model in self.models
            for track in self.tracks
        }

    @property
    def differs(self) -> bool:
        """Whether anything is not as the repository has it."""
        own = self.queue_delay_ms, self.max_batch, self.max_queue, self.instances
        return any(value is not None for value in own)

    @property
    def detectors(self) -> tuple[str, ...]:
        """Those that gather batches: what differs from the repository is about them."""
        return tuple(
            PARTS.get(track, (ASKED[track],))[0].format(model=model)
            for model in self.models
            for track in self.tracks
        )

    @property
    def loaded(self) -> tuple[str, ...]:
        """All of Triton's models that are needed."""
        parts = (
            part.format(model=model)
            for model in self.models
            for track in self.tracks
            for part in (*PARTS.get(track, ()), ASKED[track])
        )
        return tuple(dict.fromkeys(parts))

    def __str__(self) -> str:
        own = {
            "queue delay": None if self.queue_delay_ms is None else f"{self.queue_delay_ms:g} ms",
            "max batch": self.max_batch,
            "max queue": self.max_queue,
            "instances": self.instances,
        }
        differs = "".join(f", {name} {value}" for name, value in own.items() if value is not None)
        return f"{', '.join(self.models)} on {', '.join(self.tracks)}{differs}"


def parse(option: str, text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """A list with commas, or all."""
    names = known if text == ALL else tuple(filter(None, (n.strip() for n in text.split(","))))
    for name in names or ("",):
        if name not in known:
            raise CampaignError(
                f"{option}: found {name!r}; expected {ALL}, or some of {', '.join(known)},"
                " with commas between them"
            )
    return tuple(dict.fromkeys(names))


def with_settings(served: Served, settings: dict[str, float]) -> Served:
    """The same with a variant's TRITON_* settings, which the campaign has checked."""
    own: Any = {name.removeprefix("TRITON_").lower(): value for name, value in settings.items()}
    return replace(served, **own)
