"""
One cell of a campaign, run after run: its value, its ratio to the reference, and when it changed.

Runs of another machine, or with another set-up of the variant, are no neighbours: they are left
out, each with its reason. The ratio to the reference of the same run cancels what the machine did
that day, so a change in it is a change of the service.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from analysis import alike, changes, digest
from analysis.catalogue import Entry
from analysis.cells import THROUGHPUT, Cell, percentile_key
from analysis.changes import FEWEST, Changes
from analysis.compare import Ratio, Value
from analysis.interval import over_repeats
from analysis.latency import AnalysisError
from analysis.matrix import Matrix, build
from analysis.opened import PROBLEMS, Record, opened
from analysis.plan import PERCENTILES, Plan
from analysis.words import levels_phrase, load_of, percent, ratio_interval, ratio_point
from benchmarks.fields import unknown

MEASURES = (*map(percentile_key, PERCENTILES), THROUGHPUT)


@dataclass(frozen=True, slots=True)
class Point:
    """The cell in one run. Latencies are ms, throughput is requests/s."""

    entry: Entry
    value: Value  # the median over repeats
    interval: Ratio  # over repeats, in the unit of the value; one repeat: from 0 to infinity
    repeats: int
    requests: int
    error_share: float
    ratio: Ratio | None  # to the reference of the same run; None where it is not the same reference
    floor: float | None  # by how much two copies differed in this run, as a share


@dataclass(frozen=True, slots=True)
class LeftOut:
    entry: Entry
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Which cell, on which machine, set up how: as the newest run has it."""

    campaign: str
    variant: str
    level: str
    measure: str
    reference: str | None  # None: the variant is the reference itself
    machine: str
    machine_key: str
    setup: dict[str, str]
    reference_setup: dict[str, str]


@dataclass(frozen=True, slots=True)
class History:
    """Points in the order of time, and what is not among them."""

    asked: Asked
    points: tuple[Point, ...]
    left_out: tuple[LeftOut, ...]
    absolute: Changes  # of the values; `first` counts in `points`
    relative: Changes  # of the ratios; `first` counts in `compared`

    def series(self, relative: bool) -> tuple[tuple[Point, ...], Changes]:
        """The points of one of the two series, and its changes."""
        return (self.compared, self.relative) if relative else (self.points, self.absolute)

    @property
    def compared(self) -> tuple[Point, ...]:
        """The points with a ratio to the reference."""
        return tuple(point for point in self.points if point.ratio is not None)


def history(
    entries: Iterable[Entry],
    campaign: str,
    *,
    variant: str | None = None,
    level: str | None = None,
    measure: str = "p95",
    machine_key: str | None = None,
) -> History:
    """
    The history of a cell among *entries*, which stand newest first as in the catalogue.

    What is not said is taken from the newest run: its machine, its first variant that is not the
    reference, its heaviest level. AnalysisError: no run has such a cell, or no such measure.
    """
    if measure not in MEASURES:
        raise AnalysisError(unknown("history", "measure", measure, MEASURES))
    every = list(entries)
    runs = [entry for entry in every if entry.campaign == campaign]
    if not runs:
        names = sorted({entry.campaign for entry in every}) or ["a campaign that was run"]
        raise AnalysisError(unknown("history", "campaign", campaign, names))
    asked = _asked(runs, variant, level, measure, machine_key)
    told = [_told(entry, asked) for entry in reversed(runs)]
    points = tuple(found for found in told if isinstance(found, Point))
    return History(
        asked,
        points,
        left_out=tuple(found for found in told if isinstance(found, LeftOut)),
        absolute=_changes([(point.value.value, point.interval) for point in points]),
        relative=_changes([(p.ratio.point, p.ratio) for p in points if p.ratio is not None]),
    )


def _changes(series: Sequence[tuple[float, Ratio]]) -> Changes:
    """Of values, each with what its blocks (or repeats) say of how sure it is."""
    errors = [of.sd_log / sqrt(len(of.blocks)) for _, of in series if len(of.blocks) > 1]
    return changes.find([value for value, _ in series], errors)


def _asked(
    runs: Sequence[Entry],
    variant: str | None,
    level: str | None,
    measure: str,
    machine_key: str | None,
) -> Asked:
    newest = _newest(runs, variant, level, machine_key)
    copies = (newest.reference, newest.aa)
    others = [name for name in newest.variants if name not in copies]
    name = variant or next(iter([*others, newest.reference]))
    reference = name.removesuffix(".aa") if name == newest.aa else newest.reference
    record = opened(newest.path)
    return Asked(
        campaign=newest.campaign,
        variant=name,
        level=level or max(newest.levels, key=load_of),
        measure=measure,
        reference=None if reference == name else reference,
        machine=newest.machine,
        machine_key=newest.machine_key,
        setup=alike.setup(record, name),
        reference_setup=alike.setup(record, reference),
    )


