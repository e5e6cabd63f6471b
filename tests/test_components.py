"""What components measure with: real processes, real statements, files that can be trusted."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks import probe
from benchmarks.components import (
    clients,
    eventloop,
    imaging,
    interleaved,
    jsons,
    limits,
    result,
    tables,
    upload,
)
from benchmarks.components.counted import Counted, counted
from benchmarks.components.interleaved import WALL, Child, Effort, Timed, children, measure
from benchmarks.components.oversized import Body, Seen, Sender, pieces
from benchmarks.components.result import Case, Check
from benchmarks.processes import RunError, runner_environment
from benchmarks.record import RecordError

MODULE = [sys.executable, "-m"]
BARE = [*MODULE, "benchmarks.components.bare_server", "asyncio", "h11"]
SHORT = Effort(blocks=2, visits=1, least_s=0.002)
FACTS = {
    "run": "20261126T120000Z-abcdef",
    "started": "2026-11-26T12:00:00Z",
    "machine": {"cpu": "a"},
    "versions": {},
    "commit": {"sha": None, "dirty": None},
}


def said_nothing(done: int, blocks: int) -> None:
    assert done <= blocks


def written(folder: Path, **cases: Case) -> Path:
    checks = [Check("answers", "413", "413 after 3 MB", True)]
    return result.write(folder, "json", "How fast?", FACTS, cases, checks)


# Results.


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    fast = Case("orjson.dumps", "default", "cpu_ms", (0.5, 0.25), 1000)
    path = written(tmp_path, fast=fast, slow=Case("json", "default", "cpu_ms", (5.0, 4.0)))
    found = result.load(path)
    assert path == tmp_path / "components/json/20261126T120000Z-abcdef.json"
    assert found.cases["fast"] == fast
    assert found.cases["slow"].handled_bytes is None
    assert (found.component, found.question, found.blocks) == ("json", "How fast?", 2)
    assert found.run == FACTS["run"]
    assert found.checks == (Check("answers", "413", "413 after 3 MB", True),)
    assert result.newest("json", tmp_path) == path
    assert result.newest("imaging", tmp_path) is None


def test_the_newest_result_is_the_last_by_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, a=Case("a", "default", "ms", (1.0,)))
    later = path.with_name("20261127T120000Z-000000.json")
    later.write_text(path.read_text())
    path.with_name(".20261128T120000Z-000000.json.partial").write_text("half")
    assert result.newest("json", tmp_path) == later


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 9}, "format 9"),
        ({"tool": "another"}, "no result of a component"),
        ({"component": None}, "no result of a component"),
        ({"cases": {}}, "not 1 values"),
        ({"cases": []}, "'cases' holds"),
        ({"blocks": 7}, "not 7 values"),
        ({"cases": {"a": 1}}, "case 'a' lacks"),
        ({"cases": {"a": {"says": "", "environment": "", "unit": 3}}}, "case 'a' lacks"),
        ({"checks": [{"name": "x"}]}, "a check lacks"),
        ({"checks": [3]}, "a check lacks"),
    ],
)
def test_a_damaged_result_is_refused_in_one_line(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = written(tmp_path, a=Case("a", "default", "ms", (1.0,)))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RecordError) as refused:
        result.load(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("values", ["[]", "[NaN]", '["1"]', "[true]", "7"])
def test_values_have_to_be_numbers(tmp_path: Path, values: str) -> None:
    path = written(tmp_path, a=Case("a", "default", "ms", (1.25,)))
    path.write_text(path.read_text().replace("[\n    1.25\n   ]", values))
    assert values in path.read_text()
    with pytest.raises(RecordError, match="other values than numbers"):
        result.load(path)


# The table.


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=9), st.floats(0.1, 50))
def test_a_constant_ratio_has_no_width(values: list[float], factor: float) -> None:
    expected = f"{factor:.2f}"
    said = tables.ratio([value * factor for value in values], values)
    assert all(
        math.isclose(float(part), float(expected), abs_tol=0.011)
        for part in said.replace("[", "").replace("]", "").replace(",", "").split()
    )


def test_a_ratio_is_of_the_blocks() -> None:
    # The logarithms differ by log 4, so half a width is log 2 times Student's t, 12.7.
    assert tables.ratio([2.0, 8.0], [1.0, 1.0]).startswith("4.00 [0.00, ")
    assert tables.ratio([2.0], [1.0]) == "2.00"
    assert tables.ratio([0.0], [1.0]) == ""


def test_the_table_has_throughput_where_bytes_are_handled() -> None:
    cases = {
        "slow": Case("json", "default", "cpu_ms", (2.0, 2.0), 1_000_000),
        "fast": Case("orjson", "default", "cpu_ms", (1.0, 1.0), 1_000_000),
        "memory": Case("peak", "default", "mb", (121.5, 121.5)),
    }
    rows = tables.table(cases, [["slow", "fast"], ["memory"]]).splitlines()
    assert rows[2] == "| slow | 2.00 ms CPU | 1 | 500 | json |"
    assert rows[3] == "| fast | 1.00 ms CPU | 2.00 [2.00, 2.00] | 1e+03 | orjson |"
    assert rows[4] == "| memory | 122 MB | 1 |  | peak |"


# Timing in children.


def test_a_statement_that_takes_twice_the_work_takes_twice_the_time() -> None:
    work = "sum(range({n}))"
    cases = [Timed(name, name, work.format(n=n)) for name, n in (("one", 20_000), ("two", 40_000))]
    found = measure(cases, Effort(blocks=3, visits=5, least_s=0.01), said_nothing)
    assert list(found) == ["one", "one" + WALL, "two", "two" + WALL]
    one, two = found["one"], found["two"]
    assert (one.unit, found["one.wall"].unit) == ("cpu_ms", "ms")
    assert min(b / a for a, b in zip(one.values, two.values, strict=True)) < 2.6
    assert max(b / a for a, b in zip(one.values, two.values, strict=True)) > 1.5


def test_sleeping_takes_wall_time_and_no_cpu() -> None:
    case = Timed("sleep", "sleeps", "time.sleep(0.01)", "import time")
    found = measure([case], Effort(2, 1, 0.02), said_nothing)
    assert min(found["sleep.wall"].values) > 10
    assert max(found["sleep"].values) < 3


def test_a_setup_gives_names_and_handled_bytes_and_printing_spoils_nothing() -> None:
    setup = "blob = b'x' * 77\nprint('hello')"
    case = Timed("length", "len", "len(blob)\nlen(blob)", setup, handled="len(blob)")
    assert measure([case], SHORT, said_nothing)["length"].handled_bytes == 77


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (Timed("wrong", "", "1 / zero", "zero = 0"), "ZeroDivisionError"),
        (Timed("wrong", "", "pass", "import nothing_of_the_kind"), "No module named"),
        (Timed("wrong", "", "(", ""), "SyntaxError"),
        (Timed("wrong", "", "pass", "import os; os._exit(3)"), "its process ended"),
    ],
)
def test_what_goes_wrong_in_a_child_is_one_line_with_the_case(case: Timed, said: str) -> None:
    with pytest.raises(RunError) as failed:
        measure([case], SHORT, said_nothing)
    assert said in str(failed.value)
    assert str(failed.value).startswith("case 'wrong': ")
    assert "\n" not in str(failed.value)


def test_children_have_none_of_the_callers_settings_and_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SERVICE_PRESET", "seed")
    setup = "import os\nassert 'SERVICE_PRESET' not in os.environ"
    with children(["default"]) as processes:
        assert processes["default"].prepare(Timed("env", "", "pass", setup), 0.0) is None
        peak = processes["default"].asked("env", "peak")["mb"]
        pid = processes["default"]._process.pid
    assert 5 < peak < 200
    assert not psutil.pid_exists(pid)


def test_a_child_ends_with_its_parent() -> None:
    code = (
        "import os; from benchmarks.components.interleaved import Child;"
        " print(Child('default')._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while psutil.pid_exists(int(done.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


# The components' own cases, each once.


@pytest.mark.parametrize("case", list(jsons.cases()), ids=lambda case: str(case.name))
def test_each_json_case_runs(case: Timed, child: Child) -> None:
    boxes = int(case.name.rpartition(".")[2])
    handled = child.prepare(case, 0.0)
    assert handled is not None
    assert 80 * boxes < handled < 130 * boxes + 200
    assert child.asked(case.name, "time")["cpu_ms"] > 0


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with children(["default"]) as processes:
        yield processes["default"]


def test_all_ways_to_write_an_answer_give_the_same_json(child: Child) -> None:
    """Otherwise they would be compared for nothing."""
    setup = next(case.setup for case in jsons.cases() if case.name == "answer.bytes.100")
    check = f"""
