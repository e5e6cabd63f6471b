"""The record: what is read, what is refused, and that nothing half-written counts."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import record
from benchmarks.processes import RunError
from benchmarks.record import Record, RecordError, Visit, clients_level, rate_level
from benchmarks.recorder import Recorder, explained, run_name, write_json

RUN: dict[str, Any] = {
    "format": 1,
    "tool": "windtunnel",
    "run": "20261123T100000Z-00ff00",
    "status": "running",
    "campaign": {
        "name": "any",
        "question": "Is it?",
        "variants": {"a": {"preset": "seed"}, "b": {"url": "http://h/x"}, "c": {"preset": "seed"}},
        "clients": [1, 8],
        "rates": [],
        "repeats": 2,
        "reference": "a",
        "aa": "a.aa",
        "margin": 0.1,
    },
    "order": [["b", "c0008", 1], ["a", "c0008", 1], ["a.aa", "c0001", 1]],
    "left_out": {"c": "no compiler"},
}
FIRST, SECOND, THIRD = (Visit(*visit) for visit in RUN["order"])


def changed(campaign_changes: dict[str, Any] | None = None, **changes: Any) -> str:
    campaign = {**RUN["campaign"], **(campaign_changes or {})}
    return json.dumps({**RUN, "campaign": campaign, **changes})


def folder(results: Path, name: str = "20261123T100000Z-00ff00", campaign: str = "any") -> Path:
    path = results / campaign / name
    path.mkdir(parents=True)
    write_json(path / "run.json", {**RUN, "run": name})
    return path


CELL = {"format": 1, "generator": {"instrument": {}}, "machine": {}, "service": None}


def copies_at_each_sync(path: Path, copies: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What a runner that is killed leaves: the record as it is when something is on the disk."""
    found: list[Path] = []

    def sync(_descriptor: int) -> None:
        found.append(copies / str(len(found)))
        shutil.copytree(path, found[-1])

    monkeypatch.setattr(os, "fsync", sync)
    return found


def complete(path: Path, visit: Visit) -> None:
    recorder = Recorder(path)
    (recorder.begin(visit) / "samples.parquet").write_bytes(b"PAR1")
    recorder.commit(visit, CELL | {"variant": visit.variant})
    recorder.close()


def test_a_record_says_what_was_planned_and_what_is_there(tmp_path: Path) -> None:
    path = folder(tmp_path)
    complete(path, SECOND)
    found = record.load(path)
    assert (found.name, found.run_id) == ("any", "20261123T100000Z-00ff00")
    assert (found.question, found.reference, found.aa) == ("Is it?", "a", "a.aa")
    assert found.variants == ["a", "b", "a.aa"], "the one that was left out is not a variant"
    assert found.levels == ["c0001", "c0008"]
    assert (found.repeats, found.margin, found.status) == (2, 0.1, "running")
    assert found.completed() == [SECOND]
    assert found.missing() == [FIRST, THIRD]
    assert found.facts(SECOND) == CELL | {"variant": "a"}
    assert found.samples(SECOND) == path / "cells/a/c0008/r01/samples.parquet"
    with pytest.raises(RecordError, match="--resume"):
        found.samples(FIRST)


