"""
What was measured of a claim's row, block by block: from the cells of a record, or from the cases of
a component's result.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from analysis.cells import Cell
from analysis.claims.measures import COUNTED, MORE_IS_BETTER, PERCENTILES, UNITS, value_of
from analysis.comparison import Comparison
from analysis.stages import MEAN
from analysis.words import level_name
from benchmarks.components.result import Case, Result

# Doubts of a cell with which nothing is told of it. Errors are the finding where they are measured.
BLOCKING = ("errors", "generator_late", "generator_busy", "rate_missed")
UNBLOCKED = ("memory", "memory_per_worker", *COUNTED)
Copies = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Series:
    """
    What was measured of one row, by block; `theirs` is empty for a value alone.

    `copies` are the two copies of one service in the same blocks: what they differ by is noise.
    `missing` says why there is nothing, `blocked` why nothing follows from what there is.
    """

    unit: str = ""
    ours: tuple[float, ...] = ()
    theirs: tuple[float, ...] = ()
    copies: Copies | None = None
    counted: tuple[int, int] | None = None  # so many of so many
    note: str = ""  # what has to be known to read it
    more_is_better: bool = False
    missing: str = ""
    blocked: str = ""
    doubts: tuple[int, ...] = ()  # numbers of the record's doubts about these cells


def of_component(result: Result, case: str, against: str, measure: str) -> Series:
    """A case, and the one beside it in the same blocks."""
    found = [result.cases.get(name) for name in (case, against) if name]
    for name, there in zip((case, against), found, strict=False):
        if there is None:
            return Series(missing=f"{result.component} did not measure {name}")
    known = [each for each in found if each is not None]
    if measure == "value":
        values = [each.values for each in known]
        return Series(known[0].unit, values[0], values[1] if against else ())
    if any(not each.handled_bytes or min(each.values) <= 0 for each in known):
        return Series(missing=f"{case} has no number of bytes to divide")
    rates = [_mb_per_s(each) for each in known]
    return Series("MB/s", rates[0], rates[1] if against else (), more_is_better=True)


def _mb_per_s(case: Case) -> tuple[float, ...]:
    """Bytes / milliseconds are kB/s."""
    return tuple((case.handled_bytes or 0) / 1e3 / value for value in case.values)


class RecordValues:
    """The values of a record's cells."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison

    @cached_property
    def _workers(self) -> Mapping[str, float]:
        """Of each variant, as its service said when it was ready."""
        services = self._comparison.record.run.get("services") or {}
        told = {name: ((facts or {}).get("health") or {}) for name, facts in services.items()}
        settings = {name: health.get("settings") or {} for name, health in told.items()}
        key = "SERVICE_WORKERS"
        return {name: float(said[key]) for name, said in settings.items() if key in said}

    def series(self, variant: str, against: str, level: str, measure: str) -> Series:
        """A measure of a variant and of another one, in the blocks that have both."""
        names = [name for name in (variant, against) if name]
        for name in names:
            if reason := self._absent(name, level):
                return Series(missing=reason)
        doubts, blocked = self._doubts(names, level, measure)
        if measure in COUNTED:
            return self._counts(variant, against, level, measure, doubts)
        by_block = {name: self._by_block(name, level, measure) for name in names}
        for name, values in by_block.items():
            if not values:
                return Series(missing=self._lack(name, level, measure))
        blocks = sorted(set.intersection(*(set(values) for values in by_block.values())))
        if not blocks:
            return Series(missing=f"{' and '.join(names)} were never visited in one block")
        return Series(
            UNITS.get(measure, "ms"),
            tuple(by_block[variant][block] for block in blocks),
            tuple(by_block[against][block] for block in blocks) if against else (),
            self._copies(level, measure),
            more_is_better=measure in MORE_IS_BETTER,
            blocked=blocked,
            doubts=doubts,
        )

    def _absent(self, variant: str, level: str) -> str:
        record = self._comparison.record
        if variant in record.left_out:
            return f"{variant} was left out: {record.left_out[variant]}"
        there = (variant, level) in self._comparison.matrix.cells
        return "" if there else f"{record.name} has no {variant} at {level_name(level)}"

    def _cell(self, variant: str, level: str) -> Cell | None:
        return self._comparison.matrix.cells.get((variant, level))

    def _by_block(self, variant: str, level: str, measure: str) -> dict[int, float]:
        """Every repeat of the cell, or none: what one repeat lacks, the cell does not have."""
        cell = self._cell(variant, level)
        workers = self._workers.get(variant)
        found = {v.repeat: value_of(v, measure, workers) for v in cell.visits} if cell else {}
        if any(value is None for value in found.values()):
            return {}
        return {block: value for block, value in found.items() if value is not None}

    def _copies(self, level: str, measure: str) -> Copies | None:
        plan = self._comparison.plan
        if plan.aa is None:
            return None
        copy, original = (self._by_block(n, level, measure) for n in (plan.aa, plan.original))
        blocks = sorted(copy.keys() & original.keys())
        if len(blocks) < 2:
            return None
        return tuple(copy[b] for b in blocks), tuple(original[b] for b in blocks)

    def _counts(
        self, variant: str, against: str, level: str, measure: str, doubts: tuple[int, ...]
    ) -> Series:
        note = blocked = ""
        if measure == "restart_errors":
            new = self._restarts(variant, against, level)
            note = f"{new} process{'' if new == 1 else 'es'} were started anew meanwhile"
            blocked = "" if new else "no process was started anew, so nothing was put to the test"
        counted = self._counted(variant, level, measure)
        return Series("%", counted=counted, blocked=blocked, doubts=doubts, note=note)

    def _restarts(self, variant: str, steady: str, level: str) -> int:
        """Processes of all visits beyond as many as the steady variant had at the least."""
        seen, usual = (self._processes(name, level) for name in (variant, steady))
        return sum(max(0, count - min(usual)) for count in seen) if usual else 0

    def _processes(self, variant: str, level: str) -> list[int]:
        cell = self._cell(variant, level)
        visits = cell.visits if cell else ()
        return [len((visit.facts.get("service") or {}).get("pids") or ()) for visit in visits]

    def _counted(self, variant: str, level: str, measure: str) -> tuple[int, int]:
        cell = self._comparison.matrix.cells[variant, level]  # what is absent was refused before
        failed, issued = cell.failed
        if measure != "timed":
            return failed, issued
        timed = sum(visit.mixes[MEAN].n for visit in cell.visits if MEAN in visit.mixes)
        return timed, issued - failed

    def _lack(self, variant: str, level: str, measure: str) -> str:
        cell = self._cell(variant, level)
        if measure in PERCENTILES and cell and cell.value(measure) is None:
            return f"{variant}: {cell.lack(measure)}"
        if measure in ("mean", *PERCENTILES):
            return f"{variant} gave requests up: how long they would have taken is not known"
        return f"{variant} does not tell its {measure}"

    def _doubts(self, names: list[str], level: str, measure: str) -> tuple[tuple[int, ...], str]:
        cells = {(name, level) for name in names}
        about = [
            (number, doubt)
            for number, doubt in enumerate(self._comparison.doubts, 1)
            if cells & set(doubt.cells)
        ]
        stops = [d.text for _, d in about if d.kind in BLOCKING and measure not in UNBLOCKED]
        return tuple(number for number, _ in about), "; ".join(stops)
