"""Locust as a measuring program: real processes against a real server of known delays."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.processes import free_port
from loadtests import samples, traces
from tests.conftest import NO_TLS, Service
from tests.locusts import FILE, LOCUST, Ran, command, ended, locust, run
from tests.stub import IMAGE, ROOT, Stub, bench, stub

pytestmark = pytest.mark.alone

STAGES = "queue;dur=0.19, infer;dur=14.042, total;dur=20"
LOAD = ("-u", "3", "-r", "3")


def check(path: Path, summary: dict[str, Any]) -> pa.Table:
    """Rows and summary count the same; samples.read has refused what makes no sense."""
    table = samples.read(path).table
    assert samples.accounting(table) == summary["accounting"]
    assert table.num_rows > 0
    assert not list(path.parent.glob(".*")), "no part is left"
    return table


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran, dict[str, int]]:
    """One run that several tests look at: its samples, what it said, what the server saw."""
    path = tmp_path_factory.mktemp("measured") / "s.parquet"
    slow = ("--mode", "bimodal", "--delay", "20ms", "--slow", "50ms", "--slow-every", "10")
    with stub(*slow, "--server-timing", STAGES) as server:
        ran = run(server.url, *LOAD, "--duration", "2s", "--warmup", "500ms", "--samples",
                  str(path), "--progress", "json")  # fmt: skip
        return path, ran, server.stats()


def test_rows_summary_and_server_agree_in_counts_and_times(
    measured: tuple[Path, Ran, dict[str, int]],
) -> None:
    path, ran, seen = measured
    assert ran.status == 0, ran.stderr
    table = check(path, ran.summary)
    assert table.num_rows == seen["requests"]
    assert ran.summary["accounting"]["ok"] == table.num_rows
    due, sent, first, done = (
        table[f"{name}_ns"].to_numpy() for name in ("due", "sent", "first_byte", "done")
    )
    assert np.all(sent <= first)
    assert np.all(first <= done)
    assert np.all(done - sent >= 20_000_000), "the delay is known, and no time is rounded"
    assert np.median(done - sent) < 30_000_000
    assert len(np.unique((done - sent) % 1_000_000)) > table.num_rows / 2
    assert due.min() >= 0
    assert due.max() < 2_500_000_000
    for client in range(3):  # one after the other, each due when the one before was answered
        mine = table.filter(pc.equal(table["client"], client)).sort_by("due_ns")
        dues, dones = mine["due_ns"].to_numpy(), mine["done_ns"].to_numpy()
        assert np.array_equal(dues[1:], dones[:-1])
    assert set(table["stage_queue_us"].to_pylist()) == {190}
    assert set(table["stage_infer_us"].to_pylist()) == {14042}
    assert table["stage_decode_us"].null_count == table.num_rows
    traces = table["trace_id"].to_pylist()
    assert len(set(traces)) == len(traces)
    assert all(len(trace) == 32 for trace in traces)
    assert set(table["image"].to_pylist()) == {IMAGE.name}


def test_a_line_a_second_tells_how_it_goes(measured: tuple[Path, Ran, dict[str, int]]) -> None:
    _, ran, _ = measured
    lines = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]
    assert [round(line["elapsed_s"]) for line in lines][:2] == [1, 2]
    assert lines[-1]["phase"] == "measure"
    assert lines[-1]["total_s"] == pytest.approx(2.5)
    assert 18 < lines[-1]["p50_ms"] < 60
    assert (lines[1]["errors"], lines[1]["in_flight"]) == (0, 3)
    assert 20 < lines[1]["rps"] < 150, "three users, 20 ms and more each"


def test_the_summary_is_that_of_the_rows(measured: tuple[Path, Ran, dict[str, int]]) -> None:
    path, ran, _ = measured
    read = samples.read(path)
    rows = read.table.filter(pc.equal(read.table["phase"].cast("string"), "measure"))
    due, done = (rows[name].to_numpy() for name in ("due_ns", "done_ns"))
    start, end = read.window.measure_start_ns, read.window.measure_end_ns
    assert (start, end) == (500_000_000, 2_500_000_000)
    assert due.min() >= start
    assert due.max() < end
    response = np.sort(done - due) / 1e6
    for name, p in (("p50", 0.50), ("p95", 0.95), ("p99", 0.99)):
        rank = int(np.ceil(p * len(response) - 1e-9))
        need = {"p50": 1, "p95": 72, "p99": 368}[name]
        expected = response[rank - 1] if len(response) >= need else None
        assert ran.summary["response_ms"][name] == expected
    assert ran.summary["response_ms"]["max"] == response[-1]
    every = read.table["done_ns"].to_numpy()
    inside = np.sum((every >= start) & (every < end))
    assert ran.summary["throughput_rps"] == inside / 2
    instrument = ran.summary["instrument"]
    assert 0 < instrument["cpu_s"] < 2 * instrument["wall_s"]
    assert 0 < instrument["busiest_lane_share"] < 1
    assert instrument["gomaxprocs"] == 1
    assert instrument["valid"] is not bool(instrument["reasons"])


def test_every_failure_is_a_row_of_its_class(triton_bench: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    flags = ("--fail-every", "7", "--drop-every", "11", "--silent-every", "41")
    with stub("--delay", "5ms", *flags) as server:
        ran = run(server.url, *LOAD, "--duration", "1s", "--timeout", "200ms", "--samples",
                  str(path), "--exit-code-on-error", "0")  # fmt: skip
        seen = server.stats()
    assert ran.status == 0, ran.stderr
    table, counts = check(path, ran.summary), ran.summary["accounting"]
    assert counts["issued"] == seen["requests"]
    # The stub counts a request before it decides: number 77 is dropped, not failed; 41 is silent.
    numbers = range(1, seen["requests"] + 1)
    assert counts["transport_error"] == sum(n % 11 == 0 for n in numbers)
    assert counts["timeout"] == sum(n % 41 == 0 and n % 11 != 0 for n in numbers) > 0
    failed = sum(n % 7 == 0 and n % 11 != 0 and n % 41 != 0 for n in numbers)
    assert counts["http_error"] == failed > 0
    assert ran.summary["errors"] == {
        "closed": counts["transport_error"],
        "http_500": failed,
        "timeout": counts["timeout"],
    }
    late = table.filter(pc.equal(table["error"].cast("string"), "timeout"))
    waited_ms = (late["done_ns"].to_numpy() - late["sent_ns"].to_numpy()) / 1e6
    assert np.all(waited_ms >= 199)
    assert np.all(waited_ms < 2000), "the server would have been silent for ever"
    # A refusal keeps its connection; a drop and a timeout cost one, and the three were opened once.
    broken = counts["transport_error"] + counts["timeout"]
    assert abs(ran.summary["instrument"]["connections"] - 3 - broken) <= 3
    # The bytes of a request are those that triton_bench sends, but for the fields of the head.
    with stub("--delay", "1ms") as server:
        other = tmp_path / "t.parquet"
        bench(triton_bench, server.url, "--clients", "1", "--requests", "2", "--samples",
              str(other))  # fmt: skip
    heads = [samples.read(file).table["bytes_out"].to_numpy().min() for file in (path, other)]
    assert abs(int(heads[0]) - int(heads[1])) < 64


def test_nobody_listens_and_nobody_hurries(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    ran = run("http://127.0.0.1:9", *LOAD, "--duration", "600ms", "--samples", str(path), "TrackC")
    assert ran.summary["url"] == "http://127.0.0.1:9/predict/small_end2end"
    assert ran.status == 1, "Locust's own status of a run with failures"
    table = check(path, ran.summary)
    assert set(table["error"].to_pylist()) == {"connect"}
    assert table["bytes_out"].to_pylist() == [0] * table.num_rows
    assert table.num_rows < 40, "a user that cannot connect waits, longer each time"


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_censors_what_is_in_flight_and_keeps_the_rest(tmp_path: Path, workers: int) -> None:
    path = tmp_path / "s.parquet"
    more = ("--processes", str(workers)) if workers else ()
    with stub("--delay", "20ms", "--silent-every", "10") as server:
        with locust(server.url, "-u", "4", "-r", "4", "--duration", "60s", "--samples", str(path),
                    *more) as process:  # fmt: skip
            until(lambda: server.stats()["requests"] >= 40)
            began = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)
            ran = ended(process)
            took_s = time.monotonic() - began
        seen = server.stats()
    assert ran.status == 130, ran.stderr
    assert "Traceback" not in ran.stderr
    assert took_s < 10, "those in flight are given up, not waited for"
    table = check(path, ran.summary)
    assert ran.summary["interrupted"] is True
    assert table.num_rows == seen["requests"]
    assert set(table["client"].to_pylist()) == set(range(4))
    assert ran.summary["instrument"]["gomaxprocs"] == max(1, workers)
    assert ran.summary["accounting"]["censored"] == 4, "each user had got an image of no answer"


def test_ctrl_c_ends_a_master_that_waits_for_its_workers(tmp_path: Path) -> None:
    port = 20_000 + os.getpid() % 10_000
    waits = ("--master", "--master-bind-port", str(port), "--expect-workers", "1")
    path = str(tmp_path / "s.parquet")
    with locust("http://127.0.0.1:9", *LOAD, *waits, "--samples", path) as process:
        until(lambda: listens(port))
        time.sleep(0.3)  # it binds a moment before it sees to signals
        os.killpg(process.pid, signal.SIGINT)
        ran = ended(process)
    assert ran.status == 130
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


def listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def test_a_worker_that_vanishes_is_no_measurement(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    load = ("-u", "4", "-r", "4", "--processes", "2", "--duration", "60s")
    with (
        stub("--delay", "10ms") as server,
        locust(server.url, *load, "--samples", str(path)) as process,
    ):
        until(lambda: server.stats()["requests"] >= 40)
        opened = next(tmp_path.glob(".s.parquet.*.parts/worker-1.open"))
        os.kill(json.loads(opened.read_text())["pid"], signal.SIGKILL)
        ran = ended(process)
    assert ran.status == 1
    assert "locust: worker-1 (pid" in ran.stderr
    assert "vanished, and its requests with it" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_master_and_workers_of_their_own_make_one_file(tmp_path: Path) -> None:
    """The workers run in another folder and are told everything but the locustfile."""
    path = tmp_path / "s.parquet"
    with stub("--delay", "10ms") as server:
        port = str(20_000 + os.getpid() % 10_000)
        where = str(Path(__file__).parent.parent / "loadtests/locustfile.py")
        worker = ("http://127.0.0.1:1", "--worker", "--master-port", port)
        with (
            locust(server.url, "-u", "5", "-r", "5", "--master", "--master-bind-port", port,
                   "--expect-workers", "2", "--duration", "1s", "--warmup", "500ms", "--samples",
                   str(path), "Mixed", "--mix", "/a=3,/b=1", "--seed", "3") as master,
            locust(*worker, file=where, cwd=tmp_path) as one,
            locust(*worker, file=where, cwd=tmp_path) as two,
        ):  # fmt: skip
            ran = ended(master)
            assert (ended(one).status, ended(two).status) == (0, 0)
        seen = server.stats()
    assert ran.status == 0, ran.stderr
    table = check(path, ran.summary)
    assert table.num_rows == seen["requests"]
    assert set(table["client"].to_pylist()) == set(range(5))
    assert ran.summary["instrument"]["gomaxprocs"] == 2
    assert ran.summary["clients"] == 5
    assert samples.read(path).window.duration_s == 1
    assert (ran.summary["url"], ran.summary["paths"]) == (server.url, ["/a", "/b"])
    assert " /a  " in ran.stderr
    assert " /b  " in ran.stderr


def test_a_full_disk_leaves_nothing_that_looks_like_samples(tmp_path: Path) -> None:
    """A limit on file size makes the kernel refuse a write, as a full disk does; /proc any."""
    path = tmp_path / "s.parquet"
    with (
        stub("--delay", "1ms") as server,
        locust(server.url, *LOAD, "--duration", "30s", "--samples", "/proc/s.parquet") as at_once,
    ):
        whole = command(server.url, *LOAD, "--duration", "30s", "--samples", str(path))
        limited = ["bash", "-c", 'ulimit -f 60; exec "$@"', "limited", *whole]
        done = subprocess.run(limited, capture_output=True, text=True, timeout=60)
        refused = ended(at_once)
        assert "locust: /proc: cannot be written" in refused.stderr
    for status, said in ((done.returncode, done.stderr), (refused.status, refused.stderr)):
        assert status == 1
        assert "cannot be written" in said
        assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_the_options_are_listed_and_what_cannot_work_is_refused_in_one_line(tmp_path: Path) -> None:
    """Side by side, because most of it is the start of Locust; test_locust_parts has the rest."""
    campaign = tmp_path / "c.toml"
    campaign.write_text("clients = ['many']")
    matrix = f"{FILE},loadtests/matrix.py"
    help_command = [*LOCUST, "-f", FILE, "--help-measuring"]
    with (
        subprocess.Popen(help_command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as listing,
        locust("http://127.0.0.1:9", *LOAD, "--duration", "soon") as soon,
        locust("http://127.0.0.1:9", "--image", "", "--images", "tests/data") as empty,
        locust("http://127.0.0.1:9", "--campaign", str(campaign), file=matrix) as many,
    ):
        listed, _ = listing.communicate(timeout=60)
        assert listing.returncode == 0
        for option in ("--path", "--samples", "--min-requests", "--steps", "--campaign"):
            assert option in listed
        for process, expected in (
            (soon, "'soon' is no duration"),
            (empty, "no images among"),
            (many, "clients is ['many']; expected whole numbers"),
        ):
            ran = ended(process)
            assert ran.status == 2
            assert expected in ran.stderr
            assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("workers", [0, 1])
def test_the_page_starts_one_run_after_the_other(tmp_path: Path, workers: int) -> None:
    """Without --headless nothing runs until somebody says so, and each run has a file."""
    files = [tmp_path / "s.parquet", tmp_path / "s-2.parquet"]
    port, metrics_port = free_port(), free_port()
    page = ("--web-port", str(port), "--web-host", "127.0.0.1", "--headful")
    # A worker that was stopped is ready again when the timeout has passed.
    more = ("--processes", str(workers), "--timeout", "1s") if workers else ()
    metrics = f"127.0.0.1:{metrics_port}"
    flags = (*page, *more, "--metrics-addr", metrics, "--samples", str(files[0]))
    pages = []
    with stub("--delay", "5ms") as server:
        with locust(server.url, *flags) as process:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", verify=NO_TLS) as client:
                for file in files:
                    until(partial(is_ready, client, workers))
                    least = server.stats()["requests"] + 20
                    form = {"user_count": "2", "spawn_rate": "2", "host": server.url}
                    assert client.post("/swarm", data=form).json()["success"] is True
                    until(partial(seen_at_least, server, least))
                    assert client.post("/stop").json()["success"] is True
                    until(file.exists)
                    pages.append(scraped(client.get(f"http://{metrics}/metrics").text))
            os.killpg(process.pid, signal.SIGINT)
            out, said = process.communicate(timeout=20)
        seen = server.stats()["requests"]
    assert "Traceback" not in said, said
    assert sorted(tmp_path.iterdir()) == sorted(files), said
    first, second = (samples.read(file).table for file in files)
    assert first.num_rows + second.num_rows == seen
    assert samples.accounting(first)["ok"] == first.num_rows, "a user that is stopped may finish"

    for said_then, summary in zip(pages, each(out), strict=True):
        assert 0 < of(said_then, "loadtest_issued_total") <= summary["accounting"]["issued"]
        # Of the run, with what the page and the scrape took, and not since the processes began.
        used_s = of(said_then, "process_cpu_seconds_total")
        assert 0 < used_s < summary["instrument"]["cpu_s"] + 0.5


def each(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects, one after the other."""
    while text := text.strip():
        found, end = json.JSONDecoder().raw_decode(text)
        yield found
        text = text[end:]


