"""Claims: the rule, the file, what is measured, and the pages that are made of it."""

import json
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from functools import cache
from math import exp, inf, log
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import costs
from analysis.claims import measuring, outcomes, pages, picture, reading, rules
from analysis.claims import sentences as words
from analysis.claims.asked import Claim, Claims, Evidence
from analysis.claims.commands import CLAIMS, claims_command
from analysis.claims.outcomes import Sources
from analysis.claims.rules import FAILS, HOLDS, IN_PART, OPEN, SHOWN, UNKNOWN, judge, verdict
from analysis.claims.series import RecordValues, Series
from analysis.commands import Format
from analysis.compare import noise_floor
from analysis.comparison import Comparison, compare
from analysis.latency import AnalysisError
from benchmarks import campaign as campaigns
from benchmarks.components import behaviour, clients, eventloop, imaging, jsons, limits, result
from benchmarks.components.logged import Logged
from benchmarks.components.result import Case, Check
from benchmarks.components.stopping import Sent, Stopped
from benchmarks.record import RecordError, load
from tests import records
from tests.golden import DEMO
from tests.records import Shape, TritonModel

ROOT = Path(__file__).parent.parent
ASKED = reading.read(CLAIMS)

MINE = """
title = "A guide"
source = "somewhere"

[component.json]
module = "jsons"
takes_s = 60
quick_s = 10

[[claim]]
id = "p95"
title = "P95 falls"
section = "Key Metrics"
quote = "P95: ~15-25% less"
evidence = [
  { says = "1 client", as = "change", campaign = "demo", case = "seed", against = "baseline", clients = 1, measure = "p95", claimed = [-25, -15] },
  { says = "32 clients", as = "change", campaign = "demo", case = "seed", against = "baseline", clients = 32, measure = "p95", claimed = [-25, -15] },
]
because."holds in part" = "Many clients meet a crowded worker."

[[claim]]
id = "json"
title = "JSON is faster"
section = "JSON"
quote = "2-3x"
evidence = [
  { says = "encode", as = "times", component = "json", case = "orjson", against = "stdlib", claimed = [2, 3] },
  { says = "rate", as = "value", component = "json", case = "stdlib", measure = "mb_per_s", claimed = [500, 500], said = "~500 MB/s" },
  { says = "is compiled", as = "check", component = "json", case = "compiled" },
]

[[claim]]
id = "gpu"
title = "The GPU is faster"
section = "GPU"
quote = "4x"
cannot = "There is no GPU here."

[[exhibit]]
title = "More"
says = "What else there is."
row = [
  { says = "CPU", as = "change", campaign = "demo", case = "optimized", against = "baseline", clients = 1, measure = "cpu" },
]
"""  # noqa: E501


def row(
    kind: str = "times", claimed: tuple[float, float] | None = (2, 3), **changes: Any
) -> Evidence:
    evidence = Evidence("says", kind, ("component", "json"), "new", "old", claimed=claimed)
    better = {"value": "inside"}.get(kind, "more")
    return replace(evidence, **{"better": better, **changes})


def ratios(*values: float, **changes: Any) -> Series:
    """Blocks in which the old one takes so many times as long as the new one."""
    return Series("ms", (10.0,) * len(values), tuple(10.0 * v for v in values), **changes)


def outcome_of(evidence: Evidence, series: Series) -> tuple[str, str]:
    found = judge(evidence, series, 0.95)
    return found.outcome, found.remark


def file(tmp_path: Path, text: str = MINE) -> Path:
    path = tmp_path / "claims.toml"
    path.write_text(text)
    return path


def json_result(folder: Path, *, blocks: int = 4, passed: bool = True) -> Path:
    """stdlib takes ten times as long, at 50 MB/s."""
    rng = np.random.default_rng(3)
    noise = rng.normal(1, 0.01, blocks)
    cases = {
        "stdlib": Case("json.dumps", "default", "cpu_ms", tuple(0.2 * noise), 10_000),
        "orjson": Case("orjson", "default", "cpu_ms", tuple(0.02 / noise), 10_000),
    }
    check = Check("compiled", "compiled", "compiled" if passed else "Python", passed)
    begun = {
        "run": "20260102T030405Z-abcdef",
        "started": "2026-01-02T03:04:05Z",
        "machine": {"cpu": "Simulated CPU", "cores": 2},
        "versions": {},
        "commit": {"sha": "0" * 40, "dirty": False},
    }
    return result.write(folder, "json", "What does orjson save?", begun, cases, [check])


@cache
def demo() -> Comparison:
    return compare(load(DEMO))


def judged(tmp_path: Path) -> dict[str, Any]:
    component = result.load(json_result(tmp_path))
    sources = Sources({"demo": demo()}, {"json": component})
    return outcomes.document(reading.read(file(tmp_path)), sources)


# The rule


def test_a_row_holds_when_its_whole_interval_reaches_the_near_edge() -> None:
    assert outcome_of(row(), ratios(2.5, 2.6, 2.4)) == (HOLDS, rules.AS_CLAIMED)
    assert outcome_of(row(), ratios(12.0, 12.5, 11.8)) == (HOLDS, rules.MORE)


def test_a_row_does_not_hold_when_its_whole_interval_falls_short() -> None:
    assert outcome_of(row(), ratios(1.4, 1.5, 1.45)) == (FAILS, rules.LESS)
    assert outcome_of(row(), ratios(1.0, 1.01, 0.99)) == (FAILS, rules.NOTHING)
    assert outcome_of(row(), ratios(0.5, 0.52, 0.51)) == (FAILS, rules.OTHER_WAY)


def test_a_row_is_open_when_the_edge_lies_inside_the_interval() -> None:
    assert outcome_of(row(), ratios(1.7, 2.4, 2.1)) == (OPEN, rules.INCLUDES)


