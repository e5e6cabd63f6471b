"""Variants as processes: how they start, fail, and are stopped with all they started."""

import json
import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.campaign import Variant
from benchmarks.processes import Command, Process, RunError, free_port
from benchmarks.variants import Address, Request, Service, service_command
from tests.tiny import CHECKOUT, IMAGE, await_gone, occupied_port

REQUEST = Request(IMAGE, "multipart", 10.0)


@pytest.fixture
def started() -> Iterator[list[Service]]:
    services: list[Service] = []
    yield services
    for service in services:
        service.stop()


def tiny(tmp_path: Path, behaviour: str = "bytes", ports: Iterator[int] | None = None) -> Service:
    variant = Variant("mine", settings={"SERVICE_JSON": behaviour})
    command = service_command(variant.environ, Path(sys.executable), CHECKOUT, None)
    log = tmp_path / "logs/mine.txt"
    pick = (lambda: next(ports)) if ports else free_port
    return Service(variant.name, command, REQUEST, "/predict/nano?track=A", log, ports=pick)


def health(service: Service) -> dict[str, str]:
    with urllib.request.urlopen(f"{service.address}/health") as answer:
        settings: dict[str, str] = json.load(answer)["settings"]
    return settings


def test_a_service_is_ready_after_one_real_answer(tmp_path: Path, started: list[Service]) -> None:
    service = tiny(tmp_path)
    started.append(service)
    service.start()
    service.wait_ready()
    service.check()
    facts = service.facts()
    assert facts["command"] == [".venv/bin/python", "-m", "service", "serve"]
    assert facts["environment"] == "default"
    assert facts["health"]["pid"] == service.pid, "it is the service's own pid"
    assert "tiny: starting" in (tmp_path / "logs/mine.txt").read_text()


