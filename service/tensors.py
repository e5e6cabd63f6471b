"""
Where a picture lies on its way to Triton, and the raw output on its way back.

On one machine both sides map the same memory, and neither tensor is copied through a socket. A
region is made when it is first needed, filled by the letterboxing itself, and reused; its name is
removed as soon as Triton has mapped it, so that neither end can leave it in /dev/shm. Where Triton
does not see this machine's memory, the tensors go inline. Regions are kept for the next peak: at
most MAX_BYTES in a worker.
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

from service.clock import Clock
from service.imaging import Canvas
from service.limits import Refusal
from service.triton import RegionLostError, Triton

FOLDER = Path("/dev/shm")
# One that was given up while Triton may still write to it is kept for so long, and then forgotten.
QUARANTINE_S = 60.0
# After Triton could not map a region, tensors go inline for so long.
RETRY_S = 30.0
MAX_BYTES = 512 * 2**20

# A pid means something in its own namespace only, so that is part of the name.
OWN = f"windtunnel-{Path('/proc/self/ns/pid').stat().st_ino}"
OURS = re.compile(rf"{OWN}-(\d+)-[0-9a-f]+")

Arrays = list[NDArray[Any]]
Shapes = dict[str, tuple[int, ...]]

log = logging.getLogger("service")


class Tensors:
    """The square of one request, and what Triton is told about it: all of it in the request."""

    def __init__(self, size: int, outputs: Shapes) -> None:
        self.canvas = Canvas(size)
        self.in_use = False  # sent and not answered: Triton may read and write the memory
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

    def __init__(self, size: int, outputs: Shapes) -> None:
        super().__init__(size, outputs)
        pixels = size * size * 3
        self.shape = outputs.get("output0")
        self.bytes = region_bytes(size, outputs)
        self.name = f"{OWN}-{os.getpid()}-{secrets.token_hex(6)}"
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


def region_bytes(size: int, outputs: Shapes) -> int:
    shape = outputs.get("output0")
    return size * size * 3 + (4 * int(np.prod(shape)) if shape else 0)


class Memory:
    """What one worker shares with Triton: one budget, whichever model the regions are of."""

    def __init__(self, triton: Triton, *, wanted: bool) -> None:
        self.triton, self.wanted = triton, wanted
        self.known: dict[str, int] = {}  # bytes of each region that Triton has, or is being told of
        self.bytes = 0
        self.inline_until = 0.0
        self.closed = False
        self.retiring: set[asyncio.Task[None]] = set()

    async def share(self, size: int, outputs: Shapes) -> SharedTensors | None:
        """Tensors in a new region; None where there is no room, or Triton does not see it."""
        need = region_bytes(size, outputs)
        if (
            not self.wanted
            or self.closed
            or self.bytes + need > MAX_BYTES
            or monotonic() < self.inline_until
        ):
            return None
        try:
            tensors = SharedTensors(size, outputs)
        except OSError as error:
            self.go_inline(str(error))
            return None
        # Before Triton is asked: others ask at the same time, and the budget is for all.
        self.known[tensors.name] = need
        self.bytes += need
        trouble = "it was not asked"
        try:
            trouble = await self.triton.register(tensors.name, need)
        finally:
            tensors.drop_name()
            if trouble:
                self.forget(tensors.name)
        if trouble:
            self.go_inline(trouble)
            return None
        self.inline_until = 0.0
        return tensors

    def go_inline(self, trouble: str) -> None:
        """Say so when it begins, and not each time that it is tried again."""
        if self.inline_until == 0.0:
            log.warning("tensors go to Triton inline: %s", trouble)
        self.inline_until = monotonic() + RETRY_S

    def forget(self, name: str) -> None:
        self.bytes -= self.known.pop(name, 0)

    def retire(self, tensors: SharedTensors) -> None:
        """Never used again: Triton may still write an answer that nobody waits for."""
        if self.closed or tensors.name not in self.known:
            return

        async def later() -> None:
            await asyncio.sleep(QUARANTINE_S)
            if await self.triton.unregister(tensors.name):
                self.forget(tensors.name)

        task = asyncio.create_task(later())
        self.retiring.add(task)
        task.add_done_callback(self.retiring.discard)

    async def close(self) -> None:
        """Have Triton let go of the memory, which it would otherwise keep as long as it lives."""
        self.closed = True
        for task in self.retiring:
            task.cancel()
        await asyncio.gather(*self.retiring, return_exceptions=True)
        names = list(self.known)
        let_go = await asyncio.gather(*(self.triton.unregister(name) for name in names))
        if kept := let_go.count(False):
            log.warning("Triton still has %d of our regions of shared memory mapped", kept)
        self.known.clear()
        self.bytes = 0


class Store:
    """Tensors of one model, as many as requests are in flight; the last used first, caches warm."""

    def __init__(self, memory: Memory, size: int, outputs: Shapes) -> None:
        self.memory, self.size, self.outputs = memory, size, outputs
        self.free: list[Tensors] = []

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Tensors]:
        """Tensors for one request, which are nobody else's until it ends."""
        tensors = self.free.pop() if self.free else await self.make()
        try:
            yield tensors
        except asyncio.CancelledError:
            tensors.in_use = True  # a thread may go on to fill them, or Triton to answer
            raise
        finally:
            self.put_back(tensors)

    async def make(self) -> Tensors:
        shared = await self.memory.share(self.size, self.outputs)
        return shared or Tensors(self.size, self.outputs)

    def put_back(self, tensors: Tensors) -> None:
        if isinstance(tensors, SharedTensors):
            if tensors.in_use:
                self.memory.retire(tensors)
            elif tensors.name in self.memory.known:
                self.free.append(tensors)
        # Where memory can be shared, inline is what one does without it for a while.
        elif not tensors.in_use and not self.memory.wanted:
            self.free.append(tensors)

    async def infer(
        self, name: str, tensors: Tensors, pixels: NDArray[np.uint8], clock: Clock
    ) -> Arrays:
        """The outputs of one inference; those in shared memory end with the request."""
        tensors.send(pixels)
        tensors.in_use = True
        try:
            result = await self.memory.triton.infer(name, [tensors.input], tensors.outputs, clock)
        except RegionLostError:
            tensors.in_use = False
            return await self.infer_inline(name, tensors, pixels, clock)
        except Refusal as error:
            # Otherwise Triton has answered, and will write nothing more.
            tensors.in_use = error.code in ("triton_timeout", "triton_unavailable")
            raise
        tensors.in_use = False
        return tensors.results(result)

    async def infer_inline(
        self, name: str, lost: Tensors, pixels: NDArray[np.uint8], clock: Clock
    ) -> Arrays:
        """The same for a server that is another one, and knows none of our regions."""
        if isinstance(lost, SharedTensors):
            log.info("Triton does not know %s: it was started anew", lost.name)
            self.memory.forget(lost.name)
        plain = Tensors(self.size, self.outputs)
        plain.send(pixels)
        result = await self.memory.triton.infer(name, [plain.input], plain.outputs, clock)
        return plain.results(result)


async def unregister_dead(triton: Triton) -> None:
    """Have Triton let go of the memory of workers that were killed, as far as we can see them."""
    for name in await triton.regions():
        owner = OURS.fullmatch(name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            await triton.unregister(name)
