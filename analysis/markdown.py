"""
A comparison for a README or a pull request: doubts, the answer, one table, and all differences.
"""

from collections.abc import Iterator, Sequence

from analysis import answer, triton
from analysis.cells import Cell
from analysis.comparison import Comparison
from analysis.differences import Difference
from analysis.summary import headline
from analysis.terminal import doubt_line, legend, role, setting, shown
from analysis.words import (
    MISSING,
    detectable,
    floor_text,
    level_name,
    machine,
    measure_header,
    measure_name,
    measured,
    plain,
    ratio_interval,
    ratio_point,
)
from benchmarks.record import level_title


def text(comparison: Comparison) -> str:
    record = comparison.record
    parts = [
        f"### {escape(record.question or record.name)}",
        f"{escape(setting(comparison))}.  \n{escape(machine(record.run.get('machine') or {}))}",
        *_doubts(comparison),
        *_answer(comparison),
        _overview(comparison),
        escape(legend(comparison)),
        *_triton(comparison),
        _details(comparison),
        f"Record: `{plain(record.path).replace('`', '')}`",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(words: object) -> str:
    """Text that a record holds, so that it can be neither HTML nor a column of a table."""
    escaped = plain(words).replace("&", "&amp;").replace("<", "&lt;").replace("\\", "\\\\")
    for character in "|`*_[]":
        escaped = escaped.replace(character, f"\\{character}")
    return escaped


def _doubts(comparison: Comparison) -> Iterator[str]:
    if comparison.doubts:
        yield "**Doubts**"
        yield "\n".join(
            f"{number}. {escape(doubt_line(doubt, comparison))}; *{escape(doubt.next_step)}*"
            for number, doubt in enumerate(comparison.doubts, 1)
        )


def _answer(comparison: Comparison) -> Iterator[str]:
    for title, lines in answer.parts(comparison):
        yield f"**{title}**"
        yield "\n".join(f"- {escape(line)}" for line in lines)


def _overview(comparison: Comparison) -> str:
    """One row a cell, with the verdict at the measure that the sentences speak of."""
    plan = comparison.plan
    reference = escape(plan.reference)
    head = [
        "load",
        "variant",
        *map(measure_header, plan.measures),
        f"against {reference}",
        "noise floor",
        "verdict",
        "doubts",
    ]
    rows = []
    for level in plan.levels:
        numbers = ", ".join(map(str, comparison.doubts_of(level))) or MISSING
        for cell in comparison.matrix.level(level):
            values = [measured(cell.value(measure), measure) for measure in plan.measures]
            verdict = _verdict(cell, comparison)
            rows.append([level_title(level), escape(cell.variant), *values, *verdict, numbers])
    aligned = "ll" + "r" * len(plan.measures) + "rrll"
    return table(head, aligned, rows)


def _verdict(cell: Cell, comparison: Comparison) -> list[str]:
    said = role(cell.variant, comparison)
    if said:
        return [escape(said), MISSING, MISSING]
    measure, _ = headline(comparison, cell.variant)
    for d in shown(comparison, cell.level):
        if d.variant == cell.variant and d.measure == measure:
            return [f"{measure_name(measure)} {_ratio(d)}", floor_text(d.floor), f"**{d.verdict}**"]
    return [MISSING, MISSING, MISSING]


def _ratio(d: Difference) -> str:
    assert d.ratio is not None
    return f"{ratio_point(d.ratio)} {ratio_interval(d.ratio)}".replace(">", "&gt;")


def _triton(comparison: Comparison) -> Iterator[str]:
    """One row for each level, variant and Triton model, in records that have it."""
    rows = [[escape(cell) for cell in row] for row in triton.rows(comparison)]
    if rows:
        engines = triton.engines(comparison)
        yield f"**Triton**{f' ({escape(engines)})' if engines else ''}"
        aligned = "l" * triton.NAMES + "r" * (len(triton.HEAD) - triton.NAMES)
        yield table(triton.HEAD, aligned, rows)
        yield triton.LEGEND


def _details(comparison: Comparison) -> str:
    rows = [
        [
            level_name(d.level),
            escape(d.variant),
            measure_name(d.measure),
            _ratio(d),
            floor_text(d.floor),
            detectable(d.ratio),
            str(d.verdict),
        ]
        for d in (*_every(comparison), *comparison.matrix.curves)
        if d.ratio is not None
    ]
    if not rows:
        return ""
    head = ["load", "variant", "", "ratio", "noise floor", "detectable", "verdict"]
    listed = table(head, "lllrrrl", rows)
    return f"<details><summary>All differences</summary>\n\n{listed}\n\n</details>"


def _every(comparison: Comparison) -> Iterator[Difference]:
    for level in comparison.plan.levels:
        yield from shown(comparison, level)


def table(head: Sequence[str], aligned: str, rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that were escaped; *aligned* has `l` or `r` for each column."""
    rule = ["---:" if side == "r" else "---" for side in aligned]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))
