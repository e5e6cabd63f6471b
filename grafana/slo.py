"""Objectives: are they met, how much of the error budget is left, and how fast it goes."""

from grafana import names as n
from grafana.boards import JOB, SLO, Board, Section
from grafana.panels import STATUSES, Target, lines, number, table_of
from grafana.promql import Exporter, or_zero
from service import telemetry as t

RULES = Exporter(('job=~"$job"', 'slo=~"$slo"'))
JOBS = Exporter(('job=~"$job"',))
OBJECTIVE = f'{n.RULE_OBJECTIVE}{{slo=~"$slo"}}'
ALLOWED = f"on (slo) group_left () (1 - {OBJECTIVE})"
# One for a severity of an objective, whichever pair of windows it is that holds.
ONE = "max by (alertname, severity, alertstate, slo)"
ALERTS = or_zero(f"{ONE} ({n.ALERTS})", "alertname")
FIRING = f'{ONE} ({n.ALERTS}{{alertstate="firing"}})'
# The longer a window, the darker it is; objectives differ by their dashes.
FAST, SLOW = ("5m", "30m", "1h", "6h"), ("2h", "6h", "1d", "3d")
SHADES = ("super-light-blue", "light-blue", "blue", "dark-blue")
ANSWERED = (n.PREDICTIONS, 'status="2xx"')
IN_TIME = (*ANSWERED, f'le="{n.LATENCY_OBJECTIVE_S}"')


def error(window: str) -> str:
    """The share of bad predictions over a window, as the rules record it."""
    return RULES.series(n.RULE_BURN + window)


def burn(window: str) -> str:
    """How many times as fast as allowed the budget goes."""
    return f"{error(window)} / {ALLOWED}"


NOW = Section(
    "Now",
    (
        number(
            "Error budget left, 30 days",
            "Of the bad predictions that 30 days allow. Below 0 the objective is missed: stop"
            " changing things and find what costs it. Needs 30 days of storage to be the whole.",
            "percentunit",
            Target(RULES.series(n.RULE_BUDGET), "{{slo}}"),
            levels=((None, "red"), (0, "orange"), (0.25, "green")),
            digits=1,
        ),
        number(
            "Good predictions, 1 hour",
            "The indicator: not failed, and answered in time. Read it beside the objective.",
            "percentunit",
            Target(f"1 - {error('1h')}", "{{slo}}"),
            digits=3,
        ),
        number(
            "Objective",
            "What is promised of predictions, over 30 days: prometheus/slo.yml, where a change"
            " also changes rules and alerts.",
            "percentunit",
            Target(OBJECTIVE, "{{slo}}"),
            digits=1,
        ),
        number(
            "Alerts that fire",
            "Of all rules. The table below names them; each has a runbook in its annotations.",
            "short",
            Target(or_zero(f"count({FIRING})"), "firing"),
            levels=((None, "green"), (1, "red")),
        ),
    ),
)

BURN = Section(
    "How fast the budget goes (1 is exactly as fast as allowed)",
    (
        lines(
            "Burn rate, fast windows",
            "An alert that pages needs a long and a short window of a pair above its factor: 1h and"
            " 5m above 14.4 (the dashes), 6h and 30m above 6. Short ones fall first when it ends.",
            "short",
            *(Target(burn(w), f"{{{{slo}}}} {w}") for w in FAST),
            width=12,
            height=10,
            colours=dict(zip(FAST, SHADES, strict=True)),
            dashed="latency",
            limit=n.BURN_RATES[0],
        ),
        lines(
            "Burn rate, slow windows",
            "1d and 2h above 3, or 3d and 6h above 1 (the dashes), open a ticket: a loss that no"
            " one feels and that still misses the objective.",
            "short",
            *(Target(burn(w), f"{{{{slo}}}} {w}") for w in SLOW),
            width=12,
            height=10,
            colours=dict(zip(SLOW, SHADES, strict=True)),
            dashed="latency",
            limit=n.BURN_RATES[-1],
        ),
        lines(
            "Error budget left over time",
            "A steady slope is a steady loss, a step an incident: its time is the place to look on"
            " Service. Not drawn below -100 %, where twice as much went wrong as may.",
            "percentunit",
            Target(RULES.series(n.RULE_BUDGET), "{{slo}}"),
            width=8,
            least=-1,
            most=1,
        ),
        lines(
            "Bad predictions a second",
            "In absolute numbers, over 5 minutes. A high burn rate with very few of them is little"
            " traffic, not much trouble.",
            "reqps",
            Target(RULES.series(n.RULE_BAD), "{{slo}}"),
            width=8,
        ),
        table_of(
            "Alerts",
            "Pending ones wait for their time, firing ones tell somebody. `nothing` is good; the"
            " number above says so too.",
            Target(
                ALERTS,
                "",
            ),
            columns={
                "alertname": ("alert", ""),
                "severity": ("severity", ""),
                "alertstate": ("state", ""),
                "slo": ("objective", ""),
            },
            width=8,
            height=8,
        ),
    ),
)

CAUSES = Section(
    "Who spends it",
    (
        lines(
            "Failed predictions by status",
            "5xx, and none where the client had no answer. Refusals by code on Service say which.",
            "reqps",
            Target(
                or_zero(
                    JOBS.rate(t.REQUESTS.name, n.PREDICTIONS, 'status=~"5xx|none"', by="status"),
                    by="status",
                ),
                "{{status}}",
            ),
            colours=STATUSES,
        ),
        lines(
            "Slow share by track",
            "Of answered predictions, those over 250 ms. One track alone: its stages on Service,"
            " or Triton; all of them: the machine, on Runtime.",
            "percentunit",
            Target(
                "1 - "
                + JOBS.rate(f"{t.DURATION.name}_bucket", *IN_TIME, by="track")
                + " / "
                + JOBS.rate(f"{t.DURATION.name}_count", *ANSWERED, by="track"),
                "track {{track}}",
            ),
            limit=0.01,
        ),
        lines(
            "Bad share of the last minute",
            "At a campaign's scale, where 30 days mean nothing: a gate for a load test and no"
            " alert. Compare with the marks of the cells.",
            "percentunit",
            Target(RULES.series(n.RULE_CAMPAIGN), "{{slo}}"),
        ),
    ),
)

BOARD = Board(
    "slo",
    "Objectives",
    "Whether predictions are as available and as quick as was promised, how much may still go"
    " wrong, and what spends it.",
    (JOB, SLO),
    (NOW, BURN, CAUSES),
    since="now-6h",
)
