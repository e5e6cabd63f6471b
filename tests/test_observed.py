"""
Every panel, rule and mark has data, as Prometheus says it under a real load.

A service with workers and one whose Triton is not there, Triton, the node exporter and Prometheus
with the project's jobs and rules run, only with shorter intervals. The load takes tracks A to D in
turn, some of it fails, and the last of it is still running while the questions are asked.
"""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.compute as pc
import pytest
from ruamel.yaml import YAML

from benchmarks.processes import free_port
from benchmarks.triton.server import Server
from grafana import names
from grafana.build import BOARDS
from grafana.panels import GPU
from grafana.variables import NOTHING, everything, filled
from loadtests import samples
from service import health, telemetry
from tests.conftest import NO_TLS, ROOT, Service, launched, leave_out
from tests.dashboards import DASHBOARDS, Json, panels, targets, uses
from tests.otlp import receiving

HOST = "127.0.0.1"
PICTURE = (ROOT / "loadtests/images/cat-451x300.jpg").read_bytes()
JPEG = {"content-type": "image/jpeg"}
# As Grafana fills them in for a Prometheus that scrapes every second.
OF_TIME = {"__rate_interval": "5s", "__interval": "1s", "__range": "10m"}
PATIENCE_S = 60.0

# Paths of the loads, one after another, and how each is driven.
FIRST = ("A c0002", "/pytorch/predict/nano", ("--clients", "2", "--duration", "6s"))
LOADS = (
    ("B r0015", "/predict/nano", ("--rate", "15", "--duration", "4s")),
    ("C c0002", "/predict/nano_end2end", ("--clients", "2", "--duration", "3s")),
    ("D r0010", "/predict/small_gpu_e2e", ("--rate", "10", "--duration", "600s")),
)


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus, and since when it had something to see."""

    client: httpx.Client
    since: float

    def ask(self, path: str, **query: Any) -> Any:
        """What its API says."""
        answer = self.client.get(f"/api/v1/{path}", params=query)
        assert answer.status_code == 200, f"{answer.text}: {query}"
        return answer.json()["data"]

    def at_once(self, expression: str, at: float | None = None) -> list[Json]:
        """The series of an instant query, each with its value."""
        found: list[Json] = self.ask("query", query=expression, time=at or time.time())["result"]
        return found

    def value(self, expression: str, at: float | None = None) -> float:
        """The only value of an instant query."""
        (series,) = self.at_once(expression, at)
        return float(series["value"][1])

    def over_time(self, expression: str) -> list[float]:
        """All points since the beginning."""
        data = self.ask("query_range", query=expression, start=self.since, end=time.time(), step=1)
        return [float(value) for series in data["result"] for _, value in series["values"]]

    def wait_for(self, expression: str) -> None:
        """Until a query has an answer."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.at_once(expression):
            assert time.monotonic() < deadline, f"nothing in {PATIENCE_S:g} s: {expression}"
            time.sleep(0.2)


@dataclass(frozen=True, slots=True)
class Observed:
    """What the tests look at."""

    prometheus: Prometheus
    samples: samples.Samples  # of the first load

    def choices(self, dashboard: Json) -> dict[str, str]:
        """What the variables come to when everything is chosen."""
        found = everything(
            dashboard, OF_TIME, lambda query: self.prometheus.ask("series", **{"match[]": query})
        )
        missing = {name for name, value in found.items() if value == NOTHING}
        assert missing <= {GPU}, f"variables without values: {missing}"
        return found

    def empty(self, dashboard: Json) -> dict[str, list[str]]:
        """
        The panels with nothing to show, and why.

        A query that ends in zero answers whatever it asks for; so each of its metrics has to be
        there as well.
        """
        found: dict[str, list[str]] = {}
        choices = self.choices(dashboard)
        for panel, target in targets(dashboard):
            expression = filled(target["expr"], choices)
            reasons = [
                f"{target['refId']}: no series {use.name}"
                for use in uses(expression)
                if not self.prometheus.ask("series", **{"match[]": series(use.name, use.where)})
            ]
            if not any(isfinite(value) for value in self.points(target, expression)):
                reasons.append(f"{target['refId']}: no finite point of {expression}")
            if reasons:
                found.setdefault(panel["title"], []).extend(reasons)
        return found

    def points(self, target: Json, expression: str) -> list[float]:
        """What a panel draws."""
        if target.get("instant"):
            # Where a busy machine was late for a scrape, series are away until the next one.
            now = time.time()
            for moment in (now, now - 2, now - 4):
                if found := self.prometheus.at_once(expression, moment):
                    return [float(one["value"][1]) for one in found]
            return []
        return self.prometheus.over_time(expression)


