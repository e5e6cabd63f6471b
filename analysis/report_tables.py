"""
The tables of a report: the strings of the terminal, in rows and columns.
"""

from dataclasses import dataclass

import pyarrow as pa

from analysis import alike, environment, triton
from analysis.capacity import capacity
from analysis.comparison import Comparison
from analysis.differences import Difference
from analysis.kept import Judged
from analysis.objective import Objective
from analysis.terminal import role, shown
from analysis.words import (
    MISSING,
    detectable,
    duration,
    floor_text,
    level_name,
    measure_header,
    measure_name,
    measured,
    number,
    percent,
    plain,
    ratio_interval,
    ratio_point,
)
from benchmarks.record import Record, level_title

MOST_ROWS = 120  # of the numbers behind a figure


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that belong together, under a heading of their own if it is not empty."""

    title: str
    rows: tuple[tuple[str, ...], ...]
    doubts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Plain text in cells; the first *names* columns are names, the others numbers or words."""

    caption: str
    head: tuple[str, ...]
    groups: tuple[Group, ...]
    names: int = 1
    note: str = ""

    @property
    def size(self) -> int:
        return sum(len(group.rows) for group in self.groups)


def values(comparison: Comparison) -> Table:
    """Each cell's medians, as the terminal has them, and its share of errors."""
    plan = comparison.plan
    head = ("variant", *map(measure_header, plan.measures), "errors", "requests", "repeats", "role")
    groups = []
    for level in plan.levels:
        rows = [
            (
                plain(cell.variant),
                *(measured(cell.value(measure), measure) for measure in plan.measures),
                percent(max((visit.error_share for visit in cell.visits), default=0.0)),
                str(sum(visit.requests for visit in cell.visits)),
                str(len(cell.visits)),
                role(cell.variant, comparison),
            )
            for cell in comparison.matrix.level(level)
        ]
        groups.append(Group(level_title(level), tuple(rows), tuple(comparison.doubts_of(level))))
    note = "Errors: of the repeat that has most. Requests: those with a response time, all repeats."
    return Table("Medians over repeats", head, tuple(g for g in groups if g.rows), 1, note)


def differences(comparison: Comparison) -> Table:
    """Every ratio with what its verdict rests on, level by level and over all levels."""
    head = ("variant", "measure", "ratio", "95 % interval", "noise floor", "detectable", "verdict")
    groups = [
        Group(
            level_title(level),
            tuple(_difference(d) for d in shown(comparison, level)),
            tuple(comparison.doubts_of(level)),
        )
        for level in comparison.plan.levels
    ]
    curves = tuple(_difference(d) for d in comparison.matrix.curves if d.ratio is not None)
    groups += [Group(level_name(d.level), curves) for d in comparison.matrix.curves[:1]]
    note = (
        "Detectable: the smallest true difference that 8 of 10 such campaigns would have shown."
        " Over all levels: the geometric mean of the levels, block by block."
    )
    caption = f"Ratios to {plain(comparison.plan.reference)}"
    return Table(caption, head, tuple(g for g in groups if g.rows), 2, note)


def _difference(d: Difference) -> tuple[str, ...]:
    assert d.ratio is not None
    return (
        plain(d.variant),
        measure_name(d.measure),
        ratio_point(d.ratio),
        ratio_interval(d.ratio),
        floor_text(d.floor),
        detectable(d.ratio),
        str(d.verdict),
    )


def objectives(comparison: Comparison, slo: Objective) -> Table:
    """Each cell against the SLO: whether it holds, why, and what it took of the error budget."""
    head = ("variant", f"P{slo.q:g}", "95 % interval", "errors", "error budget spent", "SLO", "why")
    by_level: dict[str, list[tuple[str, ...]]] = {}
    for found in capacity(comparison, slo):
        for level, judged in found.judged.items():
            by_level.setdefault(level, []).append(_judged(found.variant, judged))
    groups = [
        Group(level_title(level), tuple(by_level[level]))
        for level in comparison.plan.levels
        if level in by_level
    ]
    return Table("Each cell against the SLO", head, tuple(groups))


def _judged(variant: str, judged: Judged) -> tuple[str, ...]:
    low, high = judged.low_ms, judged.high_ms
    exact = low is not None and high is not None
    why = "; ".join(filter(None, (judged.reason, judged.remedy)))
    return (
        plain(variant),
        MISSING if judged.value is None else _at_least(judged),
        f"[{duration(low or 0)}, {duration(high or 0)}]" if exact else MISSING,
        MISSING if judged.error_share is None else percent(judged.error_share),
        MISSING if judged.budget_spent is None else percent(judged.budget_spent),
        str(judged.outcome),
        plain(why),
    )


def _at_least(judged: Judged) -> str:
    assert judged.value is not None
    return f"{'> ' if judged.value.at_least else ''}{duration(judged.value.value)}"


def of_triton(comparison: Comparison) -> Table | None:
    """What Triton did, one row for each level, variant and model; None without its counters."""
    rows = [tuple(map(plain, row)) for row in triton.rows(comparison)]
    if not rows:
        return None
    engines = triton.engines(comparison)
    caption = f"Triton{f' ({engines})' if engines else ''}"
    return Table(caption, triton.HEAD, (Group("", tuple(rows)),), triton.NAMES, triton.LEGEND)


def settings(comparison: Comparison) -> Table:
    """How each variant was set up; what is alike for all of them is not told apart."""
    record = comparison.record
    names = [name for name in comparison.plan.variants if name != comparison.plan.aa]
    found = {name: alike.setup(record, name) for name in names}
    keys = dict.fromkeys(key for each in found.values() for key in each)
    rows = [(plain(key), *(plain(found[name].get(key, MISSING)) for name in names)) for key in keys]
    return Table(
        "Settings", ("setting", *map(plain, names)), (Group("", tuple(rows)),), len(names) + 1
    )


def facts(record: Record) -> Table:
    """Machine, versions, commit and campaign, as run.json has them."""
    rows = tuple(environment.facts(record).items())
    return Table("What run.json says", ("fact", "value"), (Group("", rows),), 2)


def behind(title: str, table: pa.Table) -> Table:
    """The numbers behind a figure; of very many, evenly chosen ones."""
    step = -(-table.num_rows // MOST_ROWS) or 1
    columns = [column.to_pylist() for column in table.columns]
    kept = [row for place, row in enumerate(zip(*columns, strict=True)) if place % step == 0]
    rows = tuple(tuple(_cell(value) for value in row) for row in kept)
    note = f"Every {step}th of {table.num_rows} rows." if step > 1 else ""
    names = [pa.types.is_string(field.type) for field in table.schema]
    leading = names.index(False) if False in names else len(names)
    return Table(f"Numbers: {title}", tuple(table.column_names), (Group("", rows),), leading, note)


def _cell(value: object) -> str:
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else ""
    return number(value) if isinstance(value, float) else plain(value)
