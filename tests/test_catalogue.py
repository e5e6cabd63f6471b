"""Every run is one row, whatever it holds; the index is fast and never right instead of the run."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from analysis import cache, catalogue
from analysis.catalogue import Entry, entries, find, machine_key, progress
from benchmarks.record import RESULTS
from tests import records
from tests.golden import DEMO
from tests.records import Shape

BASE = {"baseline": Shape(requests=80), "optimized": Shape(requests=80)}


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "windtunnel"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two campaigns: `a` with two runs, `b` with one; each is only its run.json."""
    folder = tmp_path / "results"
    for campaign, run in (("a", "20260101T000000Z-aaaaaa"), ("a", "20260103T000000Z-cccccc")):
        put(folder, campaign, run)
    put(folder, "b", "20260102T000000Z-bbbbbb")
    return folder


def put(folder: Path, campaign: str, run: str, question: str = "", **changes: Any) -> Path:
    """A run.json of the demo as another run's; its visits are not there."""
    told = json.loads((DEMO / "run.json").read_text())
    told["campaign"] |= {"name": campaign, "question": question}
    day = f"{run[:4]}-{run[4:6]}-{run[6:8]}T00:00:00Z"
    path = folder / campaign / run
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps({**told, "run": run, "started": day, **changes}))
    return path


def test_an_entry_says_what_run_json_says() -> None:
    (entry,) = [entry for entry in entries(RESULTS) if entry.path == DEMO]
    assert entry.id == f"demo/{entry.run}"
    assert entry.problem is None
    assert (entry.status, entry.model, entry.tracks) == ("complete", "nano", ("A",))
    assert entry.variants == ("baseline", "seed", "optimized", "baseline.aa")
    assert (entry.reference, entry.aa) == ("baseline", "baseline.aa")
    assert (entry.levels, entry.repeats) == (("c0001", "c0032"), 5)
    assert entry.machine.startswith("Intel(R) Xeon(R) Processor, 2 cores, 24 GiB")
    assert (entry.dirty, entry.slo, entry.imported) == (False, "p95=300ms", None)


def test_runs_are_listed_newest_first(results: Path) -> None:
    assert [entry.run[:8] for entry in entries(results)] == ["20260103", "20260102", "20260101"]


