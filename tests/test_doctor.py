"""
What the doctor finds by looking and by asking: each check fires where something is wrong and is
silent elsewhere, on the real machine or made-up files of one, and on real services.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache, partial
from io import StringIO
from pathlib import Path

import httpx
import psutil
import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.core import TyperGroup
from typer.testing import CliRunner

import windtunnel
from analysis.tuning import knobs
from benchmarks import doctor_commands, environments, listening, machine, probe
from benchmarks.doctor import (
    active_checks,
    examine,
    group,
    host,
    limit_checks,
    machine_checks,
    table,
    tools,
)
from benchmarks.doctor import service as services
from benchmarks.doctor.examine import Asked
from benchmarks.doctor.exposition import parse
from benchmarks.doctor.findings import Finding, Grade, Section, judged
from benchmarks.doctor.group import Limit
from benchmarks.doctor.host import Busy, Host, Watched
from benchmarks.doctor.service import Service
from benchmarks.processes import RunError, free_port
from tests.conftest import NO_TLS, service_environment, service_program, wait_until_ready
from tests.conftest import Service as Running

ROOT = Path(__file__).parent.parent
IMAGE = ROOT / "loadtests/images/cat-451x300.jpg"
GIB = 2**30
QUIET = Watched(busy_share=0.02, steal_share=0.0, swapped_bytes=0, top=())
FIT = Host(
    root=Path("/nowhere"),
    cores=((0,), (1,), (2,), (3,)),
    limit=None,
    virtualization=None,
    governors=("performance",),
    turbo=None,
    clock="tsc",
    memory_bytes=16 * GIB,
    available_bytes=12 * GIB,
    swap_used_bytes=0,
    watched=QUIET,
)


def made(root: Path, **files: str) -> Path:
    """A tree with these files; `__` in a name stands for `/`."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def grades(findings: Iterable[Finding]) -> dict[str, Grade]:
    return {finding.check: checked(finding).grade for finding in findings}


def one(findings: Iterable[Finding], check: str) -> Finding:
    (found,) = (finding for finding in findings if finding.check == check)
    return checked(found)


@cache
def commands() -> TyperGroup:
    group = typer.main.get_command(windtunnel.app)
    assert isinstance(group, TyperGroup)
    return group


def checked(finding: Finding) -> Finding:
    """A finding whose next step, where it is one of windtunnel's, can be typed as it is."""
    for step in re.split(r"  # (?:and if it goes on: )?|&&|;", finding.next_step):
        words = [word for word in shlex.split(step) if not re.match("[A-Z_]+=", word)]
        if words[:1] == ["windtunnel"]:
            parsed = commands().commands[words[1]].make_context(words[1], words[2:])
            for knob in parsed.params.get("knob") or ():
                assert knobs.parse("--knob", knob)[0].name in knobs.BY_NAME
    return finding


Begun = tuple["subprocess.Popen[bytes]", Path]  # a service, and its log
Wanted = Mapping[str, tuple[tuple[str, ...], dict[str, str]]]  # faults and settings by a name


def begun(log: Path, program: Iterable[str], settings: Mapping[str, str]) -> Begun:
    """A service with these settings (`SERVICE_` left out), which is not waited for."""
    variables = {f"SERVICE_{name}": value for name, value in settings.items()}
    environment = service_environment(variables)
    with log.open("wb") as sink:
        return subprocess.Popen([*program], cwd=ROOT, env=environment, stderr=sink), log


@contextmanager
def all_of(folder: Path, wanted: Wanted) -> Iterator[dict[str, Begun]]:
    """Services with faults of tests/spoiled.py, begun together and ended together."""
    started: dict[str, Begun] = {}
    try:
        for name, (faults, settings) in wanted.items():
            program = [sys.executable, "-m", "tests.spoiled", *faults]
            if settings.get("PRESET") == "seed":
                program = service_program({"SERVICE_PRESET": "seed"})
            started[name] = begun(folder / name, program, settings)
        yield started
    finally:
        for process, _ in started.values():
            process.terminate()
        for process, _ in started.values():
            process.wait(30)


