"""What people read: the terminal, Markdown and JSON say the same, and nothing obeys a record."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from inspect import signature
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from analysis import commands, export, markdown, picture, terminal
from analysis.cells import Cell
from analysis.commands import Format, parse_margin, render
from analysis.compare import Bound, Ratio, Value, ratio
from analysis.comparison import Comparison, compare
from analysis.latency import AnalysisError
from analysis.summary import sentences, undecided
from analysis.words import (
    cells_phrase,
    levels_phrase,
    measured,
    number,
    ratio_interval,
    ratio_point,
)
from benchmarks.record import RESULTS, Record, level_title, load
from tests.records import Shape, campaign, with_cell, write

ROOT = Path(__file__).parent.parent
QUIET = Shape(median_ms=20, requests=200, noise=0.004, spread=0.2)
LEVELS = ("c0001", "c0008")
PLAN = campaign(
    {"baseline": QUIET, "seed": QUIET, "optimized": replace(QUIET, median_ms=10, requests=400)},
    LEVELS,
)
PLAN = with_cell(PLAN, "seed", "c0008", noise=0.2, timeouts=20)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("output"), PLAN)


@pytest.fixture(scope="module")
def comparison(path: Path) -> Comparison:
    return compare(load(path))


def page(comparison: Comparison, width: int) -> list[str]:
    file = StringIO()
    terminal.show(comparison, Console(file=file, width=width))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_terminal_keeps_to_its_width_and_cuts_nothing(
    comparison: Comparison, width: int
) -> None:
    lines = page(comparison, width)
    told = [line for line in lines if not line.startswith("record: ")]
    assert max(map(len, told)) <= width
    assert "…" not in "".join(lines)
    assert all(line == line.rstrip() for line in lines)


def test_doubts_stand_above_the_numbers_and_the_answer_below(comparison: Comparison) -> None:
    lines = page(comparison, 100)
    doubts = f"{len(comparison.doubts)} doubts"
    order = ["Is the", doubts, "ratio =", "1 client ", "8 clients ", "Answer", "Not dec", "record"]
    places = [next(i for i, line in enumerate(lines) if line.startswith(text)) for text in order]
    assert places == sorted(places)


def test_a_level_points_to_its_doubts(comparison: Comparison) -> None:
    kinds = [doubt.kind for doubt in comparison.doubts]
    errors = kinds.index("errors") + 1
    (title,) = [line for line in page(comparison, 100) if line.startswith("8 clients")]
    assert f" {errors}" in title
    (other,) = [line for line in page(comparison, 100) if line.startswith("1 client ")]
    assert str(errors) not in other.split("see doubt")[1]


def test_values_ratio_interval_floor_and_verdict_stand_in_their_columns(
    comparison: Comparison,
) -> None:
    lines = page(comparison, 80)
    start = next(i for i, line in enumerate(lines) if line.startswith("8 clients"))
    header, reference = lines[start + 1].split(), lines[start + 3].split()
    assert header == ["median", "of", "repeats", "P50", "ms", "P95", "ms", "P99", "ms", "req/s"]
    assert reference[0] == "baseline"
    assert reference[3] == "-"  # 200 requests have no P99
    d = next(
        d
        for d in comparison.matrix.differences
        if (d.variant, d.level, d.measure) == ("optimized", "c0008", "p50")
    )
    assert d.ratio is not None
    assert d.floor is not None
    row = next(line for line in lines[start:] if line.startswith("optimized") and "P50" in line)
    expected = f"{ratio_point(d.ratio)} {ratio_interval(d.ratio)} ±{d.floor:.1%} faster"
    assert row.split() == ["optimized", "P50", *expected.split()]


def test_the_answer_is_one_sentence_a_variant(comparison: Comparison) -> None:
    seed, optimized = sentences(comparison)
    assert optimized.startswith("At P95, optimized is faster than baseline at every level: with ")
    assert "times as fast)." in optimized
    assert "seed" in seed
    assert "unresolved against baseline" in seed


def test_what_is_not_decided_says_why_and_what_would_settle_it(comparison: Comparison) -> None:
    lines = list(undecided(comparison))
    assert lines
    assert any("the interval includes 1" in line for line in lines)
    advice = ("repeats would", "100 repeats to", "take more repeats", "raise timeout_s")
    assert all(any(a in line for a in (*advice, "measure for longer")) for line in lines)
    # 200 requests have no P99 at all: not decided either, and said once for both levels.
    assert (
        "seed, P99 at every level: P99 needs 368 requests in each repeat; one repeat has 200:"
        " measure for longer"
    ) in lines


def test_what_was_not_measured_is_not_decided(tmp_path: Path) -> None:
    plan = campaign({"baseline": QUIET, "optimized": QUIET}, ("c0001",))
    comparison = compare(load(write(tmp_path, with_cell(plan, "optimized", "c0001", repeats=0))))
    assert sentences(comparison) == [
        "optimized could not be compared with baseline: optimized was not measured."
    ]
    (line,) = undecided(comparison)
    assert "P50, P95, P99 and req/s with 1 client: optimized was not measured;" in line
    assert json.loads(render(comparison, Format.json))["undecided"] == [line]


def test_two_that_both_gave_up_say_so(tmp_path: Path) -> None:
    shape = replace(QUIET, timeouts=40)
    plan = campaign({"baseline": shape, "optimized": shape}, ("c0001",))
    lines = list(undecided(compare(load(write(tmp_path, plan)), percentiles=[95])))
    assert any("P95 with 1 client: both sides gave requests up" in line for line in lines)


def test_repeats_that_were_extended_are_said_to_last_longer(path: Path) -> None:
    record = load(path)
    assert "3 repeats of 10 s, " in terminal.setting(compare(record))
    extended = {**record.run, "campaign": {**record.campaign, "min_requests": 100}}
    assert "3 repeats of 10 s or more, " in terminal.setting(compare(Record(path, extended)))


def test_all_formats_carry_the_same_verdicts(comparison: Comparison) -> None:
    verdicts = [str(d.verdict) for d in comparison.matrix.differences if d.ratio is not None]
    document = json.loads(render(comparison, Format.json))
    assert [d["verdict"] for d in document["differences"] if d["ratio"]] == verdicts
    details = render(comparison, Format.markdown).split("<details>")[1]
    rows = [line for line in details.splitlines() if line.startswith(("| 1 c", "| 8 c"))]
    assert [row.split(" | ")[-1].rstrip(" |") for row in rows] == verdicts
    words = [line.split() for line in render(comparison, Format.table).splitlines()]
    found = [word for line in words for word in line if word in set(verdicts) and "±" in str(line)]
    curves = [str(d.verdict) for d in comparison.matrix.curves if d.ratio is not None]
    assert found == verdicts + curves
    assert [d["verdict"] for d in document["curves"] if d["ratio"]] == curves


def test_the_json_has_no_infinity_and_everything_by_repeat(tmp_path: Path) -> None:
    plan = campaign({"baseline": QUIET, "optimized": QUIET}, ("c0001",), repeats=1)
    document = json.loads(render(compare(load(write(tmp_path, plan))), Format.json))
    assert document["format"] == export.FORMAT
    assert document["differences"][0]["ratio"]["high"] is None
    repeat = document["cells"][0]["repeats"][0]
    assert repeat["response"]["p95"]["n"] == repeat["requests"]["ok"] == 200


def test_another_reference_keeps_the_noise_floor_of_the_pair(path: Path) -> None:
    usual, other = compare(load(path)), compare(load(path), reference="optimized")
    floors = {(d.level, d.measure): d.floor for d in usual.matrix.differences}
    assert {d.variant for d in other.matrix.differences} == {"baseline", "seed"}
    assert all(d.floor == floors[d.level, d.measure] for d in other.matrix.differences)
    assert other.matrix.aa == usual.matrix.aa


def test_a_mere_pair_of_copies_shows_how_they_differ(tmp_path: Path) -> None:
    comparison = compare(load(write(tmp_path, campaign({"baseline": QUIET}, ("c0001",)))))
    assert comparison.matrix.differences == ()
    assert [d.variant for d in terminal.shown(comparison, "c0001")] == ["baseline.aa"] * 3
    assert any("±" in line for line in page(comparison, 80))


def test_one_repeat_is_shown_without_verdicts(tmp_path: Path) -> None:
    plan = campaign({"baseline": QUIET, "optimized": QUIET}, ("c0001",), repeats=1)
    comparison = compare(load(write(tmp_path, plan)))
    assert any("take at least 3 repeats" in line for line in page(comparison, 80))
    assert markdown.text(comparison)


def test_names_from_a_record_are_text_and_nothing_else(tmp_path: Path) -> None:
    question = "[red]<img src=x onerror=alert(1)>\x1b[31m | *now*[/]"
    plan = replace(PLAN, question=question)
    comparison = compare(load(write(tmp_path, plan)))
    assert page(comparison, 100)[0].startswith("[red]<img src=x onerror=alert(1)>�[31m | *now*[/]")
    title = markdown.text(comparison).splitlines()[0]
    assert "<img" not in title
    assert "\x1b" not in title
    assert r"\|" in title


def test_a_picture_shows_the_interval_the_floor_and_one() -> None:
    found = Ratio(0.7, 0.6, 0.8, (0.6, 0.7, 0.8))
    line = str(picture.picture(found, 0.1, 2.0))
    assert len(line) == picture.WIDTH
    assert line.index("-") < line.index("o") < line.index(".") < line.index("|")
    assert str(picture.picture(Ratio(0.01, 0.001, 0.02, (0.01,)), None, 2.0)).startswith("<")
    assert str(picture.picture(Ratio(50, 20, 90, (50,)), None, 2.0)).endswith(">")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01234, "0.0123"), (4.556, "4.56"), (78.94, "78.9"), (999.6, "1000"), (1234, "1230")],
)
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_narrow_interval_shows_on_which_side_of_1_it_lies() -> None:
    found = ratio([(Value(1.003), Value(1)), (Value(1.004), Value(1)), (Value(1.0035), Value(1))])
    assert found is not None
    assert ratio_interval(found) == "[1.002, 1.005]"


def test_given_up_requests_show_as_bounds() -> None:
    assert measured(Value(30_000, at_least=True), "p95") == "> 30 s"
    assert measured(None, "p99") == "-"
    found = Ratio(700, 600, 800, (600, 800), Bound.AT_LEAST)
    assert (ratio_point(found), ratio_interval(found)) == ("> 700", "> 600")


def test_levels_and_cells_read_as_people_say_them() -> None:
    assert [level_title(level) for level in ("c0001", "c0032", "q0000.5")] == [
        "1 client",
        "32 clients",
        "0.5 requests/s",
    ]
    every = ["c0001", "c0008", "c0032"]
    assert levels_phrase(every[:2], every) == "with 1 and 8 clients"
    assert levels_phrase(every, every) == "at every level"
    assert levels_phrase(["q0010", "q0020"]) == "at 10 and 20 requests/s"
    cells = [("a", "c0001"), ("b", "c0001"), ("c", "c0008"), ("c", "c0032")]
    assert cells_phrase(cells, every) == "a, b with 1 client; c with 8 and 32 clients"


def test_a_cell_is_missing_a_value_if_one_repeat_is() -> None:
    assert Cell("a", "c0001", ()).value("p50") is None


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.1", 0.1), ("2.5%", 0.025)])
def test_a_margin_is_a_percentage_or_a_share(text: str, share: float) -> None:
    assert parse_margin(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["5 percent", "0", "-1%", "100%", ""])
def test_a_margin_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(AnalysisError, match="expected a share such as 5% or"):
        parse_margin(text)


def test_the_command_writes_a_file_and_takes_the_newest_run(path: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.md"
    done = run("compare", str(path.parent.parent), "--format", "markdown", "--output", str(output))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert output.read_text() == markdown.text(compare(load(path)))


def test_the_command_prints_to_a_pipe_without_colours(path: Path) -> None:
    done = run("compare", str(path), "--percentile", "50", "--margin", "10%")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "P50 ms" in done.stdout
    assert "P95" not in done.stdout
    assert done.stdout.rstrip().splitlines()[-1] == f"record: {path}"


def test_the_default_record_is_the_newest_of_the_results() -> None:
    """The same folder that `windtunnel run` writes to, wherever it is called."""
    default = signature(commands.compare_command).parameters["record"].default
    assert default == RESULTS == ROOT / "benchmarks/results"


def test_paths_below_the_working_directory_are_short(path: Path) -> None:
    done = run("compare", str(path), "--percentile", "50", cwd=path.parent)
    assert done.stdout.rstrip().splitlines()[-1] == f"record: {path.name}"


def run(*arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name("windtunnel")
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm-256color"}
    return subprocess.run(
        [str(program), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_levels_of_both_loops_are_told_apart() -> None:
    assert levels_phrase(["c0001", "c0008", "q0010"]) == (
        "with 1 and 8 clients and at 10 requests/s"
    )


def test_an_imported_record_is_not_told_to_be_resumed(tmp_path: Path) -> None:
    plan = replace(PLAN, run={"imported": {"tool": "k6"}})
    plan = with_cell(plan, "optimized", "c0008", repeats=0)
    found = compare(load(write(tmp_path, plan)))
    assert "--resume" not in render(found, Format.table)
    assert any("import as many files" in line for line in undecided(found))


def test_an_objective_of_the_record_that_cannot_be_read_says_where_it_stands(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, PLAN)
    run = json.loads((path / "run.json").read_text())
    run["campaign"]["slo"] = "fast"
    (path / "run.json").write_text(json.dumps(run))
    with pytest.raises(AnalysisError, match=r"run\.json: SLO 'fast'.*another with --slo"):
        compare(load(path))


def test_a_run_of_which_every_variant_was_left_out_says_so(tmp_path: Path) -> None:
    names = ("baseline", "baseline.aa", "seed", "optimized")
    plan = replace(PLAN, run={"left_out": dict.fromkeys(names, "no GPU")})
    with pytest.raises(AnalysisError, match="no variant was run"):
        compare(load(write(tmp_path, plan)))