def test_one_block_decides_nothing() -> None:
    assert outcome_of(row(), ratios(9.0)) == (OPEN, rules.ONE_BLOCK)


def test_a_result_has_to_be_further_from_the_edge_than_two_copies_from_each_other() -> None:
    noisy = ((10.0, 14.0, 10.0), (13.0, 10.0, 14.0))
    near = ratios(2.1, 2.12, 2.11, copies=noisy)
    assert outcome_of(row(), near) == (OPEN, rules.UNDER_FLOOR)
    short = ratios(1.9, 1.91, 1.9, copies=noisy)
    assert outcome_of(row(), short) == (OPEN, rules.UNDER_FLOOR)
    far = ratios(20.0, 20.1, 20.2, copies=noisy)
    assert outcome_of(row(), far) == (HOLDS, rules.MORE)


def test_the_floor_is_that_of_the_comparisons() -> None:
    copies = ((10.0, 11.0, 10.5), (10.4, 10.2, 10.6))
    found = judge(row(), ratios(2.5, 2.6, 2.4, copies=copies), 0.95)
    assert found.floor == pytest.approx(noise_floor(*copies))


def test_a_change_is_judged_by_the_smaller_of_what_is_promised() -> None:
    less = row("change", (-0.25, -0.15), better="less")
    assert outcome_of(less, ratios(1.25, 1.24, 1.26)) == (HOLDS, rules.AS_CLAIMED)  # -20 %
    assert outcome_of(less, ratios(2.0, 2.01, 1.99)) == (HOLDS, rules.MORE)  # -50 %
    assert outcome_of(less, ratios(1.1, 1.11, 1.1)) == (FAILS, rules.LESS)
    assert outcome_of(less, ratios(0.8, 0.81, 0.8)) == (FAILS, rules.OTHER_WAY)


def test_no_worse_is_a_claim_that_a_small_loss_does_not_break() -> None:
    no_worse = row("change", (-inf, 0.05), better="less")
    assert outcome_of(no_worse, ratios(0.98, 0.99, 0.985))[0] == HOLDS  # 1.5 % longer
    assert outcome_of(no_worse, ratios(0.5, 0.51, 0.5)) == (FAILS, rules.WORSE)


def test_more_answers_are_as_many_times_as_fast() -> None:
    found = judge(row(), Series("MB/s", (30.0, 31.0), (10.0, 10.0), more_is_better=True), 0.95)
    assert found.point == pytest.approx((30 * 31) ** 0.5 / 10)
    assert found.before == pytest.approx(10)


def test_what_is_saved_is_counted_in_its_unit_and_machines_may_differ_by_two() -> None:
    saved = row("saved", (2, 5))
    series = Series("ms", (1.0, 1.1, 1.0), (4.0, 4.2, 4.1))
    found = judge(saved, series, 0.95)
    assert found.point == pytest.approx(3.0667, abs=1e-3)
    assert (found.outcome, found.remark) == (HOLDS, rules.AS_CLAIMED)
    half = Series("ms", (1.0, 1.1, 1.0), (2.4, 2.5, 2.4))
    assert outcome_of(saved, half) == (HOLDS, rules.NEAR)
    assert outcome_of(saved, replace(half, unit="MB"))[0] == FAILS
    assert outcome_of(saved, Series("ms", (1.0, 1.1, 1.0), (1.1, 1.2, 1.1))) == (FAILS, rules.LESS)


def test_an_interval_about_nothing_is_no_difference_only_if_it_is_narrow() -> None:
    saved = row("saved", (5, 9))
    narrow = Series("ms", (9.95, 10.05, 9.96), (10.0, 10.0, 10.0))
    assert outcome_of(saved, narrow) == (FAILS, rules.NOTHING)
    wide = Series("ms", (9.6, 10.4, 9.9), (10.0, 10.0, 10.0))
    assert outcome_of(saved, wide) == (FAILS, rules.NONE_SHOWN)
    assert outcome_of(row(), ratios(0.9, 1.1, 1.0)) == (FAILS, rules.NONE_SHOWN)
    assert outcome_of(saved, Series("ms", (12.0, 12.1, 12.0), (10.0, 10.0, 10.0))) == (
        FAILS,
        rules.OTHER_WAY,
    )
    small = row("value", (1500, 1500), better="more")
    assert outcome_of(small, Series("MB/s", (-3.0, 4.0, 1.0))) == (FAILS, rules.LESS)


@given(st.lists(st.tuples(st.floats(0.01, 99), st.floats(0.01, 99)), min_size=2, max_size=9))
def test_the_two_sides_of_a_ratio_are_as_far_apart_as_it_says(
    blocks: list[tuple[float, float]],
) -> None:
    ours, theirs = zip(*blocks, strict=True)
    for kind in ("times", "change"):
        found = judge(row(kind, None), Series("ms", ours, theirs), 0.95)
        assert found.before is not None
        assert found.after is not None
        expected = found.before / found.after if kind == "times" else found.after / found.before - 1
        assert found.point == pytest.approx(expected)
    saved = judge(row("saved", None), Series("ms", ours, theirs), 0.95)
    assert saved.before is not None
    assert saved.after is not None
    assert saved.point == pytest.approx(saved.before - saved.after, abs=1e-9)


def test_a_check_that_is_only_shown_decides_nothing() -> None:
    asked = row("check", None, case="compiled")
    found = rules.checked(asked, Check("compiled", "yes", "no", False), "nobody looked")
    assert found.outcome == FAILS
    shown = rules.checked(asked, found.check, "nobody looked", judged=False)
    assert (shown.outcome, shown.remark, shown.check) == (SHOWN, "", found.check)
    unknown = rules.checked(asked, None, "nobody looked", judged=False)
    assert (unknown.outcome, unknown.remark) == (SHOWN, "nobody looked")


