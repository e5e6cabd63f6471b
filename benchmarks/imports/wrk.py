"""
wrk2 and wrk: what `wrk -L` (`wrk --latency`) prints at its end.

wrk2 prints about a hundred points of its histogram. Between them lie many requests, so they are
kept as the percentiles they are, and no requests are made of them.
"""

import re
from collections.abc import Iterator

from benchmarks.imports.found import MACHINE, TRACES, Found, Options, sentences
from benchmarks.imports.source import Source, excerpt
from benchmarks.record import clients_level

UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3}
UNITS_S = {unit: ms / 1e3 for unit, ms in UNITS_MS.items()}
MOST_LINES = 10_000
# Those that people ask for; wrk2's spectrum has many between them.
SPECTRUM = ("50", "75", "90", "95")
_COUNT, _DECIMAL, _UNIT = r"(\d{1,15})", r"(\d{1,9}(?:\.\d{1,9})?)", "(us|ms|s|m|h)"
_CONNECTIONS = re.compile(r"\s+\d+ threads? and (\d{1,6}) connections?", re.ASCII)
_PERCENTILE = re.compile(rf"\s*(\d{{1,3}}(?:\.\d{{1,3}})?)%\s+{_DECIMAL}{_UNIT}\s*", re.ASCII)
_POINT = re.compile(rf"\s*{_DECIMAL}\s+(0\.\d{{1,9}})\s+\d+\s+[\d.]+\s*", re.ASCII)
_REQUESTS = re.compile(rf"\s*{_COUNT} requests in {_DECIMAL}{_UNIT}, .*", re.ASCII)
_SOCKET = re.compile(
    rf"\s*Socket errors: connect {_COUNT}, read {_COUNT}, write {_COUNT}, timeout {_COUNT}\s*",
    re.ASCII,
)
_STATUS = re.compile(rf"\s*Non-2xx or 3xx responses: {_COUNT}\s*", re.ASCII)

TOTALS = (
    "the time of any single request: there are only percentiles, so there is no interval inside a"
    " repeat, no distribution, and no warm-up that could be cut off"
)
FAILED = (
    "how fast good answers alone were: the percentiles include answers that are errors of HTTP, and"
    " answers of 3xx count as good"
)
WRK2 = (
    "how many requests timed out: wrk2 counts a connection that waits too long again each time it"
    " looks",
    "how many requests the percentiles are of: wrk2 leaves the first 10 s out of them, but not out"
    " of the counts and the rate",
)
WRK = (
    "when each request was due: times count from when it was sent, so waiting inside the generator"
    " is missing (coordinated omission)",
)
ROUNDED = {
    "wrk2": "wrk2 prints the 99th percentile and those above with two decimals of their unit, those"
    " below with three of a millisecond; its histogram has three significant digits",
    "wrk": "wrk prints percentiles with two decimals of their unit",
}


def read(source: Source, _options: Options) -> Found:
    """Percentiles and counts; of wrk2 those that take delayed starts into account."""
    lines = [text for _, text in _limited(source)]
    corrected = any("HdrHistogram - Recorded" in text for text in lines)
    tool = "wrk2" if corrected else "wrk"
    requests, value, unit = _first(source, lines, _REQUESTS, "N requests in T")
    window_s = float(value) * UNITS_S[unit]
    (connections,) = _first(source, lines, _CONNECTIONS, "N threads and N connections")
    counts = _counts(source, lines, int(requests), in_answers=not corrected)
    percentiles_ms = _percentiles_ms(lines)
    if not percentiles_ms or not window_s:
        expected = "percentiles, of more than 0 s"
        raise source.wrong("no latency distribution", expected, "run it again with --latency")
    return Found(
        tool=tool,
        # What rate wrk2 was asked for it does not print; with wrk each connection waits.
        level=None if corrected else clients_level(int(connections)),
        cannot_know=sentences(TOTALS, WRK2 if corrected else WRK, FAILED, TRACES, MACHINE),
        reported={
            "percentiles_ms": percentiles_ms,
            "counts": counts,
            "throughput_rps": counts["ok"] / window_s,
            "window_s": window_s,
            "rounded": ROUNDED[tool],
        },
    )


def _limited(source: Source) -> Iterator[tuple[int, str]]:
    for line, text in source.whole_lines():
        if line > MOST_LINES:
            expected = "what wrk printed in one run"
            raise source.wrong(f"over {MOST_LINES} lines", expected, "cut the file")
        yield line, text


def _first(
    source: Source, lines: list[str], pattern: re.Pattern[str], expected: str
) -> tuple[str, ...]:
    """What a line has in the places that matter; the line of a second run is refused."""
    found = [match.groups() for text in lines if (match := pattern.fullmatch(text))]
    if len(found) != 1:
        times = "no line" if not found else f"{len(found)} lines"
        remedy = "give all that wrk printed, of one run"
        raise source.wrong(f"{times} like {excerpt(expected)}", "one", remedy)
    return found[0]


def _counts(source: Source, lines: list[str], answered: int, *, in_answers: bool) -> dict[str, int]:
    """wrk takes an answer that was late for a time-out; with wrk2 time-outs are none of them."""
    socket = next((m for text in lines if (m := _SOCKET.fullmatch(text))), None)
    connect, read, write, late = map(int, socket.groups()) if socket else (0, 0, 0, 0)
    status = next((int(m[1]) for text in lines if (m := _STATUS.fullmatch(text))), 0)
    ok = answered - status - (late if in_answers else 0)
    if ok < 0:
        found = f"{answered} requests, {status} errors of HTTP and {late} time-outs"
        raise source.wrong(found, "no more errors than requests", "give all that wrk printed")
    return {
        "ok": ok,
        "http_error": status,
        "transport_error": connect + read + write,
        "timeout": late,
        "censored": 0,
    }


def _percentiles_ms(lines: list[str]) -> dict[str, float]:
    """The first distribution: wrk2 -U prints another, which leaves delayed starts out."""
    found: dict[str, float] = {}
    points: dict[str, float] = {}
    for text in lines:
        if text.lstrip().startswith("#[Mean") and points:
            break
        if (match := _PERCENTILE.fullmatch(text)) and 0 < float(match[1]) < 100:
            found[f"{float(match[1]):g}"] = float(match[2]) * UNITS_MS[match[3]]
        elif match := _POINT.fullmatch(text):
            points[f"{100 * float(match[2]):g}"] = float(match[1])
    found |= {q: points[q] for q in SPECTRUM if q in points}
    return {q: ms for q, ms in sorted(found.items(), key=lambda pair: float(pair[0])) if ms > 0}
