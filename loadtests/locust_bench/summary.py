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
import pyarrow as pa
from numpy.typing import NDArray

from loadtests import samples
from loadtests.locust_bench.merge import Merged, Step, within
from loadtests.locust_bench.options import Options
from loadtests.samples import OUTCOMES, Window

# The smallest counts for which a 95 % interval of the percentile exists.
NEEDED = {"p50": (0.50, 1), "p95": (0.95, 72), "p99": (0.99, 368)}
# As triton_bench judges itself.
LATE_MS, LATE_SHARE = 1.0, 0.05
BUSY_SHARE = 0.70
PAUSE_SHARE = 0.001


@dataclass(frozen=True, slots=True)
class Facts:
    """What the summary says that the rows do not."""

    number: int  # of the run in this process, from 1
    host: str
    paths: list[str]
    clients: int | None
    images: int
    window: Window
    t0_ns: int  # of the monotonic clock
    wall_s: float
    master_cpu_s: float
    interrupted: bool
    has_steps: bool


@dataclass(frozen=True, slots=True)
class Rows:
    """The columns that are counted."""

    due: NDArray[np.int64]
    sent: NDArray[np.int64]
    done: NDArray[np.int64]
    status: NDArray[np.int32]
    error: NDArray[np.str_]
    outcome: NDArray[np.str_]


def rows_of(table: pa.Table) -> Rows:
    """Those of a table of samples."""
    numbers = (table[name].to_numpy() for name in ("due_ns", "sent_ns", "done_ns", "status"))
    names = (table["error"].cast(pa.string()), samples.outcome(table))
    return Rows(*numbers, *(column.to_numpy(zero_copy_only=False) for column in names))


def latency_ms(
    every: NDArray[np.int64], given_up: NDArray[np.bool_], *, any_number: bool = False
) -> dict[str, Any]:
    """Percentiles, maximum and mean; `at_least` of the times are lower bounds."""
    answered = np.sort(every[~given_up])
    found: dict[str, Any] = {
        name: _ranked(answered, len(every), p)
        if len(every) >= (1 if any_number else need)
        else None
        for name, (p, need) in NEEDED.items()
    }
    found["max"] = float(every.max()) / 1e6 if len(every) else None
    found["mean"] = float(every.mean()) / 1e6 if len(every) else None
    return {**found, "at_least": int(np.count_nonzero(given_up))}


def _ranked(ordered: NDArray[np.int64], total: int, p: float) -> float | None:
    rank = max(1, ceil(p * total - 1e-9))
    return float(ordered[rank - 1]) / 1e6 if rank <= len(ordered) else None


def summarize(merged: Merged, options: Options, facts: Facts) -> dict[str, Any]:
    """The summary of a run."""
    rows, steps, window = rows_of(merged.table), merged.steps, facts.window
    said = _measured(rows, steps)
    instrument = _instrument(merged, rows, facts)
    limits = list(reasons(instrument, said["response_ms"]["p50"]))
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
        "trace_ratio": options.trace_ratio,
        "started_unix_ns": window.start_unix_ns,
        "warmup_s": options.warmup_s,
        "duration_s": _length_s(steps),
        "window": asdict(window),
        "accounting": _accounts(Counter(rows.outcome.tolist()), merged.issued),
        **said,
        "steps": [_step(rows, step) for step in steps] if facts.has_steps else [],
        "instrument": {"valid": not limits, "reasons": limits, **instrument},
        "interrupted": facts.interrupted,
    }


def _step(rows: Rows, step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "clients": step.clients,
        "rate": None,
        "start_ns": step.measure_ns,
        "end_ns": step.end_ns,
        **_measured(rows, [step]),
    }


