"""
Each variant against the reference: at each level, and over the whole curve.

All that are read together are adjusted for one another.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import geometric_mean

from analysis.cells import THROUGHPUT, Cell
from analysis.compare import (
    BOTH_GIVEN_UP,
    Noise,
    Ratio,
    Value,
    Verdict,
    block_noise,
    holm,
    judge,
    noise_floor,
    p_value,
    ratio,
    repeats_needed,
)
from analysis.plan import Plan
from analysis.words import ALL_LEVELS

NOT_MEASURED = "was not measured"


@dataclass(frozen=True, slots=True)
class Difference:
    """One variant against the reference, at one level, by one measure."""

    variant: str
    level: str
    measure: str
    ratio: Ratio | None
    floor: float | None  # the noise floor as a share; None without an A/A pair
    p: float
    adjusted_p: float
    verdict: Verdict
    reason: str  # why it is unresolved
    repeats_needed: int | None


def differences(
    cells: Mapping[tuple[str, str], Cell], plan: Plan, variants: Iterable[str]
) -> tuple[Difference, ...]:
    names = tuple(variants)
    return _adjusted(
        [
            _difference(cells, plan, variant, level, measure)
            for level in plan.levels
            for variant in names
            for measure in plan.measures
        ],
        plan,
    )


def _adjusted(found: list[Difference], plan: Plan) -> tuple[Difference, ...]:
    """All of them, so that the p-values are adjusted for as many as are read together."""
    possible = [d for d in found if d.ratio is not None and len(d.ratio.blocks) > 1]
    adjusted = dict(zip(map(id, possible), holm([d.p for d in possible]), strict=True))
    return tuple(_judged(d, plan, adjusted.get(id(d), 1.0)) for d in found)


def _difference(
    cells: Mapping[tuple[str, str], Cell], plan: Plan, variant: str, level: str, measure: str
) -> Difference:
    series = {
        name: _by_block(cells.get((name, level)), measure)
        for name in plan.variants
        if (name, level) in cells
    }
    found = _between(series, plan, variant, level, measure)
    if found.ratio is not None:
        return found
    sides = [(name, cells.get((name, level))) for name in (variant, plan.reference)]
    blocks = series.get(variant, {}).keys() & series.get(plan.reference, {}).keys()
    return replace(found, reason=_lacking(sides, measure, sorted(blocks)))


def _between(
    series: Mapping[str, Mapping[int, Value]], plan: Plan, variant: str, level: str, measure: str
) -> Difference:
    """One variant against the reference, from the values of each variant by block."""
    ours, theirs = series.get(variant, {}), series.get(plan.reference, {})
    between = ratio([(ours[b], theirs[b]) for b in sorted(ours.keys() & theirs.keys())])
    p = 1.0 if between is None else p_value(between, _noise(series, variant, plan))
    floor, verdict = _floor(series, plan), Verdict.UNRESOLVED
    return Difference(variant, level, measure, between, floor, p, 1.0, verdict, "", None)


def curves(cells: Mapping[tuple[str, str], Cell], plan: Plan) -> tuple[Difference, ...]:
    """
    The verdict over the whole curve: in each block the geometric mean over the levels.

    Each level counts alike, whatever its latency; only levels at which both were measured count.
    """
    if len(plan.levels) < 2:
        return ()
    found = []
    for variant in plan.judged:
        for measure in plan.measures:
            by_level = {
                level: {n: _by_block(cells.get((n, level)), measure) for n in plan.variants}
                for level in plan.levels
            }
            shared = [s for s in by_level.values() if s[variant] and s[plan.reference]]
            curve = {name: _mean_over([s[name] for s in shared]) for name in plan.variants}
            if len(shared) > 1:
                found.append(_between(curve, plan, variant, ALL_LEVELS, measure))
    return _adjusted(found, plan)


def _mean_over(levels: Sequence[Mapping[int, Value]]) -> dict[int, Value]:
    """The geometric mean over the levels of each block that has all of them."""
    blocks = set.intersection(*(set(values) for values in levels)) if levels else set()
    return {
        block: Value(
            geometric_mean([values[block].value for values in levels]),
            any(values[block].at_least for values in levels),
        )
        for block in blocks
    }


def _lacking(sides: Iterable[tuple[str, Cell | None]], measure: str, blocks: Sequence[int]) -> str:
    """Why there is no ratio at all; empty if the two were only never measured in one block."""
    for name, cell in sides:
        if cell is None:
            return f"{name} {NOT_MEASURED}"
        if cell.value(measure) is None:
            return cell.lack(measure)
    return BOTH_GIVEN_UP if blocks else ""


def _judged(d: Difference, plan: Plan, adjusted_p: float) -> Difference:
    verdict, reason = judge(
        d.ratio, d.floor, plan.margin, adjusted_p, more_is_better=d.measure == THROUGHPUT
    )
    undecided = verdict is Verdict.UNRESOLVED and d.ratio is not None
    needed = repeats_needed(d.ratio, plan.margin) if undecided and d.ratio else None
    return replace(
        d,
        adjusted_p=adjusted_p,
        verdict=verdict,
        reason=d.reason or reason,
        repeats_needed=needed,
    )


def _by_block(cell: Cell | None, measure: str) -> dict[int, Value]:
    """Every repeat of the cell, or none: a percentile needs its count in each of them."""
    visits = cell.visits if cell else ()
    values = {visit.repeat: visit.value(measure) for visit in visits}
    return {
        block: v for block, v in values.items() if v is not None and None not in values.values()
    }


def _floor(series: Mapping[str, Mapping[int, Value]], plan: Plan) -> float | None:
    original = series.get(plan.original, {})
    copy = series.get(plan.aa, {}) if plan.aa else {}
    blocks = sorted(original.keys() & copy.keys())
    if any(original[b].at_least or copy[b].at_least for b in blocks):
        return None
    return noise_floor([copy[b].value for b in blocks], [original[b].value for b in blocks])


def _noise(series: Mapping[str, Mapping[int, Value]], variant: str, plan: Plan) -> Noise | None:
    """
    From the variant, the reference and the A/A pair, where they have exact values in every block.

    The other variants are left out: one that is erratic must not hide what another one does. A
    variant that is noisier than the copies is taken to be less noisy than it is; what holds
    then is the paired interval alone.
    """
    blocks = sorted(series.get(variant, {}).keys() & series.get(plan.reference, {}).keys())
    if len(blocks) < 2:
        return None
    wanted = {variant, plan.reference, plan.original, plan.aa}
    exact = {
        name: [values[block].value for block in blocks]
        for name, values in series.items()
        if name in wanted
        and all(block in values and not values[block].at_least for block in blocks)
    }
    return block_noise(exact) if {variant, plan.reference} <= exact.keys() else None
