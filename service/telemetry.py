"""
Every name under which the service tells how it is: stages, headers, metrics, spans, log fields.

Dashboards, rules and load generators are written against these names; the README's tables are
checked against this module. What is done with them stands in clock.py, timing.py, metrics.py,
tracing.py and logs.py. Nothing here needs an import of the service.
"""

from dataclasses import dataclass

SERVICE = "yolo-api"  # the service's name in traces and logs, and its job in Prometheus

STAGES = ("queue", "receive", "decode", "preprocess", "infer", "postprocess", "serialize")

# Headers of an answer. The generators read Server-Timing into their samples: it is a contract.
PROCESS_TIME = "X-Process-Time"
SERVER_TIMING = "Server-Timing"
TRACK = "X-Track"
REQUEST_ID = "X-Request-Id"

# Where a label has no value: a request that named no model, or was refused before a track took it.
NONE = "none"
# Routes that are not the service's own: a scanner's paths must not become series.
OTHER = "other"

# Seconds. Every objective of prometheus/slo.yml is a bound, and the steps between them, 1.25 to
# 1.7, are the most that a percentile from them may be off. The generators have the same.
SECONDS = (
    0.001, 0.0015, 0.0025, 0.004, 0.006, 0.01, 0.015, 0.025, 0.04, 0.05, 0.075, 0.1,
    0.15, 0.25, 0.4, 0.5, 0.75, 1.0, 1.5, 2.5, 4.0, 6.0, 10.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """A family of series in Prometheus' sense; a counter's name ends in _total."""

    name: str
    kind: str  # counter, gauge or histogram; info is a gauge of 1 whose labels are the value
    labels: tuple[str, ...]
    help: str


REQUESTS = Metric(
    "api_requests_total",
    "counter",
    ("route", "model", "track", "status"),
    "Requests answered, by the class of their status.",
)
DURATION = Metric(
    "api_request_duration_seconds",
    "histogram",
    ("route", "model", "track", "status"),
    "From a request's head to its answer's last byte (middleware `decorator`: to its answer).",
)
STAGE = Metric(
    "api_stage_duration_seconds",
    "histogram",
    ("stage", "model", "track"),
    "The time that a request spends in each stage; in a batch the sum over its pictures.",
)
REQUEST_BYTES = Metric(
    "api_request_body_bytes_total", "counter", ("route",), "Bytes of bodies received."
)
RESPONSE_BYTES = Metric(
    "api_response_body_bytes_total", "counter", ("route",), "Bytes of bodies sent."
)
DETECTIONS = Metric("api_detections_total", "counter", ("model", "track"), "Boxes in the answers.")
REFUSALS = Metric(
    "api_refusals_total", "counter", ("code",), "Requests refused, by the code in the answer."
)
ADMITTED = Metric(
    "api_admitted_total", "counter", (), "Predictions that were within the admission limit."
)
IN_FLIGHT = Metric(
    "api_requests_in_flight", "gauge", (), "Predictions admitted and not yet answered."
)
ADMISSION_LIMIT = Metric(
    "api_admission_limit", "gauge", (), "How many may be in flight; more are refused with a 429."
)
WORKERS = Metric("api_workers", "gauge", (), "Processes that serve.")
THREADS = Metric("api_threads", "gauge", (), "Threads that run stages, of all workers.")
LOOP_LAG = Metric(
    "api_event_loop_lag_seconds",
    "histogram",
    (),
    "How late a timer of the event loop is: what every request waits on its way in and out.",
)
TRITON_CLIENTS_CREATED = Metric(
    "api_triton_clients_created_total", "counter", (), "gRPC clients of Triton that were made."
)
TRITON_CLIENTS = Metric("api_triton_clients", "gauge", (), "gRPC clients of Triton that are kept.")
TRITON_TENSORS = Metric(
    "api_triton_tensor_bytes", "gauge", (), "Memory shared with Triton for tensors."
)
SPANS = Metric(
    "api_spans_total",
    "counter",
    ("outcome",),
    "Spans recorded, and what became of them: exported, failed (no receiver took them) or dropped"
    " (they came faster than they could be sent).",
)
BUILD = Metric(
    "api_build_info",
    "info",
    ("version", "python", "preset", "track", "json", "imaging", "middleware", "loop", "http"),
    "What is running.",
)
MODEL = Metric(
    "api_model_info",
    "info",
    ("model", "network", "input_size", "track", "engine"),
    "What answers for a model on the default track.",
)
# The names that every exporter has for these. The worker is numbered, not named by its pid: the one
# that takes a dead one's place goes on with its series.
CPU = Metric(
    "process_cpu_seconds_total", "counter", ("worker",), "CPU time, user and system, in seconds."
)
MEMORY = Metric("process_resident_memory_bytes", "gauge", ("worker",), "Resident memory.")
FILES = Metric("process_open_fds", "gauge", ("worker",), "Open file descriptors.")
STARTED = Metric(
    "process_start_time_seconds", "gauge", ("worker",), "When it was started, Unix time."
)
GPU_MEMORY = Metric("api_gpu_memory_used_bytes", "gauge", ("gpu",), "Memory used on a GPU.")
GPU_MEMORY_TOTAL = Metric("api_gpu_memory_total_bytes", "gauge", ("gpu",), "Memory of a GPU.")
GPU_LOAD = Metric("api_gpu_utilization_ratio", "gauge", ("gpu",), "Share of time a GPU was busy.")

METRICS = (
    REQUESTS,
    DURATION,
    STAGE,
    REQUEST_BYTES,
    RESPONSE_BYTES,
    DETECTIONS,
    REFUSALS,
    ADMITTED,
    IN_FLIGHT,
    ADMISSION_LIMIT,
    WORKERS,
    THREADS,
    LOOP_LAG,
    TRITON_CLIENTS_CREATED,
    TRITON_CLIENTS,
    TRITON_TENSORS,
    SPANS,
    BUILD,
    MODEL,
    CPU,
    MEMORY,
    FILES,
    STARTED,
    GPU_MEMORY,
    GPU_MEMORY_TOTAL,
    GPU_LOAD,
)

STATUS_CLASSES = ("2xx", "3xx", "4xx", "5xx", NONE)  # none: the service gave no answer
SPAN_OUTCOMES = RECORDED, EXPORTED, FAILED, DROPPED = "recorded", "exported", "failed", "dropped"
EXEMPLAR = "trace_id"  # the label of an exemplar, by which Grafana finds the trace

# Attributes of spans: OpenTelemetry's semantic conventions for HTTP servers (1.44), and ours.
METHOD = "http.request.method"
ROUTE = "http.route"
STATUS = "http.response.status_code"
ERROR = "error.type"
URL_PATH = "url.path"
URL_SCHEME = "url.scheme"
REQUEST_SIZE = "http.request.body.size"
RESPONSE_SIZE = "http.response.body.size"
USER_AGENT = "user_agent.original"
SPAN_MODEL = "windtunnel.model"
SPAN_TRACK = "windtunnel.track"
SPAN_STAGE = "windtunnel.stage"
SPAN_DETECTIONS = "windtunnel.detections"
SPAN_REQUEST_ID = "windtunnel.request_id"
SPAN_ATTRIBUTES = (
    METHOD,
    ROUTE,
    STATUS,
    ERROR,
    URL_PATH,
    URL_SCHEME,
    REQUEST_SIZE,
    RESPONSE_SIZE,
    USER_AGENT,
    SPAN_MODEL,
    SPAN_TRACK,
    SPAN_STAGE,
    SPAN_DETECTIONS,
    SPAN_REQUEST_ID,
)

# Entries of a request's baggage that become attributes of its spans, under the same names; others
# do not: baggage is whatever a caller writes.
BAGGAGE = ("loadtest.campaign", "loadtest.run", "loadtest.variant", "loadtest.cell")

# Fields of a line of the log in JSON; those after the message only where they are known.
LOG_FIELDS = (
    "time",
    "level",
    "logger",
    "message",
    "request_id",
    "trace_id",
    "method",
    "path",
    "status",
    "total_ms",
    "stages_ms",
    "exc_info",
)
