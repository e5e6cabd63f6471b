"""Each doubt: a record that provokes it, one that does not, and where it is printed."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from analysis.cells import Cell, Visited, reduce
from analysis.checks import Doubt, cell_doubts
from analysis.comparison import Comparison, compare
from analysis.doubts import KINDS
from analysis.matrix import Matrix
from analysis.plan import Plan
from benchmarks.record import Visit, load
from tests.records import Campaign, Shape, arrays, campaign, with_cell, write

QUIET = Shape(median_ms=20, requests=800, noise=0.002, spread=0.2)
GOOD = campaign({"baseline": QUIET, "optimized": replace(QUIET, median_ms=12)})
BEGAN = "0123456789abcdef0123456789abcdef01234567"  # the commit of every simulated record
OPEN = campaign({"baseline": QUIET, "optimized": QUIET}, levels=("q0080",))


def one(**changes: object) -> Campaign:
    """One cell of the good campaign is changed."""
    return with_cell(GOOD, "optimized", "c0008", **changes)


def one_open(**changes: object) -> Campaign:
    return with_cell(OPEN, "optimized", "q0080", **changes)


def every(**changes: object) -> Campaign:
    cells = {pair: replace(shape, **changes) for pair, shape in GOOD.cells.items()}  # type: ignore[arg-type]
    return replace(GOOD, cells=cells)


def in_run(**entries: object) -> Campaign:
    return replace(GOOD, run=entries)


def aa_copy_slower() -> Campaign:
    slower = with_cell(GOOD, "baseline.aa", "c0001", median_ms=24)
    return with_cell(slower, "baseline.aa", "c0008", median_ms=24)


PROVOKED: dict[str, Campaign] = {
    "no_aa_pair": campaign({"baseline": QUIET, "optimized": QUIET}, aa=None),
    "imported": in_run(imported={"tool": "k6", "cannot_know": ["when each request was due"]}),
    "aa_differs": aa_copy_slower(),
    "shared_cpus": in_run(pinning={"service": None, "generator": None, "reason": "2 CPUs"}),
    "left_out": in_run(left_out={"seed": "pillow-simd needs AVX2"}),
    "uncommitted_changes": in_run(commit={"sha": "0" * 40, "dirty": True}),
    "code_changed": in_run(resumed=[{"commit": {"sha": "f" * 40, "dirty": False}}]),
    "generator_late": one(send_lag_ms=1.5),
    "rate_missed": one_open(achieved_share=0.95),
    "generator_busy": one(generator_cpu_share=0.8),
    "errors": one(errors=9),
    "missing_repeats": one(repeats=2),
    "not_warm": one(first_quarter=1.3),
    "getting_slower": one(first_quarter=0.7),
    "other_load": one(other_cpu_share=0.15),
    "steal": one(steal_share=0.02),
    "repeats_disagree": one(noise=0.3),
    "too_few": one(requests=300),
}
# Just inside each limit: what must not be doubted.
NEARLY: dict[str, Campaign] = {
    "no_aa_pair": GOOD,
    "imported": in_run(imported=None),
    "aa_differs": GOOD,
    "shared_cpus": in_run(pinning={"service": [0], "generator": [1], "reason": ""}),
    "left_out": in_run(left_out={}),
    "uncommitted_changes": in_run(commit={"sha": None, "dirty": None}),
    "code_changed": in_run(resumed=[{"commit": {"sha": BEGAN, "dirty": False}}]),
    "generator_late": one(send_lag_ms=0.9),
    "rate_missed": one_open(achieved_share=0.995),
    "generator_busy": one(generator_cpu_share=0.6),
    "errors": one(errors=8),
    "missing_repeats": GOOD,
    "not_warm": one(first_quarter=1.05),
    "getting_slower": one(first_quarter=0.97),
    "other_load": one(other_cpu_share=0.09),
    "steal": one(steal_share=0.009),
    "repeats_disagree": one(noise=0.01),
    "too_few": one(requests=368),
}


def compared(plan: Campaign, percentiles: tuple[float, ...] = (50, 95, 99)) -> Comparison:
    with TemporaryDirectory() as folder:
        return compare(load(write(Path(folder), plan)), percentiles=percentiles)


@cache
def provoked(kind: str) -> Comparison:
    return compared(PROVOKED[kind])


@cache
def good() -> Comparison:
    return compared(GOOD)


def find(comparison: Comparison, kind: str) -> list[Doubt]:
    return [doubt for doubt in comparison.doubts if doubt.kind == kind]


def test_what_to_do_about_an_imported_run_is_not_what_helps_one_of_ours() -> None:
    plan = replace(one(errors=9, repeats=2), run={"imported": {"tool": "k6"}})
    steps = {doubt.kind: doubt.next_step for doubt in compared(plan).doubts}
    assert "tool's own list" in steps["errors"]
    assert "import as many files" in steps["missing_repeats"]
    assert "windtunnel run" in steps["imported"]


def test_every_kind_has_both_tests() -> None:
    assert set(PROVOKED) == set(NEARLY) == set(KINDS)


def test_a_quiet_run_has_no_doubts() -> None:
    assert good().doubts == ()


@pytest.mark.parametrize("kind", PROVOKED)
def test_a_doubt_is_raised_with_what_to_do(kind: str) -> None:
    doubts = find(provoked(kind), kind)
    assert len(doubts) == 1
    assert doubts[0].next_step


@pytest.mark.parametrize("kind", NEARLY)
def test_a_doubt_is_not_raised_within_its_limit(kind: str) -> None:
    comparison = good() if NEARLY[kind] is GOOD else compared(NEARLY[kind])
    assert find(comparison, kind) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("generator_late", "P99 of the send lag is 1.5 ms (allowed 1.0)"),
        ("generator_busy", "the generator used 80% of its CPUs"),
        ("errors", "1.1% of the requests of a repeat failed (9 http_error)"),
        ("missing_repeats", "2 of 3 repeats are there"),
        ("other_load", "other programs used 15% of the machine"),
        ("steal", "the hypervisor took 2.0% of the CPU time away"),
        ("too_few", "P99 needs 368 requests in each repeat, one has 300"),
        ("shared_cpus", "the generator and the service share the CPUs (2 CPUs)"),
        ("left_out", "left out of the run (seed: pillow-simd needs AVX2)"),
        ("code_changed", "begun with commit 0123456, resumed with commit fffffff"),
        ("aa_differs", "comparisons, at P"),
        ("rate_missed", "only 95% of the offered rate was sent"),
    ],
)
def test_a_doubt_tells_its_number(kind: str, text: str) -> None:
    assert text in find(provoked(kind), kind)[0].text


def test_a_doubt_names_the_cell_it_concerns_and_no_other() -> None:
    comparison = provoked("errors")
    assert find(comparison, "errors")[0].cells == (("optimized", "c0008"),)
    assert comparison.doubts_of("c0008") == [1]
    assert comparison.doubts_of("c0001") == []


def test_one_doubt_in_many_cells_is_said_once_with_the_worst() -> None:
    plan = every(other_cpu_share=0.2)
    plan = with_cell(plan, "baseline", "c0001", other_cpu_share=0.4)
    (doubt,) = find(compared(plan), "other_load")
    assert len(doubt.cells) == 6
    assert doubt.worst == ("baseline", "c0001")
    assert "40%" in doubt.text


def test_each_percentile_without_enough_requests_is_its_own_doubt() -> None:
    doubts = find(compared(one(requests=60)), "too_few")
    assert [doubt.text.split()[0] for doubt in doubts] == ["P95", "P99"]
    assert "for 68 s (duration_s)" in doubts[1].next_step


def test_a_percentile_that_nobody_asked_for_is_not_doubted() -> None:
    assert compared(one(requests=300), percentiles=(50, 95)).doubts == ()


def test_late_is_relative_to_the_median_of_slow_services() -> None:
    slow = campaign({"baseline": replace(QUIET, median_ms=200, send_lag_ms=8)})
    assert find(compared(slow), "generator_late") == []


@pytest.mark.parametrize(
    ("what", "kind"),
    [("send lag", "generator_late"), ("rate", "rate_missed"), ("ceiling", "generator_busy")],
)
def test_what_the_generator_has_against_itself_is_a_doubt(what: str, kind: str) -> None:
    reason = f"{what}: 3; expected at most 1; ask for less"
    (doubt,) = compared(one_open(reasons=(reason,))).doubts
    assert doubt.kind == kind
    assert f"the generator was the limit: {what}: 3; expected at most 1" in doubt.text
    assert doubt.next_step == "ask for less"


def test_arrivals_that_waited_for_a_connection_are_not_held_against_the_generator() -> None:
    judged = one_open(reasons=(), send_lag_ms=8, achieved_share=0.9, generator_cpu_share=0.9)
    assert compared(judged).doubts == ()


def test_few_requests_alone_are_no_disagreement() -> None:
    """Medians of 40 requests spread by more than 10 % though every repeat is alike."""
    few = Shape(requests=40, spread=0.6, noise=0.0)
    comparison = compared(campaign({"baseline": few}), percentiles=(50,))
    medians = [v.value("p50") for v in comparison.matrix.cells["baseline", "c0001"].visits]
    values = [m.value for m in medians if m]
    assert max(values) > 1.1 * min(values)
    assert find(comparison, "repeats_disagree") == []


def test_few_answers_alone_are_no_disagreement_of_throughput() -> None:
    """Counts of 60 and 80 answers in a second differ by 33 %, and by no more than chance."""
    for factor, kinds in ((10, ["repeats_disagree"]), (1, [])):
        visits = [throughput_of(count * factor) for count in (60, 80)]
        cell = Cell("a", "c0001", tuple(visits))
        plan = Plan(("a",), ("c0001",), "a", None, 0.05, 2)
        doubts = cell_doubts(Matrix(plan, {("a", "c0001"): cell}, (), (), ()), {})
        assert [d.kind for d in doubts if d.kind == "repeats_disagree"] == kinds


def throughput_of(count: int) -> Visited:
    repeat = arrays(Visit("a", "c0001", 1), np.full(count, 10.0), window_s=1.0)
    return reduce(replace(repeat, throughput_rps=float(count)), (50.0,))


def test_a_run_resumed_with_uncommitted_changes_is_doubted() -> None:
    entry = {"commit": {"sha": BEGAN, "dirty": True}}
    (doubt,) = find(compared(in_run(resumed=[entry, entry])), "code_changed")
    assert doubt.text.endswith("resumed with commit 0123456 and uncommitted changes")


def test_of_what_was_left_out_only_the_first_clause_is_told() -> None:
    error = "uv sync: ended with status 1 (gcc: a; b\nc); expected .venv-simd; correct it"
    (doubt,) = find(compared(in_run(left_out={"seed": error})), "left_out")
    assert doubt.text == "left out of the run (seed: uv sync: ended with status 1)"


def test_a_service_that_others_run_is_no_other_load(tmp_path: Path) -> None:
    path = write(tmp_path, PROVOKED["other_load"])
    for file in path.rglob("cell.json"):
        file.write_text(json.dumps({**json.loads(file.read_text()), "service": None}))
    assert find(compare(load(path)), "other_load") == []


def test_a_variant_that_was_never_measured_lacks_all_its_repeats() -> None:
    (doubt,) = find(compared(one(repeats=0)), "missing_repeats")
    assert doubt.text.startswith("0 of 3")
