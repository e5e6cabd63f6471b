"""What is read of a Triton, and that nothing which goes wrong there ends a visit."""

import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import batching
from benchmarks import metrics, probe, snapshot
from benchmarks.metrics import Row, labels_text
from benchmarks.processes import free_port
from benchmarks.record import RecordError
from benchmarks.triton import statistics
from benchmarks.triton.statistics import (
    GAUGES,
    PENDING,
    STATISTICS,
    Statistics,
    pending_rows,
    statistics_rows,
)
from tests.tiny import IMAGE, ROOT, occupied_port

ZERO = {"count": 0, "ns": 0}


class Server(Protocol):
    """Where the Triton of the fixture listens: "127.0.0.1:port"."""

    grpc: str
    http: str
    metrics: str


def model(name: str, executions: int, **batches: int) -> dict[str, Any]:
    """A model's part of an answer; `of_4=2` are two batches of four."""
    took = {"count": executions, "ns": executions * 1_000_000}
    parts = ("compute_input", "compute_infer", "compute_output")
    return {
        "name": name,
        "version": "1",
        "last_inference": 1795692344357,
        "inference_count": executions,
        "execution_count": executions,
        "inference_stats": {
            "success": took,
            "fail": ZERO,
            "queue": took,
            **dict.fromkeys(parts, took),
            "cache_hit": ZERO,
        },
        "response_stats": {},
        "batch_stats": [
            {
                "batch_size": int(size.removeprefix("of_")),
                **{part: {"count": count, "ns": count * 2_000_000} for part in parts},
            }
            for size, count in batches.items()
        ],
        "memory_usage": [],
    }


def answer(*models: dict[str, Any]) -> bytes:
    return json.dumps({"model_stats": list(models)}).encode()


PAGE = r"""# HELP nv_inference_pending_request_count Instantaneous number of pending requests
# TYPE nv_inference_pending_request_count gauge
nv_inference_pending_request_count{model="nano",version="1"} 3
nv_inference_pending_request_count{model="a \"b\" \\ {c}, d=\"e\"",version="2"} 1.5e+01
nv_inference_pending_request_count_total{model="nano",version="1"} 99
nv_inference_count{model="nano",version="1"} 283
nv_cpu_utilization 0.5
"""


def test_every_counter_of_the_statistics_is_a_series() -> None:
    found = {
        (series, labels): value
        for series, labels, value in statistics_rows(answer(model("m", 7, of_4=2)))
    }
    plain = labels_text({"model": "m", "version": "1"})
    sized = labels_text({"model": "m", "version": "1", "batch_size": "4"})
    assert found["execution_count", plain] == 7
    assert found["inference_stats.queue.ns", plain] == 7_000_000
    assert found["inference_stats.fail.count", plain] == 0
    assert found["batch_stats.compute_infer.count", sized] == 2
    assert found["batch_stats.compute_infer.ns", sized] == 4_000_000
    assert len(found) == 2 + 2 * 7 + 2 * 3
    assert json.loads(sized) == {"batch_size": "4", "model": "m", "version": "1"}


def test_of_the_metrics_page_only_the_gauge_is_kept() -> None:
    assert list(pending_rows(PAGE.encode())) == [
        (PENDING, labels_text({"model": "nano", "version": "1"}), 3),
        (PENDING, labels_text({"model": 'a "b" \\ {c}, d="e"', "version": "2"}), 15),
    ]


