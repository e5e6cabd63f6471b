"""
Why a variant is faster or slower, one step further than its stages: in which functions.

Stage times come from the answers and include waiting; stacks say what the CPU did, and where.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from analysis import why
from analysis.comparison import Comparison
from analysis.flame import noise, profiles
from analysis.flame.costs import Costs, costs_of
from analysis.flame.noise import Dispersion
from analysis.flame.profiles import Profile
from analysis.flame.stacks import Frame, Stacks
from analysis.flame.stage_frames import stage_of
from analysis.latency import AnalysisError
from analysis.stages import MEAN, REST
from analysis.words import enumeration, levels_phrase, number, percent, plain
from benchmarks.record import Record, RecordError

PLACES = 2  # functions or packages that a sentence names
SMALL = 0.05  # of the difference: causes below it are left to the flamegraph
MAIN = 0.5  # a place that has less than this share of the largest is not named beside it


@dataclass(frozen=True, slots=True)
class Place:
    """A function, or a package outside the stages, and the CPU ms a request in itself."""

    name: str
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
    share: float | None  # of the difference; below 0: the other way; None: there is none
    places: tuple[Place, ...]

    @property
    def ms(self) -> float:
        return self.after_ms - self.before_ms


@dataclass(slots=True)
class _Counted:
    """Samples of each side: of a stage, and of the places that run in it."""

    total: list[int] = field(default_factory=lambda: [0, 0])
    places: dict[str, list[int]] = field(default_factory=dict)


def sentences(comparison: Comparison) -> list[str]:
    """For each judged variant, at the level where CPU time differs most; none without profiles."""
    said: list[str] = []
    for variant in comparison.plan.judged:
        try:
            said += _of_variant(comparison, variant)
        except (AnalysisError, RecordError) as error:
            said.append(f"The profiles of {plain(variant)} tell nothing: {plain(error)}.")
    return said


def _of_variant(comparison: Comparison, variant: str) -> list[str]:
    record, plan = comparison.record, comparison.plan
    there, names = set(record.profiles()), (plan.reference, variant)
    levels = [level for level in plan.levels if all((name, level) in there for name in names)]
    if not levels:
        return []
    level = max(levels, key=lambda found: _cpu_difference(record, found, names))
    before, after = (profiles.from_record(record, name, level) for name in names)
    times = [_stage_times(comparison, name, level) for name in names]
    return explained(before, after, profiles.aa_pairs(record), level=level, times=times)


def _cpu_difference(record: Record, level: str, names: Sequence[str]) -> float:
    found = [profiles.cpu_ms_by_block(record, name, level) for name in names]
    return abs(fmean(found[1].values()) - fmean(found[0].values())) if all(found) else 0.0


def of_record(record: Record, level: str, variant: str, against: str) -> list[str]:
    """The same of one level, without stage times: what stands beside its flamegraph."""
    before, after = (profiles.from_record(record, name, level) for name in (against, variant))
    return explained(before, after, profiles.aa_pairs(record), level=level)


def explained(
    before: Profile,
    after: Profile,
    pairs: Sequence[tuple[Stacks, Stacks]] = (),
    *,
    level: str = "",
    times: Sequence[Mapping[str, float] | None] = (None, None),
) -> list[str]:
    """
    What a request costs before and after, and the causes: one sentence each.

    *times* are mean stage times in ms, of both, as the answers tell them. Empty where CPU time a
    request is not known.
    """
    if not (before.cpu_ms and after.cpu_ms):
        return []
    costs = costs_of((before, after), pairs)
    lines = [_sentence(cause, times) for cause in causes(before, after, costs)]
    return [_head(before, after, costs, level), *(lines or [_nothing(costs)])]


def causes(before: Profile, after: Profile, costs: Costs) -> list[Cause]:
    """Stages that changed beyond the noise, those that make the difference first."""
    counted = _count((before.stacks, after.stacks))
    looked_at = sum(1 + len(found.places) for found in counted.values())
    limit = noise.threshold(looked_at, costs.dispersion)
    whole = costs.totals[1] - costs.totals[0] if _differ(costs) else 0.0
    found = []
    for stage in _beyond({stage: each.total for stage, each in counted.items()}, costs, limit):
        a, b = costs.cost(counted[stage].total)
        share = (b - a) / whole if whole else None
        if share is None or abs(share) >= SMALL:
            places = _places(counted[stage].places, costs, limit)
            found.append(Cause(stage, a, b, share, places))
    return sorted(found, key=lambda cause: (-(cause.share or 0.0), -abs(cause.ms)))


def _count(sides: Sequence[Stacks]) -> dict[str, _Counted]:
    counted: dict[str, _Counted] = {}
    for i, side in enumerate(sides):
        for stack, samples in side.counts.items():
            stage = stage_of(stack)
            found = counted.setdefault(stage, _Counted())
            found.total[i] += samples
            place = _package(stack[-1]) if stage == REST else _function(stack[-1])
            found.places.setdefault(place, [0, 0])[i] += samples
    return counted


def _function(frame: Frame) -> str:
    return f"{frame.name} ({frame.file})" if frame.file else frame.name


def _package(frame: Frame) -> str:
    """Outside the stages costs lie in many small functions: their library tells more."""
    return frame.file.partition("/")[0].removesuffix(".py") or frame.name


def _beyond(counts: Mapping[str, list[int]], costs: Costs, limit: float) -> Iterator[str]:
    for name, z in zip(counts, costs.z(list(counts.values())), strict=True):
        if z is not None and abs(z) > limit:
            yield name


def _places(counts: Mapping[str, list[int]], costs: Costs, limit: float) -> tuple[Place, ...]:
    found = [Place(name, *costs.cost(counts[name])) for name in _beyond(counts, costs, limit)]
    return tuple(sorted(found, key=lambda place: -abs(place.ms)))


def _differ(costs: Costs) -> bool:
    """Whether the whole differs: one comparison, of which the blocks are all the noise."""
    (z,) = costs.z([costs.samples])
    return z is not None and abs(z) > noise.threshold(1, Dispersion())


def _head(before: Profile, after: Profile, costs: Costs, level: str) -> str:
    a, b = costs.totals
    where = f" {levels_phrase([level])}" if level else ""
    amount = f"{number(abs(b - a))} ms {'less' if b < a else 'more'}"
    if not _differ(costs):
        amount = "no difference beyond the noise"
    return (
        f"CPU time{where}, {plain(after.name)} against {plain(before.name)}:"
        f" {number(a)} -> {number(b)} ms a request, {amount}."
    )


def _nothing(costs: Costs) -> str:
    if not _differ(costs):
        return "No stage's CPU time differs beyond the noise of the profiles."
    return (
        "No stage's part in it is beyond the noise of the profiles; profile for longer, or with"
        " less other load on the machine."
    )


def _sentence(cause: Cause, times: Sequence[Mapping[str, float] | None]) -> str:
    text = f"{why.name(cause.stage)}: {number(cause.before_ms)} -> {number(cause.after_ms)} ms"
    text += f" of CPU a request, {_amount(cause)}"
    along = [place for place in cause.places if place.ms * cause.ms > 0]
    named = [p for p in along[:PLACES] if abs(p.ms) >= MAIN * abs(along[0].ms)]
    if named:
        text += f", in {enumeration([_place(place) for place in named])}"
    against = next((place for place in cause.places if place.ms * cause.ms < 0), None)
    if against is not None:
        text += f"; the other way {_place(against)}"
    told = [mean.get(cause.stage) if mean else None for mean in times]
    if told[0] is not None and told[1] is not None and cause.stage != REST:
        text += f"; with waiting, {number(told[0])} -> {number(told[1])} ms, as the answers say"
    return f"{text}."


def _amount(cause: Cause) -> str:
    if cause.share is not None and cause.share > 0:
        return f"{percent(cause.share)} of the {'gain' if cause.ms < 0 else 'loss'}"
    return f"{number(abs(cause.ms))} ms {'less' if cause.ms < 0 else 'more'}"


def _place(place: Place) -> str:
    return f"{place.name} {number(place.before_ms)} -> {number(place.after_ms)} ms"


def _stage_times(comparison: Comparison, variant: str, level: str) -> Mapping[str, float] | None:
    cell = comparison.matrix.cells.get((variant, level))
    return cell.mix(MEAN) if cell else None
