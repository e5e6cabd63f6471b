"""
Does a run keep a policy? One check for each rule, cell and limit.

A limit is kept or broken when the whole 95 % interval lies on one side of it. An interval that
straddles the limit decides nothing, and neither does a cell that is not there. Failed requests
are counted, so a count over its limit fails whatever is doubted.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from analysis.cells import THROUGHPUT, Cell, percentile_key
from analysis.checks import errors
from analysis.compare import TOO_FEW_REPEATS, Bound
from analysis.comparison import Comparison
from analysis.interval import Side, exceeds, over_repeats, side
from analysis.latency import AnalysisError, min_count
from analysis.policy import Policy, Rule
from analysis.words import (
    cells_phrase,
    duration,
    measure_name,
    percent,
    ratio_interval,
    ratio_point,
)
from benchmarks import fields
from benchmarks.record import clients_level, rate_level


class Outcome(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    CANNOT_TELL = "CANNOT TELL"


OUTCOMES = {
    Side.WITHIN: Outcome.PASS,
    Side.BEYOND: Outcome.FAIL,
    Side.STRADDLES: Outcome.CANNOT_TELL,
}
EXIT_STATUS = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.CANNOT_TELL: 2}


@dataclass(frozen=True, slots=True)
class Check:
    """One limit at one cell."""

    outcome: Outcome
    what: str
    why: str


def percentiles(policy: Policy) -> list[float]:
    return sorted({float(q) for rule in policy.rule for q in rule.percentiles})


def exit_status(checks: list[Check]) -> int:
    """1 if a limit is broken; else 2 if one cannot be told; else 0."""
    outcomes = {check.outcome for check in checks}
    for outcome in (Outcome.FAIL, Outcome.CANNOT_TELL):
        if outcome in outcomes:
            return EXIT_STATUS[outcome]
    return EXIT_STATUS[Outcome.PASS]


def run(comparison: Comparison, policy: Policy) -> list[Check]:
    return [
        check
        for rule in policy.rule
        for variant in _variants(rule, comparison)
        for level in _levels(rule, comparison)
        for check in _checks(rule, policy, comparison, variant, level)
    ]


def _variants(rule: Rule, comparison: Comparison) -> tuple[str, ...]:
    plan = comparison.plan
    # What the machine could not run was to be judged: silence about it would be a pass.
    left_out = tuple(comparison.record.left_out)
    for name in rule.variants:
        if name not in (*plan.variants, *left_out):
            raise AnalysisError(fields.unknown("policy", "variant", name, plan.variants))
    judged = (*plan.judged, *left_out)
    if not rule.variants and not judged:
        raise AnalysisError(
            "policy: the record has no variant besides the reference; expected one to judge;"
            " name it in the rule's variants"
        )
    return rule.variants or judged


def _levels(rule: Rule, comparison: Comparison) -> tuple[str, ...]:
    named = (*map(clients_level, rule.clients), *map(rate_level, rule.rates))
    levels = comparison.plan.levels
    for level in named:
        if level not in levels:
            raise AnalysisError(fields.unknown("policy", "level", level, levels))
    return named or levels


def _checks(
    rule: Rule, policy: Policy, comparison: Comparison, variant: str, level: str
) -> Iterator[Check]:
    place = cells_phrase([(variant, level)], comparison.plan.levels)
    cell = comparison.matrix.cells.get((variant, level), Cell(variant, level, ()))
    for check in _estimates(rule, comparison, cell, place):
        yield _doubted(check, comparison, policy.block_on, cell)
    if rule.max_error_share is not None:
        check = _errors(cell, place, rule.max_error_share)
        # They were counted: no doubt makes them fewer, and the doubt `errors` is that same count.
        others = [kind for kind in policy.block_on if kind != errors.__name__]
        failed = check.outcome is Outcome.FAIL
        yield check if failed else _doubted(check, comparison, others, cell)


def _estimates(rule: Rule, comparison: Comparison, cell: Cell, place: str) -> Iterator[Check]:
    measures = [percentile_key(q) for q in rule.percentiles]
    if rule.max_ratio is not None:
        for measure in measures:
            yield _ratio(comparison, cell, measure, place, most=rule.max_ratio)
    if rule.min_throughput_ratio is not None:
        yield _ratio(comparison, cell, THROUGHPUT, place, least=rule.min_throughput_ratio)
    if rule.max_ms is not None:
        for measure in measures:
            yield _latency(comparison, cell, measure, place, rule.max_ms)


def _ratio(
    comparison: Comparison,
    cell: Cell,
    measure: str,
    place: str,
    *,
    least: float = 0.0,
    most: float = float("inf"),
) -> Check:
    limit = f"at most {most:g}" if least == 0.0 else f"at least {least:g}"
    what = f"{measure_name(measure)} ratio of {place} {limit}"
    found = next(
        (
            d
            for d in comparison.matrix.differences
            if (d.variant, d.level, d.measure) == (cell.variant, cell.level, measure)
        ),
        None,
    )
    if found is None:
        why = _left_out(comparison, cell) or "it is the reference or its copy"
        return Check(Outcome.CANNOT_TELL, what, why)
    if found.ratio is None or len(found.ratio.blocks) < 2:
        fewest = comparison.matrix.too_few(found)
        why = found.reason if fewest is None else f"{found.reason}, one has {fewest}"
        return Check(Outcome.CANNOT_TELL, what, why)
    why = f"{ratio_point(found.ratio)} {ratio_interval(found.ratio)}"
    return Check(OUTCOMES[side(found.ratio, least, most)], what, why)


def _left_out(comparison: Comparison, cell: Cell) -> str:
    return "it was left out of the run" if cell.variant in comparison.record.left_out else ""


def _latency(comparison: Comparison, cell: Cell, measure: str, place: str, most_ms: float) -> Check:
    """The interval over repeats, of the geometric mean, in units of the limit itself."""
    what = f"{measure_name(measure)} of {place} at most {duration(most_ms)}"
    values = [visit.value(measure) for visit in cell.visits]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        few = cell.fewest_requests < min_count(float(measure.removeprefix("p")))
        counted = f", one has {cell.fewest_requests}" if few else ""
        return Check(Outcome.CANNOT_TELL, what, f"{cell.lack(measure)}{counted}")
    if len(known) < 2:
        return Check(Outcome.CANNOT_TELL, what, _left_out(comparison, cell) or TOO_FEW_REPEATS)
    found = over_repeats(known, most_ms)
    assert found is not None
    low, high = duration(found.low * most_ms), duration(found.high * most_ms)
    sign = "> " if found.bound is Bound.AT_LEAST else ""
    why = f"{sign}{duration(found.point * most_ms)} [{low}, {high}]"
    return Check(OUTCOMES[side(found, most=1.0)], what, why)


def _errors(cell: Cell, place: str, most: float) -> Check:
    """What happened in this run, without an interval: every request was counted."""
    what = f"failed requests of {place} at most {percent(most)}"
    issued = sum(sum(visit.counts.values()) for visit in cell.visits)
    if not issued:
        return Check(Outcome.CANNOT_TELL, what, "no request was measured")
    failed = issued - sum(visit.counts["ok"] for visit in cell.visits)
    outcome = Outcome.FAIL if exceeds(failed, issued, most) else Outcome.PASS
    return Check(outcome, what, f"{failed} of {issued} ({percent(failed / issued)})")


def _doubted(check: Check, comparison: Comparison, kinds: Collection[str], cell: Cell) -> Check:
    """A doubt of these kinds, of this cell or of the reference's, blocks the check."""
    cells = {(name, cell.level) for name in (cell.variant, comparison.plan.reference)}
    for doubt in comparison.doubts:
        if doubt.kind in kinds and (not doubt.cells or cells & set(doubt.cells)):
            return Check(Outcome.CANNOT_TELL, check.what, f"{check.why}; doubt: {doubt.text}")
    return check
