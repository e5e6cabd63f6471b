"""
One profile as it is compared: its stacks, and what CPU time a request costs, by block.

A sampler counts threads that could run, also those that wait for a CPU, so samples give shares
only. What a whole request costs is measured apart: CPU time of the service over answers, in the
measured repeats of the cell, or, outside of a record, in the profiled window itself.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

from analysis.costs import used
from analysis.flame import stacks
from analysis.flame.stacks import Stacks
from analysis.latency import AnalysisError
from analysis.words import level_name, plain
from benchmarks import contents
from benchmarks.record import Record

OWN = 0  # the block of a cost that comes from the profiled window; repeats count from 1

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile of one variant at one level, or of any service, from a file."""

    name: str
    stacks: Stacks
    cpu_ms: Mapping[int, float] = field(default_factory=dict)  # a request, by block
    own_cpu_ms: float | None = None  # a request, while it was profiled
    facts: Facts = field(default_factory=dict)
    triton_ms: float | None = None  # a request, of its Triton, which is in none of these
    engine_threads: int = 1  # of a request; from 2 on the engine has threads that no stack shows

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

    @property
    def only_own(self) -> bool:
        """Whether what a request costs is known from the profiled window alone."""
        return set(self.cpu_ms) == {OWN}


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
    own, measured = own_cpu_ms(facts), _measured(record, variant, level)
    by_block = _by_block(measured)
    if not by_block and own is not None:
        by_block = {OWN: own}
    found = stacks.read(record.profile(variant, level))
    threads = _engine_threads(record, variant)
    return Profile(variant, found, by_block, own, facts, _triton_ms(measured.values()), threads)


def of_cell(
    record: Record, level: str, variant: str, against: str | None = None
) -> tuple[list[Profile], list[tuple[Stacks, Stacks]]]:
    """
    A cell's profile, or that of *against* and then its own, with the pairs that show their noise.

    AnalysisError or RecordError: a profile is not there or damaged.
    """
    if against is None:
        return [from_record(record, variant, level)], []
    return [from_record(record, name, level) for name in (against, variant)], aa_pairs(record)


def aa_pairs(record: Record) -> list[tuple[Stacks, Stacks]]:
    """The stacks of the reference and of its copy, at each level at which both have a profile."""
    there = set(record.profiles())
    copy = record.aa
    return [
        (stacks.read(record.profile(original, level)), stacks.read(record.profile(copy, level)))
        for level in record.levels
        if copy and {(original := _original(record, copy), level), (copy, level)} <= there
    ]


def own_cpu_ms(facts: Facts) -> float | None:
    """CPU ms a request in the profiled window; None where it was not measured."""
    return _cost_ms(facts.get("cpu_s"), facts.get("answers"))


def _measured(record: Record, variant: str, level: str) -> dict[int, Facts]:
    """What the measured repeats of a cell say."""
    visits = [v for v in record.completed() if (v.variant, v.level) == (variant, level)]
    return {visit.repeat: record.facts(visit) for visit in visits}


def _by_block(measured: Mapping[int, Facts]) -> dict[int, float]:
    """Of the service's own processes: a Triton beside it is another program, in no stack."""
    found = {
        block: _cost_ms(used(facts, "cpu_s", own=True), _answers(facts))
        for block, facts in measured.items()
    }
    return {block: cost for block, cost in found.items() if cost is not None}


def _triton_ms(measured: Iterable[Facts]) -> float | None:
    """The mean over repeats of what is not of the service's own processes; None if all is."""
    found = []
    for facts in measured:
        whole, own = used(facts, "cpu_s", own=False), used(facts, "cpu_s", own=True)
        rest = None if whole is None or own is None else whole - own
        found.append(_cost_ms(rest, _answers(facts)))
    known = [cost for cost in found if cost is not None]
    return fmean(known) if known else None


def _answers(facts: Facts) -> float | None:
    """Good answers in the measured window."""
    generator = facts.get("generator") or {}
    window, rps = generator.get("window"), generator.get("throughput_rps")
    if not window or rps is None:
        return None
    return float(rps * (window["measure_end_ns"] - window["measure_start_ns"]) / 1e9)


def _cost_ms(cpu_s: Any, answers: Any) -> float | None:
    if not all(isinstance(value, int | float) and value > 0 for value in (cpu_s, answers)):
        return None
    try:
        found = 1000 * float(cpu_s) / float(answers)
    except OverflowError:
        return None
    return found if isfinite(found) and found > 0 else None


def _engine_threads(record: Record, variant: str) -> int:
    """As the service said when it was started; its A/A copy has the same."""
    services = record.run.get("services") or {}
    found: Any = services.get(variant) or services.get(_original(record, variant))
    for key in ("health", "engine", "threads"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, int) else 1


def _original(record: Record, variant: str) -> str:
    """The variant that the A/A copy copies; any other is its own."""
    return variant.removesuffix(".aa") if variant == record.aa else variant


def _facts_beside(path: Path) -> Facts:
    beside = path.with_suffix(".json")
    if beside == path or not beside.is_file():
        return {}
    remedy = f"expected the facts of {plain(path.name)}; delete it to compare shares only"
    try:
        facts = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AnalysisError(f"{plain(beside)}: damaged ({error}); {remedy}") from error
    if not isinstance(facts, dict) or facts.get("format") != 1:
        return {}
    if problem := contents.profile_problem(facts):
        raise AnalysisError(f"{plain(beside)}: {plain(problem)}; {remedy}")
    return facts


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


def calibrated_apart(sides: Sequence[Profile]) -> bool:
    """Whether one side's cost is of its profiled window, the other's of measured repeats."""
    return len({side.only_own for side in sides}) > 1
