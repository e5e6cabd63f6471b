"""The comparison with other load generators: its readings, its theory, and a run of its own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers import __main__ as peers
from benchmarks.peers import found, install, pacing, record, report, truth
from benchmarks.peers.measure import Bench, shown
from benchmarks.peers.outputs import OutputError
from benchmarks.peers.plan import Part, Stop, plan
from benchmarks.peers.running import RunningError, choose_cpus, run, server
from benchmarks.peers.throughput import Throughput
from benchmarks.peers.tools import TOOLS, Load, Tool

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parent.parent
PROGRAMS = ROOT / ".tools/bin"
DATA = ROOT / "tests/data/peers"
TOOL = {tool.name: tool for tool in TOOLS}
# About 100 requests of 20 ms each, every tenth answered with 500.
OUTPUTS = {
    "triton_bench": (100, 10, 20.507, None),
    "wrk": (97, 9, 20.386, 24.021),
    "bombardier": (100, 10, 20.536, 21.028),
    "fortio": (100, 10, 22.374, 24.515),
    "hey": (100, 10, 30.6, 33.6),
    "k6": (101, 10, 20.541, 23.342),
    "oha": (100, 10, 20.444, 31.322),
    "vegeta": (100, 10, 20.633, 24.335),
}


@pytest.fixture(scope="module")
def bench() -> Bench:
    for name in ("triton_bench", "tb_stub"):
        assert (PROGRAMS / name).exists(), f"{name} is missing: run `make build`"
    programs = {tool.name: str(PROGRAMS / "triton_bench") for tool in TOOLS if tool.ours}
    return Bench(PROGRAMS / "tb_stub", programs, choose_cpus())


@pytest.mark.parametrize(("name", "expected"), OUTPUTS.items())
def test_a_tools_own_report_is_read(
    name: str, expected: tuple[int, int, float, float | None]
) -> None:
    read = TOOL[name].parse((DATA / f"{name}.txt").read_text())
    requests, errors, p50_ms, p99_ms = expected
    assert (read.requests, read.errors) == (requests, errors)
    assert read.p50_ms == pytest.approx(p50_ms, abs=5e-4)
    assert read.p99_ms == (None if p99_ms is None else pytest.approx(p99_ms, abs=5e-4))
    assert read.p95_ms is not None
    assert read.p95_ms >= p50_ms


def test_every_tool_has_an_output_to_be_read() -> None:
    assert set(OUTPUTS) == {name for name in TOOL if name != "triton_bench --samples"}


def test_what_oha_cuts_off_at_the_end_is_no_error() -> None:
    read = TOOL["oha"].parse((DATA / "oha_closed.txt").read_text())
    assert (read.requests, read.errors, read.extra["cut_off"]) == (453, 0, 10)


@pytest.mark.parametrize("name", OUTPUTS)
def test_another_output_is_refused(name: str) -> None:
    with pytest.raises(OutputError):
        TOOL[name].parse("could not connect")


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_load_becomes_a_command_that_names_it(tool: Tool, tmp_path: Path) -> None:
    body = tmp_path / "body.bin"
    url = "http://127.0.0.1:1/x"
    argv = tool.invoke("program", Load(url, 32, 4.0, body=body, work=tmp_path)).argv
    told = " ".join(argv) + "".join(file.read_text() for file in tmp_path.glob("*.txt"))
    assert argv[0] == "program"
    assert all(text in told for text in (url, str(body), "32", "4"))
    if tool.open_loop:
        argv = tool.invoke("program", Load(url, 1, 4.0, rate=250, work=tmp_path)).argv
        assert any("250" in word for word in argv)


@given(st.integers(1, 1999), st.integers(20, 500))
def test_a_freeze_is_over_for_all_at_the_same_time(freeze_at: int, rate: int) -> None:
    """Answers never come while it lasts, and each request takes the delay at least."""
    times = truth.frozen_ms(2000, rate, freeze_at)
    begin_ms = (freeze_at - 1) / rate * 1e3
    end_ms = begin_ms + truth.FREEZE_MS
    for k, time_ms in enumerate(times):
        done_ms = k / rate * 1e3 + time_ms
        assert time_ms >= truth.DELAY_MS - 1e-6
        assert done_ms <= begin_ms + 1e-6 or done_ms >= end_ms - 1e-6
    assert times[freeze_at - 1] == pytest.approx(truth.FREEZE_MS)
    assert max(times) <= truth.FREEZE_MS + truth.DELAY_MS + 1e-6


def test_the_cases_have_enough_requests_and_connections() -> None:
    for case in truth.cases():
        assert len(case.times_ms) == case.rate * case.duration_s
        assert len(case.times_ms) >= 368  # for a P99
        in_flight = case.rate * max(case.times_ms) / 1e3
        assert case.connections > in_flight
    frozen = truth.theory(truth.cases()[-1])
    assert frozen["p50"] == truth.DELAY_MS
    assert frozen["p95"] > 15 * truth.DELAY_MS  # a tool that leaves the waits out cannot miss this


@given(
    st.lists(st.integers(0, 3_000_000), min_size=8, max_size=60),
    st.integers(50_000, 2_000_000),
    st.integers(0, 10**18),
)
def test_lags_are_found_again_whatever_the_spacing(
    lags_ns: list[int], step_ns: int, start_ns: int
) -> None:
    """Half of the requests are punctual, on both sides of the middle."""
    lags_ns = [0 if k % 2 or k in (0, len(lags_ns) - 1) else lag for k, lag in enumerate(lags_ns)]
    arrivals = start_ns + np.arange(len(lags_ns)) * step_ns + np.array(lags_ns)
    found_us = pacing.lags_of_spaced(arrivals.astype(np.int64))
    assert found_us * 1e3 == pytest.approx(np.array(lags_ns), abs=0.01)


@given(st.lists(st.integers(1, 10_000_000), min_size=3, max_size=25))
def test_no_schedule_under_all_arrivals_fits_better(gaps_ns: list[int]) -> None:
    arrivals = np.cumsum(np.array(gaps_ns, dtype=np.int64))
    found_us = pacing.lags_of_spaced(arrivals)
    assert found_us.min() >= -1e-6
    k = np.arange(arrivals.size)
    sums = []
    for i in range(k.size):
        for j in range(i + 1, k.size):
            line = arrivals[i] + (arrivals[j] - arrivals[i]) / (j - i) * (k - i)
            if (lags := arrivals - line).min() >= -1e-3:
                sums.append(lags.sum() / 1e3)
    assert found_us.sum() == pytest.approx(min(sums), abs=0.01)


def test_a_request_before_the_schedule_has_no_lag() -> None:
    due = np.arange(3000, dtype=np.int64) * 1_000_000
    arrivals = np.concatenate([[-5_000_000], due + 70_000]).astype(np.int64)
    lags_us = pacing.lags_of_known(arrivals, due)
    found_us = pacing.summary(lags_us)
    assert found_us.pop("n") == 2000
    assert set(found_us.values()) == {70.0}
    with pytest.raises(RunningError, match="2999 arrivals of 3000"):
        pacing.lags_of_known(arrivals[2:], due)


def chunks(*parts: bytes) -> Iterator[bytes]:
    for part in parts:
        yield part
        time.sleep(0.02)


def test_the_null_server_understands_requests_in_any_pieces(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "arrivals.bin"
    with server(bench.stub, ("--mode", "null", "--log", str(log)), bench.cpus) as stub:
        host, _, port = stub.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as client:
            before = time.time_ns()
            for part in chunks(
                b"POST /x HTTP/1.1\r\nHost: a\r\ncontent-LEN", b"gth: 100003\r\n\r\nabc",
                bytes(50_000), bytes(50_000) + b"GET /y HTTP/1.1\r\nHost: a\r\n",
                b"\r\nGET /z HTTP/1.1\r\n\r\n",
            ):  # fmt: skip
                client.sendall(part)
            answers = b""
            while answers.count(b"HTTP/1.1 200 OK") < 3 or not answers.endswith(b"}"):
                answers += client.recv(4096)
            after = time.time_ns()
        assert stub.requests() == 3
    arrived = pacing.read_arrivals(log)
    assert arrived.size == 3
    assert before - 1_000_000 <= arrived[0] <= arrived[-1] <= after
    # The first began 60 ms before the rest was there.
    assert arrived[1] - arrived[0] > 40_000_000


def test_triton_benchs_lag_is_the_same_by_both_methods(bench: Bench, tmp_path: Path) -> None:
    part, tool = pacing.Pacing(3.0), TOOL["triton_bench --samples"]
    facts = part.measure(bench, tool, "1000/s", tmp_path)
    assert facts["requests"] >= 3000
    assert facts["reported_errors"] == 0
    assert facts["achieved"] == pytest.approx(1, abs=0.02)
    absolute, relative = facts["absolute_lag_us"], facts["lag_us"]
    assert absolute["n"] == pytest.approx(2000, abs=20)
    assert 0 < relative["p50"] <= absolute["p50"]


def test_throughput_counts_what_the_server_answered(bench: Bench, tmp_path: Path) -> None:
    for condition in Throughput(0.5).conditions:
        facts = Throughput(0.5).measure(bench, TOOL["triton_bench"], condition, tmp_path)
        assert facts["requests"] > 100
        assert facts["requests"] == pytest.approx(facts["reported_requests"], abs=40)
        assert 0 < facts["cpu_s"] < facts["wall_s"] * 1.2
        assert facts["requests_per_cpu_s"] == pytest.approx(
            facts["requests"] / facts["cpu_s"], rel=1e-3
        )


def test_where_there_is_one_cpu_the_result_says_so() -> None:
    assert "share one CPU" in report.text(result() | {"cpus": {"server": 0, "generator": 0}})
    assert "share one CPU" not in report.text(result())


def test_a_generator_runs_on_its_cpu_alone_and_its_time_is_taken() -> None:
    cpu = choose_cpus().generator
    busy = "import os, time\nwhile time.process_time() < 0.3: pass\nprint(os.sched_getaffinity(0))"
    ended = run([sys.executable, "-c", busy], cpu, 60)
    assert ended.stdout.strip() == f"{{{cpu}}}"
    assert 0.3 <= ended.cpu_s < 3


def test_a_generator_that_fails_or_hangs_is_said_to() -> None:
    cpu = min(os.sched_getaffinity(0))
    with pytest.raises(RunningError, match="ended with 3: no such luck"):
        run([sys.executable, "-c", "import sys; print('no such luck'); sys.exit(3)"], cpu, 60)
    begun = time.monotonic()
    with pytest.raises(RunningError, match="still running after 0 s"):
        run(["sleep", "60"], cpu, 0.3)
    assert time.monotonic() < begun + 5


def test_each_round_meets_every_tool_in_an_order_of_its_own() -> None:
    parts: list[Part] = [Throughput(1), pacing.Pacing(1), truth.Truth()]
    stops = plan(parts, TOOLS, 3, seed=7)

    def key(stop: Stop) -> tuple[str, str, int, str]:
        return (stop.part.name, stop.condition, stop.round, stop.tool.name)

    keys = [key(stop) for stop in stops]
    assert len(set(keys)) == len(keys) == 3 * (2 * 9 + 3 * 7 + 3 * 8)
    assert keys == [key(stop) for stop in plan(parts, TOOLS, 3, seed=7)]
    assert keys != [key(stop) for stop in plan(parts, TOOLS, 3, seed=8)]
    orders = {tuple(k[3] for k in keys if k[:3] == ("throughput", "GET", n)) for n in (1, 2, 3)}
    assert len(orders) > 1


def test_a_tool_whose_installer_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "PROGRAMS", tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, client in (("oha", "cargo"), ("vegeta", "go")):
        with pytest.raises(install.InstallError, match=f"{client}: not found"):
            install.install(name)
    with pytest.raises(install.InstallError, match=r"wrk: not installed|apt-get: not found"):
        install.install("wrk")


def visit(part: str, condition: str, tool: str, **facts: Any) -> dict[str, Any]:
    common = {"failure": None, "round": 1, "reported_errors": 0, "others_share": 0.0}
    return {"part": part, "condition": condition, "tool": tool} | common | facts


def result(*visits: dict[str, Any]) -> dict[str, Any]:
    machine = {"cpu": "a CPU", "threads": 2, "virtualization": None, "kernel": "6", "os": "an OS",
               "load_before": [0.0]}  # fmt: skip
    return {
        "version": 1, "started": "2026-11-23T00:00:00Z", "interrupted": False, "quick": False,
        "seed": 1, "cpus": {"server": 0, "generator": 1}, "machine": machine,
        "commit": {"sha": "0" * 40, "dirty": False}, "missing": {"k6": "go: not found"},
        "tools": {"wrk": {"version": "4", "source": "here"}}, "visits": list(visits),
    }  # fmt: skip


def test_targets_are_judged_by_medians_and_misses_are_told() -> None:
    def cpu(tool: str, *rates: float, others: float = 0.0) -> list[dict[str, Any]]:
        facts = {"cpu_s": 1.0, "wall_s": 1.0, "server_share": 0.5, "others_share": others}
        return [visit("throughput", "GET", tool, requests_per_cpu_s=r, **facts) for r in rates]

    rates = [*cpu("triton_bench", 90, 10, 100, others=0.3), *cpu("fortio", 91), *cpu("wrk", 110)]
    judged = {t.name: t for t in found.targets(result(*rates))}
    ahead = judged["GET: ahead of every Go and Rust peer"]
    assert (ahead.met, ahead.found) == (False, "0.99 of fortio")
    assert "30%" in ahead.reason
    assert judged["GET: at least 0.8 of wrk"].met
    assert judged["reported percentiles within 1% of theory"].met is None
    text = report.text(result(*rates))
    assert "| k6 | Go | **NOT COMPARED** | go: not found |" in text
    assert "**MISSED**" in text


def test_a_tool_that_did_not_keep_the_rate_or_failed_is_shown_as_such() -> None:
    lag = {"p50": 5.0, "p90": 6.0, "p99": 7.0}
    ours = visit("pacing", "1000/s", "triton_bench --samples", achieved=1.0, lag_us=lag,
                 absolute_lag_us={"p50": 70.0, "p90": 80.0, "p99": 90.0})  # fmt: skip
    slow = visit("pacing", "1000/s", "vegeta", achieved=0.43, lag_us={**lag, "p50": 0.0})
    broken = visit("pacing", "1000/s", "oha") | {"failure": "oha: ended with 1"}
    whole = result(ours, slow, broken)
    judged = {t.name: t for t in found.targets(whole)}
    assert not judged["sent late at 1000/s, P50 under 60 us"].met
    assert judged["sent late at 1000/s, P99 under 300 us"].met
    assert (
        judged["sent late at 1000/s, P50 the lowest of all"].met is None
    )  # nobody to compare with
    text = report.text(whole)
    for line in (
        "| vegeta | sent 43% |  |  |",
        "| oha | failed |  |  |",
        "| wrk | has no rate |  |  |",
        "| oha | pacing 1000/s | 1 | oha: ended with 1 |",
    ):
        assert line in text


def test_a_run_of_ones_own_leaves_a_result_and_its_tables(bench: Bench, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.peers", "--tools", "none", "--quick",
               "--seed", "5", "--only", "throughput", "--output", str(tmp_path)]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("*.json")
    whole = record.read(file)
    assert [(v["tool"], v["failure"]) for v in whole["visits"] if v["condition"] == "GET"]
    assert not any(v["failure"] for v in whole["visits"])
    assert done.stdout == report.text(whole) + "\n" == file.with_suffix(".md").read_text()
    assert (whole["seed"], whole["interrupted"], whole["missing"]) == (5, False, {})
    assert "4 of 4" in done.stderr


def test_ctrl_c_keeps_what_was_measured(bench: Bench, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.peers", "--tools", "none", "--quick",
               "--only", "throughput", "--output", str(tmp_path)]  # fmt: skip
    with subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("2 of"):
                time.sleep(0.3)
                process.send_signal(2)
                break
        process.communicate(timeout=30)
    assert process.returncode == 130
    (file,) = tmp_path.glob("*.json")
    whole = json.loads(file.read_text())
    assert (whole["interrupted"], len(whole["visits"])) == (True, 1)


def test_help_has_examples_and_tools_must_be_known(capsys: pytest.CaptureFixture[str]) -> None:
    for action in peers.parser()._actions:
        assert action.help, action.dest
    with pytest.raises(SystemExit) as ended:
        peers.main(["--help"])
    assert ended.value.code == 0
    assert "--only pacing --tools oha,vegeta" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        peers.main(["--tools", "wrk,ab"])
    assert ended.value.code == 2
    assert "ab: not known; expected some of wrk" in capsys.readouterr().err


def test_the_tables_of_a_result_are_what_it_says(tmp_path: Path) -> None:
    """Of those that are committed, too."""
    written = record.write(tmp_path, result()).with_suffix(".json")
    for file in (written, *(ROOT / "benchmarks/results/peers").glob("*.json")):
        assert report.text(record.read(file)) + "\n" == file.with_suffix(".md").read_text()


def test_a_recorded_command_names_no_folder_of_its_machine() -> None:
    given = ("/opt/x/wrk", "-c32", "BODY=/var/y/body.bin", "URL=http://h:1/null", "http://h:1/null")
    assert [shown(word) for word in given] == [
        "wrk", "-c32", "BODY=body.bin", "URL=http://h:1/null", "http://h:1/null",
    ]  # fmt: skip
