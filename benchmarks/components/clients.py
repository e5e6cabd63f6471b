"""
What a new Triton client costs a request, and what keeping one saves: against a real Triton.

    python -m benchmarks.components.clients [--quick] [--results DIR]

`call` and `infer` use the service's own classes: a client, and with it a connection, for each
request (SERVICE_CLIENTS=per_request), or one that stays (pooled); `call` is the smallest question
that Triton answers, `infer` an inference of nano. `init` is what the optimization guide's clients
do when they are made: they connect, and ask for the model's configuration. CPU is that of the
process that asks, wall has Triton's part in it as well. `memory` is the peak of
one that only calls.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks import environments
from benchmarks.components import interleaved, result, tables
from benchmarks.components.interleaved import WALL, Child, Effort, Timed
from benchmarks.components.result import Case
from benchmarks.environments import ROOT
from benchmarks.triton.served import Served
from benchmarks.triton.server import Ports, Server

NAME = "clients"
QUESTION = "What does a new Triton client take of each request, in time and in memory?"
MODEL = "nano"
WAYS = {"new": "Anew(address)", "pooled": "Pool(address, 32)"}
FULL = Effort(blocks=8, visits=4, least_s=0.2)
QUICK = Effort(blocks=3, visits=1, least_s=0.1)

SETUP = """
import numpy as np
import uvloop
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from service.triton import ALONE, CHANNEL, Anew, Pool
loop = uvloop.new_event_loop()
"""
ASKING = """
pixels = InferInput("images", [1, 224, 224, 3], "UINT8")
pixels.set_data_from_numpy(np.full((1, 224, 224, 3), 114, np.uint8))
wanted = [InferRequestedOutput("output0")]

async def call():
    async with clients.client(model) as client:
        assert await client.is_server_live()

async def infer():
    async with clients.client(model) as client:
        await client.infer(model, [pixels], outputs=wanted)

async def create():
    async with clients.client(model):
        pass
"""
# Without ALONE gRPC would hand the connection of any other such client to a new one.
INIT = """
def connected():
    return InferenceServerClient(address, channel_args=[*CHANNEL, ALONE])

def init():
    with connected() as client:
        client.get_model_config(model, as_json=True)
"""
KEPT = "\nkept = connected()\n"


def cases(address: str) -> Iterator[Timed]:
    """All that are timed."""
    setup = f"address, model = {address!r}, {MODEL!r}\n{SETUP}"
    asking = {way: f"{setup}clients = {made}\n{ASKING}" for way, made in WAYS.items()}
    said = {"new": "a client for each", "pooled": "a client that stays"}
    yield Timed("init.new", "configuration asked by a new client", "init()", setup + INIT)
    asked = "kept.get_model_config(model, as_json=True)"
    said_kept = "configuration asked by one that stays"
    yield Timed("init.pooled", said_kept, asked, setup + INIT + KEPT)
    for what, says in (("call", "the smallest question"), ("infer", f"an inference of {MODEL}")):
        for way in WAYS:
            asked = f"loop.run_until_complete({what}())"
            yield Timed(f"{what}.{way}", f"{says}, {said[way]}", asked, asking[way])
    made = "loop.run_until_complete(create())"
    yield Timed("create", "a client made and closed, nothing asked", made, asking["new"])


def peaks_mb(address: str, calls: int) -> dict[str, float]:
    """The peak of a fresh process for each way, after so many calls."""
    found = {}
    for case in cases(address):
        if case.name.startswith("call."):
            many = replace(case, statement=f"for _ in range({calls}):\n    {case.statement}")
            child = Child(case.environment)
            try:
                child.prepare(many, 0.0)
                found[case.name.replace("call", "memory")] = child.asked(case.name, "peak")["mb"]
            finally:
                child.close()
    return found


@contextmanager
def triton() -> Iterator[str]:
    """A Triton that serves the model on track B; its address."""
    environments.make("triton", ROOT, print)
    with tempfile.TemporaryDirectory(prefix="windtunnel-") as folder:
        log = Path(folder) / "triton.txt"
        server = Server(Served((MODEL,), ("B",)), log, ports=Ports.free())
        try:
            server.start()
            server.wait_ready()
            yield server.grpc
        finally:
            server.stop()


def measured(options: tables.Options) -> Path:
    """Measure, print, write; the file."""
    begun = result.beginning(("default", "triton"))
    effort, calls = (QUICK, 100) if options.quick else (FULL, 500)
    with triton() as address:
        found = interleaved.measure(list(cases(address)), effort, tables.shower(NAME))
        memory = [peaks_mb(address, calls) for _ in range(effort.blocks)]
    for name in memory[0]:
        says = f"peak of a process after {calls} calls, clients: {name.partition('.')[2]}"
        values = tuple(block[name] for block in memory)
        found[name] = Case(says, "default", "mb", values)
    groups = [
        [f"{what}.{way}{of}" for way in WAYS]
        for what in ("init", "call", "infer")
        for of in ("", WALL)
    ]
    print(tables.table(found, [*groups, ["create"], ["create.wall"], list(memory[0])]))
    return result.write(options.results, NAME, QUESTION, begun, found, quick=options.quick)


if __name__ == "__main__":
    wanted = tables.options("clients", QUESTION, "2 minutes, with --quick 20 seconds")
    sys.exit(tables.ended(NAME, lambda: measured(wanted)))
