"""
A fresh service of ours for one block of a component, started as a campaign starts its variants.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.environments import ROOT
from benchmarks.variants import Request, Service, service_command


@contextmanager
def launched(
    name: str, settings: dict[str, str], request: Request, path: str, folder: Path
) -> Iterator[tuple[Service, Path]]:
    """A service of the default environment that has answered *request* at *path*; and its log."""
    log = folder / f"{name}.txt"
    command = service_command(settings, Path(sys.executable), ROOT, None)
    target = Service(name, command, request, path, log)
    try:
        target.start()
        target.wait_ready()
        yield target, log
    finally:
        target.stop()
