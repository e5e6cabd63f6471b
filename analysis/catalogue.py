"""
Which runs there are: one row for each record under a results folder, whatever state it is in.

A run that cannot be read costs its row, never the list. What a row says comes from run.json alone
and is kept in an index outside the records (`cache.py`), by the file's size and time: of ten
thousand runs, only those that are new are read.
"""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any

from analysis import cache
from analysis.words import machine
from benchmarks.record import Record, RecordError, load

KIND = "catalogue"


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One run, as far as it can be told without its samples.

    Of a run that cannot be read only `path`, `id`, `campaign`, `run` and `problem` are known. Texts
    come from run.json as they are: they must not become markup. Times are ISO texts in UTC.
    """

    path: Path
    id: str  # `campaign/run`: where it lies below the results folder
    campaign: str
    run: str
    problem: str | None = None  # why it cannot be read, and what to do about it
    started: str = ""
    finished: str | None = None
    status: str = ""  # running (or killed), interrupted, complete
    question: str = ""
    model: str | None = None
    tracks: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()  # the A/A copy is the last
    levels: tuple[str, ...] = ()
    repeats: int = 0  # as planned
    reference: str = ""
    aa: str | None = None
    slo: str | None = None
    commit: str | None = None
    dirty: bool | None = None  # None: not known
    machine: str = ""
    machine_key: str = ""  # alike for runs whose absolute numbers may be compared
    imported: str | None = None  # the tool that measured it, if it was not this one
    undated: bool = False  # its files did not tell when it ran: the times are those of the import


KEPT = [field.name for field in fields(Entry)][1:]  # what the index holds of a run: not its path


def entries(results: Path) -> list[Entry]:
    """Every run below *results*, newest first; none if there is no such folder."""
    root = str(results.resolve())
    known = _index(cache.read(KIND, root))
    found, rows = [], {}
    for name, path, state in _runs(results):
        row = known.get(name)
        if row is None or row[0] != state:
            entry = _read(path, name)
            row = [state, *_values(entry)] if entry.problem is None else None
        else:
            entry = _entry(path, row[1:])
        if row is not None:
            rows[name] = row
        found.append(entry)
    if rows != known:
        cache.write(KIND, root, {"fields": KEPT, "rows": rows})
    return sorted(found, key=_when, reverse=True)


def find(results: Path, run_id: str) -> Path | None:
    """
    The folder of the run whose `Entry.id` is *run_id*; None if there is none.

    The only way from a foreign text, such as a URL's, to a path: it is looked up, never joined.
    """
    return next((path for name, path, _ in _runs(results) if name == run_id), None)


def progress(entry: Entry) -> tuple[int, int]:
    """How many visits are complete and how many were planned; (0, 0) if it cannot be read."""
    try:
        record = load(entry.path)
        return len(record.completed()), len(record.order())
    except (RecordError, OSError):
        return 0, 0


def machine_key(facts: Mapping[str, Any]) -> str:
    """A short name of what makes machines differ: alike, and absolute numbers may be compared."""
    cpus, memory = facts.get("available_cpus"), facts.get("memory_bytes")
    what = [facts.get(key) for key in ("cpu", "cores", "virtualization", "governor")]
    what.append(len(cpus) if isinstance(cpus, list) else None)
    # The kernel keeps a little for itself, and at another start another little.
    what.append(round(memory / 2**30) if memory else None)
    what.append(str(facts.get("kernel")).partition(".")[0])
    return blake2b(json.dumps(what, default=str).encode(), digest_size=5).hexdigest()


def _runs(results: Path) -> Iterator[tuple[str, Path, list[int]]]:
    """Each run's id and folder, and what changes with its run.json: size and time."""
    # Texts and no paths: of ten thousand runs, paths take longer than everything else.
    base, root = str(results), os.path.realpath(results)
    for campaign in _folders(base, root):
        for folder in (campaign, *_folders(campaign, root)):
            try:
                state = os.lstat(f"{folder}/run.json")
            except OSError:
                continue
            # Neither a link to somewhere else nor a pipe, which would never end.
            if stat.S_ISREG(state.st_mode):
                name = _text(folder.removeprefix(base).strip("/"))
                yield name, Path(folder), [state.st_size, state.st_mtime_ns]


def _folders(path: str, root: str) -> Iterator[str]:
    """The folders in a folder; none whose name begins with a dot, and none outside *root*."""
    try:
        found = [each for each in os.scandir(path) if not each.name.startswith(".")]
    except OSError:
        return
    for each in sorted(found, key=lambda each: each.name):
        inside = not each.is_symlink() or Path(each.path).resolve().is_relative_to(root)
        if inside and each.is_dir():
            yield each.path


def _read(path: Path, name: str) -> Entry:
    campaign, run = _text(path.parent.name), _text(path.name)
    try:
        return _told(load(path), name)
    except (RecordError, OSError) as error:
        return Entry(path, name, campaign, run, problem=_text(str(error)))


def _told(record: Record, name: str) -> Entry:
    run, campaign = record.run, record.campaign
    facts, commit = run.get("machine") or {}, run.get("commit") or {}
    dirty = commit.get("dirty")
    return Entry(
        path=record.path,
        id=name,
        campaign=_text(record.name),
        run=_text(record.path.name),
        started=_text(run.get("started")),
        finished=_text(run.get("finished")) or None,
        status=record.status,
        question=_text(record.question),
        model=_text(campaign.get("model")) or None,
        tracks=tuple(map(_text, record.tracks)),
        variants=tuple(map(_text, record.variants)),
        levels=tuple(record.levels),
        repeats=record.repeats,
        reference=_text(record.reference),
        aa=_text(record.aa) or None,
        slo=_text(campaign.get("slo")) or None,
        commit=_text(commit.get("sha")) or None,
        dirty=dirty if isinstance(dirty, bool) else None,
        machine=_text(machine(facts)),
        machine_key=machine_key(facts),
        imported=_importer(run.get("imported")),
        undated=_is_undated(run),
    )


def _importer(told: Any) -> str | None:
    return _text(told.get("tool") if isinstance(told, dict) else told) or None


def _is_undated(run: Mapping[str, Any]) -> bool:
    """An import writes its own time where the files have none."""
    about = run.get("imported")
    return isinstance(about, dict) and about.get("at") == run.get("started")


def _text(value: Any) -> str:
    """A text that every file and terminal can hold; damage may have left half characters."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode()


def _index(kept: Any) -> dict[str, list[Any]]:
    """The rows of an index that was kept, if they are of this very form."""
    if not isinstance(kept, dict) or kept.get("fields") != KEPT:
        return {}
    rows: dict[str, list[Any]] = kept["rows"]
    return rows


def _values(entry: Entry) -> list[Any]:
    values = (getattr(entry, name) for name in KEPT)
    return [list(value) if isinstance(value, tuple) else value for value in values]


def _entry(path: Path, values: list[Any]) -> Entry:
    as_kept: list[Any] = [tuple(value) if isinstance(value, list) else value for value in values]
    return Entry(path, *as_kept)


def _when(entry: Entry) -> tuple[str, str]:
    """By when a run was started; of one that does not tell, its folder's name does."""
    digits = "".join(filter(str.isdigit, entry.started or entry.run))[:14]
    return digits, entry.run
