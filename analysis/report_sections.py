"""
What a report shows of a comparison: its sections, each a question with figures and tables.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis import answer, frames, report_tables
from analysis.cells import THROUGHPUT, percentile_key
from analysis.comparison import Comparison
from analysis.curve import closed
from analysis.figures.curves import throughput_latency
from analysis.figures.distributions import Repeats, by_percentile, ecdf
from analysis.figures.figure import Figure
from analysis.figures.heat_map import heat_map
from analysis.figures.ratio_map import ratio_map
from analysis.figures.ratios import ratios
from analysis.figures.scaling import usl
from analysis.figures.shift import shift
from analysis.figures.stages import stage_bars
from analysis.figures.style import looks
from analysis.figures.waterfall import waterfall
from analysis.report_tables import Table
from analysis.stages import MEAN
from analysis.summary import HEADLINE, headline
from analysis.words import levels_phrase, measure_name, plain

MOST_RATIOS = 36  # rows of a forest plot that are read at once
MOST_ROWS = 40  # of a table that is shown unasked
MOST_EACH = 3  # figures of one kind, one a variant
FEWEST_LEVELS = 3  # of clients, for which growth is more than a straight line
MIDDLE = "p50"
NEARLY_ALL = 0.75


@dataclass(frozen=True, slots=True)
class Section:
    """A question, and what the record has to say to it; one without anything is left out."""

    anchor: str
    title: str
    figures: tuple[Figure, ...] = ()
    lines: tuple[str, ...] = ()  # of the answer, with a title of their own
    lines_title: str = ""
    tables: tuple[Table, ...] = ()
    folded: tuple[Table, ...] = ()  # tables that are there for who asks


def sections(comparison: Comparison) -> list[Section]:
    """In the order in which a reader asks; those that the record has nothing for are left out."""
    found = [
        _differences(comparison),
        _cells(comparison),
        _load(comparison),
        _distribution(comparison),
        _stages(comparison),
        _triton(comparison),
        _circumstances(comparison),
    ]
    return [s for s in found if s.figures or s.lines or s.tables or s.folded]


def measure_of(comparison: Comparison) -> str:
    """The percentile that figures speak of: the highest up to P95 that nearly all cells have."""
    plan = comparison.plan
    known = {
        measure: sum(cell.value(measure) is not None for cell in comparison.matrix.cells.values())
        for q, measure in zip(plan.percentiles, plan.measures, strict=False)
        if q <= HEADLINE
    }
    enough = NEARLY_ALL * max(known.values(), default=0)
    return [plan.measures[0], *(name for name, count in known.items() if count >= enough)][-1]


def _differences(comparison: Comparison) -> Section:
    """A forest of every ratio; of too many ratios, maps."""
    drawn = comparison.matrix.differences or comparison.matrix.aa
    known = [d for d in drawn if d.ratio is not None]
    figures = [ratios(comparison)] if known else []
    if len(known) > MOST_RATIOS:
        wanted = dict.fromkeys((measure_of(comparison), THROUGHPUT))
        figures = [ratio_map(comparison, measure) for measure in wanted]
    table = report_tables.differences(comparison)
    return Section(
        "differences",
        f"Is it faster than {plain(comparison.plan.reference)}?",
        tuple(figures),
        tuple(answer.part(comparison, answer.UNDECIDED)),
        answer.UNDECIDED,
        folded=(table,) if table.groups else (),
    )


def _cells(comparison: Comparison) -> Section:
    slo = comparison.slo
    measure = percentile_key(slo.q) if slo else measure_of(comparison)
    wanted = dict.fromkeys([measure_of(comparison), measure])
    maps = [heat_map(comparison, each, slo if each == measure else None) for each in wanted]
    table = report_tables.values(comparison)
    long = table.size > MOST_ROWS
    return Section(
        "cells",
        "What did each cell measure?",
        tuple(maps),
        tables=() if long else (table,),
        folded=(table,) if long else (),
    )


def _load(comparison: Comparison) -> Section:
    plan, slo = comparison.plan, comparison.slo
    figures = []
    if len(plan.levels) > 1:
        figures.append(throughput_latency(comparison, measure_of(comparison), slo))
    if len(closed(plan.levels)) >= FEWEST_LEVELS:
        figures.append(usl(comparison))
    tables = (report_tables.objectives(comparison, slo),) if slo else ()
    return Section(
        "load",
        "How much load does it carry?",
        tuple(figures),
        tuple(answer.part(comparison, answer.CAPACITY)),
        answer.CAPACITY,
        folded=tables,
    )


def _distribution(comparison: Comparison) -> Section:
    """Of one level, whose samples are read again for it: one level fits in memory."""
    plan, level = comparison.plan, _heaviest(comparison)
    repeats = _repeats(comparison, level)
    if not repeats:
        return Section("distribution", "")
    found = looks(plan.variants, plan.aa)
    limit_ms = comparison.slo.limit_ms if comparison.slo else None
    shifts = [
        shift(repeats, name, plan.reference, plan.margin, found[name])
        for name in plan.judged[:MOST_EACH]
        if name in repeats and plan.reference in repeats
    ]
    return Section(
        "distribution",
        f"Is the tail longer, or everything? ({levels_phrase([level])})",
        (by_percentile(repeats, found), ecdf(repeats, found, limit_ms), *shifts),
    )


def _heaviest(comparison: Comparison) -> str:
    """The heaviest load at which the reference still answered most requests."""
    plan, measure = comparison.plan, measure_of(comparison)
    told = [
        level
        for level in plan.levels
        if (cell := comparison.matrix.cells.get((plan.reference, level)))
        and (value := cell.value(measure))
        and not value.at_least
    ]
    return [*plan.levels[-1:], *told][-1]


def _repeats(comparison: Comparison, level: str) -> Repeats:
    record = comparison.record
    found: dict[str, list[frames.Repeat]] = {}
    for visit in record.completed():
        if visit.level == level and record.has_samples(visit):
            found.setdefault(visit.variant, []).append(frames.read(record, visit))
    return found


def _stages(comparison: Comparison) -> Section:
    bars = stage_bars(comparison, MEAN, shares=len(comparison.plan.levels) > 1)
    if bars is None:
        return Section("stages", "")
    return Section(
        "stages", "Where does the time go?", (bars, *_falls(comparison), *_tails(comparison))
    )


def _falls(comparison: Comparison) -> Iterator[Figure]:
    """For some variants: where the difference comes from, at the level where it is largest."""
    reference = comparison.plan.reference
    for variant in comparison.plan.judged[:MOST_EACH]:
        measure, found = headline(comparison, variant)
        explained = [
            (d, explanation)
            for d in found
            if (explanation := comparison.matrix.explain(variant, d.level, measure))
        ]
        if explained:
            d, explanation = max(explained, key=lambda pair: abs(pair[1].total.ms))
            where = f"{measure_name(measure)} {levels_phrase([d.level])}"
            yield waterfall(explanation, reference, variant, where)


def _tails(comparison: Comparison) -> Iterator[Figure]:
    """Where the slow requests of the reference spend more than its middle ones."""
    plan, measure = comparison.plan, measure_of(comparison)
    if measure == MIDDLE:
        return
    level = _heaviest(comparison)
    explanation = comparison.matrix.tail(plan.reference, level, MIDDLE, measure)
    if explanation is not None:
        where = f"{plan.reference} {levels_phrase([level])}"
        yield waterfall(explanation, measure_name(MIDDLE), measure_name(measure), where)


def _triton(comparison: Comparison) -> Section:
    table = report_tables.of_triton(comparison)
    return Section("triton", "What did Triton do?", tables=(table,) if table else ())


def _circumstances(comparison: Comparison) -> Section:
    tables: Sequence[Table] = (
        report_tables.settings(comparison),
        report_tables.facts(comparison.record),
    )
    return Section("circumstances", "What was measured, and on what?", folded=tuple(tables))
