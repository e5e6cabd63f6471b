"""
A sweep's comparison turned into advice: the value of a knob to serve with.

Nothing is estimated here that the comparison does not have. A value is better by a verdict, by an
objective that it surely keeps where the present value surely does not, or by answering where
that one refuses; else the present stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, log

from analysis.capacity import capacity
from analysis.cells import THROUGHPUT, percentile_key
from analysis.compare import Verdict
from analysis.comparison import Comparison
from analysis.differences import Difference, differences
from analysis.kept import Kept
from analysis.objective import DEFAULT
from analysis.tuning import knobs
from analysis.tuning.failures import Failures
from analysis.tuning.knobs import Knob
from analysis.tuning.moved import Moved, moved
from analysis.tuning.sweep import decisive
from analysis.words import (
    levels_phrase,
    load_of,
    measure_name,
    percent,
    ratio_interval,
    ratio_point,
)
from benchmarks.record import level_title


class Outcome(StrEnum):
    PRESENT = "present"
    BETTER = "better"
    WORSE = "worse"
    MIXED = "better and worse"
    ALIKE = "no difference"
    FAILS = "fails requests"
    UNTOLD = "cannot be told"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One value against the present one."""

    variant: str
    value: str  # as people write it
    outcome: Outcome
    reason: str
    carries: str | None  # the highest level within the objective; None: none, or no objective
    unseen: float = inf  # ALIKE: this share would have been seen by such a comparison alone


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about one knob."""

    knob: Knob
    chosen: Candidate
    candidates: tuple[Candidate, ...]  # the present one first, the others as they were given
    levels: tuple[str, ...]  # those that decided
    as_good: tuple[Candidate, ...]  # better than the present one too, but further from it

    @property
    def present(self) -> Candidate:
        return self.candidates[0]

    @property
    def changes(self) -> bool:
        return self.chosen is not self.present


def advise(comparison: Comparison) -> list[Advice]:
    """One advice a knob, by the objective of the comparison if it has one."""
    return [_advice(comparison, each) for each in moved(comparison.record)]


def _advice(comparison: Comparison, what: Moved) -> Advice:
    reference, shown = comparison.plan.reference, what.knob.from_setting
    judge = Judge(comparison, tuple(what.values))
    first = shown(what.present)
    present = Candidate(reference, first, Outcome.PRESENT, "", judge.carries(reference))
    others = [judge.candidate(name, shown(value)) for name, value in what.values.items()]
    chosen, as_good = _chosen(judge, present, others)
    return Advice(what.knob, chosen, (present, *others), judge.levels, as_good)


class Judge:
    """
    The values of one knob against the present one, at the levels that decide.

    With an objective these are the levels that any of the values carries: how fast something is
    that nobody may serve decides nothing.
    """

    def __init__(self, comparison: Comparison, variants: Sequence[str]) -> None:
        plan, self._slo = comparison.plan, comparison.slo
        self._comparison = comparison
        self._measures = (percentile_key(decisive(self._slo)), THROUGHPUT)
        self._capacities = (
            {found.variant: found for found in capacity(comparison, self._slo)} if self._slo else {}
        )
        most = max(self.rank(name) for name in (plan.reference, *variants))
        self.levels = tuple(n for n in plan.levels if load_of(n)[1] <= (most or inf))
        allowed = (self._slo or DEFAULT).max_error_share
        self.failures = Failures(comparison, self.levels, allowed)
        # Of those that carry this most, the best is the one that does it with most to spare.
        self._last = tuple(n for n in self.levels if not most or load_of(n)[1] == most)

    def carries(self, variant: str) -> str | None:
        """The highest level at which a value keeps the objective."""
        found = self._capacities.get(variant)
        return found.holds if found else None

    def rank(self, variant: str) -> float:
        """That level as a load."""
        holds = self.carries(variant)
        return load_of(holds)[1] if holds else 0.0

    def candidate(self, variant: str, value: str) -> Candidate:
        outcome, reason = self._told(variant) or self._by_time(variant)
        unseen = max((d.ratio.detectable for d in self._found(variant) if d.ratio), default=inf)
        return Candidate(variant, value, outcome, reason, self.carries(variant), unseen)

    def _told(self, variant: str) -> tuple[Outcome, str] | None:
        """Without times, if failures or the objective tell enough."""
        if more := self.failures.more(variant):
            return Outcome.FAILS, more
        if found := self._by_load(variant):
            return found
        fewer = self.failures.fewer(variant)
        return (Outcome.BETTER, fewer) if fewer else None

    def _by_load(self, variant: str) -> tuple[Outcome, str] | None:
        """By the objective alone, if one of the two keeps it where the other surely does not."""
        reference = self._comparison.plan.reference
        ours, theirs = self.rank(variant), self.rank(reference)
        more, less = (variant, reference) if ours > theirs else (reference, variant)
        level = self.carries(more)
        if ours == theirs or level is None:
            return None
        keeps, breaks = (self._capacities[name].judged[level] for name in (more, less))
        load = level_title(level)
        if breaks.outcome is not Kept.BROKEN:
            told = f"whether it carries {load}: {breaks.reason}"
            # More load may still be shown by a verdict; less is no gain, whatever is faster.
            return None if ours > theirs else (Outcome.UNTOLD, told)
        if ours < theirs:
            return Outcome.WORSE, f"does not carry {load} ({breaks.reason})"
        kept = f"carries {load} ({keeps.reason})"
        return Outcome.BETTER, f"{kept}, which the present value does not ({breaks.reason})"

    def _by_time(self, variant: str) -> tuple[Outcome, str]:
        """By the verdicts: better is faster somewhere and slower nowhere."""
        found = self._found(variant)
        faster = [d for d in found if d.verdict is Verdict.FASTER]
        slower = [d for d in found if d.verdict is Verdict.SLOWER]
        if faster and slower:
            return Outcome.MIXED, f"{_largest(faster)}, but {_largest(slower)}"
        if faster or slower:
            return (Outcome.BETTER if faster else Outcome.WORSE), _largest(faster or slower)
        if all(d.verdict is Verdict.SAME for d in found):
            return Outcome.ALIKE, f"the same within {percent(self._comparison.plan.margin)}"
        if all(d.ratio is None for d in found):
            return Outcome.UNTOLD, "; ".join(dict.fromkeys(d.reason for d in found))
        needed = [d.repeats_needed for d in found if d.repeats_needed is not None]
        more = f"; about {max(needed)} repeats would tell" if needed else ""
        return Outcome.ALIKE, f"nothing beyond noise{more}"

    def _found(self, variant: str) -> list[Difference]:
        """What decides: one percentile and requests/s, at each level that counts."""
        return [
            d
            for d in self._comparison.matrix.differences
            if d.variant == variant and d.level in self.levels and d.measure in self._measures
        ]

    def as_good_as(self, best: str, others: Sequence[str]) -> set[str]:
        """Those that are nowhere slower than the best one, beyond noise."""
        plan = replace(self._comparison.plan, reference=best, levels=self._last)
        found = differences(self._comparison.matrix.cells, plan, others)
        slower = {d.variant for d in found if d.verdict is Verdict.SLOWER}
        return {*others} - slower

    def time(self, variant: str) -> float:
        """The mean logarithm of the ratios of its percentile: the lower, the faster."""
        found = [d for d in self._found(variant) if d.level in self._last]
        logs = [log(d.ratio.point) for d in found if d.ratio and d.measure != THROUGHPUT]
        return sum(logs) / len(logs) if logs else 0.0


def _largest(found: Sequence[Difference]) -> str:
    """`P95 takes 0.73 [0.59, 0.91] times as long with 8 clients`; all of them have a verdict."""
    timed = [d for d in found if d.measure != THROUGHPUT]
    largest = max(timed or found, key=lambda d: abs(log(d.ratio.point)) if d.ratio else 0.0)
    assert largest.ratio is not None
    times = f"{ratio_point(largest.ratio)} {ratio_interval(largest.ratio)} times"
    where = levels_phrase([largest.level])
    if largest.measure == THROUGHPUT:
        return f"it gives {times} as many answers {where}"
    return f"{measure_name(largest.measure)} takes {times} as long {where}"


def _chosen(
    judge: Judge, present: Candidate, others: Sequence[Candidate]
) -> tuple[Candidate, tuple[Candidate, ...]]:
    """The best; of those that are as good, the one that is the smallest change."""
    better = [each for each in others if each.outcome is Outcome.BETTER]
    better = [each for each in better if not judge.failures.too_many(each.variant)] or better
    most = max((judge.rank(each.variant) for each in better), default=0.0)
    better = [each for each in better if judge.rank(each.variant) == most]
    if not better:
        return present, ()
    best = min(better, key=lambda each: judge.time(each.variant))
    rest = [each.variant for each in better if each is not best]
    equal = {best.variant} | (judge.as_good_as(best.variant, rest) if rest else set())
    ordered = [each for each in _nearest_first(present, others) if each.variant in equal]
    return ordered[0], tuple(ordered[1:])


def _nearest_first(present: Candidate, others: Sequence[Candidate]) -> list[Candidate]:
    """In steps between the values that were tried; words in the order in which they were given."""
    found = {each.variant: knobs.number(each.value) for each in (present, *others)}
    numbers = [value for value in found.values() if value is not None]
    if len(numbers) < len(found):
        return list(others)
    place = {name: sorted(numbers).index(value or 0.0) for name, value in found.items()}
    here = place[present.variant]
    return sorted(others, key=lambda each: (abs(place[each.variant] - here), place[each.variant]))
