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
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import NamedTuple, TextIO

from analysis.latency import AnalysisError
from analysis.words import plain

MAX_BYTES = 256 * 2**20
MAX_LINE = 4 * 2**20  # characters
MAX_DEPTH = 300  # frames; deeper ones count for the last that is kept
MAX_FRAMES = 5_000_000  # of all different stacks together
MAX_DIFFERENT = 500_000  # stacks, and frames
MAX_SAMPLES = 10**12
KEPT = 16  # profiles that were read and are not read again
AGAIN = "take it with `windtunnel profile --format collapsed`"

LINE = re.compile(r":\d+$")
OWNER = re.compile(r'process \d+(:".*)?|thread \(?(0x|\d).*', re.DOTALL)
# Where a thread waits, or has just been woken and has no CPU yet: asyncio's loop for its sockets,
# a loop in C (uvloop) behind the frame that called it, a pool's thread for work, any for another.
LOOP_IN_C = ("Runner.run", "asyncio/runners.py")
WAITING = {
    ("select", "selectors.py"),
    ("EpollSelector.select", "selectors.py"),
    ("PollSelector.select", "selectors.py"),
    ("SelectSelector.select", "selectors.py"),
    LOOP_IN_C,
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

    @property
    def label(self) -> str:
        """As people read it; of a package, its folder."""
        return f"{self.name} ({self.file})" if self.name and self.file else self.name or self.file


Stack = tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Stacks:
    """Samples by stack, the outermost frame first."""

    counts: dict[Stack, int]
    samples: int  # their sum
    waiting: int = 0  # samples of threads that waited, which are not in the counts
    in_loop: int = 0  # of these, in an event loop in C, where work looks the same as waiting
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
        found = path.stat()
        if found.st_size > MAX_BYTES:
            raise AnalysisError(
                f"{plain(path)}: larger than {MAX_BYTES >> 20} MB; expected collapsed stacks of"
                " one profile; profile for a shorter time"
            )
        return _read(path, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns))
    except OSError as error:
        raise AnalysisError(f"{plain(path)}: cannot be read ({error.strerror}); {AGAIN}") from error


@lru_cache(maxsize=KEPT)
def _read(path: Path, _state: tuple[int, ...]) -> Stacks:
    """Once for each state of the file: every part of an answer asks for the same profiles."""
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        return _counted(file, plain(path))


def parse(text: str, where: str = "profile") -> Stacks:
    """
    The stacks of lines `frame;frame;frame count`.

    AnalysisError, naming *where* and the line: one that is no such line, no sample at all, or more
    stacks than one profile has.
    """
    return _counted(StringIO(text, newline="\n"), where)


def _counted(file: TextIO, where: str) -> Stacks:
    counts: Counter[Stack] = Counter()
    waiting = in_loop = cut = frames = 0
    for stack, samples in _samples(file, where):
        if not stack or _waits(stack):
            waiting += samples
            in_loop += samples if stack[-1:] == (LOOP_IN_C,) else 0
            continue
        cut += samples if len(stack) > MAX_DEPTH else 0
        kept = stack[:MAX_DEPTH]
        frames += 0 if kept in counts else len(kept)
        counts[kept] += samples
        if frames > MAX_FRAMES or len(counts) > MAX_DIFFERENT:
            raise AnalysisError(_too_many(where, "stacks"))
    total = counts.total()
    if not total:
        raise AnalysisError(
            f"{where}: no sample of a thread that works; expected collapsed stacks of a service"
            f" under load; {AGAIN}"
        )
    return Stacks(dict(counts), total, waiting, in_loop, cut)


def _samples(file: TextIO, where: str) -> Iterator[tuple[Stack, int]]:
    """Each line's frames, without those that name a process or a thread, and its count."""
    known: dict[str, Frame | None] = {}
    for number, line in enumerate(_lines(file, where), 1):
        if not line.strip():
            continue
        frames, samples = _split(line, f"{where}, line {number}")
        found = (_known(frame, known) for frame in frames)
        yield tuple(frame for frame in found if frame is not None), samples
        if len(known) > MAX_DIFFERENT:
            raise AnalysisError(_too_many(where, "frames"))


def _too_many(where: str, what: str) -> str:
    return (
        f"{where}: more different {what} than a profile of one service has; expected up to"
        f" {MAX_DIFFERENT:,}, of {MAX_FRAMES:,} frames in all; profile for a shorter time"
    )


def _lines(file: TextIO, where: str) -> Iterator[str]:
    """By line feeds alone: str.splitlines knows others, which a name may contain."""
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE and not line.endswith("\n"):
            raise AnalysisError(
                f"{where}, line {number}: longer than {MAX_LINE:,} characters; expected"
                f" `frame;frame count`; {AGAIN}"
            )
        yield line.removesuffix("\n").removesuffix("\r")


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
