"""Locust's shapes: steps of users, and a campaign's matrix, against a server that counts."""

from pathlib import Path

import pyarrow.compute as pc
import pytest

from loadtests import samples
from tests.locusts import FILE, run
from tests.stub import stub

pytestmark = pytest.mark.alone


def test_steps_are_held_for_their_time_and_reported_apart(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    with stub("--delay", "20ms") as server:
        ran = run(server.url, "--steps", "1,3", "--step-time", "1s", "--warmup", "0.5s",
                  "--samples", str(path), file=f"{FILE},loadtests/steps.py")  # fmt: skip
        seen = server.stats()
    assert ran.status == 0, ran.stderr
    read = samples.read(path)
    assert read.table.num_rows == seen["requests"] == ran.summary["accounting"]["issued"]
    one, three = ran.summary["steps"]
    assert (one["name"], one["clients"], three["clients"]) == ("1 users", 1, 3)
    assert one["start_ns"] == 500_000_000
    assert 0 <= one["end_ns"] - 1_500_000_000 < 100_000_000
    assert three["start_ns"] == one["end_ns"]
    assert 0.9e9 < three["end_ns"] - three["start_ns"] < 1.2e9
    assert 1.5 < three["throughput_rps"] / one["throughput_rps"] < 4.5
    due = read.table["due_ns"].to_numpy()
    for step in (one, three):
        inside = (due >= step["start_ns"]) & (due < step["end_ns"])
        assert step["measured"]["issued"] == inside.sum()
    clients = read.table.filter(pc.less(read.table["due_ns"], one["end_ns"]))["client"]
    assert set(clients.to_pylist()) == {0}
    assert ran.summary["accounting"]["ok"] == read.table.num_rows


def test_a_matrix_warms_each_level_up_and_waits_for_enough_requests(tmp_path: Path) -> None:
    path, file = tmp_path / "s.parquet", tmp_path / "c.toml"
    file.write_text("clients = [2, 1]\nrepeats = 1\nduration_s = 0.6\nwarmup_s = 0.5\n"
                    "min_requests = 50\nseed = 4\n[variants.a]\npreset = 'seed'\n")  # fmt: skip
    with stub("--delay", "20ms") as server:
        ran = run(server.url, "--campaign", str(file), "--samples", str(path),
                  file=f"{FILE},loadtests/matrix.py")  # fmt: skip
    assert ran.status == 0, ran.stderr
    steps = {step["clients"]: step for step in ran.summary["steps"]}
    assert {clients: step["name"] for clients, step in steps.items()} == {
        1: "r01 c0001",
        2: "r01 c0002",
    }
    assert min(step["measured"]["issued"] for step in steps.values()) >= 50
    assert steps[1]["end_ns"] - steps[1]["start_ns"] >= 900_000_000, "50 take one user a second"
    table = samples.read(path).table
    phase = table["phase"].cast("string").to_numpy(zero_copy_only=False)
    due = table["due_ns"].to_numpy()
    measured = sum((due >= s["start_ns"]) & (due < s["end_ns"]) for s in steps.values()) > 0
    assert ((phase == "measure") == measured).all()
    second = max(step["start_ns"] for step in steps.values())
    warming = (due < second) & (due >= second - 400_000_000)
    assert warming.any()
    assert set(phase[warming]) == {"warmup"}