def series(name: str, where: dict[str, str]) -> str:
    """Any series of this name in this job: what else is asked of it may be rare."""
    limits = ",".join(
        f'{label}=~"{value}"' for label, value in where.items() if label in ("job", "instance")
    )
    return f"{name}{{{limits}}}"


def program(name: str) -> str:
    path = ROOT / ".tools/prometheus/usr/bin" / name
    found = str(path) if path.exists() else shutil.which(name)
    if found is None:
        leave_out(f"{name} is not here: run `make setup-prometheus`")
    return found


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A program for as long as the block runs."""
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def configured(folder: Path, port: int, jobs: dict[str, list[str]]) -> Path:
    """The project's configuration and rules with these targets, and a second for every interval."""
    yaml = YAML(typ="safe")
    config = yaml.load(ROOT / "prometheus/prometheus.yml")
    assert {job["job_name"] for job in config["scrape_configs"]} == jobs.keys() | {"prometheus"}
    for job in config["scrape_configs"]:
        found = jobs.get(job["job_name"], [f"{HOST}:{port}"])
        job["static_configs"] = [{"targets": found}]
    config["global"] = {
        "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s",
    }  # fmt: skip
    for number, file in enumerate(sorted((ROOT / "prometheus").glob(config["rule_files"][0]))):
        rules = yaml.load(file)
        for group in rules["groups"]:
            group.pop("interval", None)
        (folder / f"{number}.rules.yml").write_text(json.dumps(rules))
    config["rule_files"] = [f"{folder}/*.rules.yml"]
    path = folder / "prometheus.yml"
    path.write_text(json.dumps(config))  # which is YAML too
    return path


@contextmanager
def prometheus(folder: Path, jobs: dict[str, list[str]]) -> Iterator[Prometheus]:
    """A Prometheus that watches these."""
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={configured(folder, port, jobs)}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{port}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]
    log = folder / "prometheus.log"
    since = time.time()
    with (
        running(command, log) as process,
        httpx.Client(base_url=f"http://{HOST}:{port}", timeout=30, verify=NO_TLS) as client,
    ):
        deadline = time.monotonic() + PATIENCE_S
        while not ready(client):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield Prometheus(client, since)


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def failing(service: Service, without_triton: Service) -> Iterator[None]:
    """Requests that fail, at a steady trickle: the callers' fault, and the service's."""
    over = threading.Event()

    def ask() -> None:
        with service.client() as good, without_triton.client() as bad:
            while not over.wait(0.1):
                good.post("/predict/huge", content=PICTURE, headers=JPEG)
                good.post("/predict/nano", content=PICTURE[:999], headers=JPEG)
                good.post("/predict/nano", content=b"x" * 1_100_000, headers=JPEG)
                bad.post("/predict/nano_end2end", content=PICTURE, headers=JPEG)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def pictures(folder: Path) -> Path:
    """Four good ones, and one that is cut off: a fifth of the requests fails."""
    folder.mkdir()
    for file in sorted((ROOT / "loadtests/images").glob("*.jpg"))[:4]:
        (folder / file.name).symlink_to(file)
    (folder / "cut-off.jpg").write_bytes(PICTURE[:999])
    return folder


