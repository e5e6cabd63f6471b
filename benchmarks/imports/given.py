"""
What the command line says of each file: NAME=FILE, NAME@8=FILE (clients), NAME@50/s=FILE (a rate).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import fields
from benchmarks.imports.locust import STATS
from benchmarks.imports.source import ForeignFileError, excerpt
from benchmarks.record import clients_level, rate_level

FORMS = "NAME=FILE, NAME@8=FILE (8 clients) or NAME@50/s=FILE (50 requests a second)"
COPY = ".aa"  # behind the reference's name: its second copy, as a campaign's `aa` makes one
MOST_CLIENTS, MOST_RATE = 9999, 10_000_000.0
_LEVEL = re.compile(r"(\d{1,9})|(\d{1,9}(?:\.\d{1,6})?)/s", re.ASCII)
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "": 1.0}


@dataclass(frozen=True, slots=True)
class Given:
    """A file, which variant it is a repeat of, and at which level, where that is said."""

    variant: str
    level: str | None
    path: Path

    @property
    def place(self) -> str:
        """As it was typed, for a message."""
        return f"{self.variant}={self.path}"


def read(texts: Iterable[str], level: str | None = None) -> list[Given]:
    """The files in the order given; *level* is that of those which name none."""
    found = []
    for text in texts:
        name, equals, file = text.partition("=")
        if not equals or not file:
            remedy = "put it behind the =" if equals else f"add one, such as baseline={text}"
            raise _wrong(text, "no file", remedy)
        name, at, own = name.partition("@")
        # It becomes a folder.
        fields.folder_name(excerpt(text), name.removesuffix(COPY))
        found.append(Given(name, _level(text, own) if at else level, _path(file)))
    return found


def copy_of(reference: str, names: Sequence[str]) -> str | None:
    """The reference's second copy, if there is one; ForeignFileError for a copy of another."""
    copies = [name for name in names if name.endswith(COPY)]
    for copy in copies:
        original = copy.removesuffix(COPY)
        if original != reference:
            other = f", or choose --reference {original}" if original in names else ""
            raise ForeignFileError(
                f"{copy}: a second copy of {original}; expected one of the reference, which is"
                f" {reference}; write {reference}{COPY}=FILE{other}"
            )
    return next(iter(copies), None)


def level_of(clients: int | None, rate: float | None) -> str | None:
    """The level of --clients or --rate."""
    if clients is not None and rate is not None:
        remedy = "a closed loop has clients, an open one a rate"
        raise ForeignFileError(f"--clients and --rate: both are there; expected one; {remedy}")
    if clients is not None:
        return _checked_clients("--clients", clients)
    return None if rate is None else _checked_rate("--rate", rate)


def seconds(text: str) -> float:
    """A duration such as 5s, 500ms, 1m; a number alone is seconds."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|)", text.strip(), re.ASCII)
    if match is None:
        raise ForeignFileError(
            f"--warmup: {excerpt(text)}; expected a duration; write 5s, 500ms or 1m"
        )
    return float(match[1]) * _SECONDS[match[2]]


def _level(text: str, own: str) -> str:
    match = _LEVEL.fullmatch(own)
    if match is None:
        raise _wrong(text, f"the level {excerpt(own)}", "write @8 or @50/s behind the name")
    if match[1]:
        return _checked_clients(excerpt(text), int(match[1]))
    return _checked_rate(excerpt(text), float(match[2]))


def _checked_clients(where: str, clients: int) -> str:
    if not 1 <= clients <= MOST_CLIENTS:
        raise fields.wrong(f"{where}: clients", clients, f"1 to {MOST_CLIENTS}")
    return clients_level(clients)


def _checked_rate(where: str, rate: float) -> str:
    if not 0.001 <= rate <= MOST_RATE:
        raise fields.wrong(f"{where}: rate", rate, f"0.001 to {MOST_RATE:g}")
    return rate_level(rate)


def _path(text: str) -> Path:
    """The file; of a Locust PREFIX, which is none, its totals."""
    path, totals = Path(text), Path(text + STATS)
    try:
        return totals if totals.is_file() and not path.is_file() else path
    except OSError:  # what cannot be a file's name is refused when it is opened
        return path


def _wrong(text: str, found: str, remedy: str) -> ForeignFileError:
    return ForeignFileError(f"{excerpt(text)}: {found}; expected {FORMS}; {remedy}")