def seen_at_least(server: Stub, count: int) -> bool:
    return server.stats()["requests"] >= count


def is_ready(client: httpx.Client, workers: int) -> bool:
    """Whether the page is there, and so many workers wait for a run."""
    try:
        said = client.get("/stats/requests").json()
    except httpx.TransportError:
        return False
    waiting = [worker for worker in said.get("workers", []) if worker["state"] == "ready"]
    return said["state"] in ("ready", "stopped") and len(waiting) == workers


def test_our_own_service_answers_it(serving: Callable[..., Service], tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    service = serving(PRESET="optimized", WORKERS="1", TRACK="null")
    ran = run(service.url, *LOAD, "--run-time", "1", "--samples", str(path), "--image", "",
              "--limit", "3", "--body", "raw", "Mixed")  # fmt: skip
    assert ran.status == 0, ran.stderr
    table = check(path, ran.summary)
    assert ran.summary["interrupted"] is False
    assert 0.5 < ran.summary["duration_s"] <= 1
    assert set(table["status"].to_pylist()) == {200}
    assert len(set(table["image"].to_pylist())) == 3
    assert table["stage_receive_us"].null_count == 0
    for path_of in ("/predict/nano", "/predict/small", "/predict/nano?track=null"):
        assert path_of in ran.stderr


Metrics = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(text: str) -> Metrics:
    """Every sample of a page, by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def watched(process: subprocess.Popen[str], port: int) -> list[Metrics]:
    """What /metrics says until the process ends, every few hundredths of a second."""
    pages: list[Metrics] = []
    while process.poll() is None:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/metrics", verify=NO_TLS)
        except httpx.TransportError:
            continue
        finally:
            time.sleep(0.03)
        assert answer.status_code == 200
        pages.append(scraped(answer.text))
    return pages


def of(page: Metrics, name: str, **labels: str) -> float:
    return page[name, tuple(sorted(labels.items()))]


LABELS = ("--label", "campaign=demo", "--label", "cell=a c0003", "--label", "host=here")


@pytest.mark.parametrize("workers", [0, 2])
def test_metrics_are_served_while_it_runs_and_are_those_of_triton_bench(
    triton_bench: Path, workers: int
) -> None:
    port = free_port()
    serve = ("--metrics-addr", f"127.0.0.1:{port}", *LABELS)
    processes = ("--processes", str(workers)) if workers else ()
    with stub("--delay", "10ms") as server:
        flags = (*LOAD, *processes, "--duration", "2500ms", "--warmup", "500ms", *serve)
        with locust(server.url, *flags) as process:
            pages = watched(process, port)
            ran = ended(process)
        command = [str(triton_bench), "--url", server.url, "--image", str(IMAGE), "--clients", "3"]
        short = ("--duration", "500ms", "--warmup", "0", "--calibrate", "0", "--quiet")
        with subprocess.Popen([*command, *short, *serve], text=True) as other:
            theirs = watched(other, port)[-1]
    assert ran.status == 0, ran.stderr
    info = {"campaign": "demo", "cell": "a c0003", "clients": "3", "host": "here", "rate": "",
            "repeat": "", "run": "", "variant": ""}  # fmt: skip
    states = [of(page, "loadtest_run_info", **info) for page in pages]
    assert states[0] == 0, "it warms up"
    assert 1 in states
    last = pages[-1]
    # A worker reports once a second.
    late = 3 * 100 * 1.2 if workers else 3 * 100 * 0.5
    issued = ran.summary["accounting"]["issued"]
    assert issued - late < of(last, "loadtest_issued_total") <= issued
    assert of(last, "loadtest_requests_total", outcome="ok") == of(
        last, "loadtest_response_seconds_count"
    )
    assert 0 <= of(last, "loadtest_in_flight") <= 3
    assert of(last, "loadtest_connections_total") == 3
    assert of(last, "loadtest_response_seconds_bucket", le="0.001") == 0
    # Since the run began, as the summary has it; the programs' start is not in it.
    assert 0 < of(last, "process_cpu_seconds_total") < ran.summary["instrument"]["cpu_s"] + 0.5
    for before, after in pairwise(pages):
        fallen = {key for key in before if key[0].endswith("_total") and after[key] < before[key]}
        assert not fallen

    def names(page: Metrics) -> set[tuple[str, tuple[tuple[str, str | float], ...]]]:
        """The bounds as numbers: one writes 1 and the other 1.0."""
        found = set()
        for name, labels in page:
            if not name.startswith("process_"):
                found.add((name, tuple((k, float(v) if k == "le" else v) for k, v in labels)))
        return found

    assert names(last) == names(theirs)


class Listener(BaseHTTPRequestHandler):
    """Answers at once and keeps what it was asked."""

    protocol_version = "HTTP/1.1"
    heard: list[tuple[str, str | None]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append((self.headers["traceparent"], self.headers["baggage"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def listening() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A server and what it hears."""
    heard: list[tuple[str, str | None]] = []
    handler = type("Heard", (Listener,), {"heard": heard})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", heard
        server.shutdown()


def test_requests_that_ask_to_be_traced_carry_the_baggage_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    with listening() as (url, heard):
        ran = run(url, *LOAD, "--duration", "1s", "--trace-ratio", "0.3", *LABELS,
                  "--samples", str(path))  # fmt: skip
    assert ran.status == 0, ran.stderr
    assert ran.summary["trace_ratio"] == 0.3
    assert len(heard) == ran.summary["accounting"]["issued"] > 100
    ids = set(check(path, ran.summary)["trace_id"].to_pylist())
    least = traces.least_sampled(0.3)
    for traceparent, baggage in heard:
        _, trace_id, _, flags = traceparent.split("-")
        assert trace_id in ids
        assert (flags == "01") is traces.is_sampled(trace_id, least)
        expected = "loadtest.campaign=demo,loadtest.cell=a%20c0003" if flags == "01" else None
        assert baggage == expected
    share = sum(traceparent.endswith("-01") for traceparent, _ in heard) / len(heard)
    assert share == pytest.approx(0.3, abs=0.2)


def test_an_address_in_use_is_refused_before_anything_is_sent() -> None:
    with stub() as server, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = run(server.url, *LOAD, "--duration", "1s", "--metrics-addr", address)
        assert server.stats()["requests"] == 0
    assert ran.status == 2
    assert f"locust: --metrics-addr {address}: Address already in use" in ran.stderr
    assert "Traceback" not in ran.stderr
