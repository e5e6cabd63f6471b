"""Snapshots of a real Prometheus: what is refused before a run, and what each repeat keeps."""

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks import metrics, queries, record, snapshot
from benchmarks import targets as places
from benchmarks.fields import CampaignError
from benchmarks.processes import RunError, free_port
from benchmarks.queries import Prometheus
from service import telemetry
from tests.conftest import NO_TLS, leave_out
from tests.test_campaign import GOOD, read
from tests.test_run import in_mid_visit, repeats, run, start, until
from tests.tiny import HEAD, ROOT, campaign, occupied_port


def program() -> Path:
    """Prometheus as `make setup-prometheus` leaves it, or the machine's own."""
    ours = ROOT / ".tools/prometheus/usr/bin/prometheus"
    found = str(ours) if ours.exists() else shutil.which("prometheus")
    if not found:
        leave_out("there is no Prometheus here: run `make setup-prometheus`")
    return Path(found)


@dataclass(frozen=True, slots=True)
class Watching:
    """A running Prometheus, and where it looks for a generator."""

    url: str
    generator: str
    targets: Path
    process: subprocess.Popen[bytes]

    def settings(self, **own: str) -> Prometheus:
        return Prometheus(self.url, 0.25, own, str(self.targets))


@contextmanager
def prometheus(folder: Path, interval: str = "1s") -> Iterator[Watching]:
    generator, port = f"127.0.0.1:{free_port()}", free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: {interval}, scrape_timeout: 1s}}\n"
        "scrape_configs:\n"
        f"  - {{job_name: windtunnel, file_sd_configs: [{{files: ['{folder}/targets.json']}}]}}\n"
        f"  - {{job_name: loadtests, static_configs: [{{targets: ['{generator}']}}]}}\n"
        f"  - {{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n"
    )
    data, log = folder / "data", folder / "log"
    command = [str(program()), f"--config.file={config}", f"--storage.tsdb.path={data}",
               f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip
    with log.open("wb") as sink, subprocess.Popen(command, stderr=sink, cwd=folder) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: is_ready(f"{url}/-/ready"))
            until(lambda: len(targets(url)) == 2)  # it looks for them every 5 s
            yield Watching(url, generator, folder / "targets.json", process)
        finally:
            process.kill()


def is_ready(url: str) -> bool:
    try:
        return httpx.get(url, verify=NO_TLS).status_code == 200
    except httpx.TransportError:
        return False


