"""The gate: exit statuses through the real command, one line a check, policies refused."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from analysis import gate, policy
from analysis.comparison import compare
from analysis.gate import Check
from analysis.latency import AnalysisError
from analysis.policy import Policy, Rule
from benchmarks.record import CELL, load
from tests.records import Shape, campaign, with_cell, write

ROOT = Path(__file__).parent.parent
QUIET = Shape(median_ms=20, requests=400, noise=0.002, spread=0.2)
FASTER = campaign({"baseline": QUIET, "optimized": replace(QUIET, median_ms=12)}, ("c0008",))
NOISY = campaign({"baseline": QUIET, "optimized": replace(QUIET, noise=0.2)}, ("c0008",))


@pytest.fixture(scope="module")
def faster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("faster"), FASTER)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("noisy"), NOISY)


def command(record: Path, rules: str, folder: Path) -> tuple[int, list[str]]:
    """The exit status and the lines of the real command."""
    file = folder / "policy.toml"
    file.write_text(rules)
    program = Path(sys.executable).with_name("windtunnel")
    arguments = [str(program), "gate", str(record), "--policy", str(file)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, (done.stdout + done.stderr).splitlines()


def checks(record: Path, rules: str, folder: Path) -> tuple[int, list[Check]]:
    """The same without a process, which takes seconds to start."""
    file = folder / "policy.toml"
    file.write_text(rules)
    read = policy.read(file)
    comparison = compare(load(record), reference=read.reference, percentiles=gate.percentiles(read))
    found = gate.run(comparison, read)
    return gate.exit_status(found), found


def outcomes(lines: list[str]) -> list[str]:
    names = ("PASS", "FAIL", "CANNOT TELL")
    return [line[:11].strip() for line in lines if line.startswith(names)]


def test_0_when_every_rule_is_kept(faster: Path, tmp_path: Path) -> None:
    rules = """
    [[rule]]
    percentiles = [50, 95]
    max_ratio = 1.05
    max_ms = 40
    max_error_share = 0
    """
    status, lines = command(faster, rules, tmp_path)
    assert status == 0
    assert outcomes(lines) == ["PASS"] * 5
    assert lines[0].startswith(
        "PASS         P50 ratio of optimized with 8 clients at most 1.05: 0."
    )


def test_1_when_a_rule_is_broken_even_if_another_cannot_be_told(
    faster: Path, tmp_path: Path
) -> None:
    rules = """
    reference = "optimized"
    [[rule]]
    variants = ["baseline"]
    max_ratio = 1.05
    [[rule]]
    variants = ["baseline"]
    percentiles = [99.9]
    max_ratio = 1.05
    """
    status, lines = command(faster, rules, tmp_path)
    assert status == 1
    assert outcomes(lines) == ["FAIL", "CANNOT TELL"]


def test_2_when_the_interval_straddles_the_limit(noisy: Path, tmp_path: Path) -> None:
    status, lines = command(noisy, "[[rule]]\nmax_ratio = 1.05\n", tmp_path)
    assert status == 2
    assert outcomes(lines) == ["CANNOT TELL"]


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [
        ("max_ratio = 0.7", "PASS"),
        ("max_ratio = 0.5", "FAIL"),
        ("max_ms = 30", "PASS"),
        ("max_ms = 10", "FAIL"),
        ("min_throughput_ratio = 0.95", "PASS"),
        ("min_throughput_ratio = 1.2", "FAIL"),
        ("max_error_share = 0.0", "PASS"),
        ("percentiles = [99.9]\nmax_ms = 30", "CANNOT TELL"),
        ('variants = ["baseline"]\nmax_ratio = 1.05', "CANNOT TELL"),
        ('variants = ["baseline.aa"]\nmax_ms = 40', "PASS"),
    ],
)
def test_a_limit_is_held_against_the_whole_interval(
    faster: Path, tmp_path: Path, limit: str, outcome: str
) -> None:
    status, found = checks(faster, f"[[rule]]\n{limit}\n", tmp_path)
    assert [check.outcome for check in found] == [outcome]
    assert status == {"PASS": 0, "FAIL": 1, "CANNOT TELL": 2}[outcome]


def test_errors_and_time_outs_break_their_limit(tmp_path: Path) -> None:
    plan = with_cell(FASTER, "optimized", "c0008", timeouts=40)
    path = write(tmp_path, plan)
    rules = "[[rule]]\nmax_error_share = 0.01\nmax_ms = 1000\nmax_ratio = 1.05\n"
    status, (slower, slow, failed) = checks(path, rules, tmp_path)
    assert status == 1
    # The P95 is among the time-outs: how slow is not known, but it is too slow.
    assert {slower.outcome, slow.outcome, failed.outcome} == {"FAIL"}
    assert slow.why.startswith("> 30 s")
    assert failed.why == "120 of 1200 (10%)"


@pytest.mark.parametrize(
    ("block_on", "status"), [("[]", 0), ('["generator_late"]', 2), ('"all"', 2), ('["steal"]', 0)]
)
def test_a_doubt_that_the_policy_names_blocks_the_check(
    tmp_path: Path, block_on: str, status: int
) -> None:
    path = write(tmp_path, with_cell(FASTER, "baseline", "c0008", send_lag_ms=3))
    rules = f"block_on = {block_on}\n[[rule]]\npercentiles = [50]\nmax_ratio = 1.05\n"
    found, (check,) = checks(path, rules, tmp_path)
    assert found == status
    assert ("doubt: the generator sent late" in check.why) is bool(status)


@pytest.mark.parametrize("kind", ["errors", "generator_late"])
def test_a_count_of_failures_fails_whatever_is_doubted(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, with_cell(FASTER, "optimized", "c0008", errors=200, send_lag_ms=3))
    rules = f"block_on = ['{kind}']\n[[rule]]\nmax_error_share = 0.01\nmax_ratio = 1.05\n"
    status, (estimate, count) = checks(path, rules, tmp_path)
    assert status == 1
    assert (estimate.outcome, count.outcome) == ("CANNOT TELL", "FAIL")
    assert count.why == "600 of 1200 (50%)"


@pytest.mark.parametrize(("kind", "outcome"), [("errors", "PASS"), ("missing_repeats", None)])
def test_a_count_within_its_limit_is_blocked_by_other_doubts_only(
    tmp_path: Path, kind: str, outcome: str | None
) -> None:
    path = write(tmp_path, with_cell(FASTER, "optimized", "c0008", errors=20, repeats=2))
    rules = f"block_on = ['{kind}']\n[[rule]]\nmax_error_share = 0.2\n"
    _, (check,) = checks(path, rules, tmp_path)
    assert check.outcome == (outcome or "CANNOT TELL")


@pytest.mark.parametrize("variants", ["", 'variants = ["seed"]\n'])
def test_2_for_a_variant_that_was_left_out(tmp_path: Path, variants: str) -> None:
    """Not judged is not kept: the rule covers it, named or not."""
    path = write(tmp_path, replace(FASTER, run={"left_out": {"seed": "pillow-simd needs AVX2"}}))
    rules = f"[[rule]]\n{variants}max_ratio = 1.05\nmax_ms = 100\nmax_error_share = 0.5\n"
    status, found = checks(path, rules, tmp_path)
    assert status == 2
    lacking = [check for check in found if "seed" in check.what]
    assert [check.outcome for check in lacking] == ["CANNOT TELL"] * 3
    assert lacking[0].why == lacking[1].why == "it was left out of the run"


def test_too_few_requests_are_told_with_their_count(faster: Path, tmp_path: Path) -> None:
    rules = "[[rule]]\npercentiles = [99.9]\nmax_ratio = 1.05\nmax_ms = 30\n"
    _, found = checks(faster, rules, tmp_path)
    reason = "P99.9 needs 3688 requests in each repeat, one has 400"
    assert [check.why for check in found] == [reason, reason]


def test_2_for_a_record_of_other_things(tmp_path: Path) -> None:
    """A traceback would end with 1, which is a regression."""
    path = write(tmp_path, FASTER)
    for file in path.rglob(CELL):
        file.write_text('{"format": 1, "machine": "a text"}')
    file = tmp_path / "policy.toml"
    file.write_text("[[rule]]\nmax_ms = 1\n")
    program = Path(sys.executable).with_name("windtunnel")
    arguments = [str(program), "gate", str(path), "--policy", str(file)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "'generator' holds None; expected a table" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_example_policy_is_read(faster: Path) -> None:
    found = policy.read(ROOT / "benchmarks/policies/example.toml")
    assert found.rule[0].max_ratio == 1.05
    assert "generator_late" in found.block_on


def test_a_policy_becomes_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('reference = "a"\n[[rule]]\nclients = [1, 8]\nmax_ms = 20\n')
    assert policy.read(file) == Policy((Rule(clients=(1, 8), max_ms=20.0),), reference="a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no \[\[rule\]\]"),
        ("[[rule]]\n", "no limit; expected one of max_ratio"),
        (
            "[[rule]]\nmax_ration = 1\n",
            "rule 1: unknown name 'max_ration'.*did you mean 'max_ratio'",
        ),
        ("rules = 1\n", "unknown name 'rules'.*did you mean 'rule'"),
        ("[[rule]]\nmax_ratio = '1.05'\n", "max_ratio is '1.05'; expected a number from 0.001"),
        ("[[rule]]\nmax_ratio = 0\n", "expected a number from 0.001"),
        ("[[rule]]\nmax_ratio = inf\n", "max_ratio is inf; expected a number"),
        ("[[rule]]\nmax_ms = nan\n", "max_ms is nan; expected a number"),
        ("[[rule]]\nmax_ms = true\n", "max_ms is True"),
        ("[[rule]]\nmax_error_share = 5\n", "max_error_share is 5; expected a number from 0 to 1"),
        ("[[rule]]\nmax_ms = 1\nclients = 8\n", "clients is 8; expected a list with"),
        ("[[rule]]\nmax_ms = 1\nclients = [8.5]\n", "clients is 8.5; expected a whole number"),
        ("[[rule]]\nmax_ms = 1\npercentiles = [100]\n", "percentiles is 100; expected a number"),
        ("[[rule]]\nmax_ms = 1\nvariants = []\n", "variants is .*at least one name"),
        ("[[rule]]\nmax_ms = 1\nvariants = [1]\n", "variants is 1; expected a text"),
        ("block_on = ['stale']\n[[rule]]\nmax_ms = 1\n", "'stale'.*did you mean 'steal'"),
        ("block_on = 1\n[[rule]]\nmax_ms = 1\n", "block_on is 1; expected a list"),
        ("[[rule]\n", "not TOML"),
        ("rule = [1]\n", "expected a table"),
        ("reference = 1\n[[rule]]\nmax_ms = 1\n", "reference is 1; expected a text"),
    ],
)
def test_a_policy_with_a_mistake_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(AnalysisError, match=message):
        policy.read(file)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ('[[rule]]\nvariants = ["optimised"]\nmax_ms = 1\n', "did you mean 'optimized'?"),
        ("[[rule]]\nclients = [9]\nmax_ms = 1\n", "unknown level 'c0009'"),
        ('reference = "main"\n[[rule]]\nmax_ms = 1\n', "reference: found 'main'"),
    ],
)
def test_a_policy_that_does_not_fit_the_record_is_refused(
    faster: Path, tmp_path: Path, rules: str, message: str
) -> None:
    with pytest.raises(AnalysisError) as refused:
        checks(faster, rules, tmp_path)
    assert message in str(refused.value)


def test_2_and_one_line_when_the_record_is_not_there(tmp_path: Path) -> None:
    status, lines = command(tmp_path / "none", "[[rule]]\nmax_ms = 1\n", tmp_path)
    assert status == 2
    assert len(lines) == 1
    assert "no such folder" in lines[0]
