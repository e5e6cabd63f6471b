"""A variant with a Triton of its own: started, watched, counted and stopped with its service."""

import dataclasses
from pathlib import Path
from typing import Any

from benchmarks.processes import Command
from benchmarks.triton.served import Served
from benchmarks.triton.server import Ports, Server
from benchmarks.variants import Request, Service


class BackedService(Service):
    """
    A service whose track needs Triton.

    Each has a server of its own, also the A/A copy: so that the luck of a server's start is part
    of what two copies differ by, and what Triton uses is known to be this variant's.
    """

    def __init__(
        self,
        name: str,
        command: Command,
        request: Request,
        path: str,
        log: Path,
        served: Served,
        *,
        environment: str = "default",
    ) -> None:
        super().__init__(name, command, request, path, log, environment=environment)
        self._served = served
        self._server_log = log.with_name(f"{log.stem}.triton.txt")
        self._server: Server | None = None
        self._server_facts: dict[str, Any] | None = None

    @property
    def pids(self) -> tuple[int, ...]:
        """The service's and Triton's."""
        server = self._server.pid if self._server else None
        return (*super().pids, *([server] if server else []))

    @property
    def statistics(self) -> tuple[str, str] | None:
        """Where Triton's statistics and metrics are."""
        return (self._server.http, self._server.metrics) if self._server else None

    def start(self) -> None:
        """Start both, without waiting; the service meets Triton when that is there."""
        cpus = self._command.cpus
        self._server = Server(self._served, self._server_log, ports=Ports.free(), cpus=cpus)
        self._server.start()
        env = {**self._command.env, "SERVICE_TRITON_URL": self._server.grpc}
        self._command = dataclasses.replace(self._command, env=env)
        super().start()

    def wait_ready(self) -> None:
        """Triton first: the service is not ready without it."""
        assert self._server, "start() comes first"
        self._server.wait_ready()
        super().wait_ready()
        self._server_facts = self._server.facts()

    def check(self) -> None:
        """Raise if either has ended."""
        if self._server:
            self._server.check()
        super().check()

    def ask_to_stop(self) -> None:
        """Let both begin to stop."""
        super().ask_to_stop()
        if self._server:
            self._server.ask_to_stop()

    def stop(self) -> None:
        """Stop both."""
        super().stop()
        if self._server:
            server, self._server = self._server, None
            server.stop()

    def facts(self) -> dict[str, Any]:
        """What run.json says about the service and its Triton."""
        return {**super().facts(), "triton": self._server_facts}
