"""
What the doctor finds by looking and by asking: each check fires where something is wrong and is
silent elsewhere, on the real machine or made-up files of one, and on real services.
"""

import json
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
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

import windtunnel
from benchmarks import doctor_commands, machine
from benchmarks.doctor import (
    active_checks,
    examine,
    host,
    limit_checks,
    machine_checks,
    processes,
    table,
    tools,
)
from benchmarks.doctor import service as services
from benchmarks.doctor.examine import Asked
from benchmarks.doctor.exposition import parse
from benchmarks.doctor.findings import Finding, Grade, Section, judged
from benchmarks.doctor.host import Busy, Host, Watched
from benchmarks.doctor.service import Service
from benchmarks.processes import RunError, free_port, port_taken
from tests.conftest import Service as Running
from tests.conftest import service_environment, wait_until_ready

ROOT = Path(__file__).parent.parent
IMAGE = ROOT / "loadtests/images/cat-451x300.jpg"
GIB = 2**30
QUIET = Watched(busy_share=0.02, steal_share=0.0, swapped_bytes=0, throttled=0, top=())
FIT = Host(
    root=Path("/nowhere"),
    cores=((0,), (1,), (2,), (3,)),
    quota=None,
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
    return {finding.check: finding.grade for finding in findings}


def one(findings: Iterable[Finding], check: str) -> Finding:
    (found,) = (finding for finding in findings if finding.check == check)
    return found


@contextmanager
def spoiled(log: Path, *faults: str, **settings: str) -> Iterator[Running]:
    """A service with faults of tests/spoiled.py and these settings (`SERVICE_` left out)."""
    variables = {f"SERVICE_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "tests.spoiled", *faults]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=ROOT, env=service_environment(variables), stderr=sink
        )
    try:
        yield Running(wait_until_ready(process, log), process.pid, log)
    finally:
        process.terminate()
        process.wait(30)


# The machine


def test_a_machine_that_is_fit_has_nothing_to_say() -> None:
    found = grades(machine_checks.findings(FIT))
    assert set(found.values()) == {Grade.OK}
    assert len(found) == 9


def test_the_real_machine_is_read_without_a_gap() -> None:
    found = host.look(watch_s=0.2)
    assert found.memory_bytes == psutil.virtual_memory().total
    assert found.cores == tuple(machine.cores())
    assert 0 <= found.watched.busy_share <= 1
    assert len(list(machine_checks.findings(found))) == 9


def test_two_cpus_are_too_few_to_separate_generator_and_services() -> None:
    found = machine_checks.cpus(replace(FIT, cores=((0,), (1,))))
    assert found.grade is Grade.NOTE
    assert (
        found.found == "2 CPUs, which generator and services share; 4 are needed to separate them"
    )


@pytest.mark.parametrize(
    ("text", "cpus"), [("150000 100000", 1.5), ("max 100000", None), ("", None), ("3 0", None)]
)
def test_a_quota_is_read_in_cpus(tmp_path: Path, text: str, cpus: float | None) -> None:
    root = made(tmp_path, sys__fs__cgroup__cpu__max="")
    assert host.quota(text) == cpus
    (root / "sys/fs/cgroup/cpu.max").write_text(text)
    assert host.look(root, 0.01).quota == cpus


def test_a_quota_below_the_cpus_is_a_note_and_being_held_back_a_problem() -> None:
    assert machine_checks.quota(replace(FIT, quota=1.5)).grade is Grade.NOTE
    assert machine_checks.quota(replace(FIT, quota=8.0)).grade is Grade.OK
    held = machine_checks.quota(replace(FIT, quota=1.5, watched=replace(QUIET, throttled=3)))
    assert held.grade is Grade.PROBLEM
    assert "held back in 3 periods" in held.found


def test_periods_in_which_the_group_was_held_back_are_counted_while_watching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = tmp_path / "sys/fs/cgroup/cpu.stat"
    stat.parent.mkdir(parents=True)
    stat.write_text("usage_usec 5\nnr_periods 10\nnr_throttled 4\n")

    def later(_seconds: float) -> None:
        stat.write_text("usage_usec 9\nnr_periods 20\nnr_throttled 7\n")

    monkeypatch.setattr("benchmarks.doctor.host.time.sleep", later)
    assert host.watch(tmp_path, 0.1).throttled == 3


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
            watched = host.watch(Path("/"), 0.5)
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
    here = {"here": Path(sys.executable)}
    assert tools.packages(machine.versions(here)["here"]).grade is Grade.OK
    metadata = "Metadata-Version: 2.1\nName: pillow-simd\nVersion: 9.9"
    made(tmp_path, **{"pillow_simd-9.9.dist-info/METADATA": metadata})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = tools.packages(machine.versions(here)["here"])
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


def test_whoever_may_trace_others_may_profile_them() -> None:
    assert tools.tracing(Path("/"), None).grade is (
        Grade.OK if host.may_attach_to_others() else Grade.NOTE
    )


@pytest.mark.skipif(not shutil.which("capsh"), reason="capsh drops the right, for root")
def test_without_the_right_to_trace_the_service_is_closed() -> None:
    """The service has more rights than who looks at it, as in a container beside it."""
    code = (
        "import sys; from pathlib import Path; from benchmarks.doctor import tools\n"
        "print(tools.tracing(Path('/'), int(sys.argv[1])).found)"
    )
    ask = f'exec {sys.executable} -c "$1" $2'
    with subprocess.Popen(["sleep", "20"]) as target:
        try:
            done = subprocess.run(
                ["capsh", "--drop=cap_sys_ptrace", "--", "-c", ask, "sh", code, str(target.pid)],
                cwd=ROOT, capture_output=True, text=True, check=True,
            )  # fmt: skip
        finally:
            target.kill()
    assert f"py-spy may not read process {target.pid} (CAP_SYS_PTRACE no" in done.stdout


def test_perf_is_a_note_where_it_is_closed(tmp_path: Path) -> None:
    made(tmp_path, **{tools.PARANOID: "3", "proc/self/status": "CapEff:\t0000000000000000"})
    assert tools.counters(tmp_path).grade is Grade.NOTE
    made(tmp_path, **{"proc/self/status": f"CapEff:\t{1 << host.CAP_PERFMON:016x}"})
    assert tools.counters(tmp_path).grade is Grade.OK
    made(tmp_path, **{tools.PARANOID: "1", "proc/self/status": "CapEff:\t0"})
    assert tools.counters(tmp_path).grade is Grade.OK


# A service, and what it says of itself


@pytest.fixture(scope="module")
def good(serving: Callable[..., Running]) -> Running:
    """The preset `optimized`, within the memory of any machine."""
    return serving(PRESET="optimized", ADMISSION="8", TRACK="A")


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Everything that a setting can do wrong, in a process that may open few files."""
    log = tmp_path_factory.mktemp("bad") / "log"
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        wanted = {"TRACK": "null", "WORKERS": "2", "THREADS": "5", "BACKLOG": "65535"}
        service = spoiled(log, PRESET="baseline", RECYCLE_REQUESTS="5000", **wanted)
        with service as running:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            yield running
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def of_service(running: Running) -> list[Finding]:
    seen = services.look(running.url)
    machine_here = replace(FIT, root=Path("/"), memory_bytes=16 * GIB)
    return [*limit_checks.findings(seen, machine_here), *active_checks.findings(seen)]


def test_a_good_service_has_nothing_to_say(good: Running) -> None:
    found = of_service(good)
    assert [f for f in found if f.grade is not Grade.OK] == []
    assert len(found) == 17
    assert not any(f.next_step for f in found)


def test_bad_settings_are_found_one_by_one(bad: Running) -> None:
    found = of_service(bad)
    wrong = {check for check, grade in grades(found).items() if grade is Grade.NOTE}
    assert wrong == {
        *("threads", "backlog", "open files", "uploads", "recycling", "engine"),
        *active_checks.OPTIMIZATIONS,
    }
    assert one(found, "threads").found.startswith("10 that compute (2 workers x 5 threads")
    assert "65535" in one(found, "backlog").next_step
    assert one(found, "open files").found == "a worker may open 256"
    assert one(found, "uploads").found.startswith("the requests that may be admitted may hold 50.0")
    assert one(found, "recycling").next_step == "SERVICE_RECYCLE_JITTER=500 windtunnel serve"
    assert "fixed boxes" in one(found, "engine").found
    assert one(found, "json").next_step == "SERVICE_JSON=bytes windtunnel serve"
    assert one(found, "workers").found == "2 of 2 are there"


def test_the_first_process_is_the_supervisor_of_the_worker_that_answered(bad: Running) -> None:
    seen = services.look(bad.url)
    assert seen.pids == (bad.pid,)
    assert seen.said("pid") != bad.pid
    assert {seen.said("pid")} <= {each.pid for each in processes.tree(bad.pid)}


def test_a_pid_that_does_not_listen_there_is_somebody_elses(good: Running) -> None:
    port = int(good.url.rpartition(":")[2])
    assert processes.first_of(good.pid, port) == good.pid
    assert processes.first_of(psutil.Process().pid, port) is None
    assert processes.first_of(2**40, port) is None
    assert processes.first_of("1", port) is None
    assert processes.listening(f"127.0.0.1:{port}") == good.pid
    assert processes.listening(f"198.51.100.7:{port}") is None


def test_a_worker_that_has_died_is_missed(bad: Running) -> None:
    workers = [p for p in processes.tree(bad.pid) if processes.listens(p, port_of(bad))]
    victim = next(p for p in workers if p.pid != bad.pid)
    victim.kill()
    with httpx.Client() as client:
        while psutil.pid_exists(victim.pid) and victim.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        client.get(f"{bad.url}/livez")
    found = limit_checks.workers(services.look(bad.url))
    assert (found.grade, found.found) == (Grade.PROBLEM, "1 of 2 are there")


def port_of(running: Running) -> int:
    return int(running.url.rpartition(":")[2])


def test_what_runs_otherwise_than_it_was_set_is_a_problem(tmp_path: Path) -> None:
    with spoiled(tmp_path / "log", "other_loop", PRESET="optimized", TRACK="null") as service:
        found = of_service(service)
    wrong = {check for check, grade in grades(found).items() if grade is Grade.PROBLEM}
    assert wrong == {"loop", "http"}
    assert one(found, "loop").found == "asyncio is active, though SERVICE_LOOP is uvloop"
    assert one(found, "http").expected == "httptools, as it was set"


def test_a_fault_of_the_service_is_remembered_and_a_full_one_too(tmp_path: Path) -> None:
    settings = {"PRESET": "optimized", "TRACK": "null", "METRICS": "on"}
    with spoiled(tmp_path / "log", "fail", **settings) as service:
        with service.client() as client, IMAGE.open("rb") as image:
            assert client.post("/predict/nano", files={"image": image}).status_code == 500
        seen = services.look(service.url)
        asked = Asked(service.url, load_s=1.0, clients=1)
        (load,) = examine.of_load(asked, seen, lambda _: None)
    found = limit_checks.refused(seen)
    assert (found.grade, found.found) == (Grade.PROBLEM, "1 internal; 1 predictions were admitted")
    page = parse('api_refusals_total{code="too_many_requests"} 4\napi_admitted_total 9\n')
    full = limit_checks.refused(replace(seen, page=page))
    assert full.grade is Grade.NOTE
    assert load.grade is Grade.PROBLEM
    assert "answered 500" in load.found


def test_a_service_that_is_not_ready_says_why(tmp_path: Path) -> None:
    """Its track needs a Triton, and nobody is there; so it never becomes ready."""
    log, port = tmp_path / "log", free_port()
    variables = {"SERVICE_TRACK": "B", "SERVICE_TRITON_URL": f"127.0.0.1:{free_port()}"}
    environment = service_environment(variables | {"SERVICE_PORT": str(port)})
    command = [sys.executable, "-m", "service", "serve"]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=sink)
    try:
        while not port_taken(port) or not services.look(f"http://127.0.0.1:{port}").known:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        sections = list(examine.examine(Asked(f"http://127.0.0.1:{port}"), print, print))
    finally:
        process.terminate()
        process.wait(30)
    assert [section.title.partition(" ")[0] for section in sections] == ["machine", "service"]
    found = one(sections[1].findings, "ready")
    assert (found.grade, found.next_step) == (Grade.PROBLEM, "windtunnel triton")
    assert "does not answer" in found.found
    assert one(sections[1].findings, "Triton clients").grade is Grade.NOTE  # the baseline's


def test_without_metrics_what_cannot_be_told_is_said(serving: Callable[..., Running]) -> None:
    found = of_service(serving(PRESET="optimized", TRACK="null", METRICS="off"))
    assert one(found, "workers").grade is Grade.NOTE
    assert one(found, "refused so far").found == "not told without SERVICE_METRICS=on"
    assert one(found, "version").found == "windtunnel unknown, Python unknown"


def test_pillow_simd_is_known_by_its_name_and_not_by_libjpeg_turbo(
    serving: Callable[..., Running], simd_python: Path
) -> None:
    found = of_service(serving(PRESET="seed", WORKERS="1", TRACK="A"))
    pil = one(found, "PIL")
    assert pil.grade is Grade.NOTE
    assert pil.found.startswith("pillow-simd ")
    assert one(found, "imaging").found == "pillow_simd"


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
    group = typer.main.get_command(windtunnel.app)
    assert isinstance(group, TyperGroup)
    assert named >= {"doctor", "profile", "tune"}
    assert named <= set(group.commands)
    targets = {name for text in sources for name in re.findall(r'"make ([a-z-]+)', text)}
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


# The command


def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import windtunnel; windtunnel.main()", "doctor"]
    return subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_where_nobody_serves_the_machine_is_looked_at_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(examine, "DEFAULT_URL", f"http://127.0.0.1:{free_port()}")
    sections = list(examine.examine(Asked(), print, print))
    assert len(sections[0].findings) == 14
    (found,) = sections[1].findings
    assert (found.grade, found.next_step) == (Grade.NOTE, services.START)


def test_a_url_where_nobody_serves_is_a_problem_and_the_status_1() -> None:
    done = doctor("--url", f"http://127.0.0.1:{free_port()}", "--format", "json")
    said = json.loads(done.stdout)
    assert done.returncode == 1
    assert done.stderr == "doctor: looking at the machine for 1 s\n"
    assert said["problems"] >= 1
    service = next(v for k, v in said["sections"].items() if k.startswith("service"))
    assert [f["grade"] for f in service] == ["PROBLEM"]


def test_wrong_usage_is_one_line_and_no_traceback() -> None:
    done = doctor("--load", "soon")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("windtunnel: --load: found 'soon'; expected a time")


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


def test_the_help_shows_examples_that_parse() -> None:
    command = typer.main.get_command(doctor_commands.app)
    lines = [line for line in doctor_commands.EXAMPLES.splitlines() if line.startswith("wind")]
    assert len(lines) == 4
    for line in lines:
        arguments = line.partition("  (")[0].partition(">")[0].split()[2:]
        assert command.make_context("doctor", arguments).params["clients"] >= 8
