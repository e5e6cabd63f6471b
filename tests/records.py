"""
Simulated records for tests: complete, with real sample files, from a few numbers a cell.

`arrays` gives one repeat without files, for simulations of hundreds of campaigns.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.frames import Repeat
from benchmarks import metrics
from benchmarks.metrics import Row, labels_text
from benchmarks.record import CELL, METRICS, SAMPLES, Visit
from benchmarks.triton.statistics import GAUGES, PENDING, STATISTICS
from loadtests import samples

WARMUP_NS = 1_000_000_000
MS = 1_000_000


@dataclass(frozen=True, slots=True)
class TritonModel:
    """What a Triton model does with each request of a cell; times are of one request."""

    batch: int = 1  # so many requests share each execution
    queue_ms: float = 2.0
    compute_ms: float = 8.0
    ensemble: bool = False  # its own queue counter stays 0, whatever its requests wait
    restarts: bool = False  # in mid window: its counters begin again


@dataclass(frozen=True, slots=True)
class Shape:
    """What a cell does; `noise` is the log spread from repeat to repeat, `spread` of requests."""

    median_ms: float = 20.0
    requests: int = 500
    spread: float = 0.3
    noise: float = 0.01
    errors: int = 0
    timeouts: int = 0
    timeout_ms: float = 30_000.0
    send_lag_ms: float = 0.05
    first_quarter: float = 1.0  # slower by this factor
    window_s: float = 10.0
    other_cpu_share: float = 0.02
    steal_share: float = 0.0
    generator_cpu_share: float = 0.1
    achieved_share: float = 1.0
    reasons: tuple[str, ...] | None = None  # what the generator had against itself; None: old
    repeats: int | None = None  # fewer than planned
    stages: Mapping[str, float] = field(default_factory=dict)  # ms of each request in a stage
    triton: Mapping[str, TritonModel] = field(default_factory=dict)  # by name; none: no file


@dataclass(frozen=True, slots=True)
class Campaign:
    """What run.json says. `run` replaces whole entries of it."""

    cells: Mapping[tuple[str, str], Shape]
    aa: str | None = "baseline.aa"
    repeats: int = 3
    margin: float = 0.05
    run: Mapping[str, Any] = field(default_factory=dict)
    question: str = "Is the optimized service faster than the baseline?"

    @property
    def variants(self) -> list[str]:
        return list(dict.fromkeys(v for v, _ in self.cells if v != self.aa))

    @property
    def levels(self) -> list[str]:
        return list(dict.fromkeys(level for _, level in self.cells))


def campaign(
    variants: Mapping[str, Shape], levels: tuple[str, ...] = ("c0001", "c0008"), **changes: Any
) -> Campaign:
    """Every variant at every level; the A/A copy is like the baseline."""
    named = {**variants, "baseline.aa": variants["baseline"]}
    if "aa" in changes and changes["aa"] is None:
        named = dict(variants)
    cells = {(name, level): shape for level in levels for name, shape in named.items()}
    return Campaign(cells, **changes)


def with_cell(base: Campaign, variant: str, level: str, **changes: Any) -> Campaign:
    shape = replace(base.cells[variant, level], **changes)
    return replace(base, cells={**base.cells, (variant, level): shape})


def write(folder: Path, plan: Campaign, seed: int = 1) -> Path:
    """A record under *folder*, as `windtunnel run` would leave it; returns its path."""
    rng = np.random.default_rng(seed)
    path = folder / "simulated" / "20260102T030405Z-abcdef"
    order = [
        Visit(variant, level, repeat)
        for repeat in range(1, plan.repeats + 1)
        for variant, level in plan.cells
    ]
    path.mkdir(parents=True)
    for position, visit in enumerate(order):
        shape = plan.cells[visit.variant, visit.level]
        if visit.repeat <= (plan.repeats if shape.repeats is None else shape.repeats):
            target = path / visit.folder
            target.mkdir(parents=True)
            table = _table(shape, visit.level, rng)
            samples.write(target / SAMPLES, table, _window(shape))
            facts = cell_facts(shape, visit, position)
            (target / CELL).write_text(json.dumps(facts))
            if shape.triton:
                metrics.write(target / METRICS, list(readings(shape)))
    (path / "run.json").write_text(json.dumps(_run(plan, path, order)))
    return path


def readings(shape: Shape) -> Iterator[Row]:
    """Two a second, from before the load until after it; the warm-up loads as the window does."""
    start_ns = _window(shape).start_unix_ns
    for tick in range(-1, round(2 * (shape.window_s + 2))):
        at_s = max(0.0, tick / 2 + 0.3)
        done = round(shape.requests / shape.window_s * at_s)
        for name, model in shape.triton.items():
            half = round(shape.requests / 2)
            served = done - half if model.restarts and done > half else done
            labels = labels_text({"model": name, "version": "1"})
            at_ns = start_ns + tick * 500 * MS + 300 * MS
            yield Row(at_ns, GAUGES, PENDING, labels, float(tick % 3))
            for series, sized, value in _counters(name, model, served):
                yield Row(at_ns, STATISTICS, series, sized, float(value))


def _counters(name: str, model: TritonModel, done: int) -> Iterator[tuple[str, str, float]]:
    """The series that triton.statistics.statistics_rows makes of a server's answer."""
    labels = {"model": name, "version": "1"}
    executions = done // model.batch
    done = executions * model.batch
    compute = {"compute_input": 0.1, "compute_infer": 0.8, "compute_output": 0.1}
    times = {part: share * model.compute_ms for part, share in compute.items()}
    own_queue = 0.0 if model.ensemble else model.queue_ms
    whole = {"success": model.queue_ms + model.compute_ms, "fail": 0.0, "queue": own_queue}
    yield "inference_count", labels_text(labels), done
    yield "execution_count", labels_text(labels), executions
    for part, part_ms in {**whole, **times}.items():
        count = 0 if part == "fail" else done
        yield f"inference_stats.{part}.count", labels_text(labels), count
        yield f"inference_stats.{part}.ns", labels_text(labels), count * part_ms * MS
    if executions:  # a size that never ran is not in the answer
        sized = labels_text({**labels, "batch_size": str(model.batch)})
        for part, part_ms in times.items():
            yield f"batch_stats.{part}.count", sized, executions
            yield f"batch_stats.{part}.ns", sized, executions * part_ms * MS


