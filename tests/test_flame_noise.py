"""What of the difference of two profiles is noise: held against simulated copies."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.flame import noise
from analysis.flame.noise import Dispersion, Scale, dispersion, scale, threshold, z
from analysis.flame.stacks import Frame, Stack, Stacks

FRAMES = 60
SHARES = np.random.default_rng(5).dirichlet(np.full(FRAMES, 0.4))


def profile(counts: NDArray[np.int64]) -> Stacks:
    found: dict[Stack, int] = {(Frame(f"f{i}", "a.py"),): int(n) for i, n in enumerate(counts) if n}
    return Stacks(found, sum(found.values()))


def clustered(rng: np.random.Generator, samples: int, size: int) -> NDArray[np.int64]:
    """Samples that come in runs of *size* of one function: they scatter *size* times as much."""
    return size * rng.multinomial(samples // size, SHARES)


@pytest.mark.parametrize("size", [1, 4, 8])
def test_the_dispersion_of_clustered_samples_is_found(size: int) -> None:
    rng = np.random.default_rng(1)
    pairs = [
        (profile(clustered(rng, 4000, size)), profile(clustered(rng, 3000, size)))
        for _ in range(40)
    ]
    found = dispersion(pairs)
    assert found.phi == pytest.approx(size, rel=0.1)
    assert found.df > 40 * 10


def test_samples_never_scatter_less_than_independent_ones() -> None:
    alike = profile(np.full(20, 50))
    assert dispersion([(alike, alike)]).phi == 1.0


def test_without_copies_the_dispersion_is_assumed() -> None:
    assert not dispersion([]).measured
    assert not dispersion([(profile(np.array([900])), profile(np.array([700])))]).measured
    assert noise.assumed(None).phi == noise.ASSUMED_DISPERSION
    assert noise.assumed(1.3).phi == noise.ASSUMED_DISPERSION
    assert noise.assumed(24.0).phi == 24.0


def coloured(rng: np.random.Generator, size: int, spread: float, blocks: int) -> bool:
    """Whether two copies of one service show any frame, from one comparison made in full."""
    first, second, a, b = (clustered(rng, 2000, size) for _ in range(4))
    whole = Scale(*(20 * np.exp(spread * rng.standard_normal((2, blocks)))))
    found = dispersion([(profile(first), profile(second))])
    zs = z(np.stack([a, b], axis=1).astype(float), (int(a.sum()), int(b.sum())), whole, found.phi)
    return bool(np.any(np.abs(zs) > threshold(FRAMES, found)))


@pytest.mark.parametrize(("size", "spread", "blocks"), [(1, 0.02, 3), (5, 0.02, 5), (3, 0.1, 2)])
def test_copies_of_one_service_seldom_show_a_change(size: int, spread: float, blocks: int) -> None:
    rng = np.random.default_rng(2)
    wrong = sum(coloured(rng, size, spread, blocks) for _ in range(400))
    # 5 % of 400 are 20; 3 standard deviations more are 33.
    assert wrong <= 33


def test_a_frame_that_costs_a_tenth_more_of_all_is_seen() -> None:
    whole = Scale(np.array([19.9, 20.0, 20.1]), np.array([22.1, 22.0, 21.9]))
    counts = np.array([[1000.0, 1000.0], [1000.0, 1200.0]])
    still, more = z(counts, (2000, 2200), whole, 1.0)
    assert abs(still) < threshold(2, Dispersion()) < more


def test_what_is_on_every_stack_has_the_noise_of_the_blocks_alone() -> None:
    a, b = np.array([20.0, 21.0, 19.0]), np.array([18.0, 19.5, 16.5])
    (found,) = z(np.array([[500.0, 300.0]]), (500, 300), Scale(a, b), 4.0)
    # Of three blocks: t(0.975, 2) = 4.303 where the normal has 1.960.
    error = 4.30265 / 1.95996 * np.std(b - a, ddof=1) / sqrt(3)
    assert found == pytest.approx(-2 / error, rel=1e-4)


def test_shares_have_no_noise_of_scale_and_one_window_an_assumed_one() -> None:
    everything = np.array([[500.0, 300.0]])
    shares = scale({0: 1.0}, {0: 1.0}, exact=True)
    assert z(everything, (500, 300), shares, 4.0) == 0.0
    window = scale({0: 20.0}, {0: 22.0})
    expected = 2 / (noise.ASSUMED_SCALE * sqrt(20**2 + 22**2))
    assert z(everything, (500, 300), window, 4.0) == pytest.approx(expected)


def test_only_blocks_that_both_have_are_compared() -> None:
    found = scale({1: 20.0, 2: 30.0, 3: 40.0}, {3: 41.0, 2: 31.0, 4: 99.0})
    assert (found.a.tolist(), found.b.tolist()) == ([30.0, 40.0], [31.0, 41.0])
    apart = scale({1: 20.0, 2: 30.0}, {0: 7.0})
    assert (apart.a.tolist(), apart.b.tolist(), apart.blocks) == ([25.0], [7.0], 1)


@given(st.integers(1, 5000), st.integers(1, 400))
def test_the_threshold_rises_with_the_frames_and_falls_with_what_is_known(m: int, df: int) -> None:
    normal = threshold(m, Dispersion())
    assert normal <= threshold(m + 1, Dispersion())
    assert normal < threshold(m, Dispersion(1.0, df))
    assert threshold(1, Dispersion()) == pytest.approx(1.95996, abs=1e-4)


@given(st.integers(0, 300), st.integers(0, 300), st.floats(1, 50))
def test_z_has_the_sign_of_the_difference_and_shrinks_with_the_dispersion(
    a: int, b: int, phi: float
) -> None:
    whole = Scale(np.array([20.0, 21.0]), np.array([20.0, 21.0]))
    counts = np.array([[float(a), float(b)]])
    (tight,), (loose,) = (z(counts, (300, 300), whole, value) for value in (1.0, phi))
    assert np.sign(tight) == np.sign(b - a)
    assert abs(loose) <= abs(tight) + 1e-12
