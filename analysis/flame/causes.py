"""
Which stages make two profiles differ, and which functions in them: numbers, beyond the noise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from analysis.flame import graph, noise
from analysis.flame.costs import Costs
from analysis.flame.stacks import Frame, Stacks
from analysis.flame.stage_frames import stage_of
from analysis.stages import REST

Key = TypeVar("Key")

SMALL = 0.05  # of the difference: causes below it are left to the flamegraph
SURE = 2.0  # times beyond the noise: a difference of which a share can be told
PYTHON = Frame("python", "")  # modules of Python's own that lie in no folder, together


@dataclass(frozen=True, slots=True)
class Place:
    """A function, or a package outside the stages, and the CPU ms a request in itself."""

    frame: Frame  # of a package: without a name
    before_ms: float
    after_ms: float

    @property
    def ms(self) -> float:
        return self.after_ms - self.before_ms


@dataclass(frozen=True, slots=True)
class Cause:
    """A stage whose CPU ms a request differ beyond the noise; its places, the largest first."""

    stage: str
    before_ms: float
    after_ms: float
    share: float | None  # of the difference; below 0: the other way; None: it is not sure enough
    places: tuple[Place, ...]

    @property
    def ms(self) -> float:
        return self.after_ms - self.before_ms


@dataclass(slots=True)
class _Counted:
    """Samples of each side: of a stage, and of the places that run in it."""

    total: list[int] = field(default_factory=lambda: [0, 0])
    places: dict[Frame, list[int]] = field(default_factory=dict)

    @property
    def different(self) -> set[tuple[int, ...]]:
        return {tuple(counts) for counts in (self.total, *self.places.values())}


def causes(sides: Sequence[Stacks], costs: Costs, among: int = 1) -> list[Cause]:
    """
    Stages that changed beyond the noise, those that make the difference first.

    What is named here is coloured in the flamegraph too: all of its frames, and these stages and
    places, are looked at, at as many levels as there are to choose the largest difference *among*.
    """
    counted = _count(sides)
    different = graph.looked_at(sides).union(*(each.different for each in counted.values()))
    limit = noise.threshold(among * len(different), costs.dispersion)
    whole = costs.totals[1] - costs.totals[0] if costs.differ(among) else 0.0
    sure = costs.differ(among, times=SURE)
    found = []
    for stage in _beyond({stage: each.total for stage, each in counted.items()}, costs, limit):
        a, b = costs.cost(counted[stage].total)
        if abs(b - a) >= SMALL * abs(whole):
            places = _places(counted[stage].places, costs, limit)
            found.append(Cause(stage, a, b, (b - a) / whole if sure else None, places))
    return sorted(found, key=lambda cause: (-cause.ms * whole, -abs(cause.ms)))


def _count(sides: Sequence[Stacks]) -> dict[str, _Counted]:
    counted: dict[str, _Counted] = {}
    for i, side in enumerate(sides):
        for stack, samples in side.counts.items():
            stage = stage_of(stack)
            found = counted.setdefault(stage, _Counted())
            found.total[i] += samples
            place = _package(stack[-1]) if stage == REST else stack[-1]
            found.places.setdefault(place, [0, 0])[i] += samples
    return counted


def _package(frame: Frame) -> Frame:
    """Outside the stages costs lie in many small functions: their library tells more."""
    folder, inside, _ = frame.file.partition("/")
    if inside:
        return Frame("", folder)
    if frame.file.endswith(".py") or frame.file.startswith("<frozen"):
        return PYTHON
    return Frame("", frame.file) if frame.file else frame


def _beyond(counts: Mapping[Key, list[int]], costs: Costs, limit: float) -> Iterator[Key]:
    for name, z in zip(counts, costs.z(list(counts.values())), strict=True):
        if z is not None and abs(z) > limit:
            yield name


def _places(counts: Mapping[Frame, list[int]], costs: Costs, limit: float) -> tuple[Place, ...]:
    found = [Place(frame, *costs.cost(counts[frame])) for frame in _beyond(counts, costs, limit)]
    return tuple(sorted(found, key=lambda place: -abs(place.ms)))
