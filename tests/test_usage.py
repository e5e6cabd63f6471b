"""CPU time and memory: of whom, when, and of processes that have ended."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from benchmarks.usage import Meter

pytestmark = pytest.mark.alone

# When told to, burns 0.6 s in two children that end, says so, and waits.
BURN = """
import multiprocessing, sys, time
def burn():
    end = time.process_time() + 0.3
    while time.process_time() < end: pass
if __name__ == "__main__":
    multiprocessing.set_start_method("fork"); sys.stdin.readline()
    for _ in range(2):
        child = multiprocessing.Process(target=burn); child.start(); child.join()
    print("burnt", flush=True); sys.stdin.read()
"""
# Starts a child that does so, and says when it has.
NESTED = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
print(child.pid, flush=True)
child.stdin.write(sys.stdin.readline()); child.stdin.flush()
child.stdout.readline(); print("burnt", flush=True)
sys.stdin.read(); child.kill(); child.wait()
"""
Process = subprocess.Popen[str]


@contextmanager
def python(*arguments: str) -> Iterator[Process]:
    with subprocess.Popen(
        [sys.executable, "-c", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
            process.communicate("")  # the end of its input ends it
        finally:
            process.kill()


def line(process: Process) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def burnt(*processes: Process) -> bool:
    """Tell them to burn, and wait until they have."""
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return [line(process) for process in processes] == ["burnt"] * len(processes)


def test_the_cpu_time_of_workers_that_have_ended_is_counted() -> None:
    with python(BURN) as process:
        meter = Meter((process.pid,), os.getpid())
        start_ns = time.time_ns()
        meter.read()
        assert burnt(process)
        meter.read()
        service = meter.service(start_ns, time.time_ns())
        shares = meter.machine(start_ns, time.time_ns())
    assert service
    assert 0.55 < service["cpu_s"] < 1.2
    assert service["rss_max_bytes"] > 1 << 20
    assert process.pid in service["pids"]
    assert list(service["by_process"]) == ["service"]
    assert 0 < shares["busy_share"] <= 1
    assert 0 <= shares["other_cpu_share"] < shares["busy_share"]


def test_the_service_and_its_triton_are_told_apart_and_counted_together() -> None:
    with ExitStack() as stack:
        service, triton = (stack.enter_context(python(BURN)) for _ in range(2))
        meter = Meter((service.pid, triton.pid), os.getpid())
        start_ns = time.time_ns()
        meter.read()
        assert burnt(service, triton)
        meter.read()
        end_ns = time.time_ns()
        found = meter.service(start_ns, end_ns)
        shares = meter.machine(start_ns, end_ns)
        whole_s = (os.cpu_count() or 1) * (end_ns - start_ns) / 1e9
    assert found
    assert {service.pid, triton.pid} <= set(found["pids"])
    apart = found["by_process"]
    assert list(apart) == ["service", "triton"]
    assert all(0.55 < part["cpu_s"] < 1.2 for part in apart.values())
    assert found["cpu_s"] == pytest.approx(sum(part["cpu_s"] for part in apart.values()), abs=2e-3)
    assert all(part["rss_max_bytes"] > 1 << 20 for part in apart.values())
    assert found["rss_max_bytes"] <= sum(part["rss_max_bytes"] for part in apart.values())
    # What either of them used is not "other load".
    assert shares["other_cpu_share"] < shares["busy_share"] - 0.8 * found["cpu_s"] / whole_s


def test_a_process_that_is_in_two_trees_is_counted_once() -> None:
    with python(NESTED, BURN) as process:
        child = int(line(process))
        seen: list[dict[str, dict[int, int]]] = []
        meter = Meter((process.pid, child), os.getpid(), lambda read: seen.append(read.rss_bytes))
        start_ns = time.time_ns()
        meter.read()
        assert seen[0]["triton"] == {}
        assert child in seen[0]["service"].keys() - {process.pid}
        assert seen[0]["service"][process.pid] > 1 << 20  # the child may not be that far yet
        assert burnt(process)
        meter.read()
        found = meter.service(start_ns, time.time_ns())
    assert found
    assert 0.55 < found["cpu_s"] < 1.2
    assert found["by_process"]["triton"] == {"cpu_s": 0, "rss_max_bytes": 0}


def test_a_tree_that_has_ended_keeps_what_it_had_used() -> None:
    with ExitStack() as stack:
        service, triton = (stack.enter_context(python(BURN)) for _ in range(2))
        meter = Meter((service.pid, triton.pid), os.getpid())
        start_ns = time.time_ns()
        meter.read()
        assert burnt(service, triton)
        meter.read()
        service.kill()
        service.wait()
        meter.read()
        found = meter.service(start_ns, time.time_ns())
    assert found
    assert all(0.55 < part["cpu_s"] < 1.2 for part in found["by_process"].values())


def test_use_at_the_edge_of_the_window_is_interpolated() -> None:
    meter = Meter((os.getpid(),), os.getppid())
    meter.read()
    began = time.time_ns()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    meter.read()
    length = time.time_ns() - began
    window = {"start_unix_ns": began - 7, "measure_start_ns": 7, "measure_end_ns": 7 + length}
    whole = meter.over(window)["service"]
    half = meter.over({**window, "measure_end_ns": 7 + length // 2})["service"]
    assert 0.15 < whole["cpu_s"] < 0.35
    assert abs(half["cpu_s"] - whole["cpu_s"] / 2) < 0.03


def test_of_a_service_that_others_run_only_the_machine_is_known() -> None:
    moments: list[int] = []
    meter = Meter((), os.getpid(), lambda _meter: moments.append(time.time_ns()))
    began = time.time_ns()
    meter.read_if_due()
    meter.read_if_due()
    assert len(moments) == 1, "half a second has not passed"
    meter.read()
    assert len(moments) == 2, "what is read with it is read as often"
    assert meter.service(began, time.time_ns()) is None
    assert set(meter.machine(began, moments[-1])) == {
        "busy_share",
        "steal_share",
        "other_cpu_share",
    }
