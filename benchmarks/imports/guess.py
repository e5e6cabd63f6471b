"""
Which format a file has, by its content: names end in whatever their owner likes.
"""

import re
from collections.abc import Callable
from typing import Any

import orjson

from benchmarks.imports import hdr, hey, k6, locust, vegeta, wrk
from benchmarks.imports.found import Found, Options
from benchmarks.imports.source import EXPECTED, Source, excerpt

HEAD_BYTES = 1 << 16
KNOWN = (
    "JSON lines of k6, vegeta's JSON or CSV, hey's CSV, a Locust *_stats.csv, an HdrHistogram log,"
    " or what wrk2 -L prints"
)

Reader = Callable[[Source, Options], Found]

READERS: tuple[tuple[bytes, Reader], ...] = (
    (re.escape(hey.HEADER.encode()), hey.read),
    (rb"Type,Name,Request Count,", locust.read),
    (rb"Timestamp,User Count,Type,Name,", locust.read),
    (rb"\d{18,19},\d+,\d+,\d+,\d+,", vegeta.read_csv),
    (rb"(?s)(#[^\n]*\n)*\s*\"StartTimestamp\"", hdr.read),
    (rb"(#[^\n]*\n)*(Tag=[^,\n]*,)?[\d.]+,[\d.]+,[\d.]+,HIST", hdr.read),
    (rb"(?s).{0,4096}?Running \S+ test @ ", wrk.read),
)
REFUSED = (
    (rb"(?s).{0,64}\x06Result\x01", "vegeta's own binary form (gob)",
     "convert it: vegeta encode -to json {path} > results.json"),
    (rb"PAR1", "a Parquet file", "a record of windtunnel's own is compared as it is"),
    (rb"\xff\xfe|\xfe\xff", "UTF-16, as PowerShell writes it", "save it as UTF-8"),
    (rb"(?s)\s*\{.*\"root_group\"", "k6's summary, which has no requests",
     "run k6 with --out json=FILE"),
    (rb"Method,Name,Error,|Count,Message,Traceback", "a list of Locust's errors",
     "give its *_stats.csv"),
    (rb"\s*Value\s+Percentile\s+TotalCount", "percentiles without a duration or counts",
     "give all that wrk2 printed"),
)  # fmt: skip


def reader(source: Source) -> Reader:
    """Who reads this file."""
    head = source.head(HEAD_BYTES)
    if not head.strip():
        raise source.wrong("empty", EXPECTED, "export them again")
    for pattern, read in READERS:
        if re.match(pattern, head):
            return read
    for pattern, found, remedy in REFUSED:
        if re.match(pattern, head):
            raise source.wrong(found, KNOWN, remedy.format(path=source.path))
    if head.lstrip().startswith(b"{") and (read_lines := _of_json(source)):
        return read_lines
    raise source.wrong(f"begins with {excerpt(head)}", KNOWN, "export it in one of these forms")


def _of_json(source: Source) -> Reader | None:
    """By the keys of the first line, which may be longer than the head."""
    _, line = next(source.lines())
    try:
        entry: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    keys = entry.keys() if isinstance(entry, dict) else set()
    if {"metric", "type", "data"} <= keys:
        return k6.read
    return vegeta.read_json if {"timestamp", "latency", "code"} <= keys else None
