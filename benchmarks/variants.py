"""
A variant as something that answers: a service that we start, watch and stop, or a URL.

A service is ready when /readyz answers 200 and one real request has been answered. If it ends
before that, the error shows its last lines; a port that was taken in between is not its fault, and
it is started again on another.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks import probe
from benchmarks.campaign import Campaign, Variant
from benchmarks.environments import ROOT
from benchmarks.processes import (
    Command,
    Process,
    RunError,
    free_port,
    last_lines,
    port_taken,
    runner_environment,
)
from benchmarks.record import shown
from benchmarks.recorder import explained, now

HOST = "127.0.0.1"
READY_S = 90.0
GRACE_S = 15.0
STARTS = 4
BUSY_PORT_STATUS = 2


class Target(Protocol):
    """What the runner needs of a variant."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def pids(self) -> tuple[int, ...]: ...  # of the service, and of the Triton that it uses
    @property
    def statistics(self) -> tuple[str, str] | None: ...  # where that Triton has them
    def start(self) -> None: ...
    def wait_ready(self) -> None: ...
    def check(self) -> None: ...
    def ask_to_stop(self) -> None: ...
    def stop(self) -> None: ...
    def facts(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Request:
    """The request that shows that a variant works: an image of the campaign's corpus."""

    image: Path
    body: str
    timeout_s: float


def predict_path(campaign: Campaign, variant: Variant) -> str:
    """Where a service of ours answers what the campaign asks."""
    return f"/predict/{campaign.model}?track={campaign.track_of(variant)}"


class Address:
    """A variant that others run."""

    pids: tuple[int, ...] = ()
    statistics: tuple[str, str] | None = None

    def __init__(self, variant: Variant, request: Request) -> None:
        self.name = variant.name
        self.url = variant.url or ""
        self._request = request

    def start(self) -> None:
        """Nothing to start."""

    def wait_ready(self) -> None:
        """One real request must be answered."""
        check_answer(self.name, self.url, self._request)

    def check(self) -> None:
        """Its failures are in the samples."""

    def ask_to_stop(self) -> None:
        """Nothing to stop."""

    def stop(self) -> None:
        """Nothing to stop."""

    def facts(self) -> dict[str, Any]:
        """Nothing is known of it but its address."""
        return {"command": None, "environment": None, "url": self.url, "health": None}


class Service:
    """A variant that we start."""

    def __init__(
        self,
        name: str,
        command: Command,
        request: Request,
        path: str,
        log: Path,
        *,
        environment: str = "default",
        ports: Callable[[], int] = free_port,
    ) -> None:
        self.name = name
        self._command, self._request, self._path = command, request, path
        self._log, self._environment, self._ports = log, environment, ports
        self._process: Process | None = None
        self._port = 0
        self._log_from = 0
        self._health: dict[str, Any] | None = None

    @property
    def pid(self) -> int | None:
        """The pid of the service's main process."""
        return self._process.pid if self._process else None

    @property
    def pids(self) -> tuple[int, ...]:
        """Of all whose CPU time counts as this variant's."""
        return (self._process.pid,) if self._process else ()

    @property
    def statistics(self) -> tuple[str, str] | None:
        """Where the Triton that it uses has its statistics; it uses none."""
        return None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._port}"

    @property
    def url(self) -> str:
        """Where it predicts."""
        return self.address + self._path

    def start(self) -> None:
        """Start it on a free port, without waiting."""
        self._launch()

    def _launch(self) -> None:
        self._port = self._ports()
        self._begin_log()
        env = {
            **self._command.env,
            "SERVICE_HOST": HOST,
            "SERVICE_PORT": str(self._port),
            "PYTHONUNBUFFERED": "1",
        }
        command = Command(self._command.program, self._command.cwd, env, self._command.cpus)
        with self._log.open("ab") as log:
            self._process = Process(command, stdout=log.fileno(), stderr=log.fileno())

    def _begin_log(self) -> None:
        """Write which start the lines below belong to."""
        with explained(self._log):
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("ab") as log:
                log.write(f"--- {now()} {self.name} on port {self._port}\n".encode())
            self._log_from = self._log.stat().st_size

    def wait_ready(self) -> None:
        """Wait for /readyz and one real answer; start again if another took the port first."""
        deadline = time.monotonic() + READY_S
        for attempt in range(1, STARTS + 1):
            code = self._wait_open(deadline)
            if code is None:
                break
            if code != BUSY_PORT_STATUS or not port_taken(self._port) or attempt == STARTS:
                raise RunError(self._last_words(code, "before it was ready"))
            self._halt()
            self._launch()
        check_answer(self.name, self.url, self._request)
        self.check()
        self._health = probe.health(self.address)

    def _wait_open(self, deadline: float) -> int | None:
        """None when it is open, its exit status when it has ended."""
        assert self._process, "start() comes first"
        while (code := self._process.poll()) is None:
            # Somebody else's service may answer on a port that was taken from ours.
            if self._process.listens_on(self._port) and probe.is_open(f"{self.address}/readyz"):
                return None
            if time.monotonic() > deadline:
                raise RunError(
                    f"variant {self.name!r}: not ready in {READY_S:g} s; expected GET /readyz"
                    f" to answer 200; its last lines (all in {shown(self._log)}):\n"
                    + last_lines(self._log, since=self._log_from)
                )
            time.sleep(0.05)
        return code

    def check(self) -> None:
        """Raise if the service has ended by itself."""
        code = self._process.poll() if self._process else None
        if code is not None:
            raise RunError(self._last_words(code, "while it was measured"))

    def _last_words(self, code: int, when: str) -> str:
        return (
            f"variant {self.name!r}: the service ended with status {code} {when};"
            f" expected it to serve until it is stopped;"
            f" its last lines (all in {shown(self._log)}):\n"
            + last_lines(self._log, since=self._log_from)
        )

    def ask_to_stop(self) -> None:
        """Let it begin to stop while others are stopped too."""
        if self._process:
            self._process.ask_to_stop()

    def stop(self) -> None:
        """Stop it and all its workers."""
        self._halt()

    def _halt(self) -> None:
        if self._process:
            process, self._process = self._process, None
            process.stop(GRACE_S)

    def facts(self) -> dict[str, Any]:
        """What run.json says about the service."""
        settings = {k: v for k, v in self._command.env.items() if k.startswith("SERVICE_")}
        # A record is passed on: where the repository lay on this machine is nobody's business.
        home = f"{ROOT}/"
        return {
            "command": [part.removeprefix(home) for part in self._command.program],
            "settings": settings,
            "environment": self._environment,
            "health": self._health,
        }


def service_command(
    environ: dict[str, str], python: Path, root: Path, cpus: tuple[int, ...] | None
) -> Command:
    """How a variant's service is started."""
    program = (str(python), "-m", "service", "serve")
    return Command(program, root, runner_environment(**environ), cpus)


def check_answer(name: str, url: str, request: Request) -> None:
    """One real request must be answered with success."""
    try:
        status, body = probe.post(url, request.image, request.body, request.timeout_s)
    except probe.FAILURES as error:
        raise RunError(
            f"variant {name!r}: POST {url}: no answer ({error});"
            f" expected detections for {request.image.name}; is the service running there?"
        ) from error
    if not 200 <= status < 300:
        said = body[:300].decode(errors="replace")
        raise RunError(
            f"variant {name!r}: POST {url} answered {status} {said!r}; expected success for"
            f" {request.image.name}; check the address, model, track and body of the campaign"
        )
