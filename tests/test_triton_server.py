"""The launcher of Triton: proven before it is ready, mended when it breaks, gone when it ends."""

import mmap
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from benchmarks.campaign import Campaign, accept
from benchmarks.fields import CampaignError
from benchmarks.processes import RunError
from benchmarks.triton import layout, probe, served, shm
from benchmarks.triton.served import Served
from benchmarks.triton.server import Ports, Server
from tests.conftest import ROOT, running
from tests.tiny import await_gone, occupied_port

NO_CAT = ROOT / "loadtests/images/rocket-640x427.jpg"
ONE = Served(("nano",), ("B",))


def left_in_memory(pid: int) -> set[str]:
    """The regions of servers that this process started."""
    return {region.name for region in shm.FOLDER.glob(f"{shm.NAME}{pid}-*")}


@pytest.mark.parametrize("grace_s", [0.0, 10.0], ids=["killed", "asked"])
def test_a_server_is_stopped_with_its_stubs_and_leaves_no_shared_memory(
    tmp_path: Path, grace_s: float
) -> None:
    others = left_in_memory(os.getpid())
    for server in running(Server(ONE, tmp_path / "log", ports=Ports.free()), grace_s):
        root = psutil.Process(server.pid)
        processes = [root, *root.children(recursive=True)]
        assert len(processes) == 3  # the server, and a stub for each of the two instances
        assert left_in_memory(os.getpid()) > others
    assert await_gone(processes) == []
    assert left_in_memory(os.getpid()) == others


def test_what_is_asked_for_is_what_is_loaded_and_how(tmp_path: Path) -> None:
    wanted = Served(("nano",), ("D",), queue_delay_ms=2.5, max_batch=4, max_queue=9, instances=1)
    for server in running(Server(wanted, tmp_path / "log", ports=Ports.free())):
        said = server.facts()
    detector = {"backend": "onnxruntime_python", "instances": 1, "queue_delay_us": 2500}
    assert said["models"]["nano_balanced"] == detector | {"max_batch_size": 4}
    assert said["models"]["nano_decode"]["instances"] == 2
    assert said["models"]["nano_D"]["max_batch_size"] == 4
    assert set(said["models"]) == {"nano_balanced", "nano_decode", "nano_D"}
    assert said["engine"] == "triton-python-onnxruntime"
    assert re.fullmatch(r"\d+\.\d+\.\d+", said["version"])


def test_a_server_whose_answers_are_not_right_is_not_ready(triton: Server) -> None:
    """As with numpy 2, which reads zeros: there is an answer, and no cat in it."""
    for track in served.TRACKS:
        with pytest.raises(RunError, match="does not find the cat of rocket"):
            probe.check(triton.grpc, Served(("nano",), (track,)), NO_CAT)


def test_a_start_that_lost_the_race_for_a_lock_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton's own fault, now and then; here it ends over a port, as its log has to say."""
    with occupied_port() as port:
        taken, free = Ports(port, Ports.free().http, Ports.free().metrics), Ports.free()
        server = Server(ONE, tmp_path / "log", ports=taken)
        monkeypatch.setattr("benchmarks.triton.server.RACE", b"already in use")
        server.start()
        server.ports = free  # of the next start
        try:
            server.wait_ready()
            assert server.facts()["engine"] == "triton-python-onnxruntime"
        finally:
            server.stop(0)
    assert (tmp_path / "log").read_text().count("--- ") == 2


def test_a_port_that_is_taken_is_said_in_the_servers_own_words(tmp_path: Path) -> None:
    with occupied_port() as port:
        ports = Ports(port, Ports.free().http, Ports.free().metrics)
        server = Server(ONE, tmp_path / "log", ports=ports)
        try:
            server.start()
            with pytest.raises(RunError, match=rf"(?s)ended with status 1.*{port}.*already in use"):
                server.wait_ready()
        finally:
            server.stop()


@contextmanager
def command(log: Path, *arguments: str) -> Iterator[tuple[psutil.Process, Ports]]:
    """`windtunnel triton`, as a person runs it."""
    ports = Ports.free()
    options = [
        *("--grpc-port", str(ports.grpc)),
        *("--http-port", str(ports.http)),
        *("--metrics-port", str(ports.metrics)),
        *("--log", str(log.with_suffix(".server"))),
        *arguments,
    ]
    program = [sys.executable, "-c", "import windtunnel; windtunnel.main()", "triton", *options]
    with log.open("wb") as sink:
        process = subprocess.Popen(program, cwd=ROOT, stdout=sink, stderr=sink)
    try:
        said(log, r"triton: ready after")
        yield psutil.Process(process.pid), ports
    finally:
        process.kill()
        process.wait()


def said(log: Path, pattern: str, times: int = 1) -> str:
    """Wait until something has been said so often."""
    deadline = time.monotonic() + 60
    while len(re.findall(pattern, log.read_text())) < times:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return log.read_text()


def family(parent: psutil.Process) -> list[psutil.Process]:
    return [child for child in parent.children(recursive=True) if child.is_running()]


def named(processes: list[psutil.Process], name: str) -> list[psutil.Process]:
    return [process for process in processes if name in process.name()]


