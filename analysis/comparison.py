"""
One record compared: what `windtunnel compare` shows in each of its formats.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from analysis import doubts, frames
from analysis.checks import Doubt
from analysis.latency import AnalysisError, min_count
from analysis.matrix import PERCENTILES, Matrix, Plan, build, check
from benchmarks.record import Record


@dataclass(frozen=True, slots=True)
class Comparison:
    record: Record
    matrix: Matrix
    doubts: tuple[Doubt, ...]

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
) -> Comparison:
    """Read every completed repeat of a record and compare its variants."""
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
    if not record.completed():
        raise AnalysisError(
            f"{record.path}: no repeat is complete; expected at least one;"
            f" go on with `windtunnel run --resume {record.path}`"
        )
    matrix = build(frames.repeats(record), plan)
    return Comparison(record, matrix, doubts.find(matrix, record.run))
