"""
Panels as HTML and SVG, drawn by nothing but the standard library.

Elements are built and not written as text, so that every name that comes from a label is escaped.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, floor, isfinite, log10
from typing import Any
from xml.etree.ElementTree import Element, SubElement

Points = list[tuple[float, float]]

# Grafana's names, on a light ground.
COLOURS = {
    "green": "#56a64b", "orange": "#ff780a", "red": "#e02f44", "yellow": "#f2cc0c",
    "blue": "#3274d9", "light-blue": "#5794f2", "super-light-blue": "#8ab8ff",
    "dark-blue": "#1250b0", "purple": "#a352cc", "dark-red": "#ad0317", "text": "#24292e",
}  # fmt: skip
# For what has no colour of its own.
PALETTE = (
    "#3274d9", "#56a64b", "#ff780a", "#a352cc", "#e0b400", "#8f3bb8", "#37872d", "#1f60c4",
    "#fa6400", "#0097a7", "#795548", "#e02f44", "#607d8b", "#c2185b",
)  # fmt: skip
SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "s": (
        (1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1, "s"), (60, "min"), (3600, "h"),
        (86400, "days"),
    ),
    "bytes": ((1, "B"), (2**10, "KiB"), (2**20, "MiB"), (2**30, "GiB"), (2**40, "TiB")),
    "Bps": ((1, "B/s"), (1e3, "kB/s"), (1e6, "MB/s"), (1e9, "GB/s")),
    "percentunit": ((0.01, "%"),),
    "reqps": ((1, "req/s"), (1e3, "K req/s")),
    "ops": ((1, "ops/s"), (1e3, "K ops/s")),
    "short": ((1, ""), (1e3, "K"), (1e6, "Mil"), (1e9, "Bil")),
    "celsius": ((1, "°C"),),
    "watt": ((1, "W"), (1e3, "kW")),
}  # fmt: skip
FAMILIAR = (1.0, "")
AXIS_LEFT, AXIS_BOTTOM, TOP = 62, 18, 6
CELL_GAP = 0.5


@dataclass(slots=True)
class Line:
    """A series: its name, and its finite points."""

    name: str
    points: Points
    colour: str = ""
    dashed: bool = False
    exemplars: Points = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that was so for a time: a cell of a campaign."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Frame:
    """Where things stand in a picture of so many pixels, which shows this time and these values."""

    width: float
    height: float
    start: float
    end: float
    low: float = 0.0
    high: float = 1.0

    def x(self, moment: float) -> float:
        """Where a moment is."""
        share = (moment - self.start) / (self.end - self.start)
        return round(AXIS_LEFT + share * (self.width - AXIS_LEFT - 4), 1)

    def y(self, value: float) -> float:
        """Where a value is; one beyond the picture is at its edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.height - AXIS_BOTTOM - share * (self.height - AXIS_BOTTOM - TOP), 1)

    def svg(self) -> Element:
        """An empty picture."""
        size = {"width": f"{self.width:g}", "height": f"{self.height:g}"}
        return Element("svg", size | {"viewBox": f"0 0 {self.width:g} {self.height:g}"})


def scale(unit: str, size: float) -> tuple[float, str]:
    """The largest form of a unit in which a value is no fraction."""
    forms = SCALES.get(unit, (FAMILIAR,))
    if size == 0:
        return next((form for form in forms if form[0] == 1), forms[0])
    return next((form for form in reversed(forms) if form[0] <= size * 1.000001), forms[0])


def text(value: float, unit: str, digits: int | None = None) -> str:
    """A value with its unit; to three digits, if it is not said how many stand after the point."""
    factor, suffix = scale(unit, abs(value))
    number = value / factor
    if digits is None:
        digits = max(0, 2 - floor(log10(abs(number)))) if number else 0
        written = f"{number:.{min(digits, 9)}f}"
        written = written.rstrip("0").rstrip(".") if "." in written else written
    else:
        written = f"{number:.{digits}f}"
    return f"{written}{'' if suffix == '%' else ' '}{suffix}".rstrip()


