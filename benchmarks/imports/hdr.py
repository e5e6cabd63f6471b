"""
HdrHistogram logs: an interval a line, each with a compressed histogram (V2), as the log writers of
Java, Go, C and Python make them.

    [Tag=T,]StartTimestamp,Interval_Length,Interval_Max,Interval_Compressed_Histogram

A histogram holds how often each time occurred, to so many significant digits, so each count becomes
a request. The format: https://github.com/HdrHistogram/HdrHistogram, class HistogramLogWriter.
"""

import base64
import binascii
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, log10

import numpy as np
from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from benchmarks.imports.found import (
    CODES,
    LONGEST_S,
    MACHINE,
    MOST_REQUESTS,
    NS,
    TRACES,
    Columns,
    Found,
    Options,
    sentences,
)
from benchmarks.imports.source import Source, excerpt

UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000}
# By the power of ten between Interval_Max, by convention in ms, and the largest value.
CONVENTION = {6: "ns", 3: "us", 0: "ms"}
# Five digits over 64 bits are 6 million counts, at most 9 bytes each.
MOST_UNPACKED_BYTES = 64 << 20
HEADER = struct.Struct(">IIIIQQd")
LATEST_S = 9e9  # of Unix time: its nanoseconds have to fit into 64 bits
YEAR_S = 365 * 24 * 3600
_INTERVAL = re.compile(r"(?:Tag=([^,]*),)?([^,]+),([^,]+),([^,]+),([A-Za-z0-9+/=]+)")
_TIME = re.compile(r"#\[(Base|Start)Time: *(\d{1,10}(?:\.\d{1,9})?) ", re.ASCII)
UNREADABLE = (binascii.Error, struct.error, zlib.error, HdrCookieException, HdrLengthException,
              ValueError, IndexError, OverflowError)  # fmt: skip
REMEDY = "write the log again; if its last line is cut short, delete that"


@dataclass(frozen=True, slots=True)
class Interval:
    """A line of the log; times of requests are in the log's unit."""

    line: int
    tag: str
    start_s: float
    length_s: float
    most: float  # Interval_Max
    packed: str


@dataclass(frozen=True, slots=True)
class Counted:
    """What an interval's histogram holds: values, in the log's unit, and how often each."""

    interval: Interval
    values: NDArray[np.int64]
    counts: NDArray[np.int64]
    digits: int


def read(source: Source, options: Options) -> Found:
    """A request for each count of the log, spread over its interval."""
    base_s, intervals = _intervals(source, options.tag)
    counted = [_counted(source, each) for each in intervals]
    total = sum(sum(each.counts.tolist()) for each in counted)  # which may be over 64 bits
    if not 0 < total <= MOST_REQUESTS:
        expected = f"some, and at most {MOST_REQUESTS:,}: each becomes a row"
        raise source.wrong(f"{total:,} requests", expected, "give the log of a shorter run")
    unit = options.unit or _unit(source, counted)
    columns, span_ns = _columns(source, counted, UNITS_NS[unit])
    start_s = base_s + span_ns[0] / NS
    return Found(
        tool="HdrHistogram",
        level=None,
        cannot_know=sentences(_cannot_know(counted, unit, told=bool(options.unit))),
        requests=columns,
        span_ns=span_ns,
        start_unix_ns=round(start_s * NS) if YEAR_S < start_s < LATEST_S else None,
    )


def _cannot_know(counted: list[Counted], unit: str, *, told: bool) -> Iterator[str]:
    digits = min(each.digits for each in counted)
    yield (
        "when each request was due or sent, and in which order: the log has one histogram for each"
        " interval, over which they are spread evenly here"
    )
    yield (
        f"times to better than {digits} significant digits: each is the largest that its count"
        " stands for"
    )
    yield "whether times count from when a request was due, or from when it was sent"
    yield "which requests failed: all that the log counts are taken as answered well"
    if not told:
        yield (
            f"in which unit times are: they are taken as {unit}, because by convention Interval_Max"
            " is in ms"
        )
    yield TRACES
    yield MACHINE


def _intervals(source: Source, tag: str | None) -> tuple[float, list[Interval]]:
    """When the log's clock began (Unix s; 0: not told), and the intervals of one tag."""
    times: dict[str, float] = {}
    intervals = []
    for line, text in source.whole_lines():
        if match := _TIME.match(text):
            times[match[1]] = float(match[2])
        elif not text.startswith(("#", '"StartTimestamp"')):
            intervals.append(_interval(source, line, text))
    chosen = _of_tag(source, intervals, tag)
    if "Base" in times:
        return times["Base"], chosen
    # Without a base, timestamps over a year before the start count from the start.
    start_s = times.get("Start", 0.0)
    relative = chosen[0].start_s < start_s - YEAR_S
    return (start_s if relative else 0.0), chosen


