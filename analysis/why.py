"""
Why a variant is faster or slower, in sentences: the stages that make the difference.
"""

from collections.abc import Iterator, Sequence

from analysis.compare import Verdict
from analysis.comparison import Comparison
from analysis.differences import Difference
from analysis.stages import REST, Explanation, Part
from analysis.summary import headline
from analysis.words import enumeration, levels_phrase, measure_name, number, percent, plain

# Of a difference: parts below this share are left to the table.
SMALL = 0.05
OPEN = 0.10  # a share that no sentence should leave out


def sentences(comparison: Comparison) -> list[str]:
    """One for each variant that is faster or slower, where it is so by most ms."""
    return [line for name in comparison.plan.judged for line in _of_variant(comparison, name)]


def _of_variant(comparison: Comparison, variant: str) -> Iterator[str]:
    measure, found = headline(comparison, variant)
    told = [
        (d, explanation)
        for d in found
        if d.verdict in (Verdict.FASTER, Verdict.SLOWER)
        and (explanation := comparison.matrix.explain(variant, d.level, measure))
        and explanation.total.shown
    ]
    if told:
        yield _sentence(comparison, *max(told, key=lambda pair: abs(pair[1].total.ms)))


def _sentence(comparison: Comparison, d: Difference, explanation: Explanation) -> str:
    where = f"{measure_name(d.measure)} {levels_phrase([d.level])}"
    against = f"{plain(d.variant)} against {plain(comparison.plan.reference)}"
    return f"{where}, {against}: {difference(explanation)}."


def difference(explanation: Explanation) -> str:
    """`143 ms less, of which infer 45 ms (31%) and outside the stages 60 ms (42%)`."""
    total = explanation.total
    shown = [part for part in explanation.parts if part.shown and abs(part.share) >= SMALL]
    shown.sort(key=lambda part: -abs(part.ms))
    along = [part for part in shown if part.share > 0]
    against = [part for part in shown if part.share < 0]
    text = _amount(total)
    if along:
        text += f", of which {_listed(along)}"
    if against:
        text += f"; {enumeration([f'{name(p.stage)} takes {_amount(p)}' for p in against])}"
    open_share = 1 - sum(part.share for part in explanation.parts if part.shown)
    if not shown:
        text += ", and no stage's part in it is beyond its interval"
    elif open_share > OPEN:
        text += f"; {percent(open_share)} of it cannot be put to a stage"
    return text


def _amount(part: Part) -> str:
    return f"{number(abs(part.ms))} ms {'less' if part.ms < 0 else 'more'}"


def _listed(parts: Sequence[Part]) -> str:
    return enumeration(
        [f"{name(part.stage)} {number(abs(part.ms))} ms ({percent(part.share)})" for part in parts]
    )


def name(stage: str) -> str:
    """A stage as people read it; the rest is what happens outside of them."""
    return "outside the stages" if stage == REST else stage
