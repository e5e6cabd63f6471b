"""
In what two runs differ besides what was measured: machine, versions, commit, campaign, variants.

Numbers of two runs were not taken in turn, so nothing here is a verdict: it is what to know before
one number is held against the other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.words import MISSING, plain
from benchmarks.record import Record

PARTS = ("machine", "commit", "campaign", "pinning", "versions", "checkout", "imported")
# Different in any two runs, and of no consequence.
PASSING = {"machine.load_before", "machine.memory_available_bytes", "campaign.seed"}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is said of both runs, as text; `-` where a run does not say it."""

    name: str  # as in run.json, dotted: `machine.cpu`
    first: str
    second: str


def facts(record: Record) -> dict[str, str]:
    """What run.json says of a run's surroundings, by dotted name, in a fixed order of parts."""
    return {
        name: text
        for part in PARTS
        for name, text in _flat(part, record.run.get(part))
        if name not in PASSING
    }


def differences(first: Record, second: Record) -> list[Fact]:
    """The facts that are not alike; none if the runs were set up in the same way."""
    ours, theirs = facts(first), facts(second)
    return [
        Fact(name, ours.get(name, MISSING), theirs.get(name, MISSING))
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name, MISSING) != theirs.get(name, MISSING)
    ]


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{plain(key)}", inner)
    elif isinstance(value, list):
        yield name, plain(", ".join(map(str, value))) or MISSING
    elif value is not None:
        yield name, plain(value)
