"""
What is to be compared with what: variants, levels, percentiles and the margin.
"""

from dataclasses import dataclass

from analysis.cells import THROUGHPUT, percentile_key
from analysis.latency import AnalysisError

PERCENTILES = (50.0, 95.0, 99.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be compared: a record's plan, or a test's."""

    variants: tuple[str, ...]
    levels: tuple[str, ...]
    reference: str
    aa: str | None
    margin: float
    repeats: int
    percentiles: tuple[float, ...] = PERCENTILES

    @property
    def measures(self) -> tuple[str, ...]:
        return (*(percentile_key(q) for q in self.percentiles), THROUGHPUT)

    @property
    def original(self) -> str:
        """The variant that the A/A copy copies: `baseline` of `baseline.aa`."""
        return self.aa.removesuffix(".aa") if self.aa else self.reference

    @property
    def judged(self) -> tuple[str, ...]:
        """The variants that get a verdict: all but the reference and its copy."""
        return tuple(v for v in self.variants if v not in (self.reference, self.aa))


def check(plan: Plan) -> None:
    """AnalysisError if there is nothing to compare with."""
    if not plan.variants:
        raise AnalysisError(
            "no variant was run; expected at least one; run.json's left_out says why not"
        )
    if plan.reference not in plan.variants:
        raise AnalysisError(
            f"reference: found {plan.reference!r}; expected one of {', '.join(plan.variants)};"
            " choose another with --reference"
        )
