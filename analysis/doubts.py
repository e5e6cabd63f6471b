"""
All doubts of a run: those of the whole run first, then those of single cells.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from analysis.checks import CELL_RULES, Doubt, cell_doubts
from analysis.compare import CONFIDENCE, Verdict
from analysis.matrix import Matrix
from analysis.words import levels_phrase, measure_name

RunRule = Callable[[Matrix, Mapping[str, Any]], Iterator[tuple[str, str]]]


def no_aa_pair(matrix: Matrix, run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if matrix.plan.aa is None or not matrix.aa:
        reference = matrix.plan.reference
        twice = f"import a second set of files of {reference} as {reference}.aa"
        yield (
            "no A/A pair: nothing shows how far two copies of the same service differ here",
            twice if run.get("imported") else "set aa = true in the campaign",
        )


def imported(matrix: Matrix, run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What another program measured, and what its files do not say."""
    if about := run.get("imported"):
        unknown = about.get("cannot_know") or ["nothing is said of what is missing"]
        yield (
            f"imported from {about.get('tool', 'another program')}, whose files do not say all:"
            f" {'; '.join(map(str, unknown))}",
            "measure with `windtunnel run` what has to be decided",
        )


def aa_differs(matrix: Matrix, run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Without the noise floor, which comes from this very pair and would hide the difference."""
    shown = [
        d
        for d in matrix.aa
        if d.ratio
        and d.verdict is not Verdict.SAME
        and d.adjusted_p <= 1 - CONFIDENCE
        and not d.ratio.low <= 1 <= d.ratio.high
    ]
    if shown:
        worst = min(shown, key=lambda d: d.adjusted_p)
        assert worst.ratio is not None
        yield (
            f"two copies of {matrix.plan.original} differ in {len(shown)} of {len(matrix.aa)}"
            f" comparisons, at {measure_name(worst.measure)} {levels_phrase([worst.level])} by a"
            f" ratio of {worst.ratio.point:.2f}",
            "something changes between repeats that the campaign does not control; find it before"
            " you believe a verdict",
        )


def shared_cpus(matrix: Matrix, run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    pinning = run.get("pinning")
    ours = any(v.facts.get("service") for cell in matrix.cells.values() for v in cell.visits)
    if pinning is None or not ours:
        return
    service, generator = pinning.get("service"), pinning.get("generator")
    if not service or not generator or set(service) & set(generator):
        reason = f" ({pinning['reason']})" if pinning.get("reason") else ""
        yield (
            f"the generator and the service share the CPUs{reason}",
            "read ratios rather than absolute values, or use a machine with more cores",
        )


def left_out(matrix: Matrix, run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    names = run.get("left_out") or {}
    if names:
        # The first clause of each: the rest of a build's error is in run.json.
        first = {name: re.split(r";|\n| [(]", str(reason))[0] for name, reason in names.items()}
        reasons = "; ".join(f"{name}: {reason}" for name, reason in first.items())
        yield f"left out of the run ({reasons})", "run it on a machine that can"


def uncommitted_changes(matrix: Matrix, run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if (run.get("commit") or {}).get("dirty"):
        yield (
            "the code had uncommitted changes: the commit in the record is not what ran",
            "commit, then run again",
        )


def code_changed(matrix: Matrix, run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A run that was resumed with other code than it began with; or with who knows which."""
    began = run.get("commit") or {}
    later = [entry.get("commit") or {} for entry in run.get("resumed") or []]
    others = [
        _commit(found)
        for found in later
        if found.get("dirty") or found.get("sha") != began.get("sha")
    ]
    if others:
        yield (
            f"repeats were added with other code: begun with {_commit(began)}, resumed with"
            f" {', '.join(dict.fromkeys(others))}",
            "run the campaign again without --resume",
        )


def _commit(found: Mapping[str, Any]) -> str:
    sha = f"commit {str(found['sha'])[:7]}" if found.get("sha") else "an unknown commit"
    return sha + (" and uncommitted changes" if found.get("dirty") else "")


RUN_RULES: tuple[RunRule, ...] = (
    no_aa_pair,
    imported,
    aa_differs,
    shared_cpus,
    left_out,
    uncommitted_changes,
    code_changed,
)
KINDS = tuple(rule.__name__ for rule in (*RUN_RULES, *CELL_RULES))


def find(matrix: Matrix, run: Mapping[str, Any]) -> tuple[Doubt, ...]:
    whole = [
        Doubt(rule.__name__, text, step) for rule in RUN_RULES for text, step in rule(matrix, run)
    ]
    return (*whole, *cell_doubts(matrix, run))
