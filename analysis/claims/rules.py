"""
Whether a claim is true, as far as measurements tell: the rule, and nothing that reads or prints.

A row is compared with that edge of its claimed range which the claim cannot do without: "2 to 3
times as fast" with 2, "15 to 25 % less" with 15. It holds if the whole interval lies beyond that
edge, does not hold if the whole interval falls short of it, and is open otherwise. README.md has it
in words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp, expm1, inf, isfinite, log, log1p, sqrt

import numpy as np

from analysis.claims.asked import VERDICTS, Claim, Evidence
from analysis.claims.series import Series
from analysis.compare import CONFIDENCE, LARGEST, t_quantile
from benchmarks.components.result import Check

HOLDS, IN_PART, FAILS, UNKNOWN = VERDICTS
OPEN, SHOWN = "open", "shown"  # of a row: it cannot be told; it is not to be judged
# A speed in milliseconds or MB/s belongs to the machine that it was measured on.
MACHINE_FACTOR = 2.0
OF_THE_MACHINE = ("ms", "cpu_ms", "us", "cpu_us", "MB/s")
SAME = 0.05  # within this share two values are called the same
RATIOS = ("times", "change")

AS_CLAIMED, MORE, LESS = "as claimed", "more than claimed", "less than claimed"
WORSE, OTHER_WAY, NOTHING = "worse than claimed", "the other way round", "no difference"
NONE_SHOWN, NOT_SO = "no difference was shown", "not as claimed"
ELSEWHERE = "outside of the claimed range"
NEAR = "within a factor of 2 of the claim, as machines differ"
INCLUDES = "the interval includes the edge"
UNDER_FLOOR = "not beyond what two copies of one service differ by"
ONE_BLOCK = "one block, so no interval"
ZERO = "a block has no value above 0, so no ratio"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over blocks with its interval, on the scale on which it is judged."""

    point: float
    low: float
    high: float
    floor: float | None  # by how much two copies of one service differ, on that scale


@dataclass(frozen=True, slots=True)
class Judged:
    """
    One row with its outcome: holds, does not hold, open, or shown.

    `point`, `low`, `high` and `blocks` are factors of times, shares of change, else in `unit`;
    `floor` is a share, of saved in `unit`. `before` and `after` are means over the blocks,
    of ratios geometric ones, so that they are as far apart as it says.
    """

    evidence: Evidence
    outcome: str
    remark: str
    unit: str = ""
    point: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = CONFIDENCE
    floor: float | None = None
    before: float | None = None
    after: float | None = None
    blocks: tuple[float, ...] = ()
    counted: tuple[int, int] | None = None
    check: Check | None = None
    doubts: tuple[int, ...] = ()


def confidence_of(claim: Claim) -> float:
    """
    Of each interval of a claim, so that all of them together hold in 95 % of runs (Bonferroni).

    A claim is read as one statement: with ten rows of 95 % it would be wrong far more often.
    """
    count = sum(row.has_interval for row in claim.evidence)
    return 1 - (1 - CONFIDENCE) / max(1, count)


def judge(row: Evidence, series: Series, confidence: float, *, judged: bool = True) -> Judged:
    """A row of numbers; without a claimed range, or with *judged* false, it is only shown."""
    judged = judged and row.claimed is not None
    blank = Judged(row, OPEN if judged else SHOWN, series.missing, series.unit)
    blank = replace(blank, confidence=confidence, doubts=series.doubts)
    if series.missing:
        return blank
    if series.counted is not None:
        return _counted(row, blank, series, judged)
    if row.kind in RATIOS and min(*series.ours, *series.theirs, inf) <= 0:
        return replace(blank, remark=ZERO)
    values = _values(row.kind, series)
    known = _estimate(values, confidence, _floor(row.kind, series))
    if row.kind == "value" and series.unit != "%" and min(values) > 0:
        known = _by_logarithms(values, confidence)
    back = _from_scale(row.kind)
    found = replace(
        blank,
        point=back(known.point),
        low=back(known.low) if isfinite(known.low) else None,
        high=back(known.high) if isfinite(known.high) else None,
        floor=_shown_floor(row.kind, known.floor),
        before=_middle(row.kind, series.theirs) if series.theirs else None,
        after=_middle(row.kind, series.ours),
        blocks=tuple(back(value) for value in values),
    )
    if not judged:
        return found
    outcome, remark = _outcome(row, series, known)
    return replace(found, outcome=outcome, remark=remark)


def checked(row: Evidence, check: Check | None, missing: str, *, judged: bool = True) -> Judged:
    """A row that asks whether something is so; with *judged* false it is only shown."""
    if check is None or not judged:
        return Judged(row, OPEN if judged else SHOWN, "" if check else missing, check=check)
    remark = AS_CLAIMED if check.passed else NOT_SO
    return Judged(row, HOLDS if check.passed else FAILS, remark, check=check)


def verdict(claim: Claim, rows: Sequence[Judged]) -> str:
    """Holds: shown in every row. Does not hold: shown in none, and refuted in at least one."""
    outcomes = [row.outcome for row in rows if row.outcome != SHOWN]
    if claim.cannot or not outcomes:
        return UNKNOWN
    if set(outcomes) == {HOLDS}:
        return HOLDS
    if HOLDS in outcomes:
        return IN_PART
    return FAILS if FAILS in outcomes else UNKNOWN


