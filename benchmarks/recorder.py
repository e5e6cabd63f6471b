"""
Writes a record: each file and each repeat whole or not at all.

A repeat is written to a folder whose name begins with a dot and renamed when everything in it is on
the disk, so that neither Ctrl-C nor kill -9 nor a full disk leaves a repeat that is not one.
"""

import errno
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.processes import RunError
from benchmarks.record import CELL, FACTS, SAMPLES, STACKS, Record, Visit, shown

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REPEATS_KEPT = "the repeats that were completed are kept and nothing half-written was taken for one"


class Recorder:
    """The one writer of a record; it holds the record's lock until it is closed."""

    def __init__(self, path: Path, run: dict[str, Any] | None = None) -> None:
        with explained(path):
            path.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(path)
            if run is not None:
                write_json(path / "run.json", run)
        self.record: Record = record.load(path)
        with explained(path):
            for stale in (*path.glob("cells/*/*/.*.partial"), *path.glob("profiles/*/.*.partial")):
                shutil.rmtree(stale)

    @property
    def path(self) -> Path:
        """The record's folder."""
        return self.record.path

    def save(self, **changes: Any) -> None:
        """Change facts of the run."""
        self.record.run.update(changes)
        with explained(self.path):
            write_json(self.path / "run.json", self.record.run)

    def begin(self, visit: Visit) -> Path:
        """An empty folder for a repeat that is about to be measured."""
        return self._emptied(self._partial(visit))

    def commit(self, visit: Visit, facts: dict[str, Any]) -> None:
        """Make the repeat part of the record."""
        folder, final = self._partial(visit), self.path / visit.folder
        if visit in self.record.completed():
            raise RunError(
                f"{shown(final)}: already there; a repeat is never measured twice; report this"
            )
        with explained(self.path):
            write_json(folder / CELL, facts)
            _sync(folder / SAMPLES)
            _sync(folder)
            shutil.rmtree(final, ignore_errors=True)  # one that lost a file is not complete
            folder.rename(final)
            _sync(final.parent)

    def discard(self, visit: Visit) -> None:
        """Forget a repeat that could not be measured."""
        shutil.rmtree(self._partial(visit), ignore_errors=True)

    def begin_profile(self, visit: Visit) -> Path:
        """An empty folder for the files of a profile that is about to be taken."""
        return self._emptied(self._partial_profile(visit))

    def commit_profile(self, visit: Visit, stacks: Path, facts: dict[str, Any]) -> None:
        """Make a profile part of the record: the stacks, then what says that they are whole."""
        final = self.record.profile_path(visit.variant, visit.level)
        with explained(self.path):
            said = stacks.with_name(f"{final.name}{FACTS}")
            write_json(said, facts)
            _sync(stacks)
            stacks.rename(final.with_name(final.name + STACKS))
            said.rename(final.with_name(said.name))
            _sync(final.parent)
        self.discard_profile(visit)

    def discard_profile(self, visit: Visit) -> None:
        """Forget what is left of taking a profile."""
        shutil.rmtree(self._partial_profile(visit), ignore_errors=True)

    def close(self) -> None:
        """Let another runner have the record."""
        os.close(self._lock)

    def _emptied(self, folder: Path) -> Path:
        with explained(self.path):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        return folder

    def _partial_profile(self, visit: Visit) -> Path:
        return _being_written(self.record.profile_path(visit.variant, visit.level))

    def _partial(self, visit: Visit) -> Path:
        return _being_written(self.path / visit.folder)


def _being_written(final: Path) -> Path:
    """The folder beside it that no reader takes for it."""
    return final.with_name(f".{final.name}.partial")


def run_name() -> str:
    """A name that sorts by time and is not taken."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + "-" + secrets.token_hex(3)


def now() -> str:
    """The time, as the record writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a file that is either the old or the new one, whatever happens."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            json.dump(value, file, indent=1, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextmanager
def explained(
    path: Path, remedy: str = "choose another with --results", kept: str = REPEATS_KEPT
) -> Iterator[None]:
    """Say in a person's words that a disk is full, what is kept, or that it cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise RunError(disk_full(path, kept)) from error
        raise RunError(
            f"{shown(path)}: cannot be written ({error}); expected a folder of yours; {remedy}"
        ) from error


def disk_full(path: Path, kept: str = REPEATS_KEPT) -> str:
    """The message for a full disk."""
    return f"{shown(path)}: no space left on the disk; {kept}; make room"


def has_room(path: Path, wanted_bytes: int = 1 << 20) -> bool:
    """Whether the disk can take about one more repeat."""
    return shutil.disk_usage(path).free >= wanted_bytes


def _lock(path: Path) -> int:
    """Hold the record against another runner; the kernel lets go when this process ends."""
    lock = os.open(path / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise RunError(
            f"{shown(path)}: another runner is writing this record; expected to be alone;"
            " wait for it, or stop it"
        ) from error
    return lock


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
