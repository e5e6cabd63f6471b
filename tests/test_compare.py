"""Ratios over blocks, the noise floor and the verdicts; how often they are right is simulated."""

from collections.abc import Callable, Mapping
from math import exp, inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from analysis.compare import (
    Bound,
    Ratio,
    Value,
    Verdict,
    block_noise,
    holm,
    judge,
    narrows_to,
    noise_floor,
    p_value,
    ratio,
    repeats_needed,
)
from analysis.matrix import Matrix, build
from analysis.plan import Plan
from benchmarks.record import Visit
from tests.records import arrays

Array = NDArray[np.float64]
LEVELS = ("c0001", "c0008", "c0032")
VARIANTS = ("baseline", "seed", "optimized", "baseline.aa")


def of(ours: list[float], theirs: list[float]) -> Ratio:
    found = ratio([(Value(v), Value(r)) for v, r in zip(ours, theirs, strict=True)])
    assert found is not None
    return found


def test_the_ratio_is_the_geometric_mean_of_the_blocks() -> None:
    found = of([10, 40, 20], [20, 20, 20])
    assert found.blocks == pytest.approx((0.5, 2.0, 1.0))
    assert found.point == pytest.approx(1.0)


def test_the_interval_is_the_paired_t_interval_of_the_logarithms() -> None:
    ours, theirs = [12.1, 12.4, 11.9, 12.6], [20.3, 21.0, 19.5, 20.0]
    expected = stats.ttest_rel(np.log(ours), np.log(theirs)).confidence_interval(0.95)
    found = of(ours, theirs)
    assert (log(found.low), log(found.high)) == pytest.approx((expected.low, expected.high))


def test_drift_common_to_a_block_does_not_matter() -> None:
    found = of([10, 15, 30], [20, 30, 60])
    assert (found.point, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))


@given(
    st.lists(st.tuples(st.floats(0.1, 1e4), st.floats(0.1, 1e4)), min_size=2, max_size=8),
)
def test_the_other_way_round_is_the_inverse(pairs: list[tuple[float, float]]) -> None:
    forwards = of([v for v, _ in pairs], [r for _, r in pairs])
    backwards = of([r for _, r in pairs], [v for v, _ in pairs])
    assert forwards.point == pytest.approx(1 / backwards.point)
    assert log(forwards.low) == pytest.approx(-log(backwards.high), abs=1e-9)


def test_one_block_has_a_ratio_but_no_interval() -> None:
    found = of([10], [20])
    assert (found.point, found.low, found.high) == (0.5, 0, inf)
    assert judge(found, None, 0.05, 0.0)[0] is Verdict.UNRESOLVED


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_detectable_difference_is_seen_in_8_of_10_campaigns(n: int) -> None:
    rng = np.random.default_rng(3)
    # Blocks that show exactly the noise that there is.
    logs = rng.normal(0, 1, n)
    logs *= 0.05 / np.std(logs, ddof=1)
    told = log(1 + of(list(np.exp(logs)), [1.0] * n).detectable)
    campaigns = rng.normal(told, 0.05, (2000, n))
    seen = [of(list(np.exp(row)), [1.0] * n).low > 1 for row in campaigns]
    assert 0.77 < float(np.mean(seen)) < 0.83
    assert of([1.0], [2.0]).detectable == inf


def test_ratios_beyond_all_measure_stay_numbers() -> None:
    found = of([1e-90, 1e90], [1e90, 1e-90])
    assert 0 < found.low <= found.high < inf
    assert found.detectable < inf


def test_the_noise_floor_takes_the_true_mean_to_be_0() -> None:
    copy, original = [21.0, 19.0, 20.5], [20.0, 20.0, 20.0]
    rms = sqrt(sum(log(c / o) ** 2 for c, o in zip(copy, original, strict=True)) / 3)
    expected = exp(stats.t.ppf(0.975, 3) * rms / sqrt(3)) - 1
    assert noise_floor(copy, original) == pytest.approx(expected)
    assert noise_floor([21.0], [20.0]) is None


def test_the_noise_of_the_blocks_is_the_residual_of_the_block_design() -> None:
    rng = np.random.default_rng(5)
    logs = rng.normal(0, 0.1, (3, 4)) + rng.normal(0, 1, 4) + rng.normal(0, 1, (3, 1))
    found = block_noise({str(i): np.exp(row).tolist() for i, row in enumerate(logs)})
    assert found is not None
    pair = block_noise({str(i): np.exp(logs[i]).tolist() for i in (0, 1)})
    assert pair is not None
    # Of two variants alone it is the paired test: the same p-value as scipy's.
    expected = stats.ttest_rel(logs[0], logs[1]).pvalue
    assert p_value(of(list(np.exp(logs[0])), list(np.exp(logs[1]))), pair) == pytest.approx(
        expected
    )
    assert (found.df, pair.df) == (6, 3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_no_stricter_than_bonferroni_and_no_laxer_than_the_p_values(
    p_values: list[float],
) -> None:
    adjusted = holm(p_values)
    for p, a in zip(p_values, adjusted, strict=True):
        assert p <= a <= min(1.0, p * len(p_values)) + 1e-12
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)


