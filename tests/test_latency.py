"""Percentiles are observed values, split the requests where they say, and know their limits."""

from math import ceil, inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from analysis.latency import (
    AnalysisError,
    Percentile,
    interval_ranks,
    min_count,
    percentile,
    rank_of,
)

Array = NDArray[np.float64]
PERCENTS = st.sampled_from([25.0, 50.0, 75.0, 90.0, 95.0, 99.0])


@st.composite
def latencies(draw: st.DrawFn) -> tuple[Array, float]:
    """Enough latencies for the percentile, with many ties."""
    q = draw(PERCENTS)
    n = draw(st.integers(min_count(q), min_count(q) + 60))
    pool = draw(st.lists(st.floats(0.001, 1e5), min_size=1, max_size=20))
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).choice(np.array(pool), n), q


@given(latencies())
def test_a_percentile_splits_the_requests_where_it_says(case: tuple[Array, float]) -> None:
    values, q = case
    found = percentile(values, q).value_ms
    assert np.count_nonzero(values <= found) >= q / 100 * len(values) - 1e-9
    assert np.count_nonzero(values < found) < q / 100 * len(values) + 1e-9


@given(latencies())
def test_a_percentile_and_its_interval_are_observed_values(case: tuple[Array, float]) -> None:
    values, q = case
    found = percentile(values, q)
    assert {found.value_ms, found.low_ms, found.high_ms} <= set(values.tolist())
    assert found.low_ms <= found.value_ms <= found.high_ms
    assert not found.at_least


@given(latencies(), st.floats(0.001, 1000))
def test_a_percentile_follows_the_unit(case: tuple[Array, float], factor: float) -> None:
    values, q = case
    assert percentile(values * factor, q).value_ms == percentile(values, q).value_ms * factor


@given(latencies())
def test_the_order_of_the_requests_does_not_matter(case: tuple[Array, float]) -> None:
    values, q = case
    assert percentile(values[::-1].copy(), q) == percentile(values, q)


@given(latencies())
def test_a_higher_percentile_is_not_lower(case: tuple[Array, float]) -> None:
    values, q = case
    assert percentile(values, 50).value_ms <= percentile(values, max(50, q)).value_ms


@pytest.mark.parametrize(("q", "n"), [(50, 6), (90, 36), (95, 72), (99, 368), (99.9, 3688)])
def test_the_fewest_requests_are_those_of_the_formula(q: float, n: int) -> None:
    assert min_count(q) == n
    assert (q / 100) ** n <= 0.025 < (q / 100) ** (n - 1)


@pytest.mark.parametrize(
    ("q", "n", "ranks"),
    [
        (50, 1000, (469, 532)),
        (50, 10_000, (4902, 5099)),
        (95, 1000, (936, 964)),
        (95, 10_000, (9457, 9543)),
        (99, 1000, (983, 997)),
        (99, 10_000, (9880, 9920)),
        (99.9, 10_000, (9983, 9997)),
    ],
)
def test_the_ranks_are_those_of_the_binomial_table(
    q: float, n: int, ranks: tuple[int, int]
) -> None:
    assert interval_ranks(n, q) == ranks


@given(PERCENTS, st.integers(0, 5000))
def test_the_ranks_are_the_tightest_that_leave_off_2_5_percent(q: float, more: int) -> None:
    n, p = min_count(q) + more, q / 100
    low, high = interval_ranks(n, q)
    assert 1 <= low < high <= n
    assert binom.cdf(low - 1, n, p) <= 0.025 < binom.cdf(low, n, p)
    assert binom.cdf(high - 2, n, p) < 0.975 <= binom.cdf(high - 1, n, p)


def test_the_rank_is_not_one_high_where_binary_fractions_are_inexact() -> None:
    assert ceil(0.999 * 1000) == 999
    assert [rank_of(n, q) for n, q in ((1000, 99.9), (100, 55), (100, 7), (20, 95))] == [
        999,
        55,
        7,
        19,
    ]


@pytest.mark.parametrize(("q", "n"), [(95, 71), (99, 367), (50, 0), (50, 5)])
def test_too_few_requests_are_refused(q: float, n: int) -> None:
    with pytest.raises(AnalysisError, match=f"P{q} of {n} requests; it needs {min_count(q)}"):
        percentile(np.ones(n), q)


@pytest.mark.parametrize("q", [0, 100, -1, 101])
def test_what_is_no_percentage_is_refused(q: float) -> None:
    with pytest.raises(AnalysisError, match="more than 0 and less than 100"):
        percentile(np.ones(1000), q)


def with_time_outs(answered: int, given_up: int) -> tuple[Array, NDArray[np.bool_]]:
    values = np.concatenate([np.arange(1.0, answered + 1), np.full(given_up, 30_000.0)])
    return values, values == 30_000.0


def test_a_percentile_among_time_outs_is_at_least() -> None:
    values, censored = with_time_outs(900, 100)
    assert percentile(values, 95, censored) == Percentile(95, 1000, 30_000, 30_000, inf, True)


def test_a_percentile_below_the_time_outs_is_exact_but_counts_them() -> None:
    values, censored = with_time_outs(900, 100)
    assert percentile(values, 50, censored) == Percentile(50, 1000, 500, 469, 532, False)


def test_an_interval_that_reaches_into_the_time_outs_has_no_end() -> None:
    values, censored = with_time_outs(955, 45)
    found = percentile(values, 95, censored)
    assert (found.value_ms, found.low_ms, found.high_ms) == (950, 936, inf)


def test_a_request_given_up_early_counts_as_slower_than_every_answer() -> None:
    """It may have taken for ever: dropping it, or taking its 1 ms, would flatter the service."""
    values, censored = np.arange(1.0, 101), np.zeros(100, dtype=bool)
    values[50:60], censored[50:60] = 1.0, True
    found = percentile(values, 50, censored)
    assert found.value_ms == 50
    assert not found.at_least
    assert percentile(values, 95, censored).at_least


@pytest.mark.parametrize(("q", "n"), [(50, 60), (95, 150), (95, 400), (99, 500), (99, 4000)])
def test_the_interval_covers_the_percentile_in_93_to_98_percent_of_runs(q: float, n: int) -> None:
    rng = np.random.default_rng(20)
    truth = -np.log(1 - q / 100)
    runs = [percentile(rng.exponential(size=n), q) for _ in range(2000)]
    covered = np.mean([run.low_ms <= truth <= run.high_ms for run in runs])
    assert 0.93 <= covered <= 0.98


@pytest.mark.parametrize("q", [50, 95, 99])
def test_whole_ranks_make_the_interval_cover_a_little_more_never_less(q: float) -> None:
    """The exact coverage for every count; with few requests a rank is a coarse step."""
    p = q / 100
    for n in range(min_count(q), 1500, 7):
        low, high = interval_ranks(n, q)
        covered = binom.cdf(high - 1, n, p) - binom.cdf(low - 1, n, p)
        assert 0.95 <= covered <= (0.99 if n * (1 - p) < 30 else 0.975)
