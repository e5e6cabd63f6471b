"""
Which cell a history is of: as it is asked for, and otherwise as the newest run has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis import alike
from analysis.catalogue import Entry
from analysis.latency import AnalysisError
from analysis.opened import opened
from analysis.words import load_of
from benchmarks.fields import unknown


@dataclass(frozen=True, slots=True)
class Asked:
    """Which cell, on which machine, set up how: as the newest run has it."""

    campaign: str
    variant: str
    level: str
    measure: str
    reference: str | None  # None: the variant is the reference itself
    machine: str
    machine_key: str
    setup: dict[str, str]
    reference_setup: dict[str, str]


def choose(
    runs: Sequence[Entry],
    variant: str | None,
    level: str | None,
    measure: str,
    machine_key: str | None,
) -> Asked:
    """
    The cell among the runs of one campaign, newest first.

    AnalysisError: no run can be read, or none has what was asked for.
    """
    newest = _newest(runs, variant, level, machine_key)
    copies = (newest.reference, newest.aa)
    others = [name for name in newest.variants if name not in copies]
    name = variant or next(iter([*others, newest.reference]))
    reference = name.removesuffix(".aa") if name == newest.aa else newest.reference
    record = opened(newest.path)
    return Asked(
        campaign=newest.campaign,
        variant=name,
        level=level or max(newest.levels, key=load_of),
        measure=measure,
        reference=None if reference == name else reference,
        machine=newest.machine,
        machine_key=newest.machine_key,
        setup=alike.setup(record, name),
        reference_setup=alike.setup(record, reference),
    )


def _newest(
    runs: Sequence[Entry], variant: str | None, level: str | None, machine_key: str | None
) -> Entry:
    """The newest run that has what was asked for."""
    found = [entry for entry in runs if entry.problem is None]
    if not found:
        raise AnalysisError(f"history: no run of {runs[0].campaign} can be read; {runs[0].problem}")
    for what, wanted, names in (
        ("machine", machine_key, lambda entry: (entry.machine_key,)),
        ("variant", variant, lambda entry: entry.variants),
        ("level", level, lambda entry: entry.levels),
    ):
        known = dict.fromkeys(name for entry in found for name in names(entry))
        if wanted is not None and wanted not in known:
            raise AnalysisError(unknown("history", what, wanted, known))
        found = [entry for entry in found if wanted is None or wanted in names(entry)]
    return found[0]
