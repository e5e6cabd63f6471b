"""
What a run came to, in the shape of triton_bench's summary: one JSON object, and lines for people.

A percentile is an observed value of rank ceil(p*n). Requests that were given up rank above all
answers, and where the rank falls among them nothing is said.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtests.locust_bench.merge import Merged, Step, Times
from loadtests.locust_bench.options import Options
from loadtests.samples import OUTCOMES, Window

# The smallest counts for which a 95 % interval of the percentile exists.
NEEDED = {"p50": (0.50, 1), "p95": (0.95, 72), "p99": (0.99, 368)}
# As triton_bench judges itself.
LATE_MS, LATE_SHARE = 1.0, 0.05
BUSY_SHARE = 0.70


@dataclass(frozen=True, slots=True)
class Facts:
    """What the summary says that the rows do not."""

    number: int  # of the run in this process, from 1
    host: str
    paths: list[str]
    clients: int | None
    images: int
    window: Window
    wall_s: float
    master_cpu_s: float
    interrupted: bool
    has_steps: bool


def latency_ms(
    times: list[NDArray[np.int64]], given_up: list[NDArray[np.bool_]], *, any_number: bool = False
) -> dict[str, Any]:
    """Percentiles, maximum and mean; `at_least` of the times are lower bounds."""
    every = np.concatenate([np.empty(0, np.int64), *times])
    bounds = np.concatenate([np.empty(0, np.bool_), *given_up])
    answered = np.sort(every[~bounds])
    found: dict[str, Any] = {
        name: _ranked(answered, len(every), p)
        if len(every) >= (1 if any_number else need)
        else None
        for name, (p, need) in NEEDED.items()
    }
    found["max"] = float(every.max()) / 1e6 if len(every) else None
    found["mean"] = float(every.mean()) / 1e6 if len(every) else None
    return {**found, "at_least": int(np.count_nonzero(bounds))}


def _ranked(ordered: NDArray[np.int64], total: int, p: float) -> float | None:
    rank = max(1, ceil(p * total - 1e-9))
    return float(ordered[rank - 1]) / 1e6 if rank <= len(ordered) else None


def summarize(merged: Merged, options: Options, facts: Facts) -> dict[str, Any]:
    """The summary of a run."""
    whole = _together(merged.times)
    measured_s = sum(_length_s(step) for step in merged.steps)
    # A check of the instrument and no result: its P99 needs no certain number of requests.
    none = [np.zeros(len(part), np.bool_) for part in whole.lag_ns]
    lag = latency_ms(whole.lag_ns, none, any_number=True)
    said = _measured(whole, measured_s)
    instrument = _instrument(merged, facts, lag, whole.sent_in_window / measured_s)
    reasons = list(_reasons(instrument, said["response_ms"]["p50"]))
    steps = [
        {
            "name": step.name,
            "clients": step.clients,
            "rate": None,
            "start_ns": step.measure_ns,
            "end_ns": step.end_ns,
            **_measured(times, _length_s(step)),
        }
        for step, times in zip(merged.steps, merged.times, strict=True)
    ]
    window = facts.window
    return {
        "version": 1,
        "tool": "locust",
        "tool_version": version("locust"),
        "loop": "closed",
        "url": facts.host + (facts.paths[0] if len(facts.paths) == 1 else ""),
        "paths": facts.paths,
        "client": "geventhttpclient",
        "clients": facts.clients,
        "rate": None,
        "seed": options.seed,
        "body": options.body,
        "images": facts.images,
        "started_unix_ns": window.start_unix_ns,
        "warmup_s": options.warmup_s,
        "duration_s": measured_s,
        "window": asdict(window),
        "accounting": _accounts(merged.counts, merged.issued),
        **said,
        "steps": steps if facts.has_steps else [],
        "instrument": {"valid": not reasons, "reasons": reasons, **instrument},
        "interrupted": facts.interrupted,
    }


def _measured(times: Times, seconds: float) -> dict[str, Any]:
    return {
        "measured": _accounts(times.counts, sum(times.counts.values())),
        "errors": dict(sorted(times.errors.items())),
        "throughput_rps": times.ok_in_window / seconds if seconds > 0 else None,
        "response_ms": latency_ms(times.response_ns, times.given_up),
        "service_ms": latency_ms(times.service_ns, times.given_up),
    }


def _together(every: list[Times]) -> Times:
    whole = Times()
    for times in every:
        whole.counts += times.counts
        whole.errors += times.errors
        whole.ok_in_window += times.ok_in_window
        whole.sent_in_window += times.sent_in_window
        for name in ("response_ns", "service_ns", "lag_ns", "given_up"):
            getattr(whole, name).extend(getattr(times, name))
    return whole


def _accounts(counts: Counter[str], issued: int) -> dict[str, int]:
    return {"issued": issued, **{name: counts[name] for name in OUTCOMES}}


def _length_s(step: Step) -> float:
    return max(1, step.end_ns - step.measure_ns) / 1e9


def _instrument(
    merged: Merged, facts: Facts, lag: dict[str, Any], achieved_rps: float
) -> dict[str, Any]:
    """The keys are triton_bench's, so that one analysis reads both."""
    footers = merged.footers
    worst_pause, worst_lag = (
        max((getattr(footer, name) for footer in footers), default=0.0)
        for name in ("gc_pause_max_ms", "loop_lag_p99_ms")
    )
    return {
        "send_lag_p50_ms": lag["p50"],
        "send_lag_p99_ms": lag["p99"],
        "send_lag_max_ms": lag["max"],
        "offered_rps": None,
        "achieved_rps": achieved_rps,
        "cpu_s": sum(footer.cpu_s for footer in footers) + facts.master_cpu_s,
        "wall_s": facts.wall_s,
        "busiest_lane_share": max((footer.cpu_s for footer in footers), default=0.0) / facts.wall_s,
        "gomaxprocs": len(footers),
        "gc_pause_max_ms": worst_pause,
        "sched_latency_p99_ms": worst_lag,
        "rss_max_bytes": sum(footer.rss_max_bytes for footer in footers),
        "connections": sum(footer.dials for footer in footers),
        "queued_for_connection": 0,
    }


