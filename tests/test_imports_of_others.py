"""Results of other load generators become records: against what those tools printed themselves."""

import base64
import csv
import gzip
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

from analysis import comparison
from analysis.commands import app as compare_app
from analysis.latency import percentile
from benchmarks import record
from benchmarks.fields import CampaignError
from benchmarks.import_commands import app
from benchmarks.imports import given as arguments
from benchmarks.imports import guess, texts
from benchmarks.imports.found import NS, Found, Options
from benchmarks.imports.hdr import UNITS_NS
from benchmarks.imports.rows import rows
from benchmarks.imports.source import ForeignFileError, Source
from benchmarks.processes import RunError
from benchmarks.record import Record, RecordError, Visit
from loadtests import samples

DATA = Path(__file__).parent / "data/imports"
NAMES = ("baseline", "candidate")
ROOT = Path(__file__).parent.parent
BASELINE = Visit("baseline", "c0004", 1)


def imported(results: Path, *words: str) -> Record:
    """The record that `windtunnel import` leaves; what it refuses is raised."""
    done = CliRunner().invoke(app, [*words, "--results", str(results)])
    if done.exception is not None:
        raise done.exception
    assert done.exit_code == 0, done.output
    return record.load(results)


def read(file: Path, **options: str) -> Found:
    source = Source(file)
    return guess.reader(source)(source, Options(**options))


def table(file: Path, **options: str) -> Any:
    return rows(Source(file), read(file, **options), 0.0)[0]


def times_ms(found: Any) -> NDArray[np.float64]:
    times: NDArray[np.float64] = pc.subtract(found["done_ns"], found["due_ns"]).to_numpy() / 1e6
    return times


def counts(found: Any) -> dict[str, int]:
    return {name: n for name, n in samples.accounting(found).items() if n}


# What the tools printed themselves


@pytest.mark.parametrize("name", ["baseline-1", "baseline-2", "candidate-1", "candidate-2"])
def test_k6_has_the_counts_and_percentiles_that_it_printed(name: str) -> None:
    printed = (DATA / f"k6-{name}.txt").read_text()
    found = read(DATA / f"k6-{name}.json.gz")
    rows_ = table(DATA / f"k6-{name}.json.gz")
    failed, issued = re.findall(r"http_req_failed.*% (\d+) out of (\d+)", printed)[0]
    counted = counts(rows_)
    assert counted["issued"] == int(issued) - 1  # the one of setup()
    assert counted["issued"] - counted["ok"] == int(failed)
    assert counted["timeout"] == 3
    assert found.level == "c0004"
    assert any("setup()" in sentence for sentence in found.cannot_know)
    ok = np.sort(times_ms(rows_)[np.array(samples.outcome(rows_)) == "ok"])
    said = re.findall(r"expected_response:true.*med=([\d.]+)ms .*p\(95\)=([\d.]+)ms", printed)[0]
    for q, value in zip((50, 95), map(float, said), strict=True):
        # k6 interpolates, counts the request of setup(), and cuts after two decimals.
        rank = len(ok) * q // 100
        assert ok[rank - 2] - 0.01 <= value <= ok[rank + 1] + 0.01


def test_a_time_out_of_k6_took_as_long_as_it_was_waited_for() -> None:
    rows_ = table(DATA / "k6-baseline-1.json.gz")
    late = times_ms(rows_)[np.array(samples.outcome(rows_)) == "timeout"]
    assert np.all((late >= 250) & (late < 300))


@pytest.mark.parametrize(
    ("file", "report"),
    [
        ("vegeta-baseline.json", "baseline"),
        ("vegeta-baseline.csv", "baseline"),
        ("vegeta-candidate.json.gz", "candidate"),
    ],
)
def test_vegeta_has_the_counts_and_percentiles_that_it_reported(file: str, report: str) -> None:
    said = json.loads((DATA / f"vegeta-{report}-report.json").read_text())
    rows_ = table(DATA / file)
    assert counts(rows_) == {
        "issued": said["requests"],
        "ok": said["status_codes"]["200"],
        "http_error": said["status_codes"]["500"],
        "timeout": said["status_codes"]["0"],
    }
    ordered = np.sort(times_ms(rows_))
    for q in (50, 90, 95, 99):  # vegeta's percentiles are those of a digest, between neighbours
        low, high = (ordered[round(len(ordered) * q / 100) + d] for d in (-3, 2))
        assert low * 0.99 <= said["latencies"][f"{q}th"] / 1e6 <= high * 1.01
    assert times_ms(rows_).max() == pytest.approx(said["latencies"]["max"] / 1e6)
    assert read(DATA / file).level == "q0150"
    window = rows(Source(DATA / file), read(DATA / file), 0.0)[1]
    assert window.duration_s == pytest.approx(said["duration"] / 1e9)
    assert texts.unix_ns(said["earliest"]) == window.start_unix_ns


def test_vegetas_json_and_csv_are_the_same_requests() -> None:
    assert table(DATA / "vegeta-baseline.json").equals(table(DATA / "vegeta-baseline.csv"))