def ticks(low: float, high: float, unit: str, most: int) -> list[float]:
    """Round values within an axis, in the form of the unit that its end has."""
    factor = scale(unit, max(abs(low), abs(high)))[0]
    least = (high - low) / factor / most
    power = 10.0 ** floor(log10(least))
    step = factor * power * next(m for m in (1, 2, 5, 10) if m * power >= least * 0.999)
    return [i * step for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def label(value: float, top: float, unit: str) -> str:
    """A value of an axis, in the form of the unit that the axis' end has."""
    factor, suffix = scale(unit, top)
    return f"{value / factor:.6g}{'' if suffix == '%' else ' '}{suffix}".rstrip()


def write(svg: Element, x: float, y: float, words: str, anchor: str = "end") -> None:
    """A label on an axis."""
    place = {"x": f"{x:g}", "y": f"{y:g}", "text-anchor": anchor}
    SubElement(svg, "text", place).text = words


def time_axis(svg: Element, frame: Frame) -> None:
    """The beginning, the middle and the end."""
    for moment, anchor in (
        (frame.start, "start"),
        ((frame.start + frame.end) / 2, "middle"),
        (frame.end, "end"),
    ):
        clock = time.strftime("%H:%M:%S", time.localtime(moment))
        write(svg, frame.x(moment), frame.height - 4, clock, anchor)


def marked(svg: Element, frame: Frame, marks: Iterable[Mark]) -> None:
    """The times of the marks, behind everything else."""
    for mark in marks:
        left, right = (frame.x(min(max(t, frame.start), frame.end)) for t in (mark.start, mark.end))
        where = {"x": f"{left:g}", "width": f"{max(1, right - left):g}", "y": f"{TOP}"}
        where["height"] = f"{frame.height - AXIS_BOTTOM - TOP:g}"
        SubElement(SubElement(svg, "rect", {"class": "mark", **where}), "title").text = mark.name


def chart(
    lines: Sequence[Line],
    frame: Frame,
    panel: Mapping[str, Any],
    marks: Iterable[Mark],
) -> Element:
    """Lines over time, one above the other where the panel stacks them."""
    defaults = panel["fieldConfig"]["defaults"]
    unit, custom = defaults["unit"], defaults.get("custom", {})
    bands = stacked(lines) if custom.get("stacking", {}).get("mode") == "normal" else None
    shown = [band[1] for band in bands] if bands else [line.points for line in lines]
    values = [value for points in shown for _, value in points]
    low = defaults.get("min", min(values))
    high = max([*values, custom.get("axisSoftMax", low)])
    if high <= low:
        high = low + (abs(low) or 1)
    frame = Frame(frame.width, frame.height, frame.start, frame.end, low, low + (high - low) * 1.05)
    svg = frame.svg()
    marked(svg, frame, marks)
    for tick in ticks(frame.low, frame.high, unit, max(2, int(frame.height / 30))):
        y = frame.y(tick)
        across = {"x1": f"{AXIS_LEFT}", "x2": f"{frame.width - 4:g}", "y1": f"{y}", "y2": f"{y}"}
        SubElement(svg, "line", {"class": "grid", **across})
        write(svg, AXIS_LEFT - 5, y + 4, label(tick, frame.high, unit))
    time_axis(svg, frame)
    if custom.get("thresholdsStyle", {}).get("mode") == "dashed":
        limits(svg, frame, defaults["thresholds"]["steps"])
    for number, line in enumerate(lines):
        if bands:
            below, above = bands[number]
            outline = [*above, *reversed(below)]
            style = {"fill": line.colour, "fill-opacity": "0.6", "stroke": "none"}
            SubElement(svg, "path", style | {"d": path(outline, frame) + "z"})
        drawn = path(shown[number], frame, gap(lines))
        style = {"d": drawn, "class": "line", "stroke": line.colour}
        SubElement(svg, "path", style | ({"stroke-dasharray": "8 6"} if line.dashed else {}))
        for moment, value in line.exemplars:
            if frame.start <= moment <= frame.end and frame.low <= value <= frame.high:
                place = {"cx": f"{frame.x(moment)}", "cy": f"{frame.y(value)}", "r": "2"}
                SubElement(svg, "circle", {"class": "exemplar", **place})
    return svg


def limits(svg: Element, frame: Frame, steps: Iterable[Mapping[str, Any]]) -> None:
    """Dashes where a threshold is, if it is within the picture."""
    for step in steps:
        if step["value"] is not None and frame.low <= step["value"] <= frame.high:
            y = f"{frame.y(step['value'])}"
            across = {"x1": f"{AXIS_LEFT}", "x2": f"{frame.width - 4:g}", "y1": y, "y2": y}
            SubElement(svg, "line", {"class": "limit", "stroke": colour(step["color"]), **across})


def stacked(lines: Sequence[Line]) -> list[tuple[Points, Points]]:
    """The lower and the upper edge of each, 0 apart where a line has a gap."""
    moments = sorted({moment for line in lines for moment, _ in line.points})
    edges, top = [], dict.fromkeys(moments, 0.0)
    for line in lines:
        there, (first, *_, last) = dict(line.points), [*line.points, line.points[-1]]
        during = [at for at in moments if first[0] <= at <= last[0]]
        below = [(at, top[at]) for at in during]
        top.update({at: top[at] + there.get(at, 0.0) for at in during})
        edges.append((below, [(at, top[at]) for at in during]))
    return edges


def gap(lines: Iterable[Line]) -> float:
    """From how much time without a point on a line is interrupted."""
    between = [b - a for line in lines for (a, _), (b, _) in pairwise(line.points)]
    return 1.5 * min(between, default=0)


def path(points: Points, frame: Frame, longest: float = float("inf")) -> str:
    """Where a line goes; a point alone is a dot."""
    parts, last = list[str](), float("-inf")
    for moment, value in points:
        goes = "L" if moment - last <= longest and parts else "M"
        parts.append(f"{goes}{frame.x(moment):g},{frame.y(value):g}")
        if goes == "M":
            parts.append("h0")
        last = moment
    return "".join(parts)


def heat(buckets: Mapping[float, Points], frame: Frame, exponent: float) -> Element | None:
    """How many ended in each bucket: from cumulative ones, whose bounds are given."""
    bounds, alone, below = sorted(buckets), {}, dict[float, float]()
    for bound in bounds:
        there = dict(buckets[bound])
        alone[bound] = {at: count - below.get(at, 0) for at, count in there.items()}
        below = there
    used = [b for b in bounds if any(count > 1e-9 for count in alone[b].values())]
    if not used:
        return None
    rows = [b for b in bounds if used[0] <= b <= used[-1]]
    most = max(count for bound in rows for count in alone[bound].values())
    frame = Frame(frame.width, frame.height, frame.start, frame.end, 0, len(rows))
    svg = frame.svg()
    moments = sorted({at for points in buckets.values() for at, _ in points})
    step = min((b - a for a, b in pairwise(moments)), default=frame.end - frame.start)
    for row, bound in enumerate(rows):
        top, bottom = frame.y(row + 1), frame.y(row)
        if row % ceil(12 / (bottom - top)) == 0:
            name = text(bound, "s") if isfinite(bound) else "∞"
            write(svg, AXIS_LEFT - 5, (top + bottom) / 2 + 4, f"≤ {name}")
        for at, count in alone[bound].items():
            left, right = frame.x(max(frame.start, at - step)), frame.x(at)
            if count > 1e-9 and right > left:
                place = {
                    "x": left, "width": right - left - CELL_GAP,
                    "y": top, "height": bottom - top - CELL_GAP,
                }  # fmt: skip
                numbers = {name: f"{max(0.3, value):.4g}" for name, value in place.items()}
                style = {"fill": orange((count / most) ** exponent)}
                SubElement(svg, "rect", numbers | style)
    time_axis(svg, frame)
    return svg


def orange(share: float) -> str:
    """From nearly white to a dark orange."""
    ends = ((254, 237, 222), (253, 141, 60), (140, 45, 4))
    low, high = ends[:2] if share < 0.5 else ends[1:]
    part = (share * 2) % 1 if share < 1 else 1.0
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(low, high, strict=True))