def load(
    bench: Path, service: Service, metrics: int, cell: str, path: str, flags: Sequence[str]
) -> list[str]:
    """The command of a load, as a campaign starts it."""
    labels = {"campaign": "observed", "run": "1", "variant": cell[0], "cell": cell, "repeat": "1"}
    return [
        str(bench), "--url", service.url + path, "--warmup", "1s", *flags,
        "--trace-ratio", "0.2", "--calibrate", "0", "--quiet",
        "--metrics-addr", f"{HOST}:{metrics}",
        *(part for name, value in labels.items() for part in ("--label", f"{name}={value}")),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def observed(
    triton: Server, triton_bench: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Observed]:
    folder = tmp_path_factory.mktemp("observed")
    node, generator = free_port(), free_port()
    exporter = [program("prometheus-node-exporter"), f"--web.listen-address={HOST}:{node}"]
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        traced = {"TRACING": "grpc", "OTLP_URL": receiver.grpc}
        service, process = launched(
            folder / "service", PRESET="optimized", WORKERS="2", TRACK="B",
            TRITON_URL=triton.grpc, MAX_BYTES="1000000", **traced,
        )  # fmt: skip
        stack.enter_context(ended(process))
        alone, process = launched(folder / "alone", PRESET="optimized", TRACK="A", **traced)
        stack.enter_context(ended(process))
        stack.enter_context(running(exporter, folder / "node"))
        jobs = {
            telemetry.SERVICE: [address(service), address(alone)],
            "triton": [triton.metrics],
            "loadtests": [f"{HOST}:{generator}"],
            "node": [f"{HOST}:{node}"],
            "gpu": [f"{HOST}:{free_port()}"],
        }
        found = stack.enter_context(prometheus(folder, jobs))
        for job in jobs.keys() - {"loadtests", "gpu"}:
            found.wait_for(f'up{{job="{job}"}} == 1')
        stack.enter_context(failing(service, alone))
        kept = folder / "first.parquet"
        cell, path, flags = FIRST
        quiet = (*flags, "--limit", "3", "--samples", str(kept))
        mixed = ("--images", str(pictures(folder / "pictures")))
        *first, last = [
            load(triton_bench, service, generator, cell, path, quiet),
            *(load(triton_bench, service, generator, c, p, (*f, *mixed)) for c, p, f in LOADS),
        ]
        for command in first:
            subprocess.run(command, check=True, timeout=60)
        stack.enter_context(running(last, folder / "load"))
        found.wait_for(
            f"sum(rate({names.LOAD_REQUESTS}[5s]) * on () group_left () {names.LOAD_RUN})"
        )
        found.wait_for(f"count_over_time({names.LOAD_RUN}[6s]) >= 5 and {names.LOAD_RUN} == 1")
        yield Observed(found, samples.read(kept))


def address(service: Service) -> str:
    return service.url.removeprefix("http://").rstrip("/")


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.file)
def test_every_panel_has_data_except_a_gpus_without_one(observed: Observed, board: Any) -> None:
    needy = {panel.title for panel in board.panels if panel.needs == GPU}
    found = observed.empty(DASHBOARDS[board.file])
    assert {title: why for title, why in found.items() if title not in needy} == {}
    if health.gpu() is None:
        assert found.keys() == needy


def test_a_panel_with_a_wrong_name_is_found(observed: Observed) -> None:
    """Also where the query ends in zero, and has a finite point whatever it is asked."""
    dashboard = deepcopy(DASHBOARDS["slo"])
    wrong = deepcopy(next(panels(dashboard)))
    wrong["title"] = "Broken"
    window = '{job=~"$job"}[$__rate_interval]'
    wrong["targets"] = [
        wrong["targets"][0] | {"expr": f"sum(rate(api_request_total{window}))"},
        wrong["targets"][0] | {"expr": f"sum(rate(api_errors_total{window})) or vector(0)"},
    ]
    dashboard["panels"].append(wrong)
    found = observed.empty(dashboard)
    assert found.keys() == {"Broken"}
    no_first, no_points, no_second = found["Broken"]
    assert no_first == "A: no series api_request_total"
    assert no_points.startswith("A: no finite point of sum(rate(api_request_total{")
    assert no_second == "A: no series api_errors_total"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.file)
def test_exemplars_arrive_wherever_they_are_asked_for(observed: Observed, board: Any) -> None:
    dashboard = DASHBOARDS[board.file]
    choices = observed.choices(dashboard)
    for panel, target in targets(dashboard):
        if not target["exemplar"]:
            continue
        found = observed.prometheus.ask(
            "query_exemplars",
            query=filled(target["expr"], choices),
            start=observed.prometheus.since,
            end=time.time(),
        )
        traces = [e["labels"]["trace_id"] for one in found for e in one["exemplars"]]
        assert traces, panel["title"]
        assert all(len(trace) == 32 for trace in traces), panel["title"]


def test_every_cell_is_marked_and_has_a_row(observed: Observed) -> None:
    cells = {cell for cell, _, _ in (FIRST, *LOADS)}
    for dashboard in DASHBOARDS.values():
        (annotation,) = dashboard["annotations"]["list"]
        found = observed.prometheus.ask(
            "query_range",
            query=annotation["expr"],
            start=observed.prometheus.since,
            end=time.time(),
            step=1,
        )["result"]
        assert {one["metric"]["cell"] for one in found} == cells
        assert {one["metric"]["campaign"] for one in found} == {"observed"}
    dashboard = DASHBOARDS["campaign"]
    choices = observed.choices(dashboard)
    (table,) = (p for p in panels(dashboard) if p["title"] == "Cells of the time range")
    for target in table["targets"]:
        rows = observed.prometheus.at_once(filled(target["expr"], choices))
        assert {row["metric"]["cell"] for row in rows} == cells, target["refId"]


