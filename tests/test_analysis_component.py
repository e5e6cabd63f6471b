"""What `benchmarks.components.analysis` measures: files like real ones, a process's own cost."""

import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analysis import catalogue
from analysis.compare import Verdict
from analysis.comparison import compare
from benchmarks.components import made_up
from benchmarks.components.analysis import LIST, Row, cost, listing
from benchmarks.record import load
from tests.golden import DEMO

ROWS = 2000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up.large(tmp_path_factory.mktemp("made"), ROWS)


def encodings(file: Path) -> dict[str, set[str]]:
    """Of each column, but for RLE, which counts nulls and is there or not by the writer's taste."""
    group = pq.ParquetFile(file).metadata.row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}
    return {column.path_in_schema: set(column.encodings) - {"RLE"} for column in columns}


def test_made_up_samples_are_encoded_as_the_generator_encodes_them(large: Path) -> None:
    real = next(DEMO.glob("cells/*/*/*/samples.parquet"))
    made = next(large.glob("cells/*/*/*/samples.parquet"))
    assert encodings(made) == encodings(real)
    generator = Path("loadtests/triton_bench/sample/file.go").read_text()
    assert f"rowsPerGroup = 1 << {made_up.GROUP_ROWS.bit_length() - 1}" in generator


def test_the_made_up_record_is_whole_and_has_an_answer(large: Path) -> None:
    record = load(large)
    assert len(record.completed()) == len(made_up.VISITS) == 40
    verdicts = {
        (d.variant, d.level): d.verdict
        for d in compare(record).matrix.differences
        if d.measure == "p50"
    }
    assert verdicts["optimized", "c0008"] is Verdict.FASTER
    assert verdicts["seed", "c0032"] is Verdict.SLOWER


def test_many_runs_are_dealt_out_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = catalogue.entries(made_up.many(tmp_path, 120))
    assert len(found) == 120
    assert all(entry.problem is None for entry in found)
    assert len({entry.campaign for entry in found}) == made_up.CAMPAIGNS
    first, again = listing(tmp_path / "many", 120, tmp_path / "cache")
    assert first.found > 0
    assert again.found > 0


def test_the_memory_of_a_process_is_its_own(tmp_path: Path) -> None:
    took = cost((sys.executable, "-c", "print(len(b'x' * 2**30))"), tmp_path)
    assert took.output == f"{2**30}\n"
    assert took.rss_gb == pytest.approx(1.0, abs=0.05)
    assert 0 < took.cpu_s < took.wall_s * 2


def test_a_command_that_fails_ends_the_measurement(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="ended with 1"):
        cost((sys.executable, "-c", LIST, str(tmp_path)), tmp_path)


def test_a_row_says_whether_the_target_is_held() -> None:
    assert str(Row("list", "s", 0.26, 1.0)) == "| list | 0.26 s | 1 s | held |"
    assert str(Row("list", "s", 1.26, 1.0)) == "| list | 1.26 s | 1 s | NOT held |"
    assert str(Row("list", "s", 1.26)) == "| list | 1.26 s |  |  |"
