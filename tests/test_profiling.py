"""Profiles: real py-spy on real services, alone and inside a run, allowed and not allowed."""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from benchmarks import probe
from benchmarks.processes import Process, RunError, free_port
from benchmarks.profiles import attach, commands, once, sampler, taken
from benchmarks.profiles.attach import Running
from benchmarks.profiles.once import Wanted
from benchmarks.profiles.options import Options
from benchmarks.profiles.sampler import ProfileError, Profiler
from benchmarks.profiles.stripped import strip
from benchmarks.profiles.taken import Watcher
from tests import tiny
from tests.conftest import Service
from tests.tiny import ROOT, await_gone

PR_CAPBSET_DROP, CAP_SYS_PTRACE = 24, 19
# `windtunnel profile` as a process of its own, without the commands of the other packages.
PROFILE = """
import sys
from benchmarks.processes import RunError
from benchmarks.profiles.commands import app
try:
    app()
except RunError as error:
    sys.exit(f"windtunnel: {error}")
"""
BUSY = "import time; end = time.monotonic() + {}\nwhile time.monotonic() < end: pass"
THREADS = """
import threading, time
for _ in range(20):
    threading.Thread(target=time.sleep, args=(60,)).start()
"""
# Something that answers /health with a pid.
HEALTH = """
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"pid": SAID}).encode())
    def log_message(self, *words): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
FRAME = re.compile(r'process \d+:".*"|.+ \(.+\)')


def profile(*words: object, expect: int = 0) -> str:
    """What the command says, its error too; it runs in this process."""
    found = CliRunner().invoke(commands.app, list(map(str, words)), env={"COLUMNS": "400"})
    said = f"{found.output}{found.exception or ''}"
    assert found.exit_code == expect, said
    return said


def started(*words: object, before: Callable[[], None] | None = None) -> "subprocess.Popen[str]":
    """The command as a process, for what cannot be done to this one."""
    return subprocess.Popen(
        [sys.executable, "-c", PROFILE, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=before,
    )


@contextmanager
def python(code: str) -> Iterator[psutil.Process]:
    """A process of Python."""
    process = subprocess.Popen([sys.executable, "-S", "-c", code])
    try:
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def idle() -> Iterator[psutil.Process]:
    """A process of Python that does nothing."""
    with python("import time; time.sleep(600)") as process:
        yield process


def stacks(path: Path) -> list[tuple[list[str], int]]:
    """Frames and count of each line."""
    lines = (line.rpartition(" ") for line in path.read_text().splitlines())
    return [(frames.split(";"), int(count)) for frames, _, count in lines]


def without_ptrace() -> None:
    """What a container without SYS_PTRACE is: root, but not of everybody else's processes."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0)


