"""
Collapsed stacks, as a sampling profiler writes them, to counted stacks that can be compared.

What would make two profiles of the same program differ is taken out: line numbers, the frames
that name a process or a thread, and samples of a thread that only waits. A profile is a file
that anybody may have written, so nothing in it is trusted but its numbers, within limits.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from analysis.latency import AnalysisError
from analysis.words import plain

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 300  # frames; deeper ones count for the last that is kept
MAX_SAMPLES = 10**12
AGAIN = "take it with `windtunnel profile --format collapsed`"

LINE = re.compile(r":\d+$")
OWNER = re.compile(r'process \d+(:".*)?|thread \(?(0x|\d).*', re.DOTALL)
# Where a thread waits, or has just been woken and has no CPU yet: asyncio's loop for its sockets,
# a loop in C (uvloop) behind the frame that called it, a pool's thread for work, any for another.
WAITING = {
    ("select", "selectors.py"),
    ("EpollSelector.select", "selectors.py"),
    ("PollSelector.select", "selectors.py"),
    ("SelectSelector.select", "selectors.py"),
    ("Runner.run", "asyncio/runners.py"),
    ("_worker", "concurrent/futures/thread.py"),
    ("wait", "threading.py"),
    ("Condition.wait", "threading.py"),
    ("Event.wait", "threading.py"),
    ("Barrier._wait", "threading.py"),
    ("Thread._wait_for_tstate_lock", "threading.py"),
}
# The same among native frames, whose library is written in many ways.
WAITING_IN_C = re.compile(
    r"_*(epoll_p?wait|poll|ppoll|select|clock_nanosleep|futex_wait|sem_\w*wait|take_gil"
    r"|futex_abstimed_wait\w*|pthread_cond_\w*wait\w*|PyThread_acquire_lock_timed)(@\S+)?"
)


class Frame(NamedTuple):
    """A function: its qualified name, and its file as the profiler shortens it ("" if unknown)."""

    name: str
    file: str


Stack = tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Stacks:
    """Samples by stack, the outermost frame first."""

    counts: dict[Stack, int]
    samples: int  # their sum
    waiting: int = 0  # samples of threads that waited, which are not in the counts
    cut: int = 0  # samples whose stacks were deeper than MAX_DEPTH

    @property
    def functions(self) -> Counter[Frame]:
        """Samples in which a function is anywhere on the stack: recursion counts once."""
        found: Counter[Frame] = Counter()
        for stack, samples in self.counts.items():
            for frame in set(stack):
                found[frame] += samples
        return found

    @property
    def leaves(self) -> Counter[Frame]:
        """Samples in which a function is what runs; each sample is in one of these."""
        found: Counter[Frame] = Counter()
        for stack, samples in self.counts.items():
            found[stack[-1]] += samples
        return found


def read(path: Path) -> Stacks:
    """The stacks of a file; AnalysisError if it cannot be read or is no such profile."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise AnalysisError(
                f"{plain(path)}: larger than {MAX_BYTES >> 20} MB; expected collapsed stacks of"
                " one profile; profile for a shorter time"
            )
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise AnalysisError(f"{plain(path)}: cannot be read ({error.strerror}); {AGAIN}") from error
    return parse(text, plain(path))


def parse(text: str, where: str = "profile") -> Stacks:
    """
    The stacks of lines `frame;frame;frame count`.

    AnalysisError, naming *where* and the line: one that is no such line, or no sample at all.
    """
    counts: Counter[Stack] = Counter()
    known: dict[str, Frame | None] = {}
    waiting = cut = 0
    for number, line in enumerate(_lines(text), 1):
        if not line.strip():
            continue
        frames, samples = _split(line, f"{where}, line {number}")
        stack = tuple(f for f in (_known(frame, known) for frame in frames) if f is not None)
        if not stack or _waits(stack):
            waiting += samples
            continue
        cut += samples if len(stack) > MAX_DEPTH else 0
        counts[stack[:MAX_DEPTH]] += samples
    total = counts.total()
    if not total:
        raise AnalysisError(
            f"{where}: no sample of a thread that works; expected collapsed stacks of a service"
            f" under load; {AGAIN}"
        )
    return Stacks(dict(counts), total, waiting, cut)


def _lines(text: str) -> Iterator[str]:
    """By line feeds alone: str.splitlines knows others, which a name may contain."""
    for line in text.split("\n"):
        yield line.removesuffix("\r")


def _split(line: str, where: str) -> tuple[list[str], int]:
    frames, space, count = line.rpartition(" ")
    samples = int(count) if count.isascii() and count.isdigit() and len(count) < 14 else 0
    if not space or not 0 < samples <= MAX_SAMPLES:
        found = plain(line[:40])
        raise AnalysisError(f"{where}: found {found!r}; expected `frame;frame count`; {AGAIN}")
    return frames.split(";"), samples


def _known(text: str, known: dict[str, Frame | None]) -> Frame | None:
    if text not in known:
        known[text] = _frame(text)
    return known[text]


def _frame(text: str) -> Frame | None:
    """None for what names a process or a thread: its number is another one each time."""
    text = plain(text.strip())
    if not text or OWNER.fullmatch(text):
        return None
    name, opened, file = text.removesuffix(")").rpartition(" (")
    return Frame(name, LINE.sub("", file)) if opened and text.endswith(")") else Frame(text, "")


def _waits(stack: Stack) -> bool:
    leaf = stack[-1]
    if leaf.file.endswith(".py"):
        return leaf in WAITING
    return WAITING_IN_C.fullmatch(leaf.name) is not None