def test_an_absolute_number_counts_within_a_factor_of_two_if_it_is_a_speed() -> None:
    value = row("value", (500, 500))
    assert outcome_of(value, Series("MB/s", (300.0, 310.0, 305.0))) == (HOLDS, rules.NEAR)
    assert outcome_of(value, Series("MB/s", (40.0, 41.0, 40.5))) == (FAILS, rules.ELSEWHERE)
    share = row("value", (60, 70))
    assert outcome_of(share, Series("%", (64.0, 65.0, 64.5))) == (HOLDS, rules.AS_CLAIMED)
    assert outcome_of(share, Series("%", (58.0, 58.2, 58.1))) == (FAILS, rules.ELSEWHERE)


def test_a_number_that_is_to_be_small_may_be_smaller() -> None:
    at_most = row("value", (1, 2), better="less")
    assert outcome_of(at_most, Series("ms", (0.02, 0.021, 0.02))) == (HOLDS, rules.MORE)
    assert outcome_of(at_most, Series("ms", (1.5, 1.52, 1.51))) == (HOLDS, rules.AS_CLAIMED)
    assert outcome_of(at_most, Series("ms", (3.0, 3.1, 3.05))) == (HOLDS, rules.NEAR)
    assert outcome_of(at_most, Series("ms", (4.7, 4.8, 4.75))) == (FAILS, rules.WORSE)


def test_what_is_counted_has_no_interval() -> None:
    none = row("value", (0, 0))
    assert outcome_of(none, Series("%", counted=(0, 4000))) == (HOLDS, rules.AS_CLAIMED)
    assert outcome_of(none, Series("%", counted=(1, 4000))) == (FAILS, rules.ELSEWHERE)
    assert outcome_of(none, Series("%", counted=(0, 0)))[0] == OPEN
    assert outcome_of(none, Series("%", counted=(0, 9), blocked="nothing happened"))[0] == OPEN


def test_a_row_without_a_range_is_shown_and_decides_nothing() -> None:
    found = judge(row(claimed=None), ratios(2.5, 2.6), 0.95)
    assert (found.outcome, found.remark) == (SHOWN, "")
    assert found.point == pytest.approx((2.5 * 2.6) ** 0.5)


def test_doubts_that_stop_a_verdict_are_its_reason() -> None:
    assert outcome_of(row(), ratios(9.0, 9.1, blocked="the generator was late")) == (
        OPEN,
        "the generator was late",
    )


def test_a_value_of_zero_has_no_ratio() -> None:
    assert outcome_of(row(), Series("ms", (0.0, 1.0), (1.0, 1.0))) == (OPEN, rules.ZERO)


@given(
    st.lists(st.floats(0.2, 30), min_size=2, max_size=9),
    st.floats(0.3, 10),
    st.sampled_from([0.95, 0.99]),
)
def test_an_outcome_is_what_its_interval_says(
    values: list[float], edge: float, confidence: float
) -> None:
    found = judge(row(claimed=(edge, edge * 2)), ratios(*values), confidence)
    assert found.low is not None
    assert found.high is not None
    assert found.point is not None
    assert found.low <= found.point * (1 + 1e-9)
    assert found.point <= found.high * (1 + 1e-9)
    assert found.point == pytest.approx(exp(np.mean(np.log(values))))
    expected = HOLDS if found.low >= edge else FAILS if found.high < edge else OPEN
    if min(abs(log(found.low / edge)), abs(log(found.high / edge))) > 1e-9:
        assert found.outcome == expected


@given(st.lists(st.floats(0.2, 30), min_size=2, max_size=9))
def test_more_rows_make_each_interval_of_a_claim_wider(values: list[float]) -> None:
    one, ten = (Claim("a", "t", "s", "q", (row(),) * count) for count in (1, 10))
    assert rules.confidence_of(one) == 0.95
    assert rules.confidence_of(ten) == pytest.approx(0.995)
    narrow, wide = (
        judge(row(), ratios(*values), rules.confidence_of(claim)) for claim in (one, ten)
    )
    assert narrow.low is not None
    assert wide.low is not None
    assert wide.low <= narrow.low * (1 + 1e-9)


def test_all_intervals_of_a_claim_hold_together_in_95_percent_of_runs() -> None:
    rng, claim = np.random.default_rng(5), Claim("a", "t", "s", "q", (row(),) * 6)
    confidence, runs, right = rules.confidence_of(claim), 600, 0
    for _ in range(runs):
        drawn = np.exp(log(2.5) + 0.05 * rng.standard_normal((6, 5)))
        found = [judge(row(), ratios(*values), confidence) for values in drawn]
        right += all((f.low or 0) <= 2.5 <= (f.high or inf) for f in found)
    assert 0.93 <= right / runs <= 0.985


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ((HOLDS, HOLDS), HOLDS),
        ((HOLDS, SHOWN), HOLDS),
        ((HOLDS, FAILS), IN_PART),
        ((HOLDS, OPEN), IN_PART),
        ((FAILS, FAILS), FAILS),
        ((FAILS, OPEN), FAILS),
        ((OPEN, OPEN), UNKNOWN),
        ((SHOWN,), UNKNOWN),
        ((), UNKNOWN),
    ],
)
def test_a_verdict_follows_from_the_rows(outcomes: tuple[str, ...], expected: str) -> None:
    rows = [rules.Judged(row(), outcome, "") for outcome in outcomes]
    assert verdict(Claim("a", "t", "s", "q", ()), rows) == expected
    assert verdict(Claim("a", "t", "s", "q", (), cannot="no GPU"), rows) == UNKNOWN


# What is measured


