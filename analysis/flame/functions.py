"""
The functions of a flame document in columns: what each costs with what it calls, and itself.

As texts for a page, and as numbers for a table that people sort.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.flame.graph import SHARE
from analysis.words import number, percent

MOST = 40
MORE, LESS = "▲", "▼"
NAMES = {"function": "name", "file": "file"}
DIFFERENCE, CHANGED, PART = "difference", "changed", "share"
# What the headings begin with, and of a row: its costs, and whether they changed.
PARTS = (("", "cost", "changed"), ("itself: ", "self", "self_changed"))

Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by their headings; the first two are names."""

    caption: str
    columns: Columns

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return list(zip(*self.columns.values(), strict=True))


def texts(document: Mapping[str, Any], most: int = MOST) -> Table:
    """As they are read, in the document's order: by what a function itself costs more or less."""
    return _table(document, most, _texts, f"{MORE} and {LESS}: more and less, beyond the noise.")


def numbers(document: Mapping[str, Any], most: int = MOST) -> Table:
    """The same as numbers in the document's unit; what changed stands in columns of its own."""
    return _table(document, most, _numbers, "Changed is what differs beyond the noise.")


def unit(document: Mapping[str, Any]) -> str:
    return "shares of samples" if document["unit"] == SHARE else str(document["unit"])


def written(value: float, kind: str) -> str:
    """A cost or a share of the document's unit."""
    return percent(value) if kind == SHARE else number(value)


def signed(value: float, kind: str) -> str:
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return f"{sign}{written(abs(value), kind)}"


def difference(costs: Sequence[float]) -> float:
    return costs[1] - costs[0]


def _table(
    document: Mapping[str, Any],
    most: int,
    columns_of: Callable[[Mapping[str, Any], Sequence[Any], str, str], Columns],
    legend: str,
) -> Table:
    rows = document["functions"][:most]
    columns = {name: [row[key] for row in rows] for name, key in NAMES.items()}
    for prefix, costs, mark in PARTS:
        found = columns_of(document, rows, costs, mark)
        columns |= {f"{prefix}{name}": values for name, values in found.items()}
    more = len(document["functions"]) - len(rows)
    rest = f"{more:,} more functions are not in this table." if more else ""
    said = [f"{unit(document)}.", legend if len(document["sides"]) > 1 else "", rest]
    return Table(" ".join(filter(None, said)), columns)


def _texts(document: Mapping[str, Any], rows: Sequence[Any], costs: str, mark: str) -> Columns:
    kind = document["unit"]
    found: Columns = {
        name: [written(value, kind) for value in values]
        for name, values in _sides(document, rows, costs).items()
    }
    if len(document["sides"]) > 1:
        found[DIFFERENCE] = [_marked(row[costs], row[mark], kind) for row in rows]
    elif kind != SHARE:
        found[PART] = [percent(share) for share in _parts(document, rows, costs)]
    return found


def _numbers(document: Mapping[str, Any], rows: Sequence[Any], costs: str, mark: str) -> Columns:
    found: Columns = {**_sides(document, rows, costs)}
    if len(document["sides"]) > 1:
        found[DIFFERENCE] = [difference(row[costs]) for row in rows]
        found[CHANGED] = [_way(row[costs], row[mark]) for row in rows]
    elif document["unit"] != SHARE:
        found[PART] = _parts(document, rows, costs)
    return found


def _sides(document: Mapping[str, Any], rows: Sequence[Any], costs: str) -> dict[str, list[float]]:
    names = _apart(document["sides"])
    return {name: [row[costs][side] for row in rows] for side, name in enumerate(names)}


def _parts(document: Mapping[str, Any], rows: Sequence[Any], costs: str) -> list[float]:
    """Of the whole of one profile."""
    return [row[costs][0] / document["totals"][0] for row in rows]


def _apart(names: Sequence[str]) -> list[str]:
    """Headings, which must differ, whatever two profiles are called."""
    if len({*names, *NAMES, DIFFERENCE, CHANGED, PART}) == len(names) + len(NAMES) + 3:
        return list(names)
    return [f"{name} ({letter})" for name, letter in zip(names, "AB", strict=False)]


def _way(costs: Sequence[float], changed: bool) -> str:
    more = difference(costs) > 0
    return (f"{MORE} more" if more else f"{LESS} less") if changed else ""


def _marked(costs: Sequence[float], changed: bool, kind: str) -> str:
    found = difference(costs)
    sign = f"{MORE if found > 0 else LESS} " if changed else ""
    return f"{sign}{signed(found, kind)}"