def test_holm_gives_the_values_of_the_worked_example() -> None:
    # 0.01 x 4, 0.02 x 3, 0.03 x 2, and never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])


def interval(low: float, high: float, bound: Bound = Bound.EXACT) -> Ratio:
    point = sqrt(low * high)
    return Ratio(point, low, high, (low, point, high), bound)


@pytest.mark.parametrize(
    ("low", "high", "floor", "p", "verdict"),
    [
        (0.50, 0.60, 0.04, 0.001, Verdict.FASTER),
        (1.50, 1.60, 0.04, 0.001, Verdict.SLOWER),
        (0.50, 0.60, None, 0.001, Verdict.FASTER),
        (0.98, 1.03, 0.04, 0.500, Verdict.SAME),
        (0.96, 0.99, 0.01, 0.001, Verdict.SAME),  # surely different, surely by less than 5 %
        (0.90, 1.03, 0.04, 0.500, Verdict.UNRESOLVED),
        (0.90, 0.99, 0.04, 0.001, Verdict.FASTER),
        (0.90, 0.99, 0.08, 0.001, Verdict.UNRESOLVED),  # not beyond the noise floor
        (0.90, 0.99, 0.04, 0.060, Verdict.UNRESOLVED),  # one of many comparisons
    ],
)
def test_the_verdict_follows_the_rule(
    low: float, high: float, floor: float | None, p: float, verdict: Verdict
) -> None:
    assert judge(interval(low, high), floor, 0.05, p)[0] is verdict


def test_more_throughput_is_faster() -> None:
    found = judge(interval(1.5, 1.6), 0.04, 0.05, 0.001, more_is_better=True)
    assert found == (Verdict.FASTER, "")


@pytest.mark.parametrize(
    ("low", "high", "bound", "verdict"),
    [
        (2.0, 2.2, Bound.AT_LEAST, Verdict.SLOWER),  # timed out at more than twice the time
        (0.5, 0.6, Bound.AT_LEAST, Verdict.UNRESOLVED),  # the true ratio may be anything above
        (0.5, 0.6, Bound.AT_MOST, Verdict.FASTER),
        (0.99, 1.01, Bound.AT_LEAST, Verdict.UNRESOLVED),
    ],
)
def test_time_outs_bound_a_ratio_on_one_side(
    low: float, high: float, bound: Bound, verdict: Verdict
) -> None:
    assert judge(interval(low, high, bound), 0.04, 0.05, 0.001)[0] is verdict


def test_which_side_timed_out_decides_the_bound() -> None:
    late, early = Value(30_000, at_least=True), Value(20)
    assert getattr(ratio([(late, early), (early, early)]), "bound", None) is Bound.AT_LEAST
    assert getattr(ratio([(early, late), (early, early)]), "bound", None) is Bound.AT_MOST
    assert ratio([(late, early), (early, late)]) is None
    assert ratio([]) is None


def test_the_repeats_needed_are_enough_and_not_one_too_many() -> None:
    found = of([10, 11, 10.4, 9.7], [10, 10, 10, 10])
    n = repeats_needed(found, 0.05)
    assert n is not None
    target = max(abs(log(found.point)), log(1.05) - abs(log(found.point)))
    halves = [stats.t.ppf(0.975, m - 1) * found.sd_log / sqrt(m) for m in (n - 1, n)]
    assert halves[0] > target >= halves[1]
    assert repeats_needed(of([10, 30], [20, 10]), 0.05) is None


def test_repeats_are_foretold_only_for_an_interval_that_includes_1() -> None:
    """What the noise floor or many comparisons leave open may take more: no number is known."""
    assert repeats_needed(of([5, 5.1, 4.9], [10, 10, 10]), 0.05) is None
    given_up = ratio([(Value(v, at_least=True), Value(10)) for v in (9, 12, 10)])
    assert given_up is not None
    assert given_up.low < 1 < given_up.high
    assert repeats_needed(given_up, 0.05) is None


def test_what_comes_first_when_an_interval_narrows() -> None:
    assert narrows_to(of([10.1, 10.2], [10, 10]), 0.05) == "bring it inside the margin"
    assert narrows_to(of([8.7, 9.2], [10, 10]), 0.05) == "make the interval exclude 1"