def test_the_values_of_a_record_are_those_of_its_comparison() -> None:
    values = RecordValues(demo())
    for measure in ("p50", "p95", "throughput"):
        found = values.series("seed", "baseline", "c0001", measure)
        (same,) = (
            d
            for d in demo().matrix.differences
            if (d.variant, d.level, d.measure) == ("seed", "c0001", measure)
        )
        assert same.ratio is not None
        pairs = zip(found.ours, found.theirs, strict=True)
        assert tuple(a / b for a, b in pairs) == pytest.approx(same.ratio.blocks)
        change = judge(row("change", None), found, 0.95)
        assert change.point == pytest.approx(same.ratio.point - 1)
        assert change.high == pytest.approx(same.ratio.high - 1)
        assert change.floor == pytest.approx(same.floor)


def test_cpu_and_memory_come_from_the_counters_of_the_cells() -> None:
    values = RecordValues(demo())
    cell = json.loads((DEMO / "cells/seed/c0032/r01/cell.json").read_text())
    answers = cell["generator"]["throughput_rps"] * cell["generator"]["duration_s"]
    (first, *_) = values.series("seed", "", "c0032", "cpu").ours
    assert first == pytest.approx(1000 * cell["service"]["cpu_s"] / answers, rel=0.05)
    (memory, *_) = values.series("seed", "", "c0032", "memory").ours
    assert memory == cell["service"]["rss_max_bytes"] / 1e6
    (per_worker, *_) = values.series("seed", "", "c0032", "memory_per_worker").ours
    assert per_worker == pytest.approx(memory / 5)


def test_the_parts_of_a_request_add_up() -> None:
    values = RecordValues(demo())
    mean, outside, infer, share = (
        np.array(values.series("seed", "", "c0001", measure).ours)
        for measure in ("mean", "outside_infer", "infer", "infer_share")
    )
    assert outside + infer == pytest.approx(mean)
    assert share == pytest.approx(100 * infer / mean)
    both, decode, preprocess = (
        np.array(values.series("seed", "", "c0001", measure).ours)
        for measure in ("decode+preprocess", "decode", "preprocess")
    )
    assert decode + preprocess == pytest.approx(both)


def test_what_cannot_be_told_says_why() -> None:
    values = RecordValues(demo())
    assert "needs 368 requests" in values.series("seed", "baseline", "c0032", "p99").missing
    assert "no seed at 99 clients" in values.series("seed", "", "c0099", "p50").missing
    component = result.Result("json", "q", {"run": "r"}, {}, ())
    sources = Sources({}, {"json": component})
    missing = sources.judge(row(), 0.95, judged=True)
    assert (missing.outcome, missing.remark) == (OPEN, "json did not measure new")
    elsewhere = sources.judge(replace(row(), source=("campaign", "x")), 0.95, judged=True)
    assert elsewhere.remark == "campaign x was not measured"


def simulated(tmp_path: Path, **cells: Shape) -> Path:
    shapes = {"baseline": Shape(), **cells}
    return records.write(tmp_path, records.campaign(shapes, levels=("c0008",)))


def test_the_services_own_cost_is_without_its_tritons(tmp_path: Path) -> None:
    path = simulated(tmp_path, backed=Shape(triton={"nano": TritonModel()}))
    cell = compare(load(path)).matrix.cells["backed", "c0008"]
    for visit in cell.visits:
        used = visit.facts["service"]
        own = used["by_process"]["service"]
        answers = visit.throughput_rps * visit.window_s
        assert costs.visit_cpu_ms(visit) == pytest.approx(1000 * used["cpu_s"] / answers)
        assert costs.visit_cpu_ms(visit, own=True) == pytest.approx(1000 * own["cpu_s"] / answers)
        assert costs.visit_memory_mb(visit, own=True) == own["rss_max_bytes"] / 1e6
    assert costs.memory_mb(cell) == cell.visits[0].facts["service"]["rss_max_bytes"] / 1e6


def test_requests_that_failed_stop_a_verdict_but_are_counted(tmp_path: Path) -> None:
    values = RecordValues(compare(load(simulated(tmp_path, broken=Shape(errors=100)))))
    assert "failed" in values.series("broken", "baseline", "c0008", "p95").blocked
    errors = values.series("broken", "", "c0008", "errors")
    assert errors.counted == (300, 1500)
    assert not errors.blocked


def test_requests_that_were_given_up_leave_no_mean(tmp_path: Path) -> None:
    stages = {"infer": 5.0}
    path = simulated(tmp_path, slow=Shape(timeouts=4, stages=stages), fine=Shape(stages=stages))
    values = RecordValues(compare(load(path)))
    assert "gave requests up" in values.series("slow", "", "c0008", "mean").missing
    assert len(values.series("fine", "", "c0008", "mean").ours) == 3


def test_recycling_is_put_to_the_test_only_if_a_worker_was_restarted(tmp_path: Path) -> None:
    path = simulated(tmp_path, recycled=Shape())
    steady = RecordValues(compare(load(path)))
    found = steady.series("recycled", "baseline", "c0008", "restart_errors")
    assert "no process was started anew" in found.blocked
    file = path / "cells/recycled/c0008/r01/cell.json"
    cell = json.loads(file.read_text())
    cell["service"]["pids"] = [4242, 4243, 4244]
    file.write_text(json.dumps(cell))
    again = RecordValues(compare(load(path)))
    found = again.series("recycled", "baseline", "c0008", "restart_errors")
    assert not found.blocked
    assert found.note == "2 processes were started anew meanwhile"
    assert found.counted == (0, 1500)


# The file


def test_every_claim_of_the_guide_has_its_rows_and_a_quotation() -> None:
    assert len(ASKED.claims) >= 30
    assert len({claim.id for claim in ASKED.claims}) == len(ASKED.claims)
    assert all(claim.cannot or any(r.is_judged for r in claim.evidence) for claim in ASKED.claims)


def cell_names(name: str) -> tuple[set[str], set[str]]:
    campaign = campaigns.read(ROOT / f"benchmarks/campaigns/{name}.toml")
    return set(campaign.services), set(campaign.levels)


