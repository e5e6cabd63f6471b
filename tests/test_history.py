"""One cell over many runs: which of them belong together, what is read, and what it says."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from analysis import alike, digest, history_commands
from analysis.catalogue import Entry, entries
from analysis.changes import FEWEST
from analysis.compare import Bound
from analysis.comparison import compare
from analysis.history import MEASURES, History, history, sentences
from analysis.latency import AnalysisError
from analysis.words import ratio_interval
from benchmarks.record import Record, load
from tests import records
from tests.records import Campaign, Shape

STEADY = Shape(requests=80, noise=0.01)
RUNS = 8
SLOWER_FROM = 5  # the first run, from 0, in which `optimized` takes 1.3 times as long


def put(results: Path, day: int, plan: Campaign, **run: Any) -> Path:
    """A run of the day, with its commit named after it."""
    told = {"started": f"2026-01-{day:02d}T03:04:05Z", "commit": {"sha": f"{day:040x}"}, **run}
    made = records.write(results.parent / f"made-{day}", replace(plan, run=told), seed=day)
    path = results / "simulated" / f"202601{day:02d}T030405Z-abcdef"
    path.parent.mkdir(parents=True, exist_ok=True)
    made.rename(path)
    return path


def plan(optimized_ms: float = 12.0, **changes: Any) -> Campaign:
    shapes = {"baseline": STEADY, "optimized": replace(STEADY, median_ms=optimized_ms)}
    return records.campaign(shapes, levels=("c0001", "c0008"), repeats=2, **changes)


def edit(path: Path, **campaign: Any) -> None:
    run = json.loads((path / "run.json").read_text())
    run["campaign"] |= campaign
    (path / "run.json").write_text(json.dumps(run))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("history") / "results"
    for day in range(RUNS):
        put(results, day + 1, plan(12.0 * (1.3 if day >= SLOWER_FROM else 1.0)))
    return results


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the module: what is read of the same files is the same."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache_folder(kept: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept))
    return kept


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """The runs, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "results"))


@pytest.fixture
def found(made: Path) -> History:
    return history(entries(made), "simulated", variant="optimized", level="c0008", measure="p50")


def newest(results: Path) -> Path:
    return max((results / "simulated").iterdir())


def test_each_run_is_a_point_with_what_the_comparison_says_of_it(found: History) -> None:
    assert [point.entry.started[8:10] for point in found.points] == [
        f"{day + 1:02d}" for day in range(RUNS)
    ]
    for point in (found.points[0], found.points[-1]):
        compared = compare(load(point.entry.path))
        (difference,) = [
            d
            for d in compared.matrix.differences
            if (d.variant, d.level, d.measure) == ("optimized", "c0008", "p50")
        ]
        assert point.value == compared.matrix.cells["optimized", "c0008"].value("p50")
        assert (point.ratio, point.floor) == (difference.ratio, difference.floor)
        assert (point.repeats, point.requests, point.error_share) == (2, 160, 0.0)
        assert point.interval.low < point.value.value < point.interval.high


def test_a_slower_variant_is_a_change_of_the_value_and_of_the_ratio(found: History) -> None:
    for relative, than in ((False, ""), (True, " against baseline")):
        points, seen = found.series(relative)
        (change,) = seen.found
        assert change.first == SLOWER_FROM
        assert change.ratio is not None
        assert change.ratio.low < 1.3 < change.ratio.high
        (said,) = sentences(found, relative)
        started = points[SLOWER_FROM].entry.started[:10]
        assert said.startswith(f"since {started} (commit 0000000): 1.")
        assert f" times as long{than} [1." in said


def test_throughput_is_told_as_answers(made: Path) -> None:
    found = history(entries(made), "simulated", measure="throughput")
    assert sentences(found, relative=True)[0].startswith(f"no change in {RUNS} runs; one of ")


def test_what_is_not_said_is_taken_from_the_newest_run(made: Path) -> None:
    asked = history(entries(made), "simulated").asked
    assert (asked.variant, asked.level, asked.measure) == ("optimized", "c0008", "p95")
    assert asked.reference == "baseline"
    assert asked.machine.startswith("Simulated CPU, 4 cores")


