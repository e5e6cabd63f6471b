"""Batches, queue and compute time: reckoned from counters, shown where a record has them."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from analysis import batching, export, markdown, terminal, triton
from analysis.batching import ALL, Counters, Use
from analysis.comparison import Comparison, compare
from analysis.summary import sentences
from benchmarks import metrics
from benchmarks.metrics import labels_text
from benchmarks.record import Record, Visit, load
from tests.records import Shape, TritonModel, campaign, readings, with_cell, write

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests/data/record-triton"
S = 1_000_000_000
BOOT_NS = 1_767_323_045 * S  # nanoseconds since 1970 have more digits than a float
EXECUTIONS, INFERENCES = ("execution_count", ALL), ("inference_count", ALL)


@st.composite
def histories(draw: st.DrawFn) -> Counters:
    """A server's counters at uneven moments: executions of one to eight inferences each."""
    gaps = draw(st.lists(st.integers(1_000_000, 2 * S), min_size=2, max_size=20))
    batches = st.lists(st.integers(1, 8), max_size=30)
    ran = [draw(batches) for _ in gaps]
    at = BOOT_NS + np.cumsum([0, *gaps])
    executions = np.cumsum([draw(st.integers(0, 10**9)), *map(len, ran)])
    inferences = np.cumsum([draw(st.integers(0, 10**9)), *map(sum, ran)])
    values = {EXECUTIONS: executions.astype(float), INFERENCES: inferences.astype(float)}
    return Counters(at.astype(np.int64), values)


def risen(found: Counters, start_ns: int, end_ns: int) -> dict[batching.Key, float]:
    increase = batching.increase(found, start_ns, end_ns)
    assert increase is not None
    return increase


