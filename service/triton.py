"""
Triton as the service sees it: clients on the event loop, and what each failure comes to.

Every call has a deadline. A Triton that is down, slow, full or without the model is answered for
with a code and, where it helps, with when to come back; as soon as it is there again it is used
again, because a channel that has failed tries anew every fifth of a second.
"""

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic

from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from service.clock import Clock
from service.limits import STATUS, Refusal
from service.settings import Settings

CHANNEL = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC's own waits grow to two minutes; a server that is back would not be noticed for long.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
    # How long a connection may take to be made, whatever the name says. On a machine whose CPUs are
    # full, 100 ms were not always enough, and a request with a client of its own got a 503.
    ("grpc.min_reconnect_backoff_ms", 2000),
]
# gRPC gives channels that are alike one connection between them: a client that is made for a
# request would use that of any other.
ALONE = ("grpc.use_local_subchannel_pool", 1)
# Of calls that are no inference, where the deadline of one is not shorter still.
CONTROL_S = 2.0
CLOSE_S = 1.0
UNKNOWN = "triton"  # the engine of a server that has not said which it is
# For how long an engine is believed: a server may be changed while nobody asks it anything.
BELIEVED_S, DOUBTED_S = 60.0, 1.0

REFUSED = re.compile(r"refused (\w+): (.*)", re.S)
NO_REGION = re.compile(r"Unable to find (system )?shared memory region")
IN_USE = "currently in use"
FULL = "maximum queue size"
STUB_DEAD = "not healthy"

log = logging.getLogger("service")


class RegionLostError(Exception):
    """The server does not know our shared memory: it is another one than before."""


class Pool:
    """
    Up to so many clients, one for each of Triton's models, the one that was not used longest out.

    One that is thrown out is closed by gRPC when the last request that uses it has ended.
    """

    def __init__(self, url: str, size: int) -> None:
        self.url, self.size = url, size
        self.clients: OrderedDict[str, InferenceServerClient] = OrderedDict()
        self.created = 0

    @property
    def cached(self) -> int:
        return len(self.clients)

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[InferenceServerClient]:
        if name in self.clients:
            self.clients.move_to_end(name)
        else:
            log.info("Creating cached client for %s at %s", name, self.url)
            self.clients[name] = InferenceServerClient(self.url, channel_args=CHANNEL)
            self.created += 1
            if len(self.clients) > self.size:
                self.clients.popitem(last=False)
        yield self.clients[name]

    async def close(self) -> None:
        clients, self.clients = list(self.clients.values()), OrderedDict()
        for client in clients:
            await client.close()


class Anew:
    """A client, and with it a connection, for each request: what pooling saves."""

    cached = 0

    def __init__(self, url: str) -> None:
        self.url = url
        self.created = 0

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[InferenceServerClient]:
        self.created += 1
        async with InferenceServerClient(self.url, channel_args=[*CHANNEL, ALONE]) as client:
            yield client

    async def close(self) -> None:
        """Each was closed when it had been used."""


