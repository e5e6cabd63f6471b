"""
Whether a cell keeps a service level objective (SLO).

The rule is the gate's: the percentile's 95 % interval over repeats must lie wholly within the
limit, or wholly beyond it; else it cannot be told. Failed requests are counted, not estimated.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from math import ceil

# scipy.special, because scipy.stats alone takes a second to import.
from scipy.special import bdtr

from analysis.cells import Cell, percentile_key
from analysis.compare import GIVEN_UP, Bound, Ratio, Value, repeats_needed
from analysis.interval import Side, exceeds, over_repeats, side
from analysis.latency import min_count
from analysis.objective import Objective
from analysis.words import duration, measured

UNPROVEN = 0.01  # MLPerf proves a percentile with a confidence of 99 %
NOT_MEASURED = "it was not measured"
ONE_REPEAT = "one repeat has no interval"
RESUME = "make its missing repeats"
STRADDLES = "the interval includes the limit"


class Kept(StrEnum):
    HOLDS = "holds"
    BROKEN = "broken"
    CANNOT_TELL = "cannot be told"


@dataclass(frozen=True, slots=True)
class Judged:
    """One cell against an objective."""

    outcome: Kept
    reason: str  # what decides it, or why nothing does
    remedy: str  # what would let it be told; empty where it is told
    value: Value | None  # the percentile, median over repeats
    low_ms: float | None  # its 95 % interval over repeats; None with fewer than 2
    high_ms: float | None  # None as well if the percentile lies among requests given up
    error_share: float | None  # of all requests of all repeats; None: there were none
    over: int | None  # requests over the limit, failed ones included; None: not counted
    requests: int
    budget_spent: float | None  # share of requests over / (1 - q/100): 1 is the whole budget
    requests_needed: int | None  # by MLPerf's rule, for so many over the limit

    @property
    def proven(self) -> bool:
        """Whether so many requests prove the percentile by MLPerf's rule, if independent."""
        return self.requests_needed is not None and self.requests >= self.requests_needed


def kept(cell: Cell, slo: Objective) -> Judged:
    """The cell's repeats against the objective; a cell without repeats cannot be told."""
    interval = _interval(cell, percentile_key(slo.q))
    outcome, reason, remedy = _told(cell, slo, interval)
    requests = sum(sum(visit.counts.values()) for visit in cell.visits)
    good = sum(visit.counts["ok"] for visit in cell.visits)
    counted = [visit.over_slo for visit in cell.visits if visit.over_slo is not None]
    over = sum(counted) if requests and len(counted) == len(cell.visits) else None
    exact = interval is not None and interval.bound is Bound.EXACT
    return Judged(
        outcome=outcome,
        reason=reason,
        remedy=remedy,
        value=cell.value(percentile_key(slo.q)),
        low_ms=interval.low if interval else None,
        high_ms=interval.high if interval and exact else None,
        error_share=(requests - good) / requests if requests else None,
        over=over,
        requests=requests,
        budget_spent=None if over is None else over / requests / (1 - slo.q / 100),
        requests_needed=None if over is None else requests_needed(over, slo.q),
    )


@cache
def requests_needed(over: int, q: float) -> int:
    """
    The fewest requests that prove the q-th percentile when *over* of them were over the limit.

    MLPerf's early stopping, with confidence 99 % and no tolerance: were one in 1 - q/100 over the
    limit, so few would be so in at most 1 % of tests, P(Binomial(n, 1 - q/100) <= over) <= 1 %
    (MLPerf inference rules, appendix "Early Stopping Criterion"; LoadGen, early_stopping.cc). It
    takes requests as independent. Under load they are not, so it is the least that is needed.
    """
    share = 1 - q / 100
    low, high = over, ceil((over + 5) / share)
    while bdtr(over, high, share) > UNPROVEN:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        enough = bdtr(over, middle, share) <= UNPROVEN
        low, high = (low, middle) if enough else (middle, high)
    return high