def test_every_row_of_a_campaign_names_cells_that_it_has() -> None:
    for each in ASKED.rows():
        if each.source[0] == "campaign":
            variants, levels = cell_names(each.source[1])
            assert {each.case, each.against} <= {*variants, ""}, each
            assert each.level in levels, each


BEHAVED = behaviour.Block(Stopped(8, 0, 90.0), Sent(100), (Logged(1.0, False),), (503,))


def component_cases() -> dict[str, set[str]]:
    timed = {
        "json": jsons.cases(),
        "imaging": imaging.cases(simd=True),
        "clients": clients.cases("x"),
    }
    found = {name: {case.name for case in cases} for name, cases in timed.items()}
    found["eventloop"] = set(eventloop.NAMES)
    with_wall = {name: {*names, *(f"{n}.wall" for n in names)} for name, names in found.items()}
    with_wall["clients"] |= {"memory.new", "memory.pooled"}
    ways = [f"{way}.{what}" for way in limits.WAYS for what in ("ms", "sent_mb", "memory_mb")]
    return {**with_wall, "limits": set(ways), "behaviour": set(behaviour.cases([BEHAVED]))}


def test_every_row_of_a_component_names_cases_that_it_has() -> None:
    known = component_cases()
    checks = {
        "limits": set(limits.WAYS),
        "behaviour": {c.name for c in behaviour.checks([BEHAVED])},
    }
    checks["behaviour"].add("libjpeg_turbo tells pillow-simd")
    for each in ASKED.rows():
        if each.source[0] == "component" and each.kind != "check":
            assert {each.case, each.against} <= {*known[each.source[1]], ""}, each
        elif each.kind == "check" and each.source[1] != "imaging":
            assert each.case in checks[each.source[1]], each


def test_a_full_run_is_planned_to_take_at_most_36_minutes_and_a_quick_one_about_6(
    tmp_path: Path,
) -> None:
    full = measuring.steps(ASKED, tmp_path, reuse=False, quick=False)
    assert sum(step.left_s for step in full) < 36 * 60
    quick = measuring.steps(ASKED.judged_only(), tmp_path, reuse=False, quick=True)
    assert sum(step.left_s for step in quick) < 6 * 60


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('as = "times"', 'as = "time"'), "did you mean 'times'"),
        (("clients = 32,", ""), "expected clients = 8, or rate = 50"),
        (('measure = "p95"', 'measure = "p97"'), "expected a measure of a campaign"),
        (("[2, 3]", "[3, 2]"), "expected [lowest, highest]"),
        (("[2, 3]", "2"), "expected [lowest, highest]"),
        (('against = "stdlib", ', ""), "no against"),
        (('id = "json"', 'id = "p95"'), "'p95' twice"),
        (('id = "json"', 'id = "<b>"'), "expected small letters"),
        (('cannot = "There', 'cannoti = "There'), "did you mean 'cannot'"),
        (('cannot = "There is no GPU here."', ""), "no evidence with a claimed range"),
        (('"holds in part" =', '"holds in parts" ='), "did you mean 'holds in part'"),
        (("[component.json]", "[component.jsn]"), "did you mean 'jsn'"),
        (
            ('component = "json", case = "orjson"', 'case = "orjson"'),
            "neither campaign nor component",
        ),
        (("takes_s = 60", "takes_s = 0"), "from 0.1 to 3600"),
        (("title = ", "title = ["), "not TOML"),
    ],
)
def test_a_mistake_in_a_file_is_said_in_one_line(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    assert change[0] in MINE
    with pytest.raises(AnalysisError, match=re.escape(said)) as caught:
        reading.read(file(tmp_path, MINE.replace(*change, 1)))
    assert "\n" not in str(caught.value).split("(")[0]
    assert str(tmp_path) in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="cannot be read"):
        reading.read(tmp_path / "none.toml")


def test_one_claim_can_be_asked_for_alone(tmp_path: Path) -> None:
    asked = reading.read(file(tmp_path))
    assert [claim.id for claim in asked.only(["json"]).claims] == ["json"]
    assert asked.only(["json"]).needed("campaign") == []
    with pytest.raises(AnalysisError, match="did you mean 'json'"):
        asked.only(["jsn"])


# The outcome and its pages


def test_the_demo_record_is_judged_as_it_was_measured(tmp_path: Path) -> None:
    found = judged(tmp_path)
    by_id = {claim["id"]: claim for claim in found["claims"]}
    assert by_id["p95"]["verdict"] == IN_PART
    assert [r["outcome"] for r in by_id["p95"]["evidence"]] == [HOLDS, FAILS]
    assert by_id["p95"]["because"] == "Many clients meet a crowded worker."
    assert by_id["json"]["verdict"] == IN_PART
    assert [r["outcome"] for r in by_id["json"]["evidence"]] == [HOLDS, FAILS, HOLDS]
    assert by_id["gpu"]["verdict"] == UNKNOWN
    assert len(by_id["p95"]["evidence"][0]["blocks"]) == 5
    assert found["exhibits"][0]["rows"][0]["outcome"] == SHOWN
    assert [source["name"] for source in found["sources"]] == ["demo", "json"]


def test_a_page_is_made_of_its_file_alone(tmp_path: Path) -> None:
    found = judged(tmp_path)
    outcomes.write(tmp_path / "claims.json", found)
    page = pages.text(outcomes.load(tmp_path / "claims.json"))
    assert page == pages.text(found)
    assert "Of 3 claims, **2 hold in part and 1 cannot be told here**" in page
    assert "| [P95 falls](#p95) | 15 to 25 % less | -23 % to +34 % | ◐ **holds in part** |" in page
    assert '<a id="p95"></a>' in page
    assert "> P95: \\~15-25% less" in page
    assert "[Doubts](#doubts) about these cells: demo 2, 3." in page
    assert "200 → 20.0 us of CPU" in page
    assert "There is no GPU here." in page


