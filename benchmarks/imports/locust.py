"""
Locust: the totals of `locust --csv PREFIX`, which has no single requests.

Counts and percentiles are those of PREFIX_stats.csv; how many users there were is in
PREFIX_stats_history.csv, and how requests failed in PREFIX_failures.csv, where they lie beside it.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.imports.found import (
    LONGEST_S,
    MACHINE,
    MOST_CLIENTS,
    TRACES,
    Found,
    Names,
    Options,
    sentences,
)
from benchmarks.imports.source import Source, excerpt
from benchmarks.imports.texts import error_name
from benchmarks.record import clients_level
from loadtests.samples import OUTCOMES

STATS, HISTORY, FAILURES = "_stats.csv", "_stats_history.csv", "_failures.csv"
TOTAL = "Aggregated"
MOST = 1e12  # larger numbers are damage
REMEDY = "export it again with --csv"
ROUNDED = (
    "Locust keeps times rounded to 1 ms below 100 ms, to 10 ms below 1 s, to 100 ms below 10 s and"
    " to 1 s above, and takes its percentiles from those"
)
CANNOT_KNOW = (
    "the time of any single request: the CSV has totals, so there is no interval inside a repeat,"
    " no distribution, and no warm-up that could be cut off",
    "when each request was due: times count from when it was sent, so waiting inside the generator"
    " is missing (coordinated omission)",
    "how fast good answers alone were: Locust's percentiles include requests that failed",
    "when it ran, and whether all users were there from the start",
    TRACES,
    MACHINE,
)
_ANSWERED = re.compile(r"code=\d{3}|\b[1-5]\d\d (Client|Server) Error|CatchResponseError")
Row = dict[str, str]


def read(source: Source, _options: Options) -> Found:
    """The totals of a run; for a history, those that lie beside it."""
    stats = _stats_of(source)
    row, names = _total(stats)
    failed, failures = _failed(stats, int(_number(stats, row, "Failure Count")))
    issued, rate = int(_number(stats, row, "Request Count")), _number(stats, row, "Requests/s")
    ok = issued - failed.total()
    if not issued or not issued / LONGEST_S < rate or ok < 0:
        found = f"{issued} requests, {failed.total()} failed, {rate:g} a second"
        raise stats.wrong(found, "a run with requests", "measure again")
    users, history = _most_users(stats)
    percentiles_ms = dict(_percentiles_ms(stats, row))
    about = (names.pooled, _kinds(failed, failures), _too_small(percentiles_ms))
    return Found(
        tool="locust",
        level=clients_level(users) if users else None,
        cannot_know=sentences(CANNOT_KNOW, about),
        reported={
            "percentiles_ms": {q: ms for q, ms in percentiles_ms.items() if ms},
            "counts": {name: ok if name == "ok" else failed[name] for name in OUTCOMES},
            "throughput_rps": ok / issued * rate,
            "window_s": issued / rate,
            "rounded": ROUNDED,
        },
        besides=tuple(p for p in (stats.path, history, failures) if p and p != source.path),
    )


def _stats_of(source: Source) -> Source:
    """PREFIX_stats.csv, whichever of the two was given."""
    if source.head(16) != b"Timestamp,User C":
        return source
    beside = _beside(source.path, HISTORY, STATS)
    if beside is None:
        raise source.wrong(
            "a history, in which percentiles are those of the last 10 s",
            f"the totals of the run, PREFIX{STATS}, beside it",
            "give that file",
        )
    return Source(beside)


def _beside(path: Path, ending: str, other: str) -> Path | None:
    """Another file of the same run, if it is there."""
    if not path.name.endswith(ending):
        return None
    beside = path.with_name(path.name.removesuffix(ending) + other)
    return beside if beside.is_file() else None


def _rows(source: Source) -> Iterator[Row]:
    lines = source.whole_lines()
    _, header = next(lines, (0, ""))
    names = header.split(",")
    reader = csv.reader((text for _, text in lines), strict=True)
    try:
        for row in reader:
            if len(row) != len(names):
                raise ValueError(f"{len(row)} columns")
            yield dict(zip(names, row, strict=True))
    except (ValueError, csv.Error) as error:
        found = f"no row of Locust's ({excerpt(error)})"
        raise source.wrong(found, f"{len(names)} columns", REMEDY, reader.line_num + 1) from None


def _total(source: Source) -> tuple[Row, Names]:
    """The row of all requests together, and the names of the others."""
    names = Names()
    for row in _rows(source):
        if row.get("Name") == TOTAL and not row.get("Type"):
            return row, names
        names.add((row.get("Type"), row.get("Name")))
    raise source.wrong(f"no row {TOTAL}", "a whole file of Locust's totals", REMEDY)


def _number(source: Source, row: Row, name: str) -> float:
    try:
        value = float(row[name])
        if not 0 <= value <= MOST:
            raise ValueError(value)
    except (KeyError, ValueError):
        found = f"{name} is {excerpt(row.get(name, 'not there'))}"
        raise source.wrong(found, "a number, 0 or more", REMEDY) from None
    return value


def _percentiles_ms(source: Source, row: Row) -> Iterator[tuple[str, float]]:
    """`99.9%` becomes `99.9`; 100 % is a maximum and no percentile."""
    for name in row:
        if re.fullmatch(r"\d{1,2}(\.\d{1,4})?%", name, re.ASCII) and float(name[:-1]) > 0:
            yield f"{float(name[:-1]):g}", _number(source, row, name)


def _most_users(stats: Source) -> tuple[int, Path | None]:
    """How many users there were at most, if the history is there."""
    history = _beside(stats.path, STATS, HISTORY)
    if history is None:
        return 0, None
    source = Source(history)
    users = max((int(_number(source, row, "User Count")) for row in _rows(source)), default=0)
    if users > MOST_CLIENTS:
        raise source.wrong(f"{users} users", f"at most {MOST_CLIENTS:,}", REMEDY)
    return users, history


def _failed(stats: Source, failures: int) -> tuple["Counter[str]", Path | None]:
    """Failures by outcome; without a list that adds up to them, as errors of HTTP."""
    path = _beside(stats.path, STATS, FAILURES)
    counted: Counter[str] = Counter()
    if path is not None:
        source = Source(path)
        for row in _rows(source):
            counted[_outcome(row.get("Error", ""))] += int(_number(source, row, "Occurrences"))
    if counted.total() == failures:
        return counted, path
    return Counter({"http_error": failures}), None


def _outcome(error: str) -> str:
    """An error that a user's own check raised had an answer, too."""
    name = error_name(error)
    if _ANSWERED.search(error) or name == "protocol":
        return "http_error"
    return "timeout" if name == "timeout" else "transport_error"


def _kinds(failed: "Counter[str]", listed: Path | None) -> str:
    if listed or not failed.total():
        return ""
    return (
        f"how {failed.total()} requests failed: they count as errors of HTTP, though time-outs and"
        " lost connections may be among them"
    )


def _too_small(percentiles_ms: dict[str, float]) -> str:
    zero = [f"P{q}" for q, ms in percentiles_ms.items() if not ms]
    return f"{', '.join(zero)}: under half a millisecond, which Locust keeps as 0" if zero else ""