sent = []
async def send(message):
    sent.append(message)
for recipe in ("stdlib", "orjson_response", "bytes"):
    done(ENCODERS[recipe](answer)(scope, receive, send))
done(send_json(send, orjson.dumps(answer)))
bodies = [message["body"] for message in sent if message["type"] == "http.response.body"]
assert len(bodies) == 4 and len(set(bodies)) == 1, bodies
assert {jsons.STDLIB} == bodies[0] and json.loads(bodies[0]) == answer
"""
    child.prepare(Timed("same", "", "pass", setup + check), 0.0)


@pytest.mark.parametrize(
    "case",
    [case for case in imaging.cases(simd=False) if case.name.endswith("0.3mp")],
    ids=lambda case: str(case.name),
)
def test_each_imaging_case_of_the_small_picture_runs(case: Timed, child: Child) -> None:
    assert child.prepare(case, 0.0) == 112525
    assert child.asked(case.name, "time")["cpu_ms"] > 0


def test_pictures_are_as_large_as_their_names_say() -> None:
    for size, name in imaging.PICTURES.items():
        with Image.open(f"loadtests/images/{name}") as picture:
            megapixels = picture.width * picture.height / 1e6
        assert float(size.removesuffix("mp")) == pytest.approx(megapixels, rel=0.1)


def test_groups_begin_with_what_the_others_are_compared_with() -> None:
    names = [case.name for case in imaging.cases(simd=True)]
    groups = imaging.groups(names)
    assert sorted(name for group in groups for name in group) == sorted(names)
    assert all(".pillow." in group[0] for group in groups)
    pipelines = [f"pipeline.{way}.12mp" for way in imaging.PIPELINES]
    assert pipelines in groups
    of_json = jsons.groups()
    assert sorted(n for group in of_json for n in group) == sorted(c.name for c in jsons.cases())
    assert all(".stdlib." in group[0] for group in of_json)


def test_clients_are_compared_new_with_pooled() -> None:
    names = [case.name for case in clients.cases("127.0.0.1:1")]
    assert names == [
        "init.new",
        "init.pooled",
        "call.new",
        "call.pooled",
        "infer.new",
        "infer.pooled",
        "create",
    ]


# Servers that count.


def test_a_bare_server_answers_and_counts_what_that_took() -> None:
    with counted(BARE, runner_environment()) as server:
        before = server.cpu_ms()
        for _ in range(50):
            assert probe.get(f"http://127.0.0.1:{server.port}/", 5) == (200, b"hello")
        asked_ms = server.cpu_ms() - before
        again_ms = server.cpu_ms() - before - asked_ms
        pid = server.process.pid
    assert 1 < asked_ms < 500
    assert again_ms < asked_ms / 2  # being asked costs nothing
    assert not psutil.pid_exists(pid)


def test_a_bare_server_ends_with_whoever_started_it() -> None:
    server = Counted(BARE, runner_environment())
    assert server.process.stdin
    assert server.process.stdout
    server.process.stdin.close()  # as the kernel does for one that was killed
    with server.process.stdout:
        assert server.process.wait(20) == 0


def test_a_server_that_does_not_start_is_one_line() -> None:
    with pytest.raises(RunError, match=r"-c 1/0` did not start; expected its port"):
        counted([sys.executable, "-c", "1/0"], {}).__enter__()


def test_a_server_that_ends_meanwhile_is_said() -> None:
    with counted(BARE, runner_environment()) as server:
        os.kill(server.process.pid, signal.SIGKILL)
        with pytest.raises(RunError, match="ended while it was measured"):
            server.cpu_ms()


# Bodies that are too large.


@given(st.integers(1, 40), st.booleans())
def test_the_pieces_of_a_body_add_up(count: int, chunked: bool) -> None:
    size = count << 16
    sent = list(pieces(Body(size, chunked=chunked)))
    assert sum(inside for _, inside in sent) == size
    wire = b"".join(framed for framed, _ in sent)
    assert wire.endswith(b"0\r\n\r\n") == chunked
    assert len(wire) == size + (count * len(b"10000\r\n\r\n") + 5 if chunked else 0)


def test_what_a_server_takes_is_counted_to_the_end() -> None:
    with counted(BARE, runner_environment()) as server:
        for body in (Body(1 << 20), Body(1 << 20, chunked=True), Body(1 << 20, expect=True)):
            seen = Sender(server.port, server.process.pid).send("/", body)
            assert (seen.status, seen.sent_bytes, seen.cut) == (200, 1 << 20, False)
            assert seen.answer_ms > 0


def test_the_service_refuses_early_and_the_checks_say_so(tmp_path: Path) -> None:
    found = limits.block(tmp_path)
    assert all(check.passed for check in limits.checks([found])), limits.checks([found])
    cases = limits.cases([found])
    assert cases["declared.memory_mb"].values[0] < 20 < cases["unlimited.memory_mb"].values[0]
    assert cases["expect.sent_mb"].values == (0.0,)


@pytest.mark.parametrize(
    ("way", "seen"),
    [
        ("declared", Seen(413, limits.SIZE_BYTES)),
        ("expect", Seen(413, 1)),
        ("chunked", Seen(200, limits.LIMIT_BYTES)),
        ("pushing", Seen(413, 1000, cut=False)),
        ("unlimited", Seen(413, 1000)),
    ],
)
def test_a_service_that_is_not_as_promised_fails_a_check(way: str, seen: Seen) -> None:
    good = {
        "declared": Seen(413, 0),
        "expect": Seen(413, 0),
        "chunked": Seen(413, limits.LIMIT_BYTES),
        "pushing": Seen(413, 1000, cut=True),
        "unlimited": Seen(200, limits.SIZE_BYTES),
    }
    assert all(check.passed for check in limits.checks([good]))
    failed = [check.name for check in limits.checks([good, good | {way: seen}]) if not check.passed]
    assert failed == [way]


# The commands.


def test_a_component_prints_its_table_and_writes_its_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jsons, "BOXES", (6,))
    options = tables.Options(quick=True, results=tmp_path)
    assert tables.ended("json", lambda: jsons.measured(options)) == 0
    said = capsys.readouterr()
    path = result.newest("json", tmp_path)
    assert path
    found = result.load(path)
    assert found.blocks == 3
    assert {name for name in found.cases if not name.endswith(WALL)} == {
        case.name for case in jsons.cases()
    }
    assert "| encode.stdlib.6 | " in said.out
    assert said.out.splitlines()[-1].endswith(f"/{path.name}")
    assert "json: block 3 of 3" in said.err


def test_uploads_are_measured_in_both_ways_as_form_and_as_bytes() -> None:
    found = upload.cases([upload.block(0, visits=1, requests=2)])
    assert [name for name in found if not name.endswith(WALL)] == upload.names()
    assert all(case.values[0] > 0 for case in found.values())
    assert found["direct.raw.31kb"].handled_bytes == 30985


@pytest.mark.alone
def test_every_loop_and_parser_is_loaded_in_a_block(tmp_path: Path) -> None:
    body = tmp_path / "body.jpg"
    body.write_bytes(bytes(eventloop.BODY_BYTES))
    found = eventloop.cases([eventloop.block(0, body, visits=1, seconds=0.3)])
    cpu = {name: case.values[0] for name, case in found.items() if not name.endswith(WALL)}
    assert set(cpu) == {f"{r}.{s}" for r in ("hello", "body") for s in eventloop.SERVERS}
    # C against Python: true of any machine, however busy it is.
    assert cpu["hello.uvloop_httptools"] < cpu["hello.asyncio_h11"]
    assert cpu["hello.uvloop_httptools"] < cpu["body.uvloop_httptools"]


def test_an_interrupted_component_leaves_no_process_and_no_result(tmp_path: Path) -> None:
    command = [*MODULE, "benchmarks.components.jsons", "--results", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr
    process.stderr.readline()  # it has begun
    time.sleep(0.5)
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == "json: interrupted; nothing was written\n"
    assert started
    assert not [child for child in started if child.is_running()]
    assert not list(tmp_path.iterdir())


def test_an_effort_of_an_environment_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(interleaved, "interpreter", lambda name, root: tmp_path / name)

    def work() -> Path:
        measure([Timed("a", "", "pass")], SHORT, said_nothing)
        return tmp_path

    assert tables.ended("json", work) == 2
    said = capsys.readouterr().err
    assert said.startswith("json: ")
    assert "Traceback" not in said
