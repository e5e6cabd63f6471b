"""The tiny service of tests/data/tiny_checkout, and campaigns for it."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
CHECKOUT = ROOT / "tests/data/tiny_checkout"
IMAGE = ROOT / "loadtests/images/cat-451x300.jpg"

HEAD = """# Which of two tiny services is faster?
name = "tiny"
images = "loadtests/images/cat-451x300.jpg"
warmup_s = 0.1
"""


def campaign(folder: Path, *, one: str = "bytes", two: str = "bytes", more: str = "") -> Path:
    """A campaign of two variants that behave as they are told."""
    text = HEAD + (more or "clients = [1, 4]\nrepeats = 2\nduration_s = 0.3\n")
    for name, behaviour in (("one", one), ("two", two)):
        text += f'[variants.{name}]\nSERVICE_JSON = "{behaviour}"\n'
    file = folder / "tiny.toml"
    file.write_text(text)
    return file


def is_there(process: psutil.Process) -> bool:
    """Whether it runs; it may end between two questions."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def await_gone(processes: list[psutil.Process], seconds: float = 30) -> list[psutil.Process]:
    """Those of some processes that are still there after a while; a zombie is gone."""
    deadline = time.monotonic() + seconds
    while True:
        left = [process for process in processes if is_there(process)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


@contextmanager
def occupied_port() -> Iterator[int]:
    """A port on which somebody else listens, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
