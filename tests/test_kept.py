"""Whether a cell keeps an objective, through real records; how often that is wrong is simulated."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.cells import Cell
from analysis.compare import Value
from analysis.comparison import compare
from analysis.interval import exceeds
from analysis.kept import Judged, Kept, kept, requests_needed
from analysis.latency import percentile
from analysis.objective import Objective
from benchmarks.record import load
from tests.loads import visited
from tests.records import Shape, campaign, write

QUIET = Shape(median_ms=20, requests=500, noise=0.01, spread=0.2)
SLO = Objective(95, 40)


def judged(folder: Path, slo: Objective, shape: Shape, repeats: int = 3) -> Judged:
    """One cell of a real record with real samples."""
    plan = campaign({"baseline": shape}, ("c0008",), aa=None, repeats=repeats)
    found = compare(load(write(folder, plan)), slo=slo)
    return kept(found.matrix.cells["baseline", "c0008"], slo)


def test_an_interval_within_the_limit_holds(tmp_path: Path) -> None:
    found = judged(tmp_path, SLO, QUIET)
    assert (found.outcome, found.remedy) == (Kept.HOLDS, "")
    assert found.value is not None
    assert found.low_ms is not None
    assert found.high_ms is not None
    assert found.low_ms < found.value.value < found.high_ms < 40
    assert found.reason.startswith("P95 28.2 ms [25.")
    assert (found.error_share, found.requests) == (0, 1500)


def test_an_interval_beyond_the_limit_breaks_it(tmp_path: Path) -> None:
    found = judged(tmp_path, replace(SLO, limit_ms=15), QUIET)
    assert found.outcome is Kept.BROKEN
    assert found.over is not None
    assert found.over > 1000
    assert found.budget_spent == pytest.approx(found.over / 1500 / 0.05)
    assert found.requests_needed is not None
    assert not found.proven


def test_an_interval_around_the_limit_tells_nothing_and_how_many_repeats_would(
    tmp_path: Path,
) -> None:
    found = judged(tmp_path, replace(SLO, limit_ms=28), replace(QUIET, noise=0.1))
    assert found.outcome is Kept.CANNOT_TELL
    assert found.reason.endswith("]: the interval includes the limit")
    assert "repeats" in found.remedy


def test_failed_requests_break_it_however_fast_the_others_are(tmp_path: Path) -> None:
    found = judged(tmp_path, SLO, replace(QUIET, errors=2))
    assert (found.outcome, found.reason) == (Kept.BROKEN, "6 of 1500 requests failed")
    assert found.over is not None
    assert found.over >= 6
    allowed = judged(
        tmp_path / "allowed", replace(SLO, max_error_share=0.004), replace(QUIET, errors=2)
    )
    assert allowed.outcome is Kept.HOLDS


def test_too_few_requests_tell_nothing_and_for_how_long_to_measure(tmp_path: Path) -> None:
    found = judged(tmp_path, Objective(99, 60), replace(QUIET, requests=100))
    assert found.outcome is Kept.CANNOT_TELL
    assert found.reason == "P99 needs 368 requests in each repeat, one has 100"
    assert found.remedy == "measure for 37 s a repeat (duration_s), not 10 s"
    assert (found.value, found.low_ms, found.high_ms) == (None, None, None)


def test_a_lower_percentile_beyond_the_limit_breaks_it_for_a_higher_one(tmp_path: Path) -> None:
    found = judged(tmp_path, Objective(99, 15), replace(QUIET, requests=100))
    assert found.outcome is Kept.BROKEN
    assert found.reason.startswith("P95 alone 2")


def test_one_repeat_tells_nothing(tmp_path: Path) -> None:
    found = judged(tmp_path, SLO, QUIET, repeats=1)
    assert (found.outcome, found.reason) == (Kept.CANNOT_TELL, "one repeat has no interval")
    assert found.remedy == "take at least 3 repeats"


def test_a_cell_that_was_not_measured_tells_nothing() -> None:
    found = kept(Cell("baseline", "c0008", ()), SLO)
    assert (found.outcome, found.reason) == (Kept.CANNOT_TELL, "it was not measured")
    assert (found.requests, found.error_share, found.over) == (0, None, None)


@pytest.mark.parametrize(
    ("timeout_ms", "outcome"), [(1000.0, Kept.BROKEN), (30.0, Kept.CANNOT_TELL)]
)
def test_a_percentile_among_the_given_up_is_beyond_a_limit_only_if_they_waited_so_long(
    tmp_path: Path, timeout_ms: float, outcome: Kept
) -> None:
    shape = replace(QUIET, spread=0.01, timeouts=50, timeout_ms=timeout_ms)
    found = judged(tmp_path, replace(SLO, max_error_share=0.5), shape)
    assert found.outcome is outcome
    assert found.value is not None
    assert found.value.at_least
    assert found.high_ms is None
    assert (found.remedy != "") is (outcome is Kept.CANNOT_TELL)


def test_no_good_answer_at_all_breaks_it() -> None:
    visits = tuple(visited("c0008", r, rps=0, requests=9, failed=9, over=9) for r in (1, 2))
    found = kept(Cell("baseline", "c0008", visits), SLO)
    assert (found.outcome, found.reason) == (Kept.BROKEN, "18 of 18 requests failed")
    assert found.budget_spent == pytest.approx(20)


def test_no_request_at_all_tells_nothing() -> None:
    visits = tuple(visited("c0008", r, requests=0) for r in (1, 2))
    found = kept(Cell("baseline", "c0008", visits), SLO)
    assert (found.outcome, found.remedy) == (
        Kept.CANNOT_TELL,
        "read the service's log in the record",
    )
    assert found.requests_needed is None


def test_without_the_count_over_the_limit_there_is_no_budget() -> None:
    visits = tuple(visited("c0008", r, ms={95: 20 + r}, over=None) for r in (1, 2, 3))
    found = kept(Cell("baseline", "c0008", visits), SLO)
    assert found.outcome is Kept.HOLDS
    assert (found.over, found.budget_spent, found.proven) == (None, None, False)


@pytest.mark.parametrize(
    ("q", "over", "needed"),
    [
        (90, 0, 44),
        (90, 10, 197),
        (95, 1, 130),
        (99, 0, 459),
        (99, 1, 662),
        (99, 10, 2010),
        (99, 100, 12571),
        (99.9, 1, 6636),
    ],
)
def test_as_many_requests_are_needed_as_mlperf_asks_for(q: float, over: int, needed: int) -> None:
    """The numbers of LoadGen's MinPassingQueriesFinder, with confidence 0.99 and tolerance 0."""
    assert requests_needed(over, q) == needed


