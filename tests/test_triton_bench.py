"""The generator as a program: the real binary against a real server."""

import json
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loadtests import samples
from tests.stub import IMAGE, bench, stub

pytestmark = pytest.mark.alone

ACCOUNTS = ("ok", "http_error", "transport_error", "timeout", "censored")


def outcomes(table: pa.Table) -> dict[str, int]:
    counts = {name: 0 for name in ACCOUNTS}
    for entry in samples.outcome(table).value_counts().to_pylist():
        counts[entry["values"]] = entry["counts"]
    return counts


@pytest.mark.parametrize("load", [("--clients", "3"), ("--rate", "150")])
def test_rows_summary_and_server_count_the_same(
    triton_bench: Path, tmp_path: Path, load: tuple[str, str]
) -> None:
    path = tmp_path / "s.parquet"
    flags = ("--fail-every", "7", "--drop-every", "11", "--silent-every", "41")
    with stub("--delay", "5ms", *flags) as server:
        ran = bench(triton_bench, server.url, *load, "--duration", "2s", "--warmup", "0.5",
                    "--timeout", "200ms", "--samples", str(path))  # fmt: skip
        seen = server.stats()
    assert ran.status == 0, ran.stderr
    counts, read = ran.summary["accounting"], samples.read(path)
    assert counts["issued"] == sum(counts[name] for name in ACCOUNTS) == seen["requests"]
    assert outcomes(read.table) == {name: counts[name] for name in ACCOUNTS}
    # The stub counts a request before it decides: number 77 is dropped, not failed; 41 is silent.
    numbers = range(1, seen["requests"] + 1)
    dropped = [n for n in numbers if n % 11 == 0]
    silent = [n for n in numbers if n % 41 == 0 and n % 11]
    failed = [n for n in numbers if n % 7 == 0 and n % 11 and n % 41]
    assert counts["transport_error"] == len(dropped)
    assert counts["timeout"] == len(silent)
    assert counts["http_error"] == len(failed)
    measured = read.table.filter(pc.equal(read.table["phase"].cast("string"), "measure"))
    assert outcomes(measured) == {name: ran.summary["measured"][name] for name in ACCOUNTS}
    due = measured["due_ns"].to_numpy()
    assert due.min() >= 500_000_000
    assert due.max() < 2_500_000_000


