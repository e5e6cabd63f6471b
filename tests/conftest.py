"""Fixtures that more than one test module needs: real programs, real servers."""

import os
import re
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import httpx
import psutil
import pytest
from xdist.scheduler import LoadScopeScheduling

from benchmarks.triton.served import Served
from benchmarks.triton.server import Ports, Server

ROOT = Path(__file__).parent.parent
# A shell ignores Ctrl-C for what it starts in the background, and all that is started from there
# does so too: the tests that interrupt a program would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

# For httpx, which otherwise reads the certificates of all authorities for each client, 46 ms of
# CPU: everything here speaks plain HTTP.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture(scope="session")
def triton_bench() -> Path:
    """The generator as `make build` left it."""
    program = ROOT / ".tools/bin/triton_bench"
    assert program.exists(), f"{program} is missing: run `make build`"
    return program


# What asks for the Triton of the session: it takes 11 s of CPU to start, and several that start
# side by side get into each other's way.
TRITON = (
    "test_observed",
    "test_prometheus",
    "test_tracks",
    "test_triton_faults",
    "test_triton_server",
    "test_triton_statistics",
)
# What takes longest, begun first: the processes then end at about the same time.
LONGEST = (
    *TRITON,
    "test_run",
    "test_dashboard_browser",
    "test_service_api",
    "test_service_limits",
    "test_snapshot",
    "test_tracing",
    "test_dashboard",
    "test_service_presets",
    "test_pytorch",
    "test_metrics",
    "test_live",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {module: place for place, module in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """One process has all tests of a module, and those of all modules with the Triton."""

    def _split_scope(self, nodeid: str) -> str:
        module = Path(nodeid.partition("::")[0]).stem
        return TRITON[0] if module in TRITON else module


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


# Each takes a quarter of a gigabyte; a test may hold on to two.
MAX_SERVICES = 6


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, as `python -m service serve` started it."""

    url: str
    pid: int
    log: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, verify=NO_TLS)


def leave_out(reason: str) -> NoReturn:
    """Skip a test whose environment is not here; under CI it has to be."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; CI may not leave its tests out")
    pytest.skip(reason)


def find_simd_python() -> Path:
    """A machine without a compiler cannot have pillow-simd; CI has to."""
    if not (ROOT / ".venv-simd/.stamp").exists():
        leave_out("pillow-simd has not been compiled here: run `make setup-simd`")
    return ROOT / ".venv-simd/bin/python"


@pytest.fixture
def simd_python() -> Path:
    """The Python with pillow-simd; a test that asks for it is skipped where there is none."""
    return find_simd_python()


def service_program(settings: dict[str, str]) -> list[str]:
    """The seed's recipe needs pillow-simd, which has an environment of its own."""
    imaging = settings.get("SERVICE_IMAGING", "")
    simd = settings.get("SERVICE_PRESET") == "seed" or imaging.endswith("_simd")
    python = find_simd_python() if simd else ROOT / ".venv/bin/python"
    assert python.exists(), f"{python} is missing: run `make setup`"
    return [str(python), "-m", "service", "serve"]


def service_environment(settings: dict[str, str]) -> dict[str, str]:
    others = {k: v for k, v in os.environ.items() if not k.startswith("SERVICE_")}
    # A Triton that happens to run on this machine is no part of a test that does not ask for one.
    return others | {"SERVICE_PORT": "0", "SERVICE_TRITON_URL": "none"} | settings


def wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the service died: {log.read_text()}"
        address = re.search(r"http://[^\s,]+", log.read_text())
        if address is not None:
            try:
                if httpx.get(f"{address[0]}/readyz", timeout=5, verify=NO_TLS).status_code == 200:
                    return address[0]
            except httpx.TransportError:
                pass
        time.sleep(0.05)
    raise AssertionError(f"the service was not ready in 60 s: {log.read_text()}")


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real Triton with every model and track, as `windtunnel triton` starts it."""
    log = tmp_path_factory.mktemp("triton") / "log"
    yield from running(Server(Served(), log, ports=Ports.free()))


def running(server: Server, grace_s: float = 0.0) -> Iterator[Server]:
    """
    A Triton from its first right answer to its end, where its environment has been made.

    Killed, unless it is given time: asked to end it takes 3 s, and there are many of them.
    """
    if not (ROOT / ".venv-triton/.stamp").exists():
        leave_out("Triton's environment has not been made here: run `make setup-triton`")
    try:
        server.start()
        server.wait_ready()
        yield server
    finally:
        server.stop(grace_s)


def launched(log: Path, **settings: str) -> tuple[Service, "subprocess.Popen[bytes]"]:
    """A service with these settings (`SERVICE_` left out), when it is ready."""
    variables = {f"SERVICE_{name}": value for name, value in settings.items()}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            service_program(variables), env=service_environment(variables), cwd=ROOT, stderr=sink
        )
    try:
        return Service(wait_until_ready(process, log), process.pid, log), process
    except BaseException:
        process.kill()
        process.wait()
        raise


def workers_of(pid: int) -> list[int]:
    """The workers of a supervisor; multiprocessing has a helper of its own beside them."""
    found = []
    for child in psutil.Process(pid).children():
        with suppress(psutil.Error):  # one that has just ended
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child.pid)
    return found


@pytest.fixture
def launch() -> Iterator[Callable[..., tuple[Service, "subprocess.Popen[bytes]"]]]:
    """As `launched`, for a test that ends its services itself; what it leaves running is killed."""
    processes = []

    def start(log: Path, **settings: str) -> tuple[Service, "subprocess.Popen[bytes]"]:
        service, process = launched(log, **settings)
        processes.append(process)
        return service, process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Start a service with these settings (`SERVICE_` left out), or give the one that has them."""
    # In the order of their last use.
    alive: dict[tuple[tuple[str, str], ...], tuple[Service, subprocess.Popen[bytes]]] = {}

    def stop_oldest() -> None:
        _, process = alive.pop(next(iter(alive)))
        process.terminate()
        assert process.wait(60) == 0

    def start(**settings: str) -> Service:
        key = tuple(sorted(settings.items()))
        if key in alive:
            alive[key] = alive.pop(key)
        else:
            alive[key] = launched(tmp_path_factory.mktemp("service") / "log", **settings)
            if len(alive) > MAX_SERVICES:
                stop_oldest()
        return alive[key][0]

    yield start
    while alive:
        stop_oldest()
