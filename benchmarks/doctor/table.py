"""
Findings as a person reads them, and as JSON.

What a service or a process is called is printed as text: no markup, and nothing that a terminal
would obey.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from benchmarks.doctor.findings import Finding, Grade, Section, count

COLOURS = {Grade.OK: "green", Grade.NOTE: "yellow", Grade.PROBLEM: "bold red"}
FORMAT = 1
GRADES = max(map(len, Grade))
NARROW = 40  # of the column that explains; below that it is the terminal that wraps


def plain(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(c if c.isprintable() else "�" for c in text)


def show(sections: Sequence[Section], console: Console, *, complete: bool = True) -> None:
    """Print all findings; what is not OK with what was expected, and what to type next."""
    names = [finding.check for section in sections for finding in section.findings]
    indent = 2 + GRADES + 2 + max(map(len, names), default=0) + 2
    # In a file lines are as long as they are.
    width = max(NARROW, console.width - indent) if console.is_terminal else 10_000
    for section in sections:
        console.print(Text(plain(section.title), style="bold"), soft_wrap=True)
        for finding in section.findings:
            for line in _lines(finding, indent, width):
                console.print(line, soft_wrap=True)
        console.print()
    end = "" if complete else "; stopped, so that this is not all"
    console.print(Text(summary(sections) + end), soft_wrap=True)


def summary(sections: Sequence[Section]) -> str:
    """The last line."""
    problems, notes = count(sections, Grade.PROBLEM), count(sections, Grade.NOTE)
    counted = [
        f"{n} {word}{'s' if n != 1 else ''}" for n, word in ((problems, "problem"), (notes, "note"))
    ]
    return f"{' and '.join(counted)}; {count(sections, Grade.OK)} checks are OK"


def _lines(finding: Finding, indent: int, width: int) -> Iterator[Text]:
    said = textwrap.wrap(plain(finding.found), width) or [""]
    name = plain(finding.check).ljust(indent - GRADES - 4)
    grade = (f"  {finding.grade:{GRADES}}  ", COLOURS[finding.grade])
    yield Text.assemble(grade, f"{name}{said[0]}")
    margin = " " * indent
    yield from (Text(margin + line) for line in said[1:])
    if finding.grade is not Grade.OK:
        expected = textwrap.wrap(f"expected: {plain(finding.expected)}", width)
        yield from (Text(margin + line, style="dim") for line in expected)
    if finding.next_step:  # in one piece, to be copied
        yield Text.assemble(f"{margin}next: ", (plain(finding.next_step), "bold"))


def as_dict(
    url: str, at: str, sections: Sequence[Section], *, complete: bool = True
) -> dict[str, Any]:
    """For scripts; not complete where it was stopped."""
    return {
        "format": FORMAT,
        "tool": "windtunnel doctor",
        "at": at,
        "url": url,
        "complete": complete,
        "problems": count(sections, Grade.PROBLEM),
        "notes": count(sections, Grade.NOTE),
        "sections": [asdict(section) for section in sections],
    }
