"""
What the doctor finds under a load of its own: real loads of real services, good and spoiled ones.

Thresholds are tried on what a real load gave, with one number changed: values of this machine are
not asserted on.
"""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from benchmarks.doctor import bottleneck, examine, inside_checks, load_checks, watch
from benchmarks.doctor import load as loads
from benchmarks.doctor import service as services
from benchmarks.doctor.examine import Asked
from benchmarks.doctor.exposition import Page, grown, grown_by, parse
from benchmarks.doctor.findings import Finding, Grade
from benchmarks.doctor.group import Limit
from benchmarks.doctor.load import Loaded
from benchmarks.doctor.service import Service
from benchmarks.doctor.watch import Moment
from benchmarks.usage import Meter
from tests.conftest import NO_TLS
from tests.conftest import Service as Running
from tests.stub import stub
from tests.test_doctor import IMAGE, ROOT, all_of, checked, grades, one, ready

pytestmark = pytest.mark.alone

NULL = {"PRESET": "optimized", "TRACK": "null"}


def loaded(running: Running, clients: int, duration_s: float) -> tuple[Service, Loaded]:
    service = services.look(running.url)
    return service, loads.take(service, clients, duration_s, lambda _: None)


def found(about: tuple[Service, Loaded], check: str, **other: Any) -> Finding:
    """One finding of a load, in which some facts are others."""
    return one(everything(about, **other), check)


def everything(about: tuple[Service, Loaded], **other: Any) -> list[Finding]:
    service, load = about[0], replace(about[1], **other)
    return [*load_checks.findings(service, load), *inside_checks.findings(service, load)]


def others(about: tuple[Service, Loaded]) -> tuple[Service, Loaded]:
    """As if it were a server of others, that says nothing of itself."""
    return replace(about[0], health={}, page=None, path="/detect?x=1&y=2"), about[1]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """Every service of this module: they start together, before there is a load."""
    wanted = {
        "fair": ((), {"PRESET": "optimized", "TRACK": "A", "SLOW_MS": "60000"}),
        "leaky": (("leak",), {**NULL, "ADMISSION": "2", "SLOW_MS": "0.001"}),
        "recycling": ((), {**NULL, "RECYCLE_REQUESTS": "20"}),
        "constant": (("never_recycle",), {**NULL, "RECYCLE_REQUESTS": "20"}),
    }
    with all_of(tmp_path_factory.mktemp("services"), wanted) as started:
        yield {name: ready(service) for name, service in started.items()}


@pytest.fixture(scope="module")
def fair(up: dict[str, Running]) -> tuple[Service, Loaded]:
    """A good service with as many clients as it carries."""
    return loaded(up["fair"], 1, 3)


@pytest.fixture(scope="module")
def leaky(up: dict[str, Running]) -> tuple[Service, Loaded]:
    """One that leaks, has room for two, and logs each request."""
    return loaded(up["leaky"], 8, 4)


def test_a_good_service_under_a_fair_load_has_nothing_to_say(
    fair: tuple[Service, Loaded],
) -> None:
    quiet = {
        **fair[1].usage,
        "machine": {"busy_share": 0.5, "steal_share": 0, "other_cpu_share": 0},
    }
    assert set(grades(everything(fair, usage=quiet)).values()) == {Grade.OK}


def test_what_is_refused_is_told_by_status_and_code(leaky: tuple[Service, Loaded]) -> None:
    refused = found(leaky, "refused")
    assert refused.grade is Grade.PROBLEM
    assert f"{leaky[1].statuses[429]} with 429 of" in refused.found
    assert "too_many_requests" in refused.found
    assert "--knob admission=" in refused.next_step


WORKED = parse("api_admitted_total 100000\n")


def test_a_leak_is_a_problem_and_a_constant_memory_none(
    leaky: tuple[Service, Loaded], fair: tuple[Service, Loaded]
) -> None:
    assert len(leaky[1].moments) >= inside_checks.LEAST_READINGS
    leak = found(leaky, "memory", before=WORKED)
    assert leak.grade is Grade.PROBLEM
    assert leak.next_step.startswith(f"windtunnel doctor --url {leaky[0].address} --load 5m  # ")
    assert "SERVICE_RECYCLE_REQUESTS=10000" in leak.next_step
    rising = [memory(at, 300 + 2 * at) for at in range(9)]
    assert found(fair, "memory", moments=rising, before=WORKED).grade is Grade.NOTE
    # What grows for a moment only is a buffer that is filled, and too few readings say nothing.
    moments = [memory(at, 300 + 40 * (at > 1)) for at in range(9)]
    assert found(fair, "memory", moments=moments).grade is Grade.OK
    assert "memory" not in grades(everything(fair, moments=[]))


