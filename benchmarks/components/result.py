"""
What a component measured, as a file: benchmarks/results/components/<component>/<run>.json.

It holds each case's value in every block, and checks with what was found; no ratio, no interval.
The cases of a block were measured next to each other, so ratios are taken block by block.

Format history (`format`):
    1   the first form.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.environments import ROOT, interpreter
from benchmarks.record import RESULTS, TOOL, RecordError, read_json, shown
from benchmarks.recorder import explained, now, run_name, write_json

FORMAT = 1
FOLDER = "components"
REMEDY = "measure the component again, or restore the file from a copy"


@dataclass(frozen=True, slots=True)
class Case:
    """
    One thing that was measured: its value in each block, in *unit* (cpu_ms, ms, mb, requests).

    *handled_bytes* is what one of it goes through, where that makes sense.
    """

    says: str
    environment: str
    unit: str
    values: tuple[float, ...]
    handled_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Something that is so or is not."""

    name: str
    expected: str
    found: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Result:
    """A component's file. *facts* are its other keys: run, quick, machine, commit and so on."""

    component: str
    question: str
    facts: dict[str, Any]
    cases: dict[str, Case]
    checks: tuple[Check, ...]

    @property
    def run(self) -> str:
        """The name of its file."""
        return str(self.facts["run"])

    @property
    def quick(self) -> bool:
        """Whether it was a look only: few, short blocks."""
        return bool(self.facts["quick"])

    @property
    def blocks(self) -> int:
        """How many values each case has."""
        return len(next(iter(self.cases.values())).values)


def beginning(environments: Sequence[str] = ("default",)) -> dict[str, Any]:
    """The facts that have to be taken before anything is measured, the machine's load for one."""
    pythons = {name: interpreter(name, ROOT) for name in environments}
    return {
        "run": run_name(),
        "started": now(),
        "machine": machine.facts(),
        "versions": machine.versions(pythons),
        "commit": machine.commit(ROOT),
    }


def write(
    results: Path,
    component: str,
    question: str,
    begun: Mapping[str, Any],
    cases: Mapping[str, Case],
    checks: Sequence[Check] = (),
    *,
    quick: bool = False,
) -> Path:
    """Write the file below *results*; RunError when the disk does not take it."""
    folder = results / FOLDER / component
    path = folder / f"{begun['run']}.json"
    whole = {
        "format": FORMAT,
        "tool": TOOL,
        "component": component,
        "question": question,
        **begun,
        "finished": now(),
        "quick": quick,
        "blocks": len(next(iter(cases.values())).values),
        "cases": {name: asdict(case) for name, case in cases.items()},
        "checks": [asdict(check) for check in checks],
    }
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, whole)
    return path


def newest(component: str, results: Path = RESULTS) -> Path | None:
    """The last result of a component below a results folder; names sort by time."""
    return max((results / FOLDER / component).glob("[0-9]*.json"), default=None)


def load(path: Path) -> Result:
    """Read a result; RecordError says what is wrong with it."""
    found = read_json(path, REMEDY)
    if found.get("tool") != TOOL or not isinstance(found.get("component"), str):
        raise _damaged(path, "no result of a component")
    for key, kind in _FACTS.items():
        if not isinstance(found.get(key), kind):
            raise _damaged(path, f"{key!r} holds {str(found.get(key))[:60]!r}")
    cases = {name: _case(path, name, value) for name, value in found["cases"].items()}
    if not cases or any(len(case.values) != found["blocks"] for case in cases.values()):
        raise _damaged(path, f"not {found['blocks']} values in each case")
    facts = {key: found[key] for key in _FACTS if key not in ("question", "cases", "checks")}
    checks = tuple(_check(path, value) for value in found["checks"])
    return Result(found["component"], found["question"], facts, cases, checks)


_FACTS: dict[str, type] = {
    "question": str,
    "run": str,
    "started": str,
    "finished": str,
    "quick": bool,
    "machine": dict,
    "versions": dict,
    "commit": dict,
    "blocks": int,
    "cases": dict,
    "checks": list,
}


def _case(path: Path, name: str, value: Any) -> Case:
    texts = ("says", "environment", "unit")
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in texts):
        raise _damaged(path, f"case {name!r} lacks one of {', '.join(texts)}")
    values, handled = value.get("values"), value.get("handled_bytes")
    if not isinstance(values, list) or not values or not all(map(_is_number, values)):
        raise _damaged(path, f"case {name!r} has other values than numbers")
    if handled is not None and (type(handled) is not int or handled < 0):
        raise _damaged(path, f"case {name!r} handles {handled!r} bytes")
    says, environment, unit = (value[key] for key in texts)
    return Case(says, environment, unit, tuple(map(float, values)), handled)


def _check(path: Path, value: Any) -> Check:
    texts = ("name", "expected", "found")
    there = isinstance(value, dict) and all(isinstance(value.get(key), str) for key in texts)
    if not there or not isinstance(value.get("passed"), bool):
        raise _damaged(path, "a check lacks its name, what was expected or found, or its outcome")
    name, expected, found = (value[key] for key in texts)
    return Check(name, expected, found, value["passed"])


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _damaged(path: Path, found: str) -> RecordError:
    return RecordError(f"{shown(path)}: {found}; expected what a component writes; {REMEDY}")