def test_every_rule_is_well_and_records_something(observed: Observed) -> None:
    rules = [
        rule for group in observed.prometheus.ask("rules")["groups"] for rule in group["rules"]
    ]
    assert {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")} == {}
    assert {rule["health"] for rule in rules} == {"ok"}
    recorded = {rule["name"] for rule in rules if rule["type"] == "recording"}
    assert set(names.RULES) <= recorded
    assert [name for name in sorted(recorded) if not observed.prometheus.over_time(name)] == []


def test_the_errors_are_seen_and_an_alert_fires(observed: Observed) -> None:
    """One of the two services has no Triton: far more fails than one in a thousand."""
    dashboard = DASHBOARDS["service"]
    choices = observed.choices(dashboard)
    (panel,) = (p for p in panels(dashboard) if p["title"] == "Failed share over time")
    shares = observed.prometheus.over_time(filled(panel["targets"][0]["expr"], choices))
    assert 0.001 < shares[-1] < 1
    codes = observed.prometheus.at_once(f"sum by (code) ({telemetry.REFUSALS.name}) > 0")
    assert {one["metric"]["code"] for one in codes} >= {
        "model_unknown", "image_truncated", "body_too_large", "triton_unavailable",
    }  # fmt: skip
    outcomes = observed.prometheus.over_time(f'{names.LOAD_REQUESTS}{{outcome="http_error"}}')
    assert max(outcomes) > 0
    assert max(observed.prometheus.over_time(f"sum({names.TRITON_FAILURE})")) > 0
    observed.prometheus.wait_for(
        f'{names.ALERTS}{{alertname="ErrorBudgetBurnsFast",slo="availability",alertstate="firing"}}'
    )


def agree(estimate: float, exact: float) -> bool:
    """Whether they are no further apart than the wider of the buckets that they fall in."""
    return abs(estimate - exact) <= max(width(estimate), width(exact))


def width(seconds: float) -> float:
    """Of the bucket that a time falls in."""
    at = int(np.searchsorted(telemetry.SECONDS, seconds))
    return telemetry.SECONDS[at] - (telemetry.SECONDS[at - 1] if at else 0)


def nearest_rank(values: Any, q: float) -> float:
    return float(np.sort(values)[int(np.ceil(q * len(values) - 1e-9)) - 1])


@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_percentiles_are_those_of_the_samples_within_a_bucket(observed: Observed, q: float) -> None:
    """The first load is the only one of its model on its track, and the only one until it ends."""
    told, table = observed.prometheus, observed.samples.table
    due, sent, done = (table[f"{n}_ns"].to_numpy() / 1e9 for n in ("due", "sent", "done"))
    began = observed.samples.window.start_unix_ns / 1e9
    assert pc.all(pc.equal(table["status"], 200)).as_py()

    # What the generator's last scrape knew: it counts an answer a moment after it has come.
    of_first = f'{{job="loadtests",cell="{FIRST[0]}"}}'
    scraped = told.value(f"max_over_time(timestamp({names.LOAD_RUN}{of_first})[10m:1s])")
    count = int(told.value(f"{names.LOAD_RESPONSE}_count", scraped))
    early, late = (np.sum(began + done <= scraped + shift) for shift in (-3, 0.5))
    assert 20 < early <= count <= late
    known = np.argsort(done)[:count]
    for histogram, since in ((names.LOAD_RESPONSE, due), (names.LOAD_SERVICE, sent)):
        estimate = told.value(f"histogram_quantile({q}, {histogram}_bucket)", scraped)
        exact = nearest_rank((done - since)[known], q)
        assert agree(estimate, exact), f"{histogram}: {estimate}, samples: {exact}"

    where = '{model="nano",track="A",status="2xx",route="/pytorch/predict/{model}"}'
    assert told.value(f"sum({telemetry.DURATION.name}_count{where})") == len(done)
    buckets = f"sum by (le) ({telemetry.DURATION.name}_bucket{where})"
    estimate = told.value(f"histogram_quantile({q}, {buckets})")
    # Of each request: its stages are within the service's time, and that is within the client's.
    stages = sum(table[f"stage_{name}_us"].to_numpy() / 1e6 for name in telemetry.STAGES)
    least, most = nearest_rank(stages, q), nearest_rank(done - sent, q)
    assert least - width(least) <= estimate <= most + width(most), f"{least} to {most}"


def test_the_names_of_others_are_what_they_say(observed: Observed) -> None:
    there = set(observed.prometheus.ask("label/__name__/values"))
    for name in (*names.TRITON, *names.NODE, *names.PROMETHEUS, *names.RULES):
        assert name in there
    for name in names.LOADTESTS:
        assert there & {name, f"{name}_bucket"}, name
