"""
What the answers of a cell cost the service: CPU time of each, and memory; medians of repeats.

Both are of the service with all its workers and its Triton, as `cell.json` has them. A service that
others run has none.
"""

from collections.abc import Iterable
from statistics import median

from analysis.cells import Cell, Visited

MEGABYTE = 2**20


def cpu_ms(cell: Cell) -> float | None:
    """CPU milliseconds of each good answer."""
    return _median(
        1000 * cpu_s / answers
        for visit in cell.visits
        if (cpu_s := _used(visit, "cpu_s"))
        and (answers := visit.throughput_rps * visit.window_s) > 0
    )


def memory_mb(cell: Cell) -> float | None:
    """
    The most resident memory in the measured window, in 2^20 bytes.

    Pages that workers share are counted once for each of them.
    """
    found = (_used(visit, "rss_max_bytes") for visit in cell.visits)
    return _median(rss / MEGABYTE for rss in found if rss)


def failed_share(cell: Cell) -> float:
    """Of all requests of all repeats, those without a good answer."""
    issued = sum(sum(visit.counts.values()) for visit in cell.visits)
    good = sum(visit.counts["ok"] for visit in cell.visits)
    return (issued - good) / issued if issued else 0.0


def _used(visit: Visited, key: str) -> float | None:
    found = (visit.facts.get("service") or {}).get(key)
    return found if isinstance(found, int | float) else None


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return median(known) if known else None
