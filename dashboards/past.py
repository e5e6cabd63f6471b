"""
Earlier runs of the same campaign: histories of cells, as the pages Overview and History show them.
"""

from collections.abc import Sequence
from hashlib import blake2b

import streamlit as st

from analysis import history
from analysis.catalogue import Entry
from analysis.cells import THROUGHPUT
from analysis.compare import Value
from analysis.comparison import Comparison
from analysis.history import History
from analysis.opened import PROBLEMS
from analysis.summary import headline
from analysis.words import MISSING, level_name, load_of, measure_name, measured
from dashboards import data
from dashboards.measures import HEADLINE
from dashboards.text import escaped

MOST_RUNS = 200  # newest ones of a campaign that a history goes back to
FEW_RUNS = 20  # of a sparkline
KEPT_FOR_S = 30
UNIT = (" ms", " req/s")


def runs(campaign: str) -> list[Entry]:
    """Those of a campaign, newest first."""
    return [entry for entry in data.entries().values() if entry.campaign == campaign]


def machines(readable: Sequence[Entry]) -> dict[str, str]:
    """Each machine's key by what the box shows, that of the newest run first; no two are alike."""
    found: dict[str, str] = {}
    for entry in readable:
        if entry.machine_key not in found.values():
            name = entry.machine or "unknown"
            alike = sum(label.startswith(name) for label in found)
            found[f"{name} ({alike + 1})" if alike else name] = entry.machine_key
    return found


def found(
    among: Sequence[Entry],
    campaign: str,
    variant: str,
    level: str,
    measure: str,
    machine_key: str | None = None,
) -> History:
    """The history of a cell; AnalysisError if no run has it."""
    state = repr([(entry.id, entry.status, entry.finished) for entry in among])
    name = blake2b(state.encode(), digest_size=16).hexdigest()
    return _found(name, among, campaign, variant, level, measure, machine_key)


@st.cache_resource(ttl=KEPT_FOR_S, max_entries=64, show_spinner="Reading earlier runs …")
def _found(
    name: str,
    _among: Sequence[Entry],
    campaign: str,
    variant: str,
    level: str,
    measure: str,
    machine_key: str | None,
) -> History:
    return history.history(
        _among, campaign, variant=variant, level=level, measure=measure, machine_key=machine_key
    )


def sparklines(entry: Entry, comparison: Comparison) -> None:
    """One small history for each variant, at the heaviest load, where there are earlier runs."""
    # Up to the run that is shown: what came later is not news of it.
    every = runs(entry.campaign)
    until = every[[each.id for each in every].index(entry.id) :]
    among = [each for each in until if not each.problem][:FEW_RUNS]
    if len(among) < 2:
        return
    st.subheader("Run after run", anchor=False)
    level = max(comparison.plan.levels, key=load_of)
    names = (comparison.plan.reference, *comparison.plan.judged)[:4]
    measure = headline(comparison, names[-1])[0] if len(names) > 1 else HEADLINE
    for box, variant in zip(st.columns(len(names)), names, strict=True):
        try:
            told = found(among, entry.campaign, variant, level, measure, entry.machine_key)
        except PROBLEMS as error:
            box.caption(escaped(error))
            continue
        with box:
            _metric(told, entry, variant, level, measure)


def _metric(told: History, entry: Entry, variant: str, level: str, measure: str) -> None:
    values = [point.value for point in told.points]
    here = [point.value for point in told.points if point.entry.id == entry.id]
    relative = bool(told.compared)
    st.metric(
        escaped(f"{variant}, {level_name(level)}, {measure_name(measure)}"),
        _with_unit(here[0], measure) if here else MISSING,
        border=True,
        chart_data=[value.value for value in values] if len(values) > 1 else None,
        height="stretch",
    )
    st.caption("; ".join(escaped(line) for line in history.sentences(told, relative)))


def _with_unit(value: Value, measure: str) -> str:
    """A bound, `> 30 s`, has its unit already."""
    bare = value.at_least and measure != THROUGHPUT
    return measured(value, measure) + ("" if bare else UNIT[measure == THROUGHPUT])