def test_the_callers_settings_do_not_reach_a_variant(
    tmp_path: Path, started: list[Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_IMAGING", "turbo")
    monkeypatch.setenv("SERVICE_BOGUS", "1")
    service = tiny(tmp_path)
    started.append(service)
    service.start()
    service.wait_ready()
    assert set(health(service)) == {"SERVICE_JSON", "SERVICE_HOST", "SERVICE_PORT"}


def test_a_service_that_dies_at_start_is_quoted(tmp_path: Path, started: list[Service]) -> None:
    service = tiny(tmp_path, "die")
    started.append(service)
    service.start()
    with pytest.raises(RunError) as error:
        service.wait_ready()
    text = str(error.value)
    assert "variant 'mine': the service ended with status 3 before it was ready" in text
    assert "    tiny: no model at /nowhere" in text
    assert str(tmp_path / "logs/mine.txt") in text


def test_only_the_last_start_is_quoted(tmp_path: Path, started: list[Service]) -> None:
    log = tmp_path / "logs/mine.txt"
    log.parent.mkdir()
    log.write_text("of yesterday\n")
    service = tiny(tmp_path, "die")
    started.append(service)
    service.start()
    with pytest.raises(RunError) as error:
        service.wait_ready()
    assert "of yesterday" not in str(error.value)
    assert log.read_text().startswith("of yesterday\n")


def test_a_full_disk_at_the_start_of_a_service_is_explained(tmp_path: Path) -> None:
    """/dev/full answers every write with ENOSPC, as a full disk does."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/mine.txt").symlink_to("/dev/full")
    service = tiny(tmp_path)
    with pytest.raises(RunError, match=r"logs/mine\.txt: no space left on the disk"):
        service.start()
    assert service.pid is None


def test_a_port_that_was_taken_in_between_is_not_the_services_fault(
    tmp_path: Path, started: list[Service]
) -> None:
    free = free_port()
    with occupied_port() as taken:
        service = tiny(tmp_path, ports=iter([taken, free]))
        started.append(service)
        service.start()
        service.wait_ready()
    assert service.address.endswith(f":{free}")


def test_another_service_on_the_port_is_not_mistaken_for_ours(
    tmp_path: Path, started: list[Service]
) -> None:
    first = tiny(tmp_path)
    started.append(first)
    first.start()
    first.wait_ready()
    taken, free = int(first.address.rpartition(":")[2]), free_port()
    second = tiny(tmp_path, ports=iter([taken, free]))
    started.append(second)
    second.start()
    second.wait_ready()
    assert second.address.endswith(f":{free}")


def test_a_service_that_refuses_the_request_is_not_ready(
    tmp_path: Path, started: list[Service]
) -> None:
    service = tiny(tmp_path, "refuse")
    started.append(service)
    service.start()
    with pytest.raises(RunError, match="answered 422") as error:
        service.wait_ready()
    assert "/predict/nano?track=A" in str(error.value)


def test_stopping_leaves_no_worker_not_even_one_with_a_session_of_its_own(tmp_path: Path) -> None:
    service = tiny(tmp_path, "workers")
    service.start()
    service.wait_ready()
    main = psutil.Process(service.pid)
    family = [main, *main.children(recursive=True)]
    assert len(family) == 3
    service.stop()
    assert await_gone(family) == []


def test_a_killed_service_takes_its_workers_along(tmp_path: Path, started: list[Service]) -> None:
    service = tiny(tmp_path, "workers")
    started.append(service)
    service.start()
    service.wait_ready()
    main = psutil.Process(service.pid)
    family = [main, *main.children(recursive=True)]
    main.kill()
    assert await_gone(family) == []

    def checked_for(seconds: float) -> None:
        """Its warden tells of the end a moment later."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            service.check()
            time.sleep(0.05)

    with pytest.raises(RunError, match="ended with status 137 while it was measured"):
        checked_for(30)


def test_a_killed_warden_does_not_leave_its_service(tmp_path: Path) -> None:
    service = tiny(tmp_path)
    service.start()
    service.wait_ready()
    main = psutil.Process(service.pid)
    warden = main.parent()
    assert warden
    warden.kill()
    warden.wait(5)
    service.stop()
    assert await_gone([main]) == []


def test_a_url_without_a_service_is_explained() -> None:
    address = Address(Variant("other", url=f"http://127.0.0.1:{free_port()}/detect"), REQUEST)
    with pytest.raises(RunError, match="no answer") as error:
        address.wait_ready()
    assert "variant 'other'" in str(error.value)
    assert "is the service running there?" in str(error.value)


def test_a_program_that_is_missing_is_explained(tmp_path: Path) -> None:
    command = Command((str(tmp_path / "python"),), tmp_path, {})
    with pytest.raises(RunError, match="could not be started"):
        Process(command, stdout=1, stderr=2)


def test_a_program_that_ignores_sigterm_is_killed_after_its_time(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " print('ready', flush=True); time.sleep(600)"
    )
    log = tmp_path / "log"
    with log.open("wb") as file:
        command = Command((sys.executable, "-c", stubborn), tmp_path, {})
        process = Process(command, stdout=file.fileno(), stderr=file.fileno())
    while not log.read_text():
        time.sleep(0.01)
    began = time.monotonic()
    assert process.stop(0.5) == 137
    assert 0.4 < time.monotonic() - began < 5


def test_a_pinned_program_and_what_it_starts_stay_on_their_cpus(tmp_path: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    code = (
        "import os, subprocess, sys; print(os.sched_getaffinity(0), flush=True);"
        "subprocess.run([sys.executable, '-c', 'import os; print(os.sched_getaffinity(0))'])"
    )
    log = tmp_path / "log"
    with log.open("wb") as file:
        command = Command((sys.executable, "-c", code), tmp_path, {}, cpus=(cpu,))
        process = Process(command, stdout=file.fileno(), stderr=file.fileno())
    assert process.popen.wait(20) == 0
    process.stop(1)
    assert log.read_text() == f"{{{cpu}}}\n" * 2