def test_what_has_just_begun_may_grow_and_a_long_load_is_not_its_beginning(
    fair: tuple[Service, Loaded],
) -> None:
    steep = [memory(at, 300 + 20 * at) for at in range(9)]
    # Without a page nobody knows what was asked before; then the load itself has to be long.
    for before in (parse("api_admitted_total 3\n"), None):
        begun = found(fair, "memory", moments=steep, before=before)
        assert begun.grade is Grade.NOTE
        assert begun.found.endswith("of a service that may have just begun: look again")
        summary = {**fair[1].summary, "measured": {"ok": 10_000}}
        long = found(fair, "memory", moments=steep, before=before, summary=summary)
        assert long.grade is Grade.PROBLEM


def memory(at: int, mib: int) -> Moment:
    return Moment(at, {1: mib * 2**20}, {1: 0.0}, None)


def test_memory_is_compared_between_the_same_processes_only() -> None:
    before, after = Moment(0, {1: 5, 2: 5}, {}, None), Moment(1, {1: 5, 3: 2}, {}, None)
    assert watch.memory_bytes([before, after, after]) == [7, 7]
    assert watch.memory_bytes([]) == []


def test_a_threshold_that_logs_each_request_is_a_note(leaky: tuple[Service, Loaded]) -> None:
    slow = found(leaky, "slow threshold")
    assert slow.grade is Grade.NOTE
    assert slow.next_step.startswith("SERVICE_SLOW_MS=")


def recycling(
    running: Running, like: Loaded, times: int, wait_s: float, lost: int = 0
) -> tuple[Service, Loaded]:
    """As a load of so many requests would show this service; after it a fresh worker is awaited."""
    service = services.look(running.url)
    with httpx.Client(timeout=60, verify=NO_TLS) as client, IMAGE.open("rb") as image:
        picture = image.read()
        for _ in range(times):
            with suppress(httpx.TransportError):  # that is what recycling does
                client.post(f"{running.url}/predict/nano", files={"image": picture})
    accounting = {**like.summary["accounting"], "issued": times, "transport_error": lost}
    summary = {**like.summary, "accounting": accounting, "throughput_rps": 5.0}
    load, deadline = replace(like, summary=summary, before=service.page), time.monotonic() + wait_s
    while True:
        load = replace(load, after=services.page(running.url))
        if load.fresh_workers or time.monotonic() > deadline:
            return service, load
        time.sleep(0.1)


def test_a_recycled_worker_is_seen_and_so_are_those_whom_it_cut_off(
    up: dict[str, Running], fair: tuple[Service, Loaded]
) -> None:
    about = recycling(up["recycling"], fair[1], 40, 30, lost=1)
    assert about[1].fresh_workers == 1
    assert found(about, "recycled").grade is Grade.NOTE
    lost = found(about, "connections")
    assert lost.grade is Grade.PROBLEM
    assert "workers ended while clients kept their connections" in lost.found
    assert lost.next_step == "SERVICE_RECYCLE_REQUESTS=0 windtunnel serve"


def test_a_worker_that_is_not_recycled_when_it_should_is_a_problem(
    up: dict[str, Running], fair: tuple[Service, Loaded]
) -> None:
    about = recycling(up["constant"], fair[1], 40, 1)
    recycled = found(about, "recycled")
    assert recycled.grade is Grade.PROBLEM
    assert recycled.found == "0 fresh workers after 40 requests"
    # Without /metrics nobody knows; that is no fault.
    untold = found(about, "recycled", before=None, after=None)
    assert (untold.grade, untold.found) == (Grade.NOTE, "not told without SERVICE_METRICS=on")
    accounting = {**about[1].summary["accounting"], "transport_error": 1}
    summary = {**about[1].summary, "accounting": accounting}
    lost = found(about, "connections", before=None, after=None, summary=summary)
    assert "workers may have ended while" in lost.found