class Triton:
    """One server, over gRPC; belongs to one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.triton_url
        self.timeout_s = settings.triton_timeout_s
        self.control_s = min(CONTROL_S, self.timeout_s)
        self.pooled = settings.clients == "pooled"
        self.clients = Pool(self.url, settings.pool_size) if self.pooled else Anew(self.url)
        # Calls that are no inferences have a connection of their own, made with the first of them.
        self.own: InferenceServerClient | None = None
        self.answered_at: dict[str, float] = {}  # by Triton's model: its last good answer
        self.engines: dict[str, tuple[str, float]] = {}  # and until when it is believed
        self.learning = asyncio.Lock()

    @property
    def control(self) -> InferenceServerClient:
        if self.own is None:
            self.own = InferenceServerClient(self.url, channel_args=CHANNEL)
        return self.own

    async def infer(
        self,
        name: str,
        inputs: Sequence[InferInput],
        outputs: Sequence[InferRequestedOutput],
        clock: Clock,
    ) -> InferResult:
        """One inference within the deadline, or the Refusal that its failure comes to."""
        with clock.call("infer"):
            headers = {"traceparent": clock.outgoing} if clock.outgoing else None
            try:
                async with self.clients.client(name) as client:
                    result = await client.infer(
                        name,
                        inputs,
                        outputs=outputs,
                        headers=headers,
                        client_timeout=self.timeout_s,
                    )
            except InferenceServerException as error:
                raise self.failed(name, error, self.timeout_s) from None
        self.answered_at[name] = now = monotonic()
        if self.engines.get(name, (UNKNOWN, 0.0))[1] < now:
            await self.learn(name)
        return result

    def failed(self, name: str, error: InferenceServerException, after_s: float) -> Exception:
        """What a failure of Triton means for the client of the service."""
        status, message = status_of(error), str(error.message())
        if status == "INVALID_ARGUMENT" and (by_decoder := REFUSED.search(message)):
            code, sentence = by_decoder.groups()
            return Refusal(code if code in STATUS else "image_broken", sentence)
        self.answered_at.pop(name, None)
        if NO_REGION.search(message):
            self.engines.clear()
            return RegionLostError(message)
        refused = refusal(name, status, message, self.url, after_s)
        log.debug("%s: %s %s", name, status, message)
        if refused.code == "triton_unavailable":
            self.answered_at.clear()
            self.engines.clear()  # whoever answers next may be another
        return refused

    def engine(self, name: str) -> str:
        """What runs a model, as far as it is known."""
        return self.engines.get(name, (UNKNOWN, 0.0))[0]

    async def learn(self, name: str) -> None:
        """Ask what runs a model, once for all that want to know; no reason to fail a request."""
        async with self.learning:
            if self.engines.get(name, (UNKNOWN, 0.0))[1] >= monotonic():
                return
            try:
                answer = await self.control.get_model_config(name, client_timeout=self.control_s)
            except InferenceServerException:
                self.engines[name] = UNKNOWN, monotonic() + DOUBTED_S
            else:
                engine = answer.config.parameters["engine"].string_value or UNKNOWN
                self.engines[name] = engine, monotonic() + BELIEVED_S

    async def register(self, name: str, size: int) -> str:
        """Have Triton map a region of shared memory; why it cannot, or nothing."""
        try:
            await self.control.register_system_shared_memory(
                name, f"/{name}", size, client_timeout=self.control_s
            )
        except InferenceServerException as error:
            if status_of(error) in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                raise self.failed("shared memory", error, self.control_s) from None
            return f"Triton cannot map {name}: {error.message()}"
        return ""

    async def unregister(self, name: str) -> bool:
        """Have Triton forget a region; whether it has."""
        deadline = monotonic() + CLOSE_S
        while True:
            try:
                await self.control.unregister_system_shared_memory(name, client_timeout=CLOSE_S)
                return True
            except InferenceServerException as error:
                # Triton holds on to a region for a moment after its answer.
                if IN_USE not in str(error.message()) or monotonic() > deadline:
                    return status_of(error) == "UNAVAILABLE"  # what is gone has forgotten it
            await asyncio.sleep(0.02)

    async def regions(self) -> list[str]:
        """The regions that Triton has mapped, ours and others'."""
        try:
            status = await self.control.get_system_shared_memory_status(
                client_timeout=self.control_s
            )
        except InferenceServerException:
            return []
        return list(status.regions)

    async def close(self) -> None:
        await self.clients.close()
        if self.own is not None:
            await self.own.close()


def status_of(error: InferenceServerException) -> str:
    """The name of the gRPC status, as in grpc.StatusCode."""
    return str(error.status()).removeprefix("StatusCode.")


def refusal(name: str, status: str, message: str, url: str, after_s: float) -> Refusal:
    """The code and sentence of a failure that is Triton's; gRPC's own words are for the log."""
    where = f"Triton at {url}"
    if status == "DEADLINE_EXCEEDED":
        return Refusal("triton_timeout", f"{where} did not answer for {name} in {after_s:g} s")
    if FULL in message or status == "RESOURCE_EXHAUSTED":
        return Refusal(
            "triton_overloaded", f"{where} has a full queue for {name}; ask less of it at a time"
        )
    if status == "NOT_FOUND" or "unknown model" in message or "is not ready" in message:
        return Refusal(
            "model_not_loaded",
            f"{where} has no model {name}; start it with that model and track "
            "(`windtunnel triton --help`), or choose another track",
        )
    if status in ("UNAVAILABLE", "CANCELLED") or STUB_DEAD in message:
        return Refusal(
            "triton_unavailable",
            f"{where} does not answer for {name}; start it (`windtunnel triton`) or take track A",
        )
    said = message.splitlines()[0][:300] if message else status
    return Refusal("triton_failed", f"{where} failed on {name}: {said}")