@given(histories(), st.data())
def test_what_rose_in_a_window_is_what_rose_in_its_parts(
    found: Counters, data: st.DataObject
) -> None:
    first, last = int(found.at_ns[0]), int(found.at_ns[-1])
    start, middle, end = sorted(
        data.draw(st.lists(st.integers(first, last), min_size=3, max_size=3, unique=True))
    )
    early, late = risen(found, start, middle), risen(found, middle, end)
    whole = risen(found, start, end)
    for key in whole:
        assert early[key] >= 0
        assert early[key] + late[key] == pytest.approx(whole[key], abs=1e-3)
    # So the average over a window is the average of its parts, weighted by their executions.
    if min(early[EXECUTIONS], late[EXECUTIONS]) > 1e-3:
        weighted = sum(
            part[EXECUTIONS] * (part[INFERENCES] / part[EXECUTIONS]) for part in (early, late)
        )
        assert weighted / whole[EXECUTIONS] == pytest.approx(
            whole[INFERENCES] / whole[EXECUTIONS], rel=1e-3
        )


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        ((0, 1, 2, 3, 4, 5, 6), True),
        ((0, 3.5, 4, 5, 6), False),  # nothing is known of what happened before the window
        ((0, 1, 2, 3, 6.5), False),
        ((0, 1, 1.6, 4.8, 5, 6), True),  # a gap inside loses nothing
    ],
)
def test_an_edge_that_lies_in_a_gap_of_the_readings_is_no_edge(
    seconds: tuple[float, ...], told: bool
) -> None:
    at = np.array([BOOT_NS + round(second * S) for second in seconds], np.int64)
    found = Counters(at, {EXECUTIONS: np.arange(len(seconds), dtype=float)})
    rose = batching.increase(found, BOOT_NS + S + S // 2, BOOT_NS + 5 * S + S // 2)
    assert (rose is not None) is told


@given(histories(), st.data())
def test_a_window_rises_by_no_less_than_the_readings_in_it_and_no_more_than_those_around_it(
    found: Counters, data: st.DataObject
) -> None:
    first, last = int(found.at_ns[0]), int(found.at_ns[-1])
    start, end = sorted(
        data.draw(st.lists(st.integers(first, last), min_size=2, max_size=2, unique=True))
    )
    inside = np.flatnonzero((found.at_ns >= start) & (found.at_ns <= end))
    low = int(np.flatnonzero(found.at_ns <= start)[-1])
    high = int(np.flatnonzero(found.at_ns >= end)[0])
    for key, value in risen(found, start, end).items():
        counts = found.values[key]
        least = counts[inside[-1]] - counts[inside[0]] if len(inside) else 0.0
        assert least - 1e-3 <= value <= counts[high] - counts[low] + 1e-3


@given(histories())
def test_at_the_readings_themselves_nothing_is_interpolated(found: Counters) -> None:
    whole = risen(found, int(found.at_ns[0]), int(found.at_ns[-1]))
    for key, counts in found.values.items():
        assert whole[key] == counts[-1] - counts[0]


def simple(*counts: float) -> Counters:
    """Executions, read once a second."""
    at = BOOT_NS + S * np.arange(len(counts), dtype=np.int64)
    return Counters(at, {EXECUTIONS: np.array(counts, dtype=np.float64)})


def test_the_edges_of_the_window_lie_on_the_line_between_two_readings() -> None:
    found = risen(simple(10, 20, 60), BOOT_NS + S // 2, BOOT_NS + S + S // 4)
    assert found[EXECUTIONS] == pytest.approx((20 - 15) + 10)


def test_a_server_that_was_started_again_in_the_window_has_no_value() -> None:
    restarted = simple(10, 20, 3, 9, 15)
    assert batching.increase(restarted, BOOT_NS, BOOT_NS + 4 * S) is None
    # Half of the time between the two lies in this window, and nobody knows in which it fell.
    assert batching.increase(restarted, BOOT_NS + 3 * S // 2, BOOT_NS + 4 * S) is None
    assert risen(restarted, BOOT_NS + 2 * S, BOOT_NS + 4 * S)[EXECUTIONS] == 12


def test_a_counter_that_overtook_its_old_value_is_betrayed_by_the_others() -> None:
    found = simple(10, 20, 30)
    found = replace(found, values={**found.values, INFERENCES: np.array([90.0, 99.0, 30.0])})
    assert batching.increase(found, BOOT_NS, BOOT_NS + 2 * S) is None


def test_readings_that_miss_more_than_a_tenth_of_the_window_say_nothing() -> None:
    found = simple(0, 10, 20)
    assert risen(found, BOOT_NS, BOOT_NS + 2 * S + S // 5)[EXECUTIONS] == 20
    assert batching.increase(found, BOOT_NS, BOOT_NS + 3 * S) is None
    assert batching.increase(found, BOOT_NS - S, BOOT_NS + 2 * S) is None
    assert batching.increase(found, BOOT_NS + 5 * S, BOOT_NS + 6 * S) is None
    assert batching.increase(simple(7), BOOT_NS - 5, BOOT_NS + 5) is None


def rows(
    at_s: float, model: str, values: Mapping[str, float], version: str = "1"
) -> list[tuple[int, str, str, float]]:
    """One reading; `of_4__compute_infer_count` is the counter of batches of four."""
    found = []
    for name, value in values.items():
        labels, series = {"model": model, "version": version}, name.replace("__", ".")
        if sized := re.fullmatch(r"of_(\d+)\.(.*)", series):
            labels["batch_size"], series = sized[1], f"batch_stats.{sized[2]}"
        elif "." in series:
            series = f"inference_stats.{series}"
        found.append((BOOT_NS + round(at_s * S), series, labels_text(labels), float(value)))
    return found


def one(found: Mapping[str, Counters], seconds: float = 10) -> Use:
    (use,) = batching.uses(found, BOOT_NS, BOOT_NS + round(seconds * S)).values()
    return use


MS = 1_000_000
BEFORE = {
    "execution_count": 100,
    "inference_count": 100,
    "success__count": 100,
    "success__ns": 500 * MS,
    "queue__count": 100,
    "queue__ns": 50 * MS,
    **{f"compute_{part}__count": 100 for part in ("input", "infer", "output")},
    "compute_input__ns": 10 * MS,
    "compute_infer__ns": 430 * MS,
    "compute_output__ns": 10 * MS,
    "of_1__compute_infer__count": 100,
}
# 300 requests more: 100 batches of 2 and 25 of 4; of each 4 ms in the queue, 0.5 + 10 + 1.5 ms in
# the backend.
AFTER = {
    **{name: count + 300 for name, count in BEFORE.items() if name.endswith("count")},
    "execution_count": 225,
    "success__ns": (500 + 300 * 16) * MS,
    "queue__ns": (50 + 300 * 4) * MS,
    "compute_input__ns": (10 + 300 * 0.5) * MS,
    "compute_infer__ns": (430 + 300 * 10) * MS,
    "compute_output__ns": (10 + 300 * 1.5) * MS,
    "of_1__compute_infer__count": 100,
    "of_2__compute_infer__count": 100,
    "of_4__compute_infer__count": 25,
}


def test_batches_queue_and_compute_are_those_of_the_window_alone() -> None:
    use = one(batching.counters([*rows(0, "m", BEFORE), *rows(10, "m", AFTER)]))
    assert (use.executions, use.inferences) == (125, 300)
    assert use.average_batch == 2.4
    assert use.queue_ms == pytest.approx(4)
    assert use.compute_input_ms == pytest.approx(0.5)
    assert use.compute_infer_ms == pytest.approx(10)
    assert use.compute_output_ms == pytest.approx(1.5)
    assert use.compute_ms == pytest.approx(12)
    assert use.queue_share == pytest.approx(0.25)
    # Sizes that did not run before the window count from 0; the one that did not run in it is out.
    assert use.batch_sizes == {2: pytest.approx(200 / 300), 4: pytest.approx(100 / 300)}
    assert not use.ensemble


def test_an_ensemble_waits_in_its_steps_and_batches_nothing_itself() -> None:
    before = {**BEFORE, "queue__ns": 100 * 1_400}
    after = {**AFTER, "queue__ns": 400 * 1_400, "execution_count": 400}
    found = batching.counters([*rows(0, "m_D", before), *rows(10, "m_D", after)])
    (use,) = batching.uses(found, BOOT_NS, BOOT_NS + 10 * S, {"m_D"}).values()
    assert use.ensemble
    assert use.average_batch is None
    assert use.queue_ms == pytest.approx(4)
    assert use.queue_share == pytest.approx(0.25)


def test_versions_of_a_model_are_added_up_and_idle_models_left_out() -> None:
    found = batching.counters(
        [
            *rows(0, "m", BEFORE, "1"),
            *rows(0, "m", BEFORE, "2"),
            *rows(10, "m", AFTER, "1"),
            *rows(10, "m", BEFORE, "2"),
            *rows(0, "idle", BEFORE),
            *rows(10, "idle", BEFORE),
        ]
    )
    assert set(found) == {"m", "idle"}
    assert (one(found).model, one(found).executions) == ("m", 125)


def test_what_ran_just_outside_the_window_did_not_run_in_it() -> None:
    warmup = [*rows(-0.1, "m", BEFORE), *rows(0.001, "m", AFTER), *rows(10, "m", AFTER)]
    assert batching.uses(batching.counters(warmup), BOOT_NS + 2_000_000, BOOT_NS + 10 * S) == {}
    assert batching.uses({}, BOOT_NS, BOOT_NS + S) == {}


def configured(**models: tuple[int, int]) -> dict[str, Any]:
    facts: dict[str, dict[str, Any]] = {
        name: {"backend": "onnxruntime_python", "max_batch_size": largest, "queue_delay_us": delay}
        for name, (largest, delay) in models.items()
    }
    facts["nano_D"] = {"backend": "ensemble", "max_batch_size": 64, "queue_delay_us": None}
    return {"engine": "triton-python-onnxruntime", "models": facts}


QUIET = Shape(median_ms=20, requests=80, noise=0.004, spread=0.2, window_s=4)
PLAIN = replace(QUIET, triton={"nano": TritonModel(4, 3, 9)})
ALONE = replace(
    QUIET,
    triton={
        "nano_D": TritonModel(1, 12, 28, ensemble=True),
        "nano_decode": TritonModel(1, 0.5, 4.5),
        "nano_balanced": TritonModel(1, 10, 20),
    },
)
SERVICES = {
    "baseline": {"triton": configured(nano=(8, 0))},
    "baseline.aa": {"triton": configured(nano=(8, 0))},
    "balanced": {"triton": configured(nano_balanced=(64, 10_000), nano_decode=(0, 0))},
}
PLAN = campaign(
    {"baseline": PLAIN, "balanced": ALONE},
    ("c0001", "c0008", "c0032"),
    run={"services": SERVICES},
)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compare(load(write(tmp_path_factory.mktemp("batching"), PLAN)))


def page(comparison: Comparison, width: int) -> list[str]:
    file = StringIO()
    terminal.show(comparison, Console(file=file, width=width))
    return file.getvalue().splitlines()


def test_a_cell_has_the_median_of_its_repeats(tmp_path: Path) -> None:
    path = write(tmp_path, PLAN)
    for repeat, batch in ((1, 2), (3, 8)):
        file = load(path).metrics(Visit("baseline", "c0008", repeat))
        assert file
        metrics.write(file, readings(replace(PLAIN, triton={"nano": TritonModel(batch, batch, 9)})))
    (found,) = (
        cell
        for cell in triton.cells(compare(load(path)))
        if (cell.variant, cell.level) == ("baseline", "c0008")
    )
    each = [found.repeats[repeat].average_batch for repeat in (1, 2, 3)]
    assert each == [pytest.approx(2), pytest.approx(4), pytest.approx(8)]
    assert found.median("average_batch") == pytest.approx(4)
    assert found.median("queue_ms") == pytest.approx(3)
    assert found.median("queue_share") == pytest.approx(0.25)
    assert found.batch_sizes == {size: pytest.approx(1 / 3) for size in (2, 4, 8)}


def test_a_repeat_that_cannot_tell_leaves_the_others(tmp_path: Path) -> None:
    path = write(tmp_path, PLAN)
    record = load(path)
    restarted, missing = (Visit("baseline", "c0008", repeat) for repeat in (1, 2))
    file = record.metrics(restarted)
    assert file
    again = replace(PLAIN, triton={"nano": TritonModel(4, 3, 9, restarts=True)})
    metrics.write(file, readings(again))
    (path / missing.folder / "metrics.parquet").unlink()
    found = [
        cell
        for cell in triton.cells(compare(record))
        if (cell.variant, cell.level) == ("baseline", "c0008")
    ]
    assert [list(cell.repeats) for cell in found] == [[3]]
    assert found[0].median("average_batch") == pytest.approx(4)


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_has_a_row_for_each_model_that_ran(comparison: Comparison, width: int) -> None:
    lines = page(comparison, width)
    assert max(len(line) for line in lines if not line.startswith("record: ")) <= width
    start = lines.index("Triton   triton-python-onnxruntime")
    rule = next(i for i, line in enumerate(lines) if i > start and line.startswith("───"))
    told = [line.split() for line in lines[rule + 1 : rule + 6]]
    assert told == [
        ["1", "client", "baseline", "nano", "4.00", "25%", "3.00", "9.00"],
        ["baseline.aa", "nano", "4.00", "25%", "3.00", "9.00"],
        ["balanced", "nano_D", "-", "30%", "12.0", "28.0"],
        ["nano_balanced", "1.00", "33%", "10.0", "20.0"],
        ["nano_decode", "1.00", "10%", "0.500", "4.50"],
    ]
    assert lines[rule + 6].startswith("8 clients")
    assert start < lines.index("Answer")


def test_markdown_has_the_same_table(comparison: Comparison) -> None:
    text = markdown.text(comparison)
    assert "**Triton** (triton-python-onnxruntime)\n\n| load | variant | model |" in text
    assert "| 8 clients | balanced | nano\\_D | - | 30% | 12.0 | 28.0 |\n" in text
    assert "| 32 clients | baseline | nano | 4.00 | 25% | 3.00 | 9.00 |\n" in text


def test_the_json_has_every_repeat(comparison: Comparison) -> None:
    document = json.loads(json.dumps(export.document(comparison), allow_nan=False))
    assert len(document["triton"]) == 3 * 5
    found = document["triton"][0]
    assert (found["variant"], found["level"], found["model"]) == ("baseline", "c0001", "nano")
    assert found["median"]["compute_infer_ms"] == pytest.approx(7.2)
    assert found["batch_sizes"] == {"4": 1}
    assert [repeat["repeat"] for repeat in found["repeats"]] == [1, 2, 3]
    assert found["repeats"][0]["inferences"] == pytest.approx(80, abs=2)
    ensemble = next(cell for cell in document["triton"] if cell["model"] == "nano_D")
    assert ensemble["ensemble"]
    assert ensemble["median"]["average_batch"] is None


def test_a_record_without_it_has_no_such_section(tmp_path: Path) -> None:
    comparison = compare(load(write(tmp_path, campaign({"baseline": QUIET, "other": QUIET}))))
    assert not [line for line in page(comparison, 80) if "Triton" in line]
    assert "Triton" not in markdown.text(comparison)
    assert export.document(comparison)["triton"] == []


def test_a_delay_that_bought_no_batch_is_told_with_where_and_what_to_do(
    comparison: Comparison,
) -> None:
    (verdict, told) = sentences(comparison)
    assert verdict.startswith("At P95, balanced ")
    assert told == (
        "balanced: nano_balanced waits up to 10.0 ms for a batch of up to 64, and with 8 and 32"
        " clients its average batch was at most 1.00: the wait bought nothing. Look for what hands"
        " Triton one request at a time, or take the delay away."
    )
    assert told.replace("_", r"\_") in markdown.text(comparison)
    assert "nano_balanced waits up to 10.0 ms" in " ".join(page(comparison, 100))


@pytest.mark.parametrize(
    ("models", "batch", "level"),
    [
        ({"nano_balanced": (64, 0)}, 1, "c0008"),
        ({"nano_balanced": (1, 10_000)}, 1, "c0008"),
        ({"nano_balanced": (64, 10_000)}, 2, "c0008"),
        ({"nano_balanced": (64, 10_000)}, 1, "c0004"),
        ({"nano_balanced": (64, 10_000)}, 1, "q0050"),
        ({"another": (64, 10_000)}, 1, "c0008"),
    ],
    ids=["no delay", "no batches", "it batched", "few clients", "open loop", "unknown model"],
)
def test_it_is_not_told_where_no_batch_was_to_be_had(
    tmp_path: Path, models: dict[str, tuple[int, int]], batch: int, level: str
) -> None:
    shape = replace(QUIET, triton={"nano_balanced": TritonModel(batch, 10, 20)})
    plan = campaign(
        {"baseline": QUIET, "balanced": shape},
        (level,),
        run={"services": {"balanced": {"triton": configured(**models)}}},
    )
    comparison = compare(load(write(tmp_path, plan)))
    assert [row[2] for row in triton.rows(comparison)] == ["nano_balanced"]
    assert list(triton.never_batched(comparison)) == []


@pytest.mark.parametrize(
    "services",
    [
        None,
        {},
        {"balanced": None},
        {"balanced": {"triton": 3}},
        {"balanced": {"triton": {"models": {"nano_balanced": 3}}}},
        {"balanced": {"triton": {"models": {"nano_balanced": {"max_batch_size": "many"}}}}},
    ],
)
def test_a_record_that_says_nothing_of_the_models_is_silent(
    comparison: Comparison, services: dict[str, Any] | None
) -> None:
    record = Record(comparison.record.path, {**comparison.record.run, "services": services})
    unknown = replace(comparison, record=record)
    assert list(triton.never_batched(unknown)) == []
    assert triton.engines(unknown) == ""
    assert triton.rows(unknown) == triton.rows(comparison)


def test_the_golden_record_with_metrics_can_be_read_for_ever() -> None:
    comparison = compare(load(GOLDEN))
    assert triton.rows(comparison) == [
        ["8 clients", "baseline", "nano", "4.00", "25%", "3.00", "9.00"],
        ["8 clients", "baseline.aa", "nano", "4.00", "25%", "3.00", "9.00"],
        ["8 clients", "balanced", "nano_D", "-", "30%", "12.0", "28.0"],
        ["8 clients", "balanced", "nano_balanced", "1.00", "33%", "10.0", "20.0"],
        ["8 clients", "balanced", "nano_decode", "1.00", "10%", "0.500", "4.50"],
    ]
    assert triton.engines(comparison) == "triton-python-onnxruntime"
    assert len(list(triton.never_batched(comparison))) == 1


def test_two_copies_of_a_variant_say_it_once(tmp_path: Path) -> None:
    facts = {"triton": configured(nano_balanced=(64, 10_000))}
    services = {"baseline": facts, "baseline.aa": facts}
    plan = campaign({"baseline": ALONE}, ("c0008",), run={"services": services})
    told = list(triton.never_batched(compare(load(write(tmp_path, plan)))))
    assert len(told) == 1
    assert told[0].startswith("baseline: nano_balanced waits up to 10.0 ms for a batch of up to 64")


def test_the_model_of_one_cell_is_not_shown_in_another(tmp_path: Path) -> None:
    plan = with_cell(PLAN, "balanced", "c0001", triton={})
    comparison = compare(load(write(tmp_path, plan)))
    shown = [row[:3] for row in triton.rows(comparison) if row[1] == "balanced"]
    assert ["1 client", "balanced", "nano_D"] not in shown
    assert ["8 clients", "balanced", "nano_D"] in shown
