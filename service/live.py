"""
A Prometheus beside the service, for as long as it serves: `windtunnel serve --with prometheus`.

It scrapes every second what of this machine is there, with the project's rules, and keeps its data
in a temporary folder. keeper.py sees to its end.
"""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.settings import Settings, SettingsError, changed
from service.telemetry import SERVICE

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / ".tools/prometheus/usr/bin/prometheus"
RULES = ROOT / "prometheus/rules"
CONSOLES = ROOT / "prometheus/consoles"
KEEPER = Path(__file__).with_name("keeper.py")

HOST = "127.0.0.1"
PORT = 9090
PORTS = 100  # so many are tried
INTERVAL = "1s"
# Where `windtunnel triton` and the load generators have their metrics.
OTHERS = {"triton": f"{HOST}:8002", "loadtests": f"{HOST}:9646"}
STOP_S = 10.0


@contextmanager
def prometheus(settings: Settings) -> Iterator[Settings]:
    """
    A Prometheus that scrapes the service of these settings, which it gives back with a real port.

    Port 0 is chosen here: a socket that is bound and never listens keeps the port for the service.
    """
    program = find()
    if settings.metrics == "off":
        raise SettingsError(
            "SERVICE_METRICS: off leaves nothing to scrape; set it to on, or leave"
            " `--with prometheus` out"
        )
    if not RULES.is_dir():
        raise SettingsError(f"{RULES}: the rules are missing; run from a checkout")
    with reserved(settings) as port:
        settings = changed(settings, port=port)
        with running(program, settings):
            yield settings


def find() -> str:
    """The project's own, or that of the PATH."""
    if program := shutil.which(PROGRAM) or shutil.which("prometheus"):
        return program
    raise SettingsError(
        "--with prometheus: no prometheus in .tools/prometheus nor on the PATH; run"
        " `make setup-prometheus`"
    )


@contextmanager
def reserved(settings: Settings) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as holder:
        port = settings.port
        if not port:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                holder.bind((settings.host, 0))
                port = holder.getsockname()[1]
            except (OSError, UnicodeError):
                pass  # server.py says what is wrong with the host
        yield port


@contextmanager
def running(program: str, settings: Settings) -> Iterator[None]:
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="windtunnel-prometheus-"))
    (folder / "prometheus.yml").write_text(json.dumps(configuration(settings, port)))
    keep = [sys.executable, "-I", "-S", str(KEEPER), str(port), greeting(port), str(folder)]
    keeper = subprocess.Popen(
        [*keep, *command(program, folder, port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        # Ctrl-C at the terminal is for the service, which ends it in its turn.
        start_new_session=True,
    )
    try:
        yield
    finally:
        assert keeper.stdin
        keeper.stdin.close()
        try:
            keeper.wait(STOP_S)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        shutil.rmtree(folder, ignore_errors=True)  # where somebody killed the keeper


def greeting(port: int) -> str:
    url = f"http://{HOST}:{port}"
    return (
        f"Prometheus at {url}; what it knows now: {url}/consoles/service.html; a query:"
        f" {url}/api/v1/query?query=job_track:api_request_duration_seconds:p99_1m"
    )


def free_port() -> int:
    """9090, or the next one on which nobody listens; 0 is not an option of Prometheus."""
    for port in range(PORT, PORT + PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
                probe.listen()
            except OSError:
                continue
            return port
    raise SettingsError(
        f"{HOST}:{PORT} to {PORT + PORTS - 1}: somebody listens on each; stop one of them"
    )


def configuration(settings: Settings, port: int) -> dict[str, Any]:
    """As JSON, which is YAML too."""
    targets = {SERVICE: address(settings), **OTHERS, "prometheus": f"{HOST}:{port}"}
    return {
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": "5s"},
        "rule_files": [f"{RULES}/*.yml"],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}]}
            for job, target in targets.items()
        ],
    }


def address(settings: Settings) -> str:
    """Where the service answers this machine."""
    host = {"0.0.0.0": HOST, "::": "::1"}.get(settings.host, settings.host)
    return f"[{host}]:{settings.port}" if ":" in host else f"{host}:{settings.port}"


def command(program: str, folder: Path, port: int) -> list[str]:
    return [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{port}",
        f"--web.console.templates={CONSOLES}",
        f"--web.console.libraries={CONSOLES}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]
