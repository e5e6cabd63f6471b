"""
Where a picture lies on its way to Triton, and the raw output on its way back.

On one machine both sides map the same memory, and neither tensor is copied through a socket. A
region is made when it is first needed, filled by the letterboxing itself, and reused; its name is
removed as soon as Triton has mapped it, so that neither end can leave it in /dev/shm. Where Triton
does not see this machine's memory, the tensors go inline.
"""

import asyncio
import logging
import mmap
import os
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferRequestedOutput

from service.imaging import Canvas
from service.telemetry import Clock
from service.triton import RegionLostError, Triton

FOLDER = Path("/dev/shm")
# One that was given up while Triton may still write to it is kept for so long, and then forgotten.
QUARANTINE_S = 60.0
# After Triton could not map a region, tensors go inline for so long.
RETRY_S = 30.0
MAX_BYTES = 512 * 2**20

OURS = re.compile(r"windtunnel-(\d+)-[0-9a-f]+")

Arrays = list[NDArray[Any]]
Shapes = dict[str, tuple[int, ...]]

log = logging.getLogger("service")


class Tensors:
    """The square of one request, and what Triton is told about it: all of it in the request."""

    shared = False
    bytes = 0

    def __init__(self, size: int, outputs: Shapes) -> None:
        self.canvas = Canvas(size)
        self.at_triton = False  # sent and not answered: Triton may read and write the memory
        self.input = InferInput("images", [1, size, size, 3], "UINT8")
        self.outputs = [InferRequestedOutput(name) for name in outputs]

    def send(self, pixels: NDArray[np.uint8]) -> None:
        """Have the pixels where Triton reads them."""
        self.input.set_data_from_numpy(pixels[None])

    def results(self, result: Any) -> Arrays:
        """The outputs, without the dimension of the batch."""
        return [result.as_numpy(output.name())[0] for output in self.outputs]


class SharedTensors(Tensors):
    """The square in memory that Triton maps too, and behind it the raw output if there is one."""

    shared = True

    def __init__(self, size: int, outputs: Shapes) -> None:
        super().__init__(size, outputs)
        pixels = size * size * 3
        self.shape = outputs.get("output0")
        self.bytes = pixels + (4 * int(np.prod(self.shape)) if self.shape else 0)
        self.name = f"windtunnel-{os.getpid()}-{secrets.token_hex(6)}"
        self.memory = self.mapped()
        square = np.frombuffer(self.memory, np.uint8, pixels).reshape(size, size, 3)
        self.canvas = Canvas(size, square)
        self.input.set_shared_memory(self.name, pixels)
        if self.shape:
            self.outputs[0].set_shared_memory(self.name, self.bytes - pixels, pixels)

    def mapped(self) -> mmap.mmap:
        file = os.open(FOLDER / self.name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            # Memory that is promised and not there would end the process when it is written to.
            os.posix_fallocate(file, 0, self.bytes)
            return mmap.mmap(file, self.bytes)
        except OSError:
            self.drop_name()
            raise
        finally:
            os.close(file)

    def drop_name(self) -> None:
        """The memory stays, for those that have mapped it."""
        with suppress(FileNotFoundError):
            (FOLDER / self.name).unlink()

    def send(self, pixels: NDArray[np.uint8]) -> None:
        if pixels is not self.canvas.pixels:
            np.copyto(self.canvas.pixels, pixels)

    def results(self, result: Any) -> Arrays:
        """The raw output is read where Triton wrote it, while the request has the tensors."""
        if self.shape is None:
            return super().results(result)
        raw = np.frombuffer(self.memory, np.float32, offset=self.canvas.pixels.size)
        return [raw.reshape(self.shape)]


class Store:
    """Tensors of one model, as many as requests are in flight; the last used first, caches warm."""

    def __init__(self, triton: Triton, size: int, outputs: Shapes, *, shared: bool) -> None:
        self.triton, self.size, self.outputs = triton, size, outputs
        self.shared = shared
        self.free: list[Tensors] = []
        self.names: set[str] = set()  # of the regions that Triton knows
        self.bytes = 0
        self.inline_until = 0.0
        self.retiring: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Tensors]:
        """Tensors for one request, which are nobody else's until it ends."""
        tensors = self.free.pop() if self.free else await self.make()
        try:
            yield tensors
        finally:
            if not isinstance(tensors, SharedTensors):
                if not self.shared:
                    self.free.append(tensors)
            elif tensors.at_triton:
                self.retire(tensors)
            elif tensors.name in self.names:
                self.free.append(tensors)

    async def infer(
        self, name: str, tensors: Tensors, pixels: NDArray[np.uint8], clock: Clock
    ) -> Arrays:
        """The outputs of one inference; those in shared memory end with the request."""
        tensors.send(pixels)
        tensors.at_triton = True
        try:
            result = await self.triton.infer(name, [tensors.input], tensors.outputs, clock)
        except RegionLostError as error:
            log.warning("Triton knows our shared memory no longer; making it anew (%s)", error)
            self.forget()
            tensors.at_triton = False
            tensors = Tensors(self.size, self.outputs)
            tensors.send(pixels)
            result = await self.triton.infer(name, [tensors.input], tensors.outputs, clock)
        tensors.at_triton = False
        return tensors.results(result)

    async def make(self) -> Tensors:
        if self.shared and monotonic() >= self.inline_until:
            try:
                tensors = SharedTensors(self.size, self.outputs)
            except OSError as error:
                trouble = str(error)
            else:
                if self.bytes + tensors.bytes <= MAX_BYTES and not (
                    trouble := await self.introduce(tensors)
                ):
                    return tensors
            if trouble:
                self.inline_until = monotonic() + RETRY_S
                log.warning("tensors go to Triton inline for %g s: %s", RETRY_S, trouble)
        return Tensors(self.size, self.outputs)

    async def introduce(self, tensors: SharedTensors) -> str:
        """Have Triton map a region; why it cannot, or nothing."""
        try:
            trouble = await self.triton.register(tensors.name, tensors.bytes)
        finally:
            tensors.drop_name()
        if not trouble:
            self.names.add(tensors.name)
            self.bytes += tensors.bytes
        return trouble

    def forget(self) -> None:
        """The server is another one: it knows none of the regions."""
        self.free.clear()
        self.names.clear()
        self.bytes = 0

    def retire(self, tensors: SharedTensors) -> None:
        """Never used again: Triton may still write an answer that nobody waits for."""

        async def later() -> None:
            await asyncio.sleep(QUARANTINE_S)
            if tensors.name in self.names:
                self.names.discard(tensors.name)
                self.bytes -= tensors.bytes
                await self.triton.unregister(tensors.name)

        task = asyncio.create_task(later())
        self.retiring.add(task)
        task.add_done_callback(self.retiring.discard)

    async def close(self) -> None:
        """Have Triton let go of the memory, which it would otherwise keep as long as it lives."""
        for task in self.retiring:
            task.cancel()
        names = list(self.names)
        self.forget()
        await asyncio.gather(*(self.triton.unregister(name) for name in names))


async def unregister_dead(triton: Triton) -> None:
    """Have Triton let go of the memory of workers that were killed."""
    for name in await triton.regions():
        owner = OURS.fullmatch(name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            await triton.unregister(name)