def test_a_connection_that_the_kernel_drops_is_counted(fair: tuple[Service, Loaded]) -> None:
    before = loads.overflows()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        deadline = time.monotonic() + 10
        while loads.overflows() == before and time.monotonic() < deadline:
            time.sleep(0.1)
    assert loads.overflows() > before
    dropped = found(fair, "connections", overflows=3)
    assert dropped.grade is Grade.NOTE
    assert dropped.found.endswith("kernel dropped 3, of this or of another server")
    assert loads.overflows(Path("/nowhere")) == 0


def test_waiting_for_a_thread_is_a_note_from_a_quarter_on(fair: tuple[Service, Loaded]) -> None:
    mean_ms = fair[1].response_ms
    assert mean_ms
    waits = found(fair, "queue", stages_ms={"queue": 0.5 * mean_ms})
    assert waits.grade is Grade.NOTE
    assert "(50%)" in waits.found


def test_of_a_server_of_others_no_setting_is_offered(fair: tuple[Service, Loaded]) -> None:
    said = {**fair[1].summary["instrument"], "valid": False}
    lost = {**fair[1].summary["accounting"], "timeout": 3}
    summary = {**fair[1].summary, "instrument": said, "accounting": lost}
    bad = everything(others(fair), summary=summary, statuses={503: 1, 200: 9})
    steps = {f.check: checked(f).next_step for f in bad if f.grade is not Grade.OK}
    assert {"generator", "refused", "connections"} <= steps.keys()
    assert not any("SERVICE_" in step for step in steps.values())
    where = f"'{fair[0].address}/detect?x=1&y=2'"
    assert steps["connections"] == f"windtunnel doctor --url {where} --clients 1"
    assert steps["refused"].startswith("curl -F image=@")
    busy = limit(others(fair), usage=FULL, moments=loops(0.8))
    assert busy.next_step == f"windtunnel profile --url {where} --output profile.svg"
    elsewhere = replace(others(fair)[0], pids=())
    busy = limit((elsewhere, fair[1]), usage=FULL, moments=loops(0.8))
    assert busy.next_step == f"windtunnel tune --url {where} --clients 1,8,32"


