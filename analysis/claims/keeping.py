"""
What was measured before and need not be again: by this code, on this machine, and all that is
needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.claims.asked import Claims
from analysis.latency import AnalysisError
from benchmarks import machine, record, resume
from benchmarks.campaign import Campaign
from benchmarks.components import result
from benchmarks.environments import ROOT
from benchmarks.fields import CampaignError
from benchmarks.processes import RunError
from benchmarks.record import Record, RecordError

# Facts of a machine that have to be the same.
OF_MACHINE = (
    "cpu", "cores", "threads", "available_cpus", "memory_bytes", "cgroup", "kernel",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Here:
    """The code and the machine of which something kept has to be."""

    commit: Mapping[str, object]
    machine: Mapping[str, object]

    def measured(self, facts: Mapping[str, Any]) -> bool:
        """Whether what has these facts was measured by this code, with as much of this machine."""
        there = facts.get("machine") or {}
        same = all(there.get(key) == self.machine.get(key) for key in OF_MACHINE)
        return same and facts.get("commit") == self.commit


def here() -> Here:
    """This commit and machine; AnalysisError if the code is no commit's."""
    commit = machine.commit(ROOT)
    if commit["sha"] is None or commit["dirty"]:
        found = "no commit is known" if commit["sha"] is None else "files differ from the commit"
        raise AnalysisError(
            f"--reuse: {found}, so what was measured cannot be told from what this code would"
            " measure; expected a clean checkout; commit or undo the changes, or leave it out"
        )
    return Here(commit, machine.facts())


def kept_record(
    campaign: Campaign, file: Path, variants: tuple[str, ...], results: Path, at: Here
) -> Record | None:
    """The newest with all of these variants, complete or to be gone on with."""
    folder = results / campaign.name
    for path in sorted(record.runs(folder), key=lambda path: path.name, reverse=True):
        try:
            found = record.load(path)
            resume.check_same(file, campaign, found)
        except (RecordError, RunError, CampaignError):
            continue
        whole = set(variants) <= set(found.campaign["variants"]) - set(found.left_out)
        if whole and at.measured(found.run):
            return found
    return None


def kept_result(asked: Claims, name: str, results: Path, at: Here, *, quick: bool) -> Path | None:
    """The newest, if it has every case that is asked for: an environment may have been missing."""
    newest = result.newest(name, results)
    if newest is None:
        return None
    try:
        found = result.load(newest)
    except RecordError:
        return None
    rows = [row for row in asked.rows() if row.source == ("component", name)]
    rows = [row for row in rows if row.kind != "check"]
    cases = {case for row in rows for case in (row.case, row.against) if case}
    whole = cases <= found.cases.keys() and found.quick <= quick
    return newest if whole and at.measured(found.facts) else None
