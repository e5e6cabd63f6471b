"""Components that ask servers: real servers, bodies that are too large, stops, bare loops."""

import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import probe
from benchmarks.components import (
    behaviour,
    echoes,
    eventloop,
    limits,
    logged,
    stopping,
    upload,
)
from benchmarks.components.bare_server import ECHO, LOOPS
from benchmarks.components.counted import Counted, counted
from benchmarks.components.interleaved import WALL
from benchmarks.components.logged import Logged
from benchmarks.components.oversized import FORM, Body, Seen, Sender, pieces
from benchmarks.components.stopping import Sent, Stopped
from benchmarks.processes import RunError, runner_environment
from benchmarks.variants import Target

MODULE = [sys.executable, "-m"]
SERVER = "benchmarks.components.bare_server"
BARE = [*MODULE, SERVER, "asyncio", "h11"]


# Servers that count.


def test_a_bare_server_answers_and_counts_what_that_took() -> None:
    with counted(BARE, runner_environment()) as server:
        before = server.cpu_ms()
        for _ in range(50):
            assert probe.get(f"http://127.0.0.1:{server.port}/", 5) == (200, b"hello")
        asked_ms = server.cpu_ms() - before
        again_ms = server.cpu_ms() - before - asked_ms
        pid = server.process.pid
    assert 1 < asked_ms < 500
    assert again_ms < asked_ms / 2  # being asked costs nothing
    assert not psutil.pid_exists(pid)


def test_a_bare_server_ends_with_whoever_started_it() -> None:
    server = Counted(BARE, runner_environment())
    assert server.process.stdin
    assert server.process.stdout
    server.process.stdin.close()  # as the kernel does for one that was killed
    with server.process.stdout:
        assert server.process.wait(20) == 0


def test_a_server_that_does_not_start_is_one_line() -> None:
    with pytest.raises(RunError, match=r"-c 1/0` did not start; expected its port"):
        counted([sys.executable, "-c", "1/0"], {}).__enter__()


def test_a_server_that_ends_meanwhile_is_said() -> None:
    with counted(BARE, runner_environment()) as server:
        os.kill(server.process.pid, signal.SIGKILL)
        with pytest.raises(RunError, match="ended while it was measured"):
            server.cpu_ms()


# Bodies that are too large.


@given(st.integers(1, 40), st.booleans(), st.booleans())
def test_the_pieces_of_a_body_add_up(count: int, chunked: bool, form: bool) -> None:
    size = count << 16
    sent = list(pieces(Body(size, chunked=chunked, form=form)))
    assert sum(inside for _, inside in sent) == size
    wire = b"".join(framed for framed, _ in sent)
    assert wire.endswith(b"0\r\n\r\n") == chunked
    around = [len(part) for part in FORM] if form else []
    frames = count * len(b"10000\r\n\r\n") + sum(len(b"%x\r\n\r\n" % n) for n in around) + 5
    assert len(wire) == size + sum(around) + (frames if chunked else 0)


def test_what_a_server_takes_is_counted_to_the_end() -> None:
    with counted(BARE, runner_environment()) as server:
        for body in (Body(1 << 20), Body(1 << 20, chunked=True), Body(1 << 20, expect=True)):
            seen = Sender(server.port, server.process.pid).send("/", body)
            assert (seen.status, seen.sent_bytes, seen.cut) == (200, 1 << 20, False)
            assert seen.answer_ms > 0


