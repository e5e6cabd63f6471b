"""
A run as a matrix: what each cell measured, and how each variant compares with the reference.

The terminal, Markdown, JSON, the report, the app and the gate all show a `Matrix`; none of them
computes a number.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from analysis.cells import THROUGHPUT, Cell, Visited, reduce
from analysis.differences import Difference, curves, differences
from analysis.frames import Repeat
from analysis.latency import min_count
from analysis.objective import Objective
from analysis.plan import Plan, check
from analysis.stages import Explanation, Mix, explain


@dataclass(frozen=True, slots=True)
class Matrix:
    plan: Plan
    cells: dict[tuple[str, str], Cell]  # by variant and level; a cell never visited is not there
    differences: tuple[Difference, ...]
    aa: tuple[Difference, ...]  # the reference's copy against it: should show nothing
    curves: tuple[Difference, ...]  # over all levels together, of which there are at least two

    def level(self, level: str) -> list[Cell]:
        """The cells that are there, each copy next to what it copies."""
        plan = self.plan
        first = [name for name in (plan.original, plan.aa) if name in plan.variants]
        names = dict.fromkeys([*first, *plan.variants])
        return [self.cells[name, level] for name in names if (name, level) in self.cells]

    def explain(self, variant: str, level: str, measure: str) -> Explanation | None:
        """Where the reference's time and the variant's differ; None without their stages."""
        ours, theirs = self._mixes(variant, level), self._mixes(self.plan.reference, level)
        return explain(
            [
                (theirs[b][measure], ours[b][measure])
                for b in sorted(ours.keys() & theirs.keys())
                if measure in theirs[b] and measure in ours[b]
            ]
        )

    def tail(
        self, variant: str, level: str, middle: str = "p50", slow: str = "p99"
    ) -> Explanation | None:
        """Where the slow requests of a variant spend more than its middle ones."""
        found = self._mixes(variant, level)
        return explain(
            [
                (mix[middle], mix[slow])
                for _, mix in sorted(found.items())
                if {middle, slow} <= mix.keys()
            ]
        )

    def _mixes(self, variant: str, level: str) -> dict[int, dict[str, Mix]]:
        cell = self.cells.get((variant, level))
        return {visit.repeat: visit.mixes for visit in cell.visits} if cell else {}

    def too_few(self, d: Difference) -> int | None:
        """The fewest requests of a repeat on either side, if the percentile needs more."""
        sides = [self.cells.get((name, d.level)) for name in (d.variant, self.plan.reference)]
        counts = [cell.fewest_requests for cell in sides if cell is not None]
        if d.measure == THROUGHPUT or len(counts) < len(sides):
            return None
        return min(counts) if min(counts) < min_count(float(d.measure.removeprefix("p"))) else None


def build(repeats: Iterable[Repeat | Visited], plan: Plan, slo: Objective | None = None) -> Matrix:
    """
    Cells, ratios and verdicts of the repeats that are there, whatever is missing.

    A `Visited` is a repeat that somebody else reduced; what it has is taken as it is.
    """
    check(plan)
    # P50 is always needed: the send lag is judged against it.
    wanted = sorted({50.0, *plan.percentiles, *([slo.q] if slo else [])})
    grouped: dict[tuple[str, str], list[Visited]] = defaultdict(list)
    for repeat in repeats:
        visit = repeat if isinstance(repeat, Visited) else reduce(repeat, wanted, slo)
        grouped[visit.variant, visit.level].append(visit)
    cells = {
        (variant, level): Cell(variant, level, tuple(sorted(visits, key=lambda v: v.repeat)))
        for (variant, level), visits in grouped.items()
    }
    copies = (plan.aa,) if plan.aa else ()
    return Matrix(
        plan,
        cells,
        differences=differences(cells, plan, plan.judged),
        aa=differences(cells, replace(plan, reference=plan.original), copies),
        curves=curves(cells, plan),
    )
