"""
hey: the CSV of `hey -o csv`, a line for each request that was answered, with whatever status.

Times are seconds with four decimals. `offset` is when a request began, since hey itself did.
"""

from benchmarks.imports.found import (
    MACHINE,
    NS,
    SENT,
    TRACES,
    Found,
    Options,
    Requests,
    nanoseconds,
    redirects,
    sentences,
)
from benchmarks.imports.source import Source, excerpt

HEADER = (
    "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset"
)
MOST = 1_000_000
CANNOT_KNOW = (
    SENT,
    "which requests failed without an answer, time-outs among them: hey leaves them out of its CSV,"
    " so they count neither as errors nor as slow",
    "times to better than 0.1 ms: hey writes four decimals of a second",
    "when it ran: hey counts from its own start",
    "how many bytes each request and answer had",
    TRACES,
    MACHINE,
)


def read(source: Source, _options: Options) -> Found:
    """Every line; the number of workers is not in it."""
    requests = Requests(source)
    for line, text in source.whole_lines():
        if line == 1:
            continue
        parts = text.split(",")
        try:
            took, *_, status, begun = map(float, parts)
            if len(parts) != HEADER.count(",") + 1 or status != int(status):
                raise ValueError(text)
            begun_ns, took_ns = nanoseconds(begun, NS), nanoseconds(took, NS)
        except (ValueError, OverflowError):
            found = f"no request of hey ({excerpt(text)})"
            raise source.wrong(found, HEADER, "export again with -o csv", line) from None
        requests.add(line, begun_ns, took_ns, int(status))
    columns = requests.columns()
    cut = f"requests after the {MOST:,}th: hey keeps no more" if len(requests) == MOST else ""
    return Found(
        tool="hey",
        level=None,
        cannot_know=sentences(CANNOT_KNOW, cut, redirects(columns)),
        requests=columns,
        span_ns=columns.span_ns,
    )