def test_the_summary_says_what_the_samples_say(triton_bench: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    with stub("--mode", "bimodal", "--delay", "2ms", "--slow", "30ms") as server:
        ran = bench(triton_bench, server.url, "--rate", "200", "--duration", "2s",
                    "--samples", str(path))  # fmt: skip
    read = samples.read(path)
    response = np.sort(read.table["done_ns"].to_numpy() - read.table["due_ns"].to_numpy()) / 1e6
    assert len(response) == 400
    for name, p in (("p50", 0.50), ("p95", 0.95), ("p99", 0.99)):
        rank = int(np.ceil(p * len(response) - 1e-9))
        assert ran.summary["response_ms"][name] == response[rank - 1]
    assert ran.summary["response_ms"]["max"] == response[-1]
    done = read.table["done_ns"].to_numpy()
    assert ran.summary["throughput_rps"] == np.sum(done < 2_000_000_000) / 2
    assert ran.summary["instrument"]["offered_rps"] == 200


def test_a_freeze_shows_in_the_response_time_and_not_in_the_service_time(
    triton_bench: Path, tmp_path: Path
) -> None:
    """
    With one connection the server holds one request of the freeze; the others wait for it.

    Nothing can be answered before the thaw, so the response times have lower bounds that hold on a
    machine of any speed; the upper bounds leave room for a slow one.
    """
    path, freeze_ns = tmp_path / "s.parquet", 500_000_000
    with stub(
        "--mode", "freeze", "--delay", "1ms", "--freeze", "500ms", "--freeze-at", "21"
    ) as server:
        ran = bench(triton_bench, server.url, "--rate", "100", "--duration", "2s",
                    "--max-connections", "1", "--samples", str(path))  # fmt: skip
    assert ran.status == 0, ran.stderr
    table = samples.read(path).table.sort_by("due_ns")
    due, sent, done = (table[f"{name}_ns"].to_numpy() for name in ("due", "sent", "done"))
    assert due[20] == 200_000_000
    thaw = sent[20] + freeze_ns
    held = (due > due[20]) & (due < due[20] + freeze_ns)
    assert held.sum() == 49
    assert (done - sent)[20] >= freeze_ns
    assert np.all(done[held] >= thaw)
    assert np.all((done - due)[held] >= thaw - due[held])
    assert np.max((done - sent)[held]) < freeze_ns / 2
    assert np.median((done - sent)[held]) < 50_000_000


def test_progress_as_json_is_a_line_a_second(triton_bench: Path) -> None:
    with stub("--delay", "5ms") as server:
        ran = bench(
            triton_bench, server.url, "--duration", "2.2s", "--warmup", "1", "--progress", "json"
        )
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [round(line["elapsed_s"]) for line in lines] == [1, 2, 3]
    assert lines[-1].keys() == {
        "elapsed_s", "total_s", "phase", "rps", "p50_ms", "p99_ms", "errors", "in_flight",
    }  # fmt: skip
    assert lines[-1]["phase"] == "measure"
    assert lines[-1]["total_s"] == pytest.approx(3.2)
    assert 5 <= lines[-1]["p50_ms"] < 100
    assert 1 < lines[-1]["rps"] <= 200


def test_a_signal_keeps_what_was_measured(triton_bench: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    for number in (signal.SIGINT, signal.SIGTERM):
        with stub("--delay", "20ms", "--silent-every", "10") as server:
            command = [str(triton_bench), "--url", server.url, "--image", str(IMAGE), "--json",
                       "--clients", "4", "--duration", "60s", "--warmup", "0", "--quiet",
                       "--samples", str(path)]  # fmt: skip
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                time.sleep(1)
                process.send_signal(number)
                out, _ = process.communicate(timeout=20)
            seen = server.stats()
        assert process.returncode == 130
        summary, table = json.loads(out), samples.read(path).table
        assert summary["interrupted"] is True
        assert table.num_rows == summary["accounting"]["issued"] == seen["requests"]
        assert outcomes(table)["censored"] == summary["accounting"]["censored"] >= 1


def test_a_full_disk_leaves_nothing_that_looks_like_samples(
    triton_bench: Path, tmp_path: Path
) -> None:
    """A limit on file size makes the kernel refuse a write, as a full disk does."""
    command = [str(triton_bench), "--image", str(IMAGE), "--rate", "500", "--duration", "2s",
               "--warmup", "0", "--samples", str(tmp_path / "s.parquet"),
               "--progress", "none"]  # fmt: skip
    with stub("--delay", "1ms") as server:
        done = subprocess.run(
            [*command, "--url", server.url],
            capture_output=True,
            text=True,
            timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
        )
    assert done.returncode == 1
    assert "s.parquet: cannot be written" in done.stderr
    assert "file too large" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_unreachable_service_is_one_line_and_status_1(
    triton_bench: Path, tmp_path: Path
) -> None:
    with stub() as server:
        gone = server.url
    ran = bench(triton_bench, gone, "--samples", str(tmp_path / "s.parquet"))
    assert (ran.status, ran.summary) == (1, {})
    assert ran.stderr.count("\n") == 1
    assert "connection refused; expected a running service" in ran.stderr
    assert not list(tmp_path.iterdir())


def test_every_example_of_the_help_parses(triton_bench: Path) -> None:
    text = subprocess.run(
        [triton_bench, "--help"], capture_output=True, text=True, check=True
    ).stdout
    examples = [
        line.split()[1:] for line in text.splitlines() if line.startswith("  triton_bench ")
    ]
    assert len(examples) == 8
    for example in examples:
        # A folder that is not there stops the program after its flags were understood.
        tried = [word for word in example if word not in ("--image", "cat.jpg")]
        ran = subprocess.run(
            [triton_bench, *tried, "--images", "/nowhere"], capture_output=True, text=True
        )
        assert ran.returncode == 2
        assert "--images /nowhere: not a folder" in ran.stderr


def test_help_names_every_flag(triton_bench: Path) -> None:
    text = subprocess.run(
        [triton_bench, "--help"], capture_output=True, text=True, check=True
    ).stdout
    source = (triton_bench.parents[2] / "loadtests/triton_bench/options.go").read_text()
    defined = set(re.findall(r'flags\.\w+\([^"]*"([a-z0-9-]+)"', source))
    assert len(defined) > 40
    assert set(re.findall(r"^  --([a-z0-9-]+)", text, re.MULTILINE)) == defined


def test_a_generator_that_was_stopped_does_not_call_its_numbers_valid(triton_bench: Path) -> None:
    """What was due meanwhile goes out at once, most of it over connections opened for it."""
    with stub("--delay", "20ms") as server:
        command = [str(triton_bench), "--url", server.url, "--image", str(IMAGE), "--json",
                   "--quiet", "--calibrate", "0", "--warmup", "0", "--rate", "200",
                   "--duration", "3s"]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            time.sleep(1)
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.4)
            process.send_signal(signal.SIGCONT)
            out, _ = process.communicate(timeout=20)
    instrument = json.loads(out)["instrument"]
    assert instrument["valid"] is False
    assert instrument["pace_p99_ms"] > 200
    assert instrument["reasons"][0].startswith("send lag: P99 is ")


def test_the_limit_of_connections_is_not_the_generators_fault(triton_bench: Path) -> None:
    """4 connections of 300 ms each carry 13 of 100 requests a second; the rest is never sent."""
    with stub("--delay", "300ms") as server:
        ran = bench(triton_bench, server.url, "--rate", "100", "--max-connections", "4",
                    "--timeout", "1s", "--duration", "2s", "--calibrate", "0")  # fmt: skip
    assert ran.summary["measured"]["censored"] > 50
    late = [text for text in ran.summary["instrument"]["reasons"] if "send lag" in text]
    assert late == []
