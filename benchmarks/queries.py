"""
What is asked of a Prometheus after each repeat, unless the campaign says otherwise.

Names of metrics are those of the service (service/telemetry.py), of Triton and of the generators.
`$__rate_interval` becomes four scrape intervals, as in Grafana, so that a panel's query can be
pasted here.
"""

from dataclasses import dataclass, field

RATE_INTERVAL = "$__rate_interval"
# Jobs whose metrics are asked for: how often they are scraped is how fine a snapshot can be.
JOBS = ("yolo-api", "triton", "loadtests")

# Every series says which variant it is of, where the runner told Prometheus (targets.py).
_ROUTES = 'route=~"/predict.*|/pytorch.*"'
_OVER = f"[{RATE_INTERVAL}]"


def _quantile(q: str) -> str:
    buckets = f'api_request_duration_seconds_bucket{{{_ROUTES},status="2xx"}}{_OVER}'
    return f"histogram_quantile({q}, sum by (variant, instance, track, le) (rate({buckets})))"


DEFAULTS = {
    "api_requests_per_s": f"sum by (variant, instance, track, status)"
    f" (rate(api_requests_total{{{_ROUTES}}}{_OVER}))",
    "api_p50_s": _quantile("0.5"),
    "api_p95_s": _quantile("0.95"),
    "api_p99_s": _quantile("0.99"),
    "api_stage_mean_s": f"sum by (variant, instance, track, stage)"
    f" (rate(api_stage_duration_seconds_sum{_OVER}))"
    f" / sum by (variant, instance, track, stage) (rate(api_stage_duration_seconds_count{_OVER}))",
    "api_in_flight": "sum by (variant, instance) (api_requests_in_flight)",
    "api_event_loop_lag_p99_s": "histogram_quantile(0.99, sum by (variant, instance, le)"
    f" (rate(api_event_loop_lag_seconds_bucket{_OVER})))",
    "api_worker_cpu": "sum by (variant, instance, worker)"
    f' (rate(process_cpu_seconds_total{{worker!=""}}{_OVER}))',
    "triton_requests_per_s": "sum by (variant, instance, model)"
    f" (rate(nv_inference_request_success{_OVER}))",
    "triton_queue_mean_s": "sum by (variant, instance, model)"
    f" (rate(nv_inference_queue_duration_us{_OVER})) / 1e6"
    f" / sum by (variant, instance, model) (rate(nv_inference_request_success{_OVER}))",
    "triton_batch_mean": f"sum by (variant, instance, model) (rate(nv_inference_count{_OVER}))"
    f" / sum by (variant, instance, model) (rate(nv_inference_exec_count{_OVER}))",
    "triton_pending": "sum by (variant, instance, model) (nv_inference_pending_request_count)",
}


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The `[prometheus]` of a campaign; queries of its own are among the default ones."""

    url: str
    step_s: float = 1.0
    queries: dict[str, str] = field(default_factory=lambda: dict(DEFAULTS))
    targets: str = ""  # the file in which it looks for what to scrape (targets.py)