def test_profiles_are_missing_until_both_of_their_files_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(tmp_path)
    found = record.load(path)
    first, left_out, second = asked = [Visit(v, "c0008", 3) for v in ("a", "c", "a.aa")]
    assert found.missing_profiles(asked) == [first, second], f"{left_out.variant} was left out"
    recorder = Recorder(path)
    stacks = recorder.begin_profile(first) / "stacks.txt"
    stacks.write_text("process 1;f (x.py:1) 3\n")
    assert recorder.record.profiles() == []
    facts = {"program": "py-spy 0.4.3", "rate_hz": 100, "duration_s": 1, "options": {"gil": False}}
    facts |= {"format": 1, "samples": 3, "errors": 0, "answers": None}
    killed = copies_at_each_sync(path, tmp_path / "killed", monkeypatch)
    recorder.commit_profile(first, stacks, facts)
    monkeypatch.undo()
    recorder.begin_profile(second)
    recorder.close()
    for copy in killed:
        Recorder(copy).close()
        for cell in record.load(copy).profiles():
            assert record.load(copy).profile_facts(*cell) == facts
    assert len(killed) > 3
    assert found.profiles() == [("a", "c0008")]
    assert found.missing_profiles(asked) == [second]
    assert found.profile("a", "c0008") == path / "profiles/a/c0008.txt"
    assert found.profile_facts("a", "c0008") == facts
    Recorder(path).close()
    assert not (path / "profiles/a.aa/.c0008.partial").exists(), "of a runner that was killed"
    write_json(path / "profiles/a/c0008.json", facts | {"samples": -1})
    with pytest.raises(RecordError, match="'samples' holds -1; expected a whole number"):
        found.profile_facts("a", "c0008")
    (path / "profiles/a/c0008.txt").unlink()
    with pytest.raises(RecordError, match=r"no profile of 'a' at 'c0008'.*there \(none\)"):
        found.profile_facts("a", "c0008")


def test_the_tracks_are_those_of_the_variants_that_were_run(tmp_path: Path) -> None:
    path = folder(tmp_path)
    variants = {
        "a": {"settings": {}},
        "b": {"settings": {"SERVICE_TRACK": "D"}},
        "c": {"settings": {"SERVICE_TRACK": "B"}},  # left out
        "d": {"url": "http://127.0.0.1:1/"},
    }
    run = json.loads(changed({"variants": variants, "track": "null"}))
    (path / "run.json").write_text(json.dumps(run))
    assert record.load(path).tracks == ["null", "D"]


def test_of_a_campaign_or_results_folder_the_newest_run_is_read(tmp_path: Path) -> None:
    folder(tmp_path, "20261123T100000Z-000001")
    newer = folder(tmp_path, "20261123T100001Z-000000")
    newest = folder(tmp_path, "20261124T000000Z-000000", "other")
    assert record.load(tmp_path / "any").path == newer
    assert record.load(tmp_path).path == newest
    assert record.load(newer / "run.json").path == newer


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty; expected JSON"),
        (json.dumps(RUN)[:200], "damaged or cut short"),
        ("[1, 2]", "no format number"),
        ('{"format": true, "tool": "windtunnel"}', "no format number"),
        ('{"format": 2, "tool": "windtunnel"}', "format 2; this windtunnel reads 1 to 1"),
        ('{"format": 1, "tool": "k6"}', "written by 'k6'"),
        ('{"format": 1, "runs": []}', "written by 'another program'"),
        (changed(order=None), "'order' holds None; expected a list"),
        (changed(order=[["a", 1]]), "'order' holds ['a', 1]; expected [variant, level, repeat]"),
        (changed(order=[["b", "c0001", "x"]]), "expected [variant, level, repeat]"),
        (changed(order=[["b", "c0009", 1]]), "'order' holds 'b' at 'c0009'; expected a variant"),
        (changed(status="done"), "'status' holds 'done'; expected one of running"),
        (changed(left_out={"c": 1}), "'left_out' holds {'c': 1}; expected a table of texts"),
        (changed(resumed=["x"]), "'resumed' holds ['x']; expected a list of tables"),
        (changed(campaign={}), "'name' holds None; expected a text"),
        (changed({"clients": ["8"]}), "'clients' holds ['8']; expected a list of whole numbers"),
        (changed({"rates": [0]}), "'rates' holds [0]; expected a list of numbers"),
        (changed({"margin": "5%"}), "'margin' holds '5%'; expected more than 0"),
        (changed({"margin": float("nan")}), "'margin' holds nan; expected more than 0"),
        (changed({"margin": 1e308}), "'margin' holds 1e+308; expected more than 0"),
        (changed({"clients": [10**400]}), "'clients' holds"),
        (changed({"variants": {"../x": {}}}), "'variants' holds {'../x': {}}; expected a table"),
        (changed({"variants": {"/tmp": {}}}), "whose names are names of folders"),
        (changed({"aa": ".."}), "'aa' holds '..'; expected a name"),
        (changed(commit={"sha": 5}), "'commit' holds {'sha': 5}; expected a table"),
        (changed(pinning={"service": 5}), "'pinning' holds {'service': 5}; expected a table"),
        (changed(resumed=[{"commit": 5}]), "'resumed' holds"),
        (changed(imported={"cannot_know": "abc"}), "'imported' holds"),
        (changed(machine={"cores": "two"}), "'machine' holds {'cores': 'two'}; expected a table"),
        (changed({"profile": {"clients": ["8"]}}), "'profile' holds {'clients': ['8']}; expected"),
        (changed({"profile": {"rates": 8}}), "'profile' holds {'rates': 8}; expected a table"),
        (changed({"variants": {}}), "'variants' holds {}; expected a table"),
        (changed({"variants": {"a": 1}}), "'variants' holds {'a': 1}; expected a table"),
        (changed({"repeats": True}), "'repeats' holds True; expected a whole number"),
        (changed({"reference": "z"}), "'reference' holds 'z'; expected a variant"),
    ],
)
def test_a_file_that_is_not_a_record_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RecordError) as error:
        record.load(tmp_path)
    assert message in str(error.value)
    assert str(tmp_path / "run.json") in str(error.value)


