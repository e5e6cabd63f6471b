"""Profiles: real py-spy on real services, alone and inside a run, allowed and not allowed."""

import ctypes
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.processes import RunError, free_port
from benchmarks.profiles import attach, sampler
from benchmarks.profiles.options import Options
from benchmarks.profiles.sampler import ProfileError
from tests import tiny
from tests.conftest import Service
from tests.tiny import ROOT

PR_CAPBSET_DROP, CAP_SYS_PTRACE = 24, 19
# `windtunnel profile` without the commands of the other packages, whose imports take seconds.
PROFILE = """
import sys
from benchmarks.fields import CampaignError
from benchmarks.processes import RunError
from benchmarks.profiles.commands import app
try:
    app()
except (CampaignError, RunError) as error:
    sys.exit(f"windtunnel: {error}")
"""
THREADS = """
import threading, time
for _ in range(20):
    threading.Thread(target=time.sleep, args=(60,)).start()
"""
FRAME = re.compile(r'process \d+:".*"|.+ \(.+\)')


def profile(
    *words: object, expect: int = 0, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROFILE, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
        preexec_fn=before,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def stacks(path: Path) -> list[tuple[list[str], int]]:
    """Frames and count of each line."""
    lines = (line.rpartition(" ") for line in path.read_text().splitlines())
    return [(frames.split(";"), int(count)) for frames, _, count in lines]


def without_ptrace() -> None:
    """What a container without SYS_PTRACE is: root, but not of everybody else's processes."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0)


@pytest.fixture
def idle() -> Iterator[psutil.Process]:
    """A process of Python that does nothing."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()


@pytest.mark.alone
def test_of_a_url_all_workers_are_profiled_under_load(
    serving: Callable[..., Service], tmp_path: Path
) -> None:
    service = serving(PRESET="baseline", TRACK="A", WORKERS="2")
    output = tmp_path / "p.txt"
    done = profile("--url", service.url, "--duration", 1, "--clients", 4, "--output", output)
    found = stacks(output)
    workers = {frames[1] for frames, _ in found if frames[1].startswith("process ")}
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
    assert f"{output}: {facts['samples']} samples" in done.stdout
    assert "ms of CPU time a request" in done.stdout


@pytest.mark.alone
def test_the_script_of_the_guide_draws_a_flamegraph_of_the_service_on_this_machine(
    serving: Callable[..., Service], tmp_path: Path
) -> None:
    service = serving(PRESET="baseline", TRACK="A", WORKERS="2")
    output = tmp_path / "profile_optimized.svg"
    script = [str(ROOT / "scripts/profile_api.sh"), "1", str(output), "--clients", "2"]
    env = {**os.environ, "API_PORT": service.url.rpartition(":")[2]}
    done = subprocess.run(script, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    drawn = output.read_text()
    assert drawn.startswith("<?xml")
    assert "service/imaging.py" in drawn
    assert str(ROOT) not in drawn


def test_the_processes_of_a_service_are_found_by_its_pid_and_by_any_workers_url(
    serving: Callable[..., Service],
) -> None:
    service = serving(PRESET="baseline", TRACK="A", WORKERS="2")
    there = f"{service.url}/predict/nano"
    for _ in range(5):  # another worker may answer each time
        assert attach.by_url(service.url, "/predict/nano") == attach.Running(service.pid, there)
    assert (
        attach.by_url(f"{service.url}/mine?x=1", "/predict/nano").url == f"{service.url}/mine?x=1"
    )
    port = service.url.rpartition(":")[2]
    found = attach.by_pid(service.pid, "/predict/nano")
    assert found == attach.Running(service.pid, f"http://127.0.0.1:{port}/predict/nano")


def test_what_is_not_there_is_said(idle: psutil.Process) -> None:
    assert attach.by_pid(idle.pid, "/x") == attach.Running(idle.pid, None)
    port = free_port()
    with pytest.raises(RunError, match=rf"no process that can be seen listens on port {port}"):
        attach.by_url(f"http://127.0.0.1:{port}", "/x")
    idle.kill()
    idle.wait()
    with pytest.raises(RunError, match="no such process; expected a service that runs"):
        attach.by_pid(idle.pid, "/x")


def test_a_process_that_may_not_be_read_is_said_with_what_allows_it(
    idle: psutil.Process, tmp_path: Path
) -> None:
    root = os.geteuid() == 0
    output = tmp_path / "p.svg"
    words = ("--pid", idle.pid if root else 1, "--no-load", "--duration", 1, "--output", output)
    done = profile(*words, expect=1, before=without_ptrace if root else None)
    assert "permission denied" in done.stderr
    assert "`cap_add: [SYS_PTRACE]`" in done.stderr
    assert "docker run --cap-add SYS_PTRACE" in done.stderr
    assert done.stderr.count("\n") == 1, "one line"
    assert not output.exists()


def test_without_load_nobody_counts_answers(idle: psutil.Process, tmp_path: Path) -> None:
    output = tmp_path / "p.txt"
    words = ("--duration", 1, "--idle", "--nonblocking", "--rate", 50, "--output", output)
    done = profile("--pid", idle.pid, *words)
    assert "no load is sent" in done.stdout
    facts = json.loads((tmp_path / "p.json").read_text())
    assert (facts["answers"], facts["generator"]) == (None, None)
    assert facts["options"] == {"native": False, "gil": False, "idle": True, "nonblocking": True}
    assert 20 <= facts["samples"] <= 60, "the one thread waits, and --idle shows that"
    assert "CPU time a request" not in done.stdout


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
        (("--memory", "--pid", 1), "--memory starts a --variant and loads it"),
    ],
)
def test_what_cannot_be_profiled_is_refused_in_words(words: tuple[Any, ...], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROFILE, *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "400"},
        timeout=60,
    )
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_of_this_machine_alone_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "p.txt"
    command = f"{ROOT}/.venv/bin/python -c import a; b({ROOT}/c)"
    file.write_text(
        f'process 7:"{command}";f ({ROOT}/service/x.py:3) 4\n'
        'process 8:"/home/me/python";g (h.py:1) 2\n'
    )
    sampler.strip(file)
    assert file.read_text() == (
        'process 7:"python -c import a, b(c)";f (service/x.py:3) 4\n'
        'process 8:"python";g (h.py:1) 2\n'
    )


