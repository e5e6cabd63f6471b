"""
What a file of claims asks: claims, the rows that speak for or against them, and what has to be
measured for these.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from analysis.claims.measures import COUNTED
from analysis.latency import AnalysisError
from benchmarks.fields import unknown

VERDICTS = ("holds", "holds in part", "does not hold", "cannot be told here")
# Of a claim: it becomes a link.
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
KINDS = ("times", "change", "saved", "value", "check")
SIDES = ("more", "less", "inside")


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    One comparison that speaks for or against a claim.

    `claimed` is a range: of `times` as a factor, of `change` as a share (-0.25 is 25 % less), of
    `saved` and `value` in the measure's unit. None: shown, but it decides nothing.
    """

    says: str
    kind: str
    source: tuple[str, str]  # ("campaign" or "component", its name)
    case: str = ""  # a variant of the campaign, or a case of the component
    against: str = ""
    level: str = ""
    measure: str = ""
    claimed: tuple[float, float] | None = None
    said: str = ""  # the claim in the guide's own numbers, where the range cannot be printed
    better: str = "more"

    @property
    def is_judged(self) -> bool:
        """Whether it speaks for or against; else it is there to be read."""
        return self.kind == "check" or self.claimed is not None

    @property
    def has_interval(self) -> bool:
        """Whether it is judged by an interval; what is counted or checked has none."""
        return self.claimed is not None and self.measure not in COUNTED


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed, where, and what is to show it."""

    id: str
    title: str
    section: str
    quote: str
    evidence: tuple[Evidence, ...]
    cannot: str = ""  # why it cannot be told on such a machine, whatever is measured
    because: Mapping[str, str] = field(default_factory=dict)  # by verdict


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A table of measurements that belongs to no single claim."""

    title: str
    says: str
    rows: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Component:
    """How a component is measured: its module, and how long that takes."""

    module: str
    takes_s: float
    quick_s: float


@dataclass(frozen=True, slots=True)
class Claims:
    """The whole file."""

    title: str
    source: str
    claims: tuple[Claim, ...]
    exhibits: tuple[Exhibit, ...]
    components: Mapping[str, Component]

    def only(self, ids: Iterable[str]) -> "Claims":
        """The same with these claims alone, and without exhibits; AnalysisError for no such id."""
        wanted, known = tuple(ids), [claim.id for claim in self.claims]
        for name in wanted:
            if name not in known:
                raise AnalysisError(unknown("--only", "claim", name, known))
        kept = tuple(claim for claim in self.claims if claim.id in wanted)
        return replace(self, claims=kept, exhibits=())

    def judged_only(self) -> "Claims":
        """The same without what is only shown: what a verdict needs."""
        claims = tuple(
            replace(claim, evidence=tuple(row for row in claim.evidence if row.is_judged))
            for claim in self.claims
        )
        return replace(self, claims=claims, exhibits=())

    def rows(self) -> list[Evidence]:
        """Every row, those of exhibits last."""
        listed = [row for claim in self.claims for row in claim.evidence]
        return listed + [row for exhibit in self.exhibits for row in exhibit.rows]

    def needed(self, kind: str) -> list[str]:
        """The campaigns or components that the rows speak of, in the order in which they do."""
        named = [row.source[1] for row in self.rows() if row.source[0] == kind]
        return list(dict.fromkeys(named))
