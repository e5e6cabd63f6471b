"""
The stages of a request as a service names them in `Server-Timing`, in whole microseconds.

Anything else in the field is somebody else's and is passed over, as triton_bench does.
"""

import re

from loadtests.samples import STAGES

Stages = tuple[int | None, ...]
NO_STAGES: Stages = (None,) * len(STAGES)

_NUMBER_OF = {name: number for number, name in enumerate(STAGES)}
_LONGEST_US = 2**31 - 1
_MILLISECONDS = re.compile(r"\d+(\.\d*)?([eE][+-]?\d+)?|\.\d+")
# What stands between separators; a quoted text may hold them.
_PARTS = {sep: re.compile(rf'(?:[^{sep}"]|"(?:[^"\\]|\\.)*"?)+') for sep in ",;"}


def stages_us(value: str | list[str]) -> Stages:
    """The stages of a field, or of several of its name; one that is named twice ran twice."""
    found: list[int | None] = [None] * len(STAGES)
    for entry in _split(value if isinstance(value, str) else ",".join(value), ","):
        name, *parameters = _split(entry, ";") or [""]
        number = _NUMBER_OF.get(name.strip())
        us = _duration_us(parameters) if number is not None else None
        if number is not None and us is not None:
            found[number] = min((found[number] or 0) + us, _LONGEST_US)
    return tuple(found)


def _duration_us(parameters: list[str]) -> int | None:
    """The first `dur`, if it is a duration."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "dur":
            text = value.strip(' \t"')
            if not _MILLISECONDS.fullmatch(text):
                return None
            return round(min(float(text) * 1000, _LONGEST_US))
    return None


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if '"' not in text else _PARTS[separator].findall(text)
