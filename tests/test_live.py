"""`serve --with prometheus`: a real Prometheus that scrapes a real service and ends with it."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from service import live, settings
from service.settings import SettingsError
from tests.conftest import NO_TLS, ROOT, leave_out, service_environment
from tests.tiny import IMAGE, await_gone

LONG_S = 60


@pytest.fixture(autouse=True)
def there() -> None:
    try:
        live.find()
    except SettingsError:
        leave_out("Prometheus is not here: run `make setup-prometheus`")


class Running:
    """A service with its Prometheus, and every process of theirs."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process, self.log = process, log
        self.service = self.said(r"serve: (http://[^\s,]+)")
        self.prometheus = self.said(r"Prometheus at (http://[^\s;]+)")
        self.await_true(lambda: self.value('up{job="yolo-api"}') == 1)
        main = psutil.Process(process.pid)
        self.processes = [main, *main.children(recursive=True)]
        (keeper,) = (one for one in main.children() if "keeper.py" in " ".join(one.cmdline()))
        (self.child,) = keeper.children()
        (self.folder,) = (Path(part) for part in keeper.cmdline() if Path(part).is_dir())

    def said(self, pattern: str) -> str:
        self.await_true(lambda: re.search(pattern, self.log.read_text()) is not None)
        return re.findall(pattern, self.log.read_text())[0]  # type: ignore[no-any-return]

    def await_true(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONG_S
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def ask(self, query: str) -> Any:
        try:
            answer = httpx.get(
                f"{self.prometheus}/api/v1/query", params={"query": query}, verify=NO_TLS
            )
        except httpx.TransportError:
            return []
        return answer.json()["data"]["result"] if answer.status_code == 200 else []

    def value(self, query: str) -> float | None:
        """Of the only series, if there is one."""
        found = self.ask(query)
        return float(found[0]["value"][1]) if len(found) == 1 else None


@contextmanager
def serving(log: Path, **variables: str) -> Iterator[Running]:
    env = service_environment({f"SERVICE_{name}": value for name, value in variables.items()})
    command = [sys.executable, "-m", "service", "serve", "--with", "prometheus"]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, env=env, cwd=ROOT, stderr=sink)
    try:
        yield Running(process, log)
    finally:
        process.kill()
        process.wait()


def test_it_scrapes_the_service_with_the_rules_and_ends_with_it(tmp_path: Path) -> None:
    with serving(tmp_path / "log", PRESET="optimized", WORKERS="2") as running:
        answer = httpx.post(
            f"{running.service}/predict/nano",
            content=IMAGE.read_bytes(),
            headers={"content-type": "image/jpeg"},
            verify=NO_TLS,
        )
        assert answer.status_code == 200
        counted = 'api_requests_total{route="/predict/{model}",model="nano",status="2xx"}'
        running.await_true(lambda: running.value(counted) == 1)
        assert running.value('slo:objective:ratio{slo="latency"}') in (None, 0.99)
        (series,) = running.ask('up{job="yolo-api"}')
        assert f"http://{series['metric']['instance']}" == running.service
        assert {one["metric"]["job"] for one in running.ask("up == 0")} <= {"triton", "loadtests"}
        groups = httpx.get(f"{running.prometheus}/api/v1/rules", verify=NO_TLS).json()["data"][
            "groups"
        ]
        assert {Path(group["file"]).name for group in groups} == {
            file.name for file in live.RULES.glob("*.yml")
        }
        assert not [rule for group in groups for rule in group["rules"] if rule["health"] == "err"]
        page = httpx.get(f"{running.prometheus}/consoles/service.html", verify=NO_TLS)
        assert page.status_code == 200
        assert f"<td>yolo-api, {series['metric']['instance']}</td><td>up</td>" in page.text
        running.process.terminate()
        assert running.process.wait(LONG_S) == 0
        assert await_gone(running.processes) == []
        assert not running.folder.exists()


def test_it_is_gone_when_the_service_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path / "log") as running:
        running.process.kill()
        assert await_gone(running.processes) == []
        running.await_true(lambda: not running.folder.exists())


def test_it_is_gone_when_its_keeper_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path / "log") as running:
        keeper = running.child.parent()
        assert keeper
        keeper.kill()
        assert await_gone([running.child]) == []
        assert httpx.get(f"{running.service}/livez", verify=NO_TLS).status_code == 200
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(LONG_S) in (0, 130)
        assert not running.folder.exists()


def test_a_service_goes_on_without_its_prometheus_and_says_so(tmp_path: Path) -> None:
    with serving(tmp_path / "log") as running:
        running.child.kill()
        said = running.said(r"serve: (.*prometheus ended with status .*)")
        assert "ended with status -9; the service goes on without it; its last words: " in said
        running.await_true(lambda: not running.folder.exists())
        assert httpx.get(f"{running.service}/livez", verify=NO_TLS).status_code == 200
        running.process.terminate()
        assert running.process.wait(LONG_S) == 0


def refused(tmp_path: Path, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve", "--with", "prometheus"],
        env=service_environment({}) | variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LONG_S,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_without_metrics_there_is_nothing_to_scrape(tmp_path: Path) -> None:
    assert "SERVICE_METRICS: off leaves nothing to scrape" in refused(
        tmp_path, SERVICE_METRICS="off"
    )


def test_a_machine_without_prometheus_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PROGRAM", tmp_path / "prometheus")
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(SettingsError, match="run `make setup-prometheus`"),
        live.prometheus(settings.read({})),
    ):
        pass


def test_it_takes_the_next_port_where_somebody_listens() -> None:
    first = live.free_port()
    with socket.create_server((live.HOST, first)):
        assert live.free_port() > first


@pytest.mark.parametrize(
    ("host", "address"),
    [("0.0.0.0", "127.0.0.1:9600"), ("::", "[::1]:9600"), ("::1", "[::1]:9600"), ("a", "a:9600")],
)
def test_it_scrapes_where_the_service_answers_this_machine(host: str, address: str) -> None:
    assert live.address(settings.read({"SERVICE_HOST": host})) == address
