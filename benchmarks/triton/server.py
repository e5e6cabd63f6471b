"""
One Triton server: started under a warden, ready when it has inferred, and gone when it is stopped.

Its Python models run in stubs, processes of their own. A stub that dies is never started again by
Triton, which goes on saying READY; so they are watched here, by file descriptors of their
processes that become readable when they end, which costs nothing while they live.
"""

import os
import re
import secrets
import select
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.environments import ROOT
from benchmarks.probe import is_open
from benchmarks.processes import Command, Process, RunError, free_port, last_lines
from benchmarks.record import shown
from benchmarks.recorder import explained, now
from benchmarks.triton import layout, shm
from benchmarks.triton.served import Served

HOST = "127.0.0.1"
READY_S = 90.0
# An idle HTTP connection would hold the exit for all of this time, by default 30 s.
EXIT_S = 5
GRACE_S = EXIT_S + 5.0
POLL_S = 0.05
# How often it may be started for one start, and what its log says when it lost the race for a lock.
STARTS = 4
RACE = b"boost::interprocess::lock_exception"
ERROR_LINE = re.compile(r"E\d{4} |error: ")
NO_GPU = "CudaDriverHelper"  # said as an error at every start without one
PICTURE = "service/model/warm-up.jpg"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a server listens."""

    grpc: int = 8001
    http: int = 8000
    metrics: int = 8002

    @classmethod
    def free(cls) -> "Ports":
        """Three that were free a moment ago."""
        return cls(free_port(), free_port(), free_port())


class Server:
    """A server of some models and tracks; its log is appended to."""

    def __init__(
        self,
        served: Served,
        log: Path,
        *,
        ports: Ports | None = None,
        address: str = HOST,
        cpus: tuple[int, ...] | None = None,
        options: Sequence[str] = (),
        root: Path = ROOT,
    ) -> None:
        self.served, self.ports = served, ports or Ports()
        self._address = address  # for others; the runner asks on this machine
        self._log, self._cpus, self._options, self._root = log, cpus, options, root
        self._process: Process | None = None
        self._prefix = ""
        self._log_from = 0
        self._facts: dict[str, Any] = {}
        self._watched: dict[int, str] = {}  # processes, by the descriptor that tells of their end

    @property
    def pid(self) -> int | None:
        """The pid of the server, whose children are the stubs."""
        return self._process.pid if self._process else None

    @property
    def grpc(self) -> str:
        """Where it infers."""
        return f"{HOST}:{self.ports.grpc}"

    @property
    def http(self) -> str:
        """Where its statistics are."""
        return f"{HOST}:{self.ports.http}"

    @property
    def metrics(self) -> str:
        """Where its metrics are."""
        return f"{HOST}:{self.ports.metrics}"

    def start(self) -> None:
        """Start it, without waiting."""
        shm.sweep()
        python = layout.interpreter(self._root)
        folder = layout.assemble(self.served, python, self._root)
        self._prefix = f"{shm.NAME}{os.getpid()}-{secrets.token_hex(4)}"
        env = python.environment(self._root) | {shm.VARIABLE: self._prefix}
        program = (
            str(python.server / "bin/tritonserver"),
            f"--model-repository={folder / 'models'}",
            f"--model-config-name={layout.CONFIG}",
            f"--backend-directory={folder / 'backends'}",
            # Holds for our own backends too: they run in this one's stubs.
            f"--backend-config=python,shm-region-prefix-name={self._prefix}",
            # More make no start quicker, and dozens of stubs made at a time now and then end in a
            # lock that is not there yet, or wait for one for ever.
            "--model-load-thread-count=2",
            f"--http-address={self._address}",
            f"--http-port={self.ports.http}",
            f"--grpc-address={self._address}",
            f"--grpc-port={self.ports.grpc}",
            f"--metrics-address={self._address}",
            f"--metrics-port={self.ports.metrics}",
            f"--exit-timeout-secs={EXIT_S}",
            # Otherwise every model starts one more stub, only to be asked for its configuration.
            "--disable-auto-complete-config",
            *self._options,
        )
        self._begin_log()
        with self._log.open("ab") as log:
            command = Command(program, self._root, env, self._cpus)
            self._process = Process(command, stdout=log.fileno(), stderr=log.fileno())

    def _begin_log(self) -> None:
        with explained(self._log):
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("ab") as log:
                log.write(f"--- {now()} triton, {self.served}, on {self.grpc}\n".encode())
            self._log_from = self._log.stat().st_size

    def wait_ready(self) -> None:
        """Wait until it says READY, and then for a right answer of every model."""
        # It takes a third of a second to import, which is time in which the server starts.
        from benchmarks.triton import probe

        for attempt in range(1, STARTS + 1):
            try:
                self._wait(lambda: is_open(f"http://{self.http}/v2/health/ready"))
                break
            except RunError:
                if attempt == STARTS or not self._lost_a_race():
                    raise
                self.stop(0)
                self.start()
        probe.check(self.grpc, self.served, self._root / PICTURE)
        self._facts = probe.describe(self.grpc, self.served)
        self._watch()
        self.check()

    def _lost_a_race(self) -> bool:
        """Whether it ended over a lock in the memory of a stub that it was just making."""
        with suppress(OSError), self._log.open("rb") as log:
            log.seek(self._log_from)
            return RACE in log.read()
        return False

    def _wait(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_S
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise RunError(
                    f"Triton: not ready in {READY_S:g} s; expected its models to load; its last"
                    f" lines (all in {shown(self._log)}):\n{self._last_lines()}"
                )
            time.sleep(POLL_S)

    def _watch(self) -> None:
        """The server first: when it is killed, its stubs end as well."""
        assert self._process, "start() comes first"
        with suppress(ProcessLookupError, psutil.Error):
            self._watched[os.pidfd_open(self._process.pid)] = "the server"
            for stub in psutil.Process(self._process.pid).children():
                self._watched[os.pidfd_open(stub.pid)] = f"the Python stub {stub.pid}"
        stubs, expected = len(self._watched) - 1, self._instances()
        if stubs != expected:
            raise RunError(
                f"Triton: {stubs} Python stubs run; expected {expected}, one an instance; its log,"
                f" {shown(self._log)}, has the reason"
            )

    def _instances(self) -> int:
        """How many Python instances the models have."""
        models = self._facts["models"].values()
        return sum(model["instances"] for model in models if model["backend"] != "ensemble")

    def facts(self) -> dict[str, Any]:
        """What run.json says about the server, as it said when it was ready."""
        return self._facts

    def check(self) -> None:
        """Raise if the server or one of its stubs has ended."""
        code = self._process.poll() if self._process else None
        if code is not None:
            raise RunError(
                f"Triton: ended with status {code}; expected it to serve until it is stopped; its"
                f" last lines (all in {shown(self._log)}):\n{self._last_lines()}"
            )
        if dead := self.wait_for_end(0):
            raise RunError(
                f"Triton: {dead} ended by itself; expected both, the server and its stubs, to live"
                f" until they are stopped; its last lines (all in {shown(self._log)}):\n"
                + self._last_lines()
            )

    def wait_for_end(self, seconds: float) -> str:
        """Wait so long for the end of the server or of a stub; which of them, or nothing."""
        if not self._watched:
            time.sleep(seconds)
            return ""
        ended, _, _ = select.select([*self._watched], [], [], seconds)
        return next((name for fd, name in self._watched.items() if fd in ended), "")

    def _last_lines(self) -> str:
        """Its errors, or the last it wrote: after an error it still says much about its end."""
        with suppress(OSError), self._log.open("rb") as log:
            log.seek(self._log_from)
            lines = [line.decode(errors="replace").rstrip() for line in log]
            errors = [line for line in lines if ERROR_LINE.match(line) and NO_GPU not in line]
            if errors:
                return "\n".join(f"    {line[:400]}" for line in errors[-4:])
        return last_lines(self._log, since=self._log_from)

    def ask_to_stop(self) -> None:
        """Let it begin to stop while others are stopped too."""
        if self._process:
            self._process.ask_to_stop()

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Stop it with its stubs, and remove the shared memory that a killed one leaves."""
        for descriptor in self._watched:
            os.close(descriptor)
        self._watched.clear()
        if self._process:
            process, self._process = self._process, None
            process.stop(grace_s)
            shm.remove(self._prefix)
