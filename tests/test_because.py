"""Stages and stacks together: which functions make a difference, in sentences."""

import importlib
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from analysis import answer
from analysis.comparison import compare
from analysis.flame import because, profiles
from analysis.flame.costs import costs_of
from analysis.flame.profiles import Profile
from analysis.flame.stacks import Frame, parse
from analysis.flame.stage_frames import STAGE_OF, stage_of
from analysis.markdown import text as markdown
from analysis.stages import REST
from benchmarks.record import Record, load
from loadtests.samples import STAGES
from tests.golden import DEMO

PROFILES = Path(__file__).parent / "data/profiles"


@pytest.fixture(scope="module")
def record() -> Record:
    return load(PROFILES)


def test_every_function_in_the_table_of_stages_is_there() -> None:
    assert set(STAGE_OF.values()) <= set(STAGES)
    for frame in STAGE_OF:
        found = importlib.import_module(frame.file.removesuffix(".py").replace("/", "."))
        for part in frame.name.partition(".<locals>")[0].split("."):
            if part != "<lambda>":
                assert hasattr(found, part), frame
                found = getattr(found, part)


@pytest.mark.parametrize("variant", ["baseline", "optimized"])
def test_a_real_profile_has_all_stages_that_cost_something(record: Record, variant: str) -> None:
    found: Counter[str] = Counter()
    stacks = profiles.from_record(record, variant, "c0008").stacks
    for stack, samples in stacks.counts.items():
        found[stage_of(stack)] += samples
    assert {"receive", "decode", "preprocess", "infer", "postprocess", REST} <= found.keys()
    # Whatever runs on the threads that do the work belongs to a stage, but for what hands it on.
    worked = sum(
        samples
        for stack, samples in stacks.counts.items()
        if Frame("TrackA.stages", "service/tracks.py") in stack
    )
    staged = sum(found[stage] for stage in ("decode", "preprocess", "infer", "postprocess"))
    assert staged >= 0.98 * worked


def test_the_outermost_function_of_a_stage_decides() -> None:
    letterbox, other = (Frame(n, "service/imaging.py") for n in ("Pipeline.letterbox", "frame"))
    decode = Frame("decode_turbo", "service/imaging.py")
    assert stage_of((Frame("main", "app.py"), letterbox, decode, other)) == "preprocess"
    assert stage_of((Frame("main", "app.py"), other)) == REST


def test_the_gain_of_a_real_run_is_put_to_its_functions(record: Record) -> None:
    lines = because.of_record(record, "c0008", "optimized", "baseline")
    assert lines[0].startswith("CPU time with 8 clients, optimized against baseline: ")
    assert re.search(r"^decode: .* of the gain, in ImageFile.load \(PIL/ImageFile.py\)", lines[1])
    assert "the other way decode_turbo (service/imaging.py) 0 -> " in lines[1]
    (resize,) = (line for line in lines if line.startswith("preprocess: "))
    assert re.search(
        r"^preprocess: [\d.]+ -> [\d.]+ ms of CPU a request, \d+% of the gain,"
        r" in Image.resize \(PIL/Image.py\) [\d.]+ -> [\d.]+ ms\.$",
        resize,
    )
    assert not any(line.startswith("infer") for line in lines)


def test_the_shares_of_all_stages_add_up(record: Record) -> None:
    sides = [profiles.from_record(record, name, "c0008") for name in ("baseline", "optimized")]
    costs = costs_of(sides, profiles.aa_pairs(record))
    found = because.causes(sides[0], sides[1], costs)
    assert 0.85 < sum(cause.share or 0 for cause in found) < 1.05
    assert [cause.share for cause in found] == sorted(
        (cause.share for cause in found), key=lambda share: -(share or 0)
    )


def test_the_same_gain_seen_from_the_other_side_is_a_loss(record: Record) -> None:
    lines = because.of_record(record, "c0008", "baseline", "optimized")
    assert lines[0].endswith(" ms more.")
    assert any("of the loss, in Image.resize (PIL/Image.py)" in line for line in lines)


