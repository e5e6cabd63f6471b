"""
Load campaign: what is being measured, and whether the instrument may be trusted meanwhile.

The service does not know of cells. Its series are joined with the generator's gauge, which is 1
while a cell is measured: so this holds while one cell at a time is measured, and for cells longer
than two windows of a rate.
"""

from grafana import names as n
from grafana.boards import INSTANCE, JOB, LOADTESTS_JOB, Board, Section
from grafana.panels import (
    ESTIMATE,
    OUTCOMES,
    PERCENTILES,
    Target,
    lines,
    number,
    percentiles,
    table_of,
)
from grafana.promql import LOADTESTS, SERVICE, or_zero, share
from service import telemetry as t

ANSWERED = (n.PREDICTIONS, 'status="2xx"')
MEASURED = f"({LOADTESTS.series(n.LOAD_RUN)} == 1)"
BY_CELL = f"* on () group_left (cell) {MEASURED}"
FAILED = 'outcome!~"ok|censored"'

ENDED = LOADTESTS.rate(n.LOAD_REQUESTS)
CLIENT_BUCKETS = LOADTESTS.rate(f"{n.LOAD_RESPONSE}_bucket", by="le")
SERVER_BUCKETS = SERVICE.rate(f"{t.DURATION.name}_bucket", *ANSWERED, by="le")
CLIENT_P99 = LOADTESTS.quantile(0.99, n.LOAD_SERVICE)
SERVER_P99 = SERVICE.quantile(0.99, t.DURATION.name, *ANSWERED)


def over_cell(per_second: str, function: str = "avg") -> str:
    """What held in the measured time of each cell: those within the time range, one row each."""
    return f"{function}_over_time((sum by (cell) (({per_second}) {BY_CELL}))[$__range:$__interval])"


def percentile_of_cell(q: float, buckets: str) -> str:
    """From all buckets of a cell added up: percentiles of its windows have no mean."""
    summed = f"sum_over_time((sum by (cell, le) ({buckets} {BY_CELL}))[$__range:$__interval])"
    return f"histogram_quantile({q:g}, {summed})"


def by_cell(expression: str) -> str:
    """As it runs, under the name of the cell that is being measured."""
    return f"({expression}) {BY_CELL}"


NOW = Section(
    "Now",
    (
        table_of(
            "Being measured",
            "The cell whose measured time is running; empty between cells and in warm-ups. The same"
            " names are in the record's folder, where the reported numbers come from.",
            Target(MEASURED, ""),
            columns={name: (name, "") for name in n.LOAD_RUN_LABELS},
            width=12,
            height=4,
        ),
        number(
            "Cells at one time",
            "Must be 0 or 1. With 2, two generators load one service: neither measures what it says"
            " it does, and the panels by cell fail. Stop one of them.",
            "short",
            Target(or_zero(f"count({MEASURED})"), "cells"),
            width=4,
            levels=((None, "green"), (2, "red")),
        ),
        number(
            "Failed share",
            "Of the requests that ended: errors, refusals, broken connections and timeouts. Latency"
            " of a load that fails says little; read the outcomes first.",
            "percentunit",
            Target(share(LOADTESTS.rate(n.LOAD_REQUESTS, FAILED), ENDED), "failed"),
            width=4,
            levels=((None, "green"), (0.001, "red")),
            digits=2,
        ),
        number(
            "Send lag, P99",
            "How late the generator sends. Above some milliseconds the instrument itself is the"
            " limit, and what it measures is not the service." + ESTIMATE,
            "s",
            Target(LOADTESTS.quantile(0.99, n.LOAD_LAG), "P99"),
            width=4,
            levels=((None, "green"), (0.005, "orange"), (0.05, "red")),
        ),
    ),
)

LOAD = Section(
    "Load",
    (
        lines(
            "Offered, sent and answered",
            "Offered is what the schedule asks (open loop only; 0 in a closed one). Sent below"
            " offered: the generator is the limit. Answered below sent: the service is.",
            "reqps",
            Target(or_zero(LOADTESTS.rate(n.LOAD_OFFERED)), "offered"),
            Target(LOADTESTS.rate(n.LOAD_ISSUED), "sent"),
            Target(or_zero(LOADTESTS.rate(n.LOAD_REQUESTS, 'outcome="ok"')), "answered"),
            dashed="offered",
        ),
        lines(
            "Outcomes",
            "How requests end. http_error: see Refusals by code on Service. transport_error and"
            " timeout: the service died, was restarted, or is far over its limit.",
            "reqps",
            Target(LOADTESTS.rate(n.LOAD_REQUESTS, by="outcome"), "{{outcome}}"),
            colours=OUTCOMES,
        ),
        lines(
            "In flight, both sides",
            "Requests without an answer, as the generator counts and as the service does. What only"
            " the generator has waits in front of the service, in sockets or its accept queue.",
            "short",
            Target(f"sum({LOADTESTS.series(n.LOAD_IN_FLIGHT)})", "generator"),
            Target(f"sum({SERVICE.series(t.IN_FLIGHT.name)})", "service"),
        ),
    ),
)

