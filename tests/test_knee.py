"""The knee against the library of its inventors' method, and how often its interval is right."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kneed import KneeLocator

from analysis.curve import curve, lacking, more
from analysis.knee import Knee, clause, knee, kneedle
from benchmarks.record import clients_level
from tests.loads import Array, closed_loop, matrix, noisy, visited

DOUBLING = (1, 2, 4, 8, 16, 32)


def kinked(at: float) -> Callable[[Array], Array]:
    """Throughput in proportion to clients up to *at*, then none that is new."""
    return lambda clients: 50 * np.minimum(clients, at)


def scaling(clients: Array) -> Array:
    found: Array = 50 * clients / (1 + 0.05 * (clients - 1) + 0.0005 * clients * (clients - 1))
    return found


def of(
    mean: Array, clients: tuple[int, ...] = DOUBLING, blocks: int = 5, noise: float = 0.03
) -> Knee:
    rng = np.random.default_rng(3)
    return knee(closed_loop(clients, noisy(mean, blocks, rng, noise=noise)), "baseline")


curves = st.lists(st.floats(1, 1000), min_size=4, max_size=9)


@given(curves, st.integers(0, 1000))
def test_a_knee_is_where_the_library_of_the_method_finds_it(rps: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    # The method is for rising curves that bend down; from the origin, as a service's is.
    values = np.sort(np.asarray(rps)) * np.exp(0.01 * rng.standard_normal(len(rps)))
    clients = np.sort(rng.choice(np.arange(2, 300), len(rps), replace=False)).astype(float)
    x, y = np.concatenate([[0.0], clients]), np.concatenate([[0.0], values])
    if values[0] / values.max() <= clients[0] / clients[-1]:
        return  # below the diagonal at once: the library then takes the origin for the knee
    expected = KneeLocator(x, y, S=1.0, curve="concave", direction="increasing").knee
    found = kneedle(clients, values[None, :])[0]
    assert found == expected if expected is not None else np.isnan(found)


@given(curves, st.floats(0.01, 100), st.integers(1, 50))
def test_units_move_no_knee(rps: list[float], factor: float, step: int) -> None:
    clients, values = np.arange(1.0, len(rps) + 1), np.asarray(rps)[None, :]
    found, other = kneedle(clients, values)[0], kneedle(clients * step, values * factor)[0]
    assert np.isnan([found, other]).all() or found * step == pytest.approx(other)


def test_many_curves_are_each_what_they_are_alone() -> None:
    rng = np.random.default_rng(1)
    clients = np.array(DOUBLING, dtype=float)
    curves = kinked(6)(clients) * np.exp(0.1 * rng.standard_normal((50, len(clients))))
    alone = [kneedle(clients, row[None, :])[0] for row in curves]
    np.testing.assert_array_equal(kneedle(clients, curves), alone)


@pytest.mark.parametrize("blocks", [2, 3, 5, 10])
@pytest.mark.parametrize(("at", "noise"), [(10, 0.03), (10, 0.08), (2, 0.03), (1, 0.03)])
def test_the_interval_has_the_true_knee(at: int, noise: float, blocks: int) -> None:
    rng = np.random.default_rng(blocks)
    clients = np.array(DOUBLING, dtype=float)
    runs = 40
    found = [
        knee(
            closed_loop(DOUBLING, noisy(kinked(at)(clients), blocks, rng, noise=noise)), "baseline"
        )
        for _ in range(runs)
    ]
    told = [each for each in found if each.low is not None and each.high is not None]
    assert len(told) > 0.9 * runs if blocks > 2 else told
    inside = [each for each in told if (each.low or 0) <= at <= (each.high or 0)]
    assert len(inside) >= 0.95 * len(told)


def test_growth_in_proportion_has_no_knee_and_more_clients_are_asked_for() -> None:
    found = of(kinked(1000)(np.array(DOUBLING, dtype=float)))
    assert (found.clients, found.low, found.gain) == (None, None, None)
    assert clause(found) == "no knee up to 32 clients: add clients = [64, 128]"


def test_a_service_that_one_client_keeps_busy_has_its_knee_there() -> None:
    found = of(np.full(6, 80.0))
    assert (found.clients, found.low) == (1, 1)
    assert clause(found).startswith("adding clients beyond 1 (it may be anything from 1 to ")
    assert "adds wait, not throughput: 32 clients get 1." in clause(found)


def test_the_clause_says_what_more_clients_get_and_what_they_wait() -> None:
    flat = of(kinked(8)(np.array(DOUBLING, dtype=float)))
    assert flat.gain is not None
    assert flat.wait is not None
    assert flat.gain.point == pytest.approx(1, abs=0.05)
    assert flat.wait.point == pytest.approx(4, rel=0.05)
    assert "adds wait, not throughput: 32 clients get" in clause(flat)
    assert clause(flat).endswith("times the P50")
    bent = of(scaling(np.array([*DOUBLING, 64.0])), (*DOUBLING, 64), noise=0.005)
    assert "adds more wait than throughput" in clause(bent)


def test_a_knee_that_noise_may_have_made_is_not_told() -> None:
    found = of(50 * np.array([1, 2, 4, 8, 16, 26.0]), blocks=3, noise=0.15)
    assert found.clients is None
    assert 0.05 < found.seen < 0.95
    assert clause(found).startswith("whether there is a knee cannot be told: of the curves")
    assert clause(found).endswith("have a knee; take more repeats")


def test_the_same_record_has_the_same_interval() -> None:
    mean = scaling(np.array(DOUBLING, dtype=float))
    assert of(mean) == of(mean)


def test_fewer_than_four_levels_are_too_few_and_which_to_add() -> None:
    found = of(np.array([50.0, 200.0]), (1, 32))
    assert found.reason == (
        "the knee is not known: 4 levels of clients are needed, found 2; add clients = [2, 6]"
    )


def test_one_repeat_is_too_few() -> None:
    found = of(kinked(8)(np.array(DOUBLING, dtype=float)), blocks=1)
    assert found.reason.endswith("2 repeats that have every level are needed, found 1")


def test_a_level_without_a_good_answer_is_left_out_and_named() -> None:
    rps = np.array([[50.0, 90, 100, 0], [51, 92, 0, 0], [49, 91, 99, 0]])
    found = curve(closed_loop((1, 2, 4, 8), rps), "baseline")
    assert found.clients.tolist() == [1, 2]
    assert found.left_out == (4, 8)
    assert found.rps.tolist() == rps[:, :2].tolist()
    assert "found 2 (without 4 and 8 clients, where a repeat had no good answer)" in lacking(
        found, 4
    )


def test_only_repeats_that_have_every_level_count() -> None:
    visits = [
        visited(clients_level(n), repeat, rps=10.0 * n + repeat)
        for n in (1, 2, 4)
        for repeat in (1, 2, 3)
        if (n, repeat) != (2, 3)
    ]
    found = curve(matrix(visits), "baseline")
    assert found.blocks == (1, 2)
    assert found.rps.tolist() == [[11, 21, 41], [12, 22, 42]]


def test_a_variant_or_a_loop_that_was_not_measured_has_an_empty_curve() -> None:
    open_loop = matrix([visited("q0050", 1)])
    for variant in ("baseline", "other"):
        found = curve(open_loop, variant)
        assert (found.rps.shape, found.blocks, found.left_out) == ((0, 0), (), ())
        assert lacking(found, 5).endswith("found 0; add clients = [1, 2, 4, 8, 16]")


@given(st.lists(st.integers(1, 5000), max_size=6), st.integers(4, 6))
@settings(max_examples=60)
def test_the_clients_to_add_are_new_and_as_many_as_lack(known: list[int], levels: int) -> None:
    added = more(known, levels)
    assert not set(added) & set(known)
    assert len({*added, *known}) == max(levels, len(set(known)))
    assert added == sorted(added)
