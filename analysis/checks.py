"""
Doubts: reasons not to trust a number, each with what to do about it.

They belong to the results, so they are printed above the numbers they concern. A rule looks at
one cell; what it finds in several cells becomes one doubt that names them and tells the worst.
README.md holds the table of kinds, and a test keeps the two alike.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil, inf, sqrt
from typing import Any

from analysis.cells import THROUGHPUT, Cell, Visited
from analysis.latency import min_count
from analysis.matrix import Matrix
from analysis.plan import Plan

LATE_MS, LATE_SHARE = 1.0, 0.05
ACHIEVED_SHARE = 0.99
GENERATOR_CPU_SHARE = 0.70
ERROR_SHARE = 0.01
DISAGREEMENT = 0.10
OTHER_CPU_SHARE = 0.10
STEAL_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Doubt:
    """One kind of doubt, and the (variant, level) of every cell it concerns; none: the run."""

    kind: str
    text: str
    next_step: str
    cells: tuple[tuple[str, str], ...] = ()
    worst: tuple[str, str] | None = None  # the cell that the text's numbers are of

    def concerns(self, level: str) -> bool:
        """Whether it names a cell of this level."""
        return any(level == found for _, found in self.cells)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule has against one cell; the largest severity of a doubt gives its text."""

    severity: float
    text: str
    next_step: str
    group: str = ""  # findings of one rule with different groups stay apart


Rule = Callable[[Cell, Plan, Mapping[str, Any]], Iterator[Finding]]


def generator_late(cell: Cell, plan: Plan, run: Mapping[str, Any]) -> Iterator[Finding]:
    yield from _own_reasons(cell, lambda about: about == "send lag")
    for visit in cell.visits:
        if _judged(visit) and visit.level.startswith("q"):
            continue  # it knows which arrivals waited for a connection, and not for it
        middle = visit.percentiles.get("p50")
        allowed_ms = max(LATE_MS, LATE_SHARE * middle.value_ms) if middle else LATE_MS
        lag_ms = visit.send_lag_p99_ms
        if lag_ms > allowed_ms:
            yield Finding(
                lag_ms / allowed_ms,
                f"the generator sent late, P99 of the send lag is {lag_ms:.1f} ms"
                f" (allowed {allowed_ms:.1f})",
                "give the generator CPUs of its own, or ask for less load",
            )


def rate_missed(cell: Cell, plan: Plan, run: Mapping[str, Any]) -> Iterator[Finding]:
    yield from _own_reasons(cell, lambda about: about == "rate")
    for visit in cell.visits:
        if _judged(visit):
            continue
        offered, achieved = (_instrument(visit, f"{k}_rps") for k in ("offered", "achieved"))
        if visit.level.startswith("q") and offered and achieved is not None:
            share = achieved / offered
            if share < ACHIEVED_SHARE:
                yield Finding(
                    1 - share,
                    f"only {share:.0%} of the offered rate was sent",
                    "ask for a lower rate, or give the generator more CPUs",
                )


def generator_busy(cell: Cell, plan: Plan, run: Mapping[str, Any]) -> Iterator[Finding]:
    yield from _own_reasons(cell, lambda about: about not in ("send lag", "rate"))
    for visit in cell.visits:
        if _judged(visit):
            continue
        cpu_s, wall_s = _instrument(visit, "cpu_s"), _instrument(visit, "wall_s")
        cpus = _generator_cpus(visit, run)
        if cpu_s and wall_s and cpus and cpu_s / wall_s / cpus > GENERATOR_CPU_SHARE:
            share = cpu_s / wall_s / cpus
            yield Finding(
                share,
                f"the generator used {share:.0%} of its CPUs and may itself be the limit",
                "give the generator more CPUs, or another machine",
            )


def too_few(cell: Cell, plan: Plan, run: Mapping[str, Any]) -> Iterator[Finding]:
    fewest = min(cell.visits, key=lambda visit: visit.requests, default=None)
    for q in plan.percentiles:
        needed = min_count(q)
        if fewest and fewest.requests < needed:
            factor = needed / max(1, fewest.requests)
            yield Finding(
                factor,
                f"P{q:g} needs {needed} requests in each repeat, one has {fewest.requests}",
                f"measure for {ceil(1.1 * factor * fewest.window_s)} s (duration_s) to get"
                f" P{q:g} everywhere",
                group=f"p{q:g}",
            )


def errors(cell: Cell, plan: Plan, run: Mapping[str, Any]) -> Iterator[Finding]:
    foreign = run.get("imported")
    where = "look at the tool's own list" if foreign else "read the service's log in the record"
    for visit in cell.visits:
        if visit.error_share > ERROR_SHARE:
            kinds = (f"{n} {name}" for name, n in visit.counts.items() if n and name != "ok")
            yield Finding(
                visit.error_share,
                f"{visit.error_share:.1%} of the requests of a repeat failed ({', '.join(kinds)})",
                f"{where}; a service that refuses work looks fast",
            )


def repeats_disagree(cell: Cell, plan: Plan, run: Mapping[str, Any]) -> Iterator[Finding]:
    """More than few requests alone spread them: medians whose intervals meet agree."""
    medians = [visit.percentiles["p50"] for visit in cell.visits if "p50" in visit.percentiles]
    apart = max((m.low_ms for m in medians), default=0) > min(
        (m.high_ms for m in medians), default=0
    )
    fewest = min((visit.counts["ok"] for visit in cell.visits), default=0)
    counted = 3 / sqrt(max(1, fewest))  # chance alone, of counts
    for measure, label, allowed in (
        ("p50", "P50", DISAGREEMENT if apart else inf),
        (THROUGHPUT, "req/s", max(DISAGREEMENT, counted)),
    ):
        values = [v.value for visit in cell.visits if (v := visit.value(measure))]
        spread = max(values) / min(values) - 1 if len(values) > 1 else 0.0
        if spread > allowed:
            yield Finding(
                spread,
                f"the repeats disagree by {spread:.0%} at {label}",
                "trust the ratios (taken block by block) more than these values; quieten the"
                " machine, or take more repeats",
            )