def test_every_table_of_a_page_has_as_many_cells_in_each_row(tmp_path: Path) -> None:
    page = pages.text(judged(tmp_path))
    for block in page.split("\n\n"):
        if block.startswith("| "):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(widths) == 1, block


def test_words_of_a_file_are_neither_markup_nor_links(tmp_path: Path) -> None:
    hostile = MINE.replace("JSON is faster", "<img src=x> [a](http://x) | `b` ~c~")
    component = result.load(json_result(tmp_path))
    asked = reading.read(file(tmp_path, hostile))
    page = pages.text(outcomes.document(asked, Sources({}, {"json": component})))
    assert "<img" not in page
    assert "[a](http" not in page
    assert "~c~" not in page.replace("\\~", "")
    found = replace(component, checks=(Check("compiled", "x", "[1](http://x)", False),))
    page = pages.text(outcomes.document(asked, Sources({}, {"json": found})))
    assert "[1](http" not in page


def test_every_committed_page_says_what_its_file_says() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "benchmarks/results/claims/*/claims.json"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for name in listed:
        page = (ROOT / name).with_name("README.md")
        assert page.read_text() == pages.text(outcomes.load(ROOT / name)), (
            f"{page} is not what {name} says: `windtunnel claims --record {name} --format markdown"
            f" --output {page}`"
        )


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.update(tool="other"),
        lambda d: d.update(format=99),
        lambda d: d.update(claims={}),
        lambda d: d["claims"][0].pop("quote"),
        lambda d: d["claims"][0]["evidence"][0].update(point="1"),
        lambda d: d["claims"][0]["evidence"][0].update(interval=[1]),
        lambda d: d["claims"][0]["evidence"][0].update(interval=[None, 1]),
        lambda d: d["claims"][0]["evidence"][0].update(counted=[None, 1]),
        lambda d: d["claims"][0]["evidence"][0].update(point=float("nan")),
        lambda d: d["claims"][0]["evidence"][0].update(claimed=[10**400, None]),
        lambda d: d["claims"][0]["evidence"][0].update(outcome="**x**"),
        lambda d: d["claims"][0]["evidence"][0].update(campaign=[]),
        lambda d: d["claims"][0].update(evidence=None),
        lambda d: d["sources"][0]["machine"].update(memory_bytes="8"),
        lambda d: d["claims"][0].update(id='"><script>'),
        lambda d: d["claims"][0].update(verdict="true"),
        lambda d: d["sources"][0].update(blocks="<b>"),
        lambda d: d["sources"][0].update(doubts=[1]),
        lambda d: d["exhibits"][0].pop("says"),
    ],
)
def test_a_damaged_outcome_is_refused(tmp_path: Path, damage: Any) -> None:
    found = json.loads(json.dumps(judged(tmp_path)))  # a copy
    damage(found)
    path = tmp_path / "claims.json"
    path.write_text(json.dumps(found))
    with pytest.raises(RecordError, match=r"claims\.json"):
        outcomes.load(path)


def test_what_cannot_be_told_still_says_what_was_claimed(tmp_path: Path) -> None:
    text = MINE.replace('quote = "P95', 'cannot = "Nobody can."\nquote = "P95')
    component = result.load(json_result(tmp_path))
    asked = reading.read(file(tmp_path, text))
    found = outcomes.document(asked, Sources({"demo": demo()}, {"json": component}))
    (claim, *_) = found["claims"]
    assert claim["verdict"] == UNKNOWN
    assert {each["outcome"] for each in claim["evidence"]} == {SHOWN}
    assert "| [P95 falls](#p95) | 15 to 25 % less |" in pages.text(found)
    rows = [line for line in pages.text(found).splitlines() if line.startswith("| 1 client |")]
    assert "15 to 25 % less" in rows[0]


def test_a_picture_shows_claim_and_measurement_on_one_scale() -> None:
    claimed = {"as": "times", "better": "more", "claimed": [2.0, 4.0], "point": 3.0}
    first = {**claimed, "interval": [2.8, 3.2]}
    worse = {**claimed, "point": 0.5, "interval": [0.48, 0.52], "claimed": None}
    good, bad, nothing = picture.pictures(
        [first, worse, {"as": "value", "point": 1.0, "interval": None}]
    )
    assert len(good) == len(bad) == picture.WIDTH
    assert good.index("│") < good.index("░") < good.index("●")
    assert bad.index("●") < bad.index("│")
    assert nothing == ""


def test_a_reduction_that_is_wanted_points_to_the_right() -> None:
    less = {"as": "change", "better": "less", "claimed": [-0.25, -0.15], "point": -0.2}
    (drawn,) = picture.pictures([{**less, "interval": [-0.21, -0.19]}])
    assert drawn.index("│") < drawn.index("░")
    assert drawn.index("│") < drawn.index("●")


