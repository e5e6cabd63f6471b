"""The histogram log as another tool reads it: PyPI's hdrhistogram, against the sample file."""

from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from loadtests import samples
from tests.stub import bench, stub

pytestmark = pytest.mark.alone

DAY_NS = 24 * 3600 * 10**9
# Three significant digits: a bucket is at most a thousandth of its values wide.
DIGITS = 3


def read(path: Path) -> dict[str, HdrHistogram]:
    """All intervals of a log, added up by their tag."""
    found: dict[str, HdrHistogram] = {}
    with closing(HistogramLogReader(str(path), HdrHistogram(1, DAY_NS, DIGITS))) as reader:
        while (interval := reader.get_next_interval_histogram()) is not None:
            total = found.setdefault(interval.get_tag(), HdrHistogram(1, DAY_NS, DIGITS))
            total.add(interval)
    return found


def test_another_tool_reads_the_same_times(triton_bench: Path, tmp_path: Path) -> None:
    parquet, log = tmp_path / "s.parquet", tmp_path / "s.hlog"
    with stub("--delay", "5ms", "--fail-every", "10") as server:
        bench(
            triton_bench, server.url, "--rate", "200", "--duration", "2.5s", "--warmup", "500ms",
            "--samples", str(parquet), "--hlog", str(log),
        )  # fmt: skip
    table = samples.read(parquet).table
    table = table.filter(pc.equal(pc.cast(table["phase"], pa.string()), "measure"))
    ok = pc.equal(samples.outcome(table), "ok")
    expected = {
        "response": pc.subtract(table["done_ns"], table["due_ns"]).filter(ok),
        "service": pc.subtract(table["done_ns"], table["sent_ns"]).filter(ok),
        "send_lag": pc.subtract(table["sent_ns"], table["due_ns"]),
        "failed": pc.subtract(table["done_ns"], table["due_ns"]).filter(pc.invert(ok)),
    }
    found = read(log)
    assert found.keys() == expected.keys()
    for tag, times in expected.items():
        values = sorted(times.to_pylist())
        assert found[tag].get_total_count() == len(values) > 40
        for percent in (50, 95, 100):
            rank = max(1, -(-len(values) * percent // 100))
            reported = found[tag].get_value_at_percentile(percent)
            assert reported == pytest.approx(values[rank - 1], rel=2e-3, abs=2)
