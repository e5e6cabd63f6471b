"""
What each tool prints at the end of a run, read into one form.

Nothing is computed here: a percentile is the tool's own, converted to milliseconds. A percentile
that a tool does not report is None.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class OutputError(Exception):
    """An output that is not what the tool was expected to print."""


@dataclass(frozen=True, slots=True)
class Report:
    """A tool's account of its run."""

    requests: int  # answered, with whatever status
    errors: int  # of any kind that the tool counts
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    extra: Mapping[str, Any]  # what else the tool says that bears on the comparison


def wrk(text: str) -> Report:
    """The line that wrk.lua prints after wrk's own report."""
    found = _json(text[text.rfind("{") :])
    p50, p95, p99 = (found[f"{name}_us"] / 1e3 for name in ("p50", "p95", "p99"))
    return Report(found["requests"], found["errors"], p50, p95, p99, {})


def hey(text: str) -> Report:
    """The summary for people; hey has no JSON. Times are in seconds with four decimals."""
    counts = {m[1]: int(m[2]) for m in re.finditer(r"\[(\d+)\]\s+(\d+) responses", text)}
    if not counts:
        raise OutputError("hey: no status code distribution; expected its summary")
    failed = text.partition("Error distribution:")[2]
    errors = sum(int(m[1]) for m in re.finditer(r"\[(\d+)\]", failed))
    errors += sum(count for status, count in counts.items() if not status.startswith("2"))

    def percentile(name: str) -> float | None:
        found = re.search(rf"^\s+{name}% in ([\d.]+) secs", text, re.M)
        return float(found[1]) * 1e3 if found else None

    p50, p95, p99 = (percentile(name) for name in ("50", "95", "99"))
    return Report(sum(counts.values()), errors, p50, p95, p99, {})


def vegeta(text: str) -> Report:
    """`vegeta report -type json`, in nanoseconds."""
    found = _json(text)
    ok = sum(n for status, n in found["status_codes"].items() if status.startswith("2"))
    p50, p95, p99 = (found["latencies"][name] / 1e6 for name in ("50th", "95th", "99th"))
    return Report(found["requests"], found["requests"] - ok, p50, p95, p99, {})


def bombardier(text: str) -> Report:
    """`-o json`, in microseconds."""
    result = _json(text)["result"]
    failed = {name: result[name] for name in ("req1xx", "req3xx", "req4xx", "req5xx", "others")}
    errors = sum(failed.values())
    p50, p95, p99 = (result["latency"]["percentiles"][name] / 1e3 for name in ("50", "95", "99"))
    return Report(result["req2xx"] + errors, errors, p50, p95, p99, {})


def fortio(text: str) -> Report:
    """The file of `-json`, in seconds."""
    found = _json(text)
    histogram = found["DurationHistogram"]
    at = {entry["Percentile"]: entry["Value"] * 1e3 for entry in histogram["Percentiles"] or ()}
    ok = sum(n for status, n in found["RetCodes"].items() if status.startswith("2"))
    total = sum(found["RetCodes"].values())
    return Report(total, total - ok, at.get(50), at.get(95), at.get(99), {})


def k6(text: str) -> Report:
    """The line that k6.js prints."""
    found = _json(text)
    times = (found["p50_ms"], found["p95_ms"], found["p99_ms"])
    return Report(found["requests"], found["errors"], *times, {"dropped": found["dropped"]})


def oha(text: str) -> Report:
    """`--output-format json`, in seconds."""
    found = _json(text)
    answered = sum(found["statusCodeDistribution"].values())
    bad = {s: n for s, n in found["statusCodeDistribution"].items() if not s.startswith("2")}
    failed: dict[str, int] = dict(found["errorDistribution"])
    # Requests on their way at the end of a closed loop are cut off, which is no failure.
    cut_off = failed.pop("aborted due to deadline", 0)
    p50, p95, p99 = (_ms(found["latencyPercentiles"][name]) for name in ("p50", "p95", "p99"))
    errors = sum(bad.values()) + sum(failed.values())
    return Report(answered, errors, p50, p95, p99, {"cut_off": cut_off})


def triton_bench(text: str) -> Report:
    """`--json`: the response times, which count from when a request was due."""
    found = _json(text)
    counted, times = found["accounting"], found["response_ms"]
    errors = counted["issued"] - counted["ok"]
    extra = {
        "send_lag_p50_ms": found["instrument"]["send_lag_p50_ms"],
        "send_lag_p99_ms": found["instrument"]["send_lag_p99_ms"],
    }
    return Report(
        counted["issued"], errors, times["p50"], times["p95"], times["p99"], extra
    )  # fmt: skip


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        raise OutputError(f"not JSON: {text.strip()[-200:]!r}") from None
    if not isinstance(found, dict):
        raise OutputError(f"not an object: {text.strip()[:200]!r}")
    return found
