"""
Claims as people read them: what was claimed, what was measured, and why the verdict is what it is.

Everything is made from the rows of the outcome document, so that no page knows more than its file.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from analysis.claims.rules import FAILS, HOLDS, OPEN, RATIOS, SHOWN
from analysis.words import MISSING, enumeration, number

Row = Mapping[str, Any]
UNITS = {"cpu_ms": "ms of CPU", "mb": "MB", "cpu_us": "us of CPU"}
WIDE, TOO_WIDE = "wide", 20.0
MOST_NAMED = 2  # of the rows in a sentence


def unit(row: Row) -> str:
    """The unit as a person writes it."""
    return UNITS.get(row["unit"], str(row["unit"]))


def claimed(row: Row) -> str:
    """`2x to 3x`, `15 to 25 % less`, `2 to 5 ms less`: in the guide's own numbers, if given."""
    if row["said"]:
        return str(row["said"])
    if row["as"] == "check":
        return "so" if not row.get("check") else str(row["check"]["expected"])
    if row["claimed"] is None:
        return MISSING
    low, high = (_edge(row["claimed"][0], -inf), _edge(row["claimed"][1], inf))
    if row["as"] == "times":
        return "faster" if low == 1 else _range(low, high, "x")
    if row["as"] == "change":
        return _change_range(low, high)
    after = f" {unit(row)}" if row["unit"] else ""
    return _range(low, high, after) + (" less" if row["as"] == "saved" else "")


def _edge(value: float | None, missing: float) -> float:
    return missing if value is None else float(value)


def _range(low: float, high: float, after: str) -> str:
    if high == inf:
        return f"at least {low:g}{after}"
    if low == -inf:
        return f"at most {high:g}{after}"
    return f"{low:g}{after}" if low == high else f"{low:g} to {high:g}{after}"


def _change_range(low: float, high: float) -> str:
    """Shares as percentages, less or more."""
    if low >= 0 and high < inf:
        return f"{100 * low:.3g} to {100 * high:.3g} % more"
    if high <= 0 and low > -1:
        return f"{-100 * high:.3g} to {-100 * low:.3g} % less"
    if high < inf:
        return "less" if high == 0 else f"at most {100 * high:.3g} % more"
    return "more" if low == 0 else f"at most {-100 * low:.3g} % less"


def point(row: Row) -> str:
    """`5.13x`, `-12.3 %`, `2.10 ms`: what was measured, without its interval."""
    if row["counted"] is not None:
        return f"{row['counted'][0]:,} of {row['counted'][1]:,}"
    if row.get("check"):
        return str(row["check"]["found"])
    if row["point"] is None:
        return MISSING
    value, after = _amounts(row, row["point"])
    return f"{value[0]}{after}"


def measured(row: Row) -> str:
    """The same with its interval."""
    if row["interval"] is None or row["point"] is None:
        return point(row)
    if _wide(row):
        return f"{point(row)} [{WIDE}]"
    (value, low, high), after = _amounts(row, row["point"], *row["interval"])
    return f"{value}{after} [{low}, {high}]"


def _wide(row: Row) -> bool:
    """So little is known of it that the ends of its interval say nothing."""
    low, high = row["interval"]
    if row["as"] == "change":
        low, high = 1 + low, 1 + high
    return bool(row["as"] != "saved" and low >= 0 and high > TOO_WIDE * low)


def _amounts(row: Row, *values: float) -> tuple[list[str], str]:
    """Numbers and what stands after the first of them."""
    if row["as"] == "times":
        return [number(value) for value in values], "x"
    if row["as"] == "change":
        return [_percent(value) for value in values], " %"
    scale, said = _scaled(row, values)
    return [number(value * scale) for value in values], f" {said}"


def _scaled(row: Row, values: Sequence[float]) -> tuple[float, str]:
    """Milliseconds below 1 read better as microseconds."""
    said = unit(row)
    small = said.startswith("ms") and max(map(abs, values)) < 1
    return (1e3, f"us{said[2:]}") if small else (1.0, said)


def _percent(share: float) -> str:
    """Signed; one decimal where a whole percent would hide the difference."""
    if abs(share) >= 0.0995:
        return f"{100 * share:+.0f}"
    return f"{round(100 * share, 1) + 0.0:+.1f}"  # adding 0 makes 0 of a -0


def from_to(row: Row) -> str:
    """`640 → 36.2 us of CPU`: the two sides that a ratio hides."""
    if row["before"] is None or row["after"] is None:
        return ""
    scale, said = _scaled(row, (row["before"], row["after"]))
    return f"{number(row['before'] * scale)} → {number(row['after'] * scale)} {said}"


def floor(row: Row) -> str:
    """By how much two copies of one service differ there."""
    if row["noise_floor"] is None:
        return MISSING
    if row["as"] in RATIOS:
        return f"±{_percent(row['noise_floor']).lstrip('+')} %"
    return f"±{number(row['noise_floor'])} {unit(row)}"


def overall(claim: Mapping[str, Any]) -> str:
    """What was measured, in one cell: the range over the rows that are like the first."""
    rows = [row for row in claim["evidence"] if row["outcome"] != SHOWN] or claim["evidence"]
    known = [row for row in rows if row["point"] is not None and row["counted"] is None]
    checks = [row for row in rows if row["as"] == "check"]
    if len(checks) > 1 and len(checks) == len(rows):
        return f"{sum(row['outcome'] == HOLDS for row in checks)} of {len(checks)}"
    if not known:
        return point(rows[0]) if rows else MISSING
    first = known[0]
    alike = [r for r in known if (r["as"], r["unit"]) == (first["as"], first["unit"])]
    points = sorted(alike, key=lambda row: row["point"])
    ends = [point(points[0]), point(points[-1])]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def summary_claimed(claim: Mapping[str, Any]) -> str:
    """What was claimed, in one cell: of the first row that has it."""
    known = [told for row in claim["evidence"] if (told := claimed(row)) != MISSING]
    return known[0] if known else MISSING


def why(claim: Mapping[str, Any]) -> str:
    """The sentence that the verdict follows from: the rows by outcome and remark."""
    if claim["cannot"]:
        return str(claim["cannot"])
    parts = []
    for outcome in (HOLDS, FAILS, OPEN):
        rows = [row for row in claim["evidence"] if row["outcome"] == outcome]
        for remark in dict.fromkeys(row["remark"] for row in rows):
            parts.append(_told(remark, [row for row in rows if row["remark"] == remark]))
    joined = "; ".join(parts)
    return f"{joined[:1].upper()}{joined[1:]}." if joined else "Nothing of it was measured."


def _told(remark: str, rows: Sequence[Row]) -> str:
    """`as claimed: resize of 2 MP (5.1x [4.6, 5.7]) and 2 more`."""
    named = [
        str(row["says"]) if measured(row) == MISSING else f"{row['says']} ({measured(row)})"
        for row in rows[:MOST_NAMED]
    ]
    rest = len(rows) - len(named)
    return f"{remark}: {enumeration([*named, *([f'{rest} more'] if rest else [])])}"


def counts(outcome: Mapping[str, Any]) -> dict[str, int]:
    """How many claims have each verdict."""
    return Counter(claim["verdict"] for claim in outcome["claims"])
