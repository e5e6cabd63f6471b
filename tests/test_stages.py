"""Where the time goes: stages add up, and a difference is put where it was made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import why
from analysis.comparison import Comparison, compare
from analysis.latency import percentiles
from analysis.stages import MEAN, REST, Mix, explain, mixes
from benchmarks.record import load
from tests.golden import DEMO
from tests.records import Shape, campaign, with_cell, write

ROOT = Path(__file__).parent.parent
SLOW = Shape(median_ms=40, requests=400, noise=0.01, spread=0.1, stages={"decode": 14, "infer": 20})
QUICK = replace(SLOW, median_ms=28, stages={"decode": 2, "infer": 20})


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    plan = campaign({"baseline": SLOW, "optimized": QUICK})
    return compare(load(write(tmp_path_factory.mktemp("stages"), plan)))


@given(
    st.lists(st.floats(1, 1000), min_size=6, max_size=60),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_stages_and_the_rest_add_up(times: list[float], one: float, two: float) -> None:
    response = np.array(times)
    stages = {"decode": response * one * 0.5, "infer": response * two * 0.5}
    censored = np.zeros(len(times), dtype=bool)
    middle = percentiles(response, [50])[0]
    found = mixes(response, stages, censored, {"p50": middle})
    for mix in found.values():
        assert sum(mix.stages_ms.values()) == pytest.approx(mix.total_ms)
    assert found[MEAN].n == len(times)
    assert middle.low_ms <= found["p50"].total_ms <= middle.high_ms


def test_requests_that_name_no_stage_and_those_given_up_are_left_out() -> None:
    response = np.array([10.0, 20.0, 1000.0, 40.0])
    decode = np.array([1.0, 3.0, 5.0, np.nan])
    infer = np.array([2.0, np.nan, 5.0, np.nan])
    censored = np.array([False, False, True, False])
    mix = mixes(response, {"decode": decode, "infer": infer}, censored, {})[MEAN]
    assert (mix.n, mix.total_ms) == (2, 15.0)
    # The second request did not pass inference: it spent nothing there.
    assert mix.stages_ms == {"decode": 2.0, "infer": 1.0, REST: 12.0}


def test_a_service_that_names_no_stages_has_no_mix_and_no_explanation(tmp_path: Path) -> None:
    plan = campaign({"baseline": Shape(), "optimized": Shape(median_ms=10)})
    found = compare(load(write(tmp_path, plan)))
    assert found.matrix.cells["baseline", "c0001"].mix("p50") is None
    assert found.matrix.explain("optimized", "c0001", "p50") is None
    assert why.sentences(found) == []


def test_a_difference_is_put_into_the_stage_that_made_it(comparison: Comparison) -> None:
    found = comparison.matrix.explain("optimized", "c0001", "p50")
    assert found is not None
    parts = {part.stage: part for part in found.parts}
    assert parts["decode"].ms == pytest.approx(-12)
    assert parts["infer"].ms == pytest.approx(0)
    assert not parts["infer"].shown
    assert sum(part.ms for part in found.parts) == pytest.approx(found.total.ms)
    assert found.total.ms == pytest.approx(found.after_ms - found.before_ms)
    assert sum(part.share for part in found.parts) == pytest.approx(1)


def test_the_sentence_names_the_stage_and_its_share(comparison: Comparison) -> None:
    (line,) = why.sentences(comparison)
    assert "optimized against baseline" in line
    assert "ms less, of which decode 12.0 ms" in line
    assert "infer" not in line


def test_a_stage_that_works_against_the_difference_is_told(tmp_path: Path) -> None:
    worse = replace(QUICK, stages={"decode": 2, "infer": 23})
    plan = campaign({"baseline": SLOW, "optimized": worse}, ("c0001",))
    (line,) = why.sentences(compare(load(write(tmp_path, plan))))
    assert "infer takes 3.00 ms more" in line


def test_no_stage_that_matters_is_left_out_of_the_sentence(tmp_path: Path) -> None:
    names = ("queue", "receive", "decode", "preprocess", "infer", "postprocess")
    slow = replace(SLOW, stages=dict.fromkeys(names, 6.0))
    quick = replace(SLOW, median_ms=22, stages=dict.fromkeys(names, 3.0))
    plan = campaign({"baseline": slow, "optimized": quick}, ("c0001",))
    (line,) = why.sentences(compare(load(write(tmp_path, plan))))
    assert all(name in line for name in names)
    assert "cannot be put" not in line


def test_the_slow_requests_of_a_variant_are_explained_by_its_own(comparison: Comparison) -> None:
    found = comparison.matrix.tail("baseline", "c0001", "p50", "p95")
    assert found is not None
    parts = {part.stage: part for part in found.parts}
    # The simulated stages are the same for every request: what is slow is slow outside of them.
    assert parts[REST].share == pytest.approx(1)
    assert found.total.ms > 0
    assert comparison.matrix.tail("nobody", "c0001") is None


def test_one_block_has_no_interval() -> None:
    one, two = (Mix(5, ms, {"infer": 1.0, REST: ms - 1}) for ms in (10.0, 14.0))
    found = explain([(one, two)])
    assert found is not None
    assert found.total.ms == 4
    assert not found.total.shown
    assert explain([]) is None


def test_the_real_record_is_explained_to_the_last_microsecond() -> None:
    found = compare(load(DEMO))
    for variant in found.plan.judged:
        for level in found.plan.levels:
            for measure in ("p50", "p95"):
                told = found.matrix.explain(variant, level, measure)
                assert told is not None
                assert sum(part.ms for part in told.parts) == pytest.approx(told.total.ms)


def test_the_whole_curve_is_the_geometric_mean_of_its_levels(comparison: Comparison) -> None:
    matrix = comparison.matrix
    (curve,) = [d for d in matrix.curves if d.measure == "p50"]
    levels = [d.ratio for d in matrix.differences if d.measure == "p50"]
    assert curve.ratio is not None
    points = [ratio.point for ratio in levels if ratio]
    assert curve.ratio.point == pytest.approx(float(np.exp(np.mean(np.log(points)))))
    assert curve.verdict == "faster"


def test_one_level_is_no_curve_and_a_level_that_one_side_lacks_does_not_count(
    tmp_path: Path,
) -> None:
    plan = campaign({"baseline": SLOW, "optimized": QUICK}, ("c0001",))
    assert compare(load(write(tmp_path / "one", plan))).matrix.curves == ()
    plan = campaign({"baseline": SLOW, "optimized": QUICK}, ("c0001", "c0008", "c0032"))
    plan = with_cell(plan, "optimized", "c0032", repeats=0)
    found = compare(load(write(tmp_path / "three", plan))).matrix
    (curve,) = [d for d in found.curves if d.measure == "p50"]
    assert curve.ratio is not None
    assert len(curve.ratio.blocks) == 3
