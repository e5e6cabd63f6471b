"""
What signals do to a long command: all that end one do it like Ctrl-C, and none disturbs its end.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end a command like Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _signals(interrupt):
        yield


@contextmanager
def signals_ignored() -> Iterator[None]:
    """A second Ctrl-C while services are being stopped must not leave any behind."""
    with _signals(signal.SIG_IGN):
        yield


@contextmanager
def _signals(handler: Any) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
