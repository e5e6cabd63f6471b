"""
The side of every page: which run, the way to the other pages, and what it is compared with.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.navigation.page import Page

from analysis import objective
from analysis.catalogue import Entry
from analysis.objective import Objective
from analysis.opened import AnalysisError
from analysis.words import plain
from dashboards import data, state
from dashboards.text import escaped

LISTED = 100  # newest runs in the box; the page Runs has all of them


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the run is held against."""

    reference: str
    slo: Objective


def show(pages: Mapping[str, Sequence[Page]]) -> None:
    """The name, the run, and the links; what is compared comes below, from `wanted`."""
    with st.sidebar:
        st.markdown("### windtunnel")
        known = data.entries()
        chosen = state.chosen(known).entries if known else ()
        if chosen:
            _run_box(known, chosen)
        query = state.links([entry.id for entry in chosen])
        for title, of_title in pages.items():
            st.caption(title)
            for page in of_title:
                st.page_link(page, query_params=query, width="stretch")


def _run_box(known: Mapping[str, Entry], chosen: Sequence[Entry]) -> None:
    """Another run in the place of the first; the one beside it stays."""
    names = list(dict.fromkeys([*list(known)[:LISTED], chosen[0].id]))
    st.session_state["run_box"] = chosen[0].id

    def change() -> None:
        rest = [entry.id for entry in chosen[1:]]
        state.show_runs([st.session_state["run_box"], *rest])

    labels = titles(known, names)
    st.selectbox("Run", names, format_func=labels.__getitem__, key="run_box", on_change=change)


def titles(known: Mapping[str, Entry], names: Sequence[str]) -> dict[str, str]:
    """What a box shows for each run. No two are alike: Streamlit tells options by their text."""
    found = {name: title(known[name]) for name in names}
    counted = Counter(found.values())
    return {
        name: f"{text}, {plain(known[name].run)}" if counted[text] > 1 else text
        for name, text in found.items()
    }


def title(entry: Entry) -> str:
    """`demo, 2026-11-26 12:26:07`."""
    when = entry.started.replace("T", " ")[:19] or entry.run
    return plain(f"{entry.campaign}, {when}" + (" (cannot be read)" if entry.problem else ""))


def wanted(entry: Entry) -> Wanted:
    """The reference and the SLO, from two boxes in the sidebar."""
    with st.sidebar:
        st.caption("Compared with")
        reference = state.choose(
            "Reference",
            "reference",
            entry.variants,
            entry.reference,
            help="The variant that the others are compared with.",
        )
        default = entry.slo or objective.EXAMPLE
        said = state.write("SLO", "slo", default, help=f"Such as {objective.EXAMPLE}.")
        try:
            slo = objective.parse(said)
        except AnalysisError as error:
            st.warning(escaped(error))
            slo = objective.parse(default)
    return Wanted(reference, slo)
