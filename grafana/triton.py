"""Triton: does it gather batches, do requests wait in it, and what does it take of the machine."""

from grafana import names as n
from grafana.boards import INSTANCE, JOB, TRITON_JOB, TRITON_MODEL, Board, Section
from grafana.panels import GPU, Target, lines, number
from grafana.promql import SERVICE, TRITON, or_zero, per, seen, share, total
from service import telemetry as t

CHOSEN = ('model=~"$triton_model"',)


def rate(name: str, by: str = "") -> str:
    """What a counter of the chosen models gains in a second."""
    return TRITON.rate(name, *CHOSEN, by=by)


def seconds(name: str, by: str = "") -> str:
    """The mean of one of its times, for a request that succeeded."""
    return f"({per(rate(name, by), rate(n.TRITON_SUCCESS, by))}) / 1e6"


QUEUE_SHARE = share(rate(n.TRITON_QUEUE_US), rate(n.TRITON_REQUEST_US))
WAITING = total(TRITON.series(n.TRITON_PENDING, *CHOSEN), "model")
# Of the models that have any or are used: a line, and not a dot for each scrape that met one.
PENDING = f"({WAITING} and ({seen(WAITING)} or {seen(rate(n.TRITON_SUCCESS, 'model'))}))"

NOW = Section(
    "Now",
    (
        number(
            "Inferences a second",
            "Pictures that went through models; one request of an ensemble counts in each of its"
            " members. 0 under load means that the service answers by itself, on track A.",
            "ops",
            Target(or_zero(rate(n.TRITON_INFERENCES)), "inferences"),
        ),
        number(
            "Average batch size",
            "Inferences for an execution, of all chosen models. 1 under concurrent load: requests"
            " come one at a time, or the model does not batch; look at the queue beside.",
            "short",
            Target(per(rate(n.TRITON_INFERENCES), rate(n.TRITON_EXECUTIONS)), "batch"),
            digits=2,
        ),
        number(
            "Share of time in the queue",
            "Of the requests' time in Triton. Above a half, requests wait longer than they are"
            " computed: more instances or larger batches may help, if the machine has room.",
            "percentunit",
            Target(QUEUE_SHARE, "queue"),
            levels=((None, "green"), (0.5, "orange"), (0.8, "red")),
        ),
        number(
            "Failures a second",
            "Requests that Triton did not answer. Their reasons are below; the service tells its"
            " callers `triton_failed` or `triton_overloaded`.",
            "reqps",
            Target(or_zero(rate(n.TRITON_FAILURE)), "failures"),
            levels=((None, "green"), (0.001, "red")),
        ),
    ),
)

TRAFFIC = Section(
    "Requests and batches",
    (
        lines(
            "Requests by model",
            "That succeeded. A track's model carries its name: plain is B, _end2end is C, _D and"
            " _D_... are the ensembles with their members.",
            "reqps",
            Target(seen(rate(n.TRITON_SUCCESS, "model")), "{{model}}"),
        ),
        lines(
            "Average batch size by model",
            "Inferences for an execution. It should rise with the load where the model gathers"
            " batches; if it stays at 1, its queue delay is too short for this rate.",
            "short",
            Target(
                per(rate(n.TRITON_INFERENCES, "model"), rate(n.TRITON_EXECUTIONS, "model")),
                "{{model}}",
            ),
        ),
        lines(
            "Failures by reason",
            "REJECTED: a full queue or a timeout in it, so less load or a longer queue. BACKEND:"
            " the model; its log says more. CANCELED: the service gave up waiting.",
            "reqps",
            Target(
                or_zero(seen(rate(n.TRITON_FAILURE, "reason")), by="reason"),
                "{{reason}}",
            ),
        ),
        lines(
            "Pending by model",
            "Requests that wait for an execution at the moment of the scrape. It grows without an"
            " end when more comes than is computed.",
            "short",
            Target(or_zero(PENDING, by="model"), "{{model}}"),
        ),
        lines(
            "Share of time in the queue by model",
            "Of the requests' time in Triton. The model with the largest share is the one to give"
            " instances to.",
            "percentunit",
            Target(
                per(rate(n.TRITON_QUEUE_US, "model"), rate(n.TRITON_REQUEST_US, "model")),
                "{{model}}",
            ),
        ),
        lines(
            "Executions by model",
            "How often a model runs, whatever its batch. More requests with no more executions are"
            " larger batches, which is what batching is for.",
            "ops",
            Target(seen(rate(n.TRITON_EXECUTIONS, "model")), "{{model}}"),
        ),
    ),
)

