"""
A server as a child that counts its own CPU time: to the nanosecond, where the kernel has ticks.

Its first line on stdout is the port. Each line on its stdin is answered with a JSON object with
`cpu_ns`, and it ends with its stdin. service/overhead.py and bare_server.py are such servers.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from benchmarks.environments import ROOT
from benchmarks.processes import RunError

GRACE_S = 15.0


class Counted:
    """One such server."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends its children
        )
        assert self.process.stdin, "it has pipes"
        assert self.process.stdout, "it has pipes"
        self._to, self._back = self.process.stdin, self.process.stdout
        try:
            self.port = self._said_port(command)
        except BaseException:
            self.stop()
            raise

    def _said_port(self, command: Sequence[str]) -> int:
        line = self._back.readline()
        if not line:
            raise RunError(
                f"`{' '.join(command[1:])}` did not start; expected its port; its message is above"
            )
        return int(line)

    def told(self, line: str) -> dict[str, int]:
        """What it answers."""
        try:
            self._to.write(line + "\n")
            self._to.flush()
            said = self._back.readline()
        except BrokenPipeError:
            said = ""
        if not said:
            raise RunError("a server ended while it was measured; its message is above")
        reading: dict[str, int] = json.loads(said)
        return reading

    def cpu_ms(self) -> float:
        """Its CPU time so far, without what counting takes."""
        return self.told("read")["cpu_ns"] / 1e6

    def stop(self) -> None:
        """End it and wait for that."""
        self.process.terminate()
        try:
            self.process.communicate(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


@contextmanager
def counted(command: Sequence[str], env: Mapping[str, str]) -> Iterator[Counted]:
    """One for as long as it is needed."""
    server = Counted(command, env)
    try:
        yield server
    finally:
        server.stop()
