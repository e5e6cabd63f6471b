"""
vegeta: what `vegeta encode -to json` and `-to csv` write, a result a line.

The timestamp is taken when a worker begins a request; the latency (ns) counts from there to the
last byte. The CSV has no header; `vegeta encode -h` lists its columns.
"""

import csv
from collections.abc import Callable, Iterator

import numpy as np
import orjson

from benchmarks.imports.found import (
    MACHINE,
    NS,
    SENT,
    TRACES,
    Columns,
    Found,
    Names,
    Options,
    Requests,
    redirects,
    sentences,
)
from benchmarks.imports.source import LINE_MOST_BYTES, Source, excerpt
from benchmarks.imports.texts import error_name, unix_ns
from benchmarks.record import rate_level

STEADY, NEAR = 0.05, 0.005
COLUMNS = 12
CANNOT_KNOW = (SENT, TRACES, MACHINE)
REMEDY = "convert it again with `vegeta encode`"

# Line, begun (unix ns), took (ns), status, error, bytes in and out, address.
Result = tuple[int, int, int, int, str, int, int, str]


def read_json(source: Source, _options: Options) -> Found:
    """The JSON lines."""
    return _read(source, _json_results)


def read_csv(source: Source, _options: Options) -> Found:
    """The CSV."""
    return _read(source, _csv_results)


def _read(source: Source, results: Callable[[Source], Iterator[Result]]) -> Found:
    requests, names = Requests(source), Names()
    for line, begun_ns, took_ns, status, error, received, sent, address in results(source):
        # Of an answer that is no success the error is only its status once more.
        name = "" if status else error_name(error)
        requests.add(line, begun_ns, took_ns, status, name, received, sent)
        names.add(address)
    columns = requests.columns()
    level, about = _level(columns)
    return Found(
        tool="vegeta",
        level=level,
        cannot_know=sentences(CANNOT_KNOW, about, names.pooled, redirects(columns)),
        requests=columns,
        span_ns=columns.span_ns,
        start_unix_ns=columns.span_ns[0],
    )


def _json_results(source: Source) -> Iterator[Result]:
    for line, text in source.lines():
        try:
            entry = orjson.loads(text)
            numbers = [entry[k] for k in ("latency", "code", "bytes_in", "bytes_out")]
            took_ns, status, received, sent = (_whole(number) for number in numbers)
            begun_ns, error = unix_ns(entry["timestamp"]), str(entry.get("error") or "")
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            found = f"no result of vegeta, or one that is cut short ({excerpt(text)})"
            raise source.wrong(found, "a JSON object a line", REMEDY, line) from None
        yield line, begun_ns, took_ns, status, error, received, sent, str(entry.get("url", ""))


def _csv_results(source: Source) -> Iterator[Result]:
    csv.field_size_limit(LINE_MOST_BYTES)
    reader = csv.reader((text for _, text in source.whole_lines()), strict=True)
    try:
        for row in reader:
            if len(row) != COLUMNS:
                raise ValueError(f"{len(row)} columns")
            begun_ns, status, took_ns, sent, received = map(int, row[:5])
            yield reader.line_num, begun_ns, took_ns, status, row[5], received, sent, row[10]
    except (ValueError, csv.Error) as error:
        found = f"no result of vegeta ({excerpt(error)})"
        raise source.wrong(
            found, f"{COLUMNS} columns of its CSV", REMEDY, reader.line_num
        ) from None


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(value)
    return value


def _level(columns: Columns) -> tuple[str | None, str]:
    """The rate at which requests began, if it was steady, and what has to be said about it."""
    begun_ns = columns.begun_ns
    n, seconds = len(begun_ns), (int(begun_ns[-1]) - int(begun_ns[0])) / NS
    middle = int(begun_ns[0]) + round(seconds * NS / 2)
    early = int(np.count_nonzero(begun_ns < middle))
    if abs(2 * early - n) > max(2, STEADY * n):
        return None, ""
    rate = _roundest((n - 1) / seconds)
    return rate_level(rate), (
        f"which rate was asked for: {rate:g} a second is what came of it; with -rate=0 the workers"
        " waited for their answers, and the level is none"
    )


def _roundest(rate: float) -> float:
    """The number of fewest digits within 0.5 %: a pacer is late by a little, never by much."""
    for digits in range(1, 6):
        rounded = float(f"{rate:.{digits}g}")
        if abs(rounded / rate - 1) <= NEAR:
            return rounded
    return float(f"{rate:.6g}")