def test_the_reference_has_values_and_no_ratios(made: Path) -> None:
    found = history(entries(made), "simulated", variant="baseline", measure="p50")
    assert found.asked.reference is None
    assert (len(found.points), found.compared, found.relative.n) == (RUNS, (), 0)
    assert all(point.floor is not None for point in found.points)
    (said,) = sentences(found, relative=False)
    assert said.startswith(f"no change in {RUNS} runs; one of ")
    assert said.endswith("% or more would have shown")


def test_the_copy_is_compared_with_what_it_copies(made: Path) -> None:
    found = history(entries(made), "simulated", variant="baseline.aa", measure="p50")
    assert found.asked.reference == "baseline"
    assert all(point.ratio and 0.9 < point.ratio.point < 1.1 for point in found.points)


def test_the_machine_that_is_slow_that_day_is_in_the_values_and_not_in_the_ratios(
    tmp_path: Path,
) -> None:
    for day in range(1, 9):
        slow = 1.5 if day > 4 else 1.0
        shapes = {
            name: replace(STEADY, median_ms=ms * slow)
            for name, ms in (("baseline", 20.0), ("optimized", 12.0))
        }
        put(tmp_path / "results", day, records.campaign(shapes, levels=("c0008",)))
    found = history(entries(tmp_path / "results"), "simulated", measure="p50")
    assert [change.first for change in found.absolute.found] == [4]
    assert found.relative.found == ()


MACHINE = {"cpu": "Another CPU", "cores": 8, "memory_bytes": 2**34}


def test_another_machine_has_a_history_of_its_own(results: Path) -> None:
    put(results, 20, plan(), machine=MACHINE)
    every = entries(results)
    here = history(every, "simulated")
    assert len(here.points) == 1
    reasons = {left_out.reason for left_out in here.left_out}
    assert len(here.left_out) == RUNS
    assert all(reason.startswith("it ran on another machine: Simulated") for reason in reasons)
    there = history(every, "simulated", machine_key=every[-1].machine_key)
    assert len(there.points) == RUNS
    assert [left_out.entry.run for left_out in there.left_out] == [every[0].run]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "small"}, "model nano instead of small"),
        ({"body": "raw"}, "body multipart instead of raw"),
        ({"generator": "locust"}, "generator none instead of locust"),
        (
            {"variants": {"baseline": {}, "optimized": {"settings": {"SERVICE_WORKERS": 2}}}},
            "preset optimized instead of none; SERVICE_WORKERS none instead of 2",
        ),
    ],
)
def test_runs_that_were_set_up_otherwise_are_left_out(
    results: Path, change: dict[str, Any], said: str
) -> None:
    edit(newest(results), **change)
    found = history(entries(results), "simulated", variant="optimized")
    assert len(found.points) == 1
    (reason,) = {left_out.reason for left_out in found.left_out}
    assert reason.startswith("optimized was set up otherwise: ")
    assert sorted(reason.split(": ")[1].split("; ")) == sorted(said.split("; "))


def test_without_the_same_reference_there_is_a_value_and_no_ratio(results: Path) -> None:
    settings = {"baseline": {"preset": "seed"}, "optimized": {"preset": "optimized"}}
    edit(min((results / "simulated").iterdir()), variants=settings)
    found = history(entries(results), "simulated")
    assert (len(found.points), len(found.compared)) == (RUNS, RUNS - 1)
    assert found.points[0].ratio is None


def test_a_run_without_the_cell_or_without_enough_is_left_out_with_its_reason(
    results: Path,
) -> None:
    folders = sorted((results / "simulated").iterdir())
    (folders[0] / "run.json").write_text("{")
    shutil.rmtree(folders[1] / "cells/optimized/c0008")
    edit(folders[2], clients=[1])
    order = json.loads((folders[2] / "run.json").read_text())
    order["order"] = [visit for visit in order["order"] if visit[1] == "c0001"]
    (folders[2] / "run.json").write_text(json.dumps(order))
    (folders[3] / "cells/optimized/c0008/r01/samples.parquet").write_bytes(b"PAR1")
    found = history(entries(results), "simulated")
    assert len(found.points) == RUNS - 4
    broken, empty, other, damaged = (left_out.reason for left_out in found.left_out)
    assert "damaged or cut short" in broken
    assert empty == "no repeat is complete"
    assert other == "it has no optimized with 8 clients"
    assert "truncated" in damaged
    few = history(entries(results), "simulated", measure="p99")
    assert {left_out.reason for left_out in few.left_out} >= {
        "P99 needs 368 requests in each repeat"
    }
    assert few.points == ()


