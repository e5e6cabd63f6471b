"""
run.json and cell.json of an import: which files, and what they do not say.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from benchmarks.imports.found import NS, Found
from benchmarks.record import FORMAT, TOOL, Visit
from benchmarks.recorder import now

MARGIN = 0.05  # a campaign's default


@dataclass(frozen=True, slots=True)
class Plan:
    """What is said of the whole import."""

    name: str
    question: str
    reference: str
    variants: tuple[str, ...]
    aa: str | None  # the reference's second copy, which is not among the variants
    warmup_s: float

    @property
    def measured(self) -> tuple[str, ...]:
        """All that has files: the variants, and the copy at the end."""
        return (*self.variants, *([self.aa] if self.aa else []))


@dataclass(frozen=True, slots=True)
class Imported:
    """A file that has become a repeat; its requests lie in the record."""

    visit: Visit
    found: Found
    files: tuple[dict[str, Any], ...]  # name, sha256, bytes
    counts: dict[str, int]  # of all its requests, by outcome

    @property
    def began_ns(self) -> int | None:
        """Unix time; None: the file does not say."""
        return self.found.start_unix_ns

    @property
    def ended_ns(self) -> int:
        """Unix time, just after the last request began; only where the file says when it began."""
        begin, end = self.found.span_ns
        return (self.began_ns or 0) + end - begin


def in_order(imported: Sequence[Imported]) -> list[Imported]:
    """As they were measured, where every file tells when; else block by block."""
    if any(each.began_ns is None for each in imported):
        return sorted(imported, key=lambda each: each.visit.repeat)
    return sorted(imported, key=lambda each: each.began_ns or 0)


def run(name: str, plan: Plan, order: Sequence[Imported]) -> dict[str, Any]:
    """run.json. Nobody knows which machine and which code it was, so both are empty."""
    at = now()
    known = all(each.began_ns is not None for each in order)
    return {
        "format": FORMAT,
        "tool": TOOL,
        "run": name,
        "status": "complete",
        # When the load began and ended, if the files say it; else when they were imported.
        "started": _utc(min(each.began_ns or 0 for each in order)) if known else at,
        "finished": _utc(max(each.ended_ns for each in order)) if known else at,
        "campaign": _campaign(plan, order),
        "order": [[v.variant, v.level, v.repeat] for v in (each.visit for each in order)],
        "machine": {},
        "versions": {},
        "commit": {},
        "pinning": None,
        "services": {},
        "left_out": {},
        "imported": {
            "tool": order[0].found.tool,
            "at": at,
            "files": [_of_visit(each.visit, file) for each in order for file in each.files],
            "cannot_know": list(cannot_know(order)),
        },
    }


def cell(each: Imported, position: int) -> dict[str, Any]:
    """cell.json, with nothing of a generator or a machine that nobody watched."""
    found, visit = each.found, each.visit
    facts: dict[str, Any] = {
        "format": FORMAT,
        "variant": visit.variant,
        "level": visit.level,
        "repeat": visit.repeat,
        "position": position,
        "started": None if each.began_ns is None else _utc(each.began_ns),
        "generator": {
            "tool": found.tool,
            "loop": "open" if visit.level.startswith("q") else "closed",
            "instrument": {},
        },
        "service": None,
        "metrics": None,
        "prometheus": None,
        "machine": {},
        "imported": {"files": list(each.files), "cannot_know": list(found.cannot_know)},
    }
    return facts if found.reported is None else {**facts, "reported": found.reported}


def cannot_know(order: Sequence[Imported]) -> Iterator[str]:
    """What the record does not say, each sentence once."""
    yield from dict.fromkeys(sentence for each in order for sentence in each.found.cannot_know)
    if any(each.visit.repeat > 1 for each in order) and not _in_blocks(order):
        yield (
            "what drifted meanwhile: repeats were not measured in interleaved blocks, or it is not"
            " known; the first file of each variant is compared with the first of the others"
        )


def _campaign(plan: Plan, order: Sequence[Imported]) -> dict[str, Any]:
    levels = sorted({each.visit.level for each in order}, key=lambda name: float(name[1:]))
    return {
        "name": plan.name,
        "variants": {name: {"settings": {}} for name in plan.variants},
        "question": plan.question,
        "clients": [int(level[1:]) for level in levels if level.startswith("c")],
        "rates": [float(level[1:]) for level in levels if level.startswith("q")],
        "generator": order[0].found.tool,
        "repeats": max(each.visit.repeat for each in order),
        "warmup_s": plan.warmup_s,
        "reference": plan.reference,
        "aa": plan.aa,
        "margin": MARGIN,
    }


def _of_visit(visit: Visit, file: dict[str, Any]) -> dict[str, Any]:
    return {"variant": visit.variant, "level": visit.level, "repeat": visit.repeat, **file}


def _in_blocks(order: Sequence[Imported]) -> bool:
    """Whether it is known that at each level a repeat was over before the next one began."""
    if any(each.began_ns is None for each in order):
        return False
    levels = {each.visit.level for each in order}
    return all(_are_apart([e for e in order if e.visit.level == level]) for level in levels)


def _are_apart(found: Sequence[Imported]) -> bool:
    """Of one level: whether the first repeats of all variants ended before any second one began."""
    repeats = sorted({each.visit.repeat for each in found})
    blocks = [[each for each in found if each.visit.repeat == repeat] for repeat in repeats]
    return all(
        max(each.ended_ns for each in before) <= min(each.began_ns or 0 for each in after)
        for before, after in pairwise(blocks)
    )


def _utc(unix_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_ns // NS))