@pytest.mark.parametrize("name", NAMES)
def test_hey_has_the_requests_of_its_lines(name: str) -> None:
    file = DATA / f"hey-{name}.csv"
    with file.open() as opened:
        lines = list(csv.DictReader(opened))
    rows_ = table(file)
    statuses = [line["status-code"] for line in lines]
    assert counts(rows_) == {
        "issued": len(lines),
        "ok": statuses.count("200"),
        "http_error": statuses.count("500"),
    }
    expected = sorted(float(line["response-time"]) * 1e3 for line in lines)
    assert sorted(times_ms(rows_)) == pytest.approx(expected)
    assert read(file).level is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("given_as", ["stats", "stats_history"])
def test_locust_reports_its_own_totals(name: str, given_as: str) -> None:
    found = read(DATA / f"locust-{name}_{given_as}.csv")
    with (DATA / f"locust-{name}_stats.csv").open() as file:
        said = {row["Name"]: row for row in csv.DictReader(file)}["Aggregated"]
    assert found.requests is None
    assert found.reported is not None
    assert found.level == "c0004"
    values = found.reported["percentiles_ms"]
    for q in ("50", "95", "99", "99.9"):
        assert values[q] == float(said[f"{q}%"])
    assert "100" not in values
    counted = found.reported["counts"]
    assert sum(counted.values()) == int(said["Request Count"])
    assert counted["http_error"] + counted["timeout"] == int(said["Failure Count"])
    assert counted["timeout"] > 0
    assert counted["http_error"] > 0
    ok = int(said["Request Count"]) - int(said["Failure Count"])
    rate = float(said["Requests/s"]) - float(said["Failures/s"])
    assert found.reported["throughput_rps"] == pytest.approx(rate)
    assert found.reported["window_s"] == pytest.approx(ok / rate)
    assert "10 ms below 1 s" in found.reported["rounded"]


@pytest.mark.parametrize("name", NAMES)
def test_wrk_reports_what_it_printed(name: str) -> None:
    text = (DATA / f"wrk-{name}.txt").read_text()
    found = read(DATA / f"wrk-{name}.txt")
    assert (found.tool, found.level) == ("wrk", "c0004")
    assert found.reported is not None
    for q, value in re.findall(r"^ +(\d+)% +([\d.]+)ms", text, re.M):
        assert found.reported["percentiles_ms"][q] == float(value)
    requests = int(re.findall(r"(\d+) requests in", text)[0])
    errors = int(re.findall(r"responses: (\d+)", text)[0])
    assert found.reported["counts"]["ok"] == requests - errors
    assert found.reported["counts"]["http_error"] == errors


@pytest.mark.parametrize("name", NAMES)
def test_wrk2_reports_its_spectrum_and_not_the_uncorrected_one(name: str) -> None:
    text = (DATA / f"wrk2-{name}.txt").read_text()
    found = read(DATA / f"wrk2-{name}.txt")
    assert (found.tool, found.level) == ("wrk2", None)
    assert found.reported is not None
    values = found.reported["percentiles_ms"]
    for q in ("50", "75", "90", "95"):
        point = next(line.split() for line in text.splitlines() if f" {int(q) / 100:.6f} " in line)
        assert values[q] == float(point[0])
    (said,) = re.findall(r"^ 99.000% +([\d.]+)ms", text, re.M)[:1]
    assert values["99"] == float(said)
    assert set(values) >= {"99.9", "99.99"}
    assert "100" not in values
    assert found.reported["counts"]["timeout"] == 3


def merged(file: Path, tag: str | None) -> HdrHistogram:
    """A log's intervals added up by the library."""
    total = HdrHistogram(1, 24 * 3600 * NS, 3)
    with closing(HistogramLogReader(str(file), HdrHistogram(1, 24 * 3600 * NS, 3))) as reader:
        while (interval := reader.get_next_interval_histogram()) is not None:
            if interval.get_tag() == tag:
                total.add(interval)
    return total


@pytest.mark.parametrize(
    ("file", "tag"),
    [
        ("triton_bench-baseline.hlog", "response"),
        ("triton_bench-candidate.hlog", "service"),
        ("python.hlog", None),
    ],
)
def test_a_histogram_log_has_the_counts_and_percentiles_of_its_histograms(
    file: str, tag: str | None
) -> None:
    expected = merged(DATA / file, tag)
    rows_ = table(DATA / file, **({"tag": tag} if tag else {}))
    assert counts(rows_)["ok"] == expected.get_total_count()
    for q in (50, 95, 99):
        value = percentile(times_ms(rows_), q).value_ms
        near = [expected.get_value_at_percentile(q + d) / 1e6 for d in (-0.2, 0, 0.2)]
        assert near[0] <= value <= near[2]
    whole = percentile(times_ms(rows_), 50).value_ms * 1e6
    assert expected.get_value_at_percentile(50) == pytest.approx(whole, abs=1)


