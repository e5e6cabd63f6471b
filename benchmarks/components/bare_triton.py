"""
A bare tritonclient loop: what a Triton gives to a client that does nothing but ask.

Run by benchmarks/components/triton.py, in a process of its own:

    python -m benchmarks.components.bare_triton ADDRESS MODEL CLIENTS SECONDS

The letterboxed photos of the corpus, uint8, and the raw output, in system shared memory, on uvloop
and with a pooled client: what the service's preset `optimized` uses on track B. It prints answers
and seconds as JSON.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.utils.shared_memory as shm
import uvloop
from PIL import Image, ImageOps
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient

from benchmarks.triton.probe import GREY, SIZES

IMAGES = Path(__file__).parents[2] / "loadtests/images"
NAME = f"windtunnel-bare-{os.getpid()}"
TIMEOUT_S = 10.0


def squares(side: int) -> list[Any]:
    """The photos as track B's tensors."""
    files = sorted(IMAGES.glob("*.jpg"))
    pictures = [Image.open(file).convert("RGB") for file in files]
    return [np.asarray(ImageOps.pad(p, (side, side), color=GREY))[None] for p in pictures]


async def client(
    server: InferenceServerClient, model: str, number: int, tensors: list[Any], end: float
) -> int:
    """Ask until the time is over, from a region of its own; how many answers there were."""
    pixels = tensors[0].nbytes
    cells = sum((tensors[0].shape[1] // stride) ** 2 for stride in (8, 16, 32))
    raw = 84 * cells * 4
    name = f"{NAME}-{number}"
    region = shm.create_shared_memory_region(name, f"/{name}", pixels + raw)
    try:
        await server.register_system_shared_memory(name, f"/{name}", pixels + raw)
        given = InferInput("images", list(tensors[0].shape), "UINT8")
        given.set_shared_memory(name, pixels)
        wanted = InferRequestedOutput("output0")
        wanted.set_shared_memory(name, raw, pixels)
        answers = 0
        while time.perf_counter() < end:
            shm.set_shared_memory_region(region, [tensors[(number + answers) % len(tensors)]])
            await server.infer(model, [given], outputs=[wanted], client_timeout=TIMEOUT_S)
            answers += 1
        return answers
    finally:
        shm.destroy_shared_memory_region(region)


async def measure(address: str, model: str, clients: int, seconds: float) -> dict[str, float]:
    tensors = squares(SIZES[model])
    async with InferenceServerClient(address) as server:
        began = time.perf_counter()
        jobs = (client(server, model, n, tensors, began + seconds) for n in range(clients))
        try:
            answers = sum(await asyncio.gather(*jobs))
            took = time.perf_counter() - began
        finally:
            # Triton still uses a region for a moment after its last answer, and says so.
            await asyncio.sleep(0.2)
            for number in range(clients):
                await server.unregister_system_shared_memory(f"{NAME}-{number}")
        return {"answers": answers, "seconds": took}


if __name__ == "__main__":
    address, model, clients, seconds = sys.argv[1:]
    print(json.dumps(uvloop.run(measure(address, model, int(clients), float(seconds)))))