TIME = Section(
    "Time for a request (means: Triton counts sums, so there are no percentiles)",
    (
        lines(
            "Where the time goes",
            "Mean over the chosen models; choose one, since an ensemble's members count as well."
            " Queue first: wait. Infer: the model. Input and output: copies, which shared memory"
            " makes small.",
            "s",
            Target(seconds(n.TRITON_QUEUE_US), "queue"),
            Target(seconds(n.TRITON_INPUT_US), "input"),
            Target(seconds(n.TRITON_INFER_US), "infer"),
            Target(seconds(n.TRITON_OUTPUT_US), "output"),
            stacked=True,
        ),
        lines(
            "Wait by model",
            "Mean time in the queue for a request, the wait for a batch to fill included. At least"
            " the queue delay of the model's configuration while the load is low.",
            "s",
            Target(seconds(n.TRITON_QUEUE_US, "model"), "{{model}}"),
        ),
        lines(
            "Compute by model",
            "Mean time in the model for a request; a request waits for its whole batch. If it"
            " rises with the batch size as fast, batching gains nothing on this machine.",
            "s",
            Target(seconds(n.TRITON_INFER_US, "model"), "{{model}}"),
        ),
    ),
)

MACHINE = Section(
    "The machine, as Triton sees it",
    (
        lines(
            "CPU in use",
            "Of the whole machine, by Triton's own measure. At 100 % a queue is no matter of"
            " configuration; see Runtime for who uses it.",
            "percentunit",
            Target(f"max({TRITON.series(n.TRITON_CPU)})", "CPU"),
            limit=1,
        ),
        lines(
            "Memory in use",
            "Of the whole machine. Models are loaded once for each instance, so more instances cost"
            " memory even when idle.",
            "bytes",
            Target(f"max({TRITON.series(n.TRITON_MEMORY)})", "used"),
            Target(f"max({TRITON.series(n.TRITON_MEMORY_TOTAL)})", "all"),
            dashed="all",
        ),
        lines(
            "GPU in use",
            "Of each GPU, by Triton's own measure. A busy GPU with batches of 1 has room: let"
            " them grow.",
            "percentunit",
            Target(f"max by (gpu_uuid) ({TRITON.series(n.TRITON_GPU)})", "{{gpu_uuid}}"),
            most=1,
            needs=GPU,
        ),
    ),
)

CLIENT = Section(
    "The way from the service to Triton",
    (
        lines(
            "Service's wait for an inference",
            "Mean of the service's stage `infer` by track. Less Triton's own time above is the way"
            " there and back: gRPC, copies, a busy event loop.",
            "s",
            Target(
                per(
                    SERVICE.rate(f"{t.STAGE.name}_sum", 'stage="infer"', by="track"),
                    SERVICE.rate(f"{t.STAGE.name}_count", 'stage="infer"', by="track"),
                ),
                "track {{track}}",
            ),
        ),
        lines(
            "gRPC clients",
            "Those that are kept, and those that are made in a second. Many made for each request"
            " is the baseline's way; kept ones should make none.",
            "short",
            Target(total(SERVICE.series(t.TRITON_CLIENTS.name)), "kept"),
            Target(SERVICE.rate(t.TRITON_CLIENTS_CREATED.name), "made a second"),
        ),
        lines(
            "Memory shared for tensors",
            "0 when tensors go inline. It grows with requests at one time and is kept; growth"
            " without more of them is a leak.",
            "bytes",
            Target(total(SERVICE.series(t.TRITON_TENSORS.name)), "shared"),
        ),
    ),
)

BOARD = Board(
    "triton",
    "Triton",
    "The inference server behind tracks B, C and D: batches, queues, time in models, failures, and"
    " the service's way to it.",
    (JOB, INSTANCE, TRITON_JOB, TRITON_MODEL),
    (NOW, TRAFFIC, TIME, MACHINE, CLIENT),
)
