"""
Whether a claims.json holds what its pages are made of: it may come from anywhere, and be damaged.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.claims.asked import ID, VERDICTS
from analysis.claims.rules import FAILS, HOLDS, OPEN, SHOWN

CLAIM_TEXTS = ("id", "title", "section", "quote", "verdict", "cannot", "because")
ROW_TEXTS = (
    "says", "as", "case", "against", "level", "measure", "said", "outcome", "remark", "unit",
    "better",
)  # fmt: skip
OUTCOMES = (HOLDS, FAILS, OPEN, SHOWN)
# Of a number that is one: JSON as Python reads it has NaN, Infinity, and integers of any length.
LARGEST = 1e300


def problem(found: Mapping[str, Any]) -> str:
    """What is wrong with a document; empty if a page can be made of it."""
    for key in ("title", "source", "made"):
        if not isinstance(found.get(key), str):
            return f"{key!r} is no text"
    for key in ("claims", "exhibits", "sources"):
        value = found.get(key)
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            return f"{key!r} is no list of tables"
    for claim in found["claims"]:
        known = _has(claim, CLAIM_TEXTS) and ID.fullmatch(claim["id"])
        if not known or claim["verdict"] not in VERDICTS:
            return f"claim {str(claim.get('id'))[:40]!r} lacks a text, or has an unknown verdict"
    if not all(map(_is_source, found["sources"])):
        return "a source lacks its kind, name, question, run or number of blocks"
    rows = [claim.get("evidence") for claim in found["claims"]]
    rows += [exhibit.get("rows") for exhibit in found["exhibits"]]
    if not all(isinstance(each, list) and all(map(_is_row, each)) for each in rows):
        return "a row of evidence lacks something"
    whole = all(_has(exhibit, ("title", "says")) for exhibit in found["exhibits"])
    return "" if whole else "an exhibit lacks a text"


def _has(table: Mapping[str, Any], texts: Sequence[str]) -> bool:
    return all(isinstance(table.get(key), str) for key in texts)


def _is_source(source: Mapping[str, Any]) -> bool:
    facts = [source.get(key) for key in ("machine", "commit")]
    doubts = source.get("doubts")
    return (
        _has(source, ("kind", "name", "question", "run"))
        and type(source.get("blocks")) is int
        and all(fact is None or isinstance(fact, dict) for fact in facts)
        and _is_number((facts[0] or {}).get("memory_bytes", 0), none=True)
        and isinstance(doubts, list)
        and all(isinstance(doubt, str) for doubt in doubts)
    )


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not _has(row, ROW_TEXTS) or row["outcome"] not in OUTCOMES:
        return False
    doubts, check = row.get("doubts"), row.get("check")
    return (
        isinstance(row.get("campaign", ""), str)
        and all(_is_pair(row.get(key)) for key in ("interval", "counted"))
        and _is_pair(row.get("claimed"), open_ends=True)
        and all(
            _is_number(row.get(key), none=True)
            for key in ("point", "noise_floor", "before", "after")
        )
        and isinstance(doubts, list)
        and all(map(_is_number, doubts))
        and (check is None or (isinstance(check, dict) and _has(check, ("expected", "found"))))
    )


def _is_pair(value: Any, *, open_ends: bool = False) -> bool:
    """None, or two numbers; of a claimed range either may be missing."""
    if value is None:
        return True
    if not isinstance(value, list) or len(value) != 2:
        return False
    return all(_is_number(number, none=open_ends) for number in value)


def _is_number(value: Any, *, none: bool = False) -> bool:
    return (none and value is None) or (type(value) in (int, float) and -LARGEST < value < LARGEST)
