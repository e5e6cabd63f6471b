"""
k6: the JSON lines of `k6 run --out json=FILE`, a point of each metric a line.

A request is a point of http_req_duration, written when it ended. Its value (ms) is sending, waiting
and receiving: opening a connection is not in it. Its tags hold status and error_code, whose numbers
are those of https://grafana.com/docs/k6/latest/javascript-api/error-codes/.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from benchmarks.imports.found import (
    MACHINE,
    SENT,
    TRACES,
    Found,
    Names,
    Options,
    Requests,
    clients_told,
    nanoseconds,
    redirects,
    sentences,
)
from benchmarks.imports.source import Source, excerpt
from benchmarks.imports.texts import unix_ns
from benchmarks.record import clients_level

# k6 looks at `vus` once a second, also while it ends; `vus_max` is how many there were at all.
DURATION, CLIENTS, MOST_CLIENTS = "http_req_duration", "vus", "vus_max"
NOT_LOAD = ("::setup", "::teardown")
REMEDY = "wait until k6 has ended, then export again; or delete the line if it is the last"
UNUSABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
CANNOT_KNOW = (
    SENT,
    "how long it took to open connections: k6's http_req_duration begins after that",
    "whether k6 kept a number of virtual users or a rate, and whether its script paused between"
    " requests",
    "how many bytes each request and answer had",
    TRACES,
    MACHINE,
)


def read(source: Source, _options: Options) -> Found:
    """Every request but those of setup() and teardown(); the level is the most virtual users."""
    requests, clients, names, not_load = Requests(source), set[int](), Names(), 0
    for line, metric, data in _points(source):
        try:
            if metric != DURATION:
                clients.add(clients_told(data["value"]))
            elif data["tags"].get("group", "").startswith(NOT_LOAD):
                not_load += 1
            else:
                _add(requests, line, data)
                names.add(data["tags"].get("name", ""))
        except UNUSABLE as error:
            found = f"a point of {metric} without a usable {excerpt(*error.args[:1])}"
            raise source.wrong(found, "k6's values and default tags", REMEDY, line) from None
    columns, most = requests.columns(), max(clients, default=0)
    about = (_changed(clients), names.pooled, redirects(columns), _left(not_load))
    return Found(
        tool="k6",
        level=clients_level(most) if most else None,
        cannot_know=sentences(CANNOT_KNOW, about),
        requests=columns,
        span_ns=columns.span_ns,
        start_unix_ns=columns.span_ns[0],
    )


def _points(source: Source) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Line, metric and data of the points that are needed; every line has to be one of k6's."""
    for line, text in source.lines():
        try:
            entry = orjson.loads(text)
            metric, kind, data = entry["metric"], entry["type"], entry["data"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            found = f"no point of k6, or one that is cut short ({excerpt(text)})"
            raise source.wrong(found, "a JSON object a line", REMEDY, line) from None
        if kind == "Point" and metric in (DURATION, CLIENTS, MOST_CLIENTS):
            yield line, metric, data


def _add(requests: Requests, line: int, data: dict[str, Any]) -> None:
    tags, took_ns = data["tags"], nanoseconds(data["value"], 1e6)
    status = int(tags["status"])
    error = "" if status else _error(int(tags.get("error_code", 0)), took_ns)
    requests.add(line, unix_ns(data["time"]) - took_ns, took_ns, status, error)


def _error(code: int, took_ns: int) -> str:
    """The nearest of samples.ERRORS; what timed out before it was sent has not waited."""
    if code == 1050:
        return "timeout" if took_ns else "connect"
    if code in (1201, 1220):
        return "reset"
    return "connect" if 1100 <= code < 1200 or 1210 <= code < 1220 else "protocol"


def _changed(clients: set[int]) -> str:
    few, most = min(clients, default=0), max(clients, default=0)
    if few == most:
        return ""
    return (
        f"what a steady load did: at times {few} of {most} virtual users were at work, and the"
        " level counts all of them"
    )


def _left(not_load: int) -> str:
    return f"what setup() and teardown() sent ({not_load} left out)" if not_load else ""
