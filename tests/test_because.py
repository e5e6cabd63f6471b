"""Stages and stacks together: which functions make a difference, in sentences."""

import copy
import importlib
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from analysis import answer
from analysis.comparison import compare
from analysis.flame import because, graph, profiles
from analysis.flame.because import Link
from analysis.flame.causes import causes
from analysis.flame.costs import costs_of
from analysis.flame.profiles import Profile
from analysis.flame.stacks import Frame, Stacks, parse
from analysis.flame.stage_frames import STAGE_OF, stage_of
from analysis.markdown import escape
from analysis.markdown import text as markdown
from analysis.stages import REST
from benchmarks.record import Record, load
from loadtests.samples import STAGES
from tests.golden import DEMO

PROFILES = Path(__file__).parent / "data/profiles"
Pair = tuple[Stacks, Stacks]


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
    lines = because.explained(*quiet(record, "optimized", "baseline"), level="c0008")
    assert lines[0].startswith("CPU time with 8 clients, optimized against baseline: ")
    assert re.search(
        r"^decode: .* of the CPU gain, in ImageFile.load \(PIL/Im.*\) [\d.]+ ", lines[1]
    )
    assert "; the other way decode_turbo (service/imaging.py) 0 -> " in lines[1]
    (resize,) = (line for line in lines if line.startswith("preprocess: "))
    assert re.search(
        r"^preprocess: [\d.]+ -> [\d.]+ ms of CPU a request, \d+% of the CPU gain,"
        r" in Image.resize \(PIL/Image.py\) [\d.]+ -> [\d.]+ ms\.$",
        resize,
    )
    assert not any(line.startswith("infer") for line in lines)


def quiet(record: Record, variant: str, against: str) -> tuple[list[Profile], list[Pair]]:
    """Of the record, with the noise of a second pair of copies, from a quiet hour."""
    sides, pairs = profiles.of_cell(record, "c0008", variant, against)
    again = [profiles.from_file(PROFILES / f"again/{name}.txt").stacks for name in ("one", "two")]
    return sides, [*pairs, (again[0], again[1])]


def test_what_is_named_is_coloured_too(record: Record) -> None:
    sides, pairs = quiet(record, "optimized", "baseline")
    coloured = {
        (row["name"], row["file"])
        for row in graph.document(sides, pairs=pairs)["functions"]
        if row["self_changed"]
    }
    links = [
        part
        for line in because.explained(sides, pairs)
        for part in line.parts
        if isinstance(part, Link) and part.name
    ]
    assert len(links) >= 4
    assert {(link.name, link.file) for link in links} <= coloured


def test_parts_of_a_sentence_are_its_text(record: Record) -> None:
    for line in because.explained(*quiet(record, "optimized", "baseline")):
        texts = [part.text if isinstance(part, Link) else part for part in line.parts]
        assert "".join(texts) == line
        assert copy.copy(line).parts == line.parts


def test_the_shares_of_all_stages_add_up(record: Record) -> None:
    sides, pairs = quiet(record, "optimized", "baseline")
    found = causes([side.stacks for side in sides], costs_of(sides, pairs))
    assert 0.85 < sum(cause.share or 0 for cause in found) < 1.05
    assert [cause.share for cause in found] == sorted(
        (cause.share for cause in found), key=lambda share: -(share or 0)
    )


def test_the_same_gain_seen_from_the_other_side_is_a_loss(record: Record) -> None:
    sides, pairs = profiles.of_cell(record, "c0008", "baseline", "optimized")
    lines = because.explained(sides, pairs, level="c0008")
    assert lines[0].endswith(" ms more.")
    assert re.search(r"of the CPU loss, mostly in ImageFile.load \(PIL/ImageFile.py\)", lines[1])


def test_copies_of_one_service_differ_in_nothing(record: Record) -> None:
    sides, pairs = quiet(record, "baseline.aa", "baseline")
    for noise_of in (pairs[:1], pairs[1:]):
        head, line = because.explained(sides, noise_of)
        assert head.endswith("ms a request, no difference beyond the noise.")
        assert line == "No stage's CPU time differs beyond the noise of the profiles."


def test_the_terminal_and_markdown_say_it_under_why(record: Record) -> None:
    comparison = compare(record)
    lines = answer.part(comparison, answer.WHY)
    assert lines == dict(answer.parts(comparison))[answer.WHY]
    (decode,) = (line for line in lines if line.startswith("decode: "))
    assert re.search(r"; with waiting, [\d.]+ -> [\d.]+ ms, as the answers say\.$", decode)
    assert f"- {escape(decode)}\n" in markdown(comparison)


def test_a_variant_is_told_of_with_its_level(record: Record) -> None:
    (found,) = because.told(compare(record))
    assert (found.variant, found.against, found.level) == ("optimized", "baseline", "c0008")
    assert list(found.sentences) == because.sentences(compare(record))