def _newest(
    runs: Sequence[Entry], variant: str | None, level: str | None, machine_key: str | None
) -> Entry:
    """The newest run that has what was asked for."""
    found = [entry for entry in runs if entry.problem is None]
    if not found:
        raise AnalysisError(f"history: no run of {runs[0].campaign} can be read; {runs[0].problem}")
    for what, wanted, names in (
        ("machine", machine_key, lambda entry: (entry.machine_key,)),
        ("variant", variant, lambda entry: entry.variants),
        ("level", level, lambda entry: entry.levels),
    ):
        known = dict.fromkeys(name for entry in found for name in names(entry))
        if wanted is not None and wanted not in known:
            raise AnalysisError(unknown("history", what, wanted, known))
        found = [entry for entry in found if wanted is None or wanted in names(entry)]
    return found[0]


def _told(entry: Entry, asked: Asked) -> Point | LeftOut:
    if entry.problem is not None:
        return LeftOut(entry, entry.problem)
    if asked.variant not in entry.variants or asked.level not in entry.levels:
        return LeftOut(entry, f"it has no {asked.variant} {levels_phrase([asked.level])}")
    if entry.machine_key != asked.machine_key:
        return LeftOut(entry, f"it ran on another machine: {entry.machine}")
    try:
        record = opened(entry.path)
        if others := alike.differences(alike.setup(record, asked.variant), asked.setup):
            return LeftOut(entry, f"{asked.variant} was set up otherwise: {others}")
        matrix = _matrix(record, asked)
    except PROBLEMS as error:
        return LeftOut(entry, str(error))
    return _point(entry, asked, matrix)


def _matrix(record: Record, asked: Asked) -> Matrix:
    """The cell, and the reference and the copies at its level, as far as the run has them."""
    aa = record.aa if record.aa in record.variants else None
    reference = asked.reference or asked.variant
    # Against a reference that was set up otherwise, a ratio would change without the variant.
    if alike.setup(record, reference) != asked.reference_setup:
        reference = asked.variant
    names = dict.fromkeys([reference, asked.variant, *([aa.removesuffix(".aa"), aa] if aa else [])])
    plan = Plan(
        variants=tuple(name for name in names if name in record.variants),
        levels=(asked.level,),
        reference=reference,
        aa=aa,
        margin=record.margin,
        repeats=record.repeats,
        # Throughput comes along; some percentile there must be.
        percentiles=tuple(q for q in PERCENTILES if percentile_key(q) == asked.measure) or (50.0,),
    )
    return build(digest.visits(record, {(name, asked.level) for name in plan.variants}), plan)


def _point(entry: Entry, asked: Asked, matrix: Matrix) -> Point | LeftOut:
    cell = matrix.cells.get((asked.variant, asked.level), Cell(asked.variant, asked.level, ()))
    value = cell.value(asked.measure)
    known = [each for visit in cell.visits if (each := visit.value(asked.measure)) is not None]
    interval = over_repeats(known)
    if value is None or interval is None:
        return LeftOut(entry, cell.lack(asked.measure) if cell.visits else "no repeat is complete")
    found = [d for d in (*matrix.differences, *matrix.aa) if d.measure == asked.measure]
    return Point(
        entry=entry,
        value=value,
        interval=interval,
        repeats=len(cell.visits),
        requests=sum(visit.requests for visit in cell.visits),
        error_share=_failed(cell),
        ratio=next((d.ratio for d in found if d.variant == asked.variant), None),
        floor=next((d.floor for d in found), None),
    )


def _failed(cell: Cell) -> float:
    issued = sum(sum(visit.counts.values()) for visit in cell.visits)
    return 1 - sum(visit.counts["ok"] for visit in cell.visits) / issued if issued else 0.0


def sentences(found: History, relative: bool) -> list[str]:
    """What there is to say of one of the two series: each change, or which would have shown."""
    points, seen = found.series(relative)
    if seen.n < 2 * FEWEST:
        runs = f"{seen.n} run{'' if seen.n == 1 else 's'}"
        return [f"{runs}: a change can be seen from {2 * FEWEST} on, {FEWEST} before and after it"]
    if not seen.found:
        shown = percent(seen.detectable)
        return [f"no change in {seen.n} runs; one of {shown} or more would have shown"]
    than = f" against {found.asked.reference}" if relative else ""
    what = "as many answers" if found.asked.measure == THROUGHPUT else "as long"
    return [
        f"since {_when(points[change.first].entry)}: {ratio_point(change.ratio)} times {what}{than}"
        f" {ratio_interval(change.ratio)}"
        for change in seen.found
    ]


def _when(entry: Entry) -> str:
    """`2026-11-03 (commit 1a2b3c4)`."""
    commit = f" (commit {entry.commit[:7]})" if entry.commit else ""
    return f"{entry.started[:10] or entry.run}{commit}"
