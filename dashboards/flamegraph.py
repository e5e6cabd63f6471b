"""
A flame document on a page: the component that draws it, whose parts lie in `analysis/flame`.

The same script and style make the HTML file of `windtunnel flame`. It is drawn in the browser:
looking around in it runs nothing here.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from analysis.flame import standalone
from analysis.opened import Record
from analysis.words import level_name, plain
from dashboards import state
from dashboards.text import escaped

_component = st.components.v2.component(
    "flamegraph",
    html='<div class="flame"></div>',
    css=standalone.css(),
    js=standalone.javascript(),
)


def show(document: Mapping[str, Any], *, key: str) -> None:
    """Draw it; *key* is the same as long as it is the same question."""
    _component(key=key, data=document)


def link(run: str, record: Record, cell: tuple[str, str] | None = None) -> None:
    """The way to the page of a run's profiles, or to a cell's; nothing where there is none."""
    there = record.profiles()
    if not there or (cell is not None and cell not in there):
        return
    query = {key: value for key, value in state.links([run]).items() if key != "level"}
    label = "Which code: the flamegraphs of this run"
    if cell is not None:
        variant, level = cell
        query |= {"variant": variant, "level": level_name(level)}
        label = f"Which code: the flamegraph of {escaped(plain(variant))}, {level_name(level)}"
    st.page_link("views/flamegraphs.py", label=label, query_params=query)
