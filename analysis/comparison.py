"""
One record compared: what `windtunnel compare` shows in each of its formats.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from analysis import doubts, objective, reported
from analysis.cells import Visited
from analysis.checks import Doubt
from analysis.frames import Repeat
from analysis.latency import AnalysisError, min_count
from analysis.matrix import Matrix, build
from analysis.objective import Objective
from analysis.plan import PERCENTILES, Plan, check
from benchmarks.record import Record


@dataclass(frozen=True, slots=True)
class Comparison:
    record: Record
    matrix: Matrix
    doubts: tuple[Doubt, ...]
    slo: Objective | None

    @property
    def plan(self) -> Plan:
        return self.matrix.plan

    def doubts_of(self, level: str) -> list[int]:
        """The numbers, from 1, of the doubts that name a cell of this level."""
        return [n for n, doubt in enumerate(self.doubts, 1) if doubt.concerns(level)]


def compare(
    record: Record,
    *,
    reference: str | None = None,
    margin: float | None = None,
    percentiles: Iterable[float] = PERCENTILES,
    slo: Objective | None = None,
) -> Comparison:
    """Read every completed repeat of a record and compare its variants."""
    plan = plan_of(record, reference=reference, margin=margin, percentiles=percentiles)
    if not record.completed():
        raise AnalysisError(
            f"{record.path}: no repeat is complete; expected at least one;"
            f" go on with `windtunnel run --resume {record.path}`"
        )
    return of(reported.repeats(record), record, plan, slo)


def plan_of(
    record: Record,
    *,
    reference: str | None = None,
    margin: float | None = None,
    percentiles: Iterable[float] = PERCENTILES,
) -> Plan:
    """What is to be compared: what the record planned, but for what is said otherwise."""
    plan = Plan(
        variants=tuple(record.variants),
        levels=tuple(record.levels),
        reference=record.reference if reference is None else reference,
        aa=record.aa if record.aa in record.variants else None,
        margin=record.margin if margin is None else margin,
        repeats=record.repeats,
        percentiles=tuple(sorted(set(percentiles))),
    )
    check(plan)
    for q in plan.percentiles:
        min_count(q)  # refuses what is no percentile
    return plan


def of(
    repeats: Iterable[Repeat | Visited],
    record: Record,
    plan: Plan,
    slo: Objective | None = None,
) -> Comparison:
    """The same from repeats that were read before; the SLO is the campaign's if none is given."""
    promised = slo or _promised(record)
    matrix = build(repeats, plan, promised)
    return Comparison(record, matrix, doubts.find(matrix, record.run), promised)


def _promised(record: Record) -> Objective | None:
    try:
        return objective.parse(record.slo) if record.slo else None
    except AnalysisError as error:
        raise AnalysisError(f"{record.path}/run.json: {error}, or give another with --slo") from (
            error
        )