def test_what_nobody_measured_is_refused_with_what_there_is(made: Path, tmp_path: Path) -> None:
    every = entries(made)
    for arguments, said in (
        ({"campaign": "simulate"}, "did you mean 'simulated'?"),
        ({"variant": "optimised"}, "did you mean 'optimized'?"),
        ({"level": "c0009"}, "expected one of c0001, c0008"),
        ({"measure": "p99.9"}, f"expected one of {', '.join(MEASURES)}"),
        ({"machine_key": "none"}, "unknown machine 'none'"),
    ):
        asked: dict[str, Any] = {"campaign": "simulated", **arguments}
        with pytest.raises(AnalysisError, match=said.replace("?", r"\?")):
            history(every, **asked)
    with pytest.raises(AnalysisError, match=r"no record; expected runs of 'any'; .*makes one"):
        history([], "any")
    broken = Entry(tmp_path, "a/b", "a", "b", problem="run.json: empty")
    with pytest.raises(AnalysisError, match=r"no run of a can be read; run\.json: empty"):
        history([broken], "a")


def test_with_few_runs_it_says_how_many_it_takes(made: Path) -> None:
    found = history(entries(made)[:3], "simulated")
    assert sentences(found, relative=True) == [
        f"3 runs: a change can be seen from {2 * FEWEST} on, {FEWEST} before and after it"
    ]


def test_requests_that_were_given_up_are_a_bound(tmp_path: Path) -> None:
    put(tmp_path / "results", 1, records.with_cell(plan(), "optimized", "c0008", timeouts=60))
    (point,) = history(entries(tmp_path / "results"), "simulated").points
    assert point.value.at_least
    assert point.error_share == pytest.approx(0.75)


GIVEN_UP = {"timeouts": 20}  # of 80 requests, so P95 lies among them and P50 does not
LATER = {**GIVEN_UP, "timeout_ms": 60_000.0}
UNTIL_GIVEN_UP = ", as requests were given up"


@pytest.mark.parametrize(
    ("before", "after", "bound", "ends"),
    [
        ({}, GIVEN_UP, Bound.AT_LEAST, f" times as long{UNTIL_GIVEN_UP}"),
        (GIVEN_UP, {}, Bound.AT_MOST, f" times as long{UNTIL_GIVEN_UP}"),
        (GIVEN_UP, LATER, None, f": otherwise; by which ratio is not known{UNTIL_GIVEN_UP}"),
        (
            {"median_ms": 20_000.0, "spread": 0.0},
            {**GIVEN_UP, "timeout_ms": 5000.0},
            Bound.AT_LEAST,
            f" times as long{UNTIL_GIVEN_UP}; which way is not known",
        ),
    ],
)
def test_a_change_to_or_from_requests_that_were_given_up_is_a_bound(
    tmp_path: Path,
    before: dict[str, Any],
    after: dict[str, Any],
    bound: Bound | None,
    ends: str,
) -> None:
    for day in range(1, 8):
        shape = replace(STEADY, **(after if day > 4 else before))
        given = records.campaign({"baseline": shape}, levels=("c0008",), repeats=2, aa=None)
        put(tmp_path / "results", day, given)
    found = history(entries(tmp_path / "results"), "simulated")
    (change,) = found.absolute.found
    assert change.first == 4
    assert (change.ratio.bound if change.ratio else None) is bound
    (said,) = sentences(found, relative=False)
    assert said.endswith(ends)
    if change.ratio:
        assert f": {ratio_interval(change.ratio)} times" in said
        assert ratio_interval(change.ratio)[0] == (">" if bound is Bound.AT_LEAST else "<")