def test_many_threads_are_worth_a_word(idle: psutil.Process) -> None:
    assert sampler.threads_note(idle.pid, Options()) is None
    busy = subprocess.Popen([sys.executable, "-c", THREADS])
    try:
        deadline = time.monotonic() + 20
        while sampler.most_threads(busy.pid) < 21:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        note = sampler.threads_note(busy.pid, Options())
        assert "has 21 threads" in (note or "")
        assert sampler.threads_note(busy.pid, Options(nonblocking=True)) is None
    finally:
        busy.kill()
        busy.wait()


def test_a_load_that_ends_before_the_profile_begins_is_no_profile(tmp_path: Path) -> None:
    profiler = sampler.Profiler(1, Options(), tmp_path / "p", "collapsed", None)
    with pytest.raises(ProfileError, match="the load ended before the profile began"):
        profiler.result()
    profiler.stop()


@pytest.mark.alone
def test_a_variant_of_a_campaign_is_started_profiled_and_stopped(tmp_path: Path) -> None:
    file, output = tiny.campaign(tmp_path), tmp_path / "p.json"
    words = ("--variant", "two", "--campaign", file, "--track", "null", "--clients", 2)
    done = profile(*words, "--duration", 1, "--native", "--output", output)
    drawn = json.loads(output.read_text())
    assert drawn["$schema"].endswith("file-format-schema.json")
    files = {frame["file"] for frame in drawn["shared"]["frames"]}
    assert files & {"service/app.py", "service/api.py"}
    assert "next: open it with speedscope" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.json", "tiny.toml"]
