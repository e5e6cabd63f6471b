"""Facts about the machine, the code and its packages; which CPUs go to whom."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil

from benchmarks import machine
from benchmarks.plan import pin


def test_the_machine_is_described_as_it_is() -> None:
    facts = machine.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["memory_bytes"] == psutil.virtual_memory().total
    assert facts["available_cpus"] == sorted(os.sched_getaffinity(0))
    assert facts["kernel"] == os.uname().release
    assert facts["cpu"]
    assert facts["os"]


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_commit_is_dirty_when_a_tracked_file_differs(tmp_path: Path) -> None:
    assert machine.commit(tmp_path) == {"sha": None, "dirty": None}
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "first")
    (tmp_path / "untracked").write_text("results are not the code")
    clean = machine.commit(tmp_path)
    assert len(clean["sha"]) == 40
    assert clean["dirty"] is False
    (tmp_path / "file").write_text("2")
    assert machine.commit(tmp_path) == {**clean, "dirty": True}


def test_versions_are_those_of_the_environments_own_interpreter() -> None:
    import fastapi

    found = machine.versions({"default": Path(sys.executable), "other": Path("/nowhere/python")})
    assert found["default"]["fastapi"] == fastapi.__version__
    assert "pillow-simd" not in found["default"]
    assert found["other"] is None


def test_with_four_cpus_generator_and_services_have_cores_of_their_own() -> None:
    pinning = pin([(0,), (1,), (2,), (3,)])
    assert (pinning.service, pinning.generator) == ((0, 1, 2), (3,))


def test_threads_of_one_core_are_never_divided() -> None:
    pinning = pin([(0, 4), (1, 5), (2, 6), (3, 7)])
    assert (pinning.service, pinning.generator) == ((0, 1, 2, 4, 5, 6), (3, 7))
    larger = pin([(cpu,) for cpu in range(16)])
    assert (larger.service, larger.generator) == (tuple(range(12)), (12, 13, 14, 15))


def test_with_fewer_cpus_they_share_and_the_reason_says_so() -> None:
    few: list[list[tuple[int, ...]]] = [[(0,), (1,)], [(0, 1, 2, 3)]]
    for cores in few:
        pinning = pin(cores)
        assert (pinning.service, pinning.generator) == (None, None)
        assert "separate" in pinning.reason


def test_cpu_lists_are_parsed_as_the_kernel_writes_them() -> None:
    assert machine._parse_cpus("0-2,8,10-11") == {0, 1, 2, 8, 10, 11}
    assert {cpu for core in machine.cores() for cpu in core} == os.sched_getaffinity(0)
