"""The sample file: the contract between the Go generator, this reader and the analysis."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import samples
from loadtests.samples import SCHEMA, SamplesError, Window
from tests.stub import ROOT, bench, stub

WINDOW = Window(1_700_000_000_000_000_000, 1_000_000, 9_000_000)


def table(**columns: list[object]) -> pa.Table:
    """A table of plausible rows; the columns given replace the plausible ones."""
    rows = len(next(iter(columns.values()))) if columns else 3
    plausible: dict[str, list[object]] = {
        "due_ns": list(range(rows)),
        "sent_ns": [n + 10 for n in range(rows)],
        "first_byte_ns": [n + 50 for n in range(rows)],
        "done_ns": [n + 100 for n in range(rows)],
        "status": [200] * rows,
        "error": [""] * rows,
        "bytes_in": [10] * rows,
        "bytes_out": [20] * rows,
        "image": ["cat.jpg"] * rows,
        "client": [0] * rows,
        **{f"stage_{stage}_us": [5] * rows for stage in samples.STAGES},
        "trace_id": ["0" * 32] * rows,
        "phase": ["measure"] * rows,
    }
    return pa.table(plausible | columns, schema=SCHEMA)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    rows = table(first_byte_ns=[None, 5, 6], stage_infer_us=[None, 0, 7], trace_id=[None, "a", "b"])
    samples.write(tmp_path / "s.parquet", rows, WINDOW)
    read = samples.read(tmp_path / "s.parquet")
    assert read.window == WINDOW
    assert read.table.schema.equals(SCHEMA)
    assert read.table.to_pylist() == rows.to_pylist()
    assert [p.name for p in tmp_path.iterdir()] == ["s.parquet"]


def test_the_generators_file_holds_exactly_the_schema(triton_bench: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    with stub("--delay", "1ms", "--server-timing", "queue;dur=0.004, infer;dur=12.5") as server:
        ran = bench(triton_bench, server.url, "--requests", "50", "--samples", str(path))
    assert ran.status == 0, ran.stderr
    stored = pq.ParquetFile(path)
    # Go writes names as plain strings; the reader makes dictionaries of them.
    assert stored.schema_arrow.names == SCHEMA.names
    assert [f.nullable for f in stored.schema_arrow] == [f.nullable for f in SCHEMA]
    assert stored.metadata.row_group(0).column(0).compression == "ZSTD"
    read = samples.read(path)
    assert read.table.schema.equals(SCHEMA)
    assert read.table.num_rows == 50
    assert vars_of(read.window) == ran.summary["window"]
    row = read.table.to_pylist()[7]
    assert (row["stage_queue_us"], row["stage_infer_us"], row["stage_decode_us"]) == (
        4,
        12500,
        None,
    )
    assert row["image"] == "cat-451x300.jpg"
    assert re.fullmatch("[0-9a-f]{32}", row["trace_id"])
    rewritten = tmp_path / "again.parquet"
    samples.write(rewritten, read.table, read.window)
    assert samples.read(rewritten).table.equals(read.table)


def vars_of(window: Window) -> dict[str, int]:
    return {name: getattr(window, name) for name in Window.__slots__}


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    samples.write(path, table(), WINDOW)
    path.write_bytes(path.read_bytes()[:-100])


def text(path: Path) -> None:
    path.write_text("due_ns,sent_ns\n1,2\n")


def other_table(path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), path)


def newer(path: Path) -> None:
    pq.write_table(table().replace_schema_metadata({"windtunnel.samples": "99"}), path)


def no_window(path: Path) -> None:
    pq.write_table(table().replace_schema_metadata({"windtunnel.samples": "1"}), path)


def a_row_less(path: Path) -> None:
    samples.write(path, table(), WINDOW, issued=4)


def another_outcome(path: Path) -> None:
    samples.write(path, table(), WINDOW)
    stored = pq.read_table(path)
    failed = stored.set_column(4, stored.field("status"), pa.array([200, 200, 500], pa.int32()))
    pq.write_table(failed, path)


def garbled_accounting(path: Path) -> None:
    samples.write(path, table(), WINDOW)
    stored = pq.read_table(path)
    metadata = stored.schema.metadata | {b"windtunnel.accounting": b"{"}
    pq.write_table(stored.replace_schema_metadata(metadata), path)


def damaged_inside(path: Path) -> None:
    samples.write(path, table(due_ns=list(range(5000)), sent_ns=list(range(5000)),
                              done_ns=list(range(5000))), WINDOW)  # fmt: skip
    content = bytearray(path.read_bytes())
    content[8:2000] = bytes(1992)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (empty, "empty; expected a sample file"),
        (truncated, "truncated: its end is missing"),
        (text, "not a Parquet file"),
        (other_table, "a Parquet file, but not of samples"),
        (newer, "samples of version 99; expected 1"),
        (no_window, "nothing usable of when was measured"),
        (damaged_inside, "damaged"),
        (a_row_less, "'issued': 4"),
        (another_outcome, "requests are missing"),
        (garbled_accounting, "expected {; measure again"),
        (lambda path: None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_with_the_reason(
    tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    path = tmp_path / "s.parquet"
    spoil(path)
    with pytest.raises(SamplesError) as refused:
        samples.read(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"error": ["", "lost"]}, "error 'lost'; expected one of"),
        ({"phase": ["measure", "drain"]}, "phase 'drain'; expected one of"),
        ({"sent_ns": [-1, 5]}, "1 rows have sent_ns before due_ns"),
        ({"done_ns": [0, 0]}, "2 rows have done_ns before sent_ns"),
    ],
)
def test_rows_that_make_no_sense_are_refused(
    tmp_path: Path, columns: dict[str, list[object]], says: str
) -> None:
    with pytest.raises(SamplesError, match=re.escape(says)):
        samples.write(tmp_path / "s.parquet", table(**columns), WINDOW)
    assert not list(tmp_path.iterdir())


def test_a_file_without_accounting_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    samples.write(path, table(), WINDOW)
    stored = pq.read_table(path)
    metadata = {
        key: value
        for key, value in stored.schema.metadata.items()
        if key != b"windtunnel.accounting"
    }
    pq.write_table(stored.replace_schema_metadata(metadata), path)
    assert samples.read(path).table.num_rows == 3


def test_a_table_without_a_column_names_the_column(tmp_path: Path) -> None:
    with pytest.raises(SamplesError, match="columns missing: trace_id, unknown: none"):
        samples.write(tmp_path / "s.parquet", table().drop_columns(["trace_id"]), WINDOW)


def test_a_window_that_ends_before_it_starts_is_refused(tmp_path: Path) -> None:
    samples.write(tmp_path / "s.parquet", table(), replace(WINDOW, measure_end_ns=0))
    with pytest.raises(SamplesError, match="nothing usable of when was measured"):
        samples.read(tmp_path / "s.parquet")


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 100, 199, 200, 204, 299, 300, 404, 429, 500]),
            st.sampled_from(samples.ERRORS),
        ),
        min_size=1,
    )
)
def test_every_request_has_one_outcome(requests: list[tuple[int, str]]) -> None:
    found = samples.outcome(
        table(status=[status for status, _ in requests], error=[error for _, error in requests])
    ).to_pylist()
    for (status, error), outcome in zip(requests, found, strict=True):
        if error in ("timeout", "censored"):
            assert outcome == error
        elif error:
            assert outcome == "transport_error"
        else:
            assert outcome == ("ok" if 200 <= status <= 299 else "http_error")


def test_the_readme_explains_each_column_and_no_other() -> None:
    text = (ROOT / "loadtests/README.md").read_text()
    section = text.split("\n## The sample file\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.M)
    explained = {name: kind.strip() for name, kind in rows}
    expected = {}
    for field in SCHEMA:
        kind = "string" if pa.types.is_dictionary(field.type) else str(field.type)
        expected[field.name] = f"{kind}, null" if field.nullable else kind
    assert explained == expected