def not_warm(cell: Cell, plan: Plan, run: Mapping[str, Any]) -> Iterator[Finding]:
    change = _shown_change(cell)
    if change is not None and change > 0:
        yield Finding(
            change,
            f"not warm when measured, the window's first quarter is {change:.0%} slower"
            " than the rest",
            "raise warmup_s",
        )


def getting_slower(cell: Cell, plan: Plan, run: Mapping[str, Any]) -> Iterator[Finding]:
    change = _shown_change(cell)
    if change is not None and change < 0:
        growth = 1 / (1 + change) - 1
        yield Finding(
            growth,
            f"no steady state, the window's last three quarters are {growth:.0%} slower than"
            " its first",
            "look for a queue that grows (a rate beyond the capacity), a leak, or a CPU that"
            " throttles",
        )


def other_load(cell: Cell, plan: Plan, run: Mapping[str, Any]) -> Iterator[Finding]:
    for visit in cell.visits:
        share = _machine(visit, "other_cpu_share")
        # A service that others run is itself "other": nothing can be said about it.
        if share > OTHER_CPU_SHARE and visit.facts.get("service") is not None:
            yield Finding(
                share,
                f"other programs used {share:.0%} of the machine",
                "stop them, then run again",
            )


def steal(cell: Cell, plan: Plan, run: Mapping[str, Any]) -> Iterator[Finding]:
    for visit in cell.visits:
        share = _machine(visit, "steal_share")
        if share > STEAL_SHARE:
            yield Finding(
                share,
                f"the hypervisor took {share:.1%} of the CPU time away",
                "use a machine that is not shared, or many more repeats",
            )


def missing_repeats(cell: Cell, plan: Plan, run: Mapping[str, Any]) -> Iterator[Finding]:
    missing = plan.repeats - len(cell.visits)
    if missing > 0:
        yield Finding(
            missing,
            f"{len(cell.visits)} of {plan.repeats} repeats are there",
            "import as many files of each variant"
            if run.get("imported")
            else "`windtunnel run --resume RECORD` makes the missing ones",
        )


CELL_RULES: tuple[Rule, ...] = (
    generator_late,
    rate_missed,
    generator_busy,
    errors,
    missing_repeats,
    not_warm,
    getting_slower,
    other_load,
    steal,
    repeats_disagree,
    too_few,
)


def cell_doubts(matrix: Matrix, run: Mapping[str, Any]) -> Iterator[Doubt]:
    """One doubt a kind, with the worst finding's text and every cell that it concerns."""
    plan = matrix.plan
    cells = [
        matrix.cells.get((variant, level), Cell(variant, level, ()))
        for level in plan.levels
        for variant in plan.variants
    ]
    for rule in CELL_RULES:
        groups: dict[str, dict[tuple[str, str], Finding]] = {}
        for cell in cells:
            for finding in rule(cell, plan, run):
                found = groups.setdefault(finding.group, {})
                known = found.get((cell.variant, cell.level), finding)
                found[cell.variant, cell.level] = max(known, finding, key=lambda f: f.severity)
        for found in groups.values():
            worst = max(found, key=lambda pair: found[pair].severity)
            text, step = found[worst].text, found[worst].next_step
            yield Doubt(rule.__name__, text, step, tuple(found), worst)


def _shown_change(cell: Cell) -> float | None:
    """The middle change among the repeats that show one, if more than half show the same sign."""
    for sign in (1, -1):
        found = sorted(
            visit.trend.change
            for visit in cell.visits
            if visit.trend and visit.trend.shown and visit.trend.change * sign > 0
        )
        if len(found) * 2 > len(cell.visits):
            return found[len(found) // 2]
    return None


def _judged(visit: Visited) -> bool:
    """Whether the generator judged itself; those of old records did not, and rules here do."""
    return "valid" in _instrument_facts(visit)


def _own_reasons(cell: Cell, about: Callable[[str], bool]) -> Iterator[Finding]:
    """What the generator says it was short of: "what: found; expected; what to do"."""
    for visit in cell.visits:
        for reason in _instrument_facts(visit).get("reasons") or ():
            found, _, next_step = str(reason).rpartition("; ")
            what = found.partition(":")[0]
            if about(what):
                yield Finding(1.0, f"the generator was the limit: {found}", next_step, what)


def _instrument_facts(visit: Visited) -> Mapping[str, Any]:
    return (visit.facts.get("generator") or {}).get("instrument") or {}


def _instrument(visit: Visited, key: str) -> float | None:
    value = _instrument_facts(visit).get(key)
    return None if value is None else float(value)


def _machine(visit: Visited, key: str) -> float:
    return float((visit.facts.get("machine") or {}).get(key) or 0.0)


def _generator_cpus(visit: Visited, run: Mapping[str, Any]) -> float | None:
    """As many as it may use: its pinned CPUs, or its threads."""
    pinned = (run.get("pinning") or {}).get("generator")
    limits = [_instrument(visit, "gomaxprocs"), float(len(pinned)) if pinned else None]
    return min((limit for limit in limits if limit), default=None)
