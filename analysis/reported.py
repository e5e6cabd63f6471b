"""
Repeats of which only another program's summary is there (`windtunnel import` of a Locust CSV).

Their percentiles are that program's: they have no interval inside the repeat, no censored requests
and no stages, and nobody can find them again in samples. Repeats of them compare all the same.
"""

from collections.abc import Iterator
from math import inf

from analysis import frames
from analysis.cells import Visited, percentile_key
from analysis.frames import Repeat
from analysis.latency import Percentile, min_count
from benchmarks.record import Record, RecordError, Visit, shown

KEY = "reported"


def repeats(record: Record) -> Iterator[Repeat | Visited]:
    """Every completed visit, one at a time: only one sample file is in memory."""
    return (read(record, visit) for visit in record.completed())


def read(record: Record, visit: Visit) -> Repeat | Visited:
    """One completed visit: its requests, or what another program reported of them."""
    return frames.read(record, visit) if record.has_samples(visit) else _visited(record, visit)


def _visited(record: Record, visit: Visit) -> Visited:
    facts = record.facts(visit)
    said = facts.get(KEY)
    if said is None:
        raise RecordError(
            f"{shown(record.path / visit.folder)}: neither samples.parquet nor {KEY!r} in"
            " cell.json; expected one of them; import the files again"
        )
    counts = {str(name): int(n) for name, n in said["counts"].items()}
    issued = sum(counts.values())
    percentiles = {
        percentile_key(float(q)): Percentile(float(q), issued, float(ms), -inf, inf, False)
        for q, ms in said["percentiles_ms"].items()
        if issued >= min_count(float(q))
    }
    return Visited(
        variant=visit.variant,
        level=visit.level,
        repeat=visit.repeat,
        requests=issued,
        counts=counts,
        error_share=1 - counts["ok"] / issued if issued > counts["ok"] else 0.0,
        window_s=float(said["window_s"]),
        throughput_rps=float(said["throughput_rps"]),
        send_lag_p99_ms=0.0,
        percentiles=percentiles,
        service_percentiles={},
        trend=None,
        mixes={},
        over_slo=None,
        facts=facts,
        triton={},
    )
