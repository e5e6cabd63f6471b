"""/metrics: what is counted is what was answered, over several workers, whichever of them die."""

import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text_format

from service import telemetry
from service.metrics import LAYOUT
from service.routes import PLACES, ROUTES
from service.tally import BORN, CPU_SEEN_S, PID, Tally, cumulative
from service.telemetry import SECONDS
from tests.conftest import NO_TLS, ROOT, Service, workers_of

Serving = Callable[..., Service]
Launch = Callable[..., tuple[Service, "subprocess.Popen[bytes]"]]

CAT = (ROOT / "loadtests/images/cat-451x300.jpg").read_bytes()
JPEG = {"content-type": "image/jpeg"}
OPEN = "application/openmetrics-text; version=1.0.0"


def samples(service: Service) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    with service.client() as client:
        text = client.get("/metrics").raise_for_status().text
    return {
        (s.name, frozenset(s.labels.items())): s.value for f in text_format(text) for s in f.samples
    }


def total(found: dict[Any, float], name: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(value for (n, has), value in found.items() if n == name and wanted <= has)


@pytest.mark.parametrize("preset", ["baseline", "optimized"])
def test_every_request_is_counted_under_what_it_was(serving: Serving, preset: str) -> None:
    service = serving(PRESET=preset, TRACK="A", MAX_BYTES="200000")
    before = samples(service)
    with service.client() as client:
        answers = [client.post("/predict/nano", content=CAT, headers=JPEG) for _ in range(3)]
        answers.append(client.post("/predict/small_end2end", content=CAT, headers=JPEG))
        answers.append(client.post("/pytorch/predict/nano", content=CAT[:99], headers=JPEG))
        answers.append(client.post("/predict/huge", content=CAT, headers=JPEG))
        answers.append(client.post("/predict/nano", content=b"x" * 300000, headers=JPEG))
        answers.append(client.get(f"/{random.getrandbits(64)}"))
        boxes = sum(len(answer.json()["detections"]) for answer in answers[:3])
    after = samples(service)

    def more(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    requests = "api_requests_total"
    predict = {"route": "/predict/{model}"}
    assert more(requests, model="nano", track="A", status="2xx", **predict) == 3
    assert more(requests, model="small", track="none", status="5xx", **predict) == 1
    assert more(requests, route="/pytorch/predict/{model}", status="4xx") == 1
    assert more(requests, route="other", status="4xx") == 2
    assert more(requests, model="nano", track="none", status="4xx", **predict) == 1
    assert more("api_request_duration_seconds_count") == more(requests)
    for stage in telemetry.STAGES:
        assert more("api_stage_duration_seconds_count", stage=stage, model="nano", track="A") >= 3
    assert more("api_detections_total", model="nano", track="A") == boxes > 0
    assert more("api_refusals_total", code="body_too_large") == 1
    assert more("api_refusals_total", code="image_truncated") == 1
    assert more("api_refusals_total", code="triton_unavailable") == 1
    assert more("api_admitted_total") == 6
    assert total(after, "api_requests_in_flight") == 0
    answered_bytes = sum(len(answer.content) for answer in answers)
    assert more("api_response_body_bytes_total") >= answered_bytes
    assert more("api_request_body_bytes_total", **predict) >= 3 * len(CAT)
    spent = more("api_request_duration_seconds_sum", model="nano", track="A", **predict)
    timed = [float(a.headers["x-process-time"].removesuffix("ms")) / 1e3 for a in answers[:3]]
    assert spent == pytest.approx(sum(timed), rel=0.2, abs=0.2)


def test_the_format_is_the_one_that_was_asked_for(serving: Serving) -> None:
    service = serving(PRESET="optimized", TRACK="A", MAX_BYTES="200000")
    with service.client() as client:
        plain = client.get("/metrics")
        asked = client.get("/metrics", headers={"accept": OPEN})
    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert asked.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert asked.text.endswith("# EOF\n")
    for nonsense in ("application/openmetrics-text; version=abc", "text/plain; version=x", "?;,="):
        with service.client() as client:
            assert client.get("/metrics", headers={"accept": nonsense}).status_code == 200
    for text, parse in ((plain.text, text_format), (asked.text, open_metrics)):
        families = {family.name: family.type for family in parse(text)}
        for metric in telemetry.METRICS:
            kind = "gauge" if metric.kind == "info" else metric.kind
            assert families[metric.name.removesuffix("_total")] == kind


def test_nothing_that_a_client_makes_up_becomes_a_series(serving: Serving) -> None:
    service = serving(PRESET="optimized", TRACK="A", MAX_BYTES="200000")

    def made_up() -> None:
        with service.client() as client:
            for path in ("/predict/x{}", "/{}", "/predict/{}/batch", "/pytorch/predict/{}"):
                word = f"{random.getrandbits(64):x}"
                client.post(path.format(word), content=b"", headers=JPEG)
                client.request("BREW", path.format(word))
                client.post(f"/predict/nano?track={word}", headers={"x-request-id": word})

    made_up()
    known = set(samples(service))
    made_up()
    assert set(samples(service)) == known
    documented = {metric.name: set(metric.labels) for metric in telemetry.METRICS}
    for name, labels in known:
        base = re.sub("_(bucket|count|sum)$", "", name)
        metric = name if name in documented else base
        assert {label for label, _ in labels} - {"le"} == documented[metric]


def test_every_route_of_the_application_is_a_label() -> None:
    from service import app
    from service.settings import read
    from service.worker import Worker

    worker = Worker(read({"SERVICE_TRITON_URL": "none", "SERVICE_MIDDLEWARE": "decorator"}))
    paths = set(app.create_app(worker).openapi()["paths"])  # type: ignore[attr-defined]
    worker.slots.close()
    assert paths == set(ROUTES) - {telemetry.OTHER}
    assert {place.route for place in PLACES.values()} == set(ROUTES) - {telemetry.OTHER}


class Clients:
    """Four that post as fast as they are answered, each over a connection kept for 20 requests."""

    def __init__(self, url: str) -> None:
        self.url, self.answered, self.lost = url, 0, 0
        self.ended, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(4)]

    def __enter__(self) -> "Clients":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                with httpx.Client(timeout=10, verify=NO_TLS) as session:
                    for _ in range(20):
                        session.post(f"{self.url}/predict/nano", content=b"x", headers=JPEG)
                        with self.lock:
                            self.answered += 1
            except httpx.TransportError:  # of a worker that was killed, or ended its connections
                with self.lock:
                    self.lost += 1


def test_workers_that_are_killed_and_recycled_lose_nothing_and_nothing_falls(
    tmp_path: Path,
    launch: Launch,
) -> None:
    recycling = {"RECYCLE_REQUESTS": "500", "RECYCLE_JITTER": "500"}
    service, process = launch(
        tmp_path / "log", PRESET="optimized", WORKERS="2", TRACK="null", **recycling
    )
    last: dict[Any, float] = {}
    with Clients(service.url) as clients:
        round_, deadline = 0, time.monotonic() + 60
        while (round_ < 24 or clients.answered < 500) and time.monotonic() < deadline:
            time.sleep(0.2)
            round_ += 1
            if round_ in (5, 10, 15):
                os.kill(random.choice(workers_of(process.pid)), signal.SIGKILL)
            try:
                found = samples(service)
            except httpx.TransportError:
                continue
            assert fallen(last, found) == []
            last = found
    final = settled(service, workers=2)
    process.terminate()
    assert process.wait(60) == 0
    posts = total(final, "api_requests_total", route="/predict/{model}", status="2xx")
    assert clients.answered >= 500
    # A request in flight when its worker died may have been counted or not, and so may one whose
    # answer was on its way.
    assert clients.answered <= posts <= clients.answered + clients.lost
    assert total(final, "api_requests_in_flight") == 0
    assert total(final, "api_workers") == 2
    places = {dict(has)["worker"] for name, has in final if name == "process_cpu_seconds_total"}
    assert len(places) <= 4  # they are taken over: two, and more only while two overlap


def settled(service: Service, workers: int) -> dict[Any, float]:
    """
    The samples once so many workers are there.

    One that is recycled resets the connections whose request it has not read yet: ask again.
    """
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            found = samples(service)
            if total(found, "api_workers") >= workers:
                return found
        time.sleep(0.2)
    pytest.fail(f"there were not {workers} workers within 30 s")


def fallen(before: dict[Any, float], after: dict[Any, float]) -> list[Any]:
    """The counters that are lower than they were."""
    counters = ("_total", "_count", "_bucket", "_sum")
    return [
        key
        for key, value in before.items()
        if key[0].endswith(counters) and after.get(key, 0) < value
    ]


def test_switched_off_there_is_nothing(serving: Serving) -> None:
    with serving(METRICS="off", TRACK="null").client() as client:
        answer = client.get("/metrics")
    assert answer.status_code == 404
    assert "SERVICE_METRICS=on" in answer.json()["error"]["message"]


def test_others_may_count_instead_to_compare_with(tmp_path: Path, launch: Launch) -> None:
    service, process = launch(
        tmp_path / "log",
        PRESET="optimized",
        TRACK="null",
        METRICS="instrumentator",
        TRACING="contrib",
        OTLP_URL="127.0.0.1:9",
    )
    with service.client() as client:
        client.post("/predict/nano", content=b"x", headers=JPEG).raise_for_status()
        text = client.get("/metrics").text
    process.kill()
    process.wait()
    assert 'http_requests_total{handler="/predict/{model}",method="POST",status="2xx"} 1.0' in text


DURATIONS = LAYOUT.at[telemetry.DURATION]


@given(st.lists(st.floats(0, 100), max_size=50))
def test_a_histogram_counts_each_value_in_the_first_bound_that_holds_it(found: list[float]) -> None:
    tally, at = Tally(LAYOUT, [], None), next(iter(DURATIONS.values()))
    for value in found:
        tally.observe(at, value)
    numbers = tally.sums(tally.parts())
    _, cells = next(iter(LAYOUT.series(telemetry.DURATION, numbers)), (None, numbers[:25]))
    buckets, summed = cumulative(cells)
    if found:
        assert summed == pytest.approx(sum(found))
        for bound, (_, below) in zip([*SECONDS, float("inf")], buckets, strict=True):
            assert below == sum(x <= bound for x in found)


def test_a_file_of_a_process_that_ended_is_taken_over_with_its_counters(tmp_path: Path) -> None:
    counter, gauge = LAYOUT.at[telemetry.ADMITTED][()], LAYOUT.at[telemetry.IN_FLIGHT][()]
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        mine = Tally(LAYOUT, [telemetry.IN_FLIGHT], tmp_path)
        mine.add(counter, 5)
        mine.set(gauge, 7)
        mine.set(CPU_SEEN_S, 100.0)
        os.write(write, b"x")
        signal.pause()
    try:
        os.read(read, 1)
        other = Tally(LAYOUT, [telemetry.IN_FLIGHT], tmp_path)
        other.add(counter, 2)
        other.set(gauge, 1)
        assert [part.number for part in other.parts()] == [0, 1]
        assert other.sums(other.parts())[[counter, gauge]].tolist() == [7, 8]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    # Its gauge goes with it, its counter stays.
    assert other.sums(other.parts())[[counter, gauge]].tolist() == [7, 1]
    heir = Tally(LAYOUT, [telemetry.IN_FLIGHT], tmp_path)
    assert [part.number for part in heir.parts()] == [0, 1]
    assert heir.cells[PID] == os.getpid()
    assert heir.sums(heir.parts())[[counter, gauge]].tolist() == [7, 1]
    assert heir.parts()[0].cpu_s() > 100


def test_somebody_cleans_the_folder_and_nothing_falls(tmp_path: Path) -> None:
    tally, at = Tally(LAYOUT, [], tmp_path), LAYOUT.at[telemetry.ADMITTED][()]
    tally.add(at, 5)
    for file in tmp_path.iterdir():
        file.unlink()
    tally.add(at, 1)
    assert tally.sums(tally.parts())[at] == 6


def test_a_file_of_another_process_with_the_same_pid_is_nobodys(tmp_path: Path) -> None:
    tally, gauge = (
        Tally(LAYOUT, [telemetry.IN_FLIGHT], tmp_path),
        LAYOUT.at[telemetry.IN_FLIGHT][()],
    )
    tally.set(gauge, 3)
    assert tally.sums(tally.parts())[gauge] == 3
    tally.set(BORN, tally.cells[BORN] - 100)
    assert tally.sums(tally.parts())[gauge] == 0


def test_a_full_disk_is_found_when_the_file_is_made(tmp_path: Path) -> None:
    Tally(LAYOUT, [], tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_blocks * 512 >= LAYOUT.size * 8


def test_the_readme_lists_every_metric_and_every_name() -> None:
    text = (ROOT / "service/README.md").read_text()
    section = text[text.index("## Telemetry") : text.index("## Errors")]
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (.+) \|$", section, re.M))
    assert set(rows) == {metric.name for metric in telemetry.METRICS}
    for metric in telemetry.METRICS:
        kind, labels, help_ = rows[metric.name].split(" | ")
        assert kind == metric.kind
        assert labels == (", ".join(f"`{label}`" for label in metric.labels) or "-")
        assert help_ == metric.help
    for name in (*telemetry.SPAN_ATTRIBUTES, *telemetry.BAGGAGE, *telemetry.LOG_FIELDS):
        assert f"`{name}`" in section, name