def test_a_campaigns_folder_is_listed_too(results: Path) -> None:
    assert [entry.id for entry in entries(results / "a")] == [
        "20260103T000000Z-cccccc",
        "20260101T000000Z-aaaaaa",
    ]


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_no_folder_and_an_empty_one_have_no_runs(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    assert entries(tmp_path / name) == []


def test_the_index_gives_the_same_entries_without_reading_a_run(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = entries(results)
    monkeypatch.setattr(catalogue, "load", pytest.fail)
    assert entries(results) == cold


def test_a_run_that_has_changed_is_read_again(results: Path) -> None:
    entries(results)
    file = results / "b/20260102T000000Z-bbbbbb/run.json"
    file.write_text(file.read_text().replace('"complete"', '"interrupted"'))
    assert [entry.status for entry in entries(results)] == ["complete", "interrupted", "complete"]


def test_a_run_that_is_gone_leaves_the_list(results: Path) -> None:
    entries(results)
    (results / "b/20260102T000000Z-bbbbbb/run.json").unlink()
    assert {entry.campaign for entry in entries(results)} == {"a"}


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


def flip(file: Path) -> None:
    """A digit of a value, so that the file is JSON as before."""
    file.write_bytes(file.read_bytes().replace(b"2026-01-02", b"2026-01-09"))


def swap(file: Path) -> None:
    """Sound, with its checksum, and not what anybody kept there."""
    cache.write(catalogue.KIND, "other", ["no", "index"])
    other = next(each for each in file.parent.iterdir() if each != file)
    other.replace(file)


@pytest.mark.parametrize("damage", [truncate, flip, swap, lambda file: file.write_bytes(b"\0" * 9)])
def test_a_damaged_index_costs_nothing_but_time(
    results: Path, cache_folder: Path, damage: Callable[[Path], Any]
) -> None:
    cold = entries(results)
    (file,) = cache_folder.rglob("*.json")
    damage(file)
    assert entries(results) == cold
    assert entries(results) == cold


def test_an_index_that_cannot_be_kept_costs_nothing_but_time(
    results: Path, cache_folder: Path
) -> None:
    cold = entries(results)
    for file in cache_folder.rglob("*.json"):
        file.unlink()
    # A file where a folder is needed: nothing can be written, whoever one is.
    (cache_folder / f"{cache.VERSION}").rmdir()
    (cache_folder / f"{cache.VERSION}").write_text("")
    assert entries(results) == cold


def test_a_user_without_a_home_has_no_index(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")

    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", homeless)
    assert len(entries(results)) == 3
    assert cache.folder() is None


def test_many_may_write_the_index_at_once(results: Path, cache_folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: entries(results), range(40)))
    assert all(each == found[0] for each in found)
    assert [file.suffix for file in cache_folder.rglob("*") if file.is_file()] == [".json"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("{", "damaged or cut short"),
        ('{"format": 99}', "format 99"),
        ('{"format": 1, "tool": "windtunnel"}', "'campaign' holds None"),
        ('{"format": 1, "tool": "other"}', "written by 'other'"),
        ("[" * 100_000, "damaged or cut short"),
    ],
)
def test_a_run_that_cannot_be_read_is_one_row_that_says_why(
    results: Path, text: str, said: str
) -> None:
    path = results / "a/20260103T000000Z-cccccc"
    (path / "run.json").write_text(text)
    broken, *others = entries(results)
    assert (broken.path, broken.campaign, broken.run) == (path, "a", path.name)
    assert said in (broken.problem or "")
    assert all(entry.problem is None for entry in others)
    assert progress(broken) == (0, 0)


def test_what_no_run_writes_is_a_text_and_not_an_error(tmp_path: Path) -> None:
    machine = {"cpu": ["x"], "cores": None, "kernel": 6}
    put(
        tmp_path,
        "odd",
        "20260101T000000Z-aaaaaa",
        machine=machine,
        commit={"sha": "7", "dirty": "yes"},
        imported={"tool": "k6"},
        question="<script>\ud800</script>",
    )
    (entry,) = entries(tmp_path)
    assert entry.question == "<script>?</script>"
    assert (entry.commit, entry.dirty) == ("7", None)
    assert entry.imported == "k6"
    assert entries(tmp_path) == [entry]


def test_an_import_without_times_stands_where_it_was_imported(tmp_path: Path) -> None:
    at = "2026-01-02T00:00:00Z"
    for day, run in ((1, "20260101T000000Z-aaaaaa"), (2, "20260102T000000Z-bbbbbb")):
        put(tmp_path, "foreign", run, imported={"tool": "k6", "at": at}, machine={})
        assert entries(tmp_path)[0].undated is (day == 2)
    assert [entry.undated for entry in entries(tmp_path)] == [True, False]


def test_hidden_folders_and_links_to_elsewhere_are_no_runs(results: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", "c", "20260104T000000Z-dddddd")
    put(results, ".hidden", "20260105T000000Z-eeeeee")
    put(results, "a", ".20260106T000000Z-ffffff")
    (results / "linked").symlink_to(outside.parent)
    (results / "a/20260107T000000Z-aaaaaa").symlink_to(outside)
    (results / "a/20260108T000000Z-bbbbbb").mkdir()
    (results / "a/20260108T000000Z-bbbbbb/run.json").symlink_to(outside / "run.json")
    (results / "a/20260109T000000Z-cccccc").mkdir()
    os.mkfifo(results / "a/20260109T000000Z-cccccc/run.json")
    assert len(entries(results)) == 3


def test_a_link_inside_the_results_is_followed(results: Path) -> None:
    (results / "again").symlink_to(results / "b")
    assert "again/20260102T000000Z-bbbbbb" in [entry.id for entry in entries(results)]


def test_a_run_is_found_by_its_name_alone(results: Path) -> None:
    assert find(results, "b/20260102T000000Z-bbbbbb") == results / "b/20260102T000000Z-bbbbbb"
    for text in (
        "",
        "b",
        "/b/20260102T000000Z-bbbbbb",
        "b/20260102T000000Z-bbbbbb/",
        "b/../b/20260102T000000Z-bbbbbb",
        "../results/b/20260102T000000Z-bbbbbb",
        "b/./20260102T000000Z-bbbbbb",
        "B/20260102T000000Z-BBBBBB",
        str(results / "b/20260102T000000Z-bbbbbb"),
        "b/20260102T000000Z-bbbbbb\0",
    ):
        assert find(results, text) is None


def test_progress_counts_the_visits_that_are_there(tmp_path: Path) -> None:
    path = records.write(tmp_path, records.campaign(BASE, levels=("c0001",)))
    entry = Entry(path, "", "", "")
    assert progress(entry) == (9, 9)
    (path / "cells/baseline/c0001/r02/samples.parquet").unlink()
    assert progress(entry) == (8, 9)
    (path / "run.json").unlink()
    assert progress(entry) == (0, 0)


FACTS = {
    "cpu": "CPU",
    "cores": 4,
    "available_cpus": [0, 1, 2, 3],
    "memory_bytes": 8 * 2**30,
    "kernel": "6.1.0",
    "virtualization": None,
    "governor": "performance",
}


@pytest.mark.parametrize(
    "same", [{}, {"memory_bytes": 8 * 2**30 - 10**7}, {"kernel": "6.2.7"}, {"load_before": [9]}]
)
def test_what_changes_from_start_to_start_makes_no_other_machine(same: dict[str, Any]) -> None:
    assert machine_key({**FACTS, **same}) == machine_key(FACTS)


@pytest.mark.parametrize(
    "other",
    [
        {"cpu": "Another"},
        {"cores": 8},
        {"available_cpus": [0, 1]},
        {"memory_bytes": 16 * 2**30},
        {"memory_bytes": None},
        {"kernel": "7.0"},
        {"virtualization": "kvm"},
        {"governor": "powersave"},
    ],
)
def test_what_makes_numbers_differ_makes_another_machine(other: dict[str, Any]) -> None:
    assert machine_key({**FACTS, **other}) != machine_key(FACTS)
