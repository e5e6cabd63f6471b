"""
The answer in sentences: one for each variant, and what could not be decided.
"""

from collections.abc import Iterator, Sequence

from analysis import triton
from analysis.cells import NO_ANSWER, NOT_REPORTED
from analysis.compare import (
    BOTH_GIVEN_UP,
    GIVEN_UP,
    INCLUDES_1,
    NOT_BEYOND_THE_FLOOR,
    ONE_OF_MANY,
    TOO_FEW_REPEATS,
    Bound,
    Verdict,
    narrows_to,
)
from analysis.comparison import Comparison
from analysis.differences import Difference
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
WAIT_LONGER = "raise timeout_s, or compare at a load that the service can carry"
REMEDIES = {
    TOO_FEW_REPEATS: "take at least 3 repeats",
    GIVEN_UP: WAIT_LONGER,
    BOTH_GIVEN_UP: WAIT_LONGER,
    NO_ANSWER: "read the service's log in the record",
    NOT_REPORTED: "ask for another with --percentile",
    NOT_BEYOND_THE_FLOOR: "take more repeats",
    ONE_OF_MANY: "take more repeats",
}


def sentences(comparison: Comparison) -> list[str]:
    """One for each variant, at the highest percentile up to P95 that every cell of it has; then
    what Triton was configured for and did not do."""
    verdicts = [_sentence(comparison, variant) for variant in comparison.plan.judged]
    return [*verdicts, *triton.never_batched(comparison)]


def _sentence(comparison: Comparison, variant: str) -> str:
    plan = comparison.plan
    measure, found = headline(comparison, variant)
    name, reference = plain(variant), plain(plan.reference)
    if not found:
        every = comparison.matrix.differences
        lowest = [d for d in every if d.variant == variant and d.measure == plan.measures[0]]
        reasons = "; ".join(dict.fromkeys(plain(d.reason) for d in lowest))
        return f"{name} could not be compared with {reference}: {reasons}."
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
    best: tuple[str, list[Difference]] = (plan.measures[0], [])
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
        if d.verdict is Verdict.UNRESOLVED:
            groups.setdefault((d.variant, d.reason), []).append(d)
    for (variant, reason), found in groups.items():
        where = f"{plain(variant)}, {_places(found, comparison)}"
        yield f"{where}: {reason}; {_remedy(found, comparison)}"


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


def _remedy(found: Sequence[Difference], comparison: Comparison) -> str:
    """What may help; all of them are unresolved for one reason."""
    reason = found[0].reason
    if reason == INCLUDES_1:
        return _more_repeats(found, comparison.plan.margin)
    if reason in REMEDIES:
        return REMEDIES[reason]
    counts = [n for d in found if (n := comparison.matrix.too_few(d)) is not None]
    if counts:
        return f"one repeat has {min(counts)}: measure for longer"
    if comparison.record.run.get("imported"):
        return "import as many files of each variant"
    return f"`windtunnel run --resume {comparison.record.path}` makes the missing repeats"


def _more_repeats(found: Sequence[Difference], margin: float) -> str:
    ratios = [d.ratio for d in found if d.ratio is not None]
    if any(ratio.bound is not Bound.EXACT for ratio in ratios):
        return WAIT_LONGER
    seen = max(ratio.detectable for ratio in ratios)
    told = f"; {percent(seen)} would show in 8 of 10 such campaigns" if seen < 10 else ""
    effect = " or ".join(sorted({narrows_to(ratio, margin) for ratio in ratios}, reverse=True))
    needed = [d.repeats_needed for d in found]
    if None in needed:
        return (
            f"it would take more than 100 repeats to {effect}; quieten the machine or accept a"
            f" wider margin{told}"
        )
    most = max(n for n in needed if n is not None)
    return f"about {most} repeats would {effect}, if the noise stays as it is{told}"
