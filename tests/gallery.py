"""
A results folder with one run of every kind that the app may meet.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from benchmarks.import_commands import app as importer
from tests.golden import DEMO
from tests.records import Shape, campaign, with_cell, write

ROOT = Path(__file__).parent.parent
IMPORTS = ROOT / "tests/data/imports"
STAGES = {"decode": 3.0, "infer": 9.0, "serialize": 0.5}

# What a name may try: HTML, links, tables, formulas, emoji and icons of Streamlit, a long line.
HOSTILE = (
    "<script>alert(1)",
    "[x](javascript:alert(2))",
    "a|b *c* `d` $e^2$ :smile: :material_home: :red[f]",
    "www.example.com a@example.com 🙂 " + "long" * 20,
)

# Of each variant, samples by stack; the last one is hostile.
STACKS = {
    variant: (
        f"TrackA.stages (service/tracks.py:90);infer (service/detection.py:40) {infer}",
        f"TrackA.stages (service/tracks.py:90);{canvas};Image.resize (PIL/Image.py:2300) {resize}",
        f"serialize_response (fastapi/routing.py:369);{HOSTILE[0]} (</script>:1) {hostile}",
        # Alike on all sides: the more there are, the surer the noise is.
        *(
            f"serialize_response (fastapi/routing.py:369);part{n} (json/encoder.py:{n}) 20"
            for n in range(20)
        ),
    )
    for variant, canvas, infer, resize, hostile in (
        ("baseline", "canvas_pillow (service/imaging.py:80)", 3000, 2000, 300),
        ("baseline.aa", "canvas_pillow (service/imaging.py:80)", 3050, 2010, 290),
        ("optimized", "canvas_draft (service/imaging.py:99)", 3000, 300, 310),
    )
}
PROFILED = {
    "format": 1,
    "started": "2026-11-26T12:00:00Z",
    "program": "py-spy 0.4.3",
    "rate_hz": 100,
    "duration_s": 10,
    "options": {"native": False, "gil": False, "idle": False, "nonblocking": False},
    "samples": 5000,
    "errors": 0,
    "answers": 1000,
    "window_s": 10.0,
    "cpu_s": 19.0,
    "generator": {},
}


def history(results: Path, runs: int = 6, folder: str = "simulated") -> list[str]:
    """Runs of one campaign, of which the later half is slower; their names, the oldest first."""
    names = []
    for number in range(runs):
        slower = 1.3 if number >= runs // 2 else 1.0
        variants = {
            "baseline": Shape(median_ms=20, stages=STAGES, requests=400),
            "optimized": Shape(median_ms=14 * slower, stages=STAGES, requests=400),
        }
        plan = campaign(variants, levels=("c0008", "c0032"))
        names.append(_put(results, plan, f"202601{number + 1:02d}T030405Z-{number:06x}", folder))
    return names


def hostile(results: Path) -> str:
    """Names that others wrote, of variants, machine, model, question and images."""
    first, *others = HOSTILE
    variants = {name: Shape(requests=100, stages=STAGES) for name in HOSTILE}
    plan = campaign({"baseline": variants[first], **variants}, levels=("c0001",))
    question = "</script><img src=x onerror=alert(3)> " + " ".join(others)
    changed = {"machine": {"cpu": first, "cores": 2, "os": others[0]}, "versions": {first: others}}
    plan = replace(plan, question=question, run=changed)
    path = _put(results, plan, "20260201T030405Z-00bad0", "hostile")
    slowest = [{"latency_ms": 3.0, "status": 200, "image": first, "trace_id": others[0]}, first, 7]
    for cell in (results / path).glob("cells/**/cell.json"):
        _edit(cell, slowest=slowest)
    return path


def partial(results: Path) -> str:
    """An interrupted run: one cell has one repeat, another none; P95 is not to be had."""
    plan = campaign({"baseline": Shape(requests=60), "optimized": Shape(requests=60)})
    plan = with_cell(plan, "optimized", "c0008", repeats=0)
    plan = with_cell(plan, "optimized", "c0001", repeats=1)
    plan = replace(plan, run={"status": "interrupted", "finished": None})
    return _put(results, plan, "20260202T030405Z-000002", "partial")


def running(results: Path, *, repeats: int = 1, folder: str = "running") -> str:
    """A run that goes on: of three planned repeats some are there."""
    plan = campaign({"baseline": Shape(requests=100), "optimized": Shape(requests=100)})
    for variant, level in plan.cells:
        plan = with_cell(plan, variant, level, repeats=repeats)
    plan = replace(plan, run={"status": "running", "finished": None})
    return _put(results, plan, "20260203T030405Z-000003", folder)


def alone(results: Path) -> str:
    """One variant, no copy, no stages, with time-outs and errors."""
    shape = Shape(requests=100, errors=5, timeouts=8)
    plan = campaign({"baseline": shape}, levels=("q0050",), aa=None)
    return _put(results, plan, "20260204T030405Z-000004", "alone")


def broken(results: Path) -> str:
    """run.json was cut off."""
    path = running(results, folder="broken")
    (results / path / "run.json").write_text('{"format": 1, "tool"')
    return path


def newer(results: Path) -> str:
    """Written by a windtunnel of tomorrow."""
    path = "newer/20260205T030405Z-000005"
    (results / path).mkdir(parents=True)
    (results / path / "run.json").write_text(json.dumps({"format": 99, "tool": "windtunnel"}))
    return path


def imported(results: Path) -> str:
    """What Locust summed up, without its requests."""
    files = [f"{name}@4={IMPORTS}/locust-{name}_stats.csv" for name in ("baseline", "candidate")]
    done = CliRunner().invoke(
        importer, [*files, "--name", "from_locust", "--results", str(results)]
    )
    assert done.exit_code == 0, done.output
    return f"from_locust/{next((results / 'from_locust').iterdir()).name}"


def real(results: Path) -> str:
    """The demo's record, as it lies in the repository."""
    shutil.copytree(DEMO, results / "demo" / DEMO.name)
    return f"demo/{DEMO.name}"


def profile(record: Path, level: str = "c0032") -> None:
    """Add profiles of baseline, its copy and optimized to a record, as py-spy would write them."""
    for variant, lines in STACKS.items():
        folder = record / "profiles" / variant
        folder.mkdir(parents=True, exist_ok=True)
        stacks = [f'process 7:"python -m service";main (service/commands.py:5);{x}' for x in lines]
        (folder / f"{level}.txt").write_text("\n".join(stacks))
        facts = {**PROFILED, "variant": variant, "level": level}
        (folder / f"{level}.json").write_text(json.dumps(facts))


def _put(results: Path, plan: Any, run: str, folder: str) -> str:
    """Write a record under its name; what is returned is how the catalogue calls it."""
    made = write(results / ".making", plan, seed=sum(map(ord, run)))
    target = results / folder / run
    target.parent.mkdir(exist_ok=True)
    made.rename(target)
    shutil.rmtree(results / ".making")
    facts = json.loads((target / "run.json").read_text())
    started = f"{run[:4]}-{run[4:6]}-{run[6:8]}T03:04:05Z"
    named = {**facts["campaign"], "name": folder}
    _edit(target / "run.json", run=run, started=started, campaign=named)
    return f"{folder}/{run}"


def _edit(file: Path, **changes: Any) -> None:
    known: Mapping[str, Any] = json.loads(file.read_text())
    file.write_text(json.dumps({**known, **changes}))
