"""
One cell of a campaign, run after run: its value, its ratio to the reference, and when it changed.

Runs of another machine, or with another set-up of the variant, are no neighbours: they are left
out, each with its reason. The ratio to the reference of the same run cancels what the machine did
that day, so a change in it is a change of the service.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, sqrt

from analysis import alike, changes, digest
from analysis.asked import Asked, choose
from analysis.catalogue import Entry
from analysis.cells import THROUGHPUT, Cell, percentile_key
from analysis.changes import FEWEST, Change, Changes
from analysis.compare import Bound, Ratio, Value
from analysis.interval import over_repeats
from analysis.latency import AnalysisError
from analysis.matrix import Matrix, build
from analysis.opened import PROBLEMS, Record, opened
from analysis.plan import PERCENTILES, Plan
from analysis.words import levels_phrase, machine, percent, ratio_interval, ratio_point
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

    def bound(self, relative: bool) -> Bound:
        """Whether the value, or the ratio, is exact: requests may have been given up."""
        if relative and self.ratio is not None:
            return self.ratio.bound
        return Bound.AT_LEAST if self.value.at_least else Bound.EXACT


@dataclass(frozen=True, slots=True)
class LeftOut:
    entry: Entry
    reason: str


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
        raise _no_runs(campaign, sorted({entry.campaign for entry in every}))
    asked = choose(runs, variant, level, measure, machine_key)
    told = [_told(entry, asked) for entry in reversed(runs)]
    points = tuple(found for found in told if isinstance(found, Point))
    return History(
        asked,
        points,
        left_out=tuple(found for found in told if isinstance(found, LeftOut)),
        absolute=_changes([(p.value.value, p.interval, p.bound(False)) for p in points]),
        relative=_changes([(p.ratio.point, p.ratio, p.bound(True)) for p in points if p.ratio]),
    )


def _no_runs(campaign: str, names: Sequence[str]) -> AnalysisError:
    if names:
        return AnalysisError(unknown("history", "campaign", campaign, names))
    expected = f"runs of {campaign!r}; `windtunnel run CAMPAIGN` makes one"
    return AnalysisError(f"history: no record; expected {expected}")


def _changes(series: Sequence[tuple[float, Ratio, Bound]]) -> Changes:
    """Of values, each with what its blocks (or repeats) say of how sure it is."""
    errors = [of.sd_log / sqrt(len(of.blocks)) for _, of, _ in series if len(of.blocks) > 1]
    bounds = [bound for *_, bound in series]
    return changes.find([value for value, *_ in series], errors, bounds)


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
        return [f"no change in {seen.n} runs{_as_far(points, seen, relative)}"]
    than = f" against {found.asked.reference}" if relative else ""
    what = "as many answers" if found.asked.measure == THROUGHPUT else "as long"
    return [
        f"since {_when(points[change.first].entry)}: {_otherwise(change, f'{what}{than}')}"
        for change in seen.found
    ]


def _as_far(points: Sequence[Point], seen: Changes, relative: bool) -> str:
    """What could have hidden, where there is no change."""
    if seen.detectable == inf:
        cut = sum(point.bound(relative) is not Bound.EXACT for point in points)
        return f", as far as they tell: requests were given up in {cut} of them"
    return f"; one of {percent(seen.detectable)} or more would have shown"


def _otherwise(change: Change, what: str) -> str:
    """`1.21 times as long [1.15, 1.28]`; of a bound only the bound, as in the tables."""
    ratio = change.ratio
    if ratio is None:
        return "otherwise; by which ratio is not known, as requests were given up"
    if ratio.bound is Bound.EXACT:
        return f"{ratio_point(ratio)} times {what} {ratio_interval(ratio)}"
    told = ratio.low > 1 if ratio.bound is Bound.AT_LEAST else ratio.high < 1
    unknown_way = "" if told else "; which way is not known"
    return f"{ratio_interval(ratio)} times {what}, as requests were given up{unknown_way}"


def untold(points: Sequence[Point]) -> str:
    """What imported runs do not tell and a history needs, in one line; empty if there is none."""
    entries = [point.entry for point in points if point.entry.imported]
    nowhere = sum(entry.machine == machine({}) for entry in entries)
    undated = sum(entry.undated for entry in entries)
    parts = [
        f"the machine of {nowhere} is not known, and is taken to be one and the same",
        f"the time of {undated} is not known, and that of the import stands for it",
    ]
    told = [part for part, count in zip(parts, (nowhere, undated), strict=True) if count]
    return f"imported runs: {'; '.join(told)}" if told else ""


def _when(entry: Entry) -> str:
    """`2026-11-03 (commit 1a2b3c4)`."""
    commit = f" (commit {entry.commit[:7]})" if entry.commit else ""
    return f"{entry.started[:10] or entry.run}{commit}"
