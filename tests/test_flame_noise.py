"""What of the difference of two profiles is noise: held against simulated copies."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.compare import t_quantile
from analysis.flame import noise
from analysis.flame.noise import Dispersion, Scale, dispersion, scale, threshold, z
from analysis.flame.stacks import Frame, Stack, Stacks
from analysis.flame.stage_frames import STAGE_OF

FRAMES = 60
SHARES = np.random.default_rng(5).dirichlet(np.full(FRAMES, 0.4))
STAGES = list({stage: frame for frame, stage in STAGE_OF.items()}.values())
GROUPS = np.arange(FRAMES) % len(STAGES)


def profile(counts: NDArray[np.int64]) -> Stacks:
    found: dict[Stack, int] = {
        (STAGES[GROUPS[i]], Frame(f"f{i}", "a.py")): int(n) for i, n in enumerate(counts) if n
    }
    return Stacks(found, sum(found.values()))


def clustered(
    rng: np.random.Generator, samples: int, size: int | NDArray[np.int64]
) -> NDArray[np.int64]:
    """Samples that come in runs of *size* of one function: they scatter *size* times as much."""
    runs = SHARES / size
    return size * rng.multinomial(int(samples * runs.sum()), runs / runs.sum())


def with_callers(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """And what calls them: a frame for each stage, one for each two and one for all."""
    stages = np.bincount(GROUPS, counts, len(STAGES)).astype(np.int64)
    return np.concatenate([counts, stages, stages[1:] + stages[:-1], [counts.sum()]])


@pytest.mark.parametrize("size", [1, 4, 8])
def test_the_dispersion_of_clustered_samples_is_found(size: int) -> None:
    rng = np.random.default_rng(1)
    pairs = [
        (profile(clustered(rng, 4000, size)), profile(clustered(rng, 3000, size)))
        for _ in range(40)
    ]
    found = dispersion(pairs)
    # The largest of three estimates of the same number.
    assert size * 0.95 < found.phi < size * 1.25
    assert found.df >= 40 * (len(STAGES) - 1)


def test_what_comes_in_long_runs_decides() -> None:
    rng = np.random.default_rng(3)
    sizes = np.where(SHARES > 0.05, 20, 1)
    pairs = [tuple(profile(clustered(rng, 4000, sizes)) for _ in "ab") for _ in range(10)]
    found = dispersion([(a, b) for a, b in pairs])
    # Each function as one piece: what is short and rare hides what is long.
    bare = [
        tuple(Stacks({s[1:]: n for s, n in side.counts.items()}, side.samples) for side in pair)
        for pair in pairs
    ]
    assert found.phi > 1.2 * dispersion([(a, b) for a, b in bare]).phi > 3
    assert found.df == 10 * (len(STAGES) - 1)


def test_samples_never_scatter_less_than_independent_ones() -> None:
    alike = profile(np.full(20, 50))
    assert dispersion([(alike, alike)]).phi == 1.0


def test_without_copies_the_dispersion_is_assumed() -> None:
    assert not dispersion([]).measured
    assert not dispersion([(profile(np.array([900])), profile(np.array([700])))]).measured
    assert noise.assumed(None).phi == noise.ASSUMED_DISPERSION
    assert noise.assumed(1.3).phi == noise.ASSUMED_DISPERSION
    assert noise.assumed(24.0).phi == 24.0


def coloured(
    rng: np.random.Generator, size: int | NDArray[np.int64], spread: float, blocks: int
) -> bool:
    """Whether two copies of one service show any frame, from one comparison made in full."""
    first, second, a, b = (clustered(rng, 2000, size) for _ in range(4))
    whole = Scale(*(20 * np.exp(spread * rng.standard_normal((2, blocks)))))
    found = dispersion([(profile(first), profile(second))])
    frames = np.stack([with_callers(a), with_callers(b)], axis=1).astype(float)
    zs = z(frames, (int(a.sum()), int(b.sum())), whole, found.phi)
    return bool(np.any(np.abs(zs) > threshold(len(frames), found)))


@pytest.mark.parametrize(("size", "spread", "blocks"), [(1, 0.02, 3), (5, 0.02, 5), (3, 0.1, 2)])
def test_copies_of_one_service_seldom_show_a_change(size: int, spread: float, blocks: int) -> None:
    rng = np.random.default_rng(2)
    wrong = sum(coloured(rng, size, spread, blocks) for _ in range(400))
    assert wrong <= 20  # 5 % of 400


# Where a function runs for a hundredth of a profile at once, one pair cannot tell well enough: then
# it is 6 or 7 %; 33 are 3 standard deviations more than 20.
@pytest.mark.parametrize(("longest", "most"), [(6, 20), (12, 20), (30, 33)])
def test_nor_where_the_functions_that_cost_more_run_for_longer(longest: int, most: int) -> None:
    rng = np.random.default_rng(2)
    sizes = np.round(1 + (longest - 1) * SHARES / SHARES.max()).astype(np.int64)
    wrong = sum(coloured(rng, sizes, 0.02, 3) for _ in range(400))
    assert wrong <= most


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


@pytest.mark.parametrize(
    ("looked_at", "df", "table"), [(3, 5, 3.40), (10, 10, 3.45), (20, 20, 3.37)]
)
def test_the_threshold_is_the_studentized_maximum_modulus(
    looked_at: int, df: int, table: float
) -> None:
    assert threshold(looked_at, Dispersion(1.0, df)) == pytest.approx(table, abs=0.03)
    one = threshold(1, Dispersion(1.0, df))
    assert one == pytest.approx(t_quantile(df), rel=1e-3)


@given(st.integers(0, 300), st.integers(0, 300), st.floats(1, 50))
def test_z_has_the_sign_of_the_difference_and_shrinks_with_the_dispersion(
    a: int, b: int, phi: float
) -> None:
    whole = Scale(np.array([20.0, 21.0]), np.array([20.0, 21.0]))
    counts = np.array([[float(a), float(b)]])
    (tight,), (loose,) = (z(counts, (300, 300), whole, value) for value in (1.0, phi))
    assert np.sign(tight) == np.sign(b - a)
    assert abs(loose) <= abs(tight) + 1e-12
