"""
What a run is called: labels of the metric loadtest_run_info, and the baggage of requests that are
traced. The rules are triton_bench's (labels.go).
"""

import re
from argparse import ArgumentTypeError
from collections.abc import Iterable
from urllib.parse import quote

# Always there, so that series are the same whatever a run was told; what was not said is empty.
NAMES = ("campaign", "run", "variant", "cell", "repeat", "clients", "rate")
OWN = ("clients", "rate")  # told by the generator itself
# Those that a service makes attributes of its spans, behind the prefix.
IN_BAGGAGE = ("campaign", "run", "variant", "cell")
PREFIX = "loadtest."
MOST_BYTES = 8192  # what whoever forwards a baggage has to take, by W3C Baggage

_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


def checked(text: str) -> str:
    """One label as it is given, NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ArgumentTypeError(f"{text!r} is no label; expected NAME=VALUE, as in campaign=demo")
    if not _NAME.fullmatch(name):
        raise ArgumentTypeError(
            f"{text!r}: expected a name of letters, digits and _, not beginning with a digit or __"
        )
    if name in OWN:
        raise ArgumentTypeError(f"{text!r}: expected another name; {name} is told by itself")
    try:
        value.encode()  # what the command line held beside UTF-8 is in it as surrogates
    except UnicodeEncodeError as error:
        raise ArgumentTypeError(f"{text!r}: expected a value in UTF-8") from error
    return text


def read(given: Iterable[str]) -> dict[str, str]:
    """Labels that were checked, by name."""
    return dict(text.split("=", 1) for text in given)


def problem(given: list[str]) -> str | None:
    """What cannot be done with these labels together."""
    names = [text.partition("=")[0] for text in given]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        return f"--label {twice[0]}: given twice; expected each name once"
    if (size := len(baggage(read(given)))) > MOST_BYTES:
        return (
            f"--label: makes a baggage of {size} bytes; expected at most {MOST_BYTES};"
            " shorten the values"
        )
    return None


def baggage(labels: dict[str, str]) -> str:
    """
    The value of a `baggage` header; empty without a label that belongs in it.

    All but RFC 3986's unreserved characters are encoded. W3C Baggage lets more stand, such as the
    plus sign, which some that read it take for a space.
    """
    said = ((name, labels.get(name)) for name in IN_BAGGAGE)
    return ",".join(f"{PREFIX}{name}={quote(value, safe='')}" for name, value in said if value)