def ready(service: Begun) -> Running:
    process, log = service
    return Running(wait_until_ready(process, log), process.pid, log)


@contextmanager
def spoiled(log: Path, *faults: str, **settings: str) -> Iterator[Running]:
    """One such service, when it is ready."""
    with all_of(log.parent, {log.name: (faults, settings)}) as started:
        yield ready(started[log.name])


@pytest.fixture(scope="module", autouse=True)
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Begun]]:
    """Every service of this module: they start beside the tests that need none."""
    nobody = f"127.0.0.1:{free_port()}"  # so that the one which needs a Triton never becomes ready
    wanted = {
        "good": ((), {"PRESET": "optimized"}),
        "broken": (
            ("other_loop", "fail"),
            {"PRESET": "optimized", "TRACK": "B", "TRITON_URL": nobody},
        ),
        "bad": (
            ("few_files",),
            {"TRACK": "null", "WORKERS": "2", "THREADS": "5", "BACKLOG": "65535"}
            | {"RECYCLE_REQUESTS": "5000"},
        ),
    }
    if (ROOT / ".venv-simd/.stamp").exists():
        one_process = {"WORKERS": "1", "RECYCLE_REQUESTS": "0"}
        wanted["simd"] = (), {"PRESET": "seed", "TRACK": "A", "METRICS": "off", **one_process}
    with all_of(tmp_path_factory.mktemp("services"), wanted) as begun_:
        yield begun_


# The machine


def test_a_machine_that_is_fit_has_nothing_to_say() -> None:
    found = grades(machine_checks.findings(FIT))
    assert set(found.values()) == {Grade.OK}
    assert len(found) == 9


def test_the_real_machine_is_read_without_a_gap() -> None:
    found = host.look(watch_s=0.2)
    assert found.memory_bytes == psutil.virtual_memory().total
    assert found.cores == tuple(machine.cores())
    assert found.limit == group.limit_of(Path("/"))
    assert 0 <= found.watched.busy_share <= 1
    assert len(list(machine_checks.findings(found))) == 9


def test_two_cpus_are_too_few_to_separate_generator_and_services() -> None:
    found = machine_checks.cpus(replace(FIT, cores=((0,), (1,))))
    assert found.grade is Grade.NOTE
    assert (
        found.found == "2 CPUs, which generator and services share; 4 are needed to separate them"
    )


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "3 0"}, None),
        ({"cpu.cfs_quota_us": "200000", "cpu.cfs_period_us": "100000"}, 2.0),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_the_limit_of_a_control_group_is_read_in_cpus(
    tmp_path: Path, files: dict[str, str], cpus: float | None
) -> None:
    assert group.allowed(made(tmp_path, **files)) == cpus


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ("0::/a/b", (1.5, "a")),  # the tighter one around it
        ("0::/a/b/c/d", (1.5, "a")),  # of folders that are not there
        ("4:memory:/x\n3:cpu,cpuacct:/v1", (0.5, "cpu/v1")),
        ("0::/../other", (8.0, ".")),  # of another container
        ("1:name=systemd:/a", None),
        ("", None),
    ],
)
def test_a_process_has_what_the_tightest_of_its_groups_allows(
    tmp_path: Path, groups: str, found: tuple[float, str] | None
) -> None:
    root = made(tmp_path, **{"proc/7/cgroup": groups, "proc/self/cgroup": groups})
    top = root / group.GROUPS
    for name, quota in ((".", "800000"), ("a", "150000"), ("a/b", "300000"), ("cpu/v1", "50000")):
        made(top / name, **{"cpu.max": f"{quota} 100000"})
    expected = Limit(found[0], top / found[1]) if found else None
    assert group.limit_of(root, 7) == expected
    assert group.limit_of(root) == expected


