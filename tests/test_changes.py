"""Changes of level in simulated series: found where they are, and rarely where there are none."""

from itertools import pairwise
from math import exp, inf, log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.changes import FEWEST, Changes, find
from analysis.compare import Bound

SD = 0.03
SERIES = 400


def series(rng: np.random.Generator, n: int, step: float = 0.0, first: int = 0) -> list[float]:
    """Latencies about 20 ms, with a step on the logarithm from *first* on."""
    logs = SD * rng.standard_normal(n)
    logs[first:] += step
    return [float(value) for value in 20 * np.exp(logs)]


def test_without_a_change_fewer_than_one_series_in_twenty_shows_one() -> None:
    rng = np.random.default_rng(1)
    made = [series(rng, n) for n in (6, 8, 12, 20, 60) for _ in range(2 * SERIES)]
    assert 0.02 < sum(bool(find(values).found) for values in made) / len(made) < 0.05


def test_runs_with_heavy_tails_are_not_taken_for_changes() -> None:
    rng = np.random.default_rng(7)
    made = [20 * np.exp(SD * rng.standard_t(3, 20) / np.sqrt(3)) for _ in range(SERIES)]
    assert sum(bool(find(list(values)).found) for values in made) / SERIES < 0.065


@pytest.mark.parametrize(("n", "first"), [(8, 4), (8, 5), (12, 3), (12, 9), (40, 20), (40, 37)])
def test_a_step_of_five_sigma_is_found_within_one_run(n: int, first: int) -> None:
    rng = np.random.default_rng(first)
    hits = 0
    for _ in range(100):
        found = find(series(rng, n, 5 * SD, first)).found
        hits += len(found) == 1 and abs(found[0].first - first) <= 1
    assert hits >= 90


def test_a_change_is_told_as_a_ratio_with_its_interval() -> None:
    rng = np.random.default_rng(3)
    inside, widths = 0, []
    for _ in range(SERIES):
        (change, *_) = find(series(rng, 12, 0.2, 6)).found
        assert change.ratio is not None
        inside += change.ratio.low <= exp(0.2) <= change.ratio.high
        widths.append(change.ratio.high / change.ratio.low)
    assert 0.9 < inside / SERIES < 0.98
    assert np.median(widths) == pytest.approx(exp(2 * 2.23 * SD * np.sqrt(1 / 3)), rel=0.05)


def test_two_changes_are_two() -> None:
    rng = np.random.default_rng(5)
    logs = SD * rng.standard_normal(24)
    logs[8:16] += 0.3
    assert [change.first for change in find(list(np.exp(logs))).found] == [8, 16]


def test_one_odd_run_is_no_level_and_hides_none() -> None:
    values = series(np.random.default_rng(9), 16)
    values[6] *= 10
    assert find(values).found == ()
    values = [value * (1.3 if n >= 9 else 1) for n, value in enumerate(values)]
    assert [change.first for change in find(values).found] == [9]


@pytest.mark.parametrize(("n", "first"), [(6, 3), (12, 9), (30, 27), (30, 3)])
def test_four_of_five_changes_of_the_size_it_names_are_found(n: int, first: int) -> None:
    rng = np.random.default_rng(n + first)
    named = float(np.median([find(series(rng, n)).detectable for _ in range(SERIES)]))
    hits = sum(bool(find(series(rng, n, log1p(named), first)).found) for _ in range(SERIES))
    assert 0.70 < hits / SERIES < 0.90


@pytest.mark.parametrize("n", range(2 * FEWEST))
def test_too_few_runs_show_nothing(n: int) -> None:
    assert find([1.0, 9.0, 1.0, 9.0, 9.0][:n]) == Changes((), n, inf, inf)


def test_a_constant_series_has_no_change() -> None:
    assert find([20.0] * 12).found == ()


def test_levels_without_any_noise_are_told_apart() -> None:
    (change,) = find([10.0] * 4 + [20.0] * 4).found
    assert change.first == 4
    assert change.ratio is not None
    assert change.ratio.low == pytest.approx(change.ratio.high) == pytest.approx(2)


def test_runs_are_no_surer_than_their_repeats_say() -> None:
    values = [10.0] * 4 + [10.4] * 4
    assert find(values, [0.001] * 8).found
    assert find(values, [0.05] * 8).found == ()
    assert find(values, [0.05] * 8).sd_log == 0.05


LEAST, MOST, EXACT = Bound.AT_LEAST, Bound.AT_MOST, Bound.EXACT


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (EXACT, EXACT, EXACT),
        (EXACT, LEAST, LEAST),
        (LEAST, EXACT, MOST),
        (EXACT, MOST, MOST),
        (MOST, EXACT, LEAST),
        (MOST, LEAST, LEAST),
        (LEAST, LEAST, None),
        (MOST, MOST, None),
    ],
)
def test_between_values_that_are_bounds_a_ratio_is_one(
    before: Bound, after: Bound, told: Bound | None
) -> None:
    """One such value in a level is enough."""
    values = series(np.random.default_rng(11), 10, 0.3, 5)
    known = [*[EXACT] * 4, before, *[EXACT] * 4, after]
    (change,) = find(values, known=known).found
    assert (change.ratio.bound if change.ratio else None) is told
    assert change.first == 5


def test_of_bounds_nobody_says_what_would_have_shown() -> None:
    values = series(np.random.default_rng(12), 10)
    assert find(values).detectable < inf
    assert find(values, known=[EXACT] * 9 + [LEAST]).detectable == inf


Values = st.lists(st.floats(1e-6, 1e9), max_size=40)


@given(Values)
def test_any_series_gives_levels_of_three_runs_at_least(values: list[float]) -> None:
    found = find(values)
    firsts = [0, *(change.first for change in found.found), found.n]
    assert found.n == len(values)
    assert not found.found or all(b - a >= FEWEST for a, b in pairwise(firsts))
    assert all(c.ratio and c.ratio.low <= c.ratio.point <= c.ratio.high for c in found.found)


@given(st.lists(st.floats(0.1, 100), min_size=6, max_size=30), st.floats(1e-3, 1e3))
def test_the_unit_of_the_values_does_not_matter(values: list[float], unit: float) -> None:
    """But for rounding, which decides where two places are as good as each other."""
    rng = np.random.default_rng(len(values))
    apart: NDArray[np.float64] = np.array(values) * np.exp(1e-3 * rng.standard_normal(len(values)))
    here, there = find(list(apart)), find(list(apart * unit))
    assert here.sd_log == pytest.approx(there.sd_log, rel=1e-6, abs=1e-9)
    assert [c.first for c in here.found] == [c.first for c in there.found]
