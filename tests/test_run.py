"""
Runs from end to end: the real generator against real processes, interrupted in every way.

Most use a service of a few lines, because what is tested is the runner; the last ones use ours.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from http.server import ThreadingHTTPServer
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from analysis import frames
from benchmarks import probe, record
from benchmarks import slowest as slow
from benchmarks.processes import free_port
from benchmarks.progress import Display
from benchmarks.record import Record, Visit
from benchmarks.recorder import write_json
from loadtests import samples
from tests.data.tiny_checkout.service.__main__ import Handler
from tests.tiny import CHECKOUT, HEAD, ROOT, await_gone, campaign, occupied_port

WINDTUNNEL = [str(Path(sys.executable).with_name("windtunnel")), "run"]
REFUSED = 2
LONG = "clients = [2]\nrepeats = 3\nduration_s = 0.6\n"
SLOW = "clients = [2]\nrepeats = 1\nduration_s = 2.5\n"  # time to look at a visit in flight


def command(results: Path, *arguments: object, checkout: Path | None = CHECKOUT) -> list[str]:
    own = ["--results", str(results), *(["--checkout", str(checkout)] if checkout else [])]
    return [*WINDTUNNEL, *own, *map(str, arguments)]


def run(
    results: Path, *arguments: object, expect: int = 0, checkout: Path | None = CHECKOUT
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(results, *arguments, checkout=checkout),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def start(results: Path, *arguments: object, checkout: Path = CHECKOUT) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(results, *arguments, checkout=checkout),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def family(pid: int) -> list[psutil.Process]:
    children: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    return children


def until(condition: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def repeats(results: Path) -> list[Path]:
    return sorted(results.glob("*/*/cells/*/*/r*"))


def in_mid_visit(results: Path, completed: int) -> Callable[[], bool]:
    """Some visits are complete and another is being measured."""
    return lambda: (
        len(repeats(results)) >= completed and any(results.glob("*/*/cells/*/*/.*.partial/*"))
    )


def fingerprint(path: Path) -> dict[str, tuple[int, int]]:
    """Which files there are; a repeat that was run twice has other ones."""
    stats = {str(f): f.stat() for f in path.rglob("*.parquet")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def check_whole(found: Record) -> None:
    assert found.status == "complete"
    assert found.missing() == []
    for visit in found.completed():
        rows = samples.read(found.samples(visit)).table
        summary = found.facts(visit)["generator"]
        assert rows.num_rows == summary["accounting"]["issued"] > 0
    assert not list(found.path.glob("cells/*/*/.*"))


def test_a_run_leaves_a_whole_record(tmp_path: Path) -> None:
    done = run(tmp_path / "results", campaign(tmp_path), "--seed", 7)
    found = record.load(tmp_path / "results/tiny")
    check_whole(found)
    assert found.question == "Which of two tiny services is faster?"
    assert found.variants == ["one", "two", "one.aa"]
    assert len(found.completed()) == 3 * 2 * 2
    assert found.run["finished"] >= found.run["started"]
    assert found.campaign["seed"] == 7
    assert found.run["services"]["two"]["settings"] == {"SERVICE_JSON": "bytes"}
    assert found.run["services"]["two"]["health"]["pid"] > 0
    assert found.run["pinning"]["reason"]
    assert (found.path / "logs/one.aa.txt").read_text().count("tiny: starting") >= 2
    lines = [line for line in done.stdout.splitlines() if " req/s " in line]
    assert len(lines) == 12, "one line a repeat where there is no terminal"
    assert lines[0].startswith(" 1/12  repeat 1  ")
    assert " clients  " in done.stdout
    assert " left" in lines[0]
    assert f"windtunnel compare {found.path}" in done.stdout


def test_visits_are_made_in_the_recorded_order_and_say_what_they_used(tmp_path: Path) -> None:
    run(tmp_path / "results", campaign(tmp_path, two="workers"))
    found = record.load(tmp_path / "results")
    facts = [found.facts(visit) for visit in found.order()]
    assert [fact["position"] for fact in facts] == list(range(1, 13))
    started = [fact["generator"]["started_unix_ns"] for fact in facts]
    assert started == sorted(started)
    for fact, visit in zip(facts, found.order(), strict=True):
        assert fact["generator"]["clients"] == int(visit.level[1:])
        assert len(fact["service"]["pids"]) == (3 if visit.variant == "two" else 1)
        assert 0 < fact["service"]["cpu_s"] < 2
        assert fact["service"]["rss_max_bytes"] > 1 << 20
        assert 0 < fact["machine"]["busy_share"] <= 1
    seeds = {(v.level, v.repeat): set[int]() for v in found.order()}
    for fact, visit in zip(facts, found.order(), strict=True):
        seeds[visit.level, visit.repeat].add(fact["generator"]["seed"])
    assert all(len(block) == 1 for block in seeds.values()), "a block is sent the same images"


def test_the_plan_can_be_seen_before(tmp_path: Path) -> None:
    done = run(tmp_path / "results", "--dry-run", campaign(tmp_path), "--only", "two")
    assert "4: 2 of each of 2 cells; each of 0.3 s after 0.1 s of warm-up" in done.stdout
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "kill")])
def test_an_interrupted_run_goes_on_where_it_stopped(
    tmp_path: Path, number: int, name: str
) -> None:
    results = tmp_path / "results"
    file = campaign(tmp_path, two="workers", more=LONG)
    runner = start(results, file)
    until(in_mid_visit(results, 2))
    children = family(runner.pid)
    assert len(children) >= 3
    runner.send_signal(number)
    _, said = runner.communicate(timeout=30)
    assert runner.returncode == 130
    assert await_gone(children) == []
    found = record.load(results)
    assert found.status == "interrupted"
    assert f"windtunnel run --resume {found.path}" in said
    assert f"{len(found.completed())} of 9 repeats are kept" in said
    kept = fingerprint(found.path)
    assert len(kept) >= 2

    missing = len(found.missing())
    done = run(results, "--resume", *([file] if name == "kill" else []))
    assert f"{missing} of 9 repeats are missing" in done.stdout
    assert "NOTE" not in done.stdout
    again = record.load(results)
    assert again.path == found.path, "it is the same run"
    check_whole(again)
    assert kept.items() <= fingerprint(again.path).items(), "no repeat was run twice"
    assert again.order() == found.order()
    assert len(again.run["resumed"]) == 1


def test_after_kill_9_nothing_runs_and_nothing_half_written_counts(tmp_path: Path) -> None:
    results = tmp_path / "results"
    runner = start(results, campaign(tmp_path, two="workers", more=SLOW))
    until(in_mid_visit(results, 1))
    children = family(runner.pid)
    names = {process.name() for process in children}
    assert "triton_bench" in names, "it is killed while a generator runs"
    runner.kill()
    runner.communicate(timeout=10)
    assert await_gone(children) == []
    found = record.load(results)
    assert found.status == "running"
    assert list(found.path.glob("cells/*/*/.*.partial"))
    kept = fingerprint(found.path / "cells")
    complete = {name: value for name, value in kept.items() if ".partial" not in name}
    run(results, "--resume", found.path)
    check_whole(record.load(results))
    assert complete.items() <= fingerprint(found.path / "cells").items()


def test_a_record_has_one_runner(tmp_path: Path) -> None:
    results = tmp_path / "results"
    runner = start(results, campaign(tmp_path, more=SLOW))
    until(in_mid_visit(results, 0))
    second = run(results, "--resume", expect=REFUSED)
    assert "another runner is writing this record" in second.stderr
    runner.send_signal(signal.SIGINT)
    runner.communicate(timeout=30)


def test_a_service_that_dies_in_mid_run_stops_it_without_loss(tmp_path: Path) -> None:
    results = tmp_path / "results"
    done = run(results, campaign(tmp_path, two="die_late", more=LONG), expect=1)
    assert "variant 'two': the service ended with status 9 while it was measured" in done.stderr
    assert "    tiny: CUDA out of memory, says nobody" in done.stderr
    assert "Traceback" not in done.stderr
    found = record.load(results)
    assert found.status == "interrupted"
    assert f"windtunnel run --resume {found.path}" in done.stderr
    assert not any(visit.variant == "two" for visit in found.completed())
    assert not list(found.path.glob("cells/*/*/.*"))


def test_a_service_that_dies_at_start_stops_the_run_with_its_last_lines(tmp_path: Path) -> None:
    done = run(tmp_path / "results", campaign(tmp_path, two="die"), expect=1)
    assert "variant 'two': the service ended with status 3 before it was ready" in done.stderr
    assert "    tiny: no model at /nowhere" in done.stderr
    assert record.load(tmp_path / "results").completed() == []


def test_nothing_starts_when_a_setting_or_key_is_wrong(tmp_path: Path) -> None:
    file = campaign(tmp_path)
    text = file.read_text()
    file.write_text(text.replace('SERVICE_JSON = "bytes"', 'SERVICE_JSN = "bytes"', 1))
    done = run(tmp_path / "results", file, expect=REFUSED)
    assert "the service refuses its settings: settings: unknown SERVICE_JSN" in done.stderr
    file.write_text(text.replace("repeats", "repeets"))
    refused = run(tmp_path / "results", file, expect=REFUSED)
    last = refused.stderr.splitlines()[-1]
    assert last.startswith(f"windtunnel: {file}: unknown key 'repeets'; expected one of name,")
    assert last.endswith("did you mean 'repeats'?")
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "results").exists()


def test_a_run_is_not_resumed_with_another_campaign(tmp_path: Path) -> None:
    results = tmp_path / "results"
    file = campaign(tmp_path, two="die")
    run(results, file, expect=1)
    campaign(tmp_path, two="bytes")
    done = run(results, "--resume", file, expect=REFUSED)
    assert "differs from the campaign of" in done.stderr
    assert "in variants" in done.stderr
    nothing = run(tmp_path / "empty", "--resume", expect=REFUSED)
    assert "no unfinished run" in nothing.stderr


def test_a_run_goes_on_with_the_service_that_it_began_with(tmp_path: Path) -> None:
    results, moved = tmp_path / "results", tmp_path / "checkout"
    shutil.copytree(CHECKOUT, moved)
    file, other = campaign(tmp_path, two="die"), tmp_path / "other.toml"
    shutil.copy(file, other)
    done = run(results, file, other, "--seed", 3, "--skip-unavailable", expect=1, checkout=moved)
    found = record.load(results)
    assert found.run["checkout"] == str(moved)
    asked = f"--skip-unavailable --seed 3 --checkout {moved} --results {results}"
    assert f"windtunnel run {other} {asked}" in done.stderr.splitlines()[-1].strip()

    commit = {"sha": "0123456789abcdef", "dirty": False}
    write_json(found.path / "run.json", {**found.run, "commit": commit})
    said = run(results, "--resume", found.path, expect=1, checkout=None).stdout
    assert "NOTE: the run began with commit 0123456 and goes on with code of no known" in said
    again = record.load(results)
    assert again.run["checkout"] == str(moved)
    refused = run(results, "--resume", "--skip-unavailable", expect=2)
    assert "keeps the recorded plan" in refused.stderr


def test_a_run_is_not_resumed_on_another_machine(tmp_path: Path) -> None:
    run(tmp_path, campaign(tmp_path, two="die"), expect=1)
    found = record.load(tmp_path / "tiny")
    machine = {**found.run["machine"], "cpu": "Z80"}
    write_json(found.path / "run.json", {**found.run, "machine": machine})
    done = run(tmp_path, "--resume", found.path, expect=REFUSED)
    assert "measured with cpu 'Z80'" in done.stderr


def test_a_service_can_be_started_for_each_visit(tmp_path: Path) -> None:
    more = "clients = [1, 2]\nrepeats = 1\nduration_s = 0.3\naa = false\nrestart = 'cell'\n"
    run(tmp_path, campaign(tmp_path, more=more))
    found = record.load(tmp_path / "tiny")
    check_whole(found)
    pids = [found.facts(visit)["service"]["pids"][0] for visit in found.completed()]
    assert len(set(pids)) == len(pids) == 4


def test_a_terminal_shows_where_the_run_is_and_the_live_numbers() -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    visit = Visit("mine", "c0008", 2)
    visits = [visit, *(Visit("baseline.aa", "c0032", repeat) for repeat in range(1, 36))]
    facts = {"generator": {"throughput_rps": 45.2, "response_ms": {"p50": 21.04, "p99": None}}}
    with Display("demo", visits, console) as display:
        display.visit(visit, 5, lambda _running_s: 125.0)
        display.show({"elapsed_s": 1, "total_s": 5, "phase": "measure", "rps": 44, "p99_ms": 30.4})
        display.done(visit, 5, facts)
    text = screen.getvalue()
    assert "demo   5/36   repeat 2   8 clients   mine   about 2 min 05 s left" in text
    for part in ("44.0 req/s", "P99 30.4 ms", "P50    - ms", "0 failed"):
        assert part in text
    kept = " 5/36  repeat 2   8 clients  mine         45.2 req/s  P50 21.0 ms  P95 -  P99 -  0 ok"
    assert kept in text


def test_samples_that_cannot_be_written_are_not_a_repeat(tmp_path: Path) -> None:
    """A limit on the size of files fails a write in the middle, as a full disk does."""
    file = campaign(tmp_path, more="clients = [4]\nrepeats = 1\nduration_s = 2\n")
    runner = subprocess.Popen(
        ["bash", "-c", 'ulimit -f 12; exec "$@"', "limited", *command(tmp_path / "results", file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    out, said = runner.communicate(timeout=60)
    assert runner.returncode == 1, out + said
    found = record.load(tmp_path / "results")
    assert found.status == "interrupted"
    assert found.completed() == []
    assert not list(found.path.glob("cells/*/*/*"))
    assert "not measured, 2 times" in said


def test_a_url_is_a_variant_and_a_generator_that_measured_nothing_is_no_repeat(
    tmp_path: Path,
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        # A daemon, so that a failure here ends the tests and does not hang them.
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        file = tmp_path / "url.toml"
        url = f"http://127.0.0.1:{server.server_port}/detect"
        more = "rates = [50]\nrepeats = 1\nduration_s = 0.5\naa = false\n"
        file.write_text(f'{HEAD}{more}[variants.here]\nurl = "{url}"\n')
        run(tmp_path / "results", file)
        server.shutdown()
        thread.join()
    found = record.load(tmp_path / "results")
    check_whole(found)
    assert found.levels == ["q0050"]
    (visit,) = found.completed()
    assert found.facts(visit)["service"] is None
    assert found.run["services"]["here"]["url"] == url
    done = run(tmp_path / "results", file, expect=1)
    assert "variant 'here'" in done.stderr
    assert "no answer" in done.stderr


class Traced(Handler):
    """Keeps what requests say of themselves."""

    heard: list[tuple[str, str, str | None]]

    def do_POST(self) -> None:
        self.heard.append((self.path, self.headers["traceparent"], self.headers["baggage"]))
        super().do_POST()


@pytest.mark.parametrize("sender", ["triton_bench", "locust"])
def test_requests_that_are_traced_say_which_cell_of_which_run_they_are(
    tmp_path: Path, sender: str
) -> None:
    heard: list[tuple[str, str, str | None]] = []
    handler = type("Hearing", (Traced,), {"heard": heard})
    file = tmp_path / "traced.toml"
    more = (
        f'generator = "{sender}"\nclients = [2]\nrepeats = 1\n'
        "duration_s = 0.5\naa = false\ntrace_ratio = 1\n"
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        file.write_text(
            f"{HEAD}{more}"
            f'[variants.all]\nurl = "{url}/all"\n'
            f'[variants.none]\nurl = "{url}/none"\ntrace_ratio = 0\n'
        )
        run(tmp_path / "results", file)
        server.shutdown()
    found = record.load(tmp_path / "results")
    assert found.campaign["trace_ratio"] == 1
    assert found.campaign["variants"]["none"]["trace_ratio"] == 0
    sent = {path: [h for h in heard if h[0] == path and h[1]] for path in ("/all", "/none")}
    baggage = (
        f"loadtest.campaign=tiny,loadtest.run={found.run_id},loadtest.variant=all,"
        "loadtest.cell=all%20c0002"
    )
    assert {(t[-3:], b) for _, t, b in sent["/all"]} == {("-01", baggage)}
    assert {(t[-3:], b) for _, t, b in sent["/none"]} == {("-00", None)}
    ids = {traceparent.split("-")[1] for _, traceparent, _ in sent["/all"]}
    for visit in found.completed():
        slowest = found.facts(visit)["slowest"]
        rows = samples.read(found.samples(visit)).table.to_pylist()
        rows = [row for row in rows if row["phase"] == "measure"]
        rows.sort(key=lambda row: row["due_ns"] - row["done_ns"])
        assert [each["trace_id"] for each in slowest] == [row["trace_id"] for row in rows[:10]]
        assert [each["due_ns"] for each in slowest] == [row["due_ns"] for row in rows[:10]]
        assert slowest[0]["latency_ms"] == round((rows[0]["done_ns"] - rows[0]["due_ns"]) / 1e6, 3)
        assert {each["sampled"] for each in slowest} == {visit.variant == "all"}
        assert (slowest[0]["trace_id"] in ids) is (visit.variant == "all")
        assert {(each["status"], each["error"]) for each in slowest} == {(200, "")}
        assert {each["image"] for each in slowest} == {"cat-451x300.jpg"}


def test_the_slowest_are_found_wherever_they_are_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow, "BATCH_ROWS", 64)
    drawn, path = random.Random(5), tmp_path / "s.parquet"
    rows: list[dict[str, Any]] = [
        {
            **dict.fromkeys(samples.SCHEMA.names),
            **{"due_ns": n, "sent_ns": n, "done_ns": n + 10_000 * drawn.randrange(20)},
            **{"status": 200, "error": "", "bytes_in": n, "bytes_out": 1, "client": 0},
            **{"image": f"{n % 3}.jpg", "trace_id": f"{n:032x}" if n % 2 else None},
            "phase": drawn.choice(samples.PHASES),
        }
        for n in range(1000)
    ]
    window = samples.Window(0, 0, 10**9)
    for kept in (rows, rows[:3], []):
        samples.write(path, pa.Table.from_pylist(kept, samples.SCHEMA), window)
        pq.write_table(pq.read_table(path), path, row_group_size=300)
        measured = [row for row in kept if row["phase"] == "measure"]
        measured.sort(key=lambda row: row["due_ns"] - row["done_ns"])
        found = slow.slowest(path, 1)
        assert [each["due_ns"] for each in found] == [row["due_ns"] for row in measured[:10]]
        assert [each["trace_id"] for each in found] == [row["trace_id"] for row in measured[:10]]
        assert [each["sampled"] for each in found] == [bool(each["trace_id"]) for each in found]
    samples.write(path, pa.Table.from_pylist(rows, samples.SCHEMA), window)
    damaged = bytearray(path.read_bytes())
    damaged[4:2000] = bytes(1996)
    path.write_bytes(damaged)
    with pytest.raises(samples.SamplesError, match="damaged"):
        slow.slowest(path, 1)


def test_the_generators_metrics_say_which_cell_is_measured(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    file = campaign(tmp_path, more="clients = [2]\nrepeats = 1\nduration_s = 3\naa = false\n")
    runner = start(tmp_path / "results", "--metrics-addr", address, file)
    seen: set[str] = set()

    def scrape() -> bool:
        with suppress(OSError):
            status, page = probe.get(f"http://{address}/metrics", 1)
            assert status == 200
            lines = page.decode().splitlines()
            seen.update(line for line in lines if line.startswith("loadtest_run_info"))
        return runner.poll() is not None

    until(scrape, 60)
    out, err = runner.communicate(timeout=10)
    assert runner.returncode == 0, err
    assert f"http://{address}/metrics" in out
    name = record.load(tmp_path / "results").run_id
    for variant in ("one", "two"):
        labels = (
            f'campaign="tiny",cell="{variant} c0002",clients="2",rate="",repeat="1",run="{name}",'
            f'variant="{variant}"'
        )
        assert f"loadtest_run_info{{{labels}}} 1" in seen


def test_an_address_for_metrics_that_is_taken_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    file = campaign(tmp_path)
    with occupied_port() as port:
        taken = f"127.0.0.1:{port}"
        done = run(tmp_path / "results", "--metrics-addr", taken, file, expect=REFUSED)
        assert f"--metrics-addr {taken}: cannot be served ([Errno 98]" in done.stderr
    done = run(tmp_path / "results", "--metrics-addr", "9646", file, expect=REFUSED)
    assert "it is not HOST:PORT" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_campaign_can_be_sent_by_locust(tmp_path: Path) -> None:
    more = (
        'generator = "locust"\nclients = [3]\nrepeats = 1\nduration_s = 0.5\nmin_requests = 100\n'
        "aa = false\n"
    )
    file = campaign(tmp_path, more=more)
    assert "sent by locust" in run(tmp_path / "results", "--dry-run", file).stdout
    run(tmp_path / "results", file)
    found = record.load(tmp_path / "results")
    check_whole(found)
    assert found.campaign["generator"] == "locust"
    for visit in found.completed():
        facts = found.facts(visit)
        summary = facts["generator"]
        assert (summary["tool"], summary["clients"]) == ("locust", 3)
        assert summary["tool_version"] == version("locust")
        assert summary["measured"]["ok"] >= 100
        assert summary["seed"] > 1
        assert facts["service"]["cpu_s"] > 0
        window = samples.read(found.samples(visit)).window
        assert asdict(window) == summary["window"]
    write_json(found.path / "run.json", {**found.run, "status": "interrupted"})
    shutil.rmtree(found.path / found.completed()[0].folder)
    file.write_text(file.read_text().replace('generator = "locust"\n', ""))
    refused = run(tmp_path / "results", "--resume", file, expect=REFUSED)
    assert "in generator" in refused.stderr, "one record has one generator"


def test_our_own_service_runs_the_smoke_campaign(tmp_path: Path) -> None:
    file = ROOT / "benchmarks/campaigns/smoke.toml"
    run(tmp_path, file, checkout=ROOT)
    found = record.load(tmp_path)
    check_whole(found)
    health = found.run["services"]["optimized"]["health"]
    assert health["settings"]["SERVICE_PRESET"] == "optimized"
    for visit in found.completed():
        summary = found.facts(visit)["generator"]
        assert summary["measured"]["ok"] == summary["measured"]["issued"] > 0


def test_what_its_triton_said_and_used_is_part_of_a_repeat(tmp_path: Path) -> None:
    file = tmp_path / "tracks.toml"
    more = "clients = [4]\nrepeats = 1\nduration_s = 2\nwarmup_s = 1\naa = false\n"
    file.write_text(
        f"{HEAD.replace('warmup_s = 0.1', '')}{more}"
        '[variants.local]\npreset = "optimized"\n'
        '[variants.served]\npreset = "optimized"\nSERVICE_TRACK = "D_streaming"\n'
    )
    run(tmp_path / "results", file, checkout=ROOT)
    found = record.load(tmp_path / "results")
    check_whole(found)
    local, served = Visit("local", "c0004", 1), Visit("served", "c0004", 1)
    assert found.metrics(local) is None
    assert found.facts(local)["metrics"] is None
    assert list(found.facts(local)["service"]["by_process"]) == ["service"]

    facts = found.facts(served)
    assert facts["metrics"]["failed"] == 0
    assert facts["metrics"]["readings"] >= 5, "one before the load, one after it, and two a second"
    parts = facts["service"]["by_process"]
    assert parts["triton"]["cpu_s"] > parts["service"]["cpu_s"] > 0, "it decodes and infers"
    assert parts["triton"]["rss_max_bytes"] > 50 << 20
    assert facts["service"]["cpu_s"] == pytest.approx(
        sum(part["cpu_s"] for part in parts.values()), abs=0.002
    )
    used = frames.read(found, served).triton
    assert set(used) == {"nano_D_streaming", "nano_decode", "nano_streaming"}
    assert used["nano_D_streaming"].ensemble
    # Every request that was answered in the window was one inference, but for the edges.
    answered = facts["generator"]["throughput_rps"] * 2
    assert used["nano_streaming"].inferences == pytest.approx(answered, rel=0.1, abs=8)


def test_the_workers_of_our_service_do_not_outlive_a_killed_runner(tmp_path: Path) -> None:
    file = tmp_path / "workers.toml"
    more = "clients = [2]\nrepeats = 1\nduration_s = 20\naa = false\ntrack = 'null'\n"
    file.write_text(
        f'{HEAD}{more}[variants.two]\npreset = "optimized"\nSERVICE_WORKERS = 2\n'
        "SERVICE_TRACK = 'null'\n"
    )
    runner = start(tmp_path, file, checkout=ROOT)
    until(in_mid_visit(tmp_path, 0), 120)
    children = family(runner.pid)
    services = [p for p in children if "serve" in p.cmdline()]
    assert any(len(p.children()) >= 2 for p in services), "uvicorn has started its workers"
    runner.kill()
    runner.communicate(timeout=10)
    assert await_gone(children) == []
    assert json.loads((record.load(tmp_path).path / "run.json").read_text())["status"] == "running"
