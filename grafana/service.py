"""Service: how many requests, how many fail, how long they take, and where the time goes."""

from grafana.boards import INSTANCE, JOB, MODEL, TRACK, Board, Section
from grafana.names import AVAILABILITY_OBJECTIVE, LATENCY_OBJECTIVE_S, PREDICTIONS
from grafana.panels import (
    ESTIMATE,
    PERCENTILES,
    STATUSES,
    Target,
    heat,
    lines,
    number,
    percentiles,
    table_of,
)
from grafana.promql import SERVICE, or_zero, seen, share, total
from service import telemetry as t

CHOSEN = (PREDICTIONS, 'model=~"$model"', 'track=~"$track"')
STAGES_CHOSEN = (*CHOSEN[1:], 'track!="none"')  # others were refused before there was one
FAILED = 'status=~"5xx|none"'
ANSWERED = 'status="2xx"'

REQUESTS = SERVICE.rate(t.REQUESTS.name, *CHOSEN)
STAGE_SECONDS = SERVICE.rate(f"{t.STAGE.name}_sum", *STAGES_CHOSEN, by="stage")
ANSWERS = SERVICE.rate(f"{t.STAGE.name}_count", *STAGES_CHOSEN, f'stage="{t.STAGES[-1]}"')
ALLOWED = round(1 - AVAILABILITY_OBJECTIVE, 9)
LIMIT = total(SERVICE.series(t.ADMISSION_LIMIT.name))
IN_FLIGHT = total(SERVICE.series(t.IN_FLIGHT.name))
P99 = SERVICE.quantile(0.99, t.DURATION.name, *CHOSEN, ANSWERED)

NOW = Section(
    "Now",
    (
        number(
            "Predictions a second",
            "All of them, refused ones too. A fall with a steady error ratio means that less is"
            " asked; look at the load campaign, or upstream.",
            "reqps",
            Target(or_zero(REQUESTS), "predictions"),
        ),
        number(
            "Failed share",
            "Of predictions, 5xx or no answer. Above the objective's 0.1 % the error budget"
            " shrinks faster than it may: see Objectives, and below which status and which track.",
            "percentunit",
            Target(share(SERVICE.rate(t.REQUESTS.name, *CHOSEN, FAILED), REQUESTS), "failed"),
            levels=((None, "green"), (ALLOWED, "red")),
            digits=2,
        ),
        number(
            "P99 of answered predictions",
            "Red above the objective of 250 ms. See below whether it is one stage, one track or all"
            " of them." + ESTIMATE,
            "s",
            Target(P99, "P99"),
            levels=((None, "green"), (LATENCY_OBJECTIVE_S, "red")),
        ),
        number(
            "Use of the admission limit",
            "In flight, as a share of what is admitted at once. At 100 % further predictions are"
            " refused with a 429: there are more of them than the machine can serve.",
            "percentunit",
            Target(f"{IN_FLIGHT} / {LIMIT}", "in flight"),
            levels=((None, "green"), (0.8, "orange"), (1, "red")),
        ),
    ),
)

REQUEST_PANELS = Section(
    "Requests",
    (
        lines(
            "Predictions by track",
            "Which way requests take: A in the service itself, the others through Triton; none was"
            " refused before a track took it.",
            "reqps",
            Target(SERVICE.rate(t.REQUESTS.name, *CHOSEN, by="track"), "track {{track}}"),
            stacked=True,
        ),
        lines(
            "Predictions by status",
            "4xx are the callers' and cost no objective; 5xx and none (the client had no answer)"
            " do. When 5xx rise, the next panel says why.",
            "reqps",
            Target(SERVICE.rate(t.REQUESTS.name, *CHOSEN, by="status"), "{{status}}"),
            colours=STATUSES,
        ),
        lines(
            "Refusals by code",
            "The code in the answer. `too_many_requests` is the admission limit: see Saturation."
            " Those that begin with `triton` lead to its dashboard; most others are the callers'.",
            "reqps",
            Target(or_zero(seen(SERVICE.rate(t.REFUSALS.name, by="code")), by="code"), "{{code}}"),
        ),
        lines(
            "Failed share over time",
            "Of predictions, 5xx or no answer; the dashes are the objective. Compare with the"
            " cells and restarts: a share that comes and goes with one cell is its doing.",
            "percentunit",
            Target(share(SERVICE.rate(t.REQUESTS.name, *CHOSEN, FAILED), REQUESTS), "failed"),
            colours={"failed": "red"},
            limit=ALLOWED,
        ),
        lines(
            "Requests by route",
            "Everything that is asked, health checks and scrapes too. Much under `other` is"
            " somebody who looks for what is not there.",
            "reqps",
            Target(SERVICE.rate(t.REQUESTS.name, by="route"), "{{route}}"),
        ),
        lines(
            "Admitted and not",
            "Predictions that were within the admission limit, and all that were asked. A gap"
            " between the two is overload, or requests that were refused before.",
            "reqps",
            Target(SERVICE.rate(t.ADMITTED.name), "admitted"),
            Target(SERVICE.rate(t.REQUESTS.name, PREDICTIONS), "asked"),
        ),
    ),
)

