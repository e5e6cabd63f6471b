"""
Whether run.json and cell.json hold what a run writes, down to the elements of their lists.

A file that was edited by hand, or damaged, is refused with a sentence that names the key; otherwise
the first module that trusts it would end with a traceback.
"""

import reprlib
import sys
from collections.abc import Callable
from typing import Any

from loadtests.samples import OUTCOMES

MOST_CLIENTS = 10**9
STATUSES = ("running", "interrupted", "complete")

Check = Callable[[Any], bool]


def problem(run: dict[str, Any]) -> str | None:
    """The first thing that is wrong: what was found and what was expected."""
    campaign = run.get("campaign")
    if not isinstance(campaign, dict):
        return _said("campaign", campaign, "a table")
    for table, needed, optional in (
        (run, _RUN, _RUN_OPTIONAL),
        (campaign, _CAMPAIGN, _CAMPAIGN_OPTIONAL),
    ):
        for key, (check, expected) in (needed | optional).items():
            value = table.get(key)
            if not check(value) and (key in needed or value is not None):
                return _said(key, value, expected)
    strange = next((visit for visit in run["order"] if not _is_visit(visit)), None)
    return None if strange is None else _said("order", strange, "[variant, level, repeat]")


def cell_problem(cell: dict[str, Any]) -> str | None:
    """The same of a cell.json, of which the analysis reads three tables."""
    for key in ("generator", "machine", "service"):
        if not isinstance(cell.get(key), dict) and (key != "service" or cell.get(key) is not None):
            return _said(key, cell.get(key), "a table")
    instrument = cell["generator"].get("instrument")
    if not isinstance(instrument, dict):
        return _said("generator.instrument", instrument, "a table")
    # Since the generator judges itself: whether it was the limit, and if so, why.
    if not isinstance(instrument.get("valid", True), bool):
        return _said("generator.instrument.valid", instrument["valid"], "true or false")
    if not _list_of(_is_text)(reasons := instrument.get("reasons", [])):
        return _said("generator.instrument.reasons", reasons, "a list of sentences")
    numbers = {key: instrument[key] for key in instrument.keys() - {"valid", "reasons"}}
    for key, table in (("generator.instrument", numbers), ("machine", cell["machine"])):
        if not _table_of(lambda value: value is None or _is_number(value))(table):
            return _said(key, table, "a table of numbers")
    return None if cell.get("reported") is None else _reported_problem(cell["reported"])


def _reported_problem(reported: Any) -> str | None:
    """The same of what another program reported in the place of samples."""
    if not isinstance(reported, dict):
        return _said("reported", reported, "a table")
    for key, (check, expected) in _REPORTED.items():
        if not check(reported.get(key)):
            return _said(f"reported.{key}", reported.get(key), expected)
    return None


def profile_problem(facts: dict[str, Any]) -> str | None:
    """The same of the facts of a profile."""
    for key, (check, expected) in (_PROFILED | _PROFILED_OPTIONAL).items():
        value = facts.get(key)
        if not check(value) and (key in _PROFILED or value is not None):
            return _said(key, value, expected)
    return None


def _said(key: str, value: object, expected: str) -> str:
    return f"{key!r} holds {reprlib.repr(value)}; expected {expected}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    # An integer of JSON may have more digits than a float can hold.
    return type(value) in (int, float) and 0 <= value <= sys.float_info.max


def _is_rate(value: Any) -> bool:
    return _is_number(value) and value > 0


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(check(each) for each in value)


