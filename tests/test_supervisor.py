"""Several workers under one supervisor: what becomes of one that ends."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Service, workers_of

Launch = Callable[..., tuple[Service, "subprocess.Popen[bytes]"]]


def test_a_worker_that_ends_while_it_is_asked_is_replaced_at_once(
    tmp_path: Path, launch: Launch
) -> None:
    service, _ = launch(tmp_path / "log", PRESET="optimized", WORKERS="2", TRACK="null")
    before = workers_of(service.pid)
    assert len(before) == 2
    os.kill(before[0], signal.SIGSTOP)
    time.sleep(1)  # it is asked twice a second, and 5 s are waited for its answer
    os.kill(before[0], signal.SIGKILL)
    killed = time.monotonic()
    while len(workers_of(service.pid)) < 2 or before[0] in workers_of(service.pid):
        assert time.monotonic() - killed < 2.5, "nobody took its place"
        time.sleep(0.05)
