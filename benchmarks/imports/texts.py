"""
What texts of other tools mean: times of day, and the errors of Go's HTTP client (k6, vegeta).
"""

import re
from datetime import datetime
from functools import lru_cache

from benchmarks.imports.found import NS

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
# The first that is found in an error's text decides.
_ERRORS = (
    ("timeout", ("timeout", "timed out", "deadline exceeded")),
    ("connect", ("connection refused", "no such host", "unreachable", "dial ")),
    ("reset", ("reset by peer", "broken pipe")),
    ("closed", ("eof", "closed")),
)


def unix_ns(text: str) -> int:
    """A time as RFC 3339 has it, to the nanosecond; ValueError for anything else."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    second, fraction, zone = match.groups()
    return _unix_s(second + zone.upper()) * NS + int((fraction or "0").ljust(9, "0"))


@lru_cache(maxsize=256)
def _unix_s(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@lru_cache(maxsize=256)
def error_name(text: str) -> str:
    """The nearest of samples.ERRORS."""
    lower = text.lower()
    for name, signs in _ERRORS:
        if any(sign in lower for sign in signs):
            return name
    return "protocol"
