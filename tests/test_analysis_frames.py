"""Reading records: what counts as a latency, an error and throughput, and what is refused."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from analysis import frames
from analysis.comparison import compare
from analysis.frames import Repeat
from analysis.latency import AnalysisError
from benchmarks.record import SAMPLES, Record, RecordError, Visit, load
from loadtests import samples
from tests.records import WARMUP_NS, Shape, campaign, with_cell, write

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests/data/record-v1"
VISIT = Visit("baseline", "c0008", 1)
MS = 1_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    quiet = Shape(requests=100)
    return write(tmp_path, campaign({"baseline": quiet, "optimized": quiet}, ("c0008",), repeats=2))


def with_rows(record: Record, rows: list[dict[str, object]]) -> Repeat:
    """The first repeat, as if it had these requests; times in milliseconds after the warm-up."""
    start, blank = WARMUP_NS, dict.fromkeys(samples.SCHEMA.names)
    numbers = {"bytes_in": 1, "bytes_out": 1, "client": 0, "status": 200}
    names = {"error": "", "image": "a.jpg", "phase": "measure"}
    full = []
    for row in rows:
        times = {k: start + int(float(str(row[k])) * MS) for k in ("due_ns", "sent_ns", "done_ns")}
        full.append({**blank, **numbers, **names, **row, **times})
    columns = [
        pa.array([row[f.name] for row in full], f.type.value_type).dictionary_encode()
        if pa.types.is_dictionary(f.type)
        else pa.array([row[f.name] for row in full], f.type)
        for f in samples.SCHEMA
    ]
    window = samples.Window(0, start, start + 1000 * MS)
    table = pa.Table.from_arrays(columns, names=samples.SCHEMA.names)
    samples.write(record.samples(VISIT), table, window)
    return frames.read(record, VISIT)


def request(due: float, sent: float, done: float, **rest: object) -> dict[str, object]:
    return {"due_ns": due, "sent_ns": sent, "done_ns": done, **rest}


def test_response_time_counts_from_due_and_service_time_from_sent(path: Path) -> None:
    repeat = with_rows(load(path), [request(10, 15, 40)])
    assert repeat.response_ms.tolist() == [30]
    assert repeat.service_ms.tolist() == [25]
    assert repeat.send_lag_p99_ms == 5


def test_failures_are_errors_and_time_outs_are_censored_latencies(path: Path) -> None:
    rows = [
        request(0, 0, 20),
        request(1, 1, 3, status=503),
        request(2, 2, 4, status=0, error="reset"),
        request(3, 3, 903, status=0, error="timeout"),
        request(4, 4, 500, status=0, error="censored"),
    ]
    repeat = with_rows(load(path), rows)
    assert repeat.counts == dict.fromkeys(samples.OUTCOMES, 1)
    assert repeat.error_share == 0.8
    assert repeat.response_ms.tolist() == [20, 900, 496]
    assert repeat.censored.tolist() == [False, True, True]
    assert repeat.failed_s.tolist() == [0.001, 0.002]


def test_only_requests_due_in_the_window_have_latencies(path: Path) -> None:
    rows = [request(-5, -5, 10, phase="warmup"), request(0, 0, 30), request(1000, 1000, 1001)]
    repeat = with_rows(load(path), rows)
    assert repeat.response_ms.tolist() == [30]
    assert repeat.due_s.tolist() == [0]
    assert repeat.issued == 1


def test_throughput_counts_good_answers_that_ended_in_the_window(path: Path) -> None:
    rows = [
        request(-5, -5, 0, phase="warmup"),  # ended inside: counts
        request(500, 500, 999),
        request(990, 990, 1000),  # ended outside
        request(600, 600, 700, status=500),
    ]
    assert with_rows(load(path), rows).throughput_rps == 2


def test_a_repeat_without_requests_has_no_percentiles_but_a_doubt(path: Path) -> None:
    repeat = with_rows(load(path), [request(-5, -5, -1, phase="warmup")])
    assert (len(repeat.response_ms), repeat.throughput_rps, repeat.error_share) == (0, 0, 0)
    comparison = compare(load(path))
    cell = comparison.matrix.cells["baseline", "c0008"]
    assert cell.value("p50") is None
    assert cell.value("throughput") is None
    assert "P50 needs 6 requests in each repeat, one has 0" in comparison.doubts[0].text


def test_the_golden_record_can_be_read_for_ever() -> None:
    record = load(DATA)
    repeats = [frames.read(record, visit) for visit in record.completed()]
    assert [Visit(r.variant, r.level, r.repeat) for r in repeats] == record.completed()
    assert all(r.issued > 0 for r in repeats)
    comparison = compare(record)
    assert comparison.matrix.differences
    assert all(cell.value("p50") for cell in comparison.matrix.cells.values())


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "empty"), (b"PAR1 cut", "truncated"), (b"GIF89a", "not a Parq")]
)
def test_a_damaged_sample_file_is_refused(path: Path, content: bytes, message: str) -> None:
    damaged = path / VISIT.folder / SAMPLES
    damaged.write_bytes(content)
    with pytest.raises(samples.SamplesError, match=message):
        compare(load(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ('{"format": 1, "tool": "wind', "damaged or cut short"),
        ('{"format": 1, "tool": "k6", "metrics": {}}', "written by 'k6'"),
        ('{"format": 99, "tool": "windtunnel"}', "format 99"),
    ],
)
def test_a_damaged_record_is_refused(path: Path, content: str, message: str) -> None:
    (path / "run.json").write_text(content)
    with pytest.raises(RecordError, match=message):
        load(path)


def test_what_is_damaged_is_one_line_with_its_place_and_status_2(path: Path) -> None:
    name = VISIT.folder / SAMPLES
    (path / name).write_bytes(b"")
    status, lines = command(path)
    assert status == 2
    assert len(lines) == 1
    assert f"{path / name}: empty" in lines[0]
    assert f"delete {path / VISIT.folder}, then `windtunnel run --resume {path}`" in lines[0]


def test_a_record_without_a_complete_repeat_says_how_to_go_on(path: Path) -> None:
    for file in path.rglob("cell.json"):
        file.unlink()
    with pytest.raises(AnalysisError, match=r"no repeat is complete.*run --resume"):
        compare(load(path))


def test_a_reference_that_was_left_out_is_refused_with_the_others(tmp_path: Path) -> None:
    plan = campaign({"baseline": Shape(), "optimized": Shape()}, ("c0001",))
    plan = with_cell(plan, "baseline", "c0001", repeats=0)
    path = write(tmp_path, plan)
    with pytest.raises(AnalysisError, match="expected one of baseline, optimized"):
        compare(load(path), reference="base")
    assert compare(load(path)).matrix.differences[0].reason == "baseline was not measured"


def test_a_million_requests_are_compared_in_seconds(tmp_path: Path) -> None:
    big = Shape(requests=100_000, noise=0.001)
    path = write(tmp_path, campaign({"baseline": big, "optimized": big}, ("c0008",), repeats=3))
    before = time.process_time()
    comparison = compare(load(path))
    assert time.process_time() - before < 5
    issued = [v.requests for cell in comparison.matrix.cells.values() for v in cell.visits]
    assert np.sum(issued) == 900_000


def command(path: Path) -> tuple[int, list[str]]:
    program = Path(sys.executable).with_name("windtunnel")
    done = subprocess.run(
        [str(program), "compare", str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()
