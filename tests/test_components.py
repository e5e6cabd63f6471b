"""What components measure with: real statements in real processes, files that can be trusted."""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tritonclient.grpc import service_pb2, service_pb2_grpc

from benchmarks import machine
from benchmarks.components import clients, imaging, interleaved, jsons, result, tables
from benchmarks.components.interleaved import WALL, Child, Effort, Timed, children, measure
from benchmarks.components.result import Case, Check
from benchmarks.processes import RunError
from benchmarks.record import RecordError

MODULE = [sys.executable, "-m"]
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
    return result.write(folder, "json", "How fast?", FACTS, cases, checks, quick=True)


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
    assert found.quick
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
        ({"quick": None}, "'quick' holds"),
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
    assert rows[3] == "| fast | 1.00 ms CPU | 2.00 [2.00, 2.00] | 1000 | orjson |"
    assert rows[4] == "| memory | 122 MB | 1 |  | peak |"
    assert tables.amount(Case("", "default", "requests", (8.0, 9.0))) == "8.5 requests"


@given(st.floats(1e-6, 1e9))
def test_numbers_have_three_digits_and_no_exponent(value: float) -> None:
    said = tables.digits(value)
    assert "e" not in said
    assert math.isclose(float(said), value, rel_tol=0.0051)


# Timing in children.


def test_a_statement_that_takes_twice_the_work_takes_twice_the_time() -> None:
    work = "sum(range({n}))"
    cases = [Timed(name, name, work.format(n=n)) for name, n in (("one", 20_000), ("two", 40_000))]
    found = measure(cases, Effort(blocks=3, visits=5, least_s=0.01), said_nothing)
    assert list(found) == ["one", "one" + WALL, "two", "two" + WALL]
    one, two = found["one"], found["two"]
    assert (one.unit, found["one.wall"].unit) == ("cpu_ms", "ms")
    assert 1.6 < median(b / a for a, b in zip(one.values, two.values, strict=True)) < 2.5


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
        pid = processes["default"]._process.pid
    assert not psutil.pid_exists(pid)


def test_a_peak_is_that_of_the_child_alone() -> None:
    """This process is larger: what a child had before it became another program is not its own."""
    peaks = []
    for size in (1, 64_000_000):
        with children(["default"]) as processes:
            processes["default"].prepare(Timed("blob", "", f"blob = b'x' * {size}"), 0.0)
            peaks.append(processes["default"].asked("blob", "peak")["mb"])
    assert 5 < peaks[0] < 40
    assert peaks[1] - peaks[0] == pytest.approx(64, abs=4)


def test_a_statement_that_need_not_be_long_runs_once() -> None:
    case = Timed("once", "", "runs.append(1)", "runs = []", handled="len(runs)")
    with children(["default"]) as processes:
        assert processes["default"].prepare(case, 0.0) == 1


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


class Models(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """A Triton that knows its models, and notes who asks."""

    def __init__(self) -> None:
        self.peers: list[str] = []

    def ModelConfig(self, request: Any, context: Any) -> Any:
        self.peers.append(context.peer())
        return service_pb2.ModelConfigResponse()


@pytest.mark.parametrize(("name", "connections"), [("init.new", 4), ("init.pooled", 1)])
def test_a_new_client_opens_a_connection_and_a_kept_one_does_not(
    name: str, connections: int, child: Child
) -> None:
    server, models = grpc.server(ThreadPoolExecutor(2)), Models()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(models, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        case = next(case for case in clients.cases(address) if case.name == name)
        child.prepare(case, 0.0)
        for _ in range(3):
            child.asked(name, "time")
    finally:
        server.stop(0)
    assert (len(models.peers), len(set(models.peers))) == (4, connections)


def test_pillow_simd_is_not_asked_for_avx2_that_the_cpu_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "has_avx2", lambda: False)
    assert list(imaging.avx2()) == []


# The commands.


def test_a_component_prints_its_table_and_writes_its_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jsons, "BOXES", (6,))
    monkeypatch.setattr(interleaved, "QUICK", SHORT)
    options = tables.Options(quick=True, results=tmp_path)
    assert tables.ended("json", lambda: jsons.measured(options)) == 0
    said = capsys.readouterr()
    path = result.newest("json", tmp_path)
    assert path
    found = result.load(path)
    assert (found.blocks, found.quick) == (2, True)
    assert {name for name in found.cases if not name.endswith(WALL)} == {
        case.name for case in jsons.cases()
    }
    assert "| encode.stdlib.6 | " in said.out
    assert said.out.splitlines()[-1].endswith(f"/{path.name}")
    assert "json: block 2 of 2" in said.err


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
