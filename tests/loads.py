"""
Simulated matrices without samples: what each cell measured, from a few numbers.

For simulations of hundreds of campaigns, in which only throughput and percentiles matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.cells import Cell, Visited
from analysis.comparison import Comparison, compare
from analysis.latency import Percentile
from analysis.matrix import Matrix
from analysis.objective import Objective
from analysis.plan import Plan
from benchmarks.record import clients_level, load

GOLDEN = Path(__file__).parent / "data" / "record-v1"
Array = NDArray[np.float64]


def visited(
    level: str,
    repeat: int,
    *,
    variant: str = "baseline",
    rps: float = 100.0,
    ms: Mapping[float, float] | None = None,
    at_least: bool = False,
    requests: int = 2000,
    failed: int = 0,
    over: int | None = 0,
) -> Visited:
    """A repeat with these percentiles, *ms* by q; of its requests some failed."""
    percentiles = {
        f"p{q:g}": Percentile(q, requests, value, value * 0.97, value * 1.03, at_least)
        for q, value in (ms or {}).items()
    }
    other = {"transport_error": 0, "timeout": 0, "censored": 0}
    return Visited(
        variant=variant,
        level=level,
        repeat=repeat,
        requests=requests - failed,
        counts={"ok": requests - failed, "http_error": failed, **other},
        error_share=failed / requests if requests else 0.0,
        window_s=10.0,
        throughput_rps=rps,
        send_lag_p99_ms=0.0,
        percentiles=percentiles,
        service_percentiles={},
        trend=None,
        mixes={},
        over_slo=over,
        facts={},
        triton={},
    )


def matrix(visits: Iterable[Visited], levels: Sequence[str] | None = None) -> Matrix:
    """The cells of these repeats; nothing is compared."""
    grouped: dict[tuple[str, str], list[Visited]] = {}
    for visit in visits:
        grouped.setdefault((visit.variant, visit.level), []).append(visit)
    cells = {key: Cell(*key, tuple(found)) for key, found in grouped.items()}
    variants = tuple(dict.fromkeys(variant for variant, _ in cells)) or ("baseline",)
    plan = Plan(
        variants=variants,
        levels=tuple(levels or dict.fromkeys(level for _, level in cells)),
        reference=variants[0],
        aa=None,
        margin=0.05,
        repeats=max((visit.repeat for found in grouped.values() for visit in found), default=0),
    )
    return Matrix(plan, cells, differences=(), aa=(), curves=())


def closed_loop(clients: Sequence[int], rps: Array) -> Matrix:
    """One variant, *rps* by block and level (B, L); the P50 is what clients / throughput leaves."""
    return matrix(
        visited(clients_level(n), block, rps=value, ms={50.0: 1000 * n / value} if value else {})
        for block, row in enumerate(rps.tolist(), 1)
        for n, value in zip(clients, row, strict=True)
    )


def noisy(
    mean: Array, blocks: int, rng: np.random.Generator, *, noise: float = 0.03, drift: float = 0.1
) -> Array:
    """Throughput by block and level: *noise* of each cell, and *drift* of whole blocks; logs."""
    cells = noise * rng.standard_normal((blocks, len(mean)))
    away: Array = mean * np.exp(cells + drift * rng.standard_normal((blocks, 1)))
    return away


def compared(found: Matrix, slo: Objective | None = None) -> Comparison:
    """A comparison that holds this matrix; its record is the golden one."""
    return replace(_golden(), matrix=found, doubts=(), slo=slo)


@cache
def _golden() -> Comparison:
    return compare(load(GOLDEN))