def test_a_log_of_ours_has_the_p50_of_its_run() -> None:
    said = json.loads((DATA / "triton_bench-baseline.json").read_text())
    rows_ = table(DATA / "triton_bench-baseline.hlog", tag="response")
    assert counts(rows_)["ok"] == said["measured"]["ok"]
    value = percentile(times_ms(rows_), 50).value_ms
    assert value == pytest.approx(said["response_ms"]["p50"], rel=0.003)
    window = rows(
        Source(DATA / "triton_bench-baseline.hlog"),
        read(DATA / "triton_bench-baseline.hlog", tag="response"),
        0.0,
    )[1]
    assert abs(window.start_unix_ns - said["started_unix_ns"]) < 2_000_000


# Records


def test_two_repeats_of_two_variants_compare(tmp_path: Path) -> None:
    files = [f"{name}={DATA}/k6-{name}-{repeat}.json.gz" for repeat in (1, 2) for name in NAMES]
    found = imported(
        tmp_path, *files, "--name", "mine", "--question", "Faster?", "--warmup", "0.2s"
    )
    assert found.path.parent.name == "mine"
    assert (found.question, found.reference, found.aa) == ("Faster?", "baseline", None)
    assert found.order() == [Visit(name, "c0004", repeat) for repeat in (1, 2) for name in NAMES]
    result = comparison.compare(found)
    ratios = {d.measure: d.ratio for d in result.matrix.differences}
    assert ratios["p50"] is not None
    assert ratios["p50"].point == pytest.approx(6 / 9, abs=0.02)
    assert ratios["throughput"] is not None
    assert ratios["throughput"].point > 1.2
    # They are known to have been measured in blocks.
    assert not any("interleaved" in s for s in found.run["imported"]["cannot_know"])
    before = samples.read(found.samples(BASELINE)).table["phase"].to_pylist().count("warmup")
    assert 20 < before < 100


def test_the_record_says_which_files_it_is_of_and_what_they_do_not_say(tmp_path: Path) -> None:
    file = DATA / "hey-baseline.csv"
    found = imported(tmp_path, f"baseline={file}", "--clients", "4")
    about = found.run["imported"]
    assert about["tool"] == "hey"
    (entry,) = about["files"]
    assert (entry["name"], entry["bytes"]) == (file.name, file.stat().st_size)
    assert entry["sha256"] == Source(file).sha256()
    assert any("coordinated omission" in sentence for sentence in about["cannot_know"])
    facts = found.facts(BASELINE)
    assert facts["generator"] == {"tool": "hey", "loop": "closed", "instrument": {}}
    assert (facts["machine"], facts["service"], facts["started"]) == ({}, None, None)
    rows_ = samples.read(found.samples(BASELINE)).table
    assert set(rows_["trace_id"].to_pylist()) == {None}
    assert set(rows_["client"].to_pylist()) == {-1}
    assert rows_["stage_infer_us"].null_count == rows_.num_rows


def test_totals_are_kept_without_samples(tmp_path: Path) -> None:
    files = [f"{name}={DATA}/locust-{name}" for name in NAMES]
    found = imported(tmp_path, *files)
    assert list(found.path.glob("cells/**/samples.parquet")) == []
    facts = found.facts(BASELINE)
    assert facts["reported"]["percentiles_ms"]["50"] == 9.0
    names = [file["name"] for file in facts["imported"]["files"]]
    assert names == [
        f"locust-baseline_{part}.csv" for part in ("stats", "stats_history", "failures")
    ]
    assert comparison.compare(found).matrix.differences[0].ratio is not None


def test_levels_are_given_by_file_or_for_all(tmp_path: Path) -> None:
    hlog = [f"{name}={DATA}/triton_bench-{name}.hlog" for name in NAMES]
    found = imported(tmp_path, *hlog, "--tag", "response", "--rate", "150")
    assert (found.levels, found.campaign["clients"]) == (["q0150"], [])
    assert found.facts(Visit("baseline", "q0150", 1))["generator"]["loop"] == "open"
    matrix = imported(
        tmp_path / "matrix",
        f"a@8={DATA}/hey-baseline.csv",
        f"a@32={DATA}/hey-candidate.csv",
        f"b@8={copy(tmp_path, 'hey-baseline.csv')}",
    )
    assert matrix.levels == ["c0008", "c0032"]
    assert len(matrix.completed()) == 3


def copy(folder: Path, name: str) -> Path:
    """An example with other content, which is a request less."""
    target = folder / f"other-{name}"
    lines = (DATA / name).read_text().splitlines(keepends=True)
    target.write_text("".join(lines[:-2] if not lines[-1].strip() else lines[:-1]))
    return target


def test_repeats_that_were_not_measured_in_blocks_are_said_to_be_so(tmp_path: Path) -> None:
    files = [f"{name}={DATA}/k6-{name}-{repeat}.json.gz" for name, repeat in
             (("baseline", 2), ("baseline", 1), ("candidate", 1), ("candidate", 2))]  # fmt: skip
    found = imported(tmp_path, *files)
    assert any("interleaved" in s for s in found.run["imported"]["cannot_know"])


