"""Who listens on a port of this machine, and which process is the first of a service."""

import os
import socket
import subprocess
import sys

import psutil
import pytest

from benchmarks import listening
from benchmarks.processes import free_port

# A supervisor that listens, and a worker that has its socket.
SHARED = """
import os, socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
if os.fork():
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()
else:
    time.sleep(600)
"""


def test_who_listens_is_found_and_a_worker_leads_to_its_supervisor() -> None:
    with subprocess.Popen(
        [sys.executable, "-S", "-c", SHARED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        port = int(process.stdout.readline())
        first, worker = listening.tree(process.pid)
        try:
            assert listening.ports(first) == listening.ports(worker) == {port}
            assert listening.listens(worker, port)
            assert not listening.listens(worker, port + 1)
            assert listening.first_of(worker.pid, port) == process.pid
            assert listening.first_of(process.pid, port) == process.pid
            assert listening.listeners(port) <= {process.pid, worker.pid}
            assert listening.at_address(f"127.0.0.1:{port}") in {process.pid, worker.pid}
            assert listening.at_address(f"192.0.2.1:{port}") is None, "that is not here"
        finally:
            worker.kill()
            process.stdin.close()
    assert listening.tree(process.pid) == []
    assert listening.process(process.pid) is None


@pytest.mark.parametrize("pid", [None, "7", -1, 2**70, "our own"])
def test_what_does_not_listen_is_no_service(pid: object) -> None:
    port = free_port()
    pid = os.getpid() if pid == "our own" else pid
    assert listening.first_of(pid, port) is None
    assert listening.listeners(port) == set()
    assert listening.at_address("nonsense") is None


def test_this_machine_is_its_loopback_and_its_interfaces() -> None:
    cards = psutil.net_if_addrs().values()
    own = {each.address for card in cards for each in card if each.family == socket.AF_INET}
    for host in ("127.0.0.1", "127.1.2.3", "localhost", "0.0.0.0", *own):
        assert listening.is_here(host), host
    for host in ("192.0.2.1", "no-such-host.invalid", ""):
        assert not listening.is_here(host), host
