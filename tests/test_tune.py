"""Tuning: which value is recommended and why, what is measured for it, and the real command."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from analysis.comparison import Comparison
from analysis.doubts import find
from analysis.latency import AnalysisError
from analysis.matrix import build
from analysis.objective import parse
from analysis.plan import Plan
from analysis.tuning import carried, knobs, moved, sentences, sweep
from analysis.tuning.advice import Advice, Outcome, advise
from analysis.tuning.commands import app
from analysis.tuning.failures import Failures
from analysis.tuning.knobs import KNOBS
from analysis.tuning.sweep import Load, Sweep
from benchmarks import campaign as campaigns
from benchmarks.campaign import TRACKS
from benchmarks.fields import CampaignError
from benchmarks.processes import RunError
from benchmarks.record import Record, clients_level, load
from benchmarks.triton.served import SETTINGS
from service.settings import Settings, preset
from tests.loads import visited
from tests.records import Shape, TritonModel, write
from tests.records import campaign as made_up
from tests.stub import stub
from tests.tiny import ROOT, await_gone

README = (ROOT / "analysis/README.md").read_text()
SERVICE = {
    name: str(value) for name, value in Settings(**preset("optimized", 2)).as_variables().items()
}
WORKERS = knobs.BY_NAME["workers"]
# Without the other packages' commands, whose imports take seconds; a stub need not warm up.
PROGRAM = "from analysis.tuning import commands, sweep; sweep.WARMUP_S = 0.1; commands.app()"
TUNE = [sys.executable, "-c", PROGRAM]


def asked(*wanted: str, load: Load | None = None, **given: str) -> dict[str, Any]:
    """The campaign of these --knob options on the optimized preset, checked."""
    found = Sweep(
        "optimized", tuple(knobs.parse("--knob", each) for each in wanted), SERVICE, given
    )
    load = load or Load((1, 8))
    sweep.check(found, load)
    return sweep.campaign(found, load, parse(load.slo) if load.slo else None)


def record_of(values: Mapping[str, str], setting: str, **run: Any) -> Record:
    """A record that moved a setting; the first value is the present one."""
    first, *_ = values
    variants = {
        name: {"preset": "optimized", "settings": {setting: v}} for name, v in values.items()
    }
    campaign = {"name": "tune", "variants": variants, "reference": first, "aa": f"{first}.aa"}
    return Record(Path("tuned"), {"campaign": {**campaign, "clients": [1, 8], "rates": []}, **run})


def compared(
    p95_ms: Mapping[str, tuple[float, ...]],
    *,
    setting: str = "SERVICE_WORKERS",
    slo: str = "",
    noise: float = 0.01,
    blocks: int = 5,
    failed: Mapping[str, int] | None = None,
    failed_blocks: int = 99,
    seed: int = 1,
) -> Comparison:
    """
    The comparison of a sweep by value, each with its P95 with 1 and with 8 clients.

    Throughput follows from the P95, as it does where clients wait for answers. *failed* are the
    failures of a value in each of the first *failed_blocks* repeats.
    """
    rng = np.random.default_rng(seed)
    first, *_ = p95_ms
    objective = parse(slo) if slo else None
    names = {f"v{value}": times for value, times in p95_ms.items()}
    names[f"v{first}.aa"] = p95_ms[first]
    visits = []
    for block in range(1, blocks + 1):
        for index, clients in enumerate((1, 8)):
            for name, times in names.items():
                ms = times[index] * float(np.exp(noise * rng.standard_normal()))
                lost = (failed or {}).get(name.removeprefix("v"), 0) * (block <= failed_blocks)
                visits.append(
                    visited(
                        clients_level(clients),
                        block,
                        variant=name,
                        rps=1000 * clients / ms,
                        ms={50.0: ms / 2, 95.0: ms},
                        failed=lost,
                    )
                )
    levels = (clients_level(1), clients_level(8))
    plan = Plan(tuple(names), levels, f"v{first}", f"v{first}.aa", 0.05, blocks, (95.0,))
    record = record_of({f"v{value}": value for value in p95_ms}, setting)
    matrix = build(visits, plan, objective)
    return Comparison(record, matrix, find(matrix, record.run), objective)


def advice(*arguments: Any, **options: Any) -> tuple[Advice, list[str]]:
    found = compared(*arguments, **options)
    (only,) = advise(found)
    return only, sentences.sentences(found, only)


def outcomes(found: Advice) -> dict[str, Outcome]:
    return {each.value: each.outcome for each in found.candidates}


# What is recommended.


def test_the_fastest_value_is_recommended_with_its_interval() -> None:
    found, said = advice({"1": (20, 100), "2": (20, 70), "3": (20, 50)})
    assert found.chosen.value == "3"
    assert outcomes(found) == {"1": "present", "2": "better", "3": "better"}
    assert re.fullmatch(
        r"workers: set 3, not 1: P95 takes 0\.5\d* \[0\.\d+, 0\.\d+\] times as long"
        r" with 8 clients\.",
        said[0],
    )
    assert "3 is the largest value that was tried: go on with --knob workers=3,6." in said


def test_of_values_that_are_as_good_the_smallest_change_is_recommended() -> None:
    found, said = advice({"1": (20, 100), "5": (20, 70), "2": (20, 70), "3": (20, 70)})
    assert found.chosen.value == "2"
    assert [each.value for each in found.as_good] == ["3", "5"]
    assert said[1] == "3 and 5 are no faster beyond noise than 2, which is the smaller change."


def test_words_have_no_distance_so_the_first_as_good_one_is_taken() -> None:
    times = {"stdlib": (20, 100), "bytes": (10, 50), "orjson_response": (10, 50)}
    found, said = advice(times, setting="SERVICE_JSON")
    assert found.chosen.value == "bytes"
    assert said[0].startswith("SERVICE_JSON: set bytes, not stdlib: P95 takes 0.")


def test_where_nothing_differs_the_present_value_stays_and_it_is_said_what_would_show() -> None:
    found, said = advice({"2": (20, 100), "1": (20, 100)}, noise=0.1)
    assert not found.changes
    match = re.fullmatch(
        r"workers: keep 2: no other value differs beyond noise; one such comparison by itself"
        r" would show (\d+)% in 8 of 10 sweeps\.",
        said[0],
    )
    assert match is not None
    assert 10 < int(match[1]) < 60


def test_a_value_that_is_surely_the_same_is_called_so() -> None:
    found, _ = advice({"2": (20, 100), "1": (20, 100)}, noise=0.002)
    assert found.candidates[1].outcome is Outcome.ALIKE
    assert found.candidates[1].reason == "the same within 5.0%"


def test_values_that_are_slower_or_both_are_not_recommended() -> None:
    found, said = advice({"1": (20, 100), "2": (10, 200), "3": (40, 200)})
    assert outcomes(found) == {"1": "present", "2": "better and worse", "3": "worse"}
    assert said[0] == "workers: keep 1: no other value is better (2: better and worse; 3: worse)."


def test_a_value_that_refuses_requests_is_not_faster() -> None:
    times = {"512": (20.0, 100.0), "4": (20.0, 30.0)}
    found, _ = advice(times, setting="SERVICE_ADMISSION", failed={"4": 500})
    assert not found.changes
    assert found.candidates[1].outcome is Outcome.FAILS
    assert found.candidates[1].reason == "25% of its requests fail with 1 client"


def test_of_two_that_refuse_the_one_that_refuses_more_is_not_better() -> None:
    times = {"8": (20.0, 100.0), "4": (20.0, 30.0)}
    found, _ = advice(times, setting="SERVICE_ADMISSION", failed={"8": 100, "4": 500})
    assert not found.changes
    assert found.candidates[1].outcome is Outcome.FAILS
    assert found.candidates[1].reason == (
        "25% of its requests fail with 1 client, of the present value's 5.0%"
    )


def test_a_value_that_answers_what_the_present_one_refuses_is_better_however_slow() -> None:
    times = {"4": (20.0, 30.0), "6": (20.0, 20.0), "64": (20.0, 100.0)}
    failed = {"4": 500, "6": 500}
    found, said = advice(times, setting="SERVICE_ADMISSION", failed=failed)
    assert outcomes(found) == {"4": "present", "6": "better", "64": "better"}
    assert found.chosen.value == "64", "6 is faster, and refuses as much as 4"
    assert said[0].endswith(
        "answers all requests with 1 client, where the present value fails 25%."
    )


def test_failures_of_one_repeat_are_no_reason_to_change() -> None:
    times = {"4": (20.0, 100.0), "64": (20.0, 100.0)}
    options = {"setting": "SERVICE_ADMISSION", "failed": {"4": 500}, "noise": 0.1}
    assert advice(times, **options)[0].changes
    assert not advice(times, failed_blocks=1, **options)[0].changes


def test_a_value_that_was_not_measured_answers_nothing() -> None:
    found = compared({"4": (20.0, 100.0), "64": (20.0, 100.0)}, failed={"4": 500})
    cells = {key: cell for key, cell in found.matrix.cells.items() if key[0] != "v64"}
    without = replace(found, matrix=replace(found.matrix, cells=cells))
    assert not Failures(without, found.plan.levels, 0.001).fewer("v64")
    assert Failures(found, found.plan.levels, 0.001).fewer("v64")


def test_the_value_that_carries_the_objective_at_most_load_is_recommended() -> None:
    times = {"1": (20.0, 300.0), "2": (30.0, 200.0), "4": (40.0, 150.0)}
    found, said = advice(times, slo="p95=250ms")
    assert outcomes(found) == {"1": "present", "2": "better", "4": "better"}
    assert found.chosen.value == "4", "2 carries as much, but is slower than 4"
    assert "carries 8 clients (P95 1" in found.chosen.reason
    assert ", which the present value does not (P95 3" in found.chosen.reason
    assert said[-1] == (
        "Within P95 up to 250 ms, errors up to 0.1%: 1 carries 1 client, 2 carries 8 clients, 4"
        " carries 8 clients."
    )


def test_a_value_that_carries_less_is_worse_however_fast_it_is_elsewhere() -> None:
    found, _ = advice({"1": (20, 200), "2": (5, 300)}, slo="p95=250ms")
    assert found.candidates[1].outcome is Outcome.WORSE
    assert found.candidates[1].reason.startswith("does not carry 8 clients (P95 3")


def test_how_fast_a_load_is_that_nobody_carries_decides_nothing() -> None:
    found, _ = advice({"1": (20, 900), "2": (20, 400)}, slo="p95=250ms")
    assert found.levels == ("c0001",)
    assert found.candidates[1].outcome is Outcome.ALIKE


def test_a_value_that_may_carry_less_is_not_better() -> None:
    found, _ = advice({"1": (20, 200), "2": (5, 249)}, slo="p95=250ms", noise=0.03)
    assert found.candidates[1].outcome is Outcome.UNTOLD
    assert found.candidates[1].reason.startswith("whether it carries 8 clients: P95 2")
    assert not found.changes


def test_an_objective_that_all_keep_or_none_is_named() -> None:
    _, said = advice({"1": (20, 100), "2": (20, 100)}, slo="p95=1s")
    assert said[-1].startswith("Every value keeps P95 up to 1 s")
    assert said[-1].endswith("--clients 16,32 would tell what each carries.")
    _, said = advice({"1": (20, 100), "2": (20, 100)}, slo="p95=10ms")
    assert (
        said[-1] == "No value surely keeps P95 up to 10 ms, errors up to 0.1%, even with 1 client."
    )


def test_equal_values_are_hardly_ever_recommended_for_each_other() -> None:
    times = {value: (20.0, 100.0) for value in ("1", "2", "3", "4", "5")}
    changed = [advise(compared(times, noise=0.1, seed=seed))[0].changes for seed in range(100)]
    assert sum(changed) / len(changed) <= 0.05


def test_an_objective_at_the_true_percentile_hardly_ever_tells_equal_values_apart() -> None:
    """Where chance decides which of them keep it."""
    times = {value: (20.0, 100.0) for value in ("1", "2", "3", "4", "5")}
    found = [
        advise(compared(times, slo="p95=100ms", noise=0.1, seed=seed))[0].changes
        for seed in range(50)
    ]
    assert sum(found) / len(found) <= 0.05


def test_whole_numbers_are_halved_to_whole_numbers() -> None:
    _, said = advice({"5": (20, 100), "3": (20, 50)})
    assert "3 is the smallest value that was tried: go on with --knob workers=3,1." in said
    _, said = advice({"0.5": (20, 100), "3": (20, 50)}, setting="SERVICE_SLOW_MS")
    assert "3 is the largest value that was tried: go on with --knob slow-ms=3,6." in said
    _, said = advice({"3": (20, 100), "4.5": (20, 120), "1.5": (20, 50)}, setting="SERVICE_SLOW_MS")
    assert "1.5 is the smallest value that was tried: go on with --knob slow-ms=1.5,0.75." in said


# Which knobs a record moved.


def settings_of(base: dict[str, str], other: dict[str, str]) -> Record:
    variants = {
        "a": {"preset": "seed", "settings": base},
        "b": {"preset": "seed", "settings": other},
    }
    campaign = {"name": "x", "variants": variants, "reference": "a", "model": "nano", "track": "D"}
    return Record(Path("x"), {"campaign": campaign})


def test_the_present_value_is_that_of_the_record_wherever_it_stands() -> None:
    (found,) = moved.moved(settings_of({}, {"SERVICE_WORKERS": "2"}))
    assert (found.knob, found.present) == (WORKERS, "as the preset has it")
    told = settings_of({}, {"SERVICE_WORKERS": "2"})
    told.run["services"] = {"a": {"health": {"settings": {"SERVICE_WORKERS": 5}}}}
    assert moved.moved(told)[0].present == "5"
    delayed = settings_of({}, {"TRITON_QUEUE_DELAY_MS": "2"})
    assert moved.moved(delayed)[0].present == "as the model repository has it"
    model = {"nano_balanced": {"queue_delay_us": 10_000}}
    delayed.run["services"] = {"a": {"triton": {"models": model}}}
    assert moved.moved(delayed)[0].present == "10"


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"SERVICE_WORKERS": "2", "SERVICE_LOOP": "asyncio"}, "SERVICE_WORKERS, SERVICE_LOOP; exp"),
        ({}, "b differs from a in nothing"),
    ],
)
def test_a_record_that_is_no_sweep_is_refused(other: dict[str, str], said: str) -> None:
    with pytest.raises(AnalysisError, match=re.escape(said)):
        moved.moved(settings_of({}, other))


def test_a_knob_that_was_not_moved_alone_is_refused() -> None:
    record = settings_of({}, {"SERVICE_WORKERS": "2"})
    record.campaign["variants"]["b"]["preset"] = "optimized"
    with pytest.raises(AnalysisError, match="differs from a in preset, SERVICE_WORKERS"):
        moved.moved(record)
    del record.campaign["variants"]["b"]
    with pytest.raises(AnalysisError, match="only a was measured"):
        moved.moved(record)


# What is measured.


def test_each_knob_is_moved_alone_from_the_present_settings() -> None:
    found = asked("workers=1,2", "max-mb=10,50", SERVICE_LOOP="asyncio")
    base = {"preset": "optimized", "SERVICE_LOOP": "asyncio"}
    now = {**base, "SERVICE_WORKERS": "1", "SERVICE_MAX_BYTES": "52428800"}
    assert found["reference"] == "present"
    assert found["variants"] == {
        "present": now,
        "workers_2": {**now, "SERVICE_WORKERS": "2"},
        "max-mb_10": {**now, "SERVICE_MAX_BYTES": "10485760"},
    }
    assert found["name"] == "tune_workers_max_mb"
    assert found["min_requests"] == 72


def test_the_objective_decides_how_many_requests_a_repeat_needs() -> None:
    assert asked("workers=2", load=Load((8,), slo="p99=250ms"))["min_requests"] == 368


def test_many_processes_are_not_kept_waiting_side_by_side() -> None:
    assert asked("workers=2,3")["restart"] == "block"
    assert asked("workers=2,4,8,16")["restart"] == "cell"
    assert asked("workers=²")["restart"] == "block", "which the service then refuses"
    assert asked(f"workers={'9' * 5000}")["restart"] == "block"
    assert asked("delay-ms=0,1,2,5", load=Load((8,), track="D"))["restart"] == "cell"


@pytest.mark.parametrize(
    "wanted",
    [("workers=1,2,3,5",), ("slow-ms=50,100.5",), ("SERVICE_JSON=stdlib,bytes", "threads=1,2")],
)
def test_what_is_written_is_a_campaign(tmp_path: Path, wanted: tuple[str, ...]) -> None:
    table = asked(*wanted, load=Load((1, 8), slo="p95=200ms"))
    file = tmp_path / "tune.toml"
    file.write_text(sweep.toml(table))
    found = campaigns.read(file)
    assert found == campaigns.accept("the same", table)
    assert moved.moved(Record(tmp_path, {"campaign": found.as_dict()}))


def test_settings_of_triton_are_numbers(tmp_path: Path) -> None:
    table = asked("delay-ms=0,2.5", "max-batch=8", load=Load((8,), track="D"))
    file = tmp_path / "tune.toml"
    file.write_text(sweep.toml(table))
    found = campaigns.read(file).variants
    assert found["delay-ms_2_5"].triton == {"TRITON_QUEUE_DELAY_MS": 2.5}
    assert found["max-batch_8"].triton == {"TRITON_MAX_BATCH": 8}
    assert found["present"].triton == {}


@given(st.text())
def test_any_text_is_written_so_that_toml_reads_it_again(text: str) -> None:
    table = {"images": text, "variants": {"a": {"SERVICE_HOSTILE": text}}}
    if not text.isprintable() and any(0xD800 <= ord(c) < 0xE000 for c in text):
        return  # half of a character, which no file can hold
    assert tomllib.loads(sweep.toml(table)) == table


@pytest.mark.parametrize(
    ("wanted", "track", "said"),
    [
        (("wrkers=1",), "A", "did you mean 'workers'?"),
        (("workers",), "A", "expected a knob and its values, as in workers=1,2,3,5"),
        (("workers=1,,2",), "A", "expected a knob and its values"),
        (("workers=1",), "A", "--knob workers: found only the present value 1"),
        (("max-mb=50,x",), "A", "max-mb: found 'x'; expected a number"),
        (("max-mb=1e308",), "A", "max-mb: found '1e308'; expected a number"),
        (("workers=2", "SERVICE_WORKERS=3"), "A", "--knob workers: found twice"),
        (("delay-ms=1,2",), "A", "track A asks no Triton"),
        (("pool=1,2",), "null", "track null asks no Triton"),
        (("SERVICE_WORKRES=1,2",), "A", "did you mean 'SERVICE_WORKERS'?"),
    ],
)
def test_a_knob_that_cannot_be_moved_is_refused(
    wanted: tuple[str, ...], track: str, said: str
) -> None:
    with pytest.raises(AnalysisError) as refused:
        asked(*wanted, load=Load((8,), track=track))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_limit_that_nobody_reaches_is_noted() -> None:
    found = Sweep("optimized", (knobs.parse("--knob", "admission=64,128"),), SERVICE)
    (note,) = sweep.notes(found, Load((8, 32)))
    assert note.startswith("admission: no value is below the 32 clients that ask")
    assert not list(sweep.notes(found, Load((65,))))


# The knobs.


def test_every_knob_is_a_setting_that_exists_and_stands_in_the_readme() -> None:
    known = {*SERVICE, *SETTINGS}
    assert {knob.setting for knob in KNOBS} <= known
    rows = re.findall(r"^\| `([a-z-]+)` \| `([A-Z_]+)` \|", README, re.M)
    assert rows == [(knob.name, knob.setting) for knob in KNOBS]
    assert all(knob.trades and knob.look for knob in KNOBS)


@given(st.integers(1, 2**11))
def test_megabytes_come_back_as_they_were(megabytes: int) -> None:
    knob = knobs.BY_NAME["max-mb"]
    assert knob.from_setting(knob.to_setting(str(megabytes))) == str(megabytes)
    assert knob.to_setting("1") == str(2**20)


@given(st.lists(st.sampled_from(["1", "1.0", "2", "02", "a", "nan", "inf"]), min_size=1))
def test_each_value_is_kept_once(values: list[str]) -> None:
    found = knobs.distinct(values)
    for value in values:
        assert sum(knobs.same(value, each) for each in found) == 1


# One service, more clients.


def loaded(rps: Mapping[int, float], slo: str = "", noise: float = 0.01) -> Comparison:
    """One service under each number of clients."""
    rng = np.random.default_rng(1)
    visits = [
        visited(
            clients_level(n),
            block,
            variant="service",
            rps=(found := value * float(np.exp(noise * rng.standard_normal()))),
            ms={50.0: 1000 * n / found, 95.0: 2000 * n / found},
        )
        for block in range(1, 6)
        for n, value in rps.items()
    ]
    objective = parse(slo) if slo else None
    levels = tuple(clients_level(n) for n in rps)
    plan = Plan(("service",), levels, "service", None, 0.05, 5, (95.0,))
    campaign = {"name": "tune_clients", "variants": {"service": {"url": "http://x/"}}}
    record = Record(Path("x"), {"campaign": campaign})
    return Comparison(record, build(visits, plan, objective), (), objective)


def test_the_fewest_clients_that_get_nearly_all_answers_are_recommended() -> None:
    said = carried.sentences(loaded({1: 50, 2: 96, 4: 100, 8: 101}))[0]
    assert said.startswith("clients: 2 at a time get 0.9")
    assert said.endswith("surely within 10%: more only wait.")


def test_clients_that_still_get_more_answers_ask_for_more_clients() -> None:
    said = carried.sentences(loaded({1: 50, 2: 100, 4: 200}))[0]
    assert said.startswith("clients: 4 at a time get the most answers")
    assert said.endswith("Go on with --clients 8,16.")


def test_an_objective_decides_how_many_clients_there_may_be() -> None:
    found = loaded({1: 50, 2: 96, 4: 100, 8: 101}, slo="p95=60ms")
    first, second, *_ = carried.sentences(found)
    assert first == "clients: up to 2 at a time, within P95 up to 60 ms, errors up to 0.1%."
    assert second.startswith("service carries 2 clients (")
    nothing = loaded({1: 50, 2: 96}, slo="p95=1ms")
    assert "no number of them surely keeps" in carried.sentences(nothing)[0]


# The command.


def judged(record: Path, *options: str) -> list[str]:
    done = CliRunner().invoke(app, ["--record", str(record), *options], env={"COLUMNS": "100"})
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output.splitlines()


def swept(folder: Path, shapes: Mapping[str, Shape], setting: str) -> Path:
    """A real record with real samples that moved a setting; `baseline` is the present value."""
    path = write(folder, made_up({**shapes}, repeats=5))
    run = json.loads((path / "run.json").read_text())
    run["campaign"]["variants"] = {
        name: {"preset": "optimized", "settings": {setting: str(place)}}
        for place, name in enumerate(shapes, 1)
    }
    (path / "run.json").write_text(json.dumps(run))
    return path


def test_a_record_is_judged_with_numbers_reasons_and_what_to_type(tmp_path: Path) -> None:
    quiet = Shape(median_ms=20, requests=400, noise=0.004, spread=0.2)
    shapes = {"baseline": quiet, "two": replace(quiet, median_ms=12)}
    said = judged(swept(tmp_path, shapes, "SERVICE_WORKERS"))
    (row, *_) = [line for line in said if line.startswith("2 ")]
    assert row.split()[-1] == "faster"
    assert any(line.startswith("2: better: P95 takes 0.") for line in said)
    assert any(line.startswith("workers: set 2, not 1: P95 takes 0.") for line in said)
    assert "to serve so: SERVICE_PRESET=optimized SERVICE_WORKERS=2 windtunnel serve" in said
    assert any(line.startswith("Look at memory MB and req/s: fewer if") for line in said)
    assert said[-1].startswith("all of it: windtunnel compare ")
    assert max(map(len, said[:-1])) <= 100


def test_a_setting_of_triton_is_an_option_of_its_server(tmp_path: Path) -> None:
    quiet = Shape(median_ms=20, noise=0.004, spread=0.2, triton={"nano": TritonModel()})
    shapes = {"baseline": quiet, "two": replace(quiet, median_ms=12)}
    said = judged(swept(tmp_path, shapes, "TRITON_MAX_BATCH"))
    assert "to serve so: windtunnel triton --max-batch 2" in said


def test_what_a_record_says_is_never_obeyed(tmp_path: Path) -> None:
    quiet = Shape(median_ms=20, requests=400, noise=0.004, spread=0.2)
    path = swept(tmp_path, {"baseline": quiet, "two": replace(quiet, median_ms=12)}, "SERVICE_X")
    text = (path / "run.json").read_text().replace("SERVICE_X", "SERVICE_[bold]\\u001b[2J")
    (path / "run.json").write_text(text)
    said = "\n".join(judged(path))
    assert "\x1b[2J" not in said
    assert "[bold]" in said, "text from a record is no markup"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--clients", "0,2"], "--clients: found '0,2'"),
        (["--clients", "two"], "--clients: found 'two'"),
        (["--clients", "²"], "--clients: found '²'"),
        (["--clients", "9" * 5000], "--clients: found '9999"),
        (["--url", "http://127.0.0.1:1", "--knob", "workers=2"], "keeps the settings it was"),
        (["--url", "ftp://127.0.0.1:1"], "expected an http:// address"),
        (["--preset", "fast"], "expected one of baseline, seed, optimized"),
        (["--present", "workers=1,2"], "--present: found 'workers=1,2'; expected one value"),
        (["--present", "workers=0", "--knob", "workers=2"], "the service refuses its settings"),
        (["--record", "somewhere", "--knob", "workers=2"], "--record: found together with"),
        (["--track", "E"], f"expected one of {', '.join(TRACKS)}"),
        (["--slo", "p99=fast"], "SLO 'p99=fast'"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(options: list[str], said: str) -> None:
    done = CliRunner().invoke(app, [*options, "--dry-run"])
    assert isinstance(done.exception, AnalysisError | CampaignError | RunError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)


def test_the_plan_can_be_seen_before(tmp_path: Path) -> None:
    options = ["--knob", "workers=1,2", "--clients", "8", "--slo", "p99=250ms", "--repeats", "3"]
    command = [*options, "--dry-run", "--results", str(tmp_path / "results")]
    done = CliRunner().invoke(app, command)
    assert "variants  present, workers_2, present.aa" in done.output
    assert "9: 3 of each of 3 cells; each of 5 s or more (368 requests)" in done.output
    assert not (tmp_path / "results").exists()


def tune(*options: str) -> list[str]:
    return [*TUNE, *options, "--repeats", "2", "--duration", "0.3"]


@pytest.mark.alone
def test_a_running_service_is_swept_over_clients_and_judged(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with stub("--delay", "3ms") as server:
        where = ["--url", f"{server.url}/predict", "--results", str(results)]
        done = subprocess.run(
            tune(*where, "--clients", "4,1", "--slo", "p95=60s"),
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 clients" in done.stdout
    # Two repeats on a busy machine may tell nothing: the recommendation has tests of its own.
    assert re.search(r"^clients: .* P95 up to 60 s", done.stdout, re.M), done.stdout
    assert "no A/A pair" not in done.stdout, "one service is compared with nothing"
    found = load(results / "tune_clients")
    assert (found.status, found.slo, found.levels) == ("complete", "p95=60s", ["c0001", "c0004"])
    assert found.campaign["variants"] == {"service": {"url": f"{server.url}/predict"}}


def test_ctrl_c_ends_it_with_how_to_go_on(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with stub() as server:
        process = subprocess.Popen(
            [*TUNE, "--url", server.url, "--results", str(results), "--clients", "1,2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        until = time.monotonic() + 30
        while not list(results.glob("*/*/cells/*/*/.*.partial/*")) and time.monotonic() < until:
            time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130, said
    assert await_gone(children) == []
    assert "windtunnel run --resume" in said
    assert f"then: windtunnel tune --record {results / 'tune_clients'}" in said
