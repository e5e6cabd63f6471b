"""
In what two runs differ besides what was measured, as a table: on Compare and Method & quality.
"""

import streamlit as st

from analysis.environment import differences
from analysis.opened import Record


def show(first: Record, second: Record) -> None:
    """One row a fact; a sentence where there is none."""
    found = differences(first, second)
    if not found:
        st.success("Machine, versions, commit and campaign of the two runs are alike.")
        return
    st.markdown(f"**{len(found)} facts differ between the two runs**")
    st.dataframe(
        {
            "fact": [fact.name for fact in found],
            "this run": [fact.first for fact in found],
            "second run": [fact.second for fact in found],
        },
        hide_index=True,
        alt="What differs in the surroundings of the two runs",
    )
