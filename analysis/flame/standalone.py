"""
A flame document as one HTML file that needs nothing else, and as the parts the app shows it with.

The file asks nothing of any network: its policy allows only the one style and the one script that
are in it. Names come from a profile and are text wherever they appear.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from analysis.words import number, percent, plain

FOLDER = Path(__file__).with_name("renderer")
# One module, in this order.
SCRIPTS = ("frames.js", "paint.js", "parts.js", "words.js", "picture.js", "flame.js")
SHARE = "share"
MOST_ROWS = 40
MORE, LESS = "▲", "▼"
LEGEND = f"{MORE} and {LESS}: more and less, beyond the noise."


@dataclass(frozen=True, slots=True)
class Table:
    """Text in columns; the first two are names."""

    caption: str
    columns: dict[str, list[str]]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        return list(zip(*self.columns.values(), strict=True))


def html(document: Mapping[str, Any], because: Sequence[str] = ()) -> str:
    """The page of what `flames.document` made; *because* are sentences to stand above it."""
    # What lies around the flamegraph is drawn by the page's own style and script as well.
    style = _read("page.css") + css()
    script = javascript() + _read("page.js")
    table = functions(document)
    return _template().render(
        title=document["title"],
        sides=[{"name": name, "total": total} for name, total in totals(document)],
        unit=unit(document),
        change=change(document),
        because=[plain(sentence) for sentence in because],
        doubts=document["doubts"],
        note=note(document),
        table={"caption": table.caption, "head": list(table.columns), "rows": table.rows},
        document=Markup(_json(document)),
        style=Markup(style),
        script=Markup(script),
        style_hash=Markup(_hash(style)),
        script_hash=Markup(_hash(script)),
    )


@cache
def javascript() -> str:
    """The flamegraph as one ES module; its default export mounts it into `.flame`."""
    return "\n".join(map(_read, SCRIPTS))


@cache
def css() -> str:
    return _read("flame.css")


def totals(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each side with what all of it costs; where costs are not known, with its samples."""
    if document["unit"] == SHARE:
        found = [f"{samples:,} samples" for samples in document["samples"]]
    else:
        found = [number(total) for total in document["totals"]]
    return list(zip(document["sides"], found, strict=True))


def unit(document: Mapping[str, Any]) -> str:
    return "shares of samples" if document["unit"] == SHARE else str(document["unit"])


def change(document: Mapping[str, Any]) -> str:
    """The difference of the wholes, in words; empty for one profile, or for shares."""
    whole = document["tree"]
    if len(document["sides"]) < 2 or document["unit"] == SHARE:
        return ""
    if not whole["changed"]:
        return "no difference beyond the noise"
    return f"a difference of {_signed(_difference(whole['cost']), document['unit'])}"


def note(document: Mapping[str, Any]) -> str:
    """What is grey, and what is not drawn."""
    left_out = document["left_out"]
    rare = (
        f"{left_out:,} frame{'s' if left_out > 1 else ''} below 0.05% of each profile"
        f" {'are' if left_out > 1 else 'is'} left out."
        if left_out
        else ""
    )
    return " ".join(filter(None, [document["noise"], rare]))


def functions(document: Mapping[str, Any], most: int = MOST_ROWS) -> Table:
    """
    What each function costs with what it calls, and itself, wherever it was called from.

    In the document's order: by what the function itself costs more or less.
    """
    rows = document["functions"][:most]
    more = len(document["functions"]) - len(rows)
    columns = {"function": [row["name"] for row in rows], "file": [row["file"] for row in rows]}
    for prefix, costs, mark in (("", "cost", "changed"), ("itself: ", "self", "self_changed")):
        columns |= _costs(document, rows, prefix, costs, mark)
    rest = f" {more:,} more functions are not in this table." if more else ""
    legend = LEGEND if len(document["sides"]) > 1 else ""
    return Table(f"{unit(document)}. {legend}{rest}".strip(), columns)


def _costs(
    document: Mapping[str, Any], rows: Sequence[Any], prefix: str, costs: str, mark: str
) -> dict[str, list[str]]:
    """A column a side, and their difference or the share of the whole."""
    kind, names = document["unit"], _apart(document["sides"])
    columns = {
        f"{prefix}{name}": [_written(row[costs][side], kind) for row in rows]
        for side, name in enumerate(names)
    }
    if len(names) > 1:
        columns[f"{prefix}difference"] = [_marked(row[costs], row[mark], kind) for row in rows]
    elif kind != SHARE:
        whole = document["totals"][0]
        columns[f"{prefix}share"] = [percent(row[costs][0] / whole) for row in rows]
    return columns


def _apart(names: Sequence[str]) -> list[str]:
    """Headings, which must differ even where two profiles have one name."""
    if len(set(names)) == len(names):
        return list(names)
    return [f"{name} ({letter})" for name, letter in zip(names, "AB", strict=False)]


def _marked(costs: Sequence[float], changed: bool, kind: str) -> str:
    difference = _difference(costs)
    sign = f"{MORE if difference > 0 else LESS} " if changed else ""
    return f"{sign}{_signed(difference, kind)}"


def _difference(costs: Sequence[float]) -> float:
    return costs[1] - costs[0]


def _signed(value: float, kind: str) -> str:
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return f"{sign}{_written(abs(value), kind)}"


def _written(value: float, kind: str) -> str:
    return percent(value) if kind == SHARE else number(value)


def _json(document: Mapping[str, Any]) -> str:
    """Nothing in it can end the element that it stands in."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html")
