"""
What answers cost the service: CPU time of each, and memory; of one repeat, or a cell's medians.

Both are of the service with all its workers and its Triton, as `cell.json` has them, or with *own*
of the service's processes alone. A service that others run has none.
"""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from analysis.cells import Cell, Visited

MB = 1e6


def cpu_ms(cell: Cell) -> float | None:
    """CPU milliseconds of each good answer."""
    return _median(map(visit_cpu_ms, cell.visits))


def memory_mb(cell: Cell) -> float | None:
    """The most resident memory in the measured window, in MB, as `visit_memory_mb`."""
    return _median(map(visit_memory_mb, cell.visits))


def visit_cpu_ms(visit: Visited, *, own: bool = False) -> float | None:
    """CPU milliseconds of each good answer in the measured window of a repeat."""
    cpu_s, answers = used(visit.facts, "cpu_s", own=own), visit.throughput_rps * visit.window_s
    return 1e3 * cpu_s / answers if cpu_s and answers > 0 else None


def visit_memory_mb(visit: Visited, *, own: bool = False) -> float | None:
    """The most resident memory, in 10^6 bytes; pages that workers share count for each of them."""
    found = used(visit.facts, "rss_max_bytes", own=own)
    return found / MB if found else None


def failed_share(cell: Cell) -> float:
    """Of all requests of all repeats, those without a good answer."""
    failed, issued = cell.failed
    return failed / issued if issued else 0.0


def used(facts: Mapping[str, Any], key: str, *, own: bool) -> float | None:
    """Of cell.json; records of before `by_process` had no Triton that was the service's."""
    found = facts.get("service") or {}
    if own:
        found = (found.get("by_process") or {}).get("service") or found
    value = found.get(key)
    return value if isinstance(value, int | float) else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