def _reasons(instrument: dict[str, Any], p50_ms: float | None) -> Iterator[str]:
    """
    What Locust itself was short of: what was found; what was expected; what to do.

    In a closed loop nothing is late, but answers that come while Locust is at work on others wait
    to be read, and the wait is in their latencies; how busy it was, and its pauses, tell of that.
    """
    allowed_ms = max(LATE_MS, LATE_SHARE * (p50_ms or 0.0))
    processes = max(1, instrument["gomaxprocs"])
    share = instrument["busiest_lane_share"]
    if share > BUSY_SHARE:
        yield (
            f"CPU: the busiest of {processes} Locust processes was at work for {share:.0%} of the"
            f" time; expected at most {BUSY_SHARE:.0%}, because answers then wait to be read;"
            " take more --processes, or triton_bench"
        )
    pause_ms = instrument["gc_pause_max_ms"]
    if pause_ms > allowed_ms:
        yield (
            f"garbage collection: the longest pause was {pause_ms:.2f} ms; expected at most"
            f" {allowed_ms:.2f} ms (1 ms or 5 % of P50); use triton_bench"
        )


def for_people(summary: dict[str, Any]) -> str:
    """The same in a few lines."""
    counts = summary["measured"]
    parts = [f"{counts[name]} {name.replace('_', ' ')}" for name in OUTCOMES]
    lines = [f"measured   {counts['issued']} = {' + '.join(parts)}"]
    lines += [f"           {count} {name}" for name, count in summary["errors"].items()]
    for name in ("response", "service"):
        times = summary[f"{name}_ms"]
        numbers = (f"{key.upper()} {_number(times[key])}" for key in ("p50", "p95", "p99", "max"))
        lines.append(f"{name:<10} {'  '.join(numbers)} ms")
    for step in summary["steps"]:
        response = step["response_ms"]
        lines.append(
            f"{step['name']:<10} {_number(step['throughput_rps'])} ok/s  P50"
            f" {_number(response['p50'])}  P95 {_number(response['p95'])} ms"
        )
    rate = _number(summary["throughput_rps"])
    lines.append(f"throughput {rate} ok a second over {summary['duration_s']:.1f} s")
    lines += [f"INVALID    {reason}" for reason in summary["instrument"]["reasons"]]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
