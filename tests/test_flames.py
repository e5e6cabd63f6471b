"""The tree of one profile and of two: it adds up, it is in CPU ms a request, its grey is noise."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.flame import doubts, graph, profiles, speedscope
from analysis.flame.graph import COST, SHARE
from analysis.flame.profiles import Profile
from analysis.flame.stacks import Frame, parse
from analysis.latency import AnalysisError
from analysis.words import number
from benchmarks.record import Record, RecordError, load

# A real run: photos of 12 megapixels, 8 clients, baseline twice, on two shared CPUs.
PROFILES = Path(__file__).parent / "data/profiles"
# Twice baseline on small photos, in a quiet hour: copies that are not of the record above.
AGAIN = [profiles.from_file(PROFILES / f"again/{name}.txt") for name in ("one", "two")]
IMAGING = ("PIL/", "simplejpeg/", "service/imaging.py")
FACTS = {
    "format": 1,
    "program": "py-spy 0.4.3",
    "rate_hz": 100,
    "options": {},
    "samples": 1000,
    "errors": 0,
    "cpu_s": 8.0,
    "answers": 400,
    "window_s": 10,
    "duration_s": 10,
}

A = "main (app.py:3);infer (m.py:7) 900\nmain (app.py:3);decode (d.py:2) 100\n"
B = "main (app.py:4);infer (m.py:9) 500\nmain (app.py:4);cache (c.py:1) 40\n"


@pytest.fixture(scope="module")
def record() -> Record:
    return load(PROFILES)


@pytest.fixture
def own(tmp_path: Path) -> Record:
    """A copy of the real record that a test may spoil."""
    return load(Path(shutil.copytree(PROFILES, tmp_path / "record")))


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node["children"]:
        yield from walk(child)


def find(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (node for node in walk(document["tree"]) if node["name"] == name)
    return found


def function(document: dict[str, Any], name: str, file: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = document["functions"]
    (found,) = (row for row in rows if (row["name"], row["file"]) == (name, file))
    return found


def made(text: str, name: str = "a", **cost: float) -> Profile:
    return Profile(name, parse(text), {int(block[1:]): ms for block, ms in cost.items()})


def test_copies_show_no_change_beyond_the_noise_of_other_copies(record: Record) -> None:
    pair, other = profiles.aa_pairs(record), [(AGAIN[0].stacks, AGAIN[1].stacks)]
    sides = [profiles.from_record(record, name, "c0008") for name in ("baseline", "baseline.aa")]
    for document in (
        graph.document(AGAIN, pairs=pair),
        graph.document(sides, pairs=other),
        graph.document(sides[::-1], pairs=other),
    ):
        assert not any(node["changed"] for node in walk(document["tree"]))
        assert not any(row["changed"] or row["self_changed"] for row in document["functions"])
        assert not document["differs"]
        assert "This pair is what the noise was measured on" not in document["noise"]


def test_a_pair_that_the_noise_was_measured_on_is_said_to_be(record: Record) -> None:
    document = graph.of_record(record, "c0008", "baseline.aa", "baseline")
    assert "measured on profiles of two copies" in document["noise"]
    assert document["noise"].endswith(doubts.CIRCULAR)
    back = graph.of_record(record, "c0008", "baseline", "baseline.aa")
    assert back["noise"].endswith(doubts.CIRCULAR)


def test_the_imaging_gain_is_in_the_frames_that_make_it(record: Record) -> None:
    sides, pairs = profiles.of_cell(record, "c0008", "optimized", "baseline")
    document = graph.document(sides, pairs=[*pairs, (AGAIN[0].stacks, AGAIN[1].stacks)])
    assert (document["unit"], document["differs"]) == (COST, True)
    changed = {row["name"] for row in document["functions"] if row["self_changed"]}
    assert {"ImageFile.load", "Image.resize", "Image.copy", "decode_turbo"} <= changed
    load_frame = function(document, "ImageFile.load", "PIL/ImageFile.py")
    assert load_frame["state"] == "gone"
    assert load_frame["self"][0] > 20
    resize = function(document, "Image.resize", "PIL/Image.py")
    assert resize["self"][1] < 0.2 * resize["self"][0]
    turbo = function(document, "decode_turbo", "service/imaging.py")
    assert (turbo["state"], turbo["self_changed"]) == ("new", True)
    imaging = [row for row in document["functions"] if row["file"].startswith(IMAGING)]
    gain = sum(row["self"][0] - row["self"][1] for row in imaging)
    assert gain > 0.7 * (document["totals"][0] - document["totals"][1])
    # The model is the same: what it costs did not change, though its share grew threefold.
    engine = "onnxruntime/capi/onnxruntime_inference_collection.py"
    infer = function(document, "Session.run", engine)
    assert not infer["changed"]
    assert infer["share"][1] > 2 * infer["share"][0]


def test_the_noise_of_one_pair_colours_the_largest_changes_alone(record: Record) -> None:
    document = graph.of_record(record, "c0008", "optimized", "baseline")
    changed = [row["name"] for row in document["functions"] if row["self_changed"]]
    assert sorted(changed) == ["ImageFile.load", "decode_turbo"]
    assert any("only large differences show" in doubt for doubt in document["doubts"])


def test_costs_come_from_the_measured_repeats(record: Record) -> None:
    document = graph.of_record(record, "c0008", "optimized", "baseline")
    for side, variant in enumerate(("baseline", "optimized")):
        costs = []
        for repeat in (1, 2, 3):
            cell = json.loads(
                (PROFILES / f"cells/{variant}/c0008/r{repeat:02d}/cell.json").read_text()
            )
            costs.append(1000 * cell["service"]["cpu_s"] / cell["generator"]["measured"]["ok"])
        # Six digits are kept.
        assert document["totals"][side] == pytest.approx(sum(costs) / 3, rel=1e-5)
        assert document["tree"]["cost"][side] == document["totals"][side]


@pytest.mark.parametrize("against", [None, "baseline"])
def test_a_frame_costs_what_it_does_and_what_it_calls(record: Record, against: str | None) -> None:
    document = graph.of_record(record, "c0008", "optimized", against)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    for node in walk(document["tree"]):
        names = [(child["name"], child["file"]) for child in node["children"]]
        assert names == sorted(names)
        for side in range(len(document["sides"])):
            called = sum(child["cost"][side] for child in node["children"])
            assert node["cost"][side] >= (node["self"][side] + called) * (1 - 1e-5)
            share = node["cost"][side] / document["totals"][side]
            assert node["share"][side] == pytest.approx(share, rel=2e-5)
    assert document["left_out"] > 0


def test_one_profile_has_lists_of_one_and_no_changes(record: Record) -> None:
    document = graph.of_record(record, "c0008", "optimized")
    assert document["title"] == "optimized with 8 clients"
    assert (document["threshold"], document["differs"]) == (None, False)
    assert document["noise"] == ""
    for node in walk(document["tree"]):
        assert len(node["cost"]) == len(node["self"]) == len(node["share"]) == 1
        assert (node["z"], node["changed"], node["state"]) == (None, False, "both")


def test_a_share_can_grow_while_the_cost_stays() -> None:
    document = graph.document([made(A, b1=20, b2=20.2), made(B, "b", b1=11.9, b2=12.1)])
    infer, decode, cache = (find(document, name) for name in ("infer", "decode", "cache"))
    assert infer["share"] == pytest.approx([0.9, 500 / 540])
    assert infer["cost"] == pytest.approx([18.09, 12 * 500 / 540])
    assert (decode["state"], cache["state"]) == ("gone", "new")
    assert decode["cost"][1] == cache["cost"][0] == 0
    assert document["title"] == "a → b"


def test_without_cpu_time_on_one_side_both_are_shares() -> None:
    document = graph.document([made(A, b1=20), made(B, "b")])
    assert (document["unit"], document["totals"]) == (SHARE, [1.0, 1.0])
    assert find(document, "infer")["cost"] == find(document, "infer")["share"]
    assert document["doubts"][0].startswith("CPU time a request is not known of b,")


def test_what_is_not_known_of_the_noise_is_doubted() -> None:
    doubts = graph.document([made(A, b0=20), made(B, "b", b0=12)])["doubts"]
    assert any("no profiles of two copies" in doubt for doubt in doubts)
    assert any("one window only" in doubt for doubt in doubts)


def test_copies_that_scatter_widely_are_doubted() -> None:
    copies = parse("f (a.py:1) 900\ng (a.py:2) 100"), parse("f (a.py:1) 100\ng (a.py:2) 900")
    (doubt,) = graph.document([made(A), made(B, "b")], pairs=[copies])["doubts"][1:]
    assert doubt.startswith(
        "in profiles of two copies of one service the variance of sample counts"
    )


def test_profiles_that_were_not_taken_alike_are_doubted() -> None:
    native = Profile("b", parse(B), {}, None, {"options": {"native": True, "idle": False}})
    doubts = graph.document([made(A), native])["doubts"]
    assert any("(neither native, gil nor idle against native)" in doubt for doubt in doubts)


def test_few_samples_unreadable_and_disturbed_ones_are_doubted() -> None:
    text = "\n".join([A, "wait (threading.py:1) 9"])
    disturbed = Profile(
        "a", parse(text), {1: 20.0, 2: 21.0}, 40.0, {"errors": 200, "behind_s": 2.5}
    )
    few = made("main (app.py:1) 5", "few")
    doubts = " ".join(graph.document([disturbed, few])["doubts"])
    assert "few has 5 samples only" in doubts
    assert "the profiler of a was up to 2.50 s late" in doubts
    assert "200 stacks of a could not be read" in doubts
    assert "a request of a took 1.95 times as much CPU time while it was profiled" in doubts


def test_the_loop_in_c_may_have_worked_too() -> None:
    text = f"{A}main (app.py:1);Runner.run (asyncio/runners.py:118) 250\n"
    (doubt,) = graph.document([made(text, b1=20.0)])["doubts"]
    assert doubt.startswith("up to 20% of a's CPU time may be uvloop's own, charged to the other")
    assert (
        graph.document([made(f"{A}Runner.run (asyncio/runners.py:1) 50", b1=20.0)])["doubts"] == []
    )


def test_engine_threads_and_a_triton_beside_the_service_are_doubted(own: Record) -> None:
    run = own.run
    run["services"]["optimized"]["health"]["engine"]["threads"] = 2
    file = own.path / "cells/optimized/c0008/r01/cell.json"
    cell = json.loads(file.read_text())
    cell["service"]["cpu_s"] += 2.2
    cell["service"]["by_process"]["triton"] = {"cpu_s": 2.2, "rss_max_bytes": 1}
    file.write_text(json.dumps(cell))
    document = graph.of_record(own, "c0008", "optimized")
    said = " ".join(document["doubts"])
    assert "the engine of optimized computes with 2 threads, of which stacks show one" in said
    triton_ms = 2200 / cell["generator"]["measured"]["ok"]
    assert f"Triton's CPU time ({number(triton_ms)} ms a request of optimized) is not in" in said
    assert document["totals"] == graph.of_record(load(PROFILES), "c0008", "optimized")["totals"]


def test_both_sides_are_calibrated_alike_where_that_can_be() -> None:
    window = replace(made(A, "a", b0=30.0), own_cpu_ms=30.0)
    repeats = replace(made(B, "b", b1=12.0, b2=12.2), own_cpu_ms=15.0)
    document = graph.document([window, repeats])
    assert document["totals"] == [30.0, 15.0]
    assert not any("of the profiled window" in doubt for doubt in document["doubts"])
    document = graph.document([window, replace(repeats, own_cpu_ms=None)])
    assert document["totals"] == [30.0, 12.1]
    assert any("CPU time a request of a is of the profiled window" in d for d in document["doubts"])


def test_frames_that_all_stacks_have_are_one_comparison() -> None:
    short, long = (f"main (app.py:1);{stem}infer (m.py:1) 9\n" for stem in ("", "a (b.py:1);" * 50))
    assert graph.looked_at([parse(short)] * 2) == {(9, 9), (0, 0)}
    assert graph.looked_at([parse(long)] * 2) == {(9, 9), (0, 0)}


def test_rare_frames_are_left_out_and_counted() -> None:
    rare = "main (app.py:1);odd (o.py:1);odder (o.py:2) 1\nmain (app.py:1);common (c.py:1) 4999\n"
    document = graph.document([made(rare)])
    assert [node["name"] for node in walk(document["tree"])] == ["all", "main", "common"]
    assert document["left_out"] == 1
    assert find(document, "main")["share"] == [1.0]


def test_a_recursive_function_costs_no_more_than_all() -> None:
    document = graph.document([made("f (a.py:1);f (a.py:1);g (a.py:2) 10", b1=7.0)])
    assert function(document, "f", "a.py")["cost"] == [7.0]


def test_a_stack_of_hostile_depth_is_still_a_document() -> None:
    deep = ";".join(f"f{i} (a.py:1)" for i in range(5000))
    document = graph.document([made(f"{deep} 3")])
    assert len(json.dumps(document)) > 1000
    assert any("deeper stacks than are kept" in doubt for doubt in document["doubts"])


def test_fifty_thousand_different_stacks_are_drawn_in_little_memory() -> None:
    stem = ";".join(f"stem_{i} (app.py:1)" for i in range(9))
    text = "".join(
        f"{stem};f{i % 7} (m.py:1);g{i} (n.py:1);h{i} (n.py:1) 1\n" for i in range(50_000)
    )
    document = graph.document([made(text)])
    assert len(list(walk(document["tree"]))) == 1 + 9 + 7
    assert document["left_out"] == 50_000


FRAMES = st.sampled_from([Frame(name, f"{name}.py") for name in "abc"])
PROFILE = st.dictionaries(
    st.lists(FRAMES, min_size=1, max_size=4).map(tuple), st.integers(1, 500), min_size=1, max_size=8
)


def text(profile: dict[Any, int]) -> str:
    return "\n".join(
        f"{';'.join(f'{frame.name} ({frame.file}:1)' for frame in stack)} {samples}"
        for stack, samples in profile.items()
    )


@given(PROFILE, PROFILE)
def test_swapping_the_sides_turns_every_difference_round(
    one: dict[Any, int], two: dict[Any, int]
) -> None:
    sides = [made(text(each), name, b1=10.0, b2=11.0) for each, name in ((one, "a"), (two, "b"))]
    there, back = (graph.document(order) for order in (sides, sides[::-1]))
    for node, other in zip(walk(there["tree"]), walk(back["tree"]), strict=True):
        assert node["cost"] == other["cost"][::-1]
        assert node["changed"] == other["changed"]
        assert node["z"] == pytest.approx(-other["z"], rel=1e-5)
    leaves = sum(row["self"][0] for row in there["functions"])
    assert leaves == pytest.approx(there["totals"][0], rel=1e-5)


def test_a_file_has_the_cost_of_the_facts_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text(A)
    assert (profiles.from_file(path).name, profiles.from_file(path).cpu_ms) == ("p", {})
    (tmp_path / "p.json").write_text(json.dumps({**FACTS, "variant": "baseline"}))
    found = profiles.from_file(path)
    assert (found.name, found.cpu_ms, found.own_cpu_ms) == ("baseline", {0: 20.0}, 20.0)
    assert found.samples_a_request == 2.5


@pytest.mark.parametrize(
    "facts", [{"cpu_s": None}, {"answers": 0}, {"cpu_s": 1e308, "answers": 1}, {"cpu_s": 0}]
)
def test_facts_without_cpu_time_give_no_cost(tmp_path: Path, facts: dict[str, Any]) -> None:
    (tmp_path / "p.txt").write_text(A)
    (tmp_path / "p.json").write_text(json.dumps(FACTS | facts))
    assert profiles.from_file(tmp_path / "p.txt").cpu_ms == {}


@pytest.mark.parametrize(
    "facts",
    [
        {"cpu_s": "many"},
        {"cpu_s": float("nan")},
        {"answers": -1},
        {"answers": True},
        {"duration_s": 0},
        {"window_s": [10]},
        {"variant": {"a": 1}},
        {"options": None},
        {"behind_s": "late"},
        {"errors": "\x1b[31m"},
    ],
)
def test_facts_that_are_none_are_refused(tmp_path: Path, facts: dict[str, Any]) -> None:
    (tmp_path / "p.txt").write_text(A)
    (tmp_path / "p.json").write_text(json.dumps(FACTS | facts))
    (key,) = facts
    with pytest.raises(AnalysisError, match=rf"p\.json: '{key}' holds .*; delete it") as refused:
        profiles.from_file(tmp_path / "p.txt")
    assert "\x1b" not in str(refused.value)


def test_damaged_facts_are_refused_and_those_of_others_are_none(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text(A)
    (tmp_path / "p.json").write_text('{"version": 1, "tool": "triton_bench"}')
    assert profiles.from_file(path).facts == {}
    (tmp_path / "p.json").write_text('{"format": 1')
    with pytest.raises(AnalysisError, match=r"p\.json: damaged .* delete it to compare shares"):
        profiles.from_file(path)


def test_a_record_without_the_profile_says_which_there_are(record: Record, tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="expected one of: baseline with 8 clients, optimized"):
        graph.of_record(record, "c0008", "seed")
    bare = Path(shutil.copytree(PROFILES, tmp_path / "bare"))
    shutil.rmtree(bare / "profiles")
    with pytest.raises(AnalysisError, match=r"no profiles; expected .*\[profile\] clients = \[8\]"):
        graph.of_record(load(bare), "c0008", "optimized", "baseline")


def test_a_damaged_profile_of_a_record_is_refused(own: Record) -> None:
    own.profile("optimized", "c0008").write_text("not a profile")
    with pytest.raises(AnalysisError, match=r"c0008\.txt, line 1: found 'not a profile'"):
        graph.of_record(own, "c0008", "optimized", "baseline")
    own.profile("optimized", "c0008").with_suffix(".json").write_text("{")
    with pytest.raises(RecordError):
        graph.of_record(own, "c0008", "optimized")


def test_speedscope_gets_the_same_costs(record: Record) -> None:
    sides = [profiles.from_record(record, name, "c0008") for name in ("baseline", "optimized")]
    document = speedscope.document(sides)
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = document["shared"]["frames"]
    for side, found in zip(sides, document["profiles"], strict=True):
        assert (found["type"], found["unit"]) == ("sampled", "milliseconds")
        assert len(found["samples"]) == len(found["weights"]) == len(side.stacks.counts)
        assert sum(found["weights"]) == pytest.approx(sum(side.cpu_ms.values()) / 3)
        assert max(max(stack) for stack in found["samples"]) < len(frames)
        stack = tuple(Frame(**frames[index]) for index in found["samples"][0])
        assert stack in side.stacks.counts
    assert speedscope.document([made(A)])["profiles"][0]["unit"] == "none"
    assert sum(speedscope.document([made(A)])["profiles"][0]["weights"]) == 1000
