"""
Each variant against the reference: a forest plot of ratios with all that a verdict rests on.
"""

from collections.abc import Iterator, Sequence

import altair as alt
import pyarrow as pa

from analysis.compare import Bound, Ratio, Verdict
from analysis.comparison import Comparison
from analysis.differences import Difference
from analysis.figures.axes import Rows, named_axis, ratio_span
from analysis.figures.figure import Figure, chart_of, layered, nothing
from analysis.figures.forest import Entry, directions, intervals, margin_column
from analysis.figures.style import looks
from analysis.figures.tiles import doubt_numbers
from analysis.words import (
    MISSING,
    measure_name,
    percent,
    plain,
    ratio_interval,
    ratio_point,
)
from benchmarks.record import level_title

ROW_PX = 22
VERDICT_PX = 98  # the column of verdicts
ARROWS = {Verdict.FASTER: "▲", Verdict.SLOWER: "▼", Verdict.SAME: "=", Verdict.UNRESOLVED: "?"}


def ratios(comparison: Comparison, measures: Sequence[str] = ()) -> Figure:
    """
    Ratio and 95 % interval of each variant by level and measure, its noise floor, the margin.

    All measures of the plan if none is named. What has no ratio is not drawn; of a mere A/A pair,
    its own differences are.
    """
    chosen = list(measures) or list(comparison.plan.measures)
    rows, entries = _lay_out(comparison, chosen)
    named = "-".join(chosen) if measures else "all"
    return Figure(
        name=f"ratios-{named}",
        title=f"Each variant against {plain(comparison.plan.reference)}",
        explained=" ".join(_explained(comparison, entries)),
        alt=_alt(comparison, entries),
        table=_table(entries),
        chart=_chart(comparison, rows, entries),
    )


def _lay_out(comparison: Comparison, measures: Sequence[str]) -> tuple[Rows, list[Entry]]:
    """A heading for each level and measure, and a row for each variant."""
    rows, entries = Rows(), []
    differences = comparison.matrix.differences or comparison.matrix.aa
    for level in comparison.plan.levels:
        for measure in measures:
            found = [
                d
                for d in differences
                if d.level == level and d.measure == measure and d.ratio is not None
            ]
            if found:
                rows.head(f"{level_title(level)}, {measure_name(measure)}", measure)
            for d in found:
                assert d.ratio is not None
                entries.append(Entry(d, d.ratio, rows.row(plain(d.variant), ROW_PX)))
    return rows, entries


def _chart(comparison: Comparison, rows: Rows, entries: Sequence[Entry]) -> alt.LayerChart:
    if not entries:
        return nothing("no variant can be compared with the reference")
    plan = comparison.plan
    floors = [e.difference.floor for e in entries if e.difference.floor is not None]
    across = ratio_span([e.ratio for e in entries], [plan.margin, *(f for f in floors if f < 1)])
    return layered(
        *margin_column(plan.margin, across),
        *intervals(entries, looks(plan.variants, plan.aa), across, rows),
        *directions(rows, across),
        *_columns(comparison, entries, rows),
        height=rows.height,
        y_axes=True,
    )


def _columns(comparison: Comparison, entries: Sequence[Entry], rows: Rows) -> Iterator[alt.Chart]:
    """The names at the left; at the right the verdict, and the ratio as the tables write it."""
    verdicts, numbers = [], []
    for entry in entries:
        d, ratio = entry.difference, entry.ratio
        doubts = _doubts(comparison, d)
        verdicts.append((entry.row.middle, f"{ARROWS[d.verdict]} {d.verdict}"))
        numbers.append((entry.row.middle, f"{_told(ratio)}{f' d{doubts}' if doubts else ''}"))
    base = chart_of([{"y": 0}])
    yield base.mark_point(opacity=0).encode(y=rows.y("y"))
    for texts, offset in ((verdicts, 0), (numbers, VERDICT_PX)):
        axis = named_axis(texts, orient="right", offset=offset, labelPadding=8)
        yield base.mark_point(opacity=0).encode(y=rows.y("y", axis=axis))


def _told(ratio: Ratio) -> str:
    """As in the tables; of a bound only the bound."""
    interval = ratio_interval(ratio)
    if interval == MISSING:
        return ratio_point(ratio)
    return f"{ratio_point(ratio)} {interval}" if ratio.bound is Bound.EXACT else interval


def _doubts(comparison: Comparison, d: Difference) -> str:
    sides = {(d.variant, d.level), (comparison.plan.reference, d.level)}
    return doubt_numbers(comparison, sides)


def _explained(comparison: Comparison, entries: Sequence[Entry]) -> Iterator[str]:
    plan = comparison.plan
    yield (
        f"Each mark is variant / {plain(plan.reference)}, taken block by block, with its 95 %"
        " interval. 1 is no difference; of a time, less is faster, of req/s, more is."
        f" Shaded column: within {percent(plan.margin)}, which counts as the same."
    )
    if any(e.difference.floor is not None for e in entries):
        yield f"Grey bars: the noise floor, by which two copies of {plain(plan.original)} differ."
    if any(e.difference.verdict is Verdict.UNRESOLVED for e in entries):
        yield "Hollow marks are unresolved."
    if any(_doubts(comparison, e.difference) for e in entries):
        yield "d and numbers are the doubts that concern the two cells."


def _alt(comparison: Comparison, entries: Sequence[Entry]) -> str:
    counts = {v: sum(e.difference.verdict is v for e in entries) for v in Verdict}
    told = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n)
    return (
        f"Ratios of each variant to {plain(comparison.plan.reference)} with 95 % intervals:"
        f" {told or 'none'}."
    )


def _table(entries: Sequence[Entry]) -> pa.Table:
    found = [entry.difference for entry in entries]
    return pa.table(
        {
            "variant": [plain(d.variant) for d in found],
            "load": [level_title(d.level) for d in found],
            "measure": [measure_name(d.measure) for d in found],
            "ratio": [e.ratio.point for e in entries],
            "low": [e.ratio.low for e in entries],
            "high": [e.ratio.high for e in entries],
            "bound": [str(e.ratio.bound) for e in entries],
            "noise_floor": pa.array([d.floor for d in found], pa.float64()),
            "adjusted_p": [d.adjusted_p for d in found],
            "verdict": [str(d.verdict) for d in found],
            "reason": [d.reason for d in found],
        }
    )