def _measured(rows: Rows, steps: list[Step]) -> dict[str, Any]:
    """What was due in these steps; throughput is of what was answered in them."""
    mine, ok = within(rows.due, steps), rows.outcome == "ok"
    given_up = np.isin(rows.outcome, ("timeout", "censored"))
    counts = Counter(rows.outcome[mine].tolist())
    errors = Counter(rows.error[mine & (rows.error != "")].tolist())
    refused = rows.status[mine & (rows.outcome == "http_error")]
    errors.update(f"http_{code}" for code in refused.tolist())
    timed = mine & (ok | given_up)
    return {
        "measured": _accounts(counts, sum(counts.values())),
        "errors": dict(sorted(errors.items())),
        "throughput_rps": int(np.count_nonzero(ok & within(rows.done, steps))) / _length_s(steps),
        "response_ms": latency_ms((rows.done - rows.due)[timed], given_up[timed]),
        "service_ms": latency_ms((rows.done - rows.sent)[timed], given_up[timed]),
    }


def _accounts(counts: Counter[str], issued: int) -> dict[str, int]:
    return {"issued": issued, **{name: counts[name] for name in OUTCOMES}}


def _length_s(steps: list[Step]) -> float:
    return sum(max(1, step.end_ns - step.measure_ns) for step in steps) / 1e9


def _instrument(merged: Merged, rows: Rows, facts: Facts) -> dict[str, Any]:
    """The keys are triton_bench's, so that one analysis reads both."""
    footers, steps = merged.footers, merged.steps
    lag = (rows.sent - rows.due)[within(rows.due, steps) & (rows.error != "connect")]
    # A check of the instrument and no result: its P99 needs no certain number of requests.
    lag_ms = latency_ms(lag, np.zeros(len(lag), np.bool_), any_number=True)
    sent = np.count_nonzero(within(rows.sent, steps))
    # One step at the limit is not made good by others with few users.
    shares = [
        footer.busy_share(facts.t0_ns + step.measure_ns, facts.t0_ns + step.end_ns)
        for footer in footers
        for step in steps
    ]

    def worst(name: str) -> float:
        return max((getattr(footer, name) for footer in footers), default=0.0)

    return {
        "send_lag_p50_ms": lag_ms["p50"],
        "send_lag_p99_ms": lag_ms["p99"],
        "send_lag_max_ms": lag_ms["max"],
        "offered_rps": None,
        "achieved_rps": int(sent) / _length_s(steps),
        "cpu_s": sum(footer.cpu_s for footer in footers) + facts.master_cpu_s,
        "wall_s": facts.wall_s,
        "busiest_lane_share": max(shares, default=0.0),
        "gomaxprocs": len(footers),
        "gc_pause_max_ms": worst("gc_pause_max_ms"),
        "gc_pause_share": worst("gc_pause_share"),
        "sched_latency_p99_ms": worst("loop_lag_p99_ms"),
        "rss_max_bytes": sum(footer.rss_max_bytes for footer in footers),
        "connections": sum(footer.dials for footer in footers),
        "queued_for_connection": 0,
    }


def reasons(instrument: dict[str, Any], p50_ms: float | None) -> Iterator[str]:
    """
    What Locust itself was short of: what was found; what was expected; what to do.

    Answers that come while Locust is at work on others wait to be read, and the wait is in their
    latencies. How busy it was tells of that, and how long a user that was free had to wait to send.
    The typical lag decides: the longest ones are the machine's, which wakes nobody on time.
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
    lag_ms = instrument["send_lag_p50_ms"] or 0.0
    if lag_ms > allowed_ms:
        yield (
            f"send lag: half of the requests left {lag_ms:.2f} ms or more after their user was"
            f" free; expected at most {allowed_ms:.2f} ms (1 ms or 5 % of P50), because answers"
            " wait as long to be read; take fewer users, more --processes, or triton_bench"
        )
    pause_ms, pause_share = instrument["gc_pause_max_ms"], instrument["gc_pause_share"]
    if pause_ms > allowed_ms and pause_share > PAUSE_SHARE:
        yield (
            f"garbage collection: it stopped Locust for {pause_share:.2%} of the time, for up to"
            f" {pause_ms:.2f} ms; expected at most {PAUSE_SHARE:.1%}, or pauses of at most"
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
