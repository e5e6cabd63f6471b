"""Spans: one trace from the generator to Triton, and no harm where nobody takes them."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import psutil
import pyarrow.parquet as pq
import pytest

from benchmarks.triton.served import Served
from benchmarks.triton.server import Ports, Server
from service import telemetry
from service.clock import Clock
from service.timing import asks_for_spans, traceparent
from service.tracing import BATCH_SPANS, QUEUE_SPANS, STOP_S, entries
from tests.conftest import NO_TLS, ROOT, Service, running
from tests.otlp import Receiver, Span, receiving

Serving = Callable[..., Service]
Launch = Callable[..., tuple[Service, "subprocess.Popen[bytes]"]]

IMAGE = ROOT / "loadtests/images/cat-451x300.jpg"
CAT = IMAGE.read_bytes()
JPEG = {"content-type": "image/jpeg"}
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = JPEG | {"traceparent": f"00-{TRACE}-{CALLER}-01"}
UNSAMPLED = JPEG | {"traceparent": f"00-{TRACE}-{CALLER}-00"}
NOBODY = "127.0.0.1:9"  # the port that discards, and where nobody listens


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def servers(spans: list[Span]) -> list[Span]:
    return [span for span in spans if span.kind == "server" and span.service == telemetry.SERVICE]


def counted(service: Service, name: str) -> dict[str, float]:
    """The values of a counter with one label."""
    text = httpx.get(f"{service.url}/metrics", verify=NO_TLS).text
    found = re.findall(rf'^{name}{{\w+="(\w+)"}} (\S+)$', text, re.M)
    return {label: float(value) for label, value in found}


@pytest.fixture(scope="module")
def traced_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Receiver]]:
    with receiving() as receiver:
        options = (
            "--trace-config=mode=opentelemetry",
            f"--trace-config=opentelemetry,url=http://{receiver.http}/v1/traces",
            "--trace-config=opentelemetry,bsp_schedule_delay=100",
            "--trace-config=rate=1",
            "--trace-config=level=TIMESTAMPS",
        )
        log = tmp_path_factory.mktemp("traced") / "log"
        server = Server(Served(("nano",), ("B",)), log, ports=Ports.free(), options=options)
        for triton in running(server):
            yield triton, receiver


def test_one_trace_goes_from_the_generator_through_the_service_to_triton(
    traced_triton: tuple[Server, Receiver], triton_bench: Path, tmp_path: Path, launch: Launch
) -> None:
    triton, receiver = traced_triton
    service, process = launch(
        tmp_path / "log",
        PRESET="optimized",
        TRITON_URL=triton.grpc,
        TRACING="grpc",
        OTLP_URL=receiver.grpc,
    )
    samples = tmp_path / "samples.parquet"
    labels = ["--label", "campaign=c 1", "--label", "run=r", "--label", "cell=v c0001"]
    load = f"--url {service.url}/predict/nano?track=B --requests 16 --warmup 0 --calibrate 0"
    files = ["--image", str(IMAGE), "--samples", str(samples)]
    subprocess.run(
        [triton_bench, *load.split(), "--trace-ratio", "1", *files, *labels],
        check=True,
        capture_output=True,
    )
    ids = set(pq.read_table(samples)["trace_id"].to_pylist())
    # Triton does not see the traceparent of some of the first requests, which it was sent.
    receiver.wait_for(lambda spans: len(inferences(spans, ids)) >= 8)
    process.terminate()
    assert process.wait(30) == 0
    ours = [span for span in receiver.spans if span.service == telemetry.SERVICE]
    assert {span.trace_id for span in servers(ours)} == ids
    for server in servers(ours):
        children = [span for span in ours if span.parent_id == server.span_id]
        assert sorted(child.name for child in children) == sorted(
            ["receive", "queue", "queue", *telemetry.STAGES[2:]]
        )
        call = next(child for child in children if child.kind == "client")
        assert call.name == "infer"
        below = [span for span in receiver.spans if span.parent_id == call.span_id]
        assert [span.name for span in below] in (["InferRequest"], [])
        assert {span.trace_id for span in [*children, *below]} == {server.trace_id}
        assert all(server.start_ns <= s.start_ns <= s.end_ns <= server.end_ns for s in children)
        assert server.name == "POST /predict/{model}"
        assert not server.failed
        assert set(server.attributes) <= {*telemetry.SPAN_ATTRIBUTES, *telemetry.BAGGAGE}
        expected = {telemetry.STATUS: 200, telemetry.SPAN_TRACK: "B", telemetry.SPAN_MODEL: "nano"}
        assert expected.items() <= server.attributes.items()
        for span in [server, *children]:
            marks = {k: v for k, v in span.attributes.items() if k in telemetry.BAGGAGE}
            assert marks == {
                "loadtest.campaign": "c 1",
                "loadtest.run": "r",
                "loadtest.cell": "v c0001",
            }


def any_child_of(parent: str, spans: list[Span]) -> bool:
    return any(span.parent_id == parent for span in spans)


def inferences(spans: list[Span], traces: set[str]) -> list[Span]:
    return [span for span in spans if span.name == "InferRequest" and span.trace_id in traces]


def test_without_spans_of_our_own_the_callers_trace_goes_on_to_triton(
    traced_triton: tuple[Server, Receiver], serving: Serving
) -> None:
    triton, receiver = traced_triton
    for preset in ("baseline", "optimized"):
        service = serving(PRESET=preset, TRITON_URL=triton.grpc, WORKERS="1", TRACING="off")
        caller = f"{int(CALLER, 16) + len(preset):016x}"
        headers = JPEG | {"traceparent": f"00-{TRACE}-{caller}-01"}
        with service.client() as client:
            for _ in range(12):  # of the first, Triton may not see the header
                client.post("/predict/nano?track=B", content=CAT, headers=headers)
            # Who does not ask to be traced does not reach Triton with it.
            client.post("/predict/nano?track=B", content=CAT, headers=UNSAMPLED).raise_for_status()
        receiver.wait_for(partial(any_child_of, caller))
    assert not [span for span in receiver.spans if span.parent_id == CALLER]


@pytest.mark.parametrize("preset", ["baseline", "optimized"])
def test_the_caller_decides_and_chance_only_without_one(
    preset: str, receiver: Receiver, tmp_path: Path, launch: Launch
) -> None:
    service, process = launch(
        tmp_path / "log",
        PRESET=preset,
        TRACING="http",
        OTLP_URL=receiver.http,
        TRACE_RATIO="1",
        TRACK="A",
    )
    with service.client() as client:
        client.post("/predict/nano", content=CAT, headers=UNSAMPLED)
        client.post("/predict/nano", content=CAT, headers=JPEG | {"traceparent": "00-0-0-01"})
        client.post("/predict/nano", content=b"no picture", headers=SAMPLED)
        client.post(
            "/predict/nano/batch",
            files=[("image", ("a.jpg", CAT, "image/jpeg"))] * 2,
            headers={"traceparent": SAMPLED["traceparent"]},
        )
        exposition = client.get(
            "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"}
        ).text
    process.terminate()
    assert process.wait(30) == 0
    alone, refused, batch, *_ = (
        span
        for span in servers(receiver.spans)
        if "/predict" in span.attributes[telemetry.URL_PATH]
    )
    assert alone.parent_id == ""  # what it was given is no traceparent
    assert refused.trace_id == batch.trace_id == TRACE
    assert refused.parent_id == batch.parent_id == CALLER
    assert refused.attributes[telemetry.ERROR] == "image_type_unknown"
    assert not refused.failed  # the client's fault is no failure of the server
    stages = [s.name for s in receiver.spans if s.parent_id == batch.span_id]
    assert stages.count("infer") == stages.count("decode") == 2
    assert f'trace_id="{TRACE}"' in exposition
    assert f'trace_id="{alone.trace_id}"' in exposition


def test_without_a_receiver_requests_are_answered_and_the_service_ends_in_time(
    tmp_path: Path,
    launch: Launch,
) -> None:
    service, process = launch(
        tmp_path / "log", PRESET="optimized", TRACING="grpc", OTLP_URL=NOBODY, TRACK="null"
    )
    rss = psutil.Process(process.pid).memory_info().rss
    with service.client() as client:
        for _ in range(300):
            client.post("/predict/nano", content=CAT, headers=SAMPLED).raise_for_status()
        deadline = time.monotonic() + 60
        while not (seen := counted(service, "api_spans_total"))["failed"]:
            assert time.monotonic() < deadline, seen
            time.sleep(0.1)
    assert seen["recorded"] >= 300 * 4
    assert seen["exported"] == 0
    assert psutil.Process(process.pid).memory_info().rss < rss + 50e6
    began = time.monotonic()
    process.terminate()
    assert process.wait(30) == 0
    assert time.monotonic() - began < STOP_S + 15
    warnings = [
        line for line in service.log.read_text().splitlines() if "no spans are taken" in line
    ]
    assert len(warnings) == 1


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_receiver_that_hangs_delays_no_request_and_what_does_not_fit_is_dropped(
    protocol: str, receiver: Receiver, tmp_path: Path, launch: Launch
) -> None:
    receiver.delay_s = 20
    address = receiver.grpc if protocol == "grpc" else receiver.http
    service, process = launch(
        tmp_path / "log", PRESET="optimized", TRACING=protocol, OTLP_URL=address, TRACK="null"
    )
    slowest_s, requests = 0.0, (QUEUE_SPANS + 4 * BATCH_SPANS) // 4
    with service.client() as client:
        for _ in range(requests):
            began = time.monotonic()
            client.post("/predict/nano", content=b"x", headers=SAMPLED).raise_for_status()
            slowest_s = max(slowest_s, time.monotonic() - began)
    seen = counted(service, "api_spans_total")
    began = time.monotonic()
    process.terminate()
    assert process.wait(30) == 0
    assert time.monotonic() - began < STOP_S + 15
    receiver.released.set()
    assert seen["dropped"] > 0
    assert seen["recorded"] - seen["dropped"] - seen["failed"] <= QUEUE_SPANS
    assert slowest_s < 5


def test_auto_looks_for_a_receiver_and_off_loads_nothing(
    receiver: Receiver, tmp_path: Path, launch: Launch
) -> None:
    service, process = launch(tmp_path / "on", TRACK="null", OTLP_URL=receiver.grpc)
    process.terminate()
    process.wait(30)
    assert f"traces 0.01 over grpc to {receiver.grpc}" in service.log.read_text()
    script = (
        "import sys, json, os; from service import app; from service.settings import read;"
        "from service.worker import Worker;"
        "app.create_app(Worker(read({'SERVICE_TRACING': 'off', 'SERVICE_TRITON_URL': 'none'})));"
        "print(json.dumps([m for m in sys.modules if m.startswith('opentelemetry.sdk')]))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True)
    assert json.loads(done.stdout) == []


def test_a_traceparent_is_one_only_as_w3c_has_it() -> None:
    good = f"00-{TRACE}-{CALLER}-01".encode()
    assert traceparent(good) == good
    assert traceparent(b"cc" + good[2:] + b"-more") == b"cc" + good[2:]
    assert asks_for_spans(good)
    for flags, asks in (("00", False), ("02", False), ("03", True), ("0b", True), ("ff", True)):
        assert asks_for_spans(good[:-2] + flags.encode()) == asks
    zeros = good.replace(TRACE.encode(), b"0" * 32)
    longer = (good + b"-more", good + b"0", b"cc" + good[2:] + b"0", good + b"\n")
    for bad in (b"ff" + good[2:], zeros, good[:-1], good.upper(), b"", *longer):
        assert traceparent(bad) == b""
    assert not asks_for_spans(b"")


def test_only_known_entries_of_baggage_become_attributes() -> None:
    header = b"user.id=7, loadtest.run = a%20b;ttl=1 ,loadtest.cell=v%2Fc0001,=,x,loadtest.run2=no"
    assert entries(header) == {"loadtest.run": "a b", "loadtest.cell": "v/c0001"}
    assert entries(b"\xff,,;=,") == {}
    assert not Clock().sampled
