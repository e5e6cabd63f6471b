"""
The folder in which the workers of one service leave what the others have to know.

That they have been warm, and their tallies. It goes when the service ends; what a killed one left
goes when the next one starts.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "WINDTUNNEL_RUN_FOLDER"
PREFIX = "windtunnel-service-"
LOCK = "lock"
WARM = "warm-"


@contextmanager
def made() -> Iterator[None]:
    """A folder for this service, known to its workers, held as long as this process lives."""
    remove_left_behind()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    held = os.open(folder / f"{LOCK}.new", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    # Under its name only once it is locked: others are looking for those that are not.
    (folder / f"{LOCK}.new").rename(folder / LOCK)
    os.environ[VARIABLE] = str(folder)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def remove_left_behind() -> None:
    """Folders of ours whose process is gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            held = os.open(folder / LOCK, os.O_RDWR)
        except OSError:  # not locked yet, or another user's
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(held)


def here() -> Path | None:
    """The folder of the service that this process is a worker of; None for one by itself."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None


def say_warm() -> None:
    if folder := here():
        (folder / f"{WARM}{os.getpid()}").touch()


def warm(folder: Path) -> int:
    """How many workers have been warm."""
    return sum(1 for _ in folder.glob(f"{WARM}*"))
