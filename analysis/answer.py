"""
The answer in all its parts, which the terminal, Markdown, the report and the app print alike.
"""

from analysis import capacity, why
from analysis.comparison import Comparison
from analysis.flame import because
from analysis.summary import sentences, undecided

ANSWER, WHY, CAPACITY, UNDECIDED = "Answer", "Why", "Capacity", "Not decided"


def parts(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """Titles with their sentences; a part that has nothing to say is left out."""
    found = [
        (ANSWER, sentences(comparison)),
        (WHY, [*why.sentences(comparison), *because.sentences(comparison)]),
        (CAPACITY, capacity.sentences(comparison, comparison.slo)),
        (UNDECIDED, list(undecided(comparison))),
    ]
    return [(title, lines) for title, lines in found if lines]
