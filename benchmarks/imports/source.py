"""
A file of another tool, read line by line and never kept whole; gzip is undone on the way.

What is wrong with a file is said by it: where, what was found, what was expected, what to do.
"""

import gzip
import hashlib
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from benchmarks.record import RecordError, shown

# Of vegeta a line holds the body of an answer, in base64.
LINE_MOST_BYTES = 1 << 24
EXPECTED = "results of a load generator"
LOOK_EVERY = 4096  # lines
GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)

Watch = Callable[[int], None]


class ForeignFileError(RecordError):
    """A file that cannot be imported, with what was found and what to do about it."""


def _nobody(_bytes: int) -> None:
    pass


class Source:
    """One file; *watch* is told how many of its bytes were read, now and then."""

    def __init__(self, path: Path, watch: Watch = _nobody) -> None:
        self.path, self._watch = path, watch
        try:
            regular = stat.S_ISREG(path.stat().st_mode)
        except (OSError, ValueError) as error:
            found = getattr(error, "strerror", None) or str(error)
            raise self.wrong(found.lower(), EXPECTED, "correct the name") from None
        if not regular:
            raise self.wrong("no regular file", EXPECTED, "give a file")

    @property
    def size_bytes(self) -> int:
        """As it lies on the disk."""
        return self.path.stat().st_size

    def sha256(self) -> str:
        """Of the file as it lies on the disk."""
        digest = hashlib.sha256()
        with self._opened() as (raw, _):
            while some := raw.read(1 << 20):
                digest.update(some)
        return digest.hexdigest()

    def head(self, count: int) -> bytes:
        """The first bytes of the content."""
        with self._opened() as (_, content):
            return content.read(count).removeprefix(BOM)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Every line that is not blank, with its number from 1."""
        number = 0
        with self._opened() as (raw, content):
            while line := content.readline(LINE_MOST_BYTES):
                number += 1
                if len(line) == LINE_MOST_BYTES:
                    found = f"over {LINE_MOST_BYTES >> 20} MiB long"
                    raise self.wrong(found, "a line for each request", "give another file", number)
                if number % LOOK_EVERY == 0:
                    self._watch(raw.tell())
                line = line.removeprefix(BOM) if number == 1 else line
                if not line.isspace():
                    yield number, line
        self._watch(self.size_bytes)

    def whole_lines(self) -> Iterator[tuple[int, str]]:
        """The lines of a table of text: of a last one that is cut short nothing else would tell."""
        for number, line in self.lines():
            if not line.endswith(b"\n"):
                raise self.wrong(
                    "the last line does not end: it may be cut short",
                    "a whole file",
                    "export it again, or end the line if nothing is missing",
                    number,
                )
            try:
                yield number, line.decode().rstrip("\r\n")
            except UnicodeDecodeError:
                raise self.wrong("no UTF-8", "text", "export it again", number) from None

    def wrong(
        self, found: str, expected: str, remedy: str, line: int | None = None
    ) -> ForeignFileError:
        """An error that names the file, and the line if one is given."""
        where = str(shown(self.path)) + ("" if line is None else f", line {line}")
        return ForeignFileError(f"{where}: {found}; expected {expected}; {remedy}")

    @contextmanager
    def _opened(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """The file itself, and its content."""
        try:
            with self.path.open("rb") as raw:
                packed = raw.peek(2)[:2] == GZIP
                # Closing it would leave the file open, which the block around it closes.
                yield raw, cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
        except DAMAGED as error:
            raise self.wrong(f"damaged ({error})", "a whole gzip file", "pack it again") from error
        except OSError as error:
            found = f"cannot be read ({error.strerror or error})"
            raise self.wrong(found, "a file of yours", "change its rights, or copy it") from error


def excerpt(text: object, most: int = 40) -> str:
    """Some of a foreign text, for a message: one line, without what a terminal would obey."""
    words = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return repr(words[:most] + ("..." if len(words) > most else ""))