def words(process: psutil.Process) -> list[str]:
    """Its command line, if it is still there."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def stopped(pid: int) -> list[int]:
    """Which processes of a service have been left stopped."""
    tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return [each.pid for each in tree if each.status() == psutil.STATUS_STOPPED]


@pytest.mark.alone
def test_of_a_url_all_workers_are_profiled_under_load(
    serving: Callable[..., Service], tmp_path: Path
) -> None:
    service = serving(PRESET="baseline", TRACK="A", WORKERS="2")
    output = tmp_path / "p.txt"
    said = profile("--url", service.url, "--duration", 1, "--clients", 4, "--output", output)
    found = stacks(output)
    workers = {frames[1] for frames, _ in found if "spawn_main" in frames[1]}
    assert len(workers) == 2, "both, below their supervisor"
    assert all(frames[0].startswith(f'process {service.pid}:"python') for frames, _ in found)
    assert all(FRAME.fullmatch(frame) for frames, _ in found for frame in frames)
    assert any("(service/imaging.py:" in frame for frames, _ in found for frame in frames)
    assert str(ROOT) not in output.read_text()
    facts = json.loads((tmp_path / "p.json").read_text())
    assert facts["samples"] == sum(count for _, count in found) > 20
    assert facts["errors"] < facts["samples"] / 10
    assert (facts["format"], facts["rate_hz"], facts["duration_s"]) == (1, 100, 1)
    assert facts["program"].startswith("py-spy 0.")
    assert facts["options"] == dict.fromkeys(("native", "gil", "idle", "nonblocking"), False)
    assert facts["answers"] == facts["generator"]["measured"]["ok"] > 5
    assert 0 < facts["cpu_s"] < facts["window_s"] * (os.cpu_count() or 1) * 1.1
    assert (facts["variant"], facts["level"]) == (None, None)
    assert f"{output}: {facts['samples']} samples" in said
    assert "ms of CPU time a request" in said


@pytest.mark.alone
def test_of_one_worker_nobody_knows_how_much_it_answered(
    serving: Callable[..., Service], tmp_path: Path
) -> None:
    service = serving(PRESET="baseline", TRACK="A", WORKERS="2")
    worker = (probe.health(service.url) or {})["pid"]
    words = ("--pid", worker, "--duration", 1, "--output", tmp_path / "p.txt")
    said = profile(*words)
    assert f"process {worker} is one worker of the service of process {service.pid}" in said
    assert f"--pid {service.pid} profiles all" in said
    facts = json.loads((tmp_path / "p.json").read_text())
    assert facts["answers"] is None
    assert facts["generator"]["measured"]["ok"] > 5, "it was loaded"
    assert "CPU time a request" not in said


@pytest.mark.alone
@pytest.mark.parametrize("how", ["--url", "--pid"])
def test_ctrl_c_leaves_nothing_behind_and_the_service_running(
    serving: Callable[..., Service], tmp_path: Path, how: str
) -> None:
    service = serving(PRESET="baseline", TRACK="A", WORKERS="2")
    which = (how, service.url if how == "--url" else service.pid)
    load = () if how == "--url" else ("--no-load",)
    process = started(*which, *load, "--duration", 60, "--output", tmp_path / "p.svg")
    deadline = time.monotonic() + 30
    children: list[psutil.Process] = []
    while not any("record" in words(each) for each in children):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
        children = [
            each for each in psutil.Process(process.pid).children(True) if each.is_running()
        ]
    time.sleep(0.3)  # so that it reads stacks
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "interrupted; nothing was written" in said
    assert await_gone(children) == []
    assert stopped(service.pid) == []
    assert probe.is_open(f"{service.url}/readyz")
    assert list(tmp_path.iterdir()) == []


def test_what_a_reader_held_when_it_had_to_be_killed_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Process, "interrupt", lambda _self, _wait_s: False)
    with python("import time; time.sleep(600)") as target:
        options = Options(rate_hz=1000, duration_s=60, idle=True)
        profiler = Profiler(target.pid, options, tmp_path / "p", "collapsed", None)
        profiler.begin()
        time.sleep(0.3)
        target.suspend()  # as a reader leaves it that is killed at the wrong moment
        profiler.stop()
        deadline = time.monotonic() + 5
        while stopped(target.pid):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_the_script_of_the_guide_profiles_the_service_on_this_machine(tmp_path: Path) -> None:
    script = shutil.copy(ROOT / "scripts/profile_api.sh", tmp_path / "scripts.sh")
    for folder in ("scripts", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    script = Path(script).rename(tmp_path / "scripts/profile_api.sh")
    stub = tmp_path / ".venv/bin/windtunnel"
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stub.chmod(0o755)
    words = ["60", "profile_optimized.svg", "--clients", "2"]
    env = {**os.environ, "API_PORT": "9601"}
    done = subprocess.run([script, *words], env=env, capture_output=True, text=True, check=True)
    given = "profile --url http://127.0.0.1:9601 --duration 60 --output profile_optimized.svg"
    assert done.stdout.split() == [*given.split(), "--clients", "2"]


def test_the_processes_of_a_service_are_found_by_its_pid_and_by_any_workers_url(
    serving: Callable[..., Service],
) -> None:
    service = serving(PRESET="baseline", TRACK="A", WORKERS="2")
    there = f"{service.url}/predict/nano"
    whole = Running(service.pid, there, service.pid)
    for _ in range(5):  # another worker may answer each time
        assert attach.by_url(service.url, "/predict/nano") == whole
    assert attach.by_url(f"{service.url}/my?x=1", "/predict/nano").url == f"{service.url}/my?x=1"
    assert attach.by_pid(service.pid, "/predict/nano") == whole
    worker = (probe.health(service.url) or {})["pid"]
    one = attach.by_pid(worker, "/predict/nano")
    assert (one, one.whole) == (Running(worker, there, service.pid), False)


def test_what_is_not_there_is_said(idle: psutil.Process) -> None:
    assert attach.by_pid(idle.pid, "/x") == Running(idle.pid, None, idle.pid)
    port = free_port()
    with pytest.raises(RunError, match=rf"no process that can be seen listens on port {port}"):
        attach.by_url(f"http://127.0.0.1:{port}", "/x")
    with pytest.raises(RunError, match=r"192\.0\.2\.1 is no address of this machine"):
        attach.by_url(f"http://192.0.2.1:{port}", "/x")
    idle.kill()
    idle.wait()
    with pytest.raises(RunError, match="no such process; expected a service that runs"):
        attach.by_pid(idle.pid, "/x")


@pytest.mark.parametrize(("said", "ours"), [("os.getpid()", True), ("1", False), ("[]", False)])
def test_a_service_is_loaded_only_if_it_says_that_it_is_of_these_processes(
    said: str, ours: bool
) -> None:
    code = HEALTH.replace("SAID", said)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as there:
        try:
            assert there.stdout
            port = int(there.stdout.readline())
            found = attach.by_pid(there.pid, "/x")
        finally:
            there.kill()
    assert found == Running(there.pid, f"http://127.0.0.1:{port}/x" if ours else None, there.pid)


def test_a_process_that_may_not_be_read_is_said_with_what_allows_it(
    idle: psutil.Process, tmp_path: Path
) -> None:
    root = os.geteuid() == 0
    output = tmp_path / "p.svg"
    words = ("--pid", idle.pid if root else 1, "--no-load", "--duration", 1, "--output", output)
    process = started(*words, before=without_ptrace if root else None)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "permission denied" in said
    assert "`cap_add: [SYS_PTRACE]`" in said
    assert "docker run --cap-add SYS_PTRACE" in said
    assert said.count("\n") == 1, "one line"
    assert not output.exists()


def test_without_load_nobody_counts_answers(idle: psutil.Process, tmp_path: Path) -> None:
    output = tmp_path / "p.txt"
    words = ("--duration", 1, "--idle", "--nonblocking", "--rate", 50, "--output", output)
    said = profile("--pid", idle.pid, *words)
    assert "no load is sent" in said
    facts = json.loads((tmp_path / "p.json").read_text())
    assert (facts["answers"], facts["generator"], facts["outlasted"]) == (None, None, False)
    assert facts["options"] == {"native": False, "gil": False, "idle": True, "nonblocking": True}
    assert 20 <= facts["samples"] <= 60, "the one thread waits, and --idle shows that"
    assert "CPU time a request" not in said


def test_a_flamegraph_is_drawn(tmp_path: Path) -> None:
    output = tmp_path / "p.svg"
    with python(BUSY.format(60)) as busy:
        said = profile("--pid", busy.pid, "--no-load", "--duration", 1, "--output", output)
    assert "next: open it in a browser" in said
    assert output.read_text().startswith("<?xml")
    assert f"process {busy.pid}:&quot;python" in output.read_text(), "its folder is taken out"
    assert [path.name for path in tmp_path.iterdir()] == ["p.svg"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give one of --pid, --url and --variant"),
        (("--pid", 1, "--variant", "baseline"), "give one of --pid, --url and --variant"),
        (("--pid", 1, "--campaign", "x.toml"), "--campaign says where a --variant is"),
        (("--variant", "optimised"), "did you mean 'optimized'?"),
        (("--variant", "baseline", "--track", "Q"), "track is 'Q'; expected one of A"),
        (("--variant", "x", "--campaign", "no.toml"), "no.toml: no such file"),
        (("--variant", "baseline", "--output", "/nowhere/p.svg"), "expected a file in a folder"),
        (("--variant", "baseline", "--format", "collapsed", "--output", "p.json"), "give a .txt"),
        (("--url", "127.0.0.1:9600"), "expected an http:// address"),
        (("--url", "http://[::1"), "expected an http:// address"),
        (("--url", "http://h:9600/predict/nano", "--track", "B"), "leave --model and --track"),
        (("--memory", "--pid", 1), "--memory starts a --variant and loads it"),
        (("--memory", "--variant", "baseline", "--rate", 50), "--rate, --native"),
        (("--memory", "--variant", "baseline", "--format", "svg"), "are of CPU time"),
    ],
)
def test_what_cannot_be_profiled_is_refused_in_words(words: tuple[Any, ...], message: str) -> None:
    found = CliRunner().invoke(commands.app, list(map(str, words)), env={"COLUMNS": "400"})
    assert found.exit_code in (1, 2)
    assert message in f"{found.output}{found.exception or ''}"


def test_a_variant_of_a_campaign_is_asked_what_was_asked_for(tmp_path: Path) -> None:
    file = tiny.campaign(tmp_path, more='clients = [1]\ngenerator = "locust"\n')
    file.write_text(file.read_text() + 'SERVICE_TRACK = "null"\n')
    wanted = Wanted(None, None, "two", file, 4, None, None, load=True)
    kept = once.of_variant(wanted, 1.0)
    assert (kept.tracks, kept.generator, kept.clients) == (("null",), "triton_bench", (4,))
    asked = once.of_variant(Wanted(None, None, "two", file, 4, "small", "A", load=True), 1.0)
    assert (asked.tracks, asked.model) == (("A",), "small")


def test_what_is_of_this_machine_alone_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "p.txt"
    command = f"{ROOT}/.venv/bin/python -c import a; b({ROOT}/c)"
    file.write_text(
        f'process 7:"{command}";f ({ROOT}/service/x.py:3) 4\n'
        f'process 8:"/home/me/python";g ({sys.base_prefix}/lib/python3/h.py:1) 2\n'
        r'"process 9:\"/home/me/python -m x\""'
        " process 9:&quot;/home/me/python a (3) process 8:&quot;/b/py"
    )
    strip(file)
    assert file.read_text() == (
        'process 7:"python -c import a, b(c)";f (service/x.py:3) 4\n'
        'process 8:"python";g (lib/python3/h.py:1) 2\n'
        r'"process 9:\"python -m x\"" process 9:&quot;python a (3) process 8:&quot;py'
    )
    with pytest.raises(RunError, match="cannot be written"):
        strip(tmp_path)


def test_many_threads_are_worth_a_word(idle: psutil.Process) -> None:
    assert sampler.threads_note(idle.pid, Options()) is None
    with python(THREADS) as busy:
        deadline = time.monotonic() + 20
        while sampler.most_threads(busy.pid) < 21:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        note = sampler.threads_note(busy.pid, Options())
        assert "has 21 threads" in (note or "")
        assert sampler.threads_note(busy.pid, Options(nonblocking=True)) is None
    assert sampler.most_threads(busy.pid) == 0, "it has ended"


def test_a_load_that_ends_before_the_profile_begins_is_no_profile(tmp_path: Path) -> None:
    profiler = Profiler(1, Options(), tmp_path / "p", "collapsed", None)
    with pytest.raises(ProfileError, match="the load ended before the profile began"):
        profiler.result()
    profiler.stop()


@pytest.mark.parametrize(
    ("code", "duration_s", "message"),
    [
        ("import time; time.sleep(600)", 1, "did nothing while it was profiled"),
        (BUSY.format(1.5), 30, r"process \d+ has ended"),
    ],
)
def test_a_process_that_does_nothing_or_ends_has_no_profile(
    tmp_path: Path, code: str, duration_s: int, message: str
) -> None:
    with python(code) as process:
        time.sleep(0.5)  # its start is over
        # A pause would make it runnable, for as long as a busy machine has no CPU for it.
        options = Options(duration_s=duration_s, nonblocking=True)
        profiler = Profiler(process.pid, options, tmp_path / "p", "collapsed", None)
        profiler.begin()
        try:
            with pytest.raises(ProfileError, match=message):
                profiler.result()
        finally:
            profiler.stop()


def test_a_reader_that_does_not_end_is_not_waited_for_without_end(
    idle: psutil.Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler, "PATIENCE_S", -1.0)
    watcher = Watcher(lambda _progress: None, lambda: None)
    output, options = tmp_path / "p", Options(duration_s=1)
    with pytest.raises(ProfileError, match="py-spy did not end in time"):
        taken.take(None, options, output, "collapsed", idle.pid, None, watcher)


def test_what_spoils_a_profile_is_said() -> None:
    assert taken.notes({"behind_s": 0.0, "outlasted": False}) == []
    late, alone = taken.notes({"behind_s": 1.25, "outlasted": True})
    assert "py-spy was up to 1.2 s late" in late
    assert "not ready when the load ended" in alone


@pytest.mark.alone
def test_a_variant_of_a_campaign_is_started_profiled_and_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taken, "NATIVE_LEAD_S", 3.0)
    file, output = tiny.campaign(tmp_path), tmp_path / "p.json"
    words = ("--variant", "two", "--campaign", file, "--track", "null", "--clients", 2)
    said = profile(*words, "--duration", 1, "--native", "--output", output)
    drawn = json.loads(output.read_text())
    assert drawn["$schema"].endswith("file-format-schema.json")
    files = {frame["file"] for frame in drawn["shared"]["frames"]}
    assert files & {"service/app.py", "service/api.py"}
    assert "next: open it with speedscope" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.json", "tiny.toml"]