def test_periods_in_which_a_group_was_held_back_are_read(tmp_path: Path) -> None:
    limit = Limit(
        1.0, made(tmp_path, **{"cpu.stat": "usage_usec 5\nnr_periods 10\nnr_throttled 4"})
    )
    assert limit.periods() == (10, 4)
    assert Limit(1.0, tmp_path / "gone").periods() == (0, 0)


def test_a_process_may_use_what_it_is_pinned_to_within_its_limit(tmp_path: Path) -> None:
    pinned = len(os.sched_getaffinity(0))
    assert group.usable(os.getpid(), None) == pinned
    assert group.usable(os.getpid(), Limit(0.5, tmp_path)) == 0.5
    assert group.usable(os.getpid(), Limit(pinned + 1, tmp_path)) == pinned


def test_a_limit_below_the_cpus_is_a_note(tmp_path: Path) -> None:
    held = machine_checks.quota(replace(FIT, limit=Limit(1.5, tmp_path)))
    assert held.grade is Grade.NOTE
    assert held.next_step == f"grep . {tmp_path}/cpu.*"
    assert machine_checks.quota(replace(FIT, limit=Limit(8.0, tmp_path))).grade is Grade.OK


def test_a_governor_that_saves_power_is_a_note(tmp_path: Path) -> None:
    for cpu, governor in (("0", "performance"), ("1", "powersave")):
        made(tmp_path, **{f"{host.CPU}/cpu{cpu}/cpufreq/scaling_governor": governor})
    found = machine_checks.frequency(replace(FIT, governors=host.governors(tmp_path)))
    assert (found.grade, found.found) == (Grade.NOTE, "governor performance, powersave")
    assert found.next_step == "sudo cpupower frequency-set --governor performance"


@pytest.mark.parametrize(
    ("name", "on", "off"), [("intel_pstate/no_turbo", "0", "1"), ("cpufreq/boost", "1", "0")]
)
def test_turbo_is_a_note_where_it_is_on(tmp_path: Path, name: str, on: str, off: str) -> None:
    made(tmp_path, **{f"{host.CPU}/{name}": on})
    found = machine_checks.turbo(replace(FIT, turbo=host.turbo_switch(tmp_path)))
    assert found.grade is Grade.NOTE
    assert found.next_step == f"echo {off} | sudo tee /{host.CPU}/{name}"
    made(tmp_path, **{f"{host.CPU}/{name}": off})
    assert host.turbo_switch(tmp_path) is None


@pytest.mark.parametrize(
    ("share", "grade"), [(0.005, Grade.OK), (0.02, Grade.NOTE), (0.08, Grade.PROBLEM)]
)
def test_stolen_time_is_graded_by_its_share(share: float, grade: Grade) -> None:
    found = machine_checks.steal(replace(FIT, watched=replace(QUIET, steal_share=share)))
    assert found.grade is grade


def test_another_program_that_is_busy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "TOP", 100)  # this machine may have busier ones
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            time.sleep(0.2)
            watched = host.watch(0.5)
        finally:
            busy.kill()
    assert busy.pid in [each.pid for each in watched.top]
    found = machine_checks.other_load(replace(FIT, watched=watched))
    assert found.grade is not Grade.OK
    assert f"({busy.pid})" in found.found
    assert str(busy.pid) in found.next_step


def test_what_this_process_uses_itself_is_no_other_program() -> None:
    mine = (psutil.Process().pid, 1.0)
    before, after = {mine: ("python", 0.0)}, {mine: ("python", 5.0), (1, 1.0): ("init", 0.5)}
    assert host.busiest(before, after, 1.0) == (Busy(1, "init", 0.5),)