@pytest.fixture
def no_higher_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the servers that only take everything: each takes seconds to start."""
    monkeypatch.setattr(limits, "SERVERS", {"limited": limits.SERVERS["limited"]})
    ways = {name: way for name, way in limits.WAYS.items() if not name.startswith("unlimited")}
    monkeypatch.setattr(limits, "WAYS", ways)


@pytest.mark.usefixtures("no_higher_limit")
def test_the_service_refuses_early_and_the_guides_middleware_takes_what_is_chunked(
    tmp_path: Path,
) -> None:
    found = limits.block(tmp_path)
    failed = [check for check in limits.checks([found]) if not check.passed]
    assert [check.name for check in failed] == ["guide_chunked"]
    assert failed[0].found == "200 after 251.7 MB"
    cases = limits.cases([found])
    assert cases["declared.memory_mb"].values[0] < 20 < cases["guide_chunked.memory_mb"].values[0]
    assert cases["expect.sent_mb"].values == (0.0,)


GOOD = {
    "declared": Seen(413, 0),
    "expect": Seen(413, 0),
    "chunked": Seen(413, limits.LIMIT_BYTES),
    "pushing": Seen(413, 1000, cut=True),
    "unlimited": Seen(200, limits.SIZE_BYTES),
    "unlimited_form": Seen(200, limits.SIZE_BYTES),
    "guide_declared": Seen(413, 0),
    "guide_chunked": Seen(413, limits.LIMIT_BYTES),
}


@pytest.mark.parametrize(
    ("way", "seen"),
    [
        ("declared", Seen(413, limits.SIZE_BYTES)),
        ("declared", Seen(0, 0, cut=True)),
        ("expect", Seen(413, 1)),
        ("chunked", Seen(200, limits.LIMIT_BYTES)),
        ("chunked", Seen(0, limits.SIZE_BYTES, cut=True)),
        ("pushing", Seen(413, 1000, cut=False)),
        ("unlimited", Seen(413, 1000)),
        ("guide_chunked", Seen(200, limits.SIZE_BYTES)),
    ],
)
def test_a_server_that_is_not_as_promised_fails_a_check(way: str, seen: Seen) -> None:
    assert all(check.passed for check in limits.checks([GOOD]))
    failed = [check.name for check in limits.checks([GOOD, GOOD | {way: seen}]) if not check.passed]
    assert failed == [way]


def test_a_chunked_body_may_be_ended_by_the_connections_end() -> None:
    ended = GOOD | {"chunked": Seen(0, limits.LIMIT_BYTES, cut=True)}
    found = {check.name: check for check in limits.checks([GOOD, ended])}
    assert found["chunked"].passed
    assert found["chunked"].found == "413 or no answer after 52.4 MB, ended in 1 of 2"


# What an endpoint does besides.


def test_uvicorn_refuses_beyond_its_limit_of_connections_with_503() -> None:
    assert set(behaviour.refusals()) == {503}


def test_libjpeg_turbo_is_in_both(simd_python: Path) -> None:
    (check,) = behaviour.feature()
    assert check.found == "True with pillow-simd, True with Pillow"
    assert not check.passed


def test_a_service_logs_what_is_slow_and_answers_what_is_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(behaviour.SETTINGS, "SERVICE_WORKERS", "1")
    with behaviour.service("stopped", tmp_path) as (target, log):
        slow, *quick = logged.logged(target.address, log, behaviour.SMALL, "test")
        stopped = stopping.in_flight(target, behaviour.LARGE, 4)
    assert slow.slow
    assert all(each.logged == each.slow for each in (slow, *quick))
    assert None not in {each.said_ms for each in quick}
    assert (stopped.in_flight > 0, stopped.lost) == (True, 0)
    assert stopped.ms > 0


def test_requests_without_an_answer_are_told_apart_by_their_connection() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener.accept()[0] as kept:
            kept.recv(1 << 16)
            kept.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            kept.recv(1 << 16)
        with listener.accept()[0] as new:
            listener.close()
            new.recv(1 << 16)

    server, found = threading.Thread(target=serve), Sent()
    server.start()
    stopping.send(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"picture", found)
    server.join()
    assert found == Sent(answered=1, lost=1, unserved=1, failed=0)


@dataclass(frozen=True)
class Bare:
    """A bare server as what can be stopped."""

    server: Counted

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/"

    @property
    def pids(self) -> tuple[int, ...]:
        return (self.server.process.pid,)

    def ask_to_stop(self) -> None:
        self.server.process.terminate()


def test_clients_go_on_until_a_server_is_gone() -> None:
    with counted(BARE, runner_environment()) as server:
        target = cast(Target, Bare(server))
        sent = stopping.sending(target, behaviour.SMALL, clients=2, before_s=0.2)
    assert sent.answered > 10
    assert sent.failed == 0


PROMISED = behaviour.Block(
    Stopped(8, 0, 100.0),
    Sent(answered=80),
    (Logged(150.0, logged=True), Logged(3.0, logged=False)),
    (429, 429),
)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"refusals": (429, 503)}, "limit-concurrency answers 429"),
        ({"stopped": Stopped(8, 1, 100.0)}, "stop answers what is in flight"),
        ({"sent": Sent(answered=80, lost=1)}, "stop loses no request"),
        ({"sent": Sent(answered=80, unserved=1)}, "stop loses no request"),
        ({"sent": Sent(answered=80, failed=1)}, "stop loses no request"),
        ({"requests": (Logged(150.0, logged=False),)}, "slow requests are logged"),
        ({"requests": (Logged(3.0, logged=True),)}, "fast requests are not logged"),
        ({"requests": (Logged(None, logged=False),)}, "X-Process-Time is sent"),
    ],
)
def test_an_endpoint_that_breaks_a_promise_fails_its_check(
    change: dict[str, Any], name: str
) -> None:
    assert all(check.passed for check in behaviour.checks([PROMISED]))
    spoiled = behaviour.checks([PROMISED, replace(PROMISED, **change)])
    assert [check.name for check in spoiled if not check.passed] == [name]
    assert behaviour.cases([PROMISED])["stop.in_flight"].values == (8.0,)


# Blocks of the components that ask servers.


def test_uploads_are_measured_in_both_ways_as_form_and_as_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upload, "PICTURES", {"31kb": upload.PICTURES["31kb"]})
    found = upload.cases([upload.block(0, visits=1, requests=2)])
    assert [name for name in found if not name.endswith(WALL)] == upload.names()
    assert all(case.values[0] > 0 for case in found.values())
    assert found["direct.raw.31kb"].handled_bytes == 30985


@pytest.mark.alone
def test_every_loop_and_parser_is_loaded_in_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventloop, "WARMUP_S", 0.05)
    monkeypatch.setattr(echoes, "WARMUP_S", 0.05)
    body = tmp_path / "body.jpg"
    body.write_bytes(bytes(eventloop.BODY_BYTES))
    found = eventloop.cases([eventloop.block(0, body, visits=1, seconds=0.1)])
    cpu = {name: case.values[0] for name, case in found.items() if not name.endswith(WALL)}
    assert list(cpu) == eventloop.NAMES
    assert sorted(found) == sorted(name for group in eventloop.groups() for name in group)
    # C against Python: true of any machine, however busy it is.
    assert cpu["hello.uvloop_httptools"] < cpu["hello.asyncio_h11"]
    assert cpu["hello.uvloop_httptools"] < cpu["body.uvloop_httptools"]
    assert cpu["echo.uvloop"] < cpu["hello.uvloop_httptools"]


@pytest.mark.parametrize("loop", LOOPS)
def test_every_message_of_an_echo_comes_back(loop: str) -> None:
    with counted([*MODULE, SERVER, loop, ECHO], runner_environment()) as server:
        cpu_ms, wall_ms = echoes.echoed(server, connections=3, seconds=0.05)
    assert 0 < cpu_ms < 50
    assert 0 < wall_ms < 50


def test_an_echo_that_ends_its_connection_is_said() -> None:
    """A server of HTTP takes the message for a request, and will have no more of it."""
    with (
        counted(BARE, runner_environment()) as server,
        pytest.raises(RunError, match="expected each message back"),
    ):
        echoes.echoed(server, connections=1, seconds=0.05)