def test_a_ratio_to_a_reference_that_gave_up_is_a_bound(tmp_path: Path) -> None:
    for day in range(1, 8):
        late = GIVEN_UP if day > 4 else {}
        made = records.with_cell(plan(), "baseline", "c0008", **late)
        put(tmp_path / "results", day, made)
    found = history(entries(tmp_path / "results"), "simulated")
    (change,) = found.relative.found
    assert change.ratio is not None
    assert change.ratio.bound is Bound.AT_MOST
    assert " times as long against baseline, as requests were given up" in sentences(found, True)[0]


def test_where_requests_were_given_up_nobody_says_what_would_have_shown(tmp_path: Path) -> None:
    shape = replace(STEADY, timeouts=20)
    for day in range(1, 7):
        given = records.campaign({"baseline": shape}, levels=("c0008",), repeats=2, aa=None)
        put(tmp_path / "results", day, given)
    assert sentences(history(entries(tmp_path / "results"), "simulated"), relative=False) == [
        "no change in 6 runs, as far as they tell: requests were given up in 6 of them"
    ]


def visits(record: Record) -> Iterator[tuple[str, str, int]]:
    for visited in digest.visits(record, {("optimized", "c0008"), ("baseline", "c0008")}):
        yield visited.variant, visited.level, visited.repeat


