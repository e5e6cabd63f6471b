"""
Profiles in the format of speedscope (https://www.speedscope.app), for those who prefer it.

Collapsed stacks have no order in time: its "Left Heavy" view is the one to look at.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from analysis.flame.profiles import Profile
from analysis.flame.stacks import Frame
from analysis.words import plain

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def document(sides: Sequence[Profile]) -> dict[str, Any]:
    """All profiles in one file, in CPU ms a request where each knows it, otherwise in samples."""
    known: dict[Frame, int] = {}
    cost = all(side.cpu_ms for side in sides)
    found = [_sampled(side, known, cost=cost) for side in sides]
    return {
        "$schema": SCHEMA,
        "exporter": "windtunnel flame",
        "name": " and ".join(plain(side.name) for side in sides),
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": name, "file": file} for name, file in known]},
        "profiles": found,
    }


def _sampled(side: Profile, known: dict[Frame, int], *, cost: bool) -> dict[str, Any]:
    """One profile; frames that were not known get the next numbers."""
    weight = fmean(side.cpu_ms.values()) / side.stacks.samples if cost else 1
    stacks = sorted(side.stacks.counts.items())
    weights = [count * weight for _, count in stacks]
    return {
        "type": "sampled",
        "name": plain(side.name),
        "unit": "milliseconds" if cost else "none",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": [[known.setdefault(f, len(known)) for f in stack] for stack, _ in stacks],
        "weights": weights,
    }
