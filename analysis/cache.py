"""
What was reckoned once and is kept outside the records, so that it need not be reckoned again.

Everything here may vanish, be damaged or be written by two processes at once: that only costs
time. Each file is JSON below its checksum, under $XDG_CACHE_HOME/windtunnel or ~/.cache/windtunnel.
"""

import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import orjson

# Rises when the meaning of anything that is kept changes: files of another version are not read.
VERSION = 2


def read(kind: str, key: str) -> Any:
    """What was kept of *kind* under *key*; None if there is nothing, or nothing sound."""
    file = _file(kind, key)
    try:
        content = file.read_bytes() if file else b""
        checksum, _, body = content.partition(b"\n")
        return orjson.loads(body) if checksum == _checksum(body) else None
    except (OSError, ValueError):
        return None


def write(kind: str, key: str, value: Any) -> None:
    """Keep *value*, if it can be written as JSON and there is where to keep it."""
    file = _file(kind, key)
    if file is None:
        return
    # TypeError: a name that is no text, as a damaged record may have.
    with suppress(OSError, TypeError):
        body = orjson.dumps(value)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A name of its own: of two writers the later one wins, and nobody reads a half.
        handle, name = mkstemp(dir=file.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as partial:
                partial.write(_checksum(body) + b"\n" + body)
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)


def folder() -> Path | None:
    """Where files are kept; None if this user has no home."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        # The standard of these folders has relative ones ignored.
        root = base if base.is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return root / "windtunnel"


def _file(kind: str, key: str) -> Path | None:
    base = folder()
    name = f"{kind}-{blake2b(os.fsencode(key), digest_size=12).hexdigest()}.json"
    return base / f"{VERSION}" / name if base else None


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).hexdigest().encode()
