"""
Inside one repeat: latency and answers as its window passed.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import sqrt

import altair as alt
import numpy as np
import pyarrow as pa

from analysis.figures import lines
from analysis.figures.axes import Span, fine_span, log_ticks, span
from analysis.figures.figure import Figure, chart_of, layered, nothing
from analysis.figures.lines import HEIGHT_PX
from analysis.figures.style import SHAPES, VARIANTS, Look
from analysis.frames import Repeat
from analysis.latency import min_count, percentile
from analysis.words import duration, levels_phrase, number, plain

COLUMNS, ROWS = 90, 36  # of the tiles, at most
ENOUGH = 5000  # requests for so many
SLICES = 30  # of the window, each with its median
FAINTEST = 0.15  # opacity of a tile with one request
RATES_PX = 220
MOST_STEPS = 60
OUTCOMES = {
    "answered well": Look(VARIANTS[0], (1, 0), SHAPES[0]),
    "given up": Look(VARIANTS[1], (7, 3), SHAPES[1]),
    "failed at once": Look(VARIANTS[3], (2, 2), SHAPES[3]),
}


def over_time(repeat: Repeat) -> Figure:
    """
    How many requests took how long, by when they were due: tiles of time x response time.

    Requests that were given up are counted at the top edge, where nothing is known of their time.
    """
    tiles, most, up = _tiles(repeat)
    medians = list(_medians(repeat))
    given_up = int(np.count_nonzero(repeat.censored))
    slower = f" ↑ and numbers at the top: {given_up} requests were given up." if given_up else ""
    return Figure(
        name="over-time",
        title=f"Response time over the window, {_where(repeat)}",
        explained="Each tile counts the requests that were due then and took so long"
        f" (the darkest: {most}); the line is the median of each slice of the window."
        f" A level line is a steady state.{slower}",
        alt=f"Response time over a window of {number(repeat.window_s)} s, {_where(repeat)}."
        + _course(medians),
        table=_tile_table(tiles),
        chart=_tile_chart(repeat, tiles, most, medians, up),
    )


def rates_over_time(repeat: Repeat) -> Figure:
    """Requests a second of the window, by when they were due and what became of them."""
    counts = {
        "answered well": repeat.due_s[~repeat.censored],
        "given up": repeat.due_s[repeat.censored],
        "failed at once": repeat.failed_s,
    }
    step_s = _step_s(repeat)
    edges = np.arange(0.0, repeat.window_s + step_s / 2, step_s)
    rows = [
        (name, float(start), float(count / step_s))
        for name, due_s in counts.items()
        for start, count in zip(edges, np.histogram(due_s, edges)[0], strict=False)
    ]
    return Figure(
        name="rates-over-time",
        title=f"Requests a second over the window, {_where(repeat)}",
        explained=f"Requests by when they were due, in steps of {number(step_s)} s.",
        alt=f"Requests a second over a window of {number(repeat.window_s)} s:"
        f" {', '.join(f'{len(due_s)} {name}' for name, due_s in counts.items())}.",
        table=pa.table(
            {
                "outcome": [name for name, _, _ in rows],
                "from_s": [start for _, start, _ in rows],
                "requests_rps": [rate for _, _, rate in rows],
            }
        ),
        chart=_rate_chart(rows, repeat.window_s, step_s),
    )


def _step_s(repeat: Repeat) -> float:
    """1, 2 or 5 of a decade: ten requests a step, so that chance alone is no up and down."""
    wanted = max(repeat.window_s / MOST_STEPS, 10 * repeat.window_s / max(1, repeat.issued))
    return min(log_ticks(wanted, 10 * wanted), default=wanted)


def _where(repeat: Repeat) -> str:
    return f"{plain(repeat.variant)} {levels_phrase([repeat.level])}, repeat {repeat.repeat}"


def _tiles(repeat: Repeat) -> tuple[list[dict[str, float]], int, Span]:
    """Those that hold a request, the most requests of one, and the axis of response times."""
    answered = ~repeat.censored & (repeat.response_ms > 0)
    due_s, took_ms = repeat.due_s[answered], repeat.response_ms[answered]
    up = fine_span([float(took_ms.min()), float(took_ms.max())] if len(took_ms) else [])
    wide, high = _tiling(len(took_ms))
    columns = np.linspace(0, repeat.window_s, wide + 1)
    rows = np.array([up.at(step / high) for step in range(high + 1)])
    # Rounding may put the largest time a hair beyond the last edge.
    counts, _, _ = np.histogram2d(due_s, np.clip(took_ms, rows[0], rows[-1]), [columns, rows])
    found = [
        {
            "from_s": float(columns[c]),
            "to_s": float(columns[c + 1]),
            "from_ms": float(rows[r]),
            "to_ms": float(rows[r + 1]),
            "requests": int(counts[c, r]),
        }
        for c, r in zip(*np.nonzero(counts), strict=True)
    ]
    return found, int(counts.max()), up


def _tiling(requests: int) -> tuple[int, int]:
    """Columns and rows: fewer, and so larger, tiles for few requests."""
    share = min(1.0, sqrt(requests / ENOUGH))
    return max(30, round(COLUMNS * share)), max(14, round(ROWS * share))


def _medians(repeat: Repeat) -> Iterator[dict[str, float]]:
    """Of those slices of the window that have requests enough, all answered up to the median."""
    edges = np.linspace(0, repeat.window_s, SLICES + 1)
    for start, end in pairwise(edges):
        inside = (repeat.due_s >= start) & (repeat.due_s < end)
        if np.count_nonzero(inside) >= min_count(50):
            found = percentile(repeat.response_ms[inside], 50, repeat.censored[inside])
            if not found.at_least:
                yield {"x": float(start + end) / 2, "y": found.value_ms}


def _course(medians: list[dict[str, float]]) -> str:
    if not medians:
        return ""
    first, last = medians[0]["y"], medians[-1]["y"]
    return f" The median goes from {duration(first)} to {duration(last)}."


def _tile_chart(
    repeat: Repeat,
    tiles: list[dict[str, float]],
    most: int,
    medians: list[dict[str, float]],
    up: Span,
) -> alt.LayerChart:
    if not tiles:
        return nothing("no request was answered well")
    along = Span(0.0, repeat.window_s, log=False)
    title = "response time, ms: lower is faster"
    scale = alt.Scale(domain=[0, most], range=[FAINTEST, 1], type="sqrt")
    drawn = chart_of(tiles).mark_rect(color=VARIANTS[0])
    line = chart_of(medians).encode(
        x=alt.X("x:Q", scale=along.scale()), y=alt.Y("y:Q", scale=up.scale())
    )
    return layered(
        drawn.encode(
            x=alt.X("from_s:Q", scale=along.scale(), axis=along.axis("time in the window, s")),
            x2="to_s:Q",
            y=alt.Y("from_ms:Q", scale=up.scale(), axis=up.axis(title)),
            y2="to_ms:Q",
            opacity=alt.Opacity("requests:Q", scale=scale, legend=None),
        ),
        line.mark_line(style="halo-line"),
        line.mark_line(style="line"),
        *_given_up(repeat, along),
        height=HEIGHT_PX,
    )


def _given_up(repeat: Repeat, along: Span) -> Iterator[alt.Chart]:
    counts, edges = np.histogram(repeat.due_s[repeat.censored], SLICES // 2, (0, repeat.window_s))
    rows = [
        {"x": float(edges[n] + edges[n + 1]) / 2, "text": f"{count} ↑"}
        for n, count in enumerate(counts)
        if count
    ]
    if rows:
        yield (
            chart_of(rows)
            .mark_text(style="note", baseline="bottom")
            .encode(x=alt.X("x:Q", scale=along.scale()), y=alt.value(-3), text="text:N")
        )


def _tile_table(tiles: list[dict[str, float]]) -> pa.Table:
    names = ("from_s", "to_s", "from_ms", "to_ms", "requests")
    return pa.table({name: [tile[name] for tile in tiles] for name in names})


def _rate_chart(
    rows: list[tuple[str, float, float]], window_s: float, step_s: float
) -> alt.LayerChart:
    shown = {name: OUTCOMES[name] for name in OUTCOMES if any(r[2] for r in rows if r[0] == name)}
    if not shown:
        return nothing("no request was answered well")
    numbers = lines.number_of(shown)
    kept = [row for row in rows if row[0] in shown]
    up = span([rate for _, _, rate in kept], log=False)
    along = Span(0.0, window_s, log=False)
    last = kept[-1][1]
    values = [
        {"variant": numbers[name], "x": x, "y": rate}
        for name, start, rate in kept
        for x in ([start, window_s] if start == last else [start])
    ]
    ends = {name: rate for name, _, rate in kept}
    return layered(
        chart_of(values)
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X("x:Q", scale=along.scale(), axis=along.axis("time in the window, s")),
            y=alt.Y("y:Q", scale=up.scale(), axis=up.axis("requests/s")),
            color=lines.colour(shown),
            strokeDash=lines.dash(shown),
        ),
        *lines.names_beside(shown, ends, up, RATES_PX),
        height=RATES_PX,
        y_axes=True,
    )
