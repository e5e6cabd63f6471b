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

from service import detection
from service.limits import STATUS, Refusal
from service.settings import Settings
from service.telemetry import Clock
from service.tracks import Track

CHANNEL = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC's own waits grow to two minutes; a server that is back would not be noticed for long.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
]
PROBE_S = 5.0
CLOSE_S = 1.0
UNKNOWN = "triton"  # the engine of a server that has not said which it is

REFUSED = re.compile(r"refused (\w+): (.*)", re.S)
IN_USE = "currently in use"
NO_REGION = "shared memory region"
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

    def __init__(self, url: str) -> None:
        self.url = url
        self.created = 0
        self.clients: OrderedDict[str, InferenceServerClient] = OrderedDict()  # none is kept

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[InferenceServerClient]:
        self.created += 1
        async with InferenceServerClient(self.url, channel_args=CHANNEL) as client:
            yield client

    async def close(self) -> None:
        """Each was closed when it had been used."""


class Triton:
    """One server, over gRPC; belongs to one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.triton_url
        self.timeout_s = settings.triton_timeout_s
        self.pooled = settings.clients == "pooled"
        self.clients = Pool(self.url, settings.pool_size) if self.pooled else Anew(self.url)
        # Calls that are not inferences of a request have a connection of their own.
        self.control = Pool(self.url, 1)
        self.engines: dict[str, str] = {}  # by Triton's model
        self.answers = False  # whether its last inference was one

    async def infer(
        self,
        name: str,
        inputs: Sequence[InferInput],
        outputs: Sequence[InferRequestedOutput],
        clock: Clock,
    ) -> InferResult:
        """One inference within the deadline, or the Refusal that its failure comes to."""
        headers = {"traceparent": clock.traceparent} if clock.traceparent else None
        with clock.stage("infer"):
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
                raise self.failed(name, error) from None
        self.answers = True
        if name not in self.engines:
            self.engines[name] = await self.engine(name)
        return result

    def failed(self, name: str, error: InferenceServerException) -> Exception:
        """What a failure of Triton means for the client of the service."""
        status, message = status_of(error), str(error.message())
        if status == "INVALID_ARGUMENT" and (by_decoder := REFUSED.search(message)):
            code, sentence = by_decoder.groups()
            return Refusal(code if code in STATUS else "image_broken", sentence)
        if NO_REGION in message:
            return RegionLostError(message)
        refused = refusal(name, status, message, self)
        if refused.code != "model_not_loaded":
            self.answers = False
            self.engines.clear()  # whoever answers next may be another
        return refused

    async def engine(self, name: str) -> str:
        """What runs a model, as its configuration says; no reason to fail a request."""
        try:
            async with self.control.client("control") as client:
                answer = await client.get_model_config(name, client_timeout=PROBE_S)
        except InferenceServerException:
            return UNKNOWN
        return answer.config.parameters["engine"].string_value or UNKNOWN

    async def register(self, name: str, size: int) -> str:
        """Have Triton map a region of shared memory; why it cannot, or nothing."""
        try:
            async with self.control.client("control") as client:
                await client.register_system_shared_memory(
                    name, f"/{name}", size, client_timeout=PROBE_S
                )
        except InferenceServerException as error:
            status = status_of(error)
            if status in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                raise self.failed("shared memory", error) from None
            return f"it cannot map {name}: {error.message()}"
        return ""

    async def unregister(self, name: str) -> None:
        """Have Triton forget a region; one that is gone has forgotten it already."""
        deadline = monotonic() + CLOSE_S
        while True:
            try:
                async with self.control.client("control") as client:
                    await client.unregister_system_shared_memory(name, client_timeout=CLOSE_S)
                return
            except InferenceServerException as error:
                # Triton holds on to a region for a moment after its answer.
                if IN_USE not in str(error.message()) or monotonic() > deadline:
                    log.debug("%s was not unregistered: %s", name, error.message())
                    return
            await asyncio.sleep(0.02)

    async def regions(self) -> list[str]:
        """The regions that Triton has mapped, ours and others'."""
        try:
            async with self.control.client("control") as client:
                status = await client.get_system_shared_memory_status(client_timeout=PROBE_S)
        except InferenceServerException:
            return []
        return list(status.regions)

    async def proven(self, track: Track) -> str:
        """
        What is wrong with the server; nothing if a real inference has answered.

        The last request tells, and if it failed, or there was none, a picture of our own. Which
        models are loaded is Triton's business: one that answers is enough.
        """
        if self.answers:
            return ""
        picture = detection.WARM_UP.read_bytes()
        trouble = f"Triton at {self.url} does not answer"
        for model in detection.SIZES:
            try:
                await asyncio.wait_for(track.answer(model, picture, Clock()), PROBE_S)
            except Refusal as error:
                trouble = error.message
                if error.code != "model_not_loaded":
                    break
            except TimeoutError:
                break
            else:
                return ""
        return trouble

    async def close(self) -> None:
        await self.clients.close()
        await self.control.close()


def status_of(error: InferenceServerException) -> str:
    """The name of the gRPC status, as in grpc.StatusCode."""
    return str(error.status()).removeprefix("StatusCode.")


def refusal(name: str, status: str, message: str, triton: Triton) -> Refusal:
    """The code and sentence of a failure that is Triton's."""
    said = message.splitlines()[0][:300] if message else status
    where = f"Triton at {triton.url}"
    if status == "DEADLINE_EXCEEDED":
        return Refusal(
            "triton_timeout", f"{where} did not answer for {name} in {triton.timeout_s:g} s"
        )
    if FULL in message or status == "RESOURCE_EXHAUSTED":
        return Refusal("triton_overloaded", f"{where} has too many requests for {name}: {said}")
    if status == "NOT_FOUND" or "unknown model" in message or "is not ready" in message:
        return Refusal("model_not_loaded", f"{where} has no model {name}: {said}")
    if status in ("UNAVAILABLE", "CANCELLED") or STUB_DEAD in message:
        return Refusal("triton_unavailable", f"{where} does not answer: {said}")
    return Refusal("triton_failed", f"{where} failed on {name}: {said}")
