"""
A finding: what a check saw, what it expected to see, and the next command to type.

A PROBLEM makes a service fail or a measurement wrong; a NOTE is to be known, and may be wanted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How bad it is."""

    OK = "OK"
    NOTE = "NOTE"
    PROBLEM = "PROBLEM"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `next_step` is a command, empty where nothing has to be done."""

    check: str
    grade: Grade
    found: str
    expected: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The findings about one thing: the machine, the service, the load."""

    name: str  # of these three, for scripts
    title: str
    findings: tuple[Finding, ...]


def judged(
    check: str,
    found: str,
    expected: str,
    next_step: str,
    *,
    note: bool = False,
    problem: bool = False,
) -> Finding:
    """A finding whose grade follows from two conditions; one that is OK needs no next step."""
    grade = Grade.PROBLEM if problem else Grade.NOTE if note else Grade.OK
    return Finding(check, grade, found, expected, next_step if grade is not Grade.OK else "")


def count(sections: Iterable[Section], grade: Grade) -> int:
    """How many findings have this grade."""
    return sum(finding.grade is grade for section in sections for finding in section.findings)
