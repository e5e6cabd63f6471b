"""
A flame document on a page: the component that draws it, whose parts lie in `analysis/flame`.

The same script and style make the HTML file of `windtunnel flame`. It is drawn in the browser:
looking around in it runs nothing here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from analysis.flame import standalone
from analysis.opened import Record
from analysis.words import level_name, load_of, plain
from dashboards import state
from dashboards.text import escaped

_component = st.components.v2.component(
    "flamegraph",
    html='<div class="flame"></div>',
    css=standalone.css(),
    js=standalone.javascript(),
)


def show(document: Mapping[str, Any], *, key: str, find: str = "") -> None:
    """Draw it, looking for a pattern; *key* is the same as long as it is the same question."""
    _component(key=key, data={"document": document, "find": find})


def link(run: str, record: Record, cell: tuple[str, str] | None = None) -> None:
    """The way to a cell's profile, or to that at the nearest load, or to all that a run has."""
    there = record.profiles()
    if not there:
        return
    query = {key: value for key, value in state.links([run]).items() if key != "level"}
    label = "Which code: the flamegraphs of this run"
    nearest = _nearest(there, cell) if cell else None
    if nearest is not None:
        variant, level = nearest
        query |= {"variant": variant, "level": level_name(level)}
        label = f"Which code: the flamegraph of {escaped(plain(variant))}, {level_name(level)}"
    st.page_link("views/flamegraphs.py", label=label, query_params=query)


def _nearest(there: Sequence[tuple[str, str]], cell: tuple[str, str]) -> tuple[str, str] | None:
    """Of the variant's profiles the one whose load is most like the cell's."""
    variant, level = cell
    loop, load = load_of(level)
    levels = [(at, *load_of(at)) for name, at in there if name == variant]
    apart = {at: (other != loop, abs(amount - load)) for at, other, amount in levels}
    return (variant, min(apart, key=apart.__getitem__)) if apart else None
