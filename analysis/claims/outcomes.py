"""
The outcome of judging claims: one JSON document, from which every page and table is made.

It holds each claim as it was written, each row with its values block by block, its interval and
what follows from it, the verdicts, and where everything was measured. README.md has its keys.
"""

import json
from collections.abc import Mapping
from math import isinf
from pathlib import Path
from typing import Any

from analysis.claims import contents, rules
from analysis.claims.asked import Claim, Claims, Evidence
from analysis.claims.rules import Judged
from analysis.claims.series import RecordValues, Series, of_component
from analysis.compare import CONFIDENCE
from analysis.comparison import Comparison
from analysis.latency import AnalysisError
from analysis.terminal import doubt_line
from analysis.words import plain
from benchmarks.components.result import Result
from benchmarks.record import RecordError, read_json, shown
from benchmarks.recorder import now

FORMAT = 1
TOOL = "windtunnel claims"


class Sources:
    """What was measured: a comparison of each campaign's record, a result of each component."""

    def __init__(self, records: Mapping[str, Comparison], results: Mapping[str, Result]) -> None:
        self.records, self.results = records, results
        self._values = {name: RecordValues(found) for name, found in records.items()}

    def judge(self, row: Evidence, confidence: float, *, judged: bool) -> Judged:
        """A row against what was measured of it."""
        if row.kind == "check":
            return self._checked(row, judged=judged)
        return rules.judge(row, self._series(row), confidence, judged=judged)

    def _series(self, row: Evidence) -> Series:
        kind, name = row.source
        if kind == "component":
            if name not in self.results:
                return Series(missing=f"component {name} was not measured")
            return of_component(self.results[name], row.case, row.against, row.measure)
        if name not in self._values:
            return Series(missing=f"campaign {name} was not measured")
        return self._values[name].series(row.case, row.against, row.level, row.measure)

    def _checked(self, row: Evidence, *, judged: bool) -> Judged:
        _, name = row.source
        found = self.results[name].checks if name in self.results else ()
        check = next((each for each in found if each.name == row.case), None)
        missing = f"component {name} did not check {row.case!r}"
        return rules.checked(row, check, missing, judged=judged)


def document(asked: Claims, sources: Sources, *, quick: bool = False) -> dict[str, Any]:
    """Every claim judged by what was measured."""
    return {
        "format": FORMAT,
        "tool": TOOL,
        "made": now(),
        "quick": quick,
        "title": asked.title,
        "source": asked.source,
        "claims": [_claim(claim, sources) for claim in asked.claims],
        "exhibits": [
            {
                "title": exhibit.title,
                "says": exhibit.says,
                "rows": [
                    _row(sources.judge(row, CONFIDENCE, judged=False)) for row in exhibit.rows
                ],
            }
            for exhibit in asked.exhibits
        ],
        "sources": [
            *(_of_record(name, found) for name, found in sources.records.items()),
            *(_of_result(name, found) for name, found in sources.results.items()),
        ],
    }


def _claim(claim: Claim, sources: Sources) -> dict[str, Any]:
    confidence = rules.confidence_of(claim)
    rows = [sources.judge(row, confidence, judged=not claim.cannot) for row in claim.evidence]
    found = rules.verdict(claim, rows)
    return {
        "id": claim.id,
        "title": claim.title,
        "section": claim.section,
        "quote": claim.quote,
        "verdict": found,
        "cannot": claim.cannot,
        "because": claim.because.get(found, ""),
        "evidence": [_row(row) for row in rows],
    }


def _row(row: Judged) -> dict[str, Any]:
    asked, check = row.evidence, row.check
    return {
        "says": asked.says,
        "as": asked.kind,
        asked.source[0]: asked.source[1],
        "case": asked.case,
        "against": asked.against,
        "level": asked.level,
        "measure": asked.measure,
        "claimed": None if asked.claimed is None else [_finite(edge) for edge in asked.claimed],
        "said": asked.said,
        "better": asked.better,
        "outcome": row.outcome,
        "remark": plain(row.remark),
        "unit": row.unit,
        "point": row.point,
        "interval": None if row.low is None else [row.low, row.high],
        "confidence": row.confidence,
        "noise_floor": row.floor,
        "before": row.before,
        "after": row.after,
        "blocks": list(row.blocks),
        "counted": None if row.counted is None else list(row.counted),
        "check": None if check is None else {"expected": check.expected, "found": check.found},
        "doubts": list(row.doubts),
    }


def _finite(edge: float) -> float | None:
    return None if isinf(edge) else edge


def _of_record(name: str, found: Comparison) -> dict[str, Any]:
    record = found.record
    return {
        "kind": "campaign",
        "name": name,
        "question": record.question,
        "run": record.run_id,
        **{key: record.run.get(key) for key in ("status", *_FACTS)},
        "blocks": record.repeats,
        "doubts": [doubt_line(doubt, found) for doubt in found.doubts],
    }


_FACTS = ("started", "finished", "commit", "machine")


def _of_result(name: str, found: Result) -> dict[str, Any]:
    return {
        "kind": "component",
        "name": name,
        "question": found.question,
        "run": found.run,
        "status": "complete",
        **{key: found.facts.get(key) for key in _FACTS},
        "blocks": found.blocks,
        "doubts": [],
    }


def write(path: Path, outcome: Mapping[str, Any]) -> None:
    """Write claims.json; AnalysisError where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(outcome), encoding="utf-8")
    except OSError as error:
        raise AnalysisError(
            f"{shown(path)}: cannot be written ({error}); expected a folder of yours; choose"
            " another with --results"
        ) from error


def text(outcome: Mapping[str, Any]) -> str:
    """The document as its file has it."""
    return json.dumps(outcome, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def load(path: Path) -> dict[str, Any]:
    """Read a claims.json; RecordError if it is none or damaged."""
    found = read_json(path, REMEDY)
    if found.get("tool") != TOOL:
        raise RecordError(f"{shown(path)}: not an outcome of `{TOOL}`; {REMEDY}")
    if problem := contents.problem(found):
        raise RecordError(f"{shown(path)}: {problem}; expected what `{TOOL}` writes; {REMEDY}")
    return found


REMEDY = "judge the records again with `windtunnel claims --record RECORD`"