@contextmanager
def serving(pages: dict[str, Iterator[tuple[int, bytes]]]) -> Iterator[str]:
    """A server whose pages answer with one thing after the other."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = next(pages[self.path])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def triton_of(*answers: tuple[int, bytes], page: bytes = PAGE.encode()) -> Iterator[Statistics]:
    """A reader of a server that gives these answers to the questions for its statistics."""
    always = iter(lambda: (200, page), None)
    with serving({"/v2/models/stats": iter(answers), "/metrics": always}) as address:
        yield Statistics(address, address)


def column(file: Path, source: str, series: str) -> list[float]:
    table = metrics.of_source(metrics.read(file), source).to_pylist()
    return [row["value"] for row in table if row["series"] == series]


def test_readings_become_rows_with_when_and_from_where(tmp_path: Path) -> None:
    file = tmp_path / "metrics.parquet"
    began = time.time_ns()
    answers = [(200, answer(model("nano", count))) for count in (7, 9)]
    page = f'{PENDING}{{model="nano",version="1"}} 3\n'.encode()
    with triton_of(*answers, page=page) as reader:
        reader.read()
        reader.read()
        assert reader.write(file) == {"readings": 2, "failed": 0, "error": None}
    assert column(file, STATISTICS, "execution_count") == [7, 9]
    assert column(file, GAUGES, PENDING) == [3, 3]
    moments = sorted(set(metrics.read(file)["at_unix_ns"].to_pylist()))
    assert len(moments) == 4, "the pages are read one after the other"
    assert began < moments[0] < moments[-1] < time.time_ns()


def test_models_that_nobody_asked_leave_no_rows(tmp_path: Path) -> None:
    file = tmp_path / "metrics.parquet"
    idle, stuck = model("idle", 5, of_1=5), model("stuck", 5, of_1=5)
    page = (
        f'{PENDING}{{model="idle",version="1"}} 0\n{PENDING}{{model="stuck",version="1"}} 2\n'
    ).encode()
    answers = [(200, answer(idle, stuck, model("busy", n, of_1=n))) for n in (1, 1, 2)]
    with triton_of(*answers, page=page) as reader:
        for _ in answers:
            reader.read()
        reader.write(file)
    labels = {json.loads(row["labels"])["model"] for row in metrics.read(file).to_pylist()}
    assert labels == {"busy", "stuck"}, "requests that wait for ever are worth knowing"


def test_a_visit_that_nothing_was_read_of_has_no_file(tmp_path: Path) -> None:
    file = tmp_path / "metrics.parquet"
    with triton_of((200, answer(model("idle", 5))), page=b"") as reader:
        reader.read()
        assert reader.write(file) == {"readings": 1, "failed": 0, "error": None}
    assert not file.exists()


def test_a_server_that_is_gone_costs_a_reading_and_no_visit(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    reader = Statistics(address, address)
    reader.read()
    facts = reader.write(tmp_path / "metrics.parquet")
    assert (facts["readings"], facts["failed"]) == (1, 1)
    assert facts["error"].startswith(f"GET http://{address}/v2/models/stats: no answer (")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_hangs_is_waited_for_one_second(tmp_path: Path) -> None:
    with occupied_port() as port:
        reader = Statistics(f"127.0.0.1:{port}", f"127.0.0.1:{port}")
        before = time.monotonic()
        reader.read()
        took_s = time.monotonic() - before
    assert 0.9 < took_s < 1.9, "and not for each of its pages"
    assert "timed out" in reader.write(tmp_path / "metrics.parquet")["error"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ((503, b"busy"), "answered 503; expected 200"),
        ((200, b"<html>"), "not what Triton answers (JSONDecodeError"),
        ((200, b'{"model_stats": [{"name": "m"}]}'), "not what Triton answers (KeyError"),
        ((200, b'{"model_stats": 3}'), "not what Triton answers (TypeError"),
        ((200, b'["model_stats"]'), "not what Triton answers (TypeError"),
        ((200, b"\x80{}"), "not what Triton answers (UnicodeDecodeError"),
    ],
)
def test_an_answer_that_is_none_is_left_out_and_said(
    tmp_path: Path, bad: tuple[int, bytes], said: str
) -> None:
    file = tmp_path / "metrics.parquet"
    answers = [(200, answer(model("nano", 1))), bad, (200, answer(model("nano", 4)))]
    with triton_of(*answers) as reader:
        for _ in answers:
            reader.read()
        facts = reader.write(file)
    assert (facts["readings"], facts["failed"]) == (3, 1)
    assert said in facts["error"]
    assert column(file, STATISTICS, "execution_count") == [1, 4]


def test_a_long_visit_is_read_less_often_instead_of_filling_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "MOST_PAGES", 16)
    file = tmp_path / "metrics.parquet"
    answers = [(200, answer(model("nano", n))) for n in range(1, 41)]
    with triton_of(*answers) as reader:
        for _ in range(40):
            reader.read()
        facts = reader.write(file)
    counts = column(file, STATISTICS, "execution_count")
    assert (facts["readings"], facts["failed"]) == (40, 0)
    assert 3 <= len(counts) <= 8
    assert counts == sorted(counts)


ROW = Row(1_795_692_344_357_000_001, "prometheus", "up", labels_text({"job": "any"}), 0.1)


def test_the_file_takes_any_source_and_gives_every_digit_back(tmp_path: Path) -> None:
    file = tmp_path / "metrics.parquet"
    later = ROW._replace(at_unix_ns=ROW.at_unix_ns + 1, value=float(2**53))
    metrics.write(file, [later, ROW])
    assert [Row(**row) for row in metrics.read(file).to_pylist()] == [ROW, later]
    assert metrics.of_source(metrics.read(file), STATISTICS).num_rows == 0
    metrics.write(file, [])
    assert metrics.read(file).num_rows == 0
    assert pq.read_schema(file).metadata[metrics.VERSION_KEY] == b"1"


def test_the_readme_has_the_columns_and_the_sources() -> None:
    text = (ROOT / "benchmarks/README.md").read_text().split("**metrics.parquet**")[1]
    rows = re.findall(r"^\| `(\w+)`(?: \| (\w+) \|)?", text.split("\n## ")[0], re.M)
    said = {
        field.name: "text" if pa.types.is_dictionary(field.type) else str(field.type)
        for field in metrics.SCHEMA
    }
    said["value"] = "float64"  # which pyarrow calls a double
    assert rows == [*said.items(), (STATISTICS, ""), (GAUGES, ""), (snapshot.SOURCE, "")]
    assert PENDING in text


def test_a_file_that_is_no_metrics_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "metrics.parquet"
    metrics.write(file, [ROW])
    whole = file.read_bytes()
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({metrics.VERSION_KEY: b"2"}), file)
    refused(file, "metrics of version 2; expected version 1")
    pq.write_table(table.replace_schema_metadata(None), file)
    refused(file, "no metrics file; expected version 1")
    pq.write_table(table.drop_columns(["labels"]), file)
    refused(file, "its columns are")
    texts = table.set_column(4, "value", pa.array(["0.1"]))
    pq.write_table(texts.replace_schema_metadata(table.schema.metadata), file)
    refused(file, "its columns are")
    for content in (b"", b"PAR1 cut", whole[: len(whole) // 2]):
        file.write_bytes(content)
        refused(file, "cannot be read")


def refused(file: Path, said: str) -> None:
    with pytest.raises(RecordError) as error:
        metrics.read(file)
    assert str(error.value).startswith(f"{file}: ")
    assert said in str(error.value)
    assert f"delete {file}, without which the repeat is complete too" in str(error.value)


def infer(address: str, name: str, kind: str, shape: list[int], data: bytes, key: str) -> int:
    """One request to a Triton, with its tensor as it is (the binary data extension)."""
    size = {"binary_data_size": len(data)}
    tensor = {"name": key, "shape": shape, "datatype": kind, "parameters": size}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        headers = {"Inference-Header-Content-Length": str(len(head))}
        connection.request("POST", f"/v2/models/{name}/infer", head + data, headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()  # an open one would hold the server's end
    assert response.status == 200, body
    return len(body)


def counted(triton: Server, model: str, more: int) -> None:
    """Wait until Triton has counted the last answers, which it does after it has sent them."""
    url = f"http://{triton.http}/v2/models/{model}/stats"
    deadline, previous = time.monotonic() + 5, -1
    while time.monotonic() < deadline:
        (stats,) = json.loads(probe.get(url, 5)[1])["model_stats"]
        if stats["inference_count"] == previous >= more:
            return
        previous = stats["inference_count"]
        time.sleep(0.1)
    raise AssertionError(f"{model}: {previous} inferences counted; expected at least {more}")


def used(reader: Statistics, file: Path) -> dict[str, batching.Use]:
    """What the analysis makes of all that was read."""
    assert reader.write(file)["failed"] == 0
    table = metrics.of_source(metrics.read(file), STATISTICS)
    columns = [table[name].to_pylist() for name in ("at_unix_ns", "series", "labels", "value")]
    found = batching.counters(zip(*columns, strict=True))
    return batching.uses(found, min(columns[0]), max(columns[0]), {"nano_D"})


def test_the_counters_of_a_real_triton_are_those_of_what_it_was_sent(
    triton: Server, tmp_path: Path
) -> None:
    reader = Statistics(triton.http, triton.metrics)
    shape = [1, 224, 224, 3]
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8).tobytes()
    reader.read()
    with ThreadPoolExecutor(8) as pool:
        sent = [
            pool.submit(infer, triton.http, "nano_balanced", "UINT8", shape, image, "images")
            for _ in range(40)
        ]
        reader.read()
        assert all(request.result() > 400 for request in sent)
    counted(triton, "nano_balanced", 40)
    reader.read()
    file = tmp_path / "metrics.parquet"
    use = used(reader, file)["nano_balanced"]
    assert use.inferences == 40
    assert use.average_batch is not None
    assert 1.5 < use.average_batch <= 8, "eight requests wait 10 ms for each other"
    harmonic = 1 / sum(share / size for size, share in use.batch_sizes.items())
    assert harmonic == pytest.approx(use.average_batch)
    assert use.queue_ms > 0
    assert use.compute_infer_ms > use.compute_input_ms
    assert len(column(file, GAUGES, PENDING)) == 3


def test_the_ensemble_of_a_real_triton_waits_in_its_steps(triton: Server, tmp_path: Path) -> None:
    reader = Statistics(triton.http, triton.metrics)
    photo = IMAGE.read_bytes()
    reader.read()
    with ThreadPoolExecutor(4) as pool:
        sent = [
            pool.submit(infer, triton.http, "nano_D", "UINT8", [1, len(photo)], photo, "encoded")
            for _ in range(12)
        ]
        assert all(request.result() > 400 for request in sent)
    counted(triton, "nano_D", 12)
    reader.read()
    found = used(reader, tmp_path / "metrics.parquet")
    assert set(found) == {"nano_D", "nano_decode", "nano_balanced"}
    whole = found.pop("nano_D")
    assert whole.ensemble
    assert whole.average_batch is None
    assert whole.inferences == 12
    assert whole.queue_ms >= sum(step.queue_ms for step in found.values()) - 0.5
    assert whole.compute_ms == pytest.approx(
        sum(step.compute_ms for step in found.values()), rel=0.01
    )
    assert not any(step.ensemble for step in found.values())