def attack(file: Path, start_s: int, median_ms: float, seed: int) -> Path:
    """What vegeta leaves of 2 s at 100 requests/s, so many seconds after a full minute."""
    rng, first = np.random.default_rng(seed), json.loads(VEGETA.splitlines()[0])
    median_ms *= float(np.exp(0.02 * rng.standard_normal()))
    with file.open("w") as out:
        for number, took_ms in enumerate(median_ms * np.exp(0.2 * rng.standard_normal(200))):
            begun = f"2026-03-01T00:00:{start_s + number // 100:02d}.{number % 100:02d}Z"
            result = {"seq": number, "code": 200, "error": "", "timestamp": begun}
            out.write(json.dumps({**first, **result, "latency": round(took_ms * 1e6)}) + "\n")
    return file


def test_a_second_copy_of_the_reference_shows_the_noise_floor(tmp_path: Path) -> None:
    files = [
        f"{name}={attack(tmp_path / f'{name}-{repeat}.json', 3 * (3 * repeat + n), ms, repeat + n)}"
        for repeat in range(3)
        for n, (name, ms) in enumerate((("a", 20.0), ("a.aa", 20.0), ("b", 30.0)))
    ]
    found = imported(tmp_path / "results", *files)
    assert (found.aa, found.reference, found.variants) == ("a.aa", "a", ["a", "b", "a.aa"])
    assert list(found.campaign["variants"]) == ["a", "b"]
    assert len(found.completed()) == 9
    result = comparison.compare(found)
    assert not any(doubt.kind == "no_aa_pair" for doubt in result.doubts)
    (difference,) = [d for d in result.matrix.differences if d.measure == "p50"]
    assert (difference.variant, difference.verdict) == ("b", "slower")
    assert difference.floor is not None
    assert 0 < difference.floor < 0.2
    done = CliRunner().invoke(compare_app, ["compare", str(found.path)], env={"COLUMNS": "160"})
    assert f"±{difference.floor:.1%}" in done.output
    assert "noise floor" in done.output


def test_repeats_that_overlap_are_no_blocks(tmp_path: Path) -> None:
    """The second repeat of `a` begins while the first one of `b` goes on."""
    for overlap_s in (0, 1):
        starts = {"a": (0, 6 - overlap_s), "b": (4, 9)}
        files = [
            f"{name}={attack(tmp_path / f'{name}{overlap_s}{n}.json', start_s, 20.0, start_s)}"
            for name, begun in starts.items()
            for n, start_s in enumerate(begun)
        ]
        found = imported(tmp_path / f"results-{overlap_s}", *files, "--rate", "100")
        said = any("interleaved" in s for s in found.run["imported"]["cannot_know"])
        assert said is bool(overlap_s)


def test_a_log_in_another_unit_is_read_as_it_is_told(tmp_path: Path) -> None:
    ns = table(DATA / "python.hlog")
    us = table(DATA / "python.hlog", unit="us")
    assert np.sort(times_ms(us)) == pytest.approx(np.sort(times_ms(ns)) * 1000)
    assert any("in which unit" in s for s in read(DATA / "python.hlog").cannot_know)
    assert not any("in which unit" in s for s in read(DATA / "python.hlog", unit="ns").cannot_know)


# What is refused

K6 = gzip.decompress((DATA / "k6-baseline-1.json.gz").read_bytes())
VEGETA = (DATA / "vegeta-baseline.json").read_bytes()
VEGETA_CSV = (DATA / "vegeta-baseline.csv").read_bytes()
HEY = (DATA / "hey-baseline.csv").read_bytes()
HLOG = (DATA / "python.hlog").read_bytes()
STATS = (DATA / "locust-baseline_stats.csv").read_bytes()
WRK2 = (DATA / "wrk2-baseline.txt").read_bytes()
GOB = (DATA / "vegeta-cut.gob").read_bytes()
HISTORY = (DATA / "locust-baseline_stats_history.csv").read_bytes()
PACKED = (DATA / "k6-baseline-1.json.gz").read_bytes()


