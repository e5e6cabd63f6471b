"""
Writes rules/slo.yml, the rules that follow from slo.yml; with --check says whether it is current.

    python -m prometheus.build

Long windows are sums of what was recorded over 5 minutes. A rate over 3 days of the service's own
series would read millions of samples each time, on a machine that is there to be measured; and
sums weigh a request like a request, where an average of ratios would weigh a minute like a minute.
"""

import argparse
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from textwrap import indent
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from service.telemetry import DURATION, REQUESTS, SECONDS

FOLDER = Path(__file__).parent
SOURCE = FOLDER / "slo.yml"
RULES = FOLDER / "rules/slo.yml"

# Scrapes and health checks are counted as well, and nobody was promised anything about them.
PREDICTIONS = 'route=~"/predict.*|/pytorch.*"'
SUCCESSES = f'{PREDICTIONS},status="2xx"'
INTERVAL_S = 30
SHORTEST = "5m"
UNITS = {"m": 60, "h": 3600, "d": 86400}

HEAD = """\
# Made of slo.yml by `python -m prometheus.build`; changes belong there.
"""

Rule = dict[str, Any]


def seconds(window: str) -> int:
    return int(window[:-1]) * UNITS[window[-1]]


def expression(text: str) -> str:
    """Written as a block, one line a line."""
    block: str = LiteralScalarString(text.strip() + "\n")
    return block


def record(name: str, expr: str, **labels: str) -> Rule:
    rule: Rule = {"record": name}
    if labels:
        rule["labels"] = labels
    return rule | {"expr": expression(expr)}


def rates(objective: dict[str, Any], window: str) -> tuple[str, str]:
    """Requests a second that count, and of these the bad ones: 0, and not absent, without any."""

    def rate(series: str) -> str:
        return f"sum by (job) (rate({series}[{window}]))"

    if "within_s" in objective:
        bound = threshold(objective)
        every = rate(f"{DURATION.name}_count{{{SUCCESSES}}}")
        good = rate(f'{DURATION.name}_bucket{{{SUCCESSES},le="{bound}"}}')
        # Each rate is extrapolated by itself, and the difference of equal ones may be below 0.
        return every, f"clamp_min(\n  {every}\n  - {good},\n  0\n)"
    status = "|".join(objective["bad_status"])
    every = rate(f"{REQUESTS.name}{{{PREDICTIONS}}}")
    bad = rate(f'{REQUESTS.name}{{{PREDICTIONS},status=~"{status}"}}')
    return every, f"{bad}\nor 0 * {every}"


def threshold(objective: dict[str, Any]) -> float:
    """A bound of the histograms; no integer, since Prometheus 2 and 3 write `1` and `1.0`."""
    bound = float(objective["within_s"])
    if bound not in SECONDS or bound.is_integer():
        raise SystemExit(
            f"{SOURCE}: {objective['slo']}: within_s: found {bound:g}; expected a bound of"
            " service.telemetry.SECONDS that is no whole number"
        )
    return bound


def base(objectives: list[dict[str, Any]]) -> Iterator[Rule]:
    for objective in objectives:
        name = objective["slo"]
        every, bad = rates(objective, SHORTEST)
        yield record("slo:objective:ratio", f"vector({objective['target']})", slo=name)
        yield record(f"slo:requests:rate{SHORTEST}", every, slo=name)
        yield record(f"slo:bad_requests:rate{SHORTEST}", bad, slo=name)


def share(window: str) -> str:
    """Bad ones of all over a window; absent, and not NaN, where there were no requests."""
    bad, every = f"slo:bad_requests:rate{SHORTEST}", f"slo:requests:rate{SHORTEST}"
    if window != SHORTEST:
        bad, every = (f"sum_over_time({one}[{window}])" for one in (bad, every))
    return f"{bad}\n/ ({every} > 0)"


def budget(days: int) -> Rule:
    spent = indent(share(f"{days}d"), "  ")
    expr = f"1 - (\n{spent}\n) / on (slo) group_left () (1 - slo:objective:ratio)"
    return record(f"slo:error_budget_left:ratio{days}d", expr)


