"""
A record that is looked at again and again while it may still grow: piece by piece.

Who keeps what was read (the app) asks `stamp` whether a repeat is still the one it knows.
"""

from pathlib import Path

from analysis.latency import AnalysisError
from analysis.reported import read
from benchmarks.record import RESULTS, Record, RecordError, Visit, load
from loadtests.samples import SamplesError

__all__ = ["PROBLEMS", "RESULTS", "AnalysisError", "Record", "Visit", "opened", "read", "stamp"]

# What reading a record ends with when it cannot be read, or not be compared: one line each.
PROBLEMS = (AnalysisError, RecordError, SamplesError, OSError)


def opened(path: Path) -> Record:
    """The record in a run's folder; RecordError if it is none."""
    return load(path)


def stamp(record: Record, visit: Visit) -> tuple[int, ...]:
    """Sizes and times of a visit's files: alike as long as nobody has written them again."""
    folder = record.path / visit.folder
    found: list[int] = []
    for file in sorted(folder.iterdir()):
        state = file.stat()
        found += state.st_size, state.st_mtime_ns
    return tuple(found)