def test_a_control_group_that_is_held_back_is_told(
    fair: tuple[Service, Loaded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (fair[0].limit is not None) == ("CPU limit" in grades(everything(fair)))
    limited = replace(fair[0], limit=Limit(2.0, tmp_path), cpus=2.0), fair[1]
    for periods, grade in ((0, Grade.OK), (2, Grade.NOTE), (30, Grade.PROBLEM)):
        moments = [replace(m, periods=(40 * at, periods * at)) for at, m in enumerate(loops(0.1))]
        held = found(limited, "CPU limit", moments=moments)
        assert held.grade is grade
        assert held.found.endswith(f"held back in {periods} of 40 periods")
    # The machine may be full as well: the group stands still all the same.
    full = limit(limited, usage=usage(0.98, 0.9, 0.2), moments=moments)
    assert full.grade is Grade.NOTE
    assert full.found.endswith("may use 2 CPUs, and is held back in 75% of all periods")
    # Full is what it may use, of however many CPUs there are.
    monkeypatch.setattr(psutil, "cpu_count", lambda: 64)
    cpu = limit(limited, usage=usage(0.03, 0.0, 1.9), moments=loops(0.1))
    assert cpu.found.startswith("the CPU: 95% of its CPUs are busy")


def test_the_limit_of_a_group_is_read_with_each_reading(
    fair: tuple[Service, Loaded], tmp_path: Path
) -> None:
    seen, meter = watch.Watch(replace(fair[0], limit=Limit(2.0, tmp_path))), Meter((), 0)
    for number in (3, 5):
        (tmp_path / "cpu.stat").write_text(f"nr_periods {10 * number}\nnr_throttled {number}\n")
        seen.read(meter)
    assert watch.held(seen.moments) == (2, 20)
    assert watch.held([]) == (0, 0)


def test_a_late_generator_and_a_machine_that_others_use_are_told(
    fair: tuple[Service, Loaded],
) -> None:
    said = {**fair[1].summary["instrument"], "valid": False, "reasons": ["send lag: late"]}
    late = found(fair, "generator", summary={**fair[1].summary, "instrument": said})
    assert (late.grade, late.found) == (Grade.PROBLEM, "send lag: late")
    machine = {"busy_share": 0.9, "steal_share": 0.0, "other_cpu_share": 0.4}
    shared = found(fair, "others' load", usage={**fair[1].usage, "machine": machine})
    assert shared.grade is Grade.NOTE


def test_spans_that_nobody_takes_are_a_note(fair: tuple[Service, Loaded]) -> None:
    assert "traces" not in grades(everything(fair))
    settings = {**fair[0].settings, "SERVICE_TRACING": "grpc"}
    traced = replace(fair[0], health={**fair[0].health, "settings": settings})
    pages = {
        "before": parse('api_spans_total{outcome="failed"} 1\n'),
        "after": parse('api_spans_total{outcome="failed"} 9\n'),
    }
    lost = found((traced, fair[1]), "traces", **pages)
    assert lost.grade is Grade.NOTE
    assert lost.found.startswith("8 spans failed and 0 were dropped")


# The bottleneck


def limit(about: tuple[Service, Loaded], **other: Any) -> Finding:
    return checked(bottleneck.finding(about[0], replace(about[1], **other)))


def usage(busy: float, other: float, cores: float) -> dict[str, Any]:
    """What a Meter says of a window of 3 s."""
    machine = {"busy_share": busy, "steal_share": 0.0, "other_cpu_share": other}
    return {"service": {"cpu_s": 3 * cores, "by_process": {}}, "machine": machine}


FULL, IDLE = usage(0.98, 0.02, 1.8), usage(0.3, 0.0, 0.5)


def loops(share: float) -> list[Moment]:
    """Two readings, a second apart, of a process whose first thread was so busy."""
    return [Moment(10**9 * at, {7: 1}, {7: share * at}, None) for at in (0, 1)]


def test_nothing_is_full_with_few_clients(fair: tuple[Service, Loaded]) -> None:
    nothing = limit(fair, usage=IDLE, moments=loops(0.1))
    assert nothing.grade is Grade.NOTE
    assert nothing.found == (
        "nothing is full with 1 clients: 30% of its CPUs are busy, the service uses 0.5 cores,"
        " its busiest event loop 10% of one"
    )
    assert nothing.next_step.endswith("--clients 4")


def test_a_cpu_full_of_inference_is_as_it_should_be(fair: tuple[Service, Loaded]) -> None:
    assert fair[1].stages_ms["infer"] > fair[1].stages_ms["decode"]
    full = limit(fair, usage=FULL, moments=loops(0.1))
    assert full.grade is Grade.OK
    assert "and infer takes" in full.found


def test_a_cpu_full_of_imaging_could_do_with_another_decoder(fair: tuple[Service, Loaded]) -> None:
    stages_ms = {"decode": 20.0, "preprocess": 30.0, "infer": 15.0}
    full = limit(fair, usage=FULL, moments=loops(0.1), stages_ms=stages_ms)
    assert full.grade is Grade.NOTE
    assert "decode and preprocess takes 77%" in full.found
    assert full.next_step.startswith("windtunnel profile --url")
    settings = {**fair[0].settings, "SERVICE_IMAGING": "pillow"}
    plain = replace(fair[0], health={**fair[0].health, "settings": settings})
    full = limit((plain, fair[1]), usage=FULL, moments=loops(0.1), stages_ms=stages_ms)
    assert full.next_step == "SERVICE_IMAGING=turbo windtunnel serve"


def test_an_event_loop_a_thread_and_other_programs_are_told_apart(
    fair: tuple[Service, Loaded],
) -> None:
    loop = limit(fair, usage=FULL, moments=loops(0.8))
    assert loop.found.startswith("an event loop: its thread uses 80% of a core")
    assert loop.next_step.endswith("--knob workers=1,2,3")
    waiting = {"queue": 0.6 * (fair[1].response_ms or 0.0)}
    threads = limit(fair, usage=IDLE, moments=loops(0.1), stages_ms=waiting)
    assert threads.found.startswith("the threads: 60% of an answer's time")
    busy = limit(fair, usage=usage(0.98, 0.9, 0.2), moments=loops(0.1))
    assert busy.grade is Grade.PROBLEM
    assert busy.found.startswith("other programs: they use 90% of the CPUs")


def test_a_full_gpu_and_a_late_generator_come_first(fair: tuple[Service, Loaded]) -> None:
    moments = [replace(moment, gpu_share=0.97) for moment in loops(0.9)]
    gpu = limit(fair, usage=FULL, moments=moments)
    assert (gpu.grade, gpu.next_step) == (Grade.OK, "nvidia-smi dmon -s u")
    said = {**fair[1].summary["instrument"], "valid": False}
    late = limit(fair, summary={**fair[1].summary, "instrument": said}, moments=moments)
    assert late.found.startswith("the generator")


def test_of_a_service_elsewhere_its_own_numbers_are_taken(fair: tuple[Service, Loaded]) -> None:
    service, load = fair
    there = replace(service, pids=())
    elsewhere = {**FULL, "service": None}
    used = load.grown("process_cpu_seconds_total")
    assert used
    assert used > 0
    page = parse('process_cpu_seconds_total{worker="0"} 0\n')
    wall_s, cores = load.summary["instrument"]["wall_s"], service.said("machine", "cores")
    busy = parse(f'process_cpu_seconds_total{{worker="0"}} {0.95 * wall_s * cores}\n')
    full = limit((there, load), usage=elsewhere, moments=[], before=page, after=busy)
    assert full.found.startswith("the CPU: 95% of its CPUs are busy")
    unknown = limit((there, load), usage=elsewhere, moments=[], before=None, after=None)
    assert "its CPUs are not seen" in unknown.found


def test_a_load_without_a_good_answer_is_no_bottleneck_but_a_problem(
    fair: tuple[Service, Loaded],
) -> None:
    summary = {**fair[1].summary, "response_ms": None}
    assert limit(fair, summary=summary).grade is Grade.PROBLEM
    assert found(fair, "queue", summary=summary).grade is Grade.PROBLEM


def test_the_first_thread_of_a_worker_is_its_event_loop(fair: tuple[Service, Loaded]) -> None:
    """Inference runs on other threads, so that it uses some of a core, and not most of it."""
    share = watch.busiest_loop(fair[1].moments)
    assert share is not None
    assert 0 < share < bottleneck.LOOP_FULL


def test_counters_of_two_pages_are_subtracted_and_absent_ones_unknown() -> None:
    before, after = (
        parse(f'a_total{{x="1",y="p"}} {n}\na_total{{x="2",y="p"}} {2 * n}\n') for n in (5, 8)
    )
    assert grown("a_total", before, after) == 9
    assert grown("a_total", before, after, x="2") == 6
    assert grown("b_total", before, after) is None
    assert grown("a_total", None, after) is None
    assert grown_by("a_total", "x", before, after) == {"1": 3, "2": 6}
    assert grown_by("a_total", "x", None, after) == {}
    assert after.by("a_total", "y") == {"p": 24}
    assert Page({}).total("a_total") is None


# The whole


def test_a_server_of_others_is_loaded_where_its_url_says() -> None:
    with stub() as other:
        asked = Asked(f"{other.url}/detect", load_s=1.0, clients=2, watch_s=0.1)
        sections = list(examine.examine(asked, print, print))
        assert other.stats()["requests"] > 2
    assert [f.check for f in sections[1].findings] == ["answers"]
    assert sections[1].findings[0].grade is Grade.NOTE
    assert {"refused", "connections", "bottleneck"} <= grades(sections[2].findings).keys()
    assert one(sections[2].findings, "refused").grade is Grade.OK


def test_ctrl_c_in_a_load_leaves_no_process_and_shows_what_was_found(
    up: dict[str, Running],
) -> None:
    url = up["fair"].url
    program = [sys.executable, "-c", "import windtunnel; windtunnel.main()"]
    command = [*program, "doctor", "--url", url, "--load", "30s", "--format", "json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "doctor: looking at the machine for 1 s\n"
        assert process.stderr.readline() == "doctor: 8 clients for 31 s\n"
        deadline, generator = time.monotonic() + 20, None
        while generator is None:
            assert time.monotonic() < deadline
            children = psutil.Process(process.pid).children(recursive=True)
            generator = next((child for child in children if "triton_bench" in child.name()), None)
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=20)
    assert (process.returncode, complaint) == (130, "")
    assert not any(child.is_running() for child in children)
    shown = json.loads(said)
    assert shown["complete"] is False
    assert [section["name"] for section in shown["sections"]] == ["machine", "service"]