def targets(url: str) -> list[dict[str, Any]]:
    active: list[dict[str, Any]] = httpx.get(f"{url}/api/v1/targets", verify=NO_TLS).json()["data"][
        "activeTargets"
    ]
    return active


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    with prometheus(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def watched(folder: Path, url: str, duration_s: float, **own: str) -> Path:
    """A campaign of two tiny variants that a Prometheus watches."""
    more = f"clients = [2]\nrepeats = 1\nduration_s = {duration_s}\naa = false\n"
    file = campaign(folder, more=more)
    table = f'[prometheus]\nurl = "{url}"\nstep_s = 0.25\n[prometheus.queries]\n'
    with file.open("a") as text:
        text.write(table + "".join(f"{name} = '{query}'\n" for name, query in own.items()))
    return file


TARGET = {
    "labels": {"job": "yolo-api", "instance": "h:1"},
    "scrapeUrl": "http://h:1/metrics",
    "scrapeInterval": "1s",
    "lastScrape": "2126-01-01T00:00:00.123456789Z",
}


@contextmanager
def odd(targets: Any = (TARGET,), result: Any = ()) -> Iterator[Prometheus]:
    """Somebody who answers as a Prometheus does, but for what it says."""

    class Odd(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = {"activeTargets": targets} if "/targets" in self.path else {"result": result}
            body = json.dumps({"status": "success", "data": data}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield Prometheus(url, 1, {"mine": "up", "other": "up"})
        finally:
            server.shutdown()


ODD_TARGETS = {
    "none": None,
    "a text": ["up"],
    "no labels": [TARGET | {"labels": None}],
    "no instance": [TARGET | {"labels": {"job": "yolo-api"}}],
    "no time": [TARGET | {"lastScrape": "yesterday"}],
    "no time zone": [TARGET | {"lastScrape": "2126-01-01T00:00:00"}],
    "no interval": [TARGET | {"scrapeInterval": "often"}],
    "a number": [TARGET | {"scrapeInterval": 15}],
}


@pytest.mark.parametrize("case", ODD_TARGETS)
def test_odd_targets_end_no_run(case: str) -> None:
    with odd(targets=ODD_TARGETS[case]) as settings:
        said = snapshot.await_targets(settings, {"h:1"})
        taken = snapshot.take(settings, 10**18, 10**18 + 10**9)
        with pytest.raises(RunError, match="targets: not what a Prometheus answers"):
            snapshot.check(settings, 10, said_nothing)
    assert said
    assert taken.error
    assert said.startswith("targets: not what a Prometheus answers (")
    assert taken.error == said


ODD_RESULTS: dict[str, tuple[Any, str]] = {
    "none": (None, "not what a Prometheus answers (TypeError"),
    "no values": ([{"metric": {}}], "not what a Prometheus answers (KeyError"),
    "no pair": ([{"metric": {}, "values": [[1]]}], "not what a Prometheus answers (ValueError"),
    "no number": ([{"metric": {}, "values": [[1, "x"]]}], "not what a Prometheus answers (Value"),
    "a native histogram": (
        [{"metric": {}, "histograms": [[1, {"count": "1", "sum": "1"}]]}],
        "answered with native histograms; expected numbers",
    ),
}


@pytest.mark.parametrize("case", ODD_RESULTS)
def test_odd_results_end_no_run(case: str) -> None:
    result, expected = ODD_RESULTS[case]
    with odd(result=result) as settings:
        taken = snapshot.take(settings, 10**18, 10**18 + 10**9)
        with pytest.raises(RunError, match=r"query mine: .*correct the query"):
            snapshot.check(settings, 10, said_nothing)
    for name, error in zip(settings.queries, taken.errors, strict=True):
        assert error.startswith(f"query {name}: {expected}")
    assert taken.rows == []


def said_nothing(_text: str) -> None:
    raise AssertionError(_text)


def test_each_repeat_keeps_what_prometheus_saw_in_its_window(
    watching: Watching, tmp_path: Path
) -> None:
    file = watched(
        tmp_path,
        watching.url,
        4,
        state="loadtest_run_info",
        rate=f"sum(rate(loadtest_requests_total[{queries.RATE_INTERVAL}]))",
        never="0 / vector(0)",
    )
    done = run(tmp_path / "results", "--metrics-addr", watching.generator, file)
    assert f"http://{watching.generator}/metrics" in done.stdout
    found = record.load(tmp_path / "results")
    kept = found.campaign["prometheus"]
    assert kept["url"] == watching.url
    assert set(kept["queries"]) == {*queries.DEFAULTS, "state", "rate", "never"}
    assert len(found.completed()) == 2
    for visit in found.completed():
        facts = found.facts(visit)
        window = facts["generator"]["window"]
        begin = window["start_unix_ns"] + window["measure_start_ns"]
        end = window["start_unix_ns"] + window["measure_end_ns"]
        path = found.metrics(visit)
        assert path
        rows = metrics.of_source(metrics.read(path), "prometheus").to_pylist()
        assert facts["metrics"] is None, "there is no Triton"
        said = facts["prometheus"]
        assert said["error"] is None
        assert (said["points"], said["series"]) == (len(rows), 1 + len(others(rows, "state")))
        assert {"never", "api_in_flight", "triton_pending"} <= set(said["empty"])
        assert all(begin <= row["at_unix_ns"] <= end for row in rows)
        info = [row for row in rows if row["series"] == "state"]
        mine = [
            row for row in info if json.loads(row["labels"])["cell"] == f"{visit.variant} c0002"
        ]
        labels = json.loads(mine[-1]["labels"])
        assert labels["run"] == found.run_id
        assert (labels["campaign"], labels["variant"]) == ("tiny", visit.variant)
        assert (labels["clients"], labels["repeat"]) == ("2", "1")
        assert mine[-1]["value"] == 1
        # The scrape after the window has come: its end is there, were it that one scrape failed.
        assert mine[-1]["at_unix_ns"] > end - 2e9
        rate = [row["value"] for row in rows if row["series"] == "rate"]
        assert max(rate) > facts["generator"]["throughput_rps"] / 3


def test_prometheus_is_told_where_the_services_are(tmp_path: Path) -> None:
    """Our own service, and the default queries of it."""
    results, file = tmp_path / "results", tmp_path / "told.toml"
    with prometheus(tmp_path) as told:
        place = told.settings().targets
        file.write_text(
            f"{HEAD}clients = [2]\nrepeats = 1\nduration_s = 5\naa = false\ntrack = 'null'\n"
            f"[variants.mine]\npreset = 'optimized'\n"
            f"[prometheus]\nurl = '{told.url}'\nstep_s = 0.5\ntargets = '{place}'\n"
            "[prometheus.queries]\n"
            """answered = 'sum by (variant) (api_requests_total{route="/predict/{model}"})'\n"""
        )
        done = run(results, "--metrics-addr", told.generator, file, checkout=ROOT)
        assert json.loads(Path(place).read_text()) == [], "nothing is up any more"
    assert "does not see all" not in done.stdout + done.stderr
    found = record.load(results)
    (visit,) = found.completed()
    path, facts = found.metrics(visit), found.facts(visit)
    assert facts["prometheus"]["error"] is None
    triton = {name for name in queries.DEFAULTS if name.startswith("triton_")}
    assert triton <= set(facts["prometheus"]["empty"]) <= {*triton, "api_stage_mean_s"}
    assert path
    rows = metrics.of_source(metrics.read(path), "prometheus").to_pylist()
    assert {json.loads(row["labels"])["variant"] for row in rows} == {"mine"}
    answered = [row for row in rows if row["series"] == "answered"]
    passed_s = (answered[-1]["at_unix_ns"] - answered[0]["at_unix_ns"]) / 1e9
    assert passed_s >= 4
    # What is scraped may be a second old, and the machine is shared.
    rate = (answered[-1]["value"] - answered[0]["value"]) / passed_s
    assert rate == pytest.approx(facts["generator"]["throughput_rps"], rel=0.5)
    assert max(row["value"] for row in rows if row["series"] == "api_requests_per_s") > rate / 3


def test_a_target_that_is_never_scraped_is_said(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "DISCOVERY_S", 0.3)
    until(scraped(watching))
    ours = watching.url.removeprefix("http://")
    assert snapshot.await_targets(watching.settings(), {ours}) is None
    said = snapshot.await_targets(watching.settings(), {ours, "127.0.0.1:1"})
    assert said
    assert said.startswith("127.0.0.1:1: not scraped in 0.3 s; does it read")


# Nobody makes files among what the kernel says of a process, whoever he is.
@pytest.mark.parametrize(
    ("folder", "expected"), [("no", "no folder {}"), ("/proc/self", "no file can be made in {}")]
)
def test_targets_that_cannot_be_written_are_refused(
    watching: Watching, tmp_path: Path, folder: str, expected: str
) -> None:
    file, place = campaign(tmp_path), tmp_path / folder
    with file.open("a") as text:
        text.write(f"[prometheus]\nurl = '{watching.url}'\ntargets = '{place}/t.json'\n")
    done = run(tmp_path / "results", "--metrics-addr", watching.generator, file, expect=2)
    assert f"tiny: [prometheus] targets: {expected.format(place)}; expected" in done.stderr


def test_targets_that_can_no_longer_be_written_are_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no: cannot be written .*; change its permissions, or tar"):
        places.write(tmp_path / "no/t.json", [])


def others(rows: list[dict[str, Any]], name: str) -> set[str]:
    """The label sets of a query's series."""
    return {row["labels"] for row in rows if row["series"] == name}


def test_a_prometheus_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    file = watched(tmp_path, f"http://127.0.0.1:{free_port()}", 0.3)
    done = run(tmp_path / "results", file, expect=2)
    assert "[prometheus]: GET http://127.0.0.1:" in done.stderr
    assert "no answer" in done.stderr
    assert "delete the table" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_query_that_is_none_is_refused_with_prometheus_own_words(watching: Watching) -> None:
    with pytest.raises(
        RunError, match=r"query odd: answered 400: .*parse error.*correct the query"
    ):
        snapshot.check(watching.settings(fine="up", odd="rate("), 10, said_nothing)
    with pytest.raises(RunError, match=r"not what a Prometheus answers|answered 404"):
        snapshot.check(Prometheus(f"{watching.url}/graph"), 10, said_nothing)


def test_the_default_queries_can_be_answered(watching: Watching) -> None:
    snapshot.check(Prometheus(watching.url), 10, said_nothing)


def test_the_default_queries_ask_for_metrics_that_exist() -> None:
    known = {metric.name for metric in telemetry.METRICS}
    known |= {
        f"{metric.name}_{part}"
        for metric in telemetry.METRICS
        if metric.kind == "histogram"
        for part in ("bucket", "sum", "count")
    }
    asked = set(re.findall(r"\b(?:api|process)_\w+", " ".join(queries.DEFAULTS.values())))
    assert asked
    assert asked <= known


def test_scraping_too_rarely_is_said(watching: Watching) -> None:
    said: list[str] = []
    snapshot.check(watching.settings(up="up"), 0.5, said.append)
    assert said == [
        "NOTE: Prometheus scrapes every 1 s and a repeat is measured for 0.5 s: rates are over"
        " 4 s, and so of more than the repeat; scrape more often, or measure for longer"
    ]


def test_a_prometheus_that_ends_in_mid_run_costs_no_repeat(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with prometheus(tmp_path) as dying:
        file = watched(tmp_path, dying.url, 3)
        runner = start(results, "--metrics-addr", dying.generator, file)
        until(in_mid_visit(results, 1), 60)
        dying.process.kill()
        out, err = runner.communicate(timeout=60)
        assert runner.returncode == 0, out + err
    assert "no whole snapshot of Prometheus: GET http://127.0.0.1:" in out + err
    found = record.load(results)
    assert found.status == "complete"
    first, second = (found.facts(visit)["prometheus"] for visit in found.completed())
    assert first["error"] is None
    assert "no answer" in second["error"]
    assert second["points"] == 0
    assert len(repeats(results)) == 2


def test_a_window_that_prometheus_has_not_scraped_is_said_and_what_there_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LONGEST_WAIT_S", 0.3)
    said: list[str] = []
    with prometheus(tmp_path, "1h") as lazy:
        now_ns = time.time_ns()
        settings = lazy.settings(up="up", one="vector(1)")
        snapshot.check(settings, 10**5, said.append)
        taken = snapshot.take(settings, now_ns - 10**9, now_ns)
    assert said == [
        "NOTE: Prometheus scrapes every 3600 s and a repeat waits for it for 0.3 s at most: its"
        " snapshot may lack the end; scrape more often"
    ]
    assert taken.error
    assert "not scraped for 0.3 s after the measured time" in taken.error
    assert taken.waited_s >= 0.3
    assert {row.series for row in taken.rows} == {"one"}
    assert taken.empty == ["up"]


def test_a_long_window_has_fewer_points_and_not_an_error(watching: Watching) -> None:
    until(scraped(watching))
    end_ns = time.time_ns()
    taken = snapshot.take(watching.settings(one="vector(1)"), end_ns - 86400 * 10**9, end_ns)
    assert taken.error is None
    assert 5000 < len(taken.rows) <= snapshot.MOST_POINTS + 1
    assert {row.value for row in taken.rows} == {1.0}
    assert {row.source for row in taken.rows} == {"prometheus"}


def scraped(watching: Watching) -> Callable[[], bool]:
    """Whether it has seen something."""

    def look() -> bool:
        found = httpx.get(
            f"{watching.url}/api/v1/query", params={"query": "up"}, verify=NO_TLS
        ).json()
        return bool(found["data"]["result"])

    return look


def test_somebody_who_listens_and_never_answers_is_no_prometheus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshot, "TIMEOUT_S", 0.2)
    with occupied_port() as port, pytest.raises(RunError, match=r"no answer \(timed out\)"):
        snapshot.check(Prometheus(f"http://127.0.0.1:{port}"), 10, said_nothing)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15s", 15), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600), ("1w", 604800), ("0s", 0)],
)
def test_durations_as_prometheus_writes_them(text: str, seconds: float) -> None:
    assert snapshot.duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "15", "often", "1s ago"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        snapshot.duration_s(text)


def test_a_rate_is_over_four_scrapes() -> None:
    query = f"rate(x[{queries.RATE_INTERVAL}])"
    assert snapshot.expanded(query, 0.25) == "rate(x[1000ms])"
    assert snapshot.expanded(query, 15) == "rate(x[60000ms])"


REFUSED = {
    "no url": ("[prometheus]\nstep_s = 1", "prometheus: no url"),
    "not a table": ('prometheus = "http://h:9090"', "expected a table [prometheus]"),
    "a wrong key": ('[prometheus]\nurl = "http://h:9090"\nquerys = {}', "did you mean 'queries'?"),
    "a wrong step": ('[prometheus]\nurl = "http://h:9090"\nstep_s = 0', "step_s is 0"),
    "no PromQL": (
        '[prometheus]\nurl = "http://h:9090"\nqueries = {x = ""}',
        "queries.x is ''; expected a text",
    ),
    "no address": ('[prometheus]\nurl = "h:9090"', "expected an http:// address"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_table_is_refused(tmp_path: Path, case: str) -> None:
    table, expected = REFUSED[case]
    text = f"{table}{GOOD}" if "=" in table.splitlines()[0] else f"{GOOD}{table}\n"
    with pytest.raises(CampaignError) as error:
        read(tmp_path, text)
    assert expected in str(error.value)


def test_a_query_of_the_campaigns_own_may_take_the_place_of_a_default_one(tmp_path: Path) -> None:
    table = '[prometheus]\nurl = "http://h:9090"\nqueries = {api_in_flight = "up", mine = "down"}\n'
    settings = read(tmp_path, GOOD + table).prometheus
    assert settings
    assert settings.step_s == 1
    assert settings.queries == {**queries.DEFAULTS, "api_in_flight": "up", "mine": "down"}
