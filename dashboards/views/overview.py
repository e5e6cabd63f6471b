"""Is the service meeting its SLO, and what changed last? The newest run in a few sentences."""

import streamlit as st

from analysis import capacity, summary, why
from analysis.comparison import Comparison
from analysis.objective import text
from analysis.words import level_name
from dashboards import data, flamegraph, opening, past, verdicts
from dashboards.text import bullets, escaped

NEXT = """\
1. Ask your own question: copy `benchmarks/campaigns/demo.toml`, give each variant its settings or
   the URL of your service, and `windtunnel run YOUR.toml`. This app shows the run while it grows.
2. Read **Compare** for every difference with its interval, and **Stages** for where it comes from.
3. Where a verdict is *unresolved*, **Compare** says how small a difference would have been seen.
4. Before you trust it, read **Method & quality**. In CI, `windtunnel gate` holds a run to a policy.
"""


def page() -> None:
    view = opening.one_run(
        "Is the service meeting its SLO, and what changed last?", doubts_open=True
    )
    comparison = view.comparison
    _verdicts(comparison)
    _why(view)
    _slo(comparison)
    past.sparklines(view.entry, comparison)
    with st.expander("What to do next", expanded=len(comparison.plan.judged) == 0):
        st.markdown(NEXT)


def _verdicts(comparison: Comparison) -> None:
    """A card for each variant: what was found at each load, and the sentence."""
    said = summary.sentences(comparison)
    judged = comparison.plan.judged
    st.subheader("What the run says", anchor=False)
    if not judged:
        st.info("The run has one variant alone, so there is nothing to compare it with.")
    for row in range(0, len(judged), 3):
        boxes = st.columns(3 if len(judged) > 2 else max(1, len(judged)))
        for box, variant in zip(boxes, judged[row : row + 3], strict=False):
            with box.container(border=True, height="stretch"):
                _card(comparison, variant, said[judged.index(variant)])
    for line in said[len(judged) :]:
        st.markdown(f"- {escaped(line)}")


def _why(view: opening.View) -> None:
    """From the stages, then from the profiles, with the way to each flamegraph."""
    comparison = view.comparison
    lines = why.sentences(comparison)
    if lines:
        st.markdown(bullets(lines))
    for told in data.told(comparison):
        st.markdown(bullets(told.sentences))
        if told.level:
            cell = (told.variant, told.level)
            flamegraph.link(view.entry.id, comparison.record, cell)


def _card(comparison: Comparison, variant: str, sentence: str) -> None:
    _, found = summary.headline(comparison, variant)
    st.markdown(f"**{escaped(variant)}**")
    with st.container(horizontal=True, gap="small"):
        for d in found:
            label = f"{verdicts.SIGNS[d.verdict]} · {level_name(d.level)}"
            st.badge(escaped(label), color=verdicts.COLOURS[d.verdict])
    st.markdown(escaped(sentence))


def _slo(comparison: Comparison) -> None:
    """Which cells keep the SLO, and how much load each variant carries within it."""
    slo = comparison.slo
    if slo is None:
        return
    st.subheader("Within the SLO", anchor=False)
    st.caption(f"{escaped(text(slo))}. Change it in the sidebar.")
    found = capacity.capacity(comparison, slo)
    rows = {
        "variant": [escaped(each.variant) for each in found],
        **{
            level_name(level): [
                verdicts.KEPT[each.judged[level].outcome] if level in each.judged else "-"
                for each in found
            ]
            for level in comparison.plan.levels
        },
    }
    st.table(rows, border="horizontal", hide_index=True)
    lines = capacity.sentences(comparison, slo)
    if lines:
        st.markdown(bullets(lines))


page()
