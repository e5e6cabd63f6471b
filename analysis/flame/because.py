"""
Why a variant is faster or slower, one step further than its stages: in which functions.

Stage times come from the answers and include waiting; stacks say what the CPU did, and where.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from statistics import fmean
from typing import NamedTuple, Self

from analysis import why
from analysis.comparison import Comparison
from analysis.costs import visit_cpu_ms
from analysis.flame import profiles
from analysis.flame.causes import PYTHON, Cause, Place, causes
from analysis.flame.costs import Costs, costs_of
from analysis.flame.profiles import Profile
from analysis.flame.stacks import Stacks
from analysis.latency import AnalysisError
from analysis.stages import MEAN, REST
from analysis.words import levels_phrase, number, percent, plain
from benchmarks.record import RecordError

PLACES = 2  # functions or packages that a sentence names
MAIN = 0.5  # a place that has less than this share of the largest is not named beside it
NEARLY_ALL, MOST = 0.8, 0.5  # of a stage's difference, in the places that are named

Pairs = Sequence[tuple[Stacks, Stacks]]
Times = Mapping[str, float] | None


class Link(NamedTuple):
    """A place that a sentence names: a page may show it in the flamegraph."""

    text: str
    name: str  # the frame's; "" for a package
    file: str  # the frame's; of a package its folder


class Sentence(str):
    """A sentence; its parts for pages that can link, which are the same text."""

    parts: tuple[str | Link, ...]

    def __new__(cls, *parts: str | Link) -> Self:
        found = super().__new__(cls, "".join(p if isinstance(p, str) else p.text for p in parts))
        found.parts = parts
        return found


@dataclass(frozen=True, slots=True)
class Told:
    """What the profiles say of a variant, at the level where its CPU time differs most."""

    variant: str
    against: str
    level: str  # "" where they cannot be read
    sentences: tuple[Sentence, ...]


def sentences(comparison: Comparison) -> list[Sentence]:
    """Of each judged variant that has profiles; none without."""
    return [line for told_of in told(comparison) for line in told_of.sentences]


def told(comparison: Comparison) -> list[Told]:
    """Of each judged variant that has profiles, and of which they say something."""
    pairs = cache(partial(profiles.aa_pairs, comparison.record))
    every = [_of_variant(comparison, variant, pairs) for variant in comparison.plan.judged]
    return [found for found in every if found.sentences]


def _of_variant(comparison: Comparison, variant: str, pairs: Callable[[], Pairs]) -> Told:
    against = comparison.plan.reference
    level, lines = "", []
    try:
        levels = _levels(comparison, variant)
        if levels:
            level = levels[0]
            sides = [profiles.from_record(comparison.record, v, level) for v in (against, variant)]
            times = [_stage_times(comparison, v, level) for v in (against, variant)]
            lines = explained(sides, pairs(), level=level, times=times, among=len(levels))
    except (AnalysisError, RecordError) as error:
        lines = [Sentence(f"The profiles of {plain(variant)} tell nothing: {plain(error)}.")]
        level = ""
    return Told(variant, against, level, tuple(lines))


def _levels(comparison: Comparison, variant: str) -> list[str]:
    """Those at which both have profiles, the largest difference of CPU time first."""
    record, plan = comparison.record, comparison.plan
    there, names = set(record.profiles()), (plan.reference, variant)
    levels = [level for level in plan.levels if all((name, level) in there for name in names)]
    return sorted(levels, key=lambda level: -_cpu_difference(comparison, level, names))


def _cpu_difference(comparison: Comparison, level: str, names: Sequence[str]) -> float:
    cells = [comparison.matrix.cells.get((name, level)) for name in names]
    costs = [[visit_cpu_ms(v, own=True) for v in cell.visits] if cell else [] for cell in cells]
    found = [[cost for cost in each if cost is not None] for each in costs]
    return abs(fmean(found[1]) - fmean(found[0])) if all(found) else 0.0


def _stage_times(comparison: Comparison, variant: str, level: str) -> Times:
    cell = comparison.matrix.cells.get((variant, level))
    return cell.mix(MEAN) if cell else None


def explained(
    sides: Sequence[Profile],
    pairs: Pairs = (),
    *,
    level: str = "",
    times: Sequence[Times] = (None, None),
    among: int = 1,
) -> list[Sentence]:
    """
    What a request costs before and after, and the causes: one sentence each.

    *times* are mean stage times in ms, of both, as the answers tell them; *among* is of how many
    levels this one has the largest difference. Empty where CPU time a request is not known.
    """
    if not all(side.cpu_ms for side in sides):
        return []
    costs = costs_of(sides, pairs)
    differ = costs.differ(among)
    found = causes([side.stacks for side in sides], costs, among)
    lines = [_sentence(cause, times) for cause in found] or [_nothing(differ=differ)]
    return [_head(sides, costs, level, differ=differ), *lines]


def _head(sides: Sequence[Profile], costs: Costs, level: str, *, differ: bool) -> Sentence:
    (a, b), (before, after) = costs.totals, sides
    of = " of the service's own processes" if any(side.triton_ms for side in sides) else ""
    where = f" {levels_phrase([level])}" if level else ""
    amount = _more(b - a) if differ else "no difference beyond the noise"
    return Sentence(
        f"CPU time{of}{where}, {plain(after.name)} against {plain(before.name)}:"
        f" {number(a)} -> {number(b)} ms a request, {amount}."
    )


def _nothing(*, differ: bool) -> Sentence:
    if not differ:
        return Sentence("No stage's CPU time differs beyond the noise of the profiles.")
    return Sentence(
        "No stage's part in it is beyond the noise of the profiles; profile for longer, or with"
        " less other load on the machine."
    )


def _sentence(cause: Cause, times: Sequence[Times]) -> Sentence:
    cost = f"{number(cause.before_ms)} -> {number(cause.after_ms)} ms of CPU a request"
    parts: list[str | Link] = [f"{why.name(cause.stage)}: {cost}, {_amount(cause)}"]
    along = [place for place in cause.places if place.ms * cause.ms > 0]
    named = [p for p in along[:PLACES] if abs(p.ms) >= MAIN * abs(along[0].ms)]
    for joint, place in zip((f", {_within(cause, named)} ", " and "), named, strict=False):
        parts += [joint, _place(place)]
    against = next((place for place in cause.places if place.ms * cause.ms < 0), None)
    if against is not None:
        parts += ["; the other way ", _place(against)]
    stages = [mean.get(cause.stage) if mean else None for mean in times]
    if stages[0] is not None and stages[1] is not None and cause.stage != REST:
        waiting = f"{number(stages[0])} -> {number(stages[1])} ms"
        parts.append(f"; with waiting, {waiting}, as the answers say")
    return Sentence(*parts, ".")


def _within(cause: Cause, named: Sequence[Place]) -> str:
    share = sum(place.ms for place in named) / cause.ms
    return "in" if share >= NEARLY_ALL else "mostly in" if share >= MOST else "partly in"


def _amount(cause: Cause) -> str:
    """More than all of a difference is no share that anybody would understand."""
    if cause.share is not None and 0 < cause.share <= 1:
        return f"{percent(cause.share)} of the CPU {'gain' if cause.ms < 0 else 'loss'}"
    return _more(cause.ms)


def _more(ms: float) -> str:
    return f"{number(abs(ms))} ms {'less' if ms < 0 else 'more'}"


def _place(place: Place) -> str | Link:
    frame = place.frame
    text = f"{frame.label} {number(place.before_ms)} -> {number(place.after_ms)} ms"
    return text if frame == PYTHON else Link(text, *frame)