def test_only_the_cells_that_are_asked_for_are_read(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = load(results)
    for file in record.path.glob("cells/*/c0001/*/samples.parquet"):
        file.write_bytes(b"damaged")
    assert len(list(visits(record))) == 4
    monkeypatch.setattr(digest, "read", pytest.fail)
    assert len(list(visits(record))) == 4


def test_what_was_kept_is_what_was_read(results: Path) -> None:
    record = load(results)
    cells = {("optimized", "c0001"), ("baseline.aa", "c0008")}
    assert digest.visits(record, cells) == digest.visits(record, cells)
    whole = compare(record).matrix.cells["optimized", "c0001"]
    again = digest.visits(record, {("optimized", "c0001")})
    for kept, fresh in zip(again, whole.visits, strict=True):
        assert kept.percentiles == fresh.percentiles
        assert (kept.counts, kept.requests) == (fresh.counts, fresh.requests)
        assert kept.throughput_rps == fresh.throughput_rps


def test_ends_of_intervals_that_are_not_known_are_kept_as_such(results: Path) -> None:
    record, cells = load(results), {("optimized", "c0008")}
    said = {
        "percentiles_ms": {"50": 12.0},
        "counts": {"ok": 90, "http_error": 0, "transport_error": 0, "timeout": 0, "censored": 0},
        "throughput_rps": 9.0,
        "window_s": 10.0,
        "rounded": "rounded",
    }
    for repeat in (record.path / "cells/optimized/c0008").iterdir():
        (repeat / "samples.parquet").unlink()
        facts = json.loads((repeat / "cell.json").read_text())
        (repeat / "cell.json").write_text(json.dumps({**facts, "reported": said}))
    record = replace(record, run={**record.run, "imported": {"tool": "k6"}})
    fresh, kept = digest.visits(record, cells), digest.visits(record, cells)
    assert fresh == kept
    percentile = kept[0].percentiles["p50"]
    assert (percentile.low_ms, percentile.value_ms, percentile.high_ms) == (-inf, 12.0, inf)


def test_a_repeat_that_was_measured_again_is_read_again(results: Path) -> None:
    record = load(results)
    before, _ = digest.visits(record, {("optimized", "c0008")})
    folder = record.path / "cells/optimized/c0008"
    shutil.copy(folder / "r02/samples.parquet", folder / "r01/samples.parquet")
    after, second = digest.visits(record, {("optimized", "c0008")})
    assert after.percentiles == second.percentiles != before.percentiles


def test_a_variant_is_set_up_as_its_settings_and_its_campaign_say(made: Path) -> None:
    record = load(made)
    assert alike.setup(record, "optimized") == {
        "model": "nano",
        "track": "A",
        "body": "multipart",
        "preset": "optimized",
    }
    assert alike.setup(record, "baseline.aa") == alike.setup(record, "baseline")
    assert alike.differences({"a": "1", "b": "2"}, {"b": "3", "a": "1"}) == "b 2 instead of 3"
    assert alike.differences({"a": "1"}, {"a": "1"}) == ""


def run(*arguments: str) -> str:
    """Of a terminal of 120 columns."""
    done = CliRunner().invoke(
        history_commands.app, list(arguments), env={"COLUMNS": "120"}, catch_exceptions=False
    )
    assert done.exit_code == 0
    return done.output


def test_the_command_shows_each_run_and_ends_with_the_answer(made: Path) -> None:
    lines = run("simulated", "--results", str(made), "--measure", "p50").splitlines()
    assert lines[0] == "simulated: P50 of optimized with 8 clients, against baseline"
    assert lines[1].startswith("Simulated CPU, 4 cores, 8 GiB")
    rows = [line for line in lines if line.startswith("2026-01-")]
    assert len(rows) == RUNS
    assert [n for n, row in enumerate(rows) if "changed" in row] == [SLOWER_FROM]
    assert all(row.split("  ")[-1].strip(" .-|<>") == "o" for row in rows)
    assert lines[-1].startswith("since 2026-01-06 (commit 0000000): 1.")
    assert not any(line.endswith(" ") for line in lines)


def test_a_level_may_be_named_by_its_load(made: Path) -> None:
    said = run("simulated", "--results", str(made), "--level", "1", "--absolute")
    assert said.startswith("simulated: P95 of optimized with 1 client\n")
    assert "P95 ms" in said


def refused(*arguments: str) -> str:
    done = CliRunner().invoke(history_commands.app, list(arguments))
    assert isinstance(done.exception, AnalysisError)
    assert "\n" not in str(done.exception)
    return str(done.exception)


def test_a_load_is_looked_for_among_the_levels_of_the_campaign(
    results: Path, tmp_path: Path
) -> None:
    """Here 8 are 8 requests/s; the other campaign has 8 clients."""
    path = put(tmp_path / "results-2", 1, records.campaign({"baseline": STEADY}, ("q0008",)))
    edit(path, name="open")
    shutil.copytree(path, results / "open" / path.name)
    assert "at 8 requests/s" in run("open", "--results", str(results), "--level", "8")
    assert "with 8 clients" in run("simulated", "--results", str(results), "--level", "8")


def test_a_level_without_a_name_is_refused(made: Path) -> None:
    said = refused("simulated", "--results", str(made), "--level", "")
    assert "unknown level ''; expected one of c0001, c0008" in said


def test_without_any_record_it_says_where_none_is_and_what_makes_one(tmp_path: Path) -> None:
    said = refused("demo", "--results", str(tmp_path))
    assert said.startswith(f"--results: no record under {tmp_path}; expected ")
    assert said.endswith("`windtunnel run CAMPAIGN` makes one")


def test_what_imported_runs_do_not_tell_is_said_above_the_table(results: Path) -> None:
    assert "imported" not in run("simulated", "--results", str(results))
    for day, folder in enumerate(sorted((results / "simulated").iterdir())):
        told = json.loads((folder / "run.json").read_text())
        at = told["started"] if day < 3 else "2026-02-01T00:00:00Z"
        told |= {"imported": {"tool": "k6", "at": at}, "machine": {}}
        (folder / "run.json").write_text(json.dumps(told))
    lines = run("simulated", "--results", str(results)).splitlines()
    table = next(n for n, line in enumerate(lines) if line.startswith("run "))
    assert " ".join(lines[2 : table - 1]) == (
        "imported runs: the machine of 8 is not known, and is taken to be one and the same; the"
        " time of 3 is not known, and that of the import stands for it"
    )


def test_the_command_names_what_it_leaves_out(results: Path) -> None:
    edit(newest(results), model="[bold]small[/bold]")
    said = run("simulated", "--results", str(results))
    assert (
        f"{RUNS - 1} runs left out: optimized was set up otherwise: model nano instead of" in said
    )
    assert "[bold]small[/bold]" in said


def test_ratios_of_the_reference_are_refused(made: Path) -> None:
    arguments = ["simulated", "--results", str(made), "--variant", "baseline"]
    done = CliRunner().invoke(history_commands.app, [*arguments, "--against-reference"])
    assert isinstance(done.exception, AnalysisError)
    assert "baseline is the reference" in str(done.exception)
    assert "P95 ms" in run(*arguments)
