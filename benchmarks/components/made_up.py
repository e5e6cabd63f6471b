"""
Records that nobody measured, for `benchmarks.components.analysis`: one large, and many small.

The large one has every column filled, in files that are encoded as triton_bench encodes them.
"""

import json
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.record import CELL, RESULTS, SAMPLES, Record, Visit, load
from loadtests import samples

COPY = "baseline.aa"
SPEED = {"baseline": 1.0, "seed": 1.1, "optimized": 0.8, "candidate": 0.79, COPY: 1.0}
CLIENTS = {"c0008": 8, "c0032": 32}
REPEATS = 4
VISITS = [
    Visit(variant, level, repeat)
    for repeat in range(1, REPEATS + 1)
    for level in CLIENTS
    for variant in SPEED
]
SHARES = dict(zip(samples.STAGES, (0.01, 0.06, 0.2, 0.13, 0.5, 0.04, 0.02), strict=True))
MS = 1_000_000
WARMUP_NS = 2_000 * MS
GAP_NS = 2 * MS  # between two requests that are due
CAMPAIGNS = 100  # among which the many runs are dealt out
# As loadtests/triton_bench/sample writes them: row groups, and what is no plain column.
GROUP_ROWS = 1 << 16
NAMES = ["error", "image", "phase"]
ENCODINGS = {
    **dict.fromkeys(("due_ns", "sent_ns", "done_ns"), "DELTA_BINARY_PACKED"),
    "trace_id": "DELTA_LENGTH_BYTE_ARRAY",
}


def large(folder: Path, rows: int) -> Path:
    """A record under *folder* with *rows* requests in each of VISITS."""
    real = load(RESULTS / "demo")
    path = folder / "large" / "20260102T030405Z-abcdef"
    path.mkdir(parents=True)
    facts = real.facts(real.completed()[0])
    # In processes of their own: this one stays small, as what it starts is measured.
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(_write, path, rows, facts), VISITS, chunksize=len(SPEED)))
    _run_json(path, real, VISITS, "large")
    return path


def many(folder: Path, count: int) -> Path:
    """A results folder with *count* runs, each with a run.json as long as a real one."""
    real = load(RESULTS / "demo")
    for number in range(count):
        name = f"campaign-{number % CAMPAIGNS:02d}"
        path = folder / "many" / name / f"20260102T{number:06d}Z-abcdef"
        path.mkdir(parents=True)
        _run_json(path, real, VISITS, name)
    return folder / "many"


def _run_json(path: Path, real: Record, visits: Iterable[Visit], name: str) -> None:
    campaign = {
        **real.campaign,
        "name": name,
        "variants": {variant: {"preset": "baseline"} for variant in SPEED if variant != COPY},
        "clients": list(CLIENTS.values()),
        "repeats": REPEATS,
        "reference": "baseline",
        "aa": COPY,
    }
    order = [[visit.variant, visit.level, visit.repeat] for visit in visits]
    run = {**real.run, "run": path.name, "campaign": campaign, "order": order}
    (path / "run.json").write_text(json.dumps(run, indent=1))


def _write(path: Path, rows: int, facts: dict[str, Any], visit: Visit) -> None:
    """One repeat; from one to the next its level varies by 1 %."""
    folder = path / visit.folder
    folder.mkdir(parents=True)
    noise = 0.01 * np.random.default_rng(VISITS.index(visit)).standard_normal()
    table = _varied(_table(rows), SPEED[visit.variant] * float(np.exp(noise)))
    window = samples.Window(1_767_323_045_000_000_000, WARMUP_NS, rows * GAP_NS)
    metadata = {
        samples.VERSION_KEY: samples.VERSION,
        samples.WINDOW_KEY: json.dumps(asdict(window)),
        samples.ACCOUNTING_KEY: json.dumps(samples.accounting(table)),
    }
    pq.write_table(
        table.replace_schema_metadata(metadata),
        folder / SAMPLES,
        row_group_size=GROUP_ROWS,
        compression="zstd",
        compression_level=1,
        use_dictionary=NAMES,
        column_encoding=ENCODINGS,
    )
    told = {"variant": visit.variant, "level": visit.level, "repeat": visit.repeat}
    (folder / CELL).write_text(json.dumps({**facts, **told}))


@cache
def _table(rows: int) -> pa.Table:
    """Lognormal about 20 ms, one in a hundred five times as slow, one in 10,000 given up."""
    rng = np.random.default_rng(1)
    slow = np.where(rng.random(rows) < 0.01, 5.0, 1.0)
    latency = (20 * MS * np.exp(0.3 * rng.standard_normal(rows)) * slow).astype(np.int64)
    given_up = rng.random(rows) < 1e-4
    due = np.arange(rows) * GAP_NS
    columns: dict[str, Any] = {
        **_times(due, due + rng.integers(20_000, 90_000, rows), latency),
        "status": np.where(given_up, 0, 200),
        "error": np.where(given_up, "timeout", ""),
        "bytes_in": rng.integers(600, 1200, rows),
        "bytes_out": rng.integers(50_000, 120_000, rows),
        "image": np.char.add("street-", rng.integers(0, 16, rows).astype(str)),
        "client": rng.integers(0, 32, rows),
        "trace_id": [rng.bytes(16).hex() for _ in range(rows)],
        "phase": np.where(due < WARMUP_NS, "warmup", "measure"),
    }
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in samples.SCHEMA]
    return pa.Table.from_arrays(arrays, schema=samples.SCHEMA)


def _varied(table: pa.Table, factor: float) -> pa.Table:
    """The same requests, slower by a factor."""
    due, sent, done = (table[name].to_numpy() for name in ("due_ns", "sent_ns", "done_ns"))
    for name, values in _times(due, sent, ((done - due) * factor).astype(np.int64)).items():
        place, field = samples.SCHEMA.get_field_index(name), samples.SCHEMA.field(name)
        table = table.set_column(place, field, pa.array(values).cast(field.type))
    return table


def _times(
    due: NDArray[np.int64], sent: NDArray[np.int64], latency: NDArray[np.int64]
) -> dict[str, NDArray[np.int64]]:
    """The columns that say when, and how long each stage took."""
    done = np.maximum(due + latency, sent)
    stages = {
        f"stage_{stage}_us": (latency * share / 1000).astype(np.int64)
        for stage, share in SHARES.items()
    }
    return {"due_ns": due, "sent_ns": sent, "first_byte_ns": done, "done_ns": done, **stages}
