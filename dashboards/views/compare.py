"""Is B slower than A, and where? Every difference of a run; and a second run beside it."""

import json
from functools import partial

import streamlit as st

from analysis import answer, export, markdown, report, terminal
from analysis.catalogue import Entry
from analysis.comparison import Comparison
from analysis.figures.distributions import by_percentile, ecdf
from analysis.figures.ratios import ratios
from analysis.figures.shift import shift
from analysis.figures.style import drawn, looks
from analysis.opened import PROBLEMS
from analysis.words import level_name, measure_header, measured, plain
from dashboards import (
    charts,
    data,
    flamegraph,
    measures,
    opening,
    saving,
    sidebar,
    state,
    surroundings,
    verdicts,
)
from dashboards.once import once
from dashboards.text import bullets, escaped

NONE = ""  # no second run; a run may be called anything else
ROW_PX, MOST_ROWS = 35, 20  # of a table before it scrolls
MOST_SWAPS = 6


def page() -> None:
    view = opening.one_run("Is B slower than A, and where?", doubts_open=True)
    comparison = view.comparison
    _answer(comparison)
    flamegraph.link(view.entry.id, comparison.record)
    _take_away(comparison)
    _differences(comparison)
    _distributions(view.entry, comparison)
    _second_run(view)


def _answer(comparison: Comparison) -> None:
    for title in (answer.ANSWER, answer.UNDECIDED):
        lines = answer.part(comparison, title)
        if lines:
            st.subheader(title, anchor=False)
            st.markdown(bullets(lines))


def _take_away(comparison: Comparison) -> None:
    """Every other variant as the reference, a click away; and this comparison as a file."""
    plan, run = comparison.plan, comparison.record.path.name
    with st.container(horizontal=True, vertical_alignment="center"):
        for variant in plan.judged[:MOST_SWAPS]:
            st.button(
                f"Compare with {escaped(variant)}",
                key=f"swap-{variant}",
                on_click=_refer,
                args=(variant,),
                type="tertiary",
                icon=":material/swap_horiz:",
            )
        files = {
            f"{run}.html": ("HTML report", "text/html", partial(report.html, comparison)),
            f"{run}.md": ("Markdown", "text/markdown", partial(markdown.text, comparison)),
            f"{run}.json": ("JSON", "application/json", partial(_json, comparison)),
        }
        saving.menu("Save this comparison", files, key="save-comparison")


def _json(comparison: Comparison) -> str:
    return json.dumps(export.document(comparison), indent=2, allow_nan=False) + "\n"


def _refer(variant: str) -> None:
    st.session_state["reference"] = variant


def _differences(comparison: Comparison) -> None:
    found = verdicts.every(comparison)
    if not found:
        st.info("The run has one variant alone and no copy of it: there is nothing to compare.")
        return
    charts.show(once(ratios, comparison))
    st.subheader("All differences", anchor=False)
    st.dataframe(
        verdicts.table(found),
        hide_index=True,
        height=ROW_PX * (min(len(found), MOST_ROWS) + 1) + 3,
        alt="Every difference with its interval and verdict",
    )
    st.caption(
        escaped(
            f"{terminal.legend(comparison)} would have shown = the smallest true difference that 8"
            " of 10 such campaigns would show (minimum detectable difference). adjusted p counts"
            " how many comparisons are read together."
        )
    )


@st.fragment
def _distributions(entry: Entry, comparison: Comparison) -> None:
    """All latencies of one load, on axes that all variants share."""
    st.subheader("All latencies at one load", anchor=False)
    plan = comparison.plan
    level = measures.level(comparison.plan.levels)
    try:
        read = data.repeats(entry, level, drawn(plan))
    except PROBLEMS as error:
        st.error(escaped(error))
        return
    if not read:
        st.info("The requests of this load are not in the record: another tool summed them up.")
        return
    slo = comparison.slo
    drawn_as = looks(plan.variants, plan.aa)
    charts.show(once(by_percentile, read, drawn_as))
    charts.show(once(ecdf, read, drawn_as, slo.limit_ms if slo else None))
    others = [name for name in read if name in plan.judged]
    if others and plan.reference in read:
        variant = state.choose("Variant against the reference", "variant", others)
        charts.show(once(shift, read, variant, plan.reference, plan.margin, drawn_as[variant]))


def _second_run(view: opening.View) -> None:
    """Another run beside this one: values and surroundings, and no verdict."""
    st.subheader("Beside another run", anchor=False)
    known = {name: e for name, e in data.entries().items() if not e.problem}
    names = [NONE, *(name for name in known if name != view.entry.id)][: sidebar.LISTED]
    beside = view.beside
    if beside and beside.id not in names:
        names.append(beside.id)
    st.session_state["beside_box"] = beside.id if beside else NONE

    def change() -> None:
        second = st.session_state["beside_box"]
        state.show_runs([view.entry.id, *([second] if second else [])])

    st.selectbox(
        "Second run",
        names,
        format_func=lambda name: sidebar.title(known[name]) if name else "none",
        key="beside_box",
        on_change=change,
    )
    if beside is not None:
        _beside(view, beside)


def _beside(view: opening.View, beside: Entry) -> None:
    if beside.problem:
        st.error(opening.unreadable(beside))
        return
    try:
        second = data.comparison(beside, slo=view.comparison.slo)
    except PROBLEMS as error:
        st.error(escaped(error))
        return
    st.warning(
        "The repeats of two runs were not taken in turn, so the machine may have changed between"
        " them: what differs here is no verdict about a variant. Measure both in one campaign for"
        " that."
    )
    _values(view.comparison, second)
    surroundings.show(view.comparison.record, second.record)


def _values(first: Comparison, second: Comparison) -> None:
    """The cells that both have, side by side."""
    shared = [key for key in first.matrix.cells if key in second.matrix.cells]
    order = {level: place for place, level in enumerate(first.plan.levels)}
    shared.sort(key=lambda key: order[key[1]])
    if not shared:
        st.info("The two runs have no cell in common: no variant of one name at the same load.")
        return
    cells = [(first.matrix.cells[key], second.matrix.cells[key]) for key in shared]
    rows: dict[str, list[str]] = {
        "load": [level_name(level) for _, level in shared],
        "variant": [plain(variant) for variant, _ in shared],
    }
    for measure in first.plan.measures:
        for place, run in enumerate(("this run", "second run")):
            rows[f"{measure_header(measure)}, {run}"] = [
                measured(pair[place].value(measure), measure) for pair in cells
            ]
    st.dataframe(rows, hide_index=True, alt="The values of both runs, cell by cell")


page()