LATENCY = Section(
    "Latency, client against server",
    (
        lines(
            "Percentiles of client and server",
            "The client's response time counts from when a request was due, the server's from its"
            " head's arrival. Together they move: the service. The client's alone: waiting in front"
            " of it." + ESTIMATE,
            "s",
            *percentiles(LOADTESTS, n.LOAD_RESPONSE, name="client", exemplars=False),
            *percentiles(SERVICE, t.DURATION.name, *ANSWERED, name="server"),
            width=12,
            height=10,
            colours=PERCENTILES,
            dashed="server",
        ),
        lines(
            "Gaps at P99",
            "On the way: client's service time less server's; network, kernel, a busy event loop."
            " Before sending: response less service time; a generator or connections that are the"
            " limit. Single points are noise: the two are scraped at different moments." + ESTIMATE,
            "s",
            Target(f"{CLIENT_P99} - {SERVER_P99}", "on the way"),
            Target(f"{LOADTESTS.quantile(0.99, n.LOAD_RESPONSE)} - {CLIENT_P99}", "before sending"),
            width=6,
            height=10,
            least=None,
        ),
        lines(
            "Gap of the means",
            "Client's service time less server's duration, of all answered requests. Steadier than"
            " a gap of percentiles; below 0 where answers that became slower reached one side's"
            " scrape first.",
            "s",
            Target(
                f"{LOADTESTS.mean(n.LOAD_SERVICE)} - {SERVICE.mean(t.DURATION.name, *ANSWERED)}",
                "on the way",
            ),
            width=6,
            height=10,
            least=None,
        ),
    ),
)

CELLS = Section(
    "By cell",
    (
        table_of(
            "Cells of the time range",
            "Their measured time, a row each. To compare them use `windtunnel compare`, which knows"
            " repeats and their spread; here look for the cell that stands out." + ESTIMATE,
            Target(over_cell(LOADTESTS.rate(n.LOAD_REQUESTS, 'outcome="ok"')), ""),
            Target(over_cell(or_zero(LOADTESTS.rate(n.LOAD_REQUESTS, FAILED))), ""),
            Target(percentile_of_cell(0.5, CLIENT_BUCKETS), ""),
            Target(percentile_of_cell(0.99, CLIENT_BUCKETS), ""),
            Target(
                percentile_of_cell(0.99, SERVER_BUCKETS),
                "",
            ),
            Target(over_cell(SERVICE.rate(t.CPU.name)), ""),
            columns={
                "cell": ("cell", ""),
                "Value #A": ("answered", "reqps"),
                "Value #B": ("failed", "reqps"),
                "Value #C": ("client P50", "s"),
                "Value #D": ("client P99", "s"),
                "Value #E": ("server P99", "s"),
                "Value #F": ("service's cores", "short"),
            },
            width=24,
            height=8,
        ),
        lines(
            "Server's P99 by cell",
            "The same service under each cell. A level that rises within a cell is a queue that"
            " grows: no steady state, so its numbers depend on how long was measured." + ESTIMATE,
            "s",
            Target(
                "histogram_quantile(0.99, " + by_cell(SERVER_BUCKETS) + ")",
                "{{cell}}",
            ),
            width=12,
            limit=n.LATENCY_OBJECTIVE_S,
        ),
        lines(
            "Answered by cell",
            "Two cells of more clients with the same rate: the machine is full, and only latency"
            " still grows.",
            "reqps",
            Target(by_cell(or_zero(LOADTESTS.rate(n.LOAD_REQUESTS, 'outcome="ok"'))), "{{cell}}"),
            width=12,
        ),
    ),
)

GENERATOR = Section(
    "Health of the generator",
    (
        lines(
            "Send lag",
            "From when a request was due to when it was sent. In a closed loop it is nothing;"
            " in an open one it must be small beside the latencies." + ESTIMATE,
            "s",
            Target(LOADTESTS.quantile(0.5, n.LOAD_LAG), "P50"),
            Target(LOADTESTS.quantile(0.99, n.LOAD_LAG), "P99"),
            colours=PERCENTILES,
            width=6,
        ),
        lines(
            "Cores used by the generator",
            "A thread that sends takes one at most; near the number of its threads it is"
            " the limit, and on a shared machine it takes from the service.",
            "short",
            Target(LOADTESTS.rate(t.CPU.name), "cores"),
            width=6,
        ),
        lines(
            "Memory of the generator",
            "It should stand still while a cell is measured: samples go to a file.",
            "bytes",
            Target(f"sum({LOADTESTS.series(t.MEMORY.name)})", "resident"),
            width=6,
        ),
        lines(
            "Connections",
            "Opened a second; queued are requests that waited for one (open loop only). Many"
            " opened: the service closes them; queued: raise --max-connections.",
            "reqps",
            Target(or_zero(LOADTESTS.rate(n.LOAD_CONNECTIONS)), "opened"),
            Target(or_zero(LOADTESTS.rate(n.LOAD_QUEUED)), "queued"),
            width=6,
        ),
    ),
)

BOARD = Board(
    "campaign",
    "Load campaign",
    "What is being measured, whether the instrument may be trusted meanwhile, and what client and"
    " server say of the same requests. The record has the results; this is to watch them come.",
    (JOB, INSTANCE, LOADTESTS_JOB),
    (NOW, LOAD, LATENCY, CELLS, GENERATOR),
    since="now-30m",
)