def _table_of(check: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(check(each) for each in value.values())


def _is_variant(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("settings", {}), dict)


def _are_percentiles(value: Any) -> bool:
    try:
        return _table_of(_is_rate)(value) and all(0 < float(q) < 100 for q in value)
    except ValueError:
        return False


def _are_counts(value: Any) -> bool:
    """One whole number for each outcome of a request."""
    return _table_of(_is_whole)(value) and set(value) == set(OUTCOMES)


def _is_machine(value: Any) -> bool:
    numbers = (value.get(key) for key in ("cores", "memory_bytes")) if _is_table(value) else (-1,)
    return all(number is None or _is_number(number) for number in numbers)


def _is_load(value: Any) -> bool:
    return _is_count(value) and value <= MOST_CLIENTS


def _is_folder(value: Any) -> bool:
    """A name that leads nowhere but into the folder that it is joined to."""
    return _is_text(value) and value not in ("", ".", "..") and not set(value) & set("/\\\0")


def _are_switches(value: Any) -> bool:
    return _table_of(lambda each: isinstance(each, bool))(value)


def _is_profile(value: Any) -> bool:
    """A campaign's [profile], of which a run reads the levels again when it goes on."""
    return _is_table(value) and (
        _list_of(_is_load)(value.get("clients", [])) and _list_of(_is_rate)(value.get("rates", []))
    )


def _is_commit(value: Any) -> bool:
    return _is_table(value) and isinstance(value.get("sha"), str | None)


def _is_pinning(value: Any) -> bool:
    sides = [value.get(key) for key in ("service", "generator")] if _is_table(value) else [0]
    return all(side is None or isinstance(side, list) for side in sides)


def _is_visit(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    return _is_text(value[0]) and _is_text(value[1]) and _is_count(value[2])


_TEXT = (_is_text, "a text")
_TABLE = (_is_table, "a table")
_NUMBER = (_is_number, "a number")
_COUNT = (_is_count, "a whole number")
_WHOLE = (_is_whole, "a whole number")

_Rules = dict[str, tuple[Check, str]]
_PROFILED: _Rules = {
    "program": _TEXT,
    "rate_hz": (_is_rate, "more than 0"),
    "duration_s": (_is_rate, "more than 0"),
    "options": (_are_switches, "a table of true and false"),
    "samples": _WHOLE,
    "errors": _WHOLE,
}
_PROFILED_OPTIONAL: _Rules = {
    **dict.fromkeys(("variant", "level", "started"), _TEXT),
    "answers": _WHOLE,
    "window_s": _NUMBER,
    "cpu_s": _NUMBER,
    "behind_s": _NUMBER,
    "generator": _TABLE,
}
_REPORTED: _Rules = {
    "percentiles_ms": (_are_percentiles, "milliseconds by percentile"),
    "counts": (_are_counts, "whole numbers of " + ", ".join(OUTCOMES)),
    "throughput_rps": _NUMBER,
    "window_s": (_is_rate, "more than 0"),
}
_RUN: _Rules = {
    "run": _TEXT,
    "status": (lambda value: value in STATUSES, "one of " + ", ".join(STATUSES)),
    "order": (lambda value: isinstance(value, list), "a list"),
}
_RUN_OPTIONAL: _Rules = {
    "started": _TEXT,
    "finished": _TEXT,
    "checkout": _TEXT,
    "machine": (_is_machine, "a table whose cores and memory_bytes are numbers"),
    "versions": _TABLE,
    "commit": (_is_commit, "a table with the commit's sha"),
    "pinning": (_is_pinning, "a table of lists of CPUs"),
    "services": _TABLE,
    "imported": (
        lambda value: _is_table(value) and _list_of(_is_text)(value.get("cannot_know") or []),
        "a table whose cannot_know is a list of texts",
    ),
    "left_out": (_table_of(_is_text), "a table of texts"),
    "resumed": (
        _list_of(lambda value: _is_table(value) and _is_commit(value.get("commit") or {})),
        "a list of tables, each with a commit",
    ),
}
_CAMPAIGN: _Rules = {
    "name": _TEXT,
    "variants": (
        lambda value: (
            bool(value) and _table_of(_is_variant)(value) and _list_of(_is_folder)([*value])
        ),
        "a table of at least one variant, whose names are names of folders",
    ),
    "clients": (_list_of(_is_load), "a list of whole numbers"),
    "rates": (_list_of(_is_rate), "a list of numbers"),
    "repeats": _COUNT,
}
_CAMPAIGN_OPTIONAL: _Rules = {
    "aa": (_is_folder, "a name"),
    "margin": (lambda value: _is_rate(value) and value <= 1, "more than 0 and up to 1"),
    **dict.fromkeys(
        ("question", "reference", "model", "track", "body", "images", "generator", "slo"),
        _TEXT,
    ),
    **dict.fromkeys(("duration_s", "warmup_s", "timeout_s", "trace_ratio", "seed"), _NUMBER),
    "min_requests": _COUNT,
    "restart": _TEXT,
    "prometheus": _TABLE,
    "profile": (_is_profile, "a table whose clients or rates are a list of numbers"),
}