def sparkline(line: Line, width: float, height: float, shade: str) -> Element:
    """The course of a number, without axes."""
    svg = Element("svg", {"width": f"{width:g}", "height": f"{height:g}", "class": "course"})
    values = [value for _, value in line.points]
    low, high = min(values), max(values)
    start, end = line.points[0][0], line.points[-1][0]
    places = [
        (
            round((at - start) / ((end - start) or 1) * width, 1),
            round(height - 1 - (value - low) / ((high - low) or 1) * (height - 4), 1),
        )
        for at, value in line.points
    ]
    course = "L".join(f"{x},{y}" for x, y in places)
    area = f"M0,{height}L{course}L{places[-1][0]},{height}z"
    SubElement(svg, "path", {"d": area, "fill": shade, "fill-opacity": "0.12", "stroke": "none"})
    SubElement(svg, "path", {"d": f"M{course}", "class": "line", "stroke": shade})
    return svg


def colour(name: str) -> str:
    """One of Grafana's names as the browser knows it; others are the browser's already."""
    return COLOURS.get(name, name)


def reached(steps: Iterable[Mapping[str, Any]], value: float) -> str:
    """The colour of the last threshold that a value has reached."""
    return colour([s["color"] for s in steps if s["value"] is None or s["value"] <= value][-1])