@given(st.integers(0, 3000), st.floats(50, 99.99))
@settings(deadline=None, max_examples=50)
def test_so_few_over_the_limit_are_rare_and_one_request_less_is_too_few(
    over: int, q: float
) -> None:
    needed, share = requests_needed(over, q), 1 - q / 100
    assert stats.binom.cdf(over, needed, share) <= 0.01 + 1e-9
    assert stats.binom.cdf(over, needed - 1, share) > 0.01 - 1e-9


def simulated(excess: float, repeats: int, campaigns: int = 400) -> dict[Kept, float]:
    """Shares of outcomes where the true P95 is *excess* times the limit of 100 ms."""
    rng = np.random.default_rng(11)
    slo = Objective(95, 100)
    median_ms = 100 * excess / np.exp(0.3 * stats.norm.ppf(0.95))
    outcomes = []
    for _ in range(campaigns):
        visits = []
        for repeat in range(1, repeats + 1):
            spread = 0.3 * rng.standard_normal(1000) + 0.05 * rng.standard_normal()
            p95 = percentile(median_ms * np.exp(spread), 95).value_ms
            visits.append(visited("c0008", repeat, ms={95: p95}))
        outcomes.append(kept(Cell("baseline", "c0008", tuple(visits)), slo).outcome)
    return {outcome: outcomes.count(outcome) / campaigns for outcome in Kept}


@pytest.mark.parametrize("repeats", [3, 5, 10])
def test_at_the_limit_itself_it_is_told_either_way_in_5_percent_of_runs(repeats: int) -> None:
    found = simulated(1.0, repeats)
    assert found[Kept.HOLDS] < 0.05
    assert found[Kept.BROKEN] < 0.05
    assert found[Kept.CANNOT_TELL] > 0.92


@pytest.mark.parametrize(("excess", "right"), [(0.85, Kept.HOLDS), (1.18, Kept.BROKEN)])
def test_away_from_the_limit_it_is_told_and_right(excess: float, right: Kept) -> None:
    found = simulated(excess, 5)
    assert found[right] > 0.95
    assert found[right] + found[Kept.CANNOT_TELL] == pytest.approx(1)


def test_the_value_is_the_tables_median_over_repeats() -> None:
    visits = tuple(visited("c0008", r, ms={95: ms}) for r, ms in enumerate((10, 11, 30), 1))
    found = kept(Cell("baseline", "c0008", visits), SLO)
    assert found.value == Value(11)
    assert "P95 11.0 ms [" in found.reason


@pytest.mark.parametrize(("failed", "of", "share"), [(21, 3000, 0.7), (14, 1000, 1.4), (0, 9, 0)])
def test_exactly_the_share_that_may_fail_is_no_more_than_it(
    failed: int, of: int, share: float
) -> None:
    # As `errors=0.7%` is read: 0.7 / 100 is not 0.007 in binary.
    assert not exceeds(failed, of, share / 100)
    assert exceeds(failed + 1, of, share / 100)
