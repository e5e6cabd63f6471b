"""
The answer in sentences: one for each variant, and what could not be decided.
"""

from collections.abc import Iterator, Sequence

from analysis.cells import THROUGHPUT
from analysis.compare import Bound, Verdict
from analysis.comparison import Comparison
from analysis.matrix import Difference
from analysis.words import (
    enumeration,
    levels_phrase,
    measure_name,
    number,
    percent,
    plain,
    ratio_interval,
    ratio_point,
)

HEADLINE = 95.0  # the largest percentile that the sentences speak of


def sentences(comparison: Comparison) -> list[str]:
    """One for each variant, at the highest percentile up to P95 that every cell of it has."""
    return [_sentence(comparison, variant) for variant in comparison.plan.judged]


def _sentence(comparison: Comparison, variant: str) -> str:
    plan = comparison.plan
    measure, found = headline(comparison, variant)
    name, reference = plain(variant), plain(plan.reference)
    if not found:
        return f"{name} could not be compared with {reference}: there are too few requests."
    clauses = []
    for verdict in (Verdict.FASTER, Verdict.SLOWER, Verdict.SAME, Verdict.UNRESOLVED):
        alike = [d for d in found if d.verdict is verdict]
        if alike:
            phrase = levels_phrase([d.level for d in alike], plan.levels)
            clauses.append(_clause(verdict, alike, phrase, reference, plan.margin))
    return f"At {measure_name(measure)}, {name} {'; it '.join(clauses)}."


def _clause(
    verdict: Verdict, alike: Sequence[Difference], phrase: str, reference: str, margin: float
) -> str:
    if verdict is Verdict.UNRESOLVED:
        return f"is unresolved against {reference} {phrase}"
    if verdict is Verdict.SAME:
        return f"takes the same time as {reference} {phrase} (within {percent(margin)})"
    return f"is {verdict} than {reference} {phrase}: {_most(alike)}"


def _most(alike: Sequence[Difference]) -> str:
    """The largest of the differences, in the direction of the tables and in common speech."""
    largest = max(alike, key=lambda d: abs(d.ratio.point - 1) if d.ratio else 0)
    assert largest.ratio is not None
    ratio, where = largest.ratio, levels_phrase([largest.level])
    shown = f"{ratio_point(ratio)} {ratio_interval(ratio)}"
    times = f"{shown if ratio.bound is Bound.EXACT else ratio_interval(ratio)} times as long"
    text = f"{where} it takes {times}" if len(alike) > 1 else f"it takes {times}"
    if ratio.point < 1 and ratio.bound is Bound.EXACT:
        text += f" ({number(1 / ratio.point)} times as fast)"
    return text


def headline(comparison: Comparison, variant: str) -> tuple[str, list[Difference]]:
    """The measure and its differences; of the percentiles that fewest cells lack, the highest."""
    plan = comparison.plan
    best: tuple[str, list[Difference]] = (THROUGHPUT, [])
    for q, measure in zip(plan.percentiles, plan.measures, strict=False):
        found = [
            d
            for d in comparison.matrix.differences
            if d.variant == variant and d.measure == measure and d.ratio is not None
        ]
        if len(found) >= len(best[1]) and (q <= HEADLINE or not best[1]):
            best = measure, found
    return best


def undecided(comparison: Comparison) -> Iterator[str]:
    """What is unresolved, why, and what would settle it; one line a variant and reason."""
    groups: dict[tuple[str, str], list[Difference]] = {}
    for d in comparison.matrix.differences:
        if d.verdict is Verdict.UNRESOLVED and d.ratio is not None:
            groups.setdefault((d.variant, d.reason), []).append(d)
    for (variant, reason), found in groups.items():
        yield f"{plain(variant)}, {_places(found, comparison)}: {reason}; {_remedy(found)}"


def _places(found: Sequence[Difference], comparison: Comparison) -> str:
    levels: dict[str, list[str]] = {}
    for d in found:
        levels.setdefault(d.measure, []).append(d.level)
    measures: dict[tuple[str, ...], list[str]] = {}
    for measure, where in levels.items():
        measures.setdefault(tuple(where), []).append(measure_name(measure))
    return ", ".join(
        f"{enumeration(names)} {levels_phrase(where, comparison.plan.levels)}"
        for where, names in measures.items()
    )


def _remedy(found: Sequence[Difference]) -> str:
    ratios = [d.ratio for d in found if d.ratio is not None]
    if any(len(ratio.blocks) < 2 for ratio in ratios):
        return "take at least 3 repeats"
    if any(ratio.bound is not Bound.EXACT for ratio in ratios):
        return "raise timeout_s, or compare at a load that the service can carry"
    if not any(ratio.low <= 1 <= ratio.high for ratio in ratios):
        return "a few more repeats would settle it"
    needed = [d.repeats_needed for d in found]
    if None in needed:
        return "more than 100 repeats would be needed; quieten the machine or accept a wider margin"
    most = max(n for n in needed if n is not None)
    return f"about {most} repeats would settle it if the noise stays as it is"
