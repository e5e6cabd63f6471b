"""The tree of one profile and of two: it adds up, it is in CPU ms a request, its grey is noise."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.flame import graph, profiles, speedscope
from analysis.flame.graph import COST, SHARE
from analysis.flame.profiles import Profile
from analysis.flame.stacks import Frame, parse
from analysis.latency import AnalysisError
from benchmarks.record import Record, RecordError, load

# A real run: photos of 12 megapixels, 8 clients, baseline twice, on two shared CPUs.
PROFILES = Path(__file__).parent / "data/profiles"
FACTS = {"format": 1, "cpu_s": 8.0, "answers": 400, "window_s": 10, "duration_s": 10}

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


def test_copies_of_one_service_show_no_coloured_frame(record: Record) -> None:
    document = graph.of_record(record, "c0008", "baseline.aa", "baseline")
    assert [node["name"] for node in walk(document["tree"]) if node["changed"]] == []
    assert [row for row in document["functions"] if row["changed"] or row["self_changed"]] == []
    assert document["doubts"] == []
    assert "measured on profiles of two copies" in document["noise"]


def test_the_imaging_gain_is_in_the_frames_that_make_it(record: Record) -> None:
    document = graph.of_record(record, "c0008", "optimized", "baseline")
    assert document["unit"] == COST
    gone = {row["name"] for row in document["functions"] if row["self_changed"]}
    assert {"ImageFile.load", "Image.resize", "Image.copy", "decode_turbo"} <= gone
    load_frame = function(document, "ImageFile.load", "PIL/ImageFile.py")
    assert load_frame["state"] == "gone"
    assert load_frame["self"][0] > 20
    resize = function(document, "Image.resize", "PIL/Image.py")
    assert resize["self"][1] < 0.2 * resize["self"][0]
    turbo = function(document, "decode_turbo", "service/imaging.py")
    assert (turbo["state"], turbo["self_changed"]) == ("new", True)
    # The model is the same: what it costs did not change, though its share grew threefold.
    engine = "onnxruntime/capi/onnxruntime_inference_collection.py"
    infer = function(document, "Session.run", engine)
    assert not infer["changed"]
    assert infer["share"][1] > 2 * infer["share"][0]


def test_costs_come_from_the_measured_repeats(record: Record) -> None:
    document = graph.of_record(record, "c0008", "optimized", "baseline")
    for side, variant in enumerate(("baseline", "optimized")):
        costs = []
        for repeat in (1, 2, 3):
            cell = json.loads(
                (PROFILES / f"cells/{variant}/c0008/r{repeat:02d}/cell.json").read_text()
            )
            costs.append(1000 * cell["service"]["cpu_s"] / cell["generator"]["measured"]["ok"])
        assert document["totals"][side] == pytest.approx(sum(costs) / 3, rel=0.1)
        assert document["tree"]["cost"][side] == pytest.approx(document["totals"][side])


@pytest.mark.parametrize("against", [None, "baseline"])
def test_a_frame_costs_what_it_does_and_what_it_calls(record: Record, against: str | None) -> None:
    document = graph.of_record(record, "c0008", "optimized", against)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    for node in walk(document["tree"]):
        names = [(child["name"], child["file"]) for child in node["children"]]
        assert names == sorted(names)
        for side in range(len(document["sides"])):
            called = sum(child["cost"][side] for child in node["children"])
            assert node["cost"][side] >= node["self"][side] + called - 1e-9
            share = node["cost"][side] / document["totals"][side]
            assert node["share"][side] == pytest.approx(share)
    assert document["left_out"] > 0


def test_one_profile_has_lists_of_one_and_no_changes(record: Record) -> None:
    document = graph.of_record(record, "c0008", "optimized")
    assert document["title"] == "optimized with 8 clients"
    assert document["threshold"] is None
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
    assert doubt.startswith("profiles of two copies of one service scatter 1")


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


def test_rare_frames_are_left_out_and_counted() -> None:
    rare = "main (app.py:1);odd (o.py:1);odder (o.py:2) 1\nmain (app.py:1);common (c.py:1) 4999\n"
    document = graph.document([made(rare)])
    assert [node["name"] for node in walk(document["tree"])] == ["all", "main", "common"]
    assert document["left_out"] == 2
    assert find(document, "main")["share"] == [1.0]


def test_a_recursive_function_costs_no_more_than_all() -> None:
    document = graph.document([made("f (a.py:1);f (a.py:1);g (a.py:2) 10", b1=7.0)])
    assert function(document, "f", "a.py")["cost"] == [7.0]


def test_a_stack_of_hostile_depth_is_still_a_document() -> None:
    deep = ";".join(f"f{i} (a.py:1)" for i in range(5000))
    document = graph.document([made(f"{deep} 3")])
    assert len(json.dumps(document)) > 1000
    assert any("deeper stacks than are kept" in doubt for doubt in document["doubts"])


FRAMES = st.sampled_from([Frame(name, f"{name}.py") for name in "abc"])
PROFILE = st.dictionaries(
    st.lists(FRAMES, min_size=1, max_size=4).map(tuple), st.integers(1, 500), min_size=1, max_size=8
)


def frames(stack: tuple[Frame, ...]) -> str:
    return ";".join(f"{frame.name} ({frame.file}:1)" for frame in stack)


@given(PROFILE, PROFILE)
def test_swapping_the_sides_turns_every_difference_round(
    one: dict[Any, int], two: dict[Any, int]
) -> None:
    text = [
        "\n".join(
            f"{';'.join(f'{f.name} ({f.file}:1)' for f in stack)} {n}" for stack, n in p.items()
        )
        for p in (one, two)
    ]
    sides = [made(each, name, b1=10.0, b2=11.0) for each, name in zip(text, "ab", strict=True)]
    there, back = (graph.document(order) for order in (sides, sides[::-1]))
    for node, other in zip(walk(there["tree"]), walk(back["tree"]), strict=True):
        assert node["cost"] == other["cost"][::-1]
        assert node["changed"] == other["changed"]
        assert node["z"] == pytest.approx(-other["z"])
    leaves = sum(row["self"][0] for row in there["functions"])
    assert leaves == pytest.approx(there["totals"][0])


def test_a_file_has_the_cost_of_the_facts_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text(A)
    assert (profiles.from_file(path).name, profiles.from_file(path).cpu_ms) == ("p", {})
    (tmp_path / "p.json").write_text(json.dumps({**FACTS, "variant": "baseline"}))
    found = profiles.from_file(path)
    assert (found.name, found.cpu_ms, found.own_cpu_ms) == ("baseline", {0: 20.0}, 20.0)
    assert found.samples_a_request == 2.5


@pytest.mark.parametrize("facts", [{"cpu_s": None}, {"answers": 0}, {"cpu_s": "many"}])
def test_facts_without_cpu_time_give_no_cost(tmp_path: Path, facts: dict[str, Any]) -> None:
    (tmp_path / "p.txt").write_text(A)
    (tmp_path / "p.json").write_text(json.dumps(FACTS | facts))
    assert profiles.from_file(tmp_path / "p.txt").cpu_ms == {}


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