def test_a_stub_that_dies_is_noticed_and_the_server_started_again(
    triton: Server, tmp_path: Path
) -> None:
    """The fixture is there so that the environment is; this server is another one."""
    log = tmp_path / "log"
    with command(log, "--models", "nano", "--tracks", "C") as (parent, ports):
        stub = named(family(parent), "triton_python")[0]
        began = time.monotonic()
        stub.kill()
        text = said(log, "triton: ready after", times=2)
        assert time.monotonic() - began < 10
        assert f"the Python stub {stub.pid} ended by itself" in text
        wanted = Served(("nano",), ("C",))
        probe.check(f"127.0.0.1:{ports.grpc}", wanted, ROOT / "service/model/warm-up.jpg")
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(20) == 0
        assert "triton: stopped" in log.read_text()


def test_a_server_that_is_killed_is_not_reported_as_one_of_its_stubs(tmp_path: Path) -> None:
    for server in running(Server(ONE, tmp_path / "log", ports=Ports.free())):
        psutil.Process(server.pid).kill()
        assert server.wait_for_end(5) == "the server"
        with pytest.raises(RunError, match=r"Triton: (the server ended by itself|ended with)"):
            server.check()


def test_nothing_is_left_of_a_server_whose_parent_was_killed(
    triton: Server, tmp_path: Path
) -> None:
    with command(tmp_path / "log", "--models", "nano", "--tracks", "B") as (parent, _):
        processes = family(parent)
        assert len(named(processes, "triton_python")) == 2
        assert left_in_memory(parent.pid)
        parent.kill()
        parent.wait()
        assert await_gone(processes) == []
        deadline = time.monotonic() + 5
        while left_in_memory(parent.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left_in_memory(parent.pid) == set()


def test_memory_that_nobody_uses_is_swept_and_memory_in_use_is_not(triton: Server) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    abandoned = shm.FOLDER / f"{shm.NAME}{gone.pid}-{secrets.token_hex(4)}x"
    foreign = shm.FOLDER / f"other-triton-{gone.pid}-00"
    mapped = shm.FOLDER / f"{shm.NAME}{gone.pid}-{secrets.token_hex(4)}y"
    try:
        for file in (abandoned, foreign, mapped):
            file.write_bytes(b"x")
        running = left_in_memory(os.getpid())
        assert running
        with mapped.open("r+b") as opened, mmap.mmap(opened.fileno(), 1):
            shm.sweep()
            assert not abandoned.exists()
            assert mapped.exists()
        assert foreign.exists()
        assert left_in_memory(os.getpid()) == running
        shm.sweep()
        assert not mapped.exists()
    finally:
        for file in (abandoned, foreign, mapped):
            file.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--models", "huge"], "--models: found 'huge'; expected all, or some of nano, small"),
        (["--tracks", "A"], "--tracks: found 'A'; expected all, or some of B, C, D"),
        (["--tracks", ","], "--tracks: found ''; expected"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(arguments: list[str], complaint: str) -> None:
    program = [sys.executable, "-c", "import windtunnel; windtunnel.main()", "triton", *arguments]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"windtunnel: {complaint}")
    assert done.stderr.count("\n") == 1


def test_an_environment_that_is_missing_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"\.venv-triton: not there; .*make setup-triton"):
        layout.interpreter(tmp_path)


def campaign(**variant: str | float) -> Campaign:
    return accept("c.toml", {"name": "c", "clients": [1], "variants": {"one": variant}})


def test_a_campaign_says_what_the_triton_of_a_variant_serves() -> None:
    found = campaign(SERVICE_TRACK="D", TRITON_QUEUE_DELAY_MS=2, TRITON_MAX_BATCH=16)
    variant = found.variants["one"]
    assert found.served_to(variant) == Served(("nano",), ("D",), 2.0, 16)
    assert variant.environ == {"SERVICE_TRACK": "D"}
    assert found.as_dict()["variants"]["one"]["settings"]["TRITON_MAX_BATCH"] == 16
    assert (
        campaign(SERVICE_TRACK="A").served_to(campaign(SERVICE_TRACK="A").variants["one"]) is None
    )
    own = campaign(SERVICE_TRACK="B", SERVICE_TRITON_URL="10.0.0.9:8001")
    assert own.served_to(own.variants["one"]) is None


@pytest.mark.parametrize(
    ("variant", "complaint"),
    [
        ({"preset": "optimized", "TRITON_MAX_BATCH": 8}, "TRITON_MAX_BATCH with track A; expected"),
        ({"SERVICE_TRACK": "E"}, "unknown SERVICE_TRACK 'E'; expected one of A, null, B, C"),
        ({"SERVICE_TRACK": "B", "TRITON_MAX_BATCH": 0}, "expected a whole number from 1 to 1024"),
        ({"SERVICE_TRACK": "B", "TRITON_BATCH": 8}, "unknown key 'TRITON_BATCH'"),
        (
            {"SERVICE_TRACK": "B", "SERVICE_TRITON_URL": "x:1", "TRITON_INSTANCES": 1},
            "and no SERVICE_TRITON_URL",
        ),
    ],
)
def test_settings_of_a_triton_that_make_no_sense_are_refused(
    variant: dict[str, str | float], complaint: str
) -> None:
    with pytest.raises(CampaignError, match=re.escape(complaint)):
        campaign(**variant)