@pytest.mark.parametrize(
    ("free", "grade"), [(4 * GIB, Grade.OK), (GIB, Grade.NOTE), (GIB // 4, Grade.PROBLEM)]
)
def test_a_machine_short_of_memory_is_no_place_to_measure(free: int, grade: Grade) -> None:
    assert machine_checks.memory(replace(FIT, available_bytes=free)).grade is grade


def test_swap_in_use_is_a_note_and_swapping_a_problem() -> None:
    assert machine_checks.swap(replace(FIT, swap_used_bytes=GIB)).grade is Grade.NOTE
    moving = replace(FIT, watched=replace(QUIET, swapped_bytes=2**20))
    assert machine_checks.swap(moving).grade is Grade.PROBLEM


def test_a_clock_that_is_slow_to_read_is_a_note(tmp_path: Path) -> None:
    name = "sys/devices/system/clocksource/clocksource0/current_clocksource"
    found = machine_checks.clock(host.look(made(tmp_path, **{name: "hpet"}), 0.01))
    assert (found.grade, found.found) == (Grade.NOTE, "hpet")


# The tools


def test_a_checkout_without_the_generator_has_a_problem(tmp_path: Path) -> None:
    assert tools.bench(ROOT).grade is Grade.OK
    found = tools.bench(tmp_path)
    assert (found.grade, found.next_step) == (Grade.PROBLEM, "make build")


def test_both_pillows_in_one_environment_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = "Metadata-Version: 2.1\nName: pillow-simd\nVersion: 9.9"
    made(tmp_path, **{"pillow_simd-9.9.dist-info/METADATA": metadata})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = tools.packages(machine.versions({"here": Path(sys.executable)})["here"])
    assert found.grade is Grade.PROBLEM
    assert "pillow-simd 9.9" in found.found
    assert found.found.endswith(": both Pillows in one place")


def test_a_missing_profiler_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tools.profiler()
    assert found.grade is Grade.OK
    assert found.found.startswith("py-spy 0.")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools.profiler().grade is Grade.NOTE


def test_whoever_may_trace_may_read_what_it_did_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "may_attach_to_others", lambda: True)
    found = tools.tracing(Path("/"), None)
    assert found.grade is Grade.OK
    assert found.found.startswith("py-spy may read processes that it did not start (CAP_SYS_PTRACE")


def test_whoever_may_not_trace_is_told_how_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "may_attach_to_others", lambda: False)
    for contained, step in ((True, "docker run --cap-add SYS_PTRACE"), (False, "sudo sysctl ")):
        monkeypatch.setattr(tools, "in_container", lambda told=contained: told)
        found = tools.tracing(Path("/"), None)
        assert found.grade is Grade.NOTE
        assert found.next_step.startswith(step)


