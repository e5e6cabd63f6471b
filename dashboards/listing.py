"""
All runs as they are listed: by name, and as the rows of the page Runs, made once for each list.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain

from analysis.catalogue import Entry
from analysis.words import plain

BROKEN = "cannot be read"
HERE, IMPORTED = "measured here", "imported"
WHY = "question, or why it cannot be read"


class Listing:
    """Every run, newest first."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = {entry.id: entry for entry in entries}

    @cached_property
    def columns(self) -> dict[str, list[str]]:
        """The table's texts, by column."""
        every = self.entries.values()
        return {name: [plain(text(entry)) for entry in every] for name, text in COLUMNS.items()}

    @cached_property
    def searched(self) -> list[str]:
        """What a search looks at, run by run, in small letters."""
        return [" ".join(_words(entry)).casefold() for entry in self.entries.values()]

    def having(self, words: Sequence[str], wanted: dict[str, str]) -> list[int]:
        """The places of the runs that have all *words*, and in each column what is *wanted*."""
        columns = [(self.columns[name], value) for name, value in wanted.items()]
        return [
            place
            for place, text in enumerate(self.searched)
            if all(word in text for word in words)
            and all(column[place] == value for column, value in columns)
        ]


def _words(entry: Entry) -> Iterable[str]:
    first = (entry.id, entry.question, entry.commit or "", entry.machine, entry.model or "")
    return chain(first, entry.variants, entry.tracks)


COLUMNS: dict[str, Callable[[Entry], str]] = {
    "campaign": lambda entry: entry.campaign,
    "started (UTC)": lambda entry: entry.started.replace("T", " ").removesuffix("Z"),
    "status": lambda entry: BROKEN if entry.problem else entry.status,
    WHY: lambda entry: entry.problem or entry.question,
    "variants": lambda entry: ", ".join(entry.variants),
    "loads": lambda entry: str(len(entry.levels) or ""),
    "repeats": lambda entry: str(entry.repeats or ""),
    "model": lambda entry: entry.model or "",
    "commit": lambda entry: (entry.commit or "")[:7] + ("+" if entry.dirty else ""),
    "machine": lambda entry: entry.machine or "unknown",
    "source": lambda entry: IMPORTED if entry.imported else HERE,
    "tool": lambda entry: entry.imported or "",
    "run": lambda entry: entry.run,
}
