"""Medians over the rounds, and what they come to beside the targets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.peers.pacing import ACHIEVED
from benchmarks.peers.tools import TOOLS
from benchmarks.peers.truth import PERCENTILES

OURS = "triton_bench"
WITH_SAMPLES = "triton_bench --samples"
LANGUAGE = {tool.name: tool.language for tool in TOOLS}
WRK_SHARE = 0.8
LAG_RATE, LAG_P50_US, LAG_P99_US = "1000/s", 60.0, 300.0
TRUTH_ERROR = 0.01
# More than this of the generator's CPU in other hands, and a miss may be theirs.
DISTURBED = 0.05

Value = Callable[[Mapping[str, Any]], float | None]


@dataclass(frozen=True, slots=True)
class Target:
    """What was to be reached, and what was."""

    name: str
    found: str
    met: bool | None  # None: not measured
    reason: str = ""


def visits(
    result: Mapping[str, Any], part: str, condition: str, tool: str
) -> list[Mapping[str, Any]]:
    """Those that succeeded."""
    wanted = (part, condition, tool)
    return [
        visit
        for visit in result["visits"]
        if (visit["part"], visit["condition"], visit["tool"]) == wanted and not visit["failure"]
    ]


def conditions(result: Mapping[str, Any], part: str) -> list[str]:
    """Of a part, as they were first met."""
    return list(dict.fromkeys(v["condition"] for v in result["visits"] if v["part"] == part))


def tools(result: Mapping[str, Any], part: str) -> list[str]:
    """That were met in a part, ours first."""
    met = {v["tool"] for v in result["visits"] if v["part"] == part}
    return [tool.name for tool in TOOLS if tool.name in met]


def middle(found: Sequence[Mapping[str, Any]], value: Value) -> float | None:
    """The median of a value over the rounds; None if a round lacks it, or there was none."""
    values = [value(visit) for visit in found]
    known = [v for v in values if v is not None]
    return median(known) if known and len(known) == len(values) else None


def per_cpu_s(result: Mapping[str, Any], condition: str, tool: str) -> float | None:
    """Requests a CPU-second, closed loop."""
    found = visits(result, "throughput", condition, tool)
    return middle(found, lambda v: v["requests_per_cpu_s"])


def lag_us(
    result: Mapping[str, Any], condition: str, tool: str, name: str, kind: str = "lag_us"
) -> float | None:
    """A percentile of the lag; None also for a tool that did not keep to the rate."""
    found = visits(result, "pacing", condition, tool)
    if (kept := middle(found, lambda v: v["achieved"])) is None or kept < ACHIEVED:
        return None
    return middle(found, lambda v: v[kind][name])


def error(result: Mapping[str, Any], condition: str, tool: str, name: str) -> float | None:
    """Of a reported percentile, as a share of theory."""
    found = visits(result, "truth", condition, tool)
    reported = middle(found, lambda v: v["reported_ms"][name])
    theory = middle(found, lambda v: v["theory_ms"][name])
    return None if reported is None or theory is None else reported / theory - 1


def targets(result: Mapping[str, Any]) -> list[Target]:
    """All of them, met or missed."""
    return [*_throughput(result), *_lags(result), _truth(result)]


def _throughput(result: Mapping[str, Any]) -> Iterator[Target]:
    for condition in conditions(result, "throughput"):
        rates = {tool: per_cpu_s(result, condition, tool) for tool in tools(result, "throughput")}
        ours = rates.pop(OURS, None)
        others = {tool: rate for tool, rate in rates.items() if rate and not tool.startswith(OURS)}
        best = max((t for t in others if LANGUAGE[t] != "C"), key=others.__getitem__, default=None)
        reason = _disturbance(result, "throughput", condition)
        for name, peer, bound in (
            (f"{condition}: ahead of every Go and Rust peer", best, 1.0),
            (f"{condition}: at least {WRK_SHARE:g} of wrk", "wrk", WRK_SHARE),
        ):
            if ours is None or peer not in others:
                yield Target(name, "not measured", None)
            else:
                ratio = ours / others[peer]
                yield Target(name, f"{ratio:.2f} of {peer}", ratio >= bound, reason)


def _lags(result: Mapping[str, Any]) -> Iterator[Target]:
    for name, bound in (("p50", LAG_P50_US), ("p99", LAG_P99_US)):
        found = lag_us(result, LAG_RATE, WITH_SAMPLES, name, "absolute_lag_us")
        title = f"sent late at {LAG_RATE}, {name.upper()} under {bound:g} us"
        if found is None:
            yield Target(title, "not measured", None)
        else:
            reason = _disturbance(result, "pacing", LAG_RATE)
            yield Target(title, f"{found:.1f} us", found < bound, reason)
    for condition in conditions(result, "pacing"):
        for name in ("p50", "p99"):
            yield _best(result, condition, name)


def _best(result: Mapping[str, Any], condition: str, name: str) -> Target:
    title = f"sent late at {condition}, {name.upper()} the lowest of all"
    lags = {tool: lag_us(result, condition, tool, name) for tool in tools(result, "pacing")}
    ours = lags.pop(WITH_SAMPLES, None)
    others = {tool: lag for tool, lag in lags.items() if lag is not None}
    if ours is None or not others:
        return Target(title, "not measured", None)
    peer = min(others, key=others.__getitem__)
    text = f"{ours:.1f} us; {peer} {others[peer]:.1f} us"
    return Target(title, text, ours <= others[peer], _disturbance(result, "pacing", condition))


def _truth(result: Mapping[str, Any]) -> Target:
    title = f"reported percentiles within {TRUTH_ERROR:.0%} of theory"
    errors = {
        (case, name): error(result, case, OURS, name)
        for case in conditions(result, "truth")
        for name in PERCENTILES
    }
    known = {key: found for key, found in errors.items() if found is not None}
    if not known or len(known) < len(errors):
        return Target(title, "not measured", None)
    case, name = max(known, key=lambda key: abs(known[key]))
    worst = known[case, name]
    text = f"{worst:+.2%} at most ({case}, {name.upper()})"
    return Target(title, text, abs(worst) < TRUTH_ERROR, _disturbance(result, "truth", case))


def _disturbance(result: Mapping[str, Any], part: str, condition: str) -> str:
    """What the data say about a miss: whether something else had a hand in it."""
    ours = [
        visit for name in (OURS, WITH_SAMPLES) for visit in visits(result, part, condition, name)
    ]
    if not ours:
        return ""
    share = max(visit["others_share"] for visit in ours)
    if share > DISTURBED:
        return f"other work took up to {share:.0%} of the generator's CPU"
    return "the generator had its CPU to itself: its own"