# How the noise of a repeat is spread: as much as these machines show, and worse.
Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]
NOISES: dict[str, Noise] = {
    "normal": lambda rng, shape: 0.05 * rng.standard_normal(shape),
    "heavy": lambda rng, shape: 0.05 * rng.standard_t(3, shape),
    "lopsided": lambda rng, shape: 0.05 * rng.exponential(size=shape),
    "outliers": lambda rng, shape: np.where(
        rng.random(shape) < 0.1, 0.2, 0.03
    ) * rng.standard_normal(shape),
}  # fmt: skip


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("repeats", [3, 5, 10])
def test_the_interval_covers_the_true_ratio_in_93_to_98_percent_of_runs(
    repeats: int, noise: str
) -> None:
    """With drift of the machine by 30 % from block to block, which both variants share."""
    rng, runs, true = np.random.default_rng(11), 2500, 0.8
    drift = 0.3 * rng.standard_normal((runs, 1, repeats))
    logs = drift + NOISES[noise](rng, (runs, 2, repeats))
    values = 20 * np.exp(logs) * np.array([true, 1.0])[:, None]
    covered = 0
    for ours, theirs in values:
        found = of(list(ours), list(theirs))
        covered += found.low <= true <= found.high
    assert 0.93 <= covered / runs <= 0.98


def simulate(
    rng: np.random.Generator,
    repeats: int,
    speed: Mapping[str, float],
    noise: Mapping[str, float] | None = None,
    kind: str = "heavy",
    spread: float = 0.3,
) -> Matrix:
    """
    A campaign from arrays: requests spread log-normally, repeats with outliers, drift.

    *noise* is each variant's, in the usual 5 %; *spread* that of requests.
    """
    scale = noise or {}
    found = []
    for level in LEVELS:
        for repeat in range(1, repeats + 1):
            drift = 0.1 * rng.standard_normal()
            for variant in VARIANTS:
                own = scale.get(variant, 1.0) * float(NOISES[kind](rng, ()))
                shift = drift + own + log(speed.get(variant, 1.0))
                times = 20 * np.exp(shift + spread * rng.standard_normal(90))
                found.append(arrays(Visit(variant, level, repeat), times))
    plan = Plan(VARIANTS, LEVELS, "baseline", "baseline.aa", 0.05, repeats)
    return build(found, plan)


@pytest.mark.parametrize("repeats", [3, 5])
def test_campaigns_of_equal_variants_find_a_difference_in_at_most_5_percent(repeats: int) -> None:
    """
    Counted by campaign, the stricter way: one "faster" or "slower" among its 18 verdicts counts.

    Two variants at three levels by P50, P95 and throughput; P99 has too few requests.
    """
    rng = np.random.default_rng(2)
    wrong_campaigns, wrong, verdicts = 0, 0, 0
    for _ in range(200):
        matrix = simulate(rng, repeats, {})
        decided = [d for d in matrix.differences if d.ratio is not None]
        found = [d for d in decided if d.verdict in (Verdict.FASTER, Verdict.SLOWER)]
        wrong_campaigns += bool(found)
        wrong += len(found)
        verdicts += len(decided)
    assert verdicts == 200 * 18
    assert wrong_campaigns <= 0.05 * 200
    assert wrong <= 0.02 * verdicts


@pytest.mark.parametrize("repeats", [3, 5])
def test_a_noisier_variant_is_misjudged_in_at_most_5_percent_of_verdicts(repeats: int) -> None:
    """
    The copies are quiet (2 %), so the pooled noise is too small for variants with 10 %: what
    still holds is that each verdict by itself needs its own paired interval to exclude 1.
    """
    rng, quiet, loud = np.random.default_rng(6), 0.4, 2.0
    noise = {"baseline": quiet, "baseline.aa": quiet, "seed": loud, "optimized": loud}
    decided = [
        d.verdict in (Verdict.FASTER, Verdict.SLOWER)
        for _ in range(150)
        for d in simulate(rng, repeats, {}, noise, "normal", spread=0.03).differences
        if d.ratio is not None
    ]
    assert len(decided) == 150 * 18
    assert np.mean(decided) <= 0.05


def test_campaigns_with_a_true_difference_find_it() -> None:
    """Twice as fast, 3 repeats, heavy-tailed noise of 5 %: nearly always seen, never reversed."""
    rng = np.random.default_rng(3)
    verdicts = [
        d.verdict
        for _ in range(30)
        for d in simulate(rng, 3, {"optimized": 0.5}).differences
        if d.variant == "optimized" and d.ratio is not None
    ]
    assert np.mean([v is Verdict.FASTER for v in verdicts]) > 0.8
    assert Verdict.SLOWER not in verdicts


def test_an_erratic_variant_does_not_hide_what_another_does() -> None:
    rng = np.random.default_rng(4)
    found = []
    for repeat in range(1, 4):
        for variant, scale, noise in (
            ("baseline", 20, 0.01),
            ("baseline.aa", 20, 0.01),
            ("seed", 20, 1.0),
            ("optimized", 12, 0.01),
        ):
            times = scale * np.exp(noise * rng.standard_normal() + 0.1 * rng.standard_normal(90))
            found.append(arrays(Visit(variant, "c0001", repeat), times))
    plan = Plan(VARIANTS, ("c0001",), "baseline", "baseline.aa", 0.05, 3)
    verdicts = {(d.variant, d.measure): d.verdict for d in build(found, plan).differences}
    assert verdicts["optimized", "p50"] is Verdict.FASTER
    assert verdicts["seed", "p50"] is Verdict.UNRESOLVED