@pytest.mark.parametrize(
    ("kind", "claimed", "unit", "said"),
    [
        ("times", [2.0, 3.0], "ms", "2 to 3x"),
        ("times", [1.0, None], "ms", "faster"),
        ("change", [-0.25, -0.15], "ms", "15 to 25 % less"),
        ("change", [0.15, 0.2], "ms", "15 to 20 % more"),
        ("change", [None, 0.05], "ms", "at most 5 % more"),
        ("change", [-0.05, None], "ms", "at most 5 % less"),
        ("saved", [2.0, 5.0], "ms", "2 to 5 ms less"),
        ("value", [60.0, 70.0], "%", "60 to 70 %"),
        ("value", [1.0, 1.0], "cpu_ms", "1 ms of CPU"),
    ],
)
def test_a_claimed_range_reads_as_a_person_would_say_it(
    kind: str, claimed: list[float | None], unit: str, said: str
) -> None:
    assert words.claimed({"as": kind, "claimed": claimed, "unit": unit, "said": ""}) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"as": "times", "point": 5.128, "interval": [4.6, 5.7]}, "5.13x [4.60, 5.70]"),
        ({"as": "change", "point": -0.227, "interval": [-0.27, -0.09]}, "-23 % [-27, -9.0]"),
        ({"as": "value", "point": 0.0362, "interval": [0.03, 0.04]}, "36.2 us [30.0, 40.0]"),
        ({"as": "saved", "point": 2.1, "interval": [-0.5, 4.7]}, "2.10 ms [-0.500, 4.70]"),
        ({"as": "times", "point": 2.0, "interval": [0.1, 40.0]}, "2.00x [wide]"),
        ({"as": "change", "point": 0.0, "interval": [-0.99, 900.0]}, "+0.0 % [wide]"),
        ({"as": "times", "point": 2.0, "interval": None}, "2.00x"),
        ({"as": "value", "point": 0.0, "counted": [3, 41234]}, "3 of 41,234"),
        ({"as": "check", "check": {"expected": "413", "found": "200"}}, "200"),
    ],
)
def test_what_was_measured_reads_with_its_interval(changes: dict[str, Any], said: str) -> None:
    blank = {"unit": "ms", "point": None, "interval": None, "counted": None, "check": None}
    assert words.measured({**blank, **changes}) == said


# The command


def test_records_are_judged_without_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [DEMO, json_result(tmp_path)]
    claims_command(claims=file(tmp_path), record=paths)
    said = capsys.readouterr().out
    assert "3 claims: holds in part 2, cannot be told here 1" in said
    assert re.search(r"^p95 +15 to 25 % less +-23 % to \+34 % +holds in part$", said, re.M)
    output = tmp_path / "claims.json"
    claims_command(claims=file(tmp_path), record=paths, output_format=Format.json, output=output)
    page = tmp_path / "page.md"
    claims_command(record=[output], output_format=Format.markdown, output=page)
    assert page.read_text() == pages.text(json.loads(output.read_text()))


def test_only_some_claims_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claims_command(claims=file(tmp_path), record=[DEMO], only=["p95"], output_format=Format.json)
    assert [c["id"] for c in json.loads(capsys.readouterr().out)["claims"]] == ["p95"]


def test_a_record_of_which_no_claim_speaks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no claim speaks of it"):
        claims_command(claims=file(tmp_path), record=[simulated(tmp_path)])


def test_an_outcome_beside_other_records_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    outcomes.write(path, judged(tmp_path))
    with pytest.raises(AnalysisError, match="shown as it is"):
        claims_command(claims=file(tmp_path), record=[path, DEMO])


def test_the_plan_names_every_step_and_the_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims_command(dry_run=True, results=tmp_path)
    said = capsys.readouterr().err
    for name in ("json", "imaging", "eventloop", "claims_presets", "ablation_null"):
        assert re.search(rf"^  (component|campaign ) +{name} +\d", said, re.M), name
    assert "in all about" in said
    assert not list(tmp_path.iterdir())


SMOKE = """
title = "Smoke"
source = "here"
[[claim]]
id = "fast"
title = "It is faster"
section = "s"
quote = "faster"
evidence = [
  { says = "throughput", as = "change", campaign = "smoke", case = "optimized", against = "baseline", clients = 2, measure = "throughput", claimed = [0, inf] },
  { says = "errors", as = "value", campaign = "smoke", case = "optimized", clients = 2, measure = "errors", claimed = [0, 0] },
  { says = "size", as = "times", component = "broken", case = "a", against = "b", claimed = [1, inf] },
]
[component.broken]
module = "no_such_component"
takes_s = 1
quick_s = 1
"""  # noqa: E501


@pytest.mark.alone
def test_a_quick_look_measures_judges_and_leaves_a_page_whatever_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    claims_command(
        claims=file(tmp_path, SMOKE), quick=True, results=tmp_path, output_format=Format.json
    )
    said = capfd.readouterr()
    assert json.loads(said.out)["title"] == "Smoke"
    assert "NOT MEASURED: component broken" in said.err
    assert "claims: " in said.err
    (folder,) = (tmp_path / "quick/claims").iterdir()
    found = outcomes.load(folder / "claims.json")
    assert found["quick"] is True
    rows = found["claims"][0]["evidence"]
    assert len(rows[0]["blocks"]) == 2
    assert (rows[1]["outcome"], rows[1]["counted"][0]) == (HOLDS, 0)
    assert rows[2]["remark"] == "component broken was not measured"
    assert "**A quick look, not a result**" in (folder / "README.md").read_text()
    assert (folder / "sources/smoke.md").read_text().startswith("### Does a run work")
    assert json.loads((folder / "sources/smoke.json").read_text())["campaign"] == "smoke"


def asked_of_demo(tmp_path: Path) -> tuple[Claims, Path]:
    asked = reading.read(file(tmp_path)).only(["p95"])
    results = tmp_path / "results"
    shutil.copytree(DEMO, results / "demo" / DEMO.name)
    return asked, results


def kept(
    asked: Claims, results: Path, *, quick: bool = False, reuse: bool = True
) -> list[measuring.Step]:
    return [s for s in measuring.steps(asked, results, reuse=reuse, quick=quick) if s.kept]


def here_is(monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], **machine: Any) -> None:
    """This checkout and machine are those of a record or result, but for what is given."""
    monkeypatch.setattr("benchmarks.machine.commit", lambda _: facts["commit"])
    monkeypatch.setattr("benchmarks.machine.facts", lambda: {**facts["machine"], **machine})