def test_copies_of_one_service_differ_in_nothing(record: Record) -> None:
    head, line = because.of_record(record, "c0008", "baseline.aa", "baseline")
    assert head.endswith("ms a request, no difference beyond the noise.")
    assert line == "No stage's CPU time differs beyond the noise of the profiles."


def test_the_terminal_and_markdown_say_it_under_why(record: Record) -> None:
    comparison = compare(record)
    lines = dict(answer.parts(comparison))[answer.WHY]
    (decode,) = (line for line in lines if line.startswith("decode: "))
    assert re.search(r"; with waiting, [\d.]+ -> [\d.]+ ms, as the answers say\.$", decode)
    assert decode.replace("_", "\\_") in markdown(comparison) or decode in markdown(comparison)


def test_a_record_without_profiles_says_nothing_of_them() -> None:
    assert because.sentences(compare(load(DEMO))) == []


def test_a_damaged_profile_does_not_hide_the_rest_of_the_answer(tmp_path: Path) -> None:
    own = load(Path(shutil.copytree(PROFILES, tmp_path / "record")))
    own.profile("optimized", "c0008").write_text("\x1b[31mnothing\n")
    (line,) = because.sentences(compare(own))
    assert line.startswith("The profiles of optimized tell nothing: ")
    assert "\x1b" not in line
    assert dict(answer.parts(compare(own)))[answer.ANSWER]


def made(text: str, name: str, *cpu_ms: float) -> Profile:
    return Profile(name, parse(text), dict(enumerate(cpu_ms, 1)))


def test_a_stage_that_costs_more_beside_a_gain_is_said_to() -> None:
    stem = "main (app.py:1)"
    decode = f"{stem};decode_pillow (service/imaging.py:1);load (PIL/ImageFile.py:1)"
    infer = f"{stem};infer (service/detection.py:1);run (onnxruntime.py:1)"
    before = made(f"{decode} 9000\n{infer} 1000\n", "a", 100, 101, 99)
    after = made(f"{decode} 3000\n{infer} 3000\n", "b", 60, 60.5, 59.5)
    lines = because.explained(before, after)
    assert lines == [
        "CPU time, b against a: 100 -> 60.0 ms a request, 40.0 ms less.",
        "decode: 90.0 -> 30.0 ms of CPU a request, 150% of the gain,"
        " in load (PIL/ImageFile.py) 90.0 -> 30.0 ms.",
        "infer: 10.0 -> 30.0 ms of CPU a request, 20.0 ms more,"
        " in run (onnxruntime.py) 10.0 -> 30.0 ms.",
    ]
    assert because.explained(before, replace(after, cpu_ms={})) == []


def test_a_difference_that_no_stage_surely_makes_asks_for_more_samples() -> None:
    text = "main (app.py:1);infer (service/detection.py:1) 30\nmain (app.py:1);rest (a.py:1) 30"
    head, line = because.explained(made(text, "a", 20, 20.1, 20), made(text, "b", 18, 18, 18))
    assert head.endswith(" ms less.")
    assert line.startswith("No stage's part in it is beyond the noise of the profiles; profile for")


def test_outside_the_stages_libraries_are_named() -> None:
    stem = "main (app.py:1)"
    stacks = f"{stem};f (h11/a.py:1) 400\n{stem};g (h11/b.py:1) 400\n{stem};x (own.py:1) 1000\n"
    before = made(stacks, "a", 18.1, 17.9)
    after = made(f"{stem};x (own.py:1) 1000", "b", 10.1, 9.9)
    lines = because.explained(before, after)
    assert lines[1].startswith("outside the stages: 18.0 -> 10.0 ms of CPU a request, 100% of the")
    assert lines[1].endswith("in h11 8.00 -> 0 ms.")
