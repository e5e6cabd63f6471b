"""The rules: promtool accepts and tests them, and they ask for nothing that nobody says."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import promql_parser as promql
import pytest
from ruamel.yaml import YAML

from benchmarks.triton.served import Served
from benchmarks.triton.server import Server
from prometheus import build
from service import live, telemetry
from service.limits import STATUS
from service.routes import ROUTES
from service.settings import LOCAL_TRACKS, REMOTE_TRACKS, SettingsError
from tests.conftest import NO_TLS, ROOT, leave_out

FOLDER = ROOT / "prometheus"
RULES = sorted((FOLDER / "rules").glob("*.yml"))
TESTS = sorted((FOLDER / "tests").glob("*.yml"))
SECTIONS = set(re.findall(r"^### (\w+)$", (FOLDER / "README.md").read_text(), re.M))

# Who says what beside the service, and with which labels.
SCRAPED = {"job", "instance"}
MODEL = {"model", "version", "reason"}
TRITON = {
    "nv_inference_request_success": MODEL,
    "nv_inference_request_failure": MODEL,
    "nv_inference_count": MODEL,
    "nv_inference_exec_count": MODEL,
    "nv_inference_request_duration_us": MODEL,
    "nv_inference_queue_duration_us": MODEL,
    "nv_inference_pending_request_count": MODEL,
}
OTHERS: dict[str, set[str]] = TRITON | {
    "up": set(),
    "prometheus_rule_evaluation_failures_total": {"rule_group"},
    "loadtest_requests_total": {"outcome"},
    "loadtest_response_seconds": {"le"},
    "loadtest_send_lag_seconds": {"le"},
    "loadtest_run_info": {"campaign", "run", "variant", "cell", "clients", "rate", "repeat"},
}
VALUES = {
    "route": ROUTES,
    "status": telemetry.STATUS_CLASSES,
    "track": (*LOCAL_TRACKS, *REMOTE_TRACKS),
    "code": tuple(STATUS),
    "model": tuple(Served().loaded),
    "outcome": (*telemetry.SPAN_OUTCOMES, "ok", "http_error", "transport_error", "timeout"),
    "job": ("yolo-api", "triton", "loadtests", "node", "gpu", "prometheus"),
    "slo": ("availability", "latency"),
    "preset": ("baseline", "seed", "optimized"),
    "le": tuple(str(bound) for bound in telemetry.SECONDS if not bound.is_integer()),
}


def load(file: Path) -> Any:
    return YAML(typ="safe").load(file.read_text())


def rules() -> list[dict[str, Any]]:
    groups = [group for file in RULES for group in load(file)["groups"]]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]
RECORDED = {rule["record"] for rule in rules() if "record" in rule}


@pytest.fixture(scope="module")
def promtool() -> str:
    try:
        found = shutil.which("promtool", path=Path(live.find()).parent)
    except SettingsError:
        found = None
    if found is None:
        leave_out("Prometheus is not here: run `make setup-prometheus`")
    return found


def run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_can_read_its_configuration(promtool: str) -> None:
    said = run(promtool, "check", "config", FOLDER / "prometheus.yml")
    assert f"{len(RULES)} rule files found" in said


def test_the_rules_have_no_duplicates(promtool: str) -> None:
    said = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *RULES)
    assert sum(map(int, re.findall(r"SUCCESS: (\d+) rules", said))) == len(rules())


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_the_rules_compute_and_alert_as_their_tests_say(promtool: str, file: Path) -> None:
    assert "SUCCESS" in run(promtool, "test", "rules", file)


def test_the_generated_rules_are_those_of_the_objectives() -> None:
    run(sys.executable, "-m", "prometheus.build", "--check")
    assert build.text(load(build.SOURCE)) == build.RULES.read_text()


def test_rules_that_are_not_current_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "slo.yml"
    old.write_text(build.RULES.read_text().replace("14.4", "15"))
    monkeypatch.setattr(build, "RULES", old)
    monkeypatch.setattr(sys, "argv", ["build", "--check"])
    assert build.main() == 1
    assert capsys.readouterr().err.endswith("slo.yml says; run `python -m prometheus.build`\n")


@pytest.mark.parametrize("bound", [0.3, 1.0])
def test_an_objective_that_no_bucket_can_show_is_refused(bound: float) -> None:
    with pytest.raises(SystemExit, match=f"latency: within_s: found {bound:g}; expected a bound"):
        build.threshold({"slo": "latency", "within_s": bound})


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_it_is_and_what_to_do_first(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("page", "ticket", "info")
    assert {"summary", "description", "runbook"} == set(alert["annotations"])
    assert "{{ $value" in alert["annotations"]["description"]
    where = f", then prometheus/README.md#{alert['alert'].lower()}"
    assert alert["annotations"]["runbook"].endswith(where)
    assert alert["alert"] in SECTIONS


def test_every_section_of_the_runbook_is_about_an_alert() -> None:
    assert {alert["alert"] for alert in ALERTS} == SECTIONS


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    fires, silent = set(), set()
    for case in [case for file in TESTS for test in load(file)["tests"] for case in cases(test)]:
        name, expected = case["alertname"], case["exp_alerts"]
        fires |= {(name, one["exp_labels"].get("window")) for one in expected}
        silent |= set() if expected else {name}
    wanted = {(alert["alert"], alert["labels"].get("window")) for alert in ALERTS}
    assert fires == wanted
    assert silent == {name for name, _ in wanted}


def cases(test: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = test.get("alert_rule_test", [])
    return found


def selectors(node: Any) -> Iterator[Any]:
    """Every selector in an expression."""
    if isinstance(node, promql.VectorSelector):
        yield node
    for part in ("lhs", "rhs", "expr", "vector_selector"):
        if (inside := getattr(node, part, None)) is not None:
            yield from selectors(inside)
    for argument in getattr(node, "args", []):
        yield from selectors(argument)


def labels(name: str) -> set[str]:
    """Of a metric; a histogram's series have endings, and its buckets one label more."""
    for metric in telemetry.METRICS:
        if name == metric.name:
            return set(metric.labels) | SCRAPED
        if metric.kind == "histogram" and name.rpartition("_")[0] == metric.name:
            assert name.endswith(("_bucket", "_count", "_sum")), name
            return set(metric.labels) | SCRAPED | ({"le"} if name.endswith("_bucket") else set())
    found = OTHERS.get(name) or OTHERS.get(name.removesuffix("_bucket"))
    assert found is not None or name == "up", f"{name}: nobody says that"
    return (found or set()) | SCRAPED


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("record") or rule.get("alert"))
def test_a_rule_asks_for_what_is_said(rule: dict[str, Any]) -> None:
    tree = promql.parse(rule["expr"])
    known = {"slo", "job", "track", "stage", "model", "status"}
    for selector in selectors(tree):
        if selector.name not in RECORDED:
            known |= labels(selector.name)
        for matcher in selector.matchers.matchers:
            allowed = known if selector.name in RECORDED else labels(selector.name)
            assert matcher.name in allowed, f"{selector.name}: {matcher.name}"
            check_value(matcher)
    for grouping in re.findall(r"(?:\bby|\bon|group_left) \(([^()]*)\)", rule["expr"]):
        assert set(filter(None, grouping.split(", "))) <= known, grouping


def check_value(matcher: Any) -> None:
    """Each alternative of a matcher is the value of something."""
    values = VALUES.get(matcher.name, ())
    assert values, f"{matcher.name}: its values are not known here"
    for one in matcher.value.split("|"):
        assert any(re.fullmatch(one, value) for value in values), f"{matcher.name}: {one}"


def test_predictions_are_the_routes_that_predict() -> None:
    pattern = build.PREDICTIONS.split('"')[1]
    chosen = {route for route in ROUTES if re.fullmatch(pattern, route)}
    assert chosen == {route for route in ROUTES if "predict" in route}
    for file in RULES:
        for written in re.findall(r"route=[^,}]*", file.read_text()):
            assert written == build.PREDICTIONS, f"{file}: {written}"


def test_triton_says_what_the_rules_ask_it_for(triton: Server) -> None:
    said = httpx.get(f"http://{triton.metrics}/metrics", verify=NO_TLS).text
    for name in TRITON:
        assert re.search(rf'^{name}{{[^}}]*model="nano', said, re.M), name


def test_the_jobs_are_those_that_the_rules_name() -> None:
    jobs = [job["job_name"] for job in load(FOLDER / "prometheus.yml")["scrape_configs"]]
    assert jobs == list(VALUES["job"])