def test_a_record_without_profiles_says_nothing_of_them() -> None:
    assert because.sentences(compare(load(DEMO))) == []


def test_a_damaged_profile_does_not_hide_the_rest_of_the_answer(tmp_path: Path) -> None:
    own = load(Path(shutil.copytree(PROFILES, tmp_path / "record")))
    own.profile("optimized", "c0008").write_text("\x1b[31mnothing\n")
    (found,) = because.told(compare(own))
    assert found.level == ""
    (line,) = found.sentences
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
    lines = because.explained([before, after])
    assert lines == [
        "CPU time, b against a: 100 -> 60.0 ms a request, 40.0 ms less.",
        "decode: 90.0 -> 30.0 ms of CPU a request, 60.0 ms less,"
        " in load (PIL/ImageFile.py) 90.0 -> 30.0 ms.",
        "infer: 10.0 -> 30.0 ms of CPU a request, 20.0 ms more,"
        " in run (onnxruntime.py) 10.0 -> 30.0 ms.",
    ]
    assert because.explained([before, replace(after, cpu_ms={})]) == []


def test_a_difference_that_no_stage_surely_makes_asks_for_more_samples() -> None:
    text = "main (app.py:1);infer (service/detection.py:1) 30\nmain (app.py:1);rest (a.py:1) 30"
    head, line = because.explained([made(text, "a", 20, 20.1, 20), made(text, "b", 18, 18, 18)])
    assert head.endswith(" ms less.")
    assert line.startswith("No stage's part in it is beyond the noise of the profiles; profile for")


def test_outside_the_stages_libraries_are_named() -> None:
    stem = "main (app.py:1)"
    stacks = f"{stem};f (h11/a.py:1) 400\n{stem};g (h11/b.py:1) 400\n{stem};x (own.py:1) 1000\n"
    before = made(stacks, "a", 18.1, 17.9)
    after = made(f"{stem};x (own.py:1) 1000", "b", 10.1, 9.9)
    lines = because.explained([before, after])
    assert lines[1].startswith("outside the stages: 18.0 -> 10.0 ms of CPU a request, 100% of the")
    assert lines[1].endswith("in h11 8.00 -> 0 ms.")
    assert lines[1].parts[2] == Link("h11 8.00 -> 0 ms", "", "h11")


def test_a_share_is_told_only_of_a_difference_that_is_sure() -> None:
    stem, text = "main (app.py:1)", "decode_pillow (service/imaging.py:1);load (PIL/a.py:1)"
    rest = f"{stem};infer (service/detection.py:1);run (onnx.py:1) 50000"
    before = made(f"{stem};{text} 50000\n{rest}", "a", 100, 103, 97)
    after = made(f"{stem};{text} 40000\n{rest}", "b", 90, 95.8, 84.2)
    head, line = because.explained([before, after])
    assert head.endswith("90.0 ms a request, 10.0 ms less.")
    assert ", 10.0 ms less, in load (PIL/a.py)" in line
    # The level with the largest of many differences is one of many.
    assert because.explained([before, after], among=99)[0].endswith("beyond the noise.")


@pytest.mark.parametrize(
    ("other", "word"), [(500, "in"), (4000, "mostly in"), (20000, "partly in")]
)
def test_how_much_of_a_stage_the_named_places_make(other: int, word: str) -> None:
    stem = "main (app.py:1);decode_pillow (service/imaging.py:1)"
    small = "\n".join(f"{stem};f{i} (PIL/b.py:1) {other // 10}" for i in range(10))
    rest = "main (app.py:1);run (onnx.py:1) 9000"
    before = made(f"{stem};load (PIL/a.py:1) 9000\n{small}\n{rest}", "a", 100, 101, 99)
    after = made(rest, "b", 40, 40.1, 39.9)
    decode = because.explained([before, after])[1]
    assert f", {word} load (PIL/a.py) " in decode


def test_outside_of_folders_modules_are_named_python_and_not_linked() -> None:
    stem = "main (app.py:1)"
    stacks = (
        f"{stem};f (<frozen importlib>:1) 400\n{stem};g (json.py:1) 400\n{stem};x (a/b.py:1) 900"
    )
    before = made(stacks, "a", 17.1, 17.0, 16.9)
    after = made(f"{stem};x (a/b.py:1) 900", "b", 9.0, 9.1, 8.9)
    line = because.explained([before, after])[1]
    assert line.endswith(", in python 8.00 -> 0 ms.")
    assert not any(isinstance(part, Link) for part in line.parts)


def test_a_triton_beside_the_service_is_said_not_to_be_in_it(record: Record) -> None:
    sides, pairs = quiet(record, "optimized", "baseline")
    head = because.explained([sides[0], replace(sides[1], triton_ms=3.0)], pairs)[0]
    assert head.startswith("CPU time of the service's own processes, optimized against ")
