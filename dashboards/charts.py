"""
A figure on a page: the chart with its sentence, its numbers as a table, and files of it on demand.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st
from altair.utils import schemapi

from analysis.figures import figure as figures
from analysis.figures.figure import Figure
from dashboards import saving
from dashboards.once import once
from dashboards.text import escaped

# To hold every part of a chart against the schema takes longer than to draw it; tests do that.
schemapi.disable_debug_mode()

FILES: dict[str, tuple[str, Callable[[Figure], bytes | str]]] = {
    "PNG": ("image/png", figures.png),
    "SVG": ("image/svg+xml", figures.svg),
    "CSV": ("text/csv", figures.csv),
    "Parquet": ("application/vnd.apache.parquet", figures.parquet),
}


def show(figure: Figure, *, titled: bool = True, key: str = "") -> None:
    """Draw it in the colours of the reader's theme; the sentence below is for reading it."""
    key = key or figure.name
    with st.container(key=f"figure-{key}"):
        if titled:
            st.subheader(escaped(figure.title), anchor=False)
        dark = st.context.theme.type == "dark"
        st.vega_lite_chart(once(_spec, figure, dark=dark), theme=None, alt=figure.alt)
        st.caption(escaped(figure.explained))
        with st.container(horizontal=True, vertical_alignment="top"):
            with st.expander("The numbers of this chart"):
                st.dataframe(figure.table, hide_index=True, alt=figure.alt)
            _save(figure, key)


def _spec(figure: Figure, *, dark: bool) -> dict[str, Any]:
    spec: dict[str, Any] = figures.themed(figure, dark=dark).to_dict(validate=False)
    # `alt` and the table say it; a list of nameless marks would only be in a screen reader's way.
    for part in ("mark", "axis", "legend"):
        spec["config"].setdefault(part, {})["aria"] = False
    return spec


def _save(figure: Figure, key: str) -> None:
    files = {
        f"{figure.name}.{kind.lower()}": (kind, mime, partial(made, figure))
        for kind, (mime, made) in FILES.items()
    }
    saving.menu("Save", files, key=f"save-{key}")