LATENCY = Section(
    "Latency of answered predictions",
    (
        lines(
            "Percentiles",
            "From the head of a request to the last byte of its answer; the dashes are the"
            " objective. The dots are traced requests: one above the line leads to its trace."
            + ESTIMATE,
            "s",
            *percentiles(SERVICE, t.DURATION.name, *CHOSEN, ANSWERED),
            width=9,
            colours=PERCENTILES,
            limit=LATENCY_OBJECTIVE_S,
        ),
        heat(
            "Heat map",
            "How many took how long. Two bands are two kinds of requests (tracks, models, sizes of"
            " pictures) that one percentile mixes: choose one above.",
            Target(
                total(
                    f"increase({SERVICE.series(f'{t.DURATION.name}_bucket', *CHOSEN, ANSWERED)}"
                    "[$__rate_interval])",
                    "le",
                ),
                "{{le}}",
                exemplars=True,
            ),
        ),
        lines(
            "P99 by track",
            "Tracks under the same load side by side. One that alone is slow has its reason in its"
            " stages, or in Triton; all that are slow share the machine." + ESTIMATE,
            "s",
            Target(
                SERVICE.quantile(0.99, t.DURATION.name, *CHOSEN, ANSWERED, by="track"),
                "track {{track}}",
            ),
            width=6,
            limit=LATENCY_OBJECTIVE_S,
        ),
    ),
)

STAGES = Section(
    "Stages",
    (
        lines(
            "Mean of each stage, for an answer",
            "Time in each stage by the number of answers; the height is what all stages take. The"
            " thickest is where work pays. `queue` is the wait for a thread: it grows first when"
            " the machine is full.",
            "s",
            Target(f"{STAGE_SECONDS} / on () group_left () {ANSWERS}", "{{stage}}"),
            stacked=True,
            height=10,
        ),
        lines(
            "P99 of each stage",
            "The stage that makes the slow requests slow; not the same as the thickest. P99s of"
            " stages do not add up to a request's." + ESTIMATE,
            "s",
            Target(
                SERVICE.quantile(0.99, t.STAGE.name, *STAGES_CHOSEN, by="stage"),
                "{{stage}}",
                exemplars=True,
            ),
            height=10,
        ),
        lines(
            "Share of each stage",
            "Of the time in all stages. A share that grows while the mean stays is another stage"
            " that became cheaper: read it beside the means.",
            "percentunit",
            Target(f"{STAGE_SECONDS} / on () group_left () sum({STAGE_SECONDS})", "{{stage}}"),
            stacked=True,
            height=10,
        ),
    ),
)

SATURATION = Section(
    "Saturation",
    (
        lines(
            "In flight",
            "Predictions admitted and not yet answered. More in flight at the same rate is longer"
            " answers (Little's law). The limit is far above: its use is in the first row.",
            "short",
            Target(IN_FLIGHT, "in flight"),
        ),
        lines(
            "Event-loop lag",
            "What every request waits on its way in and out. Above some milliseconds the event"
            " loop does work that belongs on a thread, or too few workers share the connections."
            + ESTIMATE,
            "s",
            Target(SERVICE.quantile(0.5, t.LOOP_LAG.name), "P50"),
            Target(SERVICE.quantile(0.99, t.LOOP_LAG.name), "P99"),
            colours=PERCENTILES,
        ),
        lines(
            "Workers and threads",
            "Processes that serve, and threads that run their stages. A worker fewer is one that"
            " died: see Runtime.",
            "short",
            Target(total(SERVICE.series(t.WORKERS.name)), "workers"),
            Target(total(SERVICE.series(t.THREADS.name)), "threads"),
        ),
    ),
)

DETAILS = Section(
    "What is running, and what it answers",
    (
        lines(
            "Bytes",
            "Of bodies, received and sent. Larger pictures at the same rate explain a slower"
            " `receive` and `decode`.",
            "Bps",
            Target(SERVICE.rate(t.REQUEST_BYTES.name), "received"),
            Target(SERVICE.rate(t.RESPONSE_BYTES.name), "sent"),
        ),
        lines(
            "Detections for a prediction",
            "Boxes in an answer, by model. A step without a change of the pictures is a model that"
            " answers differently: look at the tables beside.",
            "short",
            Target(
                f"{SERVICE.rate(t.DETECTIONS.name, *STAGES_CHOSEN, by='model')}"
                f" / {SERVICE.rate(t.REQUESTS.name, *CHOSEN, ANSWERED, by='model')}",
                "{{model}}",
            ),
        ),
        table_of(
            "Build",
            "Which service answers, by instance. Two rows that differ are two services that no"
            " comparison may mix.",
            Target(SERVICE.series(t.BUILD.name), ""),
            columns={name: (name, "") for name in ("instance", *t.BUILD.labels)},
            width=24,
        ),
        table_of(
            "Models",
            "What answers for each model on the default track. `engine` and `input_size` are what a"
            " change of speed or of boxes asks for first.",
            Target(SERVICE.series(t.MODEL.name), ""),
            columns={name: (name.replace("_", " "), "") for name in ("instance", *t.MODEL.labels)},
            width=24,
        ),
    ),
    collapsed=True,
)

BOARD = Board(
    "service",
    "Service",
    "Rate, errors and duration of requests, and the stages that the time goes to. Start here; the"
    " other dashboards say why.",
    (JOB, INSTANCE, MODEL, TRACK),
    (NOW, REQUEST_PANELS, LATENCY, STAGES, SATURATION, DETAILS),
)
