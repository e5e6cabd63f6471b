"""
How figures look: one colour, dash and shape a variant, light and dark, the same axes everywhere.

Nothing is told by colour alone: a variant has its dash and its shape as well, so that a figure can
be read in print and by those who see colours otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from analysis.plan import Plan
from analysis.words import plain

# Of everything that is not data. A page puts its own in their place, by theme.
LIGHT = {
    "ink": "#1f2328",
    "muted": "#57606a",
    "faint": "#8b949e",
    "grid": "#e1e4e8",
    "shade": "#eceef1",
    "surface": "#ffffff",
}
DARK = {
    "ink": "#e6edf3",
    "muted": "#a5afba",
    "faint": "#7b8591",
    "grid": "#30363d",
    "shade": "#262c34",
    "surface": "#12161b",
}

# After Okabe and Ito (Color Universal Design, 2008). Their orange and sky blue are darkened until
# they stand out from white by 3 to 1; yellow and black, which vanish on one of the two
# backgrounds, are replaced.
VARIANTS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#C98500",
    "#3D94CC",
    "#8C6D31",
    "#6F5BB5",
)
COPY = "#868E96"
DASHES = ((1, 0), (7, 3), (2, 2), (9, 3, 2, 3))
SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
)
MOST_LINES = 8  # that a chart of lines shows, a copy not counted

# Cividis (Nunez, Anderton and Renslow, PLoS ONE 13, 2018): as even in grey as in colour.
CIVIDIS = (
    "#00224e", "#083370", "#35456c", "#4f576c", "#666970", "#7d7c78",
    "#948e77", "#aea371", "#c8b866", "#e5cf52", "#fee838",
)  # fmt: skip
# PuOr (Brewer): less than before, alike, more than before.
PUOR = ("#5e3c99", "#b2abd2", "#f0f0f0", "#fdb863", "#b35806")

# Alike in width, as charts are laid out without knowing which of them a reader has.
FONT = 'Arial, "Liberation Sans", Helvetica, Arimo, "DejaVu Sans Condensed", sans-serif'
TEXT_PX = 12
SMALL_PX = 11
CHARACTER_PX = 7.0  # a wide guess at TEXT_PX, as the reader's fonts are not known
LINE_PX = 15  # from one line of text to the next


@dataclass(frozen=True, slots=True)
class Look:
    """How a variant is drawn, in every figure of its record."""

    colour: str
    dash: tuple[int, ...]
    shape: str


def looks(variants: Sequence[str], aa: str | None) -> dict[str, Look]:
    """By the place among the record's variants; a copy is grey and has its original's shape."""
    found: dict[str, Look] = {}
    for place, name in enumerate(name for name in variants if name != aa):
        turn = place // len(VARIANTS)
        found[name] = Look(
            VARIANTS[place % len(VARIANTS)],
            DASHES[(place + turn) % len(DASHES)],
            SHAPES[place % len(SHAPES)],
        )
    if aa is not None and aa in variants:
        original = found.get(aa.removesuffix(".aa"))
        found[aa] = Look(COPY, (3, 3), original.shape if original else SHAPES[0])
    return found


def ordered(plan: Plan) -> list[str]:
    """The variants as the tables show them, each copy next to what it copies."""
    first = [name for name in (plan.original, plan.aa) if name in plan.variants]
    return list(dict.fromkeys([*first, *plan.variants]))


def drawn(plan: Plan) -> list[str]:
    """The variants that a chart of lines has room for: the reference, its copy, the first ones."""
    others = [name for name in plan.variants if name not in (plan.reference, plan.aa)]
    kept = {plan.aa, *first([plan.reference, *others])}
    return [name for name in ordered(plan) if name in kept]


def first(variants: Sequence[str]) -> list[str]:
    return list(variants[:MOST_LINES])


def drawn_looks(plan: Plan) -> dict[str, Look]:
    """Theirs, the copy first, so that it lies under what it copies."""
    every, names = looks(plan.variants, plan.aa), drawn(plan)
    return {name: every[name] for name in sorted(names, key=lambda name: name != plan.aa)}


def colours(*, dark: bool = False) -> dict[str, str]:
    return DARK if dark else LIGHT


def ramp(place: float, stops: Sequence[str] = CIVIDIS) -> str:
    """The colour at a place from 0 to 1 between the stops."""
    at = min(max(place, 0.0), 1.0) * (len(stops) - 1)
    left = min(int(at), len(stops) - 2)
    pairs = zip(_channels(stops[left]), _channels(stops[left + 1]), strict=True)
    mixed = (round(a + (b - a) * (at - left)) for a, b in pairs)
    return "#" + "".join(f"{value:02x}" for value in mixed)


def label_on(colour: str) -> str:
    """Black or white, whichever is read better on a colour (WCAG 2.2, relative luminance)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in _channels(colour))
    ]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#000000" if luminance > 0.179 else "#fefefe"


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def wrapped(name: str, characters: int = 20) -> list[str]:
    """A name on as many lines as it needs, cut after `-_./` where that can be; nothing is lost."""
    lines, rest = [], plain(name)
    while len(rest) > characters:
        even = ceil(len(rest) / ceil(len(rest) / characters))
        cuts = [place + 1 for place in range(even // 2, characters) if rest[place] in "-_./ "]
        cut = min(cuts, key=lambda place: abs(place - even), default=even)
        lines.append(rest[:cut])
        rest = rest[cut:]
    return [*lines, rest]


def config(*, dark: bool = False) -> dict[str, Any]:
    """Vega-Lite's `config` of a theme; marks name what they are by `style`, never a colour."""
    tone = colours(dark=dark)
    text = {"fontSize": TEXT_PX, "font": FONT}
    return {
        "background": "transparent",
        "font": FONT,
        "padding": 5,
        "view": {"stroke": None},
        "text": {**text, "fill": tone["ink"]},
        "style": _styles(tone, text),
        **_guides(tone),
    }


def _guides(tone: Mapping[str, str]) -> dict[str, Any]:
    return {
        "axis": {
            "labelColor": tone["muted"],
            "titleColor": tone["ink"],
            "tickColor": tone["faint"],
            "domainColor": tone["faint"],
            "gridColor": tone["grid"],
            "labelFontSize": TEXT_PX,
            "titleFontSize": TEXT_PX,
            "titleFontWeight": "normal",
            "titlePadding": 8,
            "labelLimit": 0,
            "titleLimit": 0,
        },
        "legend": {
            "labelColor": tone["ink"],
            "labelFontSize": TEXT_PX,
            "labelLimit": 0,
            "symbolStrokeWidth": 0,
        },
        "title": {
            "anchor": "start",
            "color": tone["ink"],
            "subtitleColor": tone["muted"],
            "fontSize": 15,
            "subtitleFontSize": TEXT_PX,
            "subtitlePadding": 6,
            "offset": 12,
            "limit": 0,
        },
    }


def _styles(tone: Mapping[str, str], text: Mapping[str, Any]) -> dict[str, Any]:
    """What marks that are not data may be, and axes that only carry names."""
    edge = {"filled": False, "fillOpacity": 0}
    return {
        "names": {"labelColor": tone["ink"]},
        "label": {**text, "color": tone["ink"]},
        "value": {**text, "color": tone["ink"], "fontWeight": "bold", "fontSize": 13},
        "note": {**text, "color": tone["muted"], "fontSize": SMALL_PX},
        "small": {**text, "color": tone["muted"], "fontSize": 10},
        "line": {"color": tone["ink"], "strokeWidth": 1.5},
        "halo-line": {"color": tone["surface"], "strokeWidth": 4},
        "faint": {"color": tone["faint"], "strokeWidth": 1},
        "hair": {"color": tone["grid"], "strokeWidth": 1},
        "gap": {**edge, "color": tone["surface"], "strokeWidth": 2},
        "tile": {"stroke": tone["surface"], "strokeWidth": 1},
        "edge": {"color": tone["ink"], "strokeWidth": 3},
        "edge-halo": {"color": tone["surface"], "strokeWidth": 6},
        "ring": {"color": tone["ink"], "strokeWidth": 1.5},
        "hole": {"color": tone["surface"]},
        "shade": {"color": tone["shade"]},
        "band": {"color": tone["faint"], "fillOpacity": 0.3},
    }


def css(*, dark: bool = False) -> str:
    """The declarations of the variables that `figure.inline_svg` refers to."""
    return " ".join(f"--{role}: {colour};" for role, colour in colours(dark=dark).items())
