"""What the doctor finds about a service in front of the real Triton: clients, tensors, queue."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.doctor import bottleneck, inside_checks, triton
from benchmarks.doctor import load as loads
from benchmarks.doctor import service as services
from benchmarks.doctor.findings import Grade
from benchmarks.doctor.load import Loaded
from benchmarks.doctor.service import Service
from benchmarks.doctor.triton import between
from benchmarks.triton.served import Served
from benchmarks.triton.server import Ports, Server
from tests.conftest import Service as Running
from tests.conftest import running
from tests.test_doctor import of_service, one, spoiled

pytestmark = pytest.mark.alone

POOLED = {"PRESET": "optimized", "TRACK": "B"}


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One instance of one model, so that requests wait."""
    log = tmp_path_factory.mktemp("triton") / "log"
    served = Served(("nano",), ("B",), max_batch=1, instances=1)
    yield from running(Server(served, log, ports=Ports.free()))


@pytest.fixture(scope="module")
def pooled(serving: Callable[..., Running], narrow: Server) -> tuple[Service, Loaded]:
    return loaded(serving(**POOLED, TRITON_URL=narrow.grpc))


def loaded(service: Running, clients: int = 16) -> tuple[Service, Loaded]:
    found = services.look(service.url)
    return found, loads.take(found, clients, 2, lambda _: None)


def test_triton_counts_as_the_services_and_is_found_by_where_it_listens(
    pooled: tuple[Service, Loaded], narrow: Server
) -> None:
    service, load = pooled
    assert service.pids[1:] == (narrow.pid,)
    assert load.usage["service"]["by_process"]["triton"]["cpu_s"] > 0


def test_a_pool_that_works_is_ok_and_so_are_tensors_in_shared_memory(
    pooled: tuple[Service, Loaded],
) -> None:
    findings = list(inside_checks.findings(*pooled))
    assert one(findings, "pool").grade is Grade.OK
    assert one(findings, "tensors").grade is Grade.OK


def test_a_queue_of_triton_is_the_bottleneck(pooled: tuple[Service, Loaded]) -> None:
    service, load = pooled
    assert load.inferred
    # One at a time: whoever comes waits for most of the others.
    assert load.inferred.queue_ms > load.inferred.compute_ms
    assert load.inferred.count >= load.ok
    quiet = {**load.usage["machine"], "other_cpu_share": 0.0}
    found = bottleneck.finding(service, replace(load, usage={**load.usage, "machine": quiet}))
    assert found.grade is Grade.NOTE
    assert found.found.startswith("Triton's queue: ")
    assert found.next_step.endswith("--track B --knob instances=1,2,4")


def test_a_client_for_each_request_is_a_note(
    serving: Callable[..., Running], narrow: Server
) -> None:
    plain = serving(PRESET="baseline", TRACK="B", TRITON_URL=narrow.grpc)
    service, load = loaded(plain, 2)
    findings = list(inside_checks.findings(service, load))
    assert one(of_service(plain), "Triton clients").grade is Grade.NOTE
    pool = one(findings, "pool")
    assert pool.grade is Grade.NOTE
    assert pool.next_step == "SERVICE_CLIENTS=pooled windtunnel serve"
    assert one(findings, "tensors").grade is Grade.NOTE


def test_a_pool_that_is_passed_by_is_a_problem(tmp_path: Path, narrow: Server) -> None:
    with spoiled(tmp_path / "log", "no_pool", **POOLED, TRITON_URL=narrow.grpc) as service:
        seen, load = loaded(service, 2)
        clients = one(of_service(service), "Triton clients")
    assert clients.grade is Grade.OK  # what it says of itself: only its work shows it
    found = one(inside_checks.findings(seen, load), "pool")
    assert found.grade is Grade.PROBLEM
    assert "the pool is passed by, or too small" in found.found


def test_of_an_ensemble_what_is_not_computed_was_waited_for() -> None:
    def counted(count: int, total: int, compute: int) -> dict[str, tuple[int, int]]:
        none = (count, 0)
        parts = {"compute_input": none, "compute_infer": (count, compute), "compute_output": none}
        return {"success": (count, total), **parts}

    steps = {"decode": counted(9, 30_000_000, 20_000_000), "idle": counted(4, 10, 10)}
    before = {"ensemble": counted(1, 5_000_000, 5_000_000), "idle": counted(4, 10, 10)}
    after = {"ensemble": counted(11, 105_000_000, 45_000_000), **steps}
    found = between(before, after)
    assert found
    assert (found.count, found.queue_ms, found.compute_ms) == (10, 6.0, 4.0)
    assert between(after, after) is None
    assert between(None, after) is None


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nobody", "", "no such host:8001"])
def test_a_triton_that_cannot_be_asked_is_no_error(address: str) -> None:
    assert triton.counters(address) is None
