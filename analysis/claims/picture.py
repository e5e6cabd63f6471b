"""
A row of a claim as one line of text: what was claimed, and what was measured.
"""

from collections.abc import Mapping, Sequence
from math import inf, isfinite, log, log1p
from typing import Any

from analysis.claims.rules import RATIOS

WIDTH = 31  # odd, so that no difference has a column
EMPTY, CLAIMED, NEUTRAL, INTERVAL, POINT = "·", "░", "│", "─", "●"
BEYOND = ("◀", "▶")
LEGEND = (
    f"{CLAIMED} what is claimed, {POINT} what was measured, {INTERVAL} its interval,"
    f" {NEUTRAL} no difference; each claim has its own scale, of ratios, and to the right is better"
)


def pictures(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One a row, on one scale; empty for what is no ratio or was not measured."""
    known = [row for row in rows if _drawn(row)]
    marks = [_place(row, value) for row in known for value in _ends(row)]
    reach = max((abs(mark) for mark in marks if isfinite(mark)), default=0.0) * 1.05
    return [_picture(row, max(reach, log(1.1))) if _drawn(row) else "" for row in rows]


def _drawn(row: Mapping[str, Any]) -> bool:
    return row["as"] in RATIOS and row["point"] is not None and row["interval"] is not None


def _ends(row: Mapping[str, Any]) -> list[float]:
    """What has to be in the picture: intervals may leave it."""
    return [row["point"], *(edge for edge in row["claimed"] or () if edge is not None)]


def _place(row: Mapping[str, Any], value: float) -> float:
    """A logarithm; changes that are to be less are turned round, so that right is better."""
    if row["as"] == "times":
        return log(value) if value > 0 else -inf
    place = log1p(value) if value > -1 else -inf
    return -place if row["better"] == "less" else place


def _claimed(row: Mapping[str, Any]) -> tuple[float, float]:
    """From the worse edge to the better one."""
    low, high = row["claimed"]
    worse, better = (high, low) if row["better"] == "less" else (low, high)
    return (
        -inf if worse is None else _place(row, worse),
        inf if better is None else _place(row, better),
    )


def _picture(row: Mapping[str, Any], reach: float) -> str:
    half = WIDTH // 2

    def column(value: float) -> int:
        return half + round(max(-half - 1.0, min(half + 1.0, value / reach * half)))

    def columns(one: float, other: float) -> range:
        low, high = sorted((one, other))
        return range(max(0, column(low)), min(WIDTH - 1, column(high)) + 1)

    line = [EMPTY] * WIDTH
    if row["claimed"]:
        for place in columns(*_claimed(row)):
            line[place] = CLAIMED
    line[half] = NEUTRAL
    low, high = sorted(_place(row, value) for value in row["interval"])
    for place in columns(low, high):
        line[place] = INTERVAL
    for place in columns(point := _place(row, row["point"]), point):
        line[place] = POINT
    line[0] = BEYOND[0] if column(low) < 0 else line[0]
    line[-1] = BEYOND[1] if column(high) >= WIDTH else line[-1]
    return "".join(line)
