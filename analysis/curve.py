"""
Throughput over clients of one variant, block by block: what a knee and a scaling law are read from.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from analysis.cells import THROUGHPUT
from analysis.matrix import Matrix
from analysis.words import enumeration, load_of

WIDE = 4  # a gap between two levels that has room for one more


@dataclass(frozen=True, slots=True)
class Curve:
    """One variant in the closed loop; B blocks by L levels, the fewest clients first."""

    variant: str
    clients: NDArray[np.float64]  # (L,)
    rps: NDArray[np.float64]  # (B, L), all above 0
    blocks: tuple[int, ...]  # the repeats that have every level
    left_out: tuple[float, ...]  # clients with which a repeat had no good answer

    @property
    def mean_rps(self) -> NDArray[np.float64]:
        """The geometric mean over blocks, (L,)."""
        mean: NDArray[np.float64] = np.exp(np.log(self.rps).mean(axis=0))
        return mean


def curve(matrix: Matrix, variant: str) -> Curve:
    """The levels of clients at which every repeat was answered; perhaps none."""
    found: dict[float, dict[int, float]] = {}
    left_out = []
    for level in sorted(closed(matrix.plan.levels), key=load_of):
        cell = matrix.cells.get((variant, level))
        values = {v.repeat: v.value(THROUGHPUT) for v in cell.visits} if cell else {}
        known = {repeat: value.value for repeat, value in values.items() if value is not None}
        if known and len(known) == len(values):
            found[load_of(level)[1]] = known
        elif values:
            left_out.append(load_of(level)[1])
    blocks = sorted(set.intersection(*map(set, found.values()))) if found else []
    rps = np.array([[known[block] for known in found.values()] for block in blocks])
    clients = np.array(list(found), dtype=np.float64)
    rps = rps.reshape(len(blocks), len(clients))
    return Curve(variant, clients, rps, tuple(blocks), tuple(left_out))


def closed(levels: Iterable[str]) -> list[str]:
    """The levels of the closed loop."""
    return [level for level in levels if load_of(level)[0] == "clients"]


def lacking(found: Curve, levels: int) -> str:
    """Why nothing can be read from it: fewer than so many levels, or no two blocks. Or empty."""
    count = len(found.clients)
    if count < levels:
        without = enumeration([f"{n:g}" for n in found.left_out]) if found.left_out else ""
        note = f" (without {without} clients, where a repeat had no good answer)" if without else ""
        return (
            f"{levels} levels of clients are needed, found {count}{note};"
            f" add clients = {more(found.clients.tolist(), levels)}"
        )
    if len(found.blocks) < 2:
        return f"2 repeats that have every level are needed, found {len(found.blocks)}"
    return ""


def more(clients: Sequence[float], levels: int) -> list[int]:
    """Which clients to add for so many levels: 1, then inside the widest gaps, then beyond."""
    known, new = {round(n) for n in clients}, list[int]()
    while len(known) < levels:
        new.append(_next(sorted(known)))
        known.add(new[-1])
    return sorted(new)


def _next(known: Sequence[int]) -> int:
    if 1 not in known:
        return 1
    low, high = max(pairwise(known), key=lambda gap: gap[1] / gap[0], default=(1, 1))
    return round(sqrt(low * high)) if high >= WIDE * low else 2 * known[-1]