def _interval(cell: Cell, measure: str) -> Ratio | None:
    """The percentile in ms over repeats; None if one of them lacks it, or there is only one."""
    values = [value for visit in cell.visits if (value := visit.value(measure)) is not None]
    return over_repeats(values) if 1 < len(values) == len(cell.visits) else None


def _told(cell: Cell, slo: Objective, interval: Ratio | None) -> tuple[Kept, str, str]:
    """The outcome, the reason, and what would help."""
    if not cell.visits:
        return Kept.CANNOT_TELL, NOT_MEASURED, RESUME
    failed, issued = cell.failed
    if exceeds(failed, issued, slo.max_error_share):
        return Kept.BROKEN, f"{failed} of {issued} requests failed", ""
    if interval is None:
        return _lacking(cell, slo)
    found = f"P{slo.q:g} {_shown(cell, percentile_key(slo.q), interval)}"
    where = side(interval, most=slo.limit_ms)
    if where is Side.STRADDLES:
        return Kept.CANNOT_TELL, *_straddling(found, interval, slo.limit_ms)
    return (Kept.HOLDS if where is Side.WITHIN else Kept.BROKEN), found, ""


def _lacking(cell: Cell, slo: Objective) -> tuple[Kept, str, str]:
    """Without the percentile a lower one may tell: where it is beyond the limit, all above are."""
    for measure in _lower(cell, slo.q):
        interval = _interval(cell, measure)
        if interval is not None and side(interval, most=slo.limit_ms) is Side.BEYOND:
            return Kept.BROKEN, f"{measure.upper()} alone {_shown(cell, measure, interval)}", ""
    needed, fewest = min_count(slo.q), cell.fewest_requests
    if fewest < needed:
        reason = f"{cell.lack(percentile_key(slo.q))}, one has {fewest}"
        return Kept.CANNOT_TELL, reason, _longer(cell, needed)
    if len(cell.visits) < 2:
        return Kept.CANNOT_TELL, ONE_REPEAT, "take at least 3 repeats"
    return (
        Kept.CANNOT_TELL,
        f"P{slo.q:g} is not known in every repeat",
        "ask for another percentile",
    )


def _lower(cell: Cell, q: float) -> list[str]:
    """Measures below *q* that some repeat has, the highest first."""
    found = {p.q: name for v in cell.visits for name, p in v.percentiles.items() if p.q < q}
    return [found[each] for each in sorted(found, reverse=True)]


def _longer(cell: Cell, needed: int) -> str:
    """For how long a repeat must measure to see as many requests, at the pace of the slowest."""
    slowest = min(cell.visits, key=lambda visit: visit.requests / visit.window_s)
    if not slowest.requests:
        return "read the service's log in the record"
    seconds = ceil(needed / slowest.requests * slowest.window_s)
    return f"measure for {seconds} s a repeat (duration_s), not {duration(slowest.window_s * 1000)}"


def _straddling(found: str, interval: Ratio, limit_ms: float) -> tuple[str, str]:
    if interval.bound is not Bound.EXACT:
        return GIVEN_UP, "raise timeout_s well above the limit"
    to_limit = over_repeats([Value(block) for block in interval.blocks], limit_ms)
    needed = repeats_needed(to_limit, 0.0) if to_limit else None
    if needed is None:
        remedy = "it would take more than 100 repeats: the percentile is at the limit"
    else:
        remedy = f"about {needed} repeats would tell, if the noise stays as it is"
    return f"{found}: {STRADDLES}", remedy


def _shown(cell: Cell, measure: str, interval: Ratio) -> str:
    """`142 ms [130 ms, 155 ms]`: the value that the tables have, and its interval."""
    value = cell.value(measure)
    if interval.bound is not Bound.EXACT or value is None:
        return measured(value, measure)
    return f"{duration(value.value)} [{duration(interval.low)}, {duration(interval.high)}]"
