"""In what two runs differ besides what was measured."""

from dataclasses import replace
from pathlib import Path

from analysis.environment import Fact, differences, facts
from benchmarks import record
from tests.records import Shape, campaign, write

PLAN = campaign({"baseline": Shape(requests=20)}, levels=("c0001",), repeats=1)


def test_two_records_of_one_plan_are_alike_whatever_passes(tmp_path: Path) -> None:
    passing = {"cpu": "Simulated CPU", "load_before": [1.0], "memory_available_bytes": 5}
    first = record.load(write(tmp_path / "a", replace(PLAN, run={"machine": passing})))
    other = {**passing, "load_before": [9.0], "memory_available_bytes": 6}
    second = record.load(write(tmp_path / "b", replace(PLAN, run={"machine": other})))
    assert differences(first, second) == []
    assert "machine.load_before" not in facts(first)


def test_a_fact_that_one_run_does_not_tell_is_a_difference(tmp_path: Path) -> None:
    told = {"machine": {"cpu": "A", "caches": {"L2": "1M"}, "available_cpus": [0, 1]}}
    first = record.load(write(tmp_path / "a", replace(PLAN, run=told)))
    second = record.load(write(tmp_path / "b", replace(PLAN, run={"machine": {"cpu": "B"}})))
    assert differences(first, second) == [
        Fact("machine.cpu", "A", "B"),
        Fact("machine.caches.L2", "1M", "-"),
        Fact("machine.available_cpus", "0, 1", "-"),
    ]


def test_names_and_values_have_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    hostile = {"machine": {"cpu": "a\x1b[31m", "x\ny": "\u202e"}}
    found = facts(record.load(write(tmp_path, replace(PLAN, run=hostile))))
    assert found["machine.cpu"] == "a�[31m"
    assert found["machine.x�y"] == "�"
