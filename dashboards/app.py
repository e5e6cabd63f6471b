"""
The app's script: Streamlit runs it for every view, and it runs the page that was asked for.

The pages lie in `views`: beside a folder named `pages`, Streamlit's older way of finding pages
would run a linked page without this script.
"""

import logging

import streamlit as st
from streamlit.errors import FragmentHandledException

from dashboards import sidebar

PAGES = {
    "Results": [
        st.Page("views/overview.py", title="Overview", default=True),
        st.Page("views/runs.py", title="Runs"),
    ],
    "One run": [
        st.Page("views/matrix.py", title="Matrix"),
        st.Page("views/curves.py", title="Curves"),
        st.Page("views/compare.py", title="Compare"),
        st.Page("views/cell.py", title="Cell"),
        st.Page("views/stages.py", title="Stages"),
        st.Page("views/flamegraphs.py", title="Flamegraphs"),
    ],
    "All runs": [
        st.Page("views/history.py", title="History"),
        st.Page("views/method.py", title="Method & quality"),
    ],
}

st.set_page_config(page_title="windtunnel", layout="wide")
page = st.navigation(PAGES, position="hidden")
try:
    sidebar.show(PAGES)
    page.run()
except FragmentHandledException:  # Streamlit has shown it already
    raise
except Exception:
    logging.getLogger("dashboards").exception("the page %s failed", page.title)
    st.error(
        "This page ended with an error of its own, which no record should cause. The terminal in"
        " which `windtunnel dashboard` runs says where; the other pages go on."
    )
