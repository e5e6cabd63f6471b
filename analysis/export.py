"""
A comparison as JSON, with everything that the other formats leave out. README.md has the schema.
"""

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

from analysis import answer, triton
from analysis.cells import Cell, Visited
from analysis.compare import Ratio
from analysis.comparison import Comparison
from analysis.differences import Difference
from analysis.stages import MEAN
from analysis.triton import CellUse
from analysis.words import load_of

FORMAT = 1
# Keys of the document, and the titles of their sentences.
SENTENCES = {
    "summary": answer.ANSWER,
    "why": answer.WHY,
    "capacity": answer.CAPACITY,
    "undecided": answer.UNDECIDED,
}


def document(comparison: Comparison) -> dict[str, Any]:
    record, matrix, plan = comparison.record, comparison.matrix, comparison.plan
    said = dict(answer.parts(comparison))
    return {
        key: finite(value)
        for key, value in {
            "format": FORMAT,
            "tool": "windtunnel compare",
            "record": str(record.path),
            "run": record.run_id,
            "campaign": record.name,
            "question": record.question,
            "status": record.status,
            "reference": plan.reference,
            "aa": plan.aa,
            "margin": plan.margin,
            "repeats": plan.repeats,
            "percentiles": list(plan.percentiles),
            "machine": record.run.get("machine"),
            "commit": record.run.get("commit"),
            "levels": [_level(level) for level in plan.levels],
            "doubts": [asdict(doubt) for doubt in comparison.doubts],
            "cells": [_cell(cell, plan.measures) for cell in matrix.cells.values()],
            "differences": [_difference(d) for d in matrix.differences],
            "aa_differences": [_difference(d) for d in matrix.aa],
            "curves": [_difference(d) for d in matrix.curves],
            "slo": asdict(comparison.slo) if comparison.slo else None,
            "triton": [_triton(found) for found in triton.cells(comparison)],
            **{key: said.get(title, []) for key, title in SENTENCES.items()},
        }.items()
    }


def finite(value: Any) -> Any:
    """JSON has no infinity: an interval without an end has null there."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return value


def _level(level: str) -> dict[str, Any]:
    kind, load = load_of(level)
    return {
        "level": level,
        "clients": int(load) if kind == "clients" else None,
        "rate": load if kind == "rate" else None,
    }


def _cell(cell: Cell, measures: tuple[str, ...]) -> dict[str, Any]:
    values = {measure: cell.value(measure) for measure in measures}
    return {
        "variant": cell.variant,
        "level": cell.level,
        "median": {key: asdict(value) if value else None for key, value in values.items()},
        "stages": {measure: mix for measure in (MEAN, *measures) if (mix := cell.mix(measure))},
        "repeats": [_visit(visit) for visit in cell.visits],
    }


def _visit(visit: Visited) -> dict[str, Any]:
    return {
        "repeat": visit.repeat,
        "requests": visit.counts,
        "error_share": visit.error_share,
        "window_s": visit.window_s,
        "throughput_rps": visit.throughput_rps,
        "send_lag_p99_ms": visit.send_lag_p99_ms,
        "over_slo": visit.over_slo,
        "response": {key: asdict(found) for key, found in visit.percentiles.items()},
        "service": {key: asdict(found) for key, found in visit.service_percentiles.items()},
        "first_quarter_change": visit.trend.change if visit.trend else None,
    }


def _difference(d: Difference) -> dict[str, Any]:
    return {
        "variant": d.variant,
        "level": d.level,
        "measure": d.measure,
        "verdict": str(d.verdict),
        "reason": d.reason,
        "ratio": _ratio(d.ratio),
        "noise_floor": d.floor,
        "p": d.p,
        "adjusted_p": d.adjusted_p,
        "repeats_needed": d.repeats_needed,
    }


def _triton(found: CellUse) -> dict[str, Any]:
    return {
        "variant": found.variant,
        "level": found.level,
        "model": found.model,
        "ensemble": found.ensemble,
        "median": {measure: found.median(measure) for measure in triton.MEASURES},
        "batch_sizes": _shares(found.batch_sizes),
        "repeats": [
            {
                "repeat": repeat,
                "executions": use.executions,
                "inferences": use.inferences,
                **{measure: getattr(use, measure) for measure in triton.MEASURES},
                "batch_sizes": _shares(use.batch_sizes),
            }
            for repeat, use in found.repeats.items()
        ],
    }


def _shares(sizes: Mapping[int, float]) -> dict[str, float]:
    """A key of JSON is a text."""
    return {str(size): share for size, share in sizes.items()}


def _ratio(ratio: Ratio | None) -> dict[str, Any] | None:
    if ratio is None:
        return None
    return {
        "point": ratio.point,
        "low": ratio.low,
        "high": ratio.high,
        "bound": str(ratio.bound),
        "blocks": list(ratio.blocks),
        "smallest_difference": ratio.smallest_difference,
        "detectable": ratio.detectable,
    }
