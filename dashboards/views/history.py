"""When did it change? One cell, run after run."""

from dataclasses import dataclass

import streamlit as st

from analysis import history
from analysis.catalogue import Entry
from analysis.figures import past as figures
from analysis.history import History
from analysis.opened import PROBLEMS
from analysis.words import measure_name, plain
from dashboards import charts, data, measures, opening, past, state
from dashboards.once import once
from dashboards.text import bullets, escaped

AGAINST, ABSOLUTE = "against the reference", "absolute"


def page() -> None:
    opening.question("When did it change?")
    chosen = opening.runs().entries[0]
    campaign = _campaign(chosen)
    every = past.runs(campaign)
    readable = [entry for entry in every if not entry.problem]
    if not readable:
        opening.broken(every[0])
    wanted = _choose(readable)
    try:
        found = past.found(
            every[: past.MOST_RUNS],
            campaign,
            wanted.variant,
            wanted.level,
            wanted.measure,
            wanted.machine_key,
        )
    except PROBLEMS as error:
        opening.nothing(escaped(error))
        return
    _show(found, relative=wanted.relative)
    if len(every) > past.MOST_RUNS:
        st.caption(f"The newest {past.MOST_RUNS} of {len(every):,} runs of this campaign.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cell, by which measure, on which machine, and how it is told."""

    variant: str
    level: str
    measure: str
    machine_key: str
    relative: bool


def _campaign(chosen: Entry) -> str:
    names = {plain(entry.campaign): entry.campaign for entry in data.entries().values()}
    return names[state.choose("Campaign", "history_of", list(names), plain(chosen.campaign))]


def _choose(readable: list[Entry]) -> Wanted:
    newest = readable[0]
    variants = list(dict.fromkeys(name for entry in readable for name in entry.variants))
    others = [name for name in newest.variants if name not in (newest.reference, newest.aa)]
    found = {name for entry in readable for name in entry.levels}
    machines = past.machines(readable)
    named = {measure_name(name): name for name in history.MEASURES}
    first, second, third = st.columns(3)
    with first:
        variant = state.choose("Variant", "variant", variants, (others or variants)[0])
    with second:
        level = measures.level(found)
    with third:
        machine = state.choose("Machine", "on", list(machines))
    with st.container(horizontal=True, gap="medium"):
        measure = state.switch("Measure", "measure", list(named), "P95")
        told = state.switch("Shown", "shown", [AGAINST, ABSOLUTE])
    key = machines[machine]
    return Wanted(variant, level, named[measure], key, told == AGAINST)


def _show(found: History, *, relative: bool) -> None:
    if relative and not found.compared:
        st.info("This variant is the reference, or was never beside one: its values are shown.")
        relative = False
    points, _ = found.series(relative)
    st.markdown(bullets(history.sentences(found, relative)))
    if len(points) > 1:
        charts.show(once(figures.history, found, relative=relative))
    else:
        st.info(
            "A history needs two runs of a campaign on one machine. `windtunnel run` the same"
            " campaign again after each change, and it grows here."
        )
    if found.left_out:
        count = len(found.left_out)
        with st.expander(f"{count} run{'' if count == 1 else 's'} left out"):
            st.dataframe(
                {
                    "run": [plain(each.entry.id) for each in found.left_out],
                    "reason": [plain(each.reason) for each in found.left_out],
                },
                hide_index=True,
                alt="Runs that are left out, with the reason",
            )


page()