def burning(alert: dict[str, Any], days: int, minimum_bad: int) -> Rule:
    """Fires while both windows spend the budget *factor* times as fast as the period allows."""
    factor, long, short = alert["factor"], alert["long"], alert["short"]
    limit = f"on (slo) group_left () ({factor} * (1 - slo:objective:ratio))"
    expr = (
        f"slo:sli_error:ratio_rate{long} > {limit}\n"
        f"and slo:sli_error:ratio_rate{short} > {limit}\n"
        f"and sum_over_time(slo:bad_requests:rate{SHORTEST}[{long}]) * {INTERVAL_S}"
        f" >= {minimum_bad}"
    )
    anchor = alert["alert"].lower()
    return {
        "alert": alert["alert"],
        "expr": expression(expr),
        "labels": {"severity": alert["severity"], "window": long},
        "annotations": {
            "summary": f"{{{{ $labels.slo }}}} of {{{{ $labels.job }}}} spends its error budget"
            f" at over {factor} times the allowed rate",
            "description": f"{{{{ $value | humanizePercentage }}}} of predictions in {long} were"
            f" bad. At {factor} times the allowed rate the budget of {days} days is gone in"
            f" {days / factor:.3g} days.",
            "runbook": "See which track and which status it is (dashboard or"
            f" job_track:api_requests:rate1m), then prometheus/README.md#{anchor}",
        },
    }


def over_objective(objective: dict[str, Any], minimum_per_s: float) -> Rule:
    """By track: the objective itself is about all tracks, in which a small one disappears."""
    by = "by (job, track"
    bound, target = threshold(objective), objective["target"]
    expr = (
        f"histogram_quantile({target}, sum {by}, le)"
        f" (rate({DURATION.name}_bucket{{{SUCCESSES}}}[5m]))) > {bound}\n"
        f"and sum {by}) (rate({DURATION.name}_count{{{SUCCESSES}}}[5m])) > {minimum_per_s}"
    )
    return {
        "alert": "LatencyOverObjective",
        "expr": expression(expr),
        "for": "5m",
        "labels": {"severity": "ticket"},
        "annotations": {
            "summary": f"P{target * 100:g} of track {{{{ $labels.track }}}} is over"
            f" {bound * 1000:g} ms",
            "description": "Of its successful predictions in 5 minutes it is"
            " {{ $value | humanizeDuration }}, estimated from buckets.",
            "runbook": "See which stage is slow (job_track_stage:api_stage_duration_seconds"
            ":p99_1m), then prometheus/README.md#latencyoverobjective",
        },
    }


def campaign(objectives: list[dict[str, Any]]) -> Iterator[Rule]:
    """The same ratios over a minute: what a cell of a campaign is long enough for. No alerts."""
    for objective in objectives:
        every, bad = rates(objective, "1m")
        expr = f"(\n{indent(bad, '  ')}\n)\n/ ({every} > 0)"
        yield record("campaign:sli_error:ratio_rate1m", expr, slo=objective["slo"])


def groups(source: dict[str, Any]) -> list[dict[str, Any]]:
    objectives, alerts, days = source["objectives"], source["burning"], source["period_days"]
    windows = {alert[which] for alert in alerts for which in ("long", "short")} | {SHORTEST}
    ratios = [
        record(f"slo:sli_error:ratio_rate{window}", share(window))
        for window in sorted(windows, key=seconds)
    ]
    burn = [burning(alert, days, source["minimum_bad"]) for alert in alerts]
    slow = [
        over_objective(objective, source["minimum_per_s"])
        for objective in objectives
        if "within_s" in objective
    ]
    # In one group: its rules see what those before them have just recorded.
    rules = [*base(objectives), *ratios, budget(days), *burn, *slow]
    return [
        {"name": "slo", "interval": f"{INTERVAL_S}s", "rules": rules},
        {"name": "slo_campaign", "rules": list(campaign(objectives))},
    ]


def text(source: dict[str, Any]) -> str:
    yaml = YAML()
    yaml.width = 1000
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = StringIO()
    yaml.dump({"groups": groups(source)}, out)
    return HEAD + out.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Write the rules that follow from prometheus/slo.yml.",
        epilog="example: python -m prometheus.build --check",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; status 1 where the rules are old"
    )
    check = parser.parse_args().check
    rules = text(YAML(typ="safe").load(SOURCE.read_text()))
    if not check:
        RULES.write_text(rules)
    elif not RULES.exists() or RULES.read_text() != rules:
        print(f"{RULES}: not what slo.yml says; run `python -m prometheus.build`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