def _interval(source: Source, line: int, text: str) -> Interval:
    match = _INTERVAL.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        start_s, length_s, most = (float(number) for number in match.groups()[1:4])
        if not (0 <= start_s < LATEST_S and 0 <= length_s <= LONGEST_S and isfinite(most)):
            raise ValueError(text)
    except ValueError:
        found = f"no interval of a histogram log ({excerpt(text)})"
        expected = "start, length, maximum, histogram"
        raise source.wrong(found, expected, REMEDY, line) from None
    return Interval(line, match[1] or "", start_s, length_s, most, match[5])


def _of_tag(source: Source, intervals: list[Interval], tag: str | None) -> list[Interval]:
    tags = sorted({each.tag for each in intervals})
    if tag is None and len(tags) > 1:
        names = ", ".join(excerpt(name) if name else "one without a name" for name in tags)
        raise source.wrong(f"{len(tags)} tags ({names})", "one", "choose with --tag NAME")
    chosen = [each for each in intervals if tag is None or each.tag == tag]
    if not chosen:
        found = "no interval" + ("" if tag is None else f" with the tag {excerpt(tag)}")
        there = f"one of {', '.join(map(excerpt, tags))}" if tags else "one line an interval"
        raise source.wrong(found, there, "choose another tag, or another file")
    return chosen


def _counted(source: Source, interval: Interval) -> Counted:
    try:
        digits = _checked_digits(interval.packed)
        histogram = HdrHistogram.decode(interval.packed)
        all_counts = np.frombuffer(histogram.counts, np.int64)
        (places,) = np.nonzero(all_counts)
        counts = all_counts[places]
        if counts.size and counts.min() < 0:
            raise ValueError("negative counts")
        values = [
            histogram.get_highest_equivalent_value(histogram.get_value_from_index(place))
            for place in places.tolist()
        ]
        return Counted(interval, np.array(values, np.int64), counts, digits)
    except UNREADABLE as error:
        found = f"a histogram that cannot be unpacked ({excerpt(error)})"
        raise source.wrong(found, "one in the form V2", REMEDY, interval.line) from None


def _checked_digits(packed: str) -> int:
    """Its significant digits, when the header holds what can be; the library trusts it."""
    zipped = base64.b64decode(packed, validate=True)[8:]
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(zipped, MOST_UNPACKED_BYTES)
    if unpacker.unconsumed_tail:
        raise ValueError("larger than any histogram")
    _, _, _, digits, lowest, highest, _ = HEADER.unpack_from(content)
    if not (1 <= digits <= 5 and 1 <= lowest < highest < 1 << 62):
        raise ValueError(f"{digits} digits from {lowest} to {highest}")
    return int(digits)


def _unit(source: Source, counted: list[Counted]) -> str:
    """As the log's own Interval_Max has it; some writers round that down to whole ms."""
    for each in sorted(counted, key=lambda each: -each.interval.most):
        if each.interval.most > 0 and each.values.size and each.values[-1] > 0:
            power = log10(int(each.values[-1]) / each.interval.most)
            if (unit := CONVENTION.get(3 * round(power / 3))) is not None:
                return unit
    expected = "Interval_Max in ms, as is the convention"
    raise source.wrong("times of an unknown unit", expected, "say --unit ns, us or ms")


def _columns(
    source: Source, counted: list[Counted], unit_ns: int
) -> tuple[Columns, tuple[int, int]]:
    """
    Requests that begin and end within their interval where they are short enough for it, so that
    as many end in the span as the log counts. Their order in it is shuffled: in the histogram they
    are sorted, which would look like a service that grows slower.
    """
    starts = [round(each.interval.start_s * NS) for each in counted]
    ends = [s + round(c.interval.length_s * NS) for s, c in zip(starts, counted, strict=True)]
    first, last = min(starts), max(ends)
    longest = max(int(each.values.max(initial=0)) for each in counted) * unit_ns
    if not 0 < last - first <= LONGEST_S * NS or longest > LONGEST_S * NS:
        found = f"{(last - first) / NS:g} s, and a request of {longest / NS:g} s"
        raise source.wrong(found, "one load of at most 30 days", "give the log of one run")
    shuffler = np.random.default_rng(0)
    begun, took = [], []
    for start, end, each in zip(starts, ends, counted, strict=True):
        these = shuffler.permutation(np.repeat(each.values * unit_ns, each.counts))
        share = (np.arange(len(these)) + 0.5) / max(1, len(these))
        slack = (end - start) - these
        at = start + (share * np.maximum(slack, 0)).astype(np.int64) + np.minimum(slack, 0)
        begun.append(np.clip(at, first, last - 1))
        took.append(these)
    return _answered(np.concatenate(begun), np.concatenate(took)), (first, last)


def _answered(begun_ns: NDArray[np.int64], took_ns: NDArray[np.int64]) -> Columns:
    n, order = len(begun_ns), np.argsort(begun_ns, kind="stable")
    none = np.zeros(n, np.int64)
    status, error = np.full(n, 200, np.int32), np.full(n, CODES[""], np.int8)
    return Columns(begun_ns[order], took_ns[order], status, error, none, none)
