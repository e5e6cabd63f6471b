"""
Axes: logarithmic ones marked at 1, 2 and 5, linear ones from zero, and rows with names.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, inf, log10
from typing import Any, Literal

import altair as alt

from analysis.compare import Ratio
from analysis.figures.style import LINE_PX, wrapped
from analysis.words import load_of
from benchmarks.record import level_title

LOG_FROM = 5.0  # largest / smallest, from which an axis is logarithmic
HEAD_PX, HEAD_SPACE_PX = 22, 8
FARTHEST, LEAST_SIDE = 3.0, 0.25
RATIO_TICKS = (
    (1.06, (0.95, 0.96, 0.97, 0.98, 0.99, 1, 1.01, 1.02, 1.03, 1.04, 1.05)),
    (1.3, (0.8, 0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.15, 1.2, 1.25)),
    (2.2, (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.4, 1.6, 1.8, 2)),
    (5.5, (0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5)),
)
FINE_MARKS = 6
DECADES_OF_125 = 4  # beyond so many only powers of ten are marked


@dataclass(frozen=True, slots=True)
class Span:
    """What an axis covers: its ends, whether it is logarithmic, and its marks if it is."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...] = ()

    def scale(self, **more: Any) -> alt.Scale:
        ends = [self.low, self.high]
        if self.log:
            return alt.Scale(type="log", domain=ends, nice=False, **more)
        return alt.Scale(domain=ends, nice=False, zero=False, **more)

    def axis(self, title: str, **more: Any) -> alt.Axis:
        said = f"{title} (log scale)" if self.log else title
        marks = {"values": list(self.ticks)} if self.log else {"tickCount": 6}
        return alt.Axis(
            title=said, format="~r", labelOverlap=not self.log, grid=True, **marks, **more
        )

    def share(self, value: float) -> float:
        """Where a value lies between the ends, from 0 to 1."""
        if self.log:
            return (log10(value) - log10(self.low)) / (log10(self.high) - log10(self.low))
        return (value - self.low) / (self.high - self.low)

    def at(self, share: float) -> float:
        if self.log:
            return float(10 ** (log10(self.low) + share * (log10(self.high) - log10(self.low))))
        return self.low + share * (self.high - self.low)


def span(values: Iterable[float], *, log: bool | None = None) -> Span:
    """For values above 0: from zero, or logarithmic where they differ by a factor of 5 or more."""
    known = [value for value in values if 0 < value < inf] or [1.0]
    low, high = min(known), max(known)
    if log is False or (log is None and high / low < LOG_FROM):
        return Span(0.0, high * 1.08, log=False)
    room = (high / low) ** 0.03
    low, high = low / room, high * room
    marks = log_ticks(low, high)
    return Span(low, high, log=True, ticks=marks)


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """1, 2 and 5 of each decade between two ends; of many decades only the ones."""
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    steps = (1, 2, 5) if log10(high / low) <= DECADES_OF_125 else (1,)
    marks = (float(f"{step}e{decade}") for decade in decades for step in steps)
    return tuple(mark for mark in marks if low <= mark <= high)


def fine_span(values: Iterable[float]) -> Span:
    """
    For values above 0 of which small differences matter: logarithmic, as near as they are.

    Marks are even steps of 1, 2 or 5, unless the values differ so much that `span` marks them.
    """
    known = [value for value in values if 0 < value < inf] or [1.0]
    low, high = min(known), max(known)
    room = max((high / low) ** 0.06, 1.01)
    low, high = low / room, high * room
    if high / low >= LOG_FROM:
        return Span(low, high, log=True, ticks=log_ticks(low, high))
    rough = (high - low) / FINE_MARKS
    step = next(tick for tick in log_ticks(rough, 10 * rough))
    first, last = ceil(low / step), floor(high / step)
    digits = max(0, -floor(log10(step)))
    ticks = tuple(round(step * n, digits) for n in range(first, last + 1))
    return Span(low, high, log=True, ticks=ticks)


