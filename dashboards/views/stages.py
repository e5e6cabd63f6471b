"""Which stage costs? Where the time of each cell goes, and what a difference is made of."""

import streamlit as st

from analysis import why
from analysis.comparison import Comparison
from analysis.figures.stages import stage_bars
from analysis.figures.waterfall import waterfall
from analysis.stages import MEAN
from analysis.words import level_name, measure_name
from dashboards import charts, flamegraph, measures, opening, state, tails
from dashboards.once import once
from dashboards.text import bullets

AS_SHARES, AS_TIMES = "shares", "ms"


def page() -> None:
    view = opening.one_run("Which stage costs?")
    comparison = view.comparison
    with st.container(horizontal=True, gap="medium"):
        measure = _measure(comparison)
        shown = state.switch("Shown as", "unit", [AS_TIMES, AS_SHARES])
    bars = once(stage_bars, comparison, measure, shares=shown == AS_SHARES)
    if bars is None:
        opening.nothing(
            "No answer of this run says how long its stages took. A service tells it in the header"
            " Server-Timing, such as `infer;dur=12.3`; the service of this project does."
        )
        return
    lines = why.sentences(comparison)
    if lines:
        st.markdown(bullets(lines))
    charts.show(bars)
    st.subheader("Where a difference comes from", anchor=False)
    variant, level = _cell(comparison)
    _difference(comparison, measure, variant, level)
    flamegraph.link(view.entry.id, comparison.record, (variant, level))
    _tail(comparison, variant, level)


def _measure(comparison: Comparison) -> str:
    percentiles = comparison.plan.measures[: len(comparison.plan.percentiles)]
    names = {"mean": MEAN} | {measure_name(measure): measure for measure in percentiles}
    return names[state.switch("Requests about the", "about", list(names), "P95")]


def _cell(comparison: Comparison) -> tuple[str, str]:
    """A variant, at first one that is compared, and a load."""
    boxes = st.columns(2)
    with boxes[0]:
        judged = comparison.plan.judged
        variant = measures.variant(comparison.plan.variants, judged[0] if judged else None)
    with boxes[1]:
        return variant, measures.level(comparison.plan.levels)


def _difference(comparison: Comparison, measure: str, variant: str, level: str) -> None:
    """The way from the reference to a variant."""
    plan = comparison.plan
    explanation = comparison.matrix.explain(variant, level, measure)
    if variant == plan.reference:
        st.info("This is the reference: choose another variant to see what sets it apart.")
    elif explanation is None:
        st.info("No repeat has this cell and its reference with requests enough for this measure.")
    else:
        where = f"{_about(measure)}, {level_name(level)}"
        charts.show(once(waterfall, explanation, plan.reference, variant, where))


def _about(measure: str) -> str:
    return "all requests" if measure == MEAN else f"requests about {measure_name(measure)}"


def _tail(comparison: Comparison, variant: str, level: str) -> None:
    figure = tails.figure(comparison, variant, level)
    if figure is None:
        st.info("Neither P99 nor P95 of this cell has enough requests.")
    else:
        charts.show(figure, key="tail")


page()
