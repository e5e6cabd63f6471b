"""What do I pay in latency for throughput? One line a variant, from load to load."""

import streamlit as st

from analysis import capacity
from analysis.comparison import Comparison
from analysis.curve import closed
from analysis.figures.curves import throughput_latency
from analysis.figures.scaling import usl
from analysis.objective import text
from dashboards import charts, measures, opening
from dashboards.once import once
from dashboards.text import bullets, escaped


def page() -> None:
    view = opening.one_run("What do I pay in latency for throughput?")
    comparison = view.comparison
    measure = measures.percentile(comparison)
    charts.show(once(throughput_latency, comparison, measure, comparison.slo))
    _capacity(comparison)
    _scaling(comparison)


def _capacity(comparison: Comparison) -> None:
    """How much load is carried within the SLO, and what the scaling says."""
    slo = comparison.slo
    if slo is None:
        return
    st.subheader("How much load is carried", anchor=False)
    st.caption(f"Within {escaped(text(slo))}.")
    lines = capacity.sentences(comparison, slo)
    st.markdown(bullets(lines))


def _scaling(comparison: Comparison) -> None:
    """How throughput grows with clients, where loads are clients."""
    if closed(comparison.plan.levels):
        charts.show(once(usl, comparison))


page()