def test_without_the_right_to_trace_the_service_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The service has more rights than who looks at it, as in a container beside it."""
    code = (
        "import sys; from pathlib import Path; from benchmarks.doctor import host\n"
        "print(host.may_attach(int(sys.argv[1])),"
        " host.has_capability(Path('/'), host.CAP_SYS_PTRACE))"
    )
    # Only root has the right that it is to be without here.
    drop = ["setpriv", "--bounding-set=-sys_ptrace"] if os.geteuid() == 0 else []
    with subprocess.Popen(["sleep", "20"]) as target:
        ask = [*drop, sys.executable, "-c", code, str(target.pid)]
        try:
            done = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=True)
        finally:
            target.kill()
    assert done.stdout == "False False\n"
    for name in ("may_attach", "has_capability"):
        monkeypatch.setattr(host, name, lambda *_: False)
    found = tools.tracing(Path("/"), 7)
    assert found.grade is Grade.NOTE
    assert found.found.startswith("py-spy may not read process 7 (CAP_SYS_PTRACE no")


def test_perf_is_a_note_where_it_is_closed(tmp_path: Path) -> None:
    made(tmp_path, **{tools.PARANOID: "3", "proc/self/status": "CapEff:\t0000000000000000"})
    assert tools.counters(tmp_path).grade is Grade.NOTE
    made(tmp_path, **{"proc/self/status": f"CapEff:\t{1 << host.CAP_PERFMON:016x}"})
    assert tools.counters(tmp_path).grade is Grade.OK
    made(tmp_path, **{tools.PARANOID: "1", "proc/self/status": "CapEff:\t0"})
    assert tools.counters(tmp_path).grade is Grade.OK


# A service, and what it says of itself


@pytest.fixture(scope="module")
def good(started: dict[str, Begun]) -> Running:
    """The preset `optimized` as it is."""
    return ready(started["good"])


@pytest.fixture(scope="module")
def bad(started: dict[str, Begun]) -> Running:
    """Everything that a setting can do wrong, in a process that may open few files."""
    return ready(started["bad"])


@pytest.fixture(scope="module")
def broken(started: dict[str, Begun]) -> tuple[Running, list[Finding]]:
    """One that runs otherwise than it was set, with what is found before it fails at requests."""
    process, log = started["broken"]
    while not (said := re.search(r"http://[^\s,]+", log.read_text())) or not probe.health(said[0]):
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    service = Running(said[0], process.pid, log)
    return service, of_service(service)


def of_service(running: Running) -> list[Finding]:
    seen, here = services.look(running.url), replace(FIT, root=Path("/"))
    return [
        checked(finding)
        for finding in (*limit_checks.findings(seen, here), *active_checks.findings(seen))
    ]


def test_a_good_service_has_nothing_to_say(good: Running) -> None:
    found = of_service(good)
    assert [f for f in found if f.grade is not Grade.OK] == []
    assert len(found) == 17
    assert not any(f.next_step for f in found)


def test_bad_settings_are_found_one_by_one(bad: Running) -> None:
    found = of_service(bad)
    wrong = {check for check, grade in grades(found).items() if grade is Grade.NOTE}
    assert wrong == {
        *("threads", "backlog", "open files", "recycling", "engine"),
        *active_checks.OPTIMIZATIONS,
    }
    assert one(found, "threads").found.startswith("10 that compute (2 workers x 5 threads")
    assert "65535" in one(found, "backlog").next_step
    assert one(found, "open files").found == "a worker may open 256"
    assert one(found, "uploads").found == (
        "the 1024 requests that may be admitted hold 50.0 GiB with the largest bodies, of 50.0 MiB"
    )
    assert one(found, "recycling").next_step == "SERVICE_RECYCLE_JITTER=500 windtunnel serve"
    assert "fixed boxes" in one(found, "engine").found
    assert one(found, "json").next_step == "SERVICE_JSON=bytes windtunnel serve"
    assert one(found, "workers").found == "2 of 2 are there"


def test_the_first_process_is_the_supervisor_of_the_worker_that_answered(bad: Running) -> None:
    seen = services.look(bad.url)
    assert seen.pids == (bad.pid,)
    assert seen.said("pid") != bad.pid
    assert seen.said("pid") in {each.pid for each in listening.tree(bad.pid)}


def test_a_pid_that_does_not_listen_there_is_somebody_elses(good: Running) -> None:
    seen, port = services.look(good.url), port_of(good)
    assert seen.pids == (good.pid,)
    assert seen.cpus == group.usable(good.pid, seen.limit)
    for pid in (os.getpid(), 2**40, "1"):
        assert list(services.pids(replace(seen, health={**seen.health, "pid": pid}))) == []
    # One that says nothing of itself is found by its port, and not where another machine has it.
    silent = replace(seen, health={})
    assert list(services.pids(silent)) == [good.pid]
    assert list(services.pids(replace(silent, address=f"http://198.51.100.7:{port}"))) == []


@pytest.mark.parametrize(("address", "port"), [("https://h", 443), ("http://h", 80)])
def test_without_a_port_it_is_that_of_the_scheme(
    monkeypatch: pytest.MonkeyPatch, address: str, port: int
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(listening, "first_of", lambda _, port: asked.append(port))
    assert list(services.pids(Service(address, "", health={"pid": 7}))) == []
    assert asked == [port]


def test_what_is_typed_has_the_path_and_is_quoted() -> None:
    asked = Service("http://h:1", "/predict/nano?track=A&x=1")
    assert asked.url == "'http://h:1/predict/nano?track=A&x=1'"
    assert asked.picture == f"curl -F image=@loadtests/images/{IMAGE.name} {asked.url}"
    assert Service("http://h:1", "").picture.endswith(" http://h:1/predict/nano")


def test_bodies_as_large_as_they_came_must_fit_in_the_memory(good: Running) -> None:
    seen, here = services.look(good.url), replace(FIT, memory_bytes=8 * GIB)
    for mib, grade in ((15, Grade.OK), (20, Grade.NOTE)):
        text = f"api_admitted_total 10\napi_request_body_bytes_total {10 * mib * 2**20}\n"
        found = checked(limit_checks.uploads(replace(seen, page=parse(text)), here))
        assert found.grade is grade
    assert found.found.endswith(", of 50.0 MiB, and 10 GiB with such as came so far")
    assert found.next_step == "SERVICE_ADMISSION=204 windtunnel serve"


def test_a_preset_that_nobody_tells_is_a_note_and_nothing_is_compared_with_it(
    good: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RunError("the service\ndid not answer")

    monkeypatch.setattr(environments, "effective_settings", refuse)
    found = of_service(good)
    (note,) = (each for each in found if each.grade is not Grade.OK)
    assert (note.check, note.grade) == ("preset", Grade.NOTE)
    assert note.found == "not known, and not compared with: the service did not answer"


def test_a_worker_that_has_died_is_missed(bad: Running) -> None:
    workers = [p for p in listening.tree(bad.pid) if listening.listens(p, port_of(bad))]
    victim = next(p for p in workers if p.pid != bad.pid)
    victim.kill()
    with httpx.Client(verify=NO_TLS) as client:
        while psutil.pid_exists(victim.pid) and victim.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        client.get(f"{bad.url}/livez")
    found = limit_checks.workers(services.look(bad.url))
    assert (found.grade, found.found) == (Grade.PROBLEM, "1 of 2 are there")


def port_of(running: Running) -> int:
    return int(running.url.rpartition(":")[2])


def test_what_runs_otherwise_than_it_was_set_is_a_problem(
    broken: tuple[Running, list[Finding]],
) -> None:
    found = broken[1]
    wrong = {check for check, grade in grades(found).items() if grade is Grade.PROBLEM}
    assert wrong == {"loop", "http", "ready"}
    assert one(found, "loop").found == "asyncio is active, though SERVICE_LOOP is uvloop"
    assert one(found, "http").expected == "httptools, as it was set"


def test_a_fault_of_the_service_is_remembered_and_a_full_one_too(
    broken: tuple[Running, list[Finding]],
) -> None:
    service = broken[0]
    with service.client() as client, IMAGE.open("rb") as image:
        assert client.post("/predict/nano?track=A", files={"image": image}).status_code == 500
    seen = services.look(service.url)
    asked = replace(seen, path="/predict/nano?track=A")
    (load,) = examine.of_load(Asked(service.url, load_s=1.0), asked, lambda _: None)
    found = limit_checks.refused(seen)
    assert found.grade is Grade.PROBLEM
    assert re.fullmatch(r"1 internal, \d+ not_ready; 1 predictions were admitted", found.found)
    assert "grep api_refusals_total  # its log says why" in checked(found).next_step
    page = parse('api_refusals_total{code="too_many_requests"} 4\napi_admitted_total 9\n')
    full = limit_checks.refused(replace(seen, page=page))
    assert full.grade is Grade.NOTE
    assert load.grade is Grade.PROBLEM
    assert "answered 500" in load.found
    assert load.next_step == asked.picture


def test_a_service_that_is_not_ready_says_why_and_is_not_loaded(
    broken: tuple[Running, list[Finding]],
) -> None:
    sections = list(examine.examine(Asked(broken[0].url, watch_s=0.1), print, print))
    assert [section.name for section in sections] == ["machine", "service"]
    found = one(sections[1].findings, "ready")
    assert (found.grade, found.next_step) == (Grade.PROBLEM, "windtunnel triton")
    assert "does not answer" in found.found


def test_pillow_simd_is_known_by_its_name_and_not_by_libjpeg_turbo(
    simd_python: Path, started: dict[str, Begun]
) -> None:
    found = of_service(ready(started["simd"]))
    pil = one(found, "PIL")
    assert pil.grade is Grade.NOTE
    assert pil.found.startswith("pillow-simd ")
    assert one(found, "imaging").found == "pillow_simd"
    # Its metrics are off: what cannot be told without them is said.
    assert one(found, "workers").grade is Grade.NOTE
    assert one(found, "refused so far").found == "not told without SERVICE_METRICS=on"
    assert one(found, "version").found == "windtunnel unknown, Python unknown"


def test_a_pil_without_webp_and_another_release_are_notes(good: Running) -> None:
    seen = services.look(good.url)
    pillow = {**seen.health["pillow"], "accepts": ["JPEG", "PNG"]}
    found = active_checks.pillow(replace(seen, health={**seen.health, "pillow": pillow}))
    assert found.grade is Grade.NOTE
    assert found.found.endswith("no WebP: such uploads are refused")
    page = parse('api_build_info{version="0.0.1",python="3.11.7"} 1\n')
    assert active_checks.versions(replace(seen, page=page)).grade is Grade.NOTE


def test_a_triton_of_python_backends_is_not_taken_for_tensorrt(good: Running) -> None:
    seen = services.look(good.url)
    engine = {"real": True, "default_track": {"nano": "triton-python-onnxruntime"}}
    found = active_checks.engine(replace(seen, health={**seen.health, "engine": engine}))
    assert found.grade is Grade.NOTE
    assert "not TensorRT's" in found.found


def test_clients_that_are_not_pooled_though_they_should_be_are_a_problem(good: Running) -> None:
    seen = services.look(good.url)
    settings = {**seen.settings, "SERVICE_TRACK": "B", "SERVICE_CLIENTS": "pooled"}
    for kind, grade in (("pooled", Grade.OK), ("per_request", Grade.PROBLEM)):
        health = {**seen.health, "settings": settings, "triton": {"clients": {"kind": kind}}}
        (found,) = active_checks.pooling(replace(seen, health=health))
        assert found.grade is grade
    assert list(active_checks.pooling(seen)) == []


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"settings": 3},
        {"performance": []},
        {"settings": {"a": 1}, "pillow": {"accepts": 5}, "machine": {"cores": "many"}},
        {"settings": {"SERVICE_WORKERS": 10**400, "SERVICE_TRACK": [], "SERVICE_BACKLOG": True}},
    ],
)
def test_an_answer_of_another_form_breaks_no_check(said: dict[str, object]) -> None:
    seen = Service("http://127.0.0.1:1", "", answers=True, health=said)
    assert len([*limit_checks.findings(seen, FIT), *active_checks.findings(seen)]) >= 15


@given(st.text(alphabet='{}",=\\ \n#a1_', max_size=60))
def test_a_page_is_numbers_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert parse(f"a 1\n{text}\n").total("a") is not None


def test_the_readme_lists_every_check() -> None:
    sources = [file.read_text() for file in (ROOT / "benchmarks/doctor").glob("*.py")]
    named = re.compile(r'(?:judged|Finding)\(\s*"([^"]+)"')
    code = {name for text in sources for name in named.findall(text)}
    readme = (ROOT / "benchmarks/README.md").read_text()
    rows = readme.partition("\n## Doctor\n")[2].partition("\n- **")[0]
    listed = re.findall(r"`([^`]+)`", rows.partition("|---|---|")[2])
    assert set(listed) == code | set(active_checks.OPTIMIZATIONS)


def test_every_next_step_is_a_command_that_there_is() -> None:
    sources = [file.read_text() for file in (ROOT / "benchmarks/doctor").glob("*.py")]
    named = {name for text in sources for name in re.findall(r"\bwindtunnel (\w+) --?\w", text)}
    assert named >= {"doctor", "profile", "tune"}
    assert named <= set(commands().commands)
    targets = {name for text in sources for name in re.findall(r'"make ([a-z-]+)', text)}
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


# The command


def test_where_nobody_serves_the_machine_is_looked_at_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(examine, "DEFAULT_URL", f"http://127.0.0.1:{free_port()}")
    sections = list(examine.examine(Asked(watch_s=0.1), print, print))
    assert len(grades(sections[0].findings)) == 14
    assert one(sections[0].findings, "packages").grade is Grade.OK
    (found,) = sections[1].findings
    assert (found.grade, found.next_step) == (Grade.NOTE, services.START)


def test_a_url_where_nobody_serves_is_a_problem_and_the_status_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor_commands, "Asked", partial(Asked, watch_s=0.1))
    arguments = ["--url", f"http://127.0.0.1:{free_port()}", "--format", "json"]
    done = CliRunner().invoke(doctor_commands.app, arguments)
    said = json.loads(done.stdout)
    assert done.exit_code == 1
    assert done.stderr == "doctor: looking at the machine for 0 s\n"
    assert said["problems"] >= 1
    assert said["complete"] is True
    assert [section["name"] for section in said["sections"]] == ["machine", "service"]
    assert [f["grade"] for f in said["sections"][1]["findings"]] == ["PROBLEM"]


def test_wrong_usage_is_one_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["windtunnel", "doctor", "--load", "soon"])
    with pytest.raises(SystemExit) as stopped:
        windtunnel.main()
    said = capsys.readouterr()
    assert (stopped.value.code, said.out) == (2, "")
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("windtunnel: --load: found 'soon'; expected a time")


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:9600", "http://[::1", "ftp://127.0.0.1", "http://127.0.0.1:0", "http://h:99999"],
)
def test_a_url_that_is_none_is_refused_before_anything_is_looked_at(url: str) -> None:
    with pytest.raises(RunError, match=r"^--url: found '.*; expected a service's address"):
        next(examine.examine(Asked(url), print, print))


def test_a_path_of_the_url_is_where_it_predicts() -> None:
    assert services.divided("http://h:1/a/b?c=d") == ("http://h:1", "/a/b?c=d")
    assert services.divided("https://h/") == ("https://h", "")


@pytest.mark.parametrize("text", ["", "0s", "soon", "2h", "-5s", "5 s"])
def test_a_load_of_no_such_length_is_refused(text: str) -> None:
    with pytest.raises(RunError, match=r"^--load: found"):
        doctor_commands.seconds(text)


def test_a_load_is_given_in_seconds_or_as_a_duration() -> None:
    assert [doctor_commands.seconds(text) for text in ("5", "5s", "1m30s", "1500ms")] == [
        *(5, 5, 90, 1.5)
    ]


def test_the_table_says_what_was_expected_only_where_it_was_not_met() -> None:
    hostile = "\x1b[31mred [bold]x[/bold]"
    section = Section(
        "machine",
        "machine",
        (
            judged("fine", "3 \x07 CPUs", "any", "true"),
            judged("bad one", hostile, "nothing of the kind", "echo a  b", problem=True),
        ),
    )
    out = StringIO()
    table.show([section], Console(file=out, width=40))
    assert out.getvalue().splitlines() == [
        "machine",
        "  OK       fine     3 � CPUs",
        "  PROBLEM  bad one  �[31mred [bold]x[/bold]",
        "                    expected: nothing of the kind",
        "                    next: echo a  b",
        "",
        "1 problem and 0 notes; 1 checks are OK",
    ]
    table.show([section], Console(file=out, width=40), complete=False)
    assert out.getvalue().endswith("; 1 checks are OK; stopped, so that this is not all\n")


def test_the_help_shows_examples_that_parse() -> None:
    command = typer.main.get_command(doctor_commands.app)
    lines = [line for line in doctor_commands.EXAMPLES.splitlines() if line.startswith("wind")]
    assert len(lines) == 4
    for line in lines:
        arguments = line.partition("  (")[0].partition(">")[0].split()[2:]
        assert command.make_context("doctor", arguments).params["clients"] >= 8