def ratio_span(ratios: Iterable[Ratio], shares: Iterable[float] = ()) -> Span:
    """
    For ratios about 1: every point, and intervals unless they reach three times as far as points.

    *shares* are differences (a margin, noise floors) that are to be seen as well.
    """
    found = list(ratios)
    around = [1.0, *(1 + share for share in shares), *(1 / (1 + share) for share in shares)]
    points = [ratio.point for ratio in found] + around
    low, high = min(points), max(points)
    low = min([low, *(max(ratio.low, low / FARTHEST) for ratio in found if ratio.low > 0)])
    high = max([high, *(min(ratio.high, high * FARTHEST) for ratio in found if ratio.high < inf)])
    room = (high / low) ** 0.04
    low, high = low / room, high * room
    # 1 is never at an edge: it must be seen which side of it a mark is on.
    low, high = min(low, high**-LEAST_SIDE), max(high, low**-LEAST_SIDE)
    reach = max(high, 1 / low)
    marks = next((marks for edge, marks in RATIO_TICKS if reach <= edge), None)
    ticks = log_ticks(low, high) if marks is None else [t for t in marks if low <= t <= high]
    return Span(low, high, log=True, ticks=tuple(ticks))


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a figure that has names at its left; positions are pixels from the top."""

    top: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


class Rows:
    """Rows and headings, one below the other, and the axis that names them."""

    def __init__(self, characters: int = 26) -> None:
        self.height = 0.0
        self.heads: list[tuple[str, float]] = []  # key and middle of each heading
        self._characters = characters
        self._lines: list[tuple[float, str | list[str]]] = []
        self._bold: list[float] = []

    def head(self, text: str, key: str = "") -> None:
        self.height += HEAD_SPACE_PX if self._lines else 0
        height = max(HEAD_PX, LINE_PX * len(wrapped(text, self._characters)) + 4)
        self._bold += self._write(text, height)
        self.heads.append((key, self.height + height / 2))
        self.height += height

    def row(self, text: str, height_px: float) -> Row:
        height = max(height_px, LINE_PX * len(wrapped(text, self._characters)) + 4)
        self._write(text, height)
        found = Row(self.height, self.height + height)
        self.height += height
        return found

    def _write(self, text: str, height: float) -> list[float]:
        lines = wrapped(text, self._characters)
        first = self.height + height / 2 - LINE_PX * (len(lines) - 1) / 2
        places = [round(first + LINE_PX * number, 1) for number in range(len(lines))]
        self._lines += zip(places, lines, strict=True)
        return places

    def y(self, field: str, axis: alt.Axis | Literal["names"] | None = "names") -> alt.Y:
        """A channel for pixels from the top; its axis are the names, unless another is given."""
        if axis == "names":
            axis = named_axis(self._lines, self._bold, labelPadding=6)
        scale = alt.Scale(domain=[self.height, 0], nice=False, zero=False)
        return alt.Y(f"{field}:Q", scale=scale, axis=axis)


def named_axis(
    lines: Sequence[tuple[float, str | list[str]]],
    bold: Sequence[float] = (),
    *,
    title: str | None = None,
    grid: bool = False,
    **more: Any,
) -> alt.Axis:
    """An axis that only carries text: each line (or lines) at its own place on the scale."""
    places = [place for place, _ in lines]
    texts = json.dumps([text for _, text in lines])
    weight: Any = "normal"
    if bold:
        test = f"indexof({json.dumps(list(bold))}, datum.value) >= 0"
        weight = {"condition": {"test": test, "value": "bold"}, "value": "normal"}
    return alt.Axis(
        title=title,
        values=places,
        labelExpr=f"{texts}[indexof({json.dumps(places)}, datum.value)]",
        labelFontWeight=weight,
        labelOverlap=False,
        style="names",
        ticks=False,
        domain=False,
        grid=grid,
        **more,
    )


def load_title(levels: Sequence[str]) -> str:
    """What an axis of levels counts."""
    kinds = {load_of(level)[0] for level in levels}
    if len(kinds) > 1:
        return "load"
    return "clients" if kinds == {"clients"} else "requests/s offered"


def load_labels(levels: Sequence[str]) -> list[list[str]]:
    """Each level in lines, short where the axis' title says the rest."""
    if load_title(levels) == "load":
        return [level_title(level).split(" ", 1) for level in levels]
    return [[f"{load_of(level)[1]:g}"] for level in levels]