def test_what_this_commit_measured_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, results = asked_of_demo(tmp_path)
    run = json.loads((DEMO / "run.json").read_text())
    here_is(monkeypatch, run)
    (found,) = kept(asked, results)
    assert found.kept == results / "demo" / DEMO.name
    assert found.complete
    assert found.left_s == 0
    assert not kept(asked, results, reuse=False)
    run["status"] = "interrupted"
    (results / "demo" / DEMO.name / "run.json").write_text(json.dumps(run))
    (going_on,) = kept(asked, results)
    assert not going_on.complete


def test_what_another_commit_or_machine_measured_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, results = asked_of_demo(tmp_path)
    run = json.loads((DEMO / "run.json").read_text())
    here_is(monkeypatch, {**run, "commit": {"sha": "1" * 40, "dirty": False}})
    assert not kept(asked, results)
    for machine in ({"cpu": "other"}, {"available_cpus": [0]}, {"cgroup": {"cpu.max": "50000"}}):
        here_is(monkeypatch, run, **machine)
        assert not kept(asked, results), machine


@pytest.mark.parametrize(
    ("commit", "said"),
    [
        ({"sha": "0" * 40, "dirty": True}, "files differ from the commit"),
        ({"sha": None, "dirty": None}, "no commit is known"),
    ],
)
def test_nothing_is_kept_where_the_code_is_no_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commit: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr("benchmarks.machine.commit", lambda _: commit)
    asked, results = asked_of_demo(tmp_path)
    with pytest.raises(AnalysisError, match=said):
        measuring.steps(asked, results, reuse=True, quick=False)
    assert measuring.steps(asked, results, reuse=False, quick=False)


def test_a_record_without_all_variants_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, results = asked_of_demo(tmp_path)
    run = json.loads((DEMO / "run.json").read_text())
    here_is(monkeypatch, run)
    file = results / "demo" / DEMO.name / "run.json"
    file.write_text(json.dumps({**run, "left_out": {"optimized": "not here"}}))
    assert kept(asked, results), "no row speaks of it"
    file.write_text(json.dumps({**run, "left_out": {"seed": "not here"}}))
    assert not kept(asked, results)
    del run["campaign"]["variants"]["seed"]  # as --only would
    file.write_text(json.dumps(run))
    assert not kept(asked, results)


def test_a_result_is_kept_only_if_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = reading.read(file(tmp_path)).only(["json"])
    path = json_result(tmp_path)
    whole = json.loads(path.read_text())
    here_is(monkeypatch, whole, available_cpus=None, memory_bytes=None)
    assert kept(asked, tmp_path)
    path.write_text(json.dumps({**whole, "quick": True}))
    assert not kept(asked, tmp_path)
    assert kept(asked, tmp_path, quick=True)
    del whole["cases"]["orjson"]
    path.write_text(json.dumps(whole))
    assert not kept(asked, tmp_path)


def test_only_the_variants_of_the_claims_are_measured(tmp_path: Path) -> None:
    asked = reading.read(CLAIMS)
    whole, one = (
        next(
            step
            for step in measuring.steps(each, tmp_path, reuse=False, quick=False)
            if step.name == "ablation_null"
        )
        for each in (asked, asked.only(["httptools"]))
    )
    assert one.variants == ("baseline", "on_httptools")
    assert set(one.variants) < set(whole.variants)
    assert one.takes_s < whole.takes_s / 4


def test_every_variant_of_a_campaign_for_claims_is_asked_for(tmp_path: Path) -> None:
    for step in measuring.steps(ASKED, tmp_path, reuse=False, quick=False):
        if step.kind == "campaign":
            assert set(step.variants) == set(
                campaigns.read(ROOT / f"benchmarks/campaigns/{step.name}.toml").variants
            )


def test_a_damaged_record_or_result_costs_its_own_claims_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "demo" / DEMO.name
    shutil.copytree(DEMO, record)
    (record / "cells/seed/c0001/r01/cell.json").write_text("{")
    component = json_result(tmp_path)
    measured = measuring.Measured({"demo": record}, {"json": component})
    monkeypatch.setattr(measuring, "measure", lambda *_, **__: measured)
    claims_command(claims=file(tmp_path), results=tmp_path, output_format=Format.json)
    said = capsys.readouterr()
    assert "NOT MEASURED: " in said.err
    verdicts = {claim["id"]: claim["verdict"] for claim in json.loads(said.out)["claims"]}
    assert verdicts == {"p95": UNKNOWN, "json": IN_PART, "gpu": UNKNOWN}
    component.write_text("{")
    claims_command(claims=file(tmp_path), results=tmp_path, output_format=Format.json)
    verdicts = {
        claim["id"]: claim["verdict"] for claim in json.loads(capsys.readouterr().out)["claims"]
    }
    assert verdicts["json"] == UNKNOWN


def test_a_campaign_that_stopped_midway_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, results = asked_of_demo(tmp_path)
    record = results / "demo" / DEMO.name
    shutil.rmtree(record / "cells/seed/c0001/r05")
    monkeypatch.setattr(measuring, "_run_campaign", lambda *_, **__: record)
    said: list[str] = []
    planned = measuring.steps(asked, results, reuse=False, quick=False)
    measuring.measure(planned, asked, results, quick=False, say=said.append)
    assert said[-1].startswith("  measured in part, 1 repeats are missing: ")


def test_ctrl_c_stops_the_component_that_runs(tmp_path: Path) -> None:
    command = [str(ROOT / ".venv/bin/windtunnel"), "claims", "--claims", str(file(tmp_path))]
    command += ["--only", "json", "--results", str(tmp_path / "results")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr
    while not process.stderr.readline().startswith("json: block 1"):
        assert process.poll() is None
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "json: interrupted; nothing was written" in said
    assert "interrupted; `windtunnel claims --reuse` goes on, as long as no file is changed" in said
    assert started
    assert not [child for child in started if child.is_running()]
    assert not list((tmp_path / "results").rglob("*.json"))
