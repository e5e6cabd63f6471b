"""
One profile as it is compared: its stacks, and what CPU time a request costs, by block.

A sampler counts threads that could run, also those that wait for a CPU, so samples give shares
only. What a whole request costs is measured apart: CPU time of the service over answers, in the
measured repeats of the cell, or, outside of a record, in the profiled window itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Any

from analysis.flame import stacks
from analysis.flame.stacks import Stacks
from analysis.latency import AnalysisError
from analysis.words import level_name, plain
from benchmarks.record import Record, Visit

OWN = 0  # the block of a cost that comes from the profiled window; repeats count from 1


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile of one variant at one level, or of any service, from a file."""

    name: str
    stacks: Stacks
    cpu_ms: Mapping[int, float] = field(default_factory=dict)  # a request, by block
    own_cpu_ms: float | None = None  # a request, while it was profiled
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """How the stacks were taken: `native`, `gil`, `idle`, `nonblocking`."""
        found = self.facts.get("options")
        return found if isinstance(found, dict) else {}

    @property
    def samples_a_request(self) -> float | None:
        """In the profiled time, as far as requests were counted; None without."""
        answers, window_s, duration_s = (
            self.facts.get(key) for key in ("answers", "window_s", "duration_s")
        )
        if not (answers and window_s and duration_s):
            return None
        return float(self.stacks.samples / (answers * duration_s / window_s))


def from_file(path: Path) -> Profile:
    """
    Collapsed stacks, with the facts that lie beside them (`p.json` of `p.txt`) if there are any.

    AnalysisError: either cannot be read.
    """
    found, facts = stacks.read(path), _facts_beside(path)
    own = own_cpu_ms(facts)
    by_block = {} if own is None else {OWN: own}
    return Profile(plain(facts.get("variant") or path.stem), found, by_block, own, facts)


def from_record(record: Record, variant: str, level: str) -> Profile:
    """A cell's profile with the CPU time of its measured repeats; AnalysisError without one."""
    if (variant, level) not in record.profiles():
        raise AnalysisError(f"{record.path}: {_lacking(record, variant, level)}")
    facts = record.profile_facts(variant, level)
    own = own_cpu_ms(facts)
    by_block = cpu_ms_by_block(record, variant, level)
    if not by_block and own is not None:
        by_block = {OWN: own}
    return Profile(variant, stacks.read(record.profile(variant, level)), by_block, own, facts)


def cpu_ms_by_block(record: Record, variant: str, level: str) -> dict[int, float]:
    """CPU ms a request in each measured repeat of a cell; without those that do not say."""
    visits = [v for v in record.completed() if (v.variant, v.level) == (variant, level)]
    found = {visit.repeat: _measured_cpu_ms(record, visit) for visit in visits}
    return {block: cpu_ms for block, cpu_ms in found.items() if cpu_ms is not None}


def aa_pairs(record: Record) -> list[tuple[Stacks, Stacks]]:
    """The stacks of the reference and of its copy, at each level at which both have a profile."""
    there = set(record.profiles())
    copy = record.aa
    original = copy.removesuffix(".aa") if copy else record.reference
    return [
        (stacks.read(record.profile(original, level)), stacks.read(record.profile(copy, level)))
        for level in record.levels
        if copy and {(original, level), (copy, level)} <= there
    ]


def own_cpu_ms(facts: Mapping[str, Any]) -> float | None:
    """CPU ms a request in the profiled window; None where it was not measured."""
    return _cost_ms(facts.get("cpu_s"), facts.get("answers"))


def _measured_cpu_ms(record: Record, visit: Visit) -> float | None:
    """
    CPU time over good answers, both of the measured window.

    Of the service's own processes: a Triton beside it is another program, and not in its stacks.
    """
    facts = record.facts(visit)
    service, generator = facts.get("service") or {}, facts.get("generator") or {}
    own = (service.get("by_process") or {}).get("service") or service
    window, rps = generator.get("window"), generator.get("throughput_rps")
    if not window or rps is None:
        return None
    window_s = (window["measure_end_ns"] - window["measure_start_ns"]) / 1e9
    return _cost_ms(own.get("cpu_s"), rps * window_s)


def _cost_ms(cpu_s: Any, answers: Any) -> float | None:
    numbers = [v for v in (cpu_s, answers) if isinstance(v, int | float) and isfinite(v) and v > 0]
    return 1000 * numbers[0] / numbers[1] if len(numbers) == 2 else None


def _facts_beside(path: Path) -> dict[str, Any]:
    beside = path.with_suffix(".json")
    if beside == path or not beside.is_file():
        return {}
    try:
        facts = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AnalysisError(
            f"{plain(beside)}: damaged ({error}); expected the facts of {plain(path.name)};"
            " delete it to compare shares only"
        ) from error
    return facts if isinstance(facts, dict) and facts.get("format") == 1 else {}


def _lacking(record: Record, variant: str, level: str) -> str:
    there = record.profiles()
    if not there:
        return (
            "no profiles; expected those of a campaign with `[profile] clients = [8]`;"
            " add it and run the campaign again"
        )
    named = product(record.variants, record.levels)
    known = ", ".join(f"{plain(v)} with {level_name(x)}" for v, x in named if (v, x) in there)
    return f"no profile of {plain(variant)!r} at {plain(level)!r}; expected one of: {known}"
