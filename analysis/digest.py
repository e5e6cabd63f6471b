"""
Single cells of a record, reduced to what is said of each repeat, and kept for the next time.

A history asks for two or three cells of every run there ever was. Their samples are read once;
what came of them is kept outside the record (`cache.py`) by the sizes and times of the files.
"""

from collections.abc import Collection
from dataclasses import replace
from math import inf
from typing import Any

from analysis import cache
from analysis.cells import Visited, reduce
from analysis.latency import Percentile
from analysis.opened import read, stamp
from analysis.plan import PERCENTILES
from benchmarks.record import Record, Visit

KIND = "digest"


def visits(record: Record, cells: Collection[tuple[str, str]]) -> list[Visited]:
    """
    The completed repeats of some cells, each a variant and a level, in the order of the run.

    They have the percentiles of PERCENTILES, without stages, trend, facts and Triton. Raises the
    errors of reading a record (`opened.PROBLEMS`).
    """
    key = str(record.path.resolve())
    rows = cache.read(KIND, key) or {}
    found, fresh = [], False
    for visit in _only(record, cells).completed():
        name, state = str(visit.folder), list(stamp(record, visit))
        if rows.get(name, [None])[0] != state:
            repeat = read(record, visit)
            visited = repeat if isinstance(repeat, Visited) else reduce(repeat, PERCENTILES)
            rows[name], fresh = [state, _values(visited)], True
        found.append(_visited(visit, rows[name][1]))
    if fresh:
        cache.write(KIND, key, rows)
    return found


def _only(record: Record, cells: Collection[tuple[str, str]]) -> Record:
    """The record as if it had planned no other cells: whether those are there is not looked up."""
    order = [
        [v.variant, v.level, v.repeat] for v in record.order() if (v.variant, v.level) in cells
    ]
    return replace(record, run={**record.run, "order": order})


def _values(visited: Visited) -> dict[str, Any]:
    return {
        "requests": visited.requests,
        "counts": visited.counts,
        "error_share": visited.error_share,
        "window_s": visited.window_s,
        "throughput_rps": visited.throughput_rps,
        "send_lag_p99_ms": visited.send_lag_p99_ms,
        "percentiles": {
            measure: [p.q, p.n, p.value_ms, p.low_ms, p.high_ms, p.at_least]
            for measure, p in visited.percentiles.items()
        },
    }


def _visited(visit: Visit, values: dict[str, Any]) -> Visited:
    return Visited(
        variant=visit.variant,
        level=visit.level,
        repeat=visit.repeat,
        **{name: value for name, value in values.items() if name != "percentiles"},
        percentiles={
            # JSON knows no infinity: an end that is not there was one.
            measure: Percentile(
                q, n, value_ms, -inf if low is None else low, inf if high is None else high, cut
            )
            for measure, (q, n, value_ms, low, high, cut) in values["percentiles"].items()
        },
        service_percentiles={},
        trend=None,
        mixes={},
        over_slo=None,
        facts={},
        triton={},
    )