def test_paths_are_shown_as_they_are_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(record.shown(tmp_path / "results/demo")) == "results/demo"
    assert record.shown(tmp_path.parent) == tmp_path.parent
    (tmp_path / "run.json").write_text("")
    with pytest.raises(RecordError, match=r"^run\.json: empty"):
        record.load(tmp_path)


def test_levels_are_said_as_a_person_says_them() -> None:
    titles = [record.level_title(level) for level in ("c0001", "c0032", "q0000.5")]
    assert titles == ["1 client", "32 clients", "0.5 requests/s"]


def test_a_binary_or_missing_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\x00PAR1")
    with pytest.raises(RecordError, match="cannot be read"):
        record.load(tmp_path)
    with pytest.raises(RecordError, match="no such folder"):
        record.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match=r"no run\.json here or below"):
        record.load(tmp_path / "empty")


def test_damaged_facts_of_a_repeat_are_an_error_not_a_gap(tmp_path: Path) -> None:
    path = folder(tmp_path)
    complete(path, FIRST)
    (path / FIRST.folder / "cell.json").write_text('{"format": 1, "gen')
    with pytest.raises(RecordError, match="cut short") as error:
        record.load(path).facts(FIRST)
    remedy = f"delete {path / FIRST.folder}, then `windtunnel run --resume {path}`"
    assert str(error.value).endswith(remedy)


def test_a_repeat_counts_only_with_both_its_files(tmp_path: Path) -> None:
    path = folder(tmp_path)
    complete(path, FIRST)
    (path / FIRST.folder / "samples.parquet").unlink()
    assert record.load(path).completed() == []
    complete(path, FIRST)
    assert record.load(path).completed() == [FIRST]


def test_a_repeat_is_complete_without_metrics_and_may_have_them(tmp_path: Path) -> None:
    path = folder(tmp_path)
    recorder = Recorder(path)
    partial = recorder.begin(FIRST)
    (partial / "samples.parquet").write_bytes(b"PAR1")
    (partial / "metrics.parquet").write_bytes(b"PAR1 too")
    recorder.commit(FIRST, CELL)
    recorder.close()
    complete(path, SECOND)
    found = record.load(path)
    assert found.completed() == [FIRST, SECOND]
    kept = found.metrics(FIRST)
    assert kept == path / "cells/b/c0008/r01/metrics.parquet"
    assert kept.read_bytes() == b"PAR1 too"
    assert found.metrics(SECOND) is None
    assert found.metrics(THIRD) is None, "a visit that was not made has none either"