def changed(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    return content.replace(old, new, 1)


BROKEN = {
    "empty": (b"", "empty; expected results of a load generator"),
    "blank": (b"\n\n \n", "empty"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "begins with"),
    "another JSON": (b'{"a": 1}\n', "begins with"),
    "k6's summary": (b'{\n "root_group": {"name": ""},\n "metrics": {}\n}\n', "--out json=FILE"),
    "vegeta's gob": (GOB, "vegeta encode -to json .*gob"),
    "UTF-16": ("\ufeffresponse-time".encode("utf-16"), "UTF-16"),
    "Parquet": (b"PAR1....", "Parquet"),
    "Locust's errors": (b"Method,Name,Error,Occurrences\r\n", "_stats.csv"),
    "a bare spectrum": (b"       Value   Percentile   TotalCount\n", "all that wrk2 printed"),
    "k6, cut": (K6[:-40], r"line \d+: no point of k6, or one that is cut short"),
    "k6, then vegeta": (K6 + VEGETA, r"line \d+: no point of k6"),
    "k6, then text": (K6 + b"done\n", "no point of k6"),
    "k6 without requests": (b"\n".join(K6.splitlines()[:1]) + b"\n", "no request in it"),
    "k6 without a status": (
        K6.replace(b'"status":"200",', b""),
        "without a usable 'status'",
    ),
    "k6, a time that is none": (K6.replace(b'"time":"2026', b'"time":"a026'), "without a usable"),
    "k6, a negative time": (
        re.sub(rb'(duration","type":"Point".*?"value":)9', rb"\g<1>-9", K6),
        "took -",
    ),
    "k6, not a number": (
        re.sub(rb'(duration","type":"Point".*?"value":)9', rb"\g<1>NaN", K6),
        "no point of k6",
    ),
    "k6, tags that are none": (
        re.sub(rb'(duration","type":"Point".*?"tags":)\{[^}]*\}', rb"\g<1>7", K6),
        "without a usable",
    ),
    "vegeta, cut": (VEGETA[:-20], "line 300: no result of vegeta"),
    "vegeta, a negative latency": (changed(VEGETA, b'"latency":', b'"latency":-'), "took -"),
    "vegeta, a latency that is a text": (changed(VEGETA, b'"latency":', b'"latency":"9","x":'),
                                         "no result of vegeta"),
    "vegeta, a century": (changed(VEGETA, b'"timestamp":"2026', b'"timestamp":"1990'), "30 days"),
    "vegeta before 1970": (changed(VEGETA, b'"timestamp":"2026', b'"timestamp":"1026'),
                           "no clock shows"),
    "vegeta, one request": (VEGETA.splitlines()[0] + b"\n", "within 0 s .1 in all"),
    "vegeta CSV, cut": (VEGETA_CSV[:-9], "the last line does not end"),
    "vegeta CSV, an age": (changed(VEGETA_CSV, b",200,", b",200," + b"9" * 400), "2,592,000 s or"),
    "vegeta CSV, a column less": (changed(VEGETA_CSV, b",GET,", b","), "11 columns"),
    "vegeta CSV, no UTF-8": (VEGETA_CSV + b"\xff\xfe\n", "no UTF-8"),
    "vegeta CSV, a status from elsewhere": (changed(VEGETA_CSV, b",200,", b",99999,"), "99999"),
    "hey, cut": (HEY.rstrip()[:-2], "the last line does not end"),
    "hey, not a number": (HEY + b"nan,0,0,0,0,0,200,1\n", "no request of hey"),
    "hey, for ever": (HEY + b"inf,0,0,0,0,0,200,1\n", "no request of hey"),
    "hey, negative": (HEY + b"-1,0,0,0,0,0,200,1\n", "took -1 s"),
    "hey, a column less": (HEY + b"1,0,0,0,0,200,1\n", "no request of hey"),
    "hey, then hey again": (HEY + HEY, "no request of hey"),
    "a log, cut": (HLOG[:-30] + b"\n", "cannot be unpacked"),
    "a log, its last line open": (HLOG[:-1], "the last line does not end"),
    "a log of nothing": (HLOG[: HLOG.index(b"\n1795")] + b"\n", "no interval"),
    "a log with text": (HLOG + b"hello\n", "no interval of a histogram log"),
    "a log with no number": (HLOG + b"nan,1,1,HISTF\n", "no interval of a histogram log"),
    "a log from nowhere": (HLOG.replace(b",30.000000,", b",0.000000,"), "--unit ns, us or ms"),
    "Locust, cut": (STATS[:-9], "the last line does not end"),
    "Locust without a total": (STATS.replace(b"Aggregated", b"x"), "no row Aggregated"),
    "Locust, not a number": (re.sub(rb"(Aggregated),\d+", rb"\1,nan", STATS), "Request Count is"),
    "Locust, nothing sent": (
        re.sub(rb"Aggregated,\d+,\d+", b"Aggregated,0,0", STATS), "a run with requests"),
    "Locust, only a history": (HISTORY, "a history"),
    "wrk2, cut": (WRK2[: WRK2.index(b"  447 requests in")], "no line like 'N requests in T'"),
    "wrk2, twice": (WRK2 + WRK2, "2 lines like"),
    "wrk2 without percentiles": (re.sub(rb"(?s)  Latency Dist.*---\n", b"", WRK2), "--latency"),
    "wrk2, more errors than requests": (
        re.sub(rb"responses: \d+", b"responses: 9999", WRK2), "no more errors"),
    "gzip, cut": (PACKED[: len(PACKED) // 2], "damaged"),
    "gzip of nothing": (gzip.compress(b""), "empty"),
    "gzip, broken": (PACKED[:2000] + b"xxxx" + PACKED[2004:], "damaged|no point of k6"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused_in_one_line_and_nothing_is_left(
    what: str, tmp_path: Path
) -> None:
    content, message = BROKEN[what]
    file = tmp_path / "given.gob"
    file.write_bytes(content)
    with pytest.raises(ForeignFileError, match=message) as refused:
        imported(tmp_path / "results", f"baseline={file}", "--clients", "4")
    text = str(refused.value)
    assert "\n" not in text
    assert "given.gob" in text
    assert text.count("; ") >= 2
    assert not (tmp_path / "results").exists()


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A kilobyte that is a gigabyte of one line, and a histogram of 80 MiB."""
    line = tmp_path / "line.gz"
    with gzip.open(line, "wb") as out:
        out.write(b'{"metric":"' + b"a" * (17 << 20))
    with pytest.raises(ForeignFileError, match="over 16 MiB long"):
        read(line)
    packed = zlib.compress(bytes(80 << 20))
    cookie = (0x1C849304 | 0x10).to_bytes(4, "big") + len(packed).to_bytes(4, "big")
    log = tmp_path / "bomb.hlog"
    blob = base64.b64encode(cookie + packed)
    log.write_bytes(HLOG[: HLOG.index(b"\n1795") + 1] + b"0,1,1," + blob + b"\n")
    with pytest.raises(ForeignFileError, match="larger than any histogram"):
        read(log)


def test_a_histogram_whose_counts_are_too_many_rows_is_refused(tmp_path: Path) -> None:
    histogram = HdrHistogram(1, 3600 * NS, 3)
    histogram.record_value(5_000_000, 10**9)
    log = tmp_path / "much.hlog"
    log.write_text(f"0.0,1.0,5.0,{histogram.encode().decode()}\n")
    with pytest.raises(
        ForeignFileError, match="1,000,000,000 requests; expected some, and at most"
    ):
        read(log)


WRONG_ARGUMENTS = {
    "no file": (["baseline"], "no file; expected NAME=FILE"),
    "a name without a file": (
        ["b="], r"'b=': no file; expected NAME=FILE, .*; put it behind the ="),
    "no such file": (["baseline=nowhere.json"], "nowhere.json: no such file"),
    "a folder": ([f"baseline={DATA}"], "no regular file"),
    "what cannot be a file": (["baseline=" + "x" * 300], "name too long"),
    "a name with a zero": (["baseline=a\0b"], "null byte"),
    "a name that leaves the folder": ([f"../up={DATA}/hey-baseline.csv"], "it becomes a folder"),
    "a name with a dot": ([f"a.b={DATA}/hey-baseline.csv"], "it becomes a folder"),
    "a copy of a copy": ([f"a.aa.aa={DATA}/hey-baseline.csv"], "it becomes a folder"),
    "a copy of nobody": ([f".aa={DATA}/hey-baseline.csv"], "it becomes a folder"),
    "a copy alone": (
        [f"a.aa={DATA}/hey-baseline.csv"], "a.aa: only a second copy; expected a too; add a=FILE"),
    "a copy of another than the reference": (
        [f"a@4={DATA}/hey-baseline.csv", f"b@4={DATA}/hey-candidate.csv", "b.aa@4=x"],
        "b.aa: a second copy of b; expected .* which is a; write a.aa=FILE, or .*--reference b"),
    "a copy of what is not there": (
        [f"a@4={DATA}/hey-baseline.csv", "c.aa@4=x"], "which is a; write a.aa=FILE$"),
    "a copy as the reference": (
        [f"a@4={DATA}/hey-baseline.csv", "a.aa@4=x", "--reference", "a.aa"],
        "unknown variant 'a.aa'; expected one of a"),
    "a copy at another level": (
        [f"a@4={DATA}/hey-baseline.csv", f"a.aa@8={DATA}/hey-candidate.csv"],
        "a was measured with 4 clients, a.aa with 8 clients; expected a level that both have"),
    "no name": ([f"={DATA}/hey-baseline.csv"], "it becomes a folder"),
    "a level that is none": ([f"a@x={DATA}/hey-baseline.csv"], "the level 'x'; expected NAME="),
    "no clients at all": ([f"a@0={DATA}/hey-baseline.csv"], "clients is 0; expected 1 to 9999"),
    "no rate at all": ([f"a@0/s={DATA}/hey-baseline.csv"], "rate is 0.0; expected"),
    "no level": ([f"a={DATA}/hey-baseline.csv"], "does not tell at which load .*--clients 8"),
    "clients and a rate": (
        [f"a={DATA}/hey-baseline.csv", "--clients", "4", "--rate", "5"], "expected one"),
    "other clients than the file's": (
        [f"a@5={DATA}/k6-baseline-1.json.gz"], "k6 had 4 clients; expected 5 clients"),
    "levels that do not meet": (
        [f"a@4={DATA}/hey-baseline.csv", f"b@8={DATA}/hey-candidate.csv"],
        "a was measured with 4 clients, b with 8 clients; expected a level that both have"),
    "the same content twice": (
        [f"a@4={DATA}/hey-baseline.csv", f"b@4={DATA}/hey-baseline.csv"],
        "the content of hey-baseline.csv, which is repeat 1 of a; expected another measurement"),
    "two tools": (
        [f"a@4={DATA}/hey-baseline.csv", f"b@4={DATA}/wrk-baseline.txt"],
        "results of wrk; expected hey"),
    "a reference that is none": (
        [f"base@4={DATA}/hey-baseline.csv", "--reference", "bse"], "did you mean 'base'"),
    "a campaign that is no folder": (
        [f"a@4={DATA}/hey-baseline.csv", "--name", "a/b"], "--name is 'a/b'"),
    "a warm-up that is no time": (
        [f"a@4={DATA}/hey-baseline.csv", "--warmup", "soon"], "write 5s, 500ms or 1m"),
    "a warm-up longer than the load": (
        [f"a@4={DATA}/hey-baseline.csv", "--warmup", "1m"], "more than --warmup 60s"),
    "a warm-up of totals": (
        [f"a@4={DATA}/wrk-baseline.txt", "--warmup", "1s"], "leave --warmup out"),
    "a log with tags": (
        [f"a@4={DATA}/triton_bench-baseline.hlog"], "4 tags .*'response'.* choose with --tag"),
    "a tag that is not there": (
        [f"a@4={DATA}/triton_bench-baseline.hlog", "--tag", "x"], "tag 'x'; expected one of 'fail"),
    "a unit that is none": (
        [f"a@4={DATA}/python.hlog", "--unit", "min"], "--unit is 'min'; expected one of ns, us"),
    "a time that is none of a log's unit": (
        [f"a@4={DATA}/python.hlog", "--unit", "ms", "--warmup", "5s"], "a load of 3.0 s"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_ARGUMENTS)
def test_a_wrong_argument_is_refused_in_one_line_and_nothing_is_left(
    what: str, tmp_path: Path
) -> None:
    words, message = WRONG_ARGUMENTS[what]
    with pytest.raises((RecordError, CampaignError), match=message) as refused:
        imported(tmp_path / "results", *words)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "results").exists()


def test_vegeta_without_a_steady_rate_has_no_level(tmp_path: Path) -> None:
    """Two attacks one after the other, the second at half the rate."""
    lines = VEGETA.splitlines(keepends=True)
    file = tmp_path / "uneven.json"
    file.write_bytes(b"".join(lines[:150] + lines[150::3]))
    assert read(file).level is None


def test_what_comes_from_a_file_cannot_command_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "evil.csv"
    file.write_bytes(HEY + b"\x1b[2J\x1b]0;x\x07,0,0,0,0,0,0,0\n")
    with pytest.raises(ForeignFileError) as refused:
        read(file)
    assert str(refused.value).isprintable()


def test_redirects_and_lost_connections_are_told_apart(tmp_path: Path) -> None:
    first = json.loads(VEGETA.splitlines()[0])
    stamp = first["timestamp"].rpartition(".")[0]
    cases = {
        "connect": 'Get "http://x": dial tcp 127.0.0.1:1: connect: connection refused',
        "reset": 'Get "http://x": read tcp 1->2: read: connection reset by peer',
        "closed": 'Get "http://x": EOF',
        "timeout": 'Get "http://x": net/http: request canceled (Client.Timeout exceeded)',
        "protocol": 'Get "http://x": malformed HTTP response',
    }
    entries = [{**first, "code": 0, "error": text} for text in cases.values()]
    entries += [{**first, "code": 302, "error": ""}, {**first, "code": 200, "error": ""}]
    for place, entry in enumerate(entries):
        entry["timestamp"] = f"{stamp}.{place}Z"
    file = tmp_path / "errors.json"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    rows_ = table(file)
    assert rows_["error"].to_pylist() == [*cases, "", ""]
    assert samples.outcome(rows_).to_pylist()[-2:] == ["http_error", "ok"]
    assert any("answers of 3xx (1)" in sentence for sentence in read(file).cannot_know)


def test_several_addresses_are_said_to_be_taken_together(tmp_path: Path) -> None:
    file = tmp_path / "two.json"
    file.write_bytes(changed(VEGETA, b"/predict", b"/other"))
    assert any("2 addresses" in sentence for sentence in read(file).cannot_know)
    assert not any("addresses" in s for s in read(DATA / "vegeta-baseline.json").cannot_know)


def test_results_that_are_no_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("mine")
    with pytest.raises(RunError, match=r"results/imported.*choose another with --results"):
        imported(tmp_path / "results", f"a={DATA}/k6-baseline-1.json.gz")
    assert (tmp_path / "results").read_text() == "mine"


def test_ctrl_c_leaves_no_half_record(tmp_path: Path) -> None:
    file, results = tmp_path / "long.json", tmp_path / "results"
    with file.open("wb") as out:
        for _ in range(80):
            out.write(K6)
    command = [sys.executable, "-c", "from benchmarks.import_commands import app; app()"]
    words = [f"a={DATA}/k6-baseline-1.json.gz", f"b={file}", "--results", str(results)]
    with subprocess.Popen(
        [*command, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not list(results.glob("imported/.*.partial/cells/a/c0004/r01/samples.parquet")):
                assert process.poll() is None, process.stderr
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, errors) == (130, "interrupted; nothing was imported\n")
    assert not results.exists()


# Whatever the numbers are


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**10), st.integers(0, 10**11), st.sampled_from([0, 200, 204, 302, 503])
        ),
        min_size=2,
        max_size=40,
        unique_by=lambda result: result[0],
    )
)
def test_every_result_of_vegeta_is_one_row(
    tmp_path_factory: pytest.TempPathFactory, results: list[tuple[int, int, int]]
) -> None:
    start_ns = 1_795_714_257_352_100_679
    file = tmp_path_factory.mktemp("vegeta") / "results.csv"
    file.write_text(
        "".join(
            f"{start_ns + at},{code},{took},3,4,{'' if code else 'EOF'},,,0,GET,http://x,\n"
            for at, took, code in results
        )
    )
    found = read(file)
    rows_, window = rows(Source(file), found, 0.0)
    first = min(at for at, _, _ in results)
    expected = sorted((at - first, took, code) for at, took, code in results)
    took_ns = pc.subtract(rows_["done_ns"], rows_["due_ns"]).to_pylist()
    got = list(zip(rows_["due_ns"].to_pylist(), took_ns, rows_["status"].to_pylist(), strict=True))
    assert got == expected
    assert window.start_unix_ns == start_ns + first
    assert window.measure_end_ns == expected[-1][0] + 1
    samples.write(file.with_suffix(".parquet"), rows_, window)
    assert samples.read(file.with_suffix(".parquet")).table.num_rows == len(results)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 5 * NS), min_size=1, max_size=30), min_size=1, max_size=4),
    st.sampled_from(["ns", "us", "ms"]),
)
def test_every_count_of_a_log_is_one_row_within_its_digits(
    tmp_path_factory: pytest.TempPathFactory, intervals: list[list[int]], unit: str
) -> None:
    file = tmp_path_factory.mktemp("hdr") / "log.hlog"
    lines = []
    for second, values in enumerate(intervals):
        histogram = HdrHistogram(1, 3600 * NS, 3)
        for value in values:
            histogram.record_value(max(1, value // UNITS_NS[unit]))
        most_ms = histogram.get_max_value() * UNITS_NS[unit] / 1e6
        lines.append(f"{second},1.0,{most_ms:.9f},{histogram.encode().decode()}\n")
    file.write_text("".join(lines))
    rows_, window = rows(Source(file), read(file), 0.0)
    values = [max(1, v // UNITS_NS[unit]) * UNITS_NS[unit] for each in intervals for v in each]
    assert np.sort(times_ms(rows_)) == pytest.approx(np.sort(values) / 1e6, rel=1.1e-3, abs=1e-6)
    assert window.duration_s == pytest.approx(len(intervals))
    due = rows_["due_ns"].to_numpy()
    assert due.min() >= 0
    assert due.max() < window.measure_end_ns
    short = times_ms(rows_) < 1000
    assert np.all(rows_["done_ns"].to_numpy()[short] <= window.measure_end_ns)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_file_that_was_damaged_anywhere_is_read_or_refused_with_words(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    long = [K6, VEGETA, VEGETA_CSV, HEY]
    short = [b"".join(content.splitlines(keepends=True)[:60]) for content in long]
    content = bytearray(data.draw(st.sampled_from([*short, HLOG, STATS, WRK2])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    file = tmp_path_factory.mktemp("damaged") / "file"
    file.write_bytes(content)
    with suppress(ForeignFileError):
        found = read(file)
        if found.requests is not None:
            rows(Source(file), found, 0.0)


@given(st.text(max_size=30))
def test_whatever_is_typed_names_a_folder_or_is_refused(text: str) -> None:
    try:
        (found,) = arguments.read([text])
    except (ForeignFileError, CampaignError):
        return
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", found.variant)
    assert found.level is None or re.fullmatch(r"[cq]\d{4,}(\.\d+)?", found.level)


@given(st.datetimes(min_value=datetime(1970, 1, 2)), st.integers(0, NS - 1))
def test_times_are_read_to_the_nanosecond(second: datetime, fraction: int) -> None:
    whole = second.replace(microsecond=0, tzinfo=UTC)
    expected = round(whole.timestamp()) * NS + fraction
    for zone in ("Z", "+00:00"):
        assert texts.unix_ns(f"{whole:%Y-%m-%dT%H:%M:%S}.{fraction:09d}{zone}") == expected
    assert texts.unix_ns("2026-11-26T18:30:55.5+01:00") == texts.unix_ns("2026-11-26T17:30:55.5Z")


def test_the_words_of_a_partial_folder_are_never_taken_for_a_record(tmp_path: Path) -> None:
    found = imported(tmp_path, f"baseline={DATA}/k6-baseline-1.json.gz")
    shutil.copytree(found.path, found.path.with_name(f".{found.path.name}.partial"))
    assert record.load(tmp_path).path == found.path
