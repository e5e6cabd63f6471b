"""Where a percentile crosses a limit; how often the interval has the true load is simulated."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.compare import Bound
from analysis.crossing import Crossing, crossing
from analysis.objective import Objective
from tests.loads import matrix, visited

SLO = Objective(95, 100)
WITHIN, BEYOND = (50.0, 51.0, 52.0), (150.0, 151.0, 152.0)


def crossed(p95_ms: Mapping[str, Sequence[float]], limit_ms: float = 100) -> Crossing:
    visits = [
        visited(level, repeat, ms={95: ms})
        for level, series in p95_ms.items()
        for repeat, ms in enumerate(series, 1)
    ]
    return crossing(list(matrix(visits).cells.values()), replace(SLO, limit_ms=limit_ms))


@given(st.floats(0.2, 2), st.floats(0.5, 20), st.floats(1.05, 60))
def test_a_straight_curve_is_crossed_where_it_is(slope: float, start: float, load: float) -> None:
    clients, limit_ms = (1, 2, 8, 16, 64), start * load**slope
    series = {f"c{n:04d}": [start * n**slope * block for block in (1, 1, 1)] for n in clients}
    one = crossed(series, limit_ms)
    assert one.load is not None
    assert one.between is not None
    assert one.load.point == pytest.approx(load)
    low, high = (float(level[1:]) for level in one.between)
    assert low * 0.999 <= load <= high * 1.001


@given(st.floats(60, 300), st.floats(1.0, 1.5), st.integers(0, 99))
@settings(max_examples=50)
def test_a_looser_limit_is_crossed_at_no_lower_load(
    limit_ms: float, factor: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    series = {
        level: sorted((ms * np.exp(0.1 * rng.standard_normal(3))).tolist())
        for level, ms in (("c0001", 30.0), ("c0004", 90.0), ("c0016", 350.0), ("c0064", 1500.0))
    }
    tight, loose = crossed(series, limit_ms), crossed(series, limit_ms * factor)
    assert tight.load is not None
    assert loose.load is not None
    assert tight.load.point <= loose.load.point * (1 + 1e-9)


def test_blocks_that_do_not_cross_leave_the_load_unknown() -> None:
    one = crossed({"c0001": (50, 50, 50), "c0008": (90, 110, 120)})
    assert (one.load, one.between) == (None, None)
    assert one.reason == "in 1 of 3 repeats P95 does not cross the limit between two levels"
    above = crossed({"c0001": BEYOND, "c0008": BEYOND})
    assert above.reason.startswith("in every repeat P95 does not cross")
    alone = crossed({"c0001": WITHIN})
    assert alone.reason == "fewer than 2 levels and repeats have a P95"
    assert crossing([], SLO).load is None


@pytest.mark.parametrize(("bound_ms", "known"), [(500.0, True), (60.0, False)])
def test_a_percentile_among_the_given_up_bounds_the_load_if_they_waited_beyond_the_limit(
    bound_ms: float, known: bool
) -> None:
    visits = [visited("c0001", r, ms={95: 50.0}) for r in (1, 2, 3)]
    visits += [visited("c0008", r, ms={95: bound_ms}, at_least=True) for r in (1, 2, 3)]
    one = crossing(list(matrix(visits).cells.values()), SLO)
    assert (one.load is not None) is known
    if one.load is not None:
        assert one.load.bound is Bound.AT_MOST


def simulated(blocks: int, campaigns: int = 400) -> float:
    """How often the interval has the true load of 20, where the P95 grows as clients do."""
    rng, right, told = np.random.default_rng(blocks), 0, 0
    for _ in range(campaigns):
        drift = 0.1 * rng.standard_normal(blocks)
        series = {
            f"c{n:04d}": (5 * n * np.exp(drift + 0.05 * rng.standard_normal(blocks))).tolist()
            for n in (1, 4, 8, 16, 32, 64)
        }
        one = crossed(series)
        if one.load is not None:
            told += 1
            right += one.load.low <= 20 <= one.load.high
    assert told > 0.95 * campaigns
    return right / told


@pytest.mark.parametrize("blocks", [3, 5, 10])
def test_the_interval_has_the_true_load_as_often_as_it_says(blocks: int) -> None:
    assert 0.92 <= simulated(blocks) <= 0.98