def _values(kind: str, series: Series) -> list[float]:
    """By block, on the scale on which noise is about symmetric: logarithms of ratios."""
    if kind == "value":
        return list(series.ours)
    pairs = list(zip(series.ours, series.theirs, strict=True))
    if kind == "saved":
        return [theirs - ours for ours, theirs in pairs]
    logs = [log(ours / theirs) for ours, theirs in pairs]
    # Twice as fast is half of the time, and twice the throughput.
    return [-value for value in logs] if kind == "times" and not series.more_is_better else logs


def _middle(kind: str, values: Sequence[float]) -> float:
    return exp(float(np.mean(np.log(values)))) if kind in RATIOS else float(np.mean(values))


def _from_scale(kind: str) -> Callable[[float], float]:
    if kind not in RATIOS:
        return float
    back = exp if kind == "times" else expm1
    return lambda value: back(min(value, LARGEST))


def _to_scale(kind: str, value: float) -> float:
    if kind == "times":
        return log(value) if value < inf else inf
    if kind == "change":
        return log1p(value) if value > -1 else -inf
    return value


def _estimate(values: Sequence[float], confidence: float, floor: float | None) -> Estimate:
    """The mean and its interval by Student's t at n-1 degrees of freedom; one value has none."""
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Estimate(mean, -inf, inf, floor)
    half = t_quantile(n - 1, confidence) * float(np.std(values, ddof=1)) / sqrt(n)
    return Estimate(mean, mean - half, mean + half, floor)


def _by_logarithms(values: Sequence[float], confidence: float) -> Estimate:
    """Of times and rates, whose noise is multiplicative: an interval that does not reach 0."""
    known = _estimate([log(value) for value in values], confidence, None)
    finite = isfinite(known.low)
    low, high = (exp(known.low), exp(min(known.high, LARGEST))) if finite else (-inf, inf)
    return Estimate(exp(known.point), low, high, None)


def _floor(kind: str, series: Series) -> float | None:
    """As compare.noise_floor: the true mean of the differences is 0, so n degrees of freedom."""
    if series.copies is None or kind == "value":
        return None
    copy, original = (np.array(values) for values in series.copies)
    if kind in RATIOS and min(copy.min(), original.min()) <= 0:
        return None
    apart = copy - original if kind == "saved" else np.log(copy / original)
    n = len(apart)
    return t_quantile(n) * sqrt(float(np.mean(apart**2))) / sqrt(n)


def _shown_floor(kind: str, floor: float | None) -> float | None:
    return expm1(floor) if floor is not None and kind in RATIOS else floor


def _outcome(row: Evidence, series: Series, known: Estimate) -> tuple[str, str]:
    assert row.claimed is not None
    if not isfinite(known.low):
        return OPEN, ONE_BLOCK
    if series.blocked:
        return OPEN, series.blocked
    low, high = (_to_scale(row.kind, edge) for edge in row.claimed)
    speed = row.kind not in RATIOS and series.unit in OF_THE_MACHINE
    factor = MACHINE_FACTOR if speed else 1.0
    if row.better == "inside":
        return _inside(low, high, known, factor)
    if row.better == "less":
        low, high, factor = -high, -low, 1 / factor
        known = Estimate(-known.point, -known.high, -known.low, known.floor)
    outcome, remark = _beyond(row.kind, low / factor, high, known, series)
    return outcome, NEAR if outcome == HOLDS and known.low < low else remark


def _beyond(kind: str, edge: float, far: float, known: Estimate, series: Series) -> tuple[str, str]:
    """More is better here: at least the nearer edge has to be reached."""
    floor = known.floor or 0.0
    if known.low >= edge:
        if known.floor is not None and known.point - edge <= floor:
            return OPEN, UNDER_FLOOR
        return HOLDS, MORE if known.low > far else AS_CLAIMED
    if known.high < edge:
        if edge - known.point <= floor:
            return OPEN, UNDER_FLOOR
        return FAILS, _shortfall(kind, edge, known, series)
    return OPEN, INCLUDES


def _shortfall(kind: str, edge: float, known: Estimate, series: Series) -> str:
    """How it fell short; of what is compared, 0 is no difference at all."""
    if edge < 0:
        return WORSE
    if kind != "value":
        same = log1p(SAME) if kind in RATIOS else SAME * abs(_middle(kind, series.theirs))
        if max(abs(known.low), abs(known.high)) <= same:
            return NOTHING
        if known.low <= 0 <= known.high:
            return NONE_SHOWN
    return OTHER_WAY if known.high < 0 else LESS


def _inside(low: float, high: float, known: Estimate, factor: float) -> tuple[str, str]:
    """A number of its own: of a machine's speed, a factor either way counts as met."""
    least, most = low / factor, high * factor
    if known.high < least or known.low > most:
        return FAILS, ELSEWHERE
    if known.low >= low and known.high <= high:
        return HOLDS, AS_CLAIMED
    if known.low >= least and known.high <= most:
        return HOLDS, NEAR
    return OPEN, INCLUDES


def _counted(row: Evidence, blank: Judged, series: Series, judged: bool) -> Judged:
    """What happened, without an interval, as the gate judges errors."""
    count, of = series.counted or (0, 0)
    share = 100 * count / of if of else 0.0
    found = replace(blank, counted=(count, of), point=share, after=share, remark=series.note)
    if not judged or row.claimed is None:
        return found
    if series.blocked or not of:
        return replace(found, remark=series.blocked or "no request was answered")
    low, high = row.claimed
    inside = low <= share <= high
    remark = AS_CLAIMED if inside else ELSEWHERE
    told = f"{remark}; {series.note}" if series.note else remark
    return replace(found, outcome=HOLDS if inside else FAILS, remark=told)
