"""
Names that the dashboards use and the service does not define: others' metrics, and the dashboards'.

The service's own are in service/telemetry.py. A test holds that no panel uses a name that stands in
neither, and another that each of these is what the real programs say.
"""

PREDICTIONS = 'route=~"/predict.*|/pytorch.*"'

# Of prometheus/slo.yml; a test holds them alike.
AVAILABILITY_OBJECTIVE = 0.999
LATENCY_OBJECTIVE = 0.99  # of answered predictions, within this:
LATENCY_OBJECTIVE_S = 0.25
BURN_RATES = (14.4, 6, 3, 1)  # the factors of the alerts, the fastest first

# Triton's, cumulative: its times are sums over requests, so they give means and no percentiles.
TRITON_SUCCESS = "nv_inference_request_success"
TRITON_FAILURE = "nv_inference_request_failure"
TRITON_INFERENCES = "nv_inference_count"
TRITON_EXECUTIONS = "nv_inference_exec_count"
TRITON_REQUEST_US = "nv_inference_request_duration_us"
TRITON_QUEUE_US = "nv_inference_queue_duration_us"
TRITON_INPUT_US = "nv_inference_compute_input_duration_us"
TRITON_INFER_US = "nv_inference_compute_infer_duration_us"
TRITON_OUTPUT_US = "nv_inference_compute_output_duration_us"
TRITON_PENDING = "nv_inference_pending_request_count"
TRITON_CPU = "nv_cpu_utilization"
TRITON_MEMORY = "nv_cpu_memory_used_bytes"
TRITON_MEMORY_TOTAL = "nv_cpu_memory_total_bytes"
TRITON_GPU = "nv_gpu_utilization"
TRITON_GPU_MEMORY = "nv_gpu_memory_used_bytes"

# The load generators', of both.
LOAD_REQUESTS = "loadtest_requests_total"
LOAD_ISSUED = "loadtest_issued_total"
LOAD_OFFERED = "loadtest_offered_total"
LOAD_QUEUED = "loadtest_queued_total"
LOAD_IN_FLIGHT = "loadtest_in_flight"
LOAD_CONNECTIONS = "loadtest_connections_total"
LOAD_RESPONSE = "loadtest_response_seconds"
LOAD_SERVICE = "loadtest_service_seconds"
LOAD_LAG = "loadtest_send_lag_seconds"
LOAD_RUN = "loadtest_run_info"
LOAD_RUN_LABELS = ("campaign", "run", "variant", "cell", "clients", "rate", "repeat")

# The node exporter's.
NODE_CPU = "node_cpu_seconds_total"
NODE_LOAD = "node_load1"
NODE_MEMORY_TOTAL = "node_memory_MemTotal_bytes"
NODE_MEMORY_AVAILABLE = "node_memory_MemAvailable_bytes"
NODE_PRESSURE_CPU = "node_pressure_cpu_waiting_seconds_total"
NODE_PRESSURE_MEMORY = "node_pressure_memory_waiting_seconds_total"
NODE_PRESSURE_IO = "node_pressure_io_waiting_seconds_total"

# DCGM's exporter, of the counters that it has by default.
DCGM_LOAD = "DCGM_FI_DEV_GPU_UTIL"
DCGM_MEMORY = "DCGM_FI_DEV_FB_USED"
DCGM_POWER = "DCGM_FI_DEV_POWER_USAGE"
DCGM_TEMPERATURE = "DCGM_FI_DEV_GPU_TEMP"

# Prometheus' own, and what it writes beside every scrape and rule.
UP = "up"
SCRAPE_DURATION = "scrape_duration_seconds"
SCRAPE_SAMPLES = "scrape_samples_scraped"
ALERTS = "ALERTS"
HEAD_SERIES = "prometheus_tsdb_head_series"
EXEMPLARS = "prometheus_tsdb_exemplar_exemplars_in_storage"
RULE_FAILURES = "prometheus_rule_evaluation_failures_total"

TRITON = (
    TRITON_SUCCESS, TRITON_FAILURE, TRITON_INFERENCES, TRITON_EXECUTIONS, TRITON_REQUEST_US,
    TRITON_QUEUE_US, TRITON_INPUT_US, TRITON_INFER_US, TRITON_OUTPUT_US, TRITON_PENDING, TRITON_CPU,
    TRITON_MEMORY, TRITON_MEMORY_TOTAL,
)  # fmt: skip
LOADTESTS = (
    LOAD_REQUESTS, LOAD_ISSUED, LOAD_OFFERED, LOAD_QUEUED, LOAD_IN_FLIGHT, LOAD_CONNECTIONS,
    LOAD_RESPONSE, LOAD_SERVICE, LOAD_LAG, LOAD_RUN,
)  # fmt: skip
NODE = (
    NODE_CPU, NODE_LOAD, NODE_MEMORY_TOTAL, NODE_MEMORY_AVAILABLE, NODE_PRESSURE_CPU,
    NODE_PRESSURE_MEMORY, NODE_PRESSURE_IO,
)  # fmt: skip
GPU = (DCGM_LOAD, DCGM_MEMORY, DCGM_POWER, DCGM_TEMPERATURE, TRITON_GPU, TRITON_GPU_MEMORY)
PROMETHEUS = (
    UP, SCRAPE_DURATION, SCRAPE_SAMPLES, ALERTS, HEAD_SERIES, EXEMPLARS, RULE_FAILURES,
)  # fmt: skip
COUNTERS = {
    TRITON_SUCCESS, TRITON_FAILURE, TRITON_INFERENCES, TRITON_EXECUTIONS, TRITON_REQUEST_US,
    TRITON_QUEUE_US, TRITON_INPUT_US, TRITON_INFER_US, TRITON_OUTPUT_US,
}  # fmt: skip

# What the rules of prometheus/ record.
RULE_OBJECTIVE = "slo:objective:ratio"
RULE_BUDGET = "slo:error_budget_left:ratio30d"
RULE_BURN = "slo:sli_error:ratio_rate"  # and the window
RULE_BAD = "slo:bad_requests:rate5m"
RULE_CAMPAIGN = "campaign:sli_error:ratio_rate1m"
BURN_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
RULES = (
    RULE_OBJECTIVE, RULE_BUDGET, *(RULE_BURN + window for window in BURN_WINDOWS), RULE_BAD,
    RULE_CAMPAIGN,
)  # fmt: skip

UIDS = {
    "Service": "windtunnel-service",
    "Triton": "windtunnel-triton",
    "Load campaign": "windtunnel-campaign",
    "Objectives": "windtunnel-slo",
    "Runtime": "windtunnel-runtime",
}
