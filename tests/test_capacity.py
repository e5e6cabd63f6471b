"""What each variant carries within an objective: levels, advice and sentences."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.capacity import CLIENTS, RATE, Capacity, capacity, sentences
from analysis.checks import Doubt
from analysis.comparison import compare
from analysis.kept import Kept
from analysis.objective import Objective
from benchmarks.record import level_title, load
from tests.golden import DEMO
from tests.loads import compared, matrix, visited
from tests.records import Shape, campaign, with_cell, write

ROOT = Path(__file__).parent.parent
SLO = Objective(95, 100)
WITHIN, BEYOND, UNSURE = (50.0, 51.0, 52.0), (150.0, 151.0, 152.0), (80.0, 120.0, 100.0)


def found(p95_ms: Mapping[str, Sequence[float]], slo: Objective = SLO) -> Capacity:
    """One variant from its P95 in each repeat of each level; there is one loop."""
    visits = [
        visited(level, repeat, rps=10 * float(level[1:]), ms={95: ms}, over=3)
        for level, series in p95_ms.items()
        for repeat, ms in enumerate(series, 1)
    ]
    (only,) = capacity(compared(matrix(visits)), slo)
    return only


def test_it_carries_the_highest_level_that_holds_below_the_first_that_breaks() -> None:
    one = found({"c0008": WITHIN, "c0001": WITHIN, "c0064": BEYOND, "c0032": BEYOND})
    assert list(one.judged) == ["c0001", "c0008", "c0032", "c0064"]
    assert (one.loop, one.holds, one.breaks) == (CLIENTS, "c0008", "c0032")
    assert (one.undecided, one.again) == ((), ())
    assert one.throughput is not None
    assert one.throughput.point == pytest.approx(80)


def test_a_level_that_cannot_be_told_ends_what_is_carried() -> None:
    one = found({"c0001": WITHIN, "c0008": UNSURE, "c0016": WITHIN, "c0032": BEYOND})
    assert (one.holds, one.breaks) == ("c0001", "c0032")
    assert (one.undecided, one.again) == (("c0008",), ())
    assert one.judged["c0016"].outcome is Kept.HOLDS
    assert one.advice == ()


def test_a_level_that_holds_above_one_that_breaks_is_odd() -> None:
    one = found({"c0001": WITHIN, "c0008": BEYOND, "c0032": WITHIN})
    assert (one.holds, one.breaks, one.again) == ("c0001", "c0008", ("c0032",))


def test_clients_and_rates_are_two_capacities() -> None:
    visits = [
        visited(level, repeat, ms={95: ms})
        for level, ms in (("c0008", 50.0), ("q0050", 60.0), ("q0100", 160.0))
        for repeat in (1, 2, 3)
    ]
    closed, opened = capacity(compared(matrix(visits)), SLO)
    assert (closed.loop, closed.holds, closed.breaks) == (CLIENTS, "c0008", None)
    assert (opened.loop, opened.holds, opened.breaks) == (RATE, "q0050", "q0100")


@pytest.mark.parametrize(
    ("p95_ms", "advice"),
    [
        ({"c0001": WITHIN, "c0008": WITHIN}, (16, 32)),
        ({"c0001": BEYOND, "c0008": BEYOND}, ()),
        ({"c0008": BEYOND, "c0032": BEYOND}, (2, 4)),
        ({"c0002": BEYOND}, (1,)),
        ({"c0008": WITHIN, "c0009": BEYOND}, ()),
        ({"c0001": WITHIN, "c0100": (120.0, 121.0, 122.0)}, (36,)),
        ({"c0001": WITHIN, "c0100": (100.4, 100.5, 100.6)}, (10,)),
        ({"q0000.5": BEYOND}, (0.125, 0.25)),
        ({"q0050": WITHIN, "q0051": BEYOND}, ()),
        ({"q0050": WITHIN}, (100, 200)),
    ],
)
def test_the_loads_to_add_lie_where_the_answer_is_open(
    p95_ms: Mapping[str, Sequence[float]], advice: tuple[float, ...]
) -> None:
    assert found(p95_ms).advice == pytest.approx(advice)


QUIET = Shape(median_ms=20, requests=500, noise=0.01, spread=0.2)


def growing(clients: Sequence[int]) -> dict[tuple[str, str], Shape]:
    """Cells of a service that is busy with 4 clients: then each more adds wait alone."""
    cells = {}
    for n in clients:
        shape = replace(QUIET, median_ms=20 * max(1, n / 4), requests=500 * min(n, 4))
        for name in ("baseline", "baseline.aa"):
            cells[name, f"c{n:04d}"] = shape
    return cells


def test_a_record_is_told_in_sentences(tmp_path: Path) -> None:
    plan = replace(campaign({"baseline": QUIET}), cells=growing((1, 2, 4, 8, 16, 32)))
    slo = Objective(95, 50)
    told = sentences(compare(load(write(tmp_path, plan)), slo=slo), slo)
    assert len(told) == 3
    assert told[0].startswith("baseline carries 4 clients (200 [200, 200] requests/s, none of")
    assert "within P95 up to 50 ms, errors up to 0.1%; it breaks with 8 clients (P95 5" in told[0]
    assert "baseline: adding clients beyond 4 (it may be anything from 2 to 8) adds" in told[1]
    assert told[2].startswith("baseline: ")
    assert not [line for line in told if "baseline.aa" in line]


def test_without_an_objective_only_knee_and_law_are_told(tmp_path: Path) -> None:
    plan = replace(campaign({"baseline": QUIET}), cells=growing((1, 2, 4, 8, 16)))
    told = sentences(compare(load(write(tmp_path, plan))), None)
    assert len(told) == 2
    assert "adding clients beyond 4" in told[0]


def test_what_variants_lack_alike_is_said_once() -> None:
    one = compare(load(DEMO))
    slo = Objective(95, 250)
    told = sentences(compare(one.record, slo=slo), slo)
    assert told[-1] == (
        "baseline, seed and optimized: knee and scaling law are not known:"
        " 5 levels of clients are needed, found 2; add clients = [2, 6, 14]."
    )
    pattern = (
        r"baseline carries 1 client \(4\d\.\d \[\S+, \S+\] requests/s, none of its error budget\)"
        r" within P95 up to 250 ms, errors up to 0\.1%; it breaks with 32 clients"
        r" \(P95 3\d\d ms \[.*\]\); the limit is crossed at about 1\d\.\d \[\S+, \S+\] clients, .*"
    )
    assert re.fullmatch(pattern, told[0])


def test_too_few_requests_are_told_with_what_would_help() -> None:
    slo = Objective(99, 60)
    told = sentences(compare(load(DEMO), slo=slo), slo)
    assert told[2].startswith(
        "optimized: what it carries within P99 up to 60 ms, errors up to 0.1% cannot be told"
    )
    assert re.search(r"P99 needs 368 requests in each repeat, one has \d\d: measure for", told[2])


def test_a_capacity_says_whether_its_requests_prove_it_and_which_doubts_concern_it() -> None:
    few = [
        visited(level, repeat, ms={95: ms}, requests=80, over=over)
        for level, ms, over in (("c0004", 60.0, 3), ("c0016", 160.0, 70))
        for repeat in (1, 2)
    ]
    held = replace(
        compared(matrix(few)),
        doubts=(
            Doubt("shared_cpus", "", ""),
            Doubt("errors", "", "", (("baseline", "c0016"),)),
            Doubt("errors", "", "", (("other", "c0016"),)),
        ),
    )
    (told, *_) = sentences(held, replace(SLO, limit_ms=100))
    assert "4 clients (" in told
    assert ", 75.0% of its error budget, 160 requests, MLPerf asks for 288)" in told
    assert told.endswith("; see doubt 2.")


def test_a_lowest_level_that_breaks_is_said_to_be_too_much() -> None:
    visits = [visited("c0001", r, ms={95: ms}) for r, ms in enumerate(BEYOND, 1)]
    (told, *_) = sentences(compared(matrix(visits)), SLO)
    assert told == (
        "baseline breaks P95 up to 100 ms, errors up to 0.1%, even with 1 client"
        " (P95 151 ms [149 ms, 154 ms])."
    )


def test_a_cell_that_was_never_visited_cannot_be_told() -> None:
    visits = [visited("c0001", r, ms={95: ms}) for r, ms in enumerate(WITHIN, 1)]
    held = matrix(visits, levels=("c0001", "c0008"))
    (told, *_) = sentences(compared(held), SLO)
    assert "with 8 clients it cannot be told, as it was not measured: make its missing" in told


def test_an_open_loop_is_told_in_rates_and_has_no_knee() -> None:
    visits = [
        visited(level, repeat, rps=float(level[1:]), ms={95: ms + repeat})
        for level, ms in (("q0050", 60.0), ("q0100", 160.0))
        for repeat in (1, 2, 3)
    ]
    (told,) = sentences(compared(matrix(visits)), SLO)
    assert told.startswith("baseline carries 50 requests/s (50.0 [50.0, 50.0] requests/s")
    assert "the limit is crossed at about 7" in told
    assert told.endswith("if the curve is straight from 50 to 100 requests/s; add rates = [70.6].")


def test_names_from_a_record_reach_no_terminal() -> None:
    visits = [visited("c0001", r, variant="\x1b[31mred", ms={95: 50.0}) for r in (1, 2)]
    for line in sentences(compared(matrix(visits)), SLO):
        assert line.isprintable()


latencies = st.none() | st.floats(1e-3, 1e7)
rates = st.just(0.0) | st.floats(1e-3, 1e6)


@given(
    st.dictionaries(
        st.sampled_from(["c0001", "c0002", "c0004", "c0008", "c0016", "c0032", "q0010", "q0020"]),
        st.lists(
            st.tuples(latencies, rates, st.booleans(), st.integers(0, 9)),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(deadline=None, max_examples=150)
def test_any_matrix_has_capacities_and_sentences(
    cells: Mapping[str, Sequence[tuple[float | None, float, bool, int]]],
) -> None:
    visits = [
        visited(
            level,
            repeat,
            rps=rps,
            ms={50: ms / 2, 95: ms} if ms else {},
            at_least=given_up,
            requests=200,
            failed=failed,
            over=failed,
        )
        for level, series in cells.items()
        for repeat, (ms, rps, given_up, failed) in enumerate(series, 1)
    ]
    held = compared(matrix(visits))
    for one in capacity(held, SLO):
        outcomes = {level: judged.outcome for level, judged in one.judged.items()}
        below = list(outcomes)[: list(outcomes).index(one.holds) + 1] if one.holds else []
        assert all(outcomes[level] is Kept.HOLDS for level in below)
        assert one.breaks is None or outcomes[one.breaks] is Kept.BROKEN
        assert all(0 < load < inf for load in one.advice)
        assert not {level_title(level) for level in one.undecided} & {one.holds, one.breaks}
    told = sentences(held, SLO)
    assert told
    assert all(line.endswith(".") and line.isprintable() for line in told)


def test_errors_break_a_level_and_are_the_reason(tmp_path: Path) -> None:
    plan = campaign({"baseline": QUIET}, ("c0001", "c0008"), aa=None)
    plan = with_cell(plan, "baseline", "c0008", errors=5)
    slo = Objective(95, 60)
    (told, *_) = sentences(compare(load(write(tmp_path, plan)), slo=slo), slo)
    assert "it breaks with 8 clients (15 of 1500 requests failed)" in told
