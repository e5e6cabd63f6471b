"""
A service of one worker that can also run its stages in a tight loop.

benchmarks/components/overhead.py measures it:

    SERVICE_PRESET=optimized python -m service overhead loadtests/images

Service and loop are one process with one memory, because the same inference can take 5 %
longer in another process of the same program. The first line on stdout is the port. Each line
on stdin is then answered with the CPU time so far: `read`, or `loop MODEL FIRST END` for the
stages of those pictures, on a thread of the service, before it.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn

from service import imaging
from service.app import create_app
from service.clock import Clock
from service.limits import App
from service.server import configuration, listen
from service.settings import Settings
from service.tracks import Answer
from service.worker import Worker

# What the event loop still does after the client has its answer belongs to the request.
SETTLE_S = 0.002


class Counted:
    """The stages of track A, and the CPU time of those that ran for requests."""

    def __init__(self, stages: Callable[[str, bytes, Clock], Answer]) -> None:
        self.stages = stages
        self.spent_ns = 0

    def __call__(self, model: str, data: bytes, clock: Clock) -> Answer:
        began = time.thread_time_ns()
        answer = self.stages(model, data, clock)
        self.spent_ns += time.thread_time_ns() - began
        return answer

    def loop(self, model: str, pictures: list[bytes]) -> None:
        """The same without counting."""
        for picture in pictures:
            self.stages(model, picture, Clock())


def control(worker: Worker, counted: Counted, pictures: list[bytes]) -> None:
    """Answer stdin; this thread's own CPU time is not the service's."""
    for line in sys.stdin:
        if line.startswith("loop"):
            _, model, first, end = line.split()
            some = pictures[int(first) : int(end)]
            worker.slots.executor.submit(counted.loop, model, some).result()
        time.sleep(SETTLE_S)
        cpu_ns = time.process_time_ns() - time.thread_time_ns()
        print(json.dumps({"cpu_ns": cpu_ns, "stages_ns": counted.spent_ns}), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)  # whoever asked is gone, and nobody else would end it


def serve(settings: Settings, images: Path) -> None:
    pictures = [file.read_bytes() for file in sorted(images.glob("*.jpg"))]

    def counting() -> App:
        imaging.prepare(settings.imaging)
        worker = Worker(settings)
        worker.warm_up()
        counted = Counted(worker.local.stages)
        worker.local.stages = counted  # type: ignore[method-assign]
        threading.Thread(target=control, args=(worker, counted, pictures), daemon=True).start()
        return create_app(worker)

    config = configuration(settings)
    config.app = counting
    with listen(settings) as listener:
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(config).run(sockets=[listener])
