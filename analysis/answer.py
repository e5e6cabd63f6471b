"""
The answer in all its parts, which the terminal, Markdown, the report and the app print alike.
"""

from collections.abc import Callable

from analysis import capacity, why
from analysis.comparison import Comparison
from analysis.flame import because
from analysis.summary import sentences, undecided

ANSWER, WHY, CAPACITY, UNDECIDED = "Answer", "Why", "Capacity", "Not decided"


def parts(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """Titles with their sentences; a part that has nothing to say is left out."""
    found = [(title, part(comparison, title)) for title in _PARTS]
    return [(title, lines) for title, lines in found if lines]


def part(comparison: Comparison, title: str) -> list[str]:
    """The sentences of one title; the others, which may need profiles, are not worked out."""
    return _PARTS[title](comparison)


def _why(comparison: Comparison) -> list[str]:
    return [*why.sentences(comparison), *because.sentences(comparison)]


_PARTS: dict[str, Callable[[Comparison], list[str]]] = {
    ANSWER: sentences,
    WHY: _why,
    CAPACITY: lambda comparison: capacity.sentences(comparison, comparison.slo),
    UNDECIDED: lambda comparison: [*undecided(comparison)],
}