def _window(shape: Shape) -> samples.Window:
    end_ns = WARMUP_NS + round(shape.window_s * 1e9)
    return samples.Window(
        start_unix_ns=1_767_323_045_000_000_000,
        measure_start_ns=WARMUP_NS,
        measure_end_ns=end_ns,
    )


def latencies_ms(shape: Shape, rng: np.random.Generator) -> NDArray[np.float64]:
    """In the order in which they are due, evenly over the window."""
    level = shape.median_ms * np.exp(shape.noise * rng.standard_normal())
    values = level * np.exp(shape.spread * rng.standard_normal(shape.requests))
    values[: shape.requests // 4] *= shape.first_quarter
    if shape.timeouts:
        values[rng.choice(shape.requests, shape.timeouts, replace=False)] = shape.timeout_ms
    return np.asarray(values, dtype=np.float64)


def _table(shape: Shape, level: str, rng: np.random.Generator) -> pa.Table:
    n = shape.requests
    latency = latencies_ms(shape, rng)
    due = WARMUP_NS + np.linspace(0, shape.window_s * 1e9, n, endpoint=False).astype(np.int64)
    sent = due + int(shape.send_lag_ms * MS)
    done = due + (latency * MS).astype(np.int64)
    timed_out = latency >= shape.timeout_ms
    failed = np.zeros(n, dtype=bool)
    failed[np.flatnonzero(~timed_out)[: shape.errors]] = True
    columns: dict[str, Any] = {
        "due_ns": due,
        "sent_ns": sent,
        "first_byte_ns": done,
        "done_ns": done,
        "status": np.where(timed_out, 0, np.where(failed, 503, 200)),
        "error": np.where(timed_out, "timeout", ""),
        "bytes_in": np.full(n, 900),
        "bytes_out": np.full(n, 50_000),
        "image": np.full(n, "street.jpg"),
        "client": np.arange(n) % 8,
        "phase": np.full(n, "measure"),
        **{f"stage_{name}_us": np.full(n, round(ms * 1000)) for name, ms in shape.stages.items()},
    }
    arrays = [
        pa.array(columns[f.name]).cast(f.type) if f.name in columns else pa.nulls(n, f.type)
        for f in samples.SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=samples.SCHEMA)


def cell_facts(shape: Shape, visit: Visit, position: int) -> dict[str, Any]:
    wall_s = shape.window_s + 1
    rate = float(visit.level[1:]) if visit.level.startswith("q") else None
    offered = shape.requests / shape.window_s
    return {
        "format": 1,
        "variant": visit.variant,
        "level": visit.level,
        "repeat": visit.repeat,
        "position": position,
        "started": "2026-01-02T03:04:05Z",
        "wall_s": wall_s,
        "generator": {
            "version": 1,
            "tool": "triton_bench",
            "loop": "closed" if rate is None else "open",
            "instrument": {
                "offered_rps": offered,
                "achieved_rps": offered * shape.achieved_share,
                "cpu_s": shape.generator_cpu_share * 2 * wall_s,
                "wall_s": wall_s,
                "gomaxprocs": 2,
                **_judgement(shape),
            },
        },
        "service": _service(shape),
        "metrics": {"readings": 27, "failed": 0, "error": None} if shape.triton else None,
        "machine": {
            "busy_share": 0.5,
            "steal_share": shape.steal_share,
            "other_cpu_share": shape.other_cpu_share,
        },
    }


def _service(shape: Shape) -> dict[str, Any]:
    parts = {"service": {"cpu_s": 5.0, "rss_max_bytes": 200_000_000}}
    if shape.triton:
        parts["triton"] = {"cpu_s": 9.5, "rss_max_bytes": 600_000_000}
    sums = {key: sum(part[key] for part in parts.values()) for key in parts["service"]}
    return {"pids": [4242], **sums, "by_process": parts}


def _judgement(shape: Shape) -> dict[str, Any]:
    if shape.reasons is None:
        return {}
    return {"valid": not shape.reasons, "reasons": list(shape.reasons)}


def _run(plan: Campaign, path: Path, order: list[Visit]) -> dict[str, Any]:
    loads = [(level[0], float(level[1:])) for level in plan.levels]
    return {
        "format": 1,
        "tool": "windtunnel",
        "run": path.name,
        "status": "complete",
        "started": "2026-01-02T03:04:05Z",
        "finished": "2026-01-02T03:14:05Z",
        "campaign": {
            "name": "simulated",
            "question": plan.question,
            "variants": {name: {"preset": name} for name in plan.variants},
            "clients": [int(load) for kind, load in loads if kind == "c"],
            "rates": [load for kind, load in loads if kind == "q"],
            "repeats": plan.repeats,
            "duration_s": 10.0,
            "warmup_s": 1.0,
            "timeout_s": 30.0,
            "model": "nano",
            "track": "A",
            "body": "multipart",
            "reference": "baseline",
            "aa": plan.aa,
            "margin": plan.margin,
            "seed": 1,
            "restart": "block",
        },
        "order": [[v.variant, v.level, v.repeat] for v in order],
        "machine": {
            "cpu": "Simulated CPU",
            "cores": 4,
            "memory_bytes": 8 * 2**30,
            "os": "Debian GNU/Linux 12",
            "kernel": "6.1.0",
            "virtualization": None,
            "governor": "performance",
        },
        "versions": {},
        "commit": {"sha": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "pinning": {"service": [0, 1], "generator": [2, 3], "reason": ""},
        "services": {},
        "left_out": {},
        **plan.run,
    }


def arrays(visit: Visit, response_ms: NDArray[np.float64], window_s: float = 10.0) -> Repeat:
    """A repeat in which every request was answered."""
    n = len(response_ms)
    return Repeat(
        variant=visit.variant,
        level=visit.level,
        repeat=visit.repeat,
        response_ms=response_ms,
        service_ms=response_ms,
        censored=np.zeros(n, dtype=bool),
        due_s=np.linspace(0, window_s, n, endpoint=False),
        counts={"ok": n, "http_error": 0, "transport_error": 0, "timeout": 0, "censored": 0},
        window_s=window_s,
        throughput_rps=8000 / float(np.mean(response_ms)),
        send_lag_p99_ms=0.0,
        facts={},
    )
