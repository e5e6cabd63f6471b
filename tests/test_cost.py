"""What telemetry costs: the receiver that counts, and the table that is made of a record."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from benchmarks import campaign as campaigns
from benchmarks.components import telemetry
from benchmarks.components.telemetry import Estimate, Level
from benchmarks.processes import RunError
from benchmarks.record import load
from tests.conftest import ROOT
from tests.test_run import run
from tests.tiny import campaign, occupied_port

SINK = [sys.executable, "-m", "benchmarks.components.otlp_sink"]


def test_the_receiver_counts_the_spans_that_an_exporter_sends() -> None:
    with subprocess.Popen(
        [*SINK, "--port", "0"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout
        address = process.stdout.readline().removeprefix("taking spans at ").strip()
        provider = TracerProvider(shutdown_on_exit=False)
        tracer = provider.get_tracer("test")
        spans = [tracer.start_span(f"span {number}") for number in range(5)]
        for span in spans:
            span.end()
        exporter = OTLPSpanExporter(endpoint=address, insecure=True)
        assert exporter.export(spans[:3]) is SpanExportResult.SUCCESS  # type: ignore[arg-type]
        assert exporter.export(spans[3:]) is SpanExportResult.SUCCESS  # type: ignore[arg-type]
        exporter.shutdown()
        process.terminate()
        said, _ = process.communicate(timeout=20)
    assert said == "5 spans in 2 requests\n"
    assert process.returncode == 0


def test_a_port_that_is_taken_is_said() -> None:
    with occupied_port() as port:
        command = [*SINK, "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=20)
    assert done.returncode == 2
    assert f"otlp_sink: 127.0.0.1:{port}: " in done.stderr
    assert "expected a port that is free" in done.stderr


def test_the_receiver_of_the_component_ends_with_it(tmp_path: Path) -> None:
    with telemetry.sink(tmp_path) as (address, said):
        OTLPSpanExporter(endpoint=address, insecure=True).shutdown()
    lines = said.read_text().splitlines()
    assert lines == [f"taking spans at {address}", "0 spans in 0 requests"]


def test_only_levels_that_trace_are_told_of_the_receiver() -> None:
    whole, bare = telemetry.chosen("127.0.0.1:9", quick=False)
    written = campaigns.read(telemetry.FILE)
    for name, variant in whole.variants.items():
        told = {"SERVICE_OTLP_URL": "127.0.0.1:9"}
        traces = variant.settings["SERVICE_TRACING"] != "off"
        assert variant.settings == written.variants[name].settings | (told if traces else {})
    assert {name for name, v in whole.variants.items() if "SERVICE_OTLP_URL" in v.settings} == {
        "default", "every_trace", "contrib",
    }  # fmt: skip
    assert (whole.track, bare.track, bare.name) == ("A", "null", "telemetry_null")
    assert [whole.trace_ratio_of(whole.variants[n]) for n in ("default", "every_trace")] == [
        0.01,
        1,
    ]
    assert all(each.repeats == 3 for each in telemetry.chosen("127.0.0.1:9", quick=True))


def test_an_estimate_is_students() -> None:
    assert telemetry.estimate([1.0, 2.0, 3.0]).mean == 2
    # t(0.975, 2) = 4.302653; the standard error is 1 / sqrt(3).
    assert telemetry.estimate([1.0, 2.0, 3.0]).high == pytest.approx(2 + 4.302653 / math.sqrt(3))
    assert telemetry.estimate([1.0]) == Estimate(1.0, -math.inf, math.inf)
    assert Estimate(1, 0.5, 1.5).verdict(2) == "held"
    assert Estimate(1, 0.5, 2.0).verdict(2) == "undecided"
    assert Estimate(3, 2.0, 4.0).verdict(2) == "missed"


def test_the_table_is_the_differences_inside_blocks() -> None:
    off = [0.001, 0.002, 0.003]
    found = [
        Level("off", off, off),
        Level("default", [0.00103, 0.00205, 0.00307], off),
    ]
    row = telemetry.table(found, "off").splitlines()[3]
    assert row.startswith("| default | 2050.0 | +50.0 (+0.3 to +99.7) | +2.6% (")
    assert telemetry.table(found, "off").splitlines()[2] == "| off | 2000.0 |  |  |"
    said = telemetry.verdicts(found, found)
    assert "under 5% of a request with inference: held" in said
    assert "under 100 us of one without: held" in said


def test_levels_are_read_from_a_record_and_need_an_answer_to_each_request(tmp_path: Path) -> None:
    """The runner's own record, of two tiny services that differ in nothing."""
    more = "clients = [2]\nrepeats = 2\nduration_s = 1\n"
    run(tmp_path / "results", campaign(tmp_path, more=more))
    found = load(tmp_path / "results")
    levels = telemetry.levels(found)
    assert [level.name for level in levels] == ["one", "two", "one.aa"]
    assert levels[0].above_us == Estimate(0, 0, 0)
    for level in levels:
        assert level.reference_s == levels[0].cpu_s
        assert all(0.00001 < cpu_s < 0.02 for cpu_s in level.cpu_s)
    cell = found.path / found.completed()[0].folder / "cell.json"
    facts = json.loads(cell.read_text())
    facts["generator"]["measured"]["ok"] -= 1
    cell.write_text(json.dumps(facts))
    with pytest.raises(RunError, match="expected an answer to each"):
        telemetry.levels(found)
