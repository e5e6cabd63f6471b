"""
The numbers behind /metrics: counted without a lock, kept in files that all workers map.

Counting is one addition in memory, because it happens in the path of every request. Where there
are several workers, each has a file of its own in a folder of the service, and whichever of them
is asked adds all files up. A worker that is killed leaves its file as it stood at the last request;
the next one to start takes the file over and counts on. So no counter ever falls, and there are
never more files than there were workers at one time.

The cells of all label values are laid out beforehand: few enough, since every label is bounded, and
files of one layout add up as arrays.
"""

import fcntl
import mmap
import os
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count, product
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from service.telemetry import SECONDS, Metric

WIDTH = len(SECONDS) + 2  # a histogram's buckets, the one without a bound, and the sum
PREFIX = "tally-"

# What a file says about the process that counts in it, before the cells.
PID, BORN, CPU_BEFORE_S, CPU_SEEN_S, HEAD = 0, 1, 2, 3, 4

Numbers = NDArray[np.float64]
Values = tuple[str, ...]
# Of doubles, which memoryview's type cannot say before Python 3.14.
Cells = Any


class Layout:
    """Where each series of each metric has its cell or, a histogram, its WIDTH cells."""

    def __init__(self, domains: Mapping[Metric, Sequence[Sequence[str]]]) -> None:
        """`domains` has for each metric the values that each of its labels may take."""
        self.at: dict[Metric, dict[Values, int]] = {}
        end = HEAD
        for metric, values in domains.items():
            width = WIDTH if metric.kind == "histogram" else 1
            places = self.at[metric] = {}
            for labels in product(*values):
                places[labels] = end
                end += width
        self.size = end

    def series(
        self, metric: Metric, numbers: Numbers, awaited: Collection[Values] = ()
    ) -> Iterator[tuple[Values, Numbers]]:
        """Each series with its cells: all where they are few, else those awaited or counted."""
        width = WIDTH if metric.kind == "histogram" else 1
        for labels, at in self.at[metric].items():
            cells = numbers[at : at + width]
            if len(labels) <= 1 or labels in awaited or cells.any():
                yield labels, cells


class Tally:
    """One process' file, or plain memory where there is only one process and no folder."""

    def __init__(self, layout: Layout, gauges: Iterable[Metric], folder: Path | None) -> None:
        self.layout = layout
        self.folder = folder
        self.gauges = [at for metric in gauges for at in layout.at[metric].values()]
        if folder is None:
            self.number = 0
            self.memory = mmap.mmap(-1, layout.size * 8)
        else:
            # The descriptor is never closed: it has the lock.
            self.number, self.file = free_file(folder, layout.size * 8)
            self.memory = mmap.mmap(self.file, layout.size * 8)
        self.cells = memoryview(self.memory).cast("d")
        for at in self.gauges:  # those of the file's last owner went with it
            self.cells[at] = 0.0
        self.cells[CPU_BEFORE_S] = self.cells[CPU_SEEN_S]
        self.cells[BORN] = psutil.Process().create_time()
        self.cells[PID] = os.getpid()

    def add(self, at: int, amount: float = 1.0) -> None:
        self.cells[at] += amount

    def set(self, at: int, value: float) -> None:
        self.cells[at] = value

    def observe(self, at: int, seconds: float) -> int:
        """Count in a histogram; which of its cells it was."""
        cells, bucket = self.cells, at + bisect_left(SECONDS, seconds)
        cells[bucket] += 1.0
        cells[at + WIDTH - 1] += seconds
        return bucket

    def parts(self) -> list["Part"]:
        """
        What every worker has counted, and those before it whose files they took over.

        Our own is in memory, wherever its file has gone: somebody may clean the folder.
        """
        found = [Part(self.number, self.cells)]
        for number, path in files(self.folder) if self.folder else []:
            with suppress(FileNotFoundError):
                if number != self.number and path.stat().st_size >= self.layout.size * 8:
                    found.append(Part(number, mapped(path, self.layout.size * 8)))
        return sorted(found, key=lambda part: part.number)

    def sums(self, parts: Iterable["Part"]) -> Numbers:
        """All cells added up, but the gauges only of those that live."""
        total: Numbers = np.zeros(self.layout.size)
        for part in parts:
            numbers = np.array(part.cells)
            if part.process is None:
                numbers[self.gauges] = 0.0
            total += numbers
        return total


class Part:
    """One worker's file, and its process if that lives."""

    def __init__(self, number: int, cells: Cells) -> None:
        self.number, self.cells = number, cells
        self.process = living(int(cells[PID]), cells[BORN])

    def cpu_s(self) -> float:
        """
        The CPU time of all processes that have counted in this file.

        What was once said is remembered in it, so that the next owner does not begin below.
        """
        cells = self.cells
        if self.process is not None:
            with suppress(psutil.Error):  # it has just ended: what was said last holds
                used = self.process.cpu_times()
                now = cells[CPU_BEFORE_S] + used.user + used.system
                cells[CPU_SEEN_S] = max(cells[CPU_SEEN_S], now)
        return float(cells[CPU_SEEN_S])


def living(pid: int, born: float) -> psutil.Process | None:
    """The process itself: not gone, not uncollected by its parent, not another of the same pid."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - born) < 1
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.Error, ValueError):
        return None


def files(folder: Path) -> list[tuple[int, Path]]:
    found = [(int(path.name.removeprefix(PREFIX)), path) for path in folder.glob(f"{PREFIX}*")]
    return sorted(found)


def mapped(path: Path, size: int) -> Cells:
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), size)).cast("d")


def free_file(folder: Path, size: int) -> tuple[int, int]:
    """
    Number and descriptor of the first file that nobody holds, locked; a new one if all are held.

    The lock goes with the process, however that ends.
    """
    for number in count():
        descriptor = os.open(folder / f"{PREFIX}{number}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        # With blocks behind it: counting in a file that a full disk cannot hold ends the process.
        os.posix_fallocate(descriptor, 0, size)
        return number, descriptor
    raise AssertionError("unreachable")


def cumulative(cells: Numbers) -> tuple[list[tuple[str, float]], float]:
    """A histogram's buckets as Prometheus has them, each with all below it, and the sum."""
    bounds = [*map(repr, SECONDS), "+Inf"]  # as OpenMetrics writes them: 1.0, not 1
    return list(zip(bounds, np.cumsum(cells[:-1]).tolist(), strict=True)), float(cells[-1])
