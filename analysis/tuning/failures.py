"""
Requests that fail, as some do by a setting: a value that refuses work looks fast.

Its answers are those that were not refused, so before times are compared, failures are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.cells import Cell
from analysis.comparison import Comparison
from analysis.costs import failed_share
from analysis.words import levels_phrase, percent


@dataclass(frozen=True, slots=True)
class Failures:
    """Of the values of a knob, at the levels that decide; more than *allowed* is too many."""

    comparison: Comparison
    levels: Sequence[str]
    allowed: float  # a share of requests

    def share(self, variant: str, level: str) -> float:
        """Of the requests of one value under one load."""
        return failed_share(self._cell(variant, level))

    def too_many(self, variant: str) -> bool:
        """Under any load."""
        return any(self.share(variant, level) > self.allowed for level in self.levels)

    def more(self, variant: str) -> str:
        """Where more fail than may, and more than of the present value; empty if nowhere."""
        present = self.comparison.plan.reference
        failing = {
            level: ours
            for level in self.levels
            if (ours := self.share(variant, level)) > max(self.allowed, self.share(present, level))
        }
        if not failing:
            return ""
        worst = max(failing, key=failing.__getitem__)
        told = f"{percent(failing[worst])} of its requests fail {levels_phrase([worst])}"
        theirs = self.share(present, worst)
        return f"{told}, of the present value's {percent(theirs)}" if theirs else told

    def fewer(self, variant: str) -> str:
        """The other way round: it answers where the present value refuses; empty if it does not."""
        present = self.comparison.plan.reference
        refusing = {n: self.share(present, n) for n in self.levels if self._refuses(present, n)}
        answered = all(self._cell(variant, level).visits for level in refusing)
        if not refusing or not answered or self.too_many(variant):
            return ""
        worst = max(refusing, key=refusing.__getitem__)
        ours, where = self.share(variant, worst), levels_phrase([worst])
        told = f"fails {percent(ours)} of its requests" if ours else "answers all requests"
        return f"{told} {where}, where the present value fails {percent(refusing[worst])}"

    def _refuses(self, variant: str, level: str) -> bool:
        """Whether too many fail in each of several repeats: that is no accident of one."""
        visits = self._cell(variant, level).visits
        shares = [failed_share(Cell(variant, level, (visit,))) for visit in visits]
        return len(shares) > 1 and min(shares) > self.allowed

    def _cell(self, variant: str, level: str) -> Cell:
        return self.comparison.matrix.cells.get((variant, level), Cell(variant, level, ()))
