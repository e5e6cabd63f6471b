"""
What each kind of value in a campaign file may be, and how a wrong one is refused.

Every function takes the place (file and key) and the value, and returns it checked.
"""

import difflib
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

# What analysis/objective.py reads; a campaign that runs for an hour is not to be refused after it.
_SLO = re.compile(
    r"p(?!0+(\.0*)?=)[0-9]{1,2}(\.[0-9]+)?=(?!0+(\.0*)?m?s)[0-9]+(\.[0-9]+)?m?s"
    r"(,errors=[0-9]{1,2}(\.[0-9]+)?%)?"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class CampaignError(Exception):
    """A campaign that cannot be run as it is written."""


def unknown(where: str, what: str, found: str, known: Iterable[str]) -> str:
    """Say which names there are, and which is nearest to the one that was found."""
    near = difflib.get_close_matches(found, list(known), n=1)
    advice = f"did you mean {near[0]!r}?" if near else "take one of these"
    return f"{where}: unknown {what} {found!r}; expected one of {', '.join(known)}; {advice}"


def wrong(where: str, found: object, expected: str) -> CampaignError:
    """Say what a value is and what it may be."""
    return CampaignError(f"{where} is {found!r}; expected {expected}; change the value")


def text(where: str, value: Any) -> str:
    """A text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise wrong(where, value, "a text that is not empty")
    return value


def question(where: str, value: Any) -> str:
    """Any text; a campaign without a question has an empty one."""
    if not isinstance(value, str):
        raise wrong(where, value, "a text")
    return value


def slo(where: str, value: Any) -> str:
    """A percentile and its limit, and the share of errors that is let pass."""
    if not isinstance(value, str) or not _SLO.fullmatch(value):
        raise wrong(where, value, "an objective such as p99=250ms or p95=1.5s,errors=0.1%")
    return value


def folder_name(where: str, value: Any) -> str:
    """A name that can be a folder's."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise wrong(where, value, "a name of letters, digits, - and _ (it becomes a folder)")
    return value


def boolean(where: str, value: Any) -> bool:
    """True or false, and nothing that Python takes for one of them."""
    if not isinstance(value, bool):
        raise wrong(where, value, "true or false")
    return value


class Number:
    """A number within bounds; a bool is not one."""

    def __init__(self, kind: type[int] | type[float], low: float, high: float) -> None:
        self.kind, self.low, self.high = kind, low, high

    def __call__(self, where: str, value: Any) -> Any:
        allowed = (int,) if self.kind is int else (int, float)
        inside = type(value) in allowed and self.low <= value <= self.high
        if not inside:
            noun = "a whole number" if self.kind is int else "a number"
            raise wrong(where, value, f"{noun} from {self.low:g} to {self.high:g}")
        return self.kind(value)


class Choice:
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, where: str, value: Any) -> str:
        if value not in self.words:
            near = difflib.get_close_matches(str(value), self.words, n=1)
            advice = f" (did you mean {near[0]!r}?)" if near else ""
            raise wrong(where, value, "one of " + ", ".join(self.words) + advice)
        return str(value)


class Numbers:
    """A list of distinct numbers."""

    def __init__(self, each: Number) -> None:
        self.each = each

    def __call__(self, where: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not value:
            raise wrong(where, value, "a list with at least one number")
        numbers = tuple(self.each(where, number) for number in value)
        if len(set(numbers)) < len(numbers):
            raise wrong(where, value, "each number once")
        return numbers


def url(where: str, value: Any) -> str:
    """Where images can be posted; the generator speaks plain HTTP."""
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        complete = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is none
        complete = False
    if not complete:
        raise wrong(where, value, "an http:// address with its path")
    return str(value)