def test_levels_sort_by_name_as_by_load() -> None:
    names = [rate_level(rate) for rate in (0.5, 2, 2.25, 10, 150)]
    assert names == ["q0000.5", "q0002", "q0002.25", "q0010", "q0150"] == sorted(names)
    assert [clients_level(n) for n in (1, 256)] == ["c0001", "c0256"]
    assert run_name() > "20260101T000000Z-ffffff"


def test_a_repeat_that_was_being_written_is_nothing_and_is_swept_away(tmp_path: Path) -> None:
    path = folder(tmp_path)
    recorder = Recorder(path)
    partial = recorder.begin(FIRST)
    (partial / "samples.parquet").write_bytes(b"PAR1")
    (partial / "cell.json").write_text("{}")
    assert record.load(path).completed() == []
    recorder.close()
    Recorder(path).close()
    assert not partial.exists()


def test_a_repeat_is_never_kept_twice(tmp_path: Path) -> None:
    path = folder(tmp_path)
    complete(path, FIRST)
    recorder = Recorder(path)
    (recorder.begin(FIRST) / "samples.parquet").write_bytes(b"second")
    with pytest.raises(RunError, match="never measured twice"):
        recorder.commit(FIRST, {"format": 1})
    recorder.close()
    assert record.load(path).samples(FIRST).read_bytes() == b"PAR1"


def test_a_record_has_one_writer_and_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = folder(tmp_path)
    holder = (
        "import sys, pathlib; from benchmarks.recorder import Recorder;"
        " kept = Recorder(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match="another runner is writing this record"):
            Recorder(path)
        process.kill()
    Recorder(path).close()


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path: Path) -> None:
    """/dev/full answers every write with ENOSPC, as a full disk does."""
    write_json(tmp_path / "run.json", {"format": 1})
    (tmp_path / ".run.json.partial").symlink_to("/dev/full")
    with pytest.raises(RunError, match="no space left on the disk"), explained(tmp_path):
        write_json(tmp_path / "run.json", {"format": 2})
    assert json.loads((tmp_path / "run.json").read_text()) == {"format": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"generator": []}, "'generator' holds"),
        ({"generator": {"instrument": {"cpu_s": "much"}}}, "'generator.instrument' holds"),
        ({"machine": {"busy_share": [1]}}, "'machine' holds"),
        ({"machine": {"busy_share": 10**400}}, "'machine' holds"),
        ({"service": 3}, "'service' holds 3; expected a table"),
    ],
)
def test_a_cell_of_other_things_is_refused(tmp_path: Path, damage: Any, said: str) -> None:
    path = folder(tmp_path)
    (path / FIRST.folder).mkdir(parents=True)
    (path / FIRST.folder / "cell.json").write_text(json.dumps(CELL | damage))
    with pytest.raises(RecordError, match=re.escape(said)):
        record.load(path).facts(FIRST)


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(RunError, match="choose another with --results"):
        Recorder(tmp_path / "results/any/run", RUN)
    with pytest.raises(RunError, match="no space"), explained(tmp_path):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


def test_leftovers_that_cannot_be_swept_away_are_explained(tmp_path: Path) -> None:
    path = folder(tmp_path)
    leftover = path / FIRST.folder.with_name(".r01.partial")
    leftover.parent.mkdir(parents=True)
    leftover.write_text("a file, where a folder should be")
    with pytest.raises(RunError, match="cannot be written"):
        Recorder(path)


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = folder(tmp_path)
    recorder = Recorder(path)
    recorder.save(status="complete", finished="2026-11-23T10:00:00Z")
    recorder.close()
    moved = tmp_path / "moved"
    shutil.move(path, moved)
    found: Record = record.load(moved)
    assert found.status == "complete"
    assert found.run_id == "20261123T100000Z-00ff00", "a record keeps its name when it is moved"
