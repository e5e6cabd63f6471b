"""May I trust this? Where and how it was measured, and every reason for doubt."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from analysis import environment
from analysis.catalogue import Entry
from analysis.comparison import Comparison
from analysis.meanings import MEANINGS
from analysis.opened import PROBLEMS, Record
from analysis.words import MISSING, duration, level_name, number, plain
from dashboards import data, opening, surroundings, verdicts
from dashboards.text import bullets, escaped


def page() -> None:
    view = opening.one_run("May I trust this?", doubts_open=True)
    comparison = view.comparison
    _imported(comparison)
    _copies(comparison)
    _counts(comparison)
    _generator(comparison)
    _machine(view)
    _kinds(comparison)


def _imported(comparison: Comparison) -> None:
    """What the files of another tool do not say, in the words of the import."""
    told = comparison.record.run.get("imported") or {}
    sentences = told.get("cannot_know")
    if isinstance(sentences, list) and sentences:
        st.subheader("What an imported record cannot know", anchor=False)
        st.markdown(bullets(sentences))


def _copies(comparison: Comparison) -> None:
    st.subheader("Two copies of one service", anchor=False)
    if not comparison.matrix.aa:
        st.info("The campaign has no A/A pair: `aa = true` measures a copy of the reference.")
        return
    st.caption(
        f"{escaped(comparison.plan.aa)} differs from {escaped(comparison.plan.original)} in"
        " nothing, so what differs here is noise. All of it should be same or unresolved."
    )
    st.dataframe(
        verdicts.table(comparison.matrix.aa), hide_index=True, alt="The copy against its original"
    )


def _counts(comparison: Comparison) -> None:
    st.subheader("How much was measured", anchor=False)
    plan = comparison.plan
    cells = [cell for level in plan.levels for cell in comparison.matrix.level(level)]
    st.dataframe(
        {
            "load": [level_name(cell.level) for cell in cells],
            "variant": [plain(cell.variant) for cell in cells],
            "repeats": [f"{len(cell.visits)} of {plan.repeats}" for cell in cells],
            "requests, fewest": [
                min((v.requests for v in cell.visits), default=0) for cell in cells
            ],
            "requests, most": [max((v.requests for v in cell.visits), default=0) for cell in cells],
            "highest percentile": [_highest(cell, plan.measures) for cell in cells],
        },
        hide_index=True,
        alt="Repeats and requests of each cell",
    )


def _highest(cell: Any, measures: tuple[str, ...]) -> str:
    known = [m for m in measures[:-1] if cell.value(m) is not None]
    return known[-1].upper() if known else MISSING


def _generator(comparison: Comparison) -> None:
    """What the load generator said of itself, repeat by repeat."""
    st.subheader("Was the generator the limit?", anchor=False)
    visits = [v for cell in comparison.matrix.cells.values() for v in cell.visits]
    told = [(v, (v.facts.get("generator") or {})) for v in visits]
    st.dataframe(
        {
            "load": [level_name(v.level) for v, _ in told],
            "variant": [plain(v.variant) for v, _ in told],
            "repeat": [v.repeat for v, _ in told],
            "generator": [plain(g.get("tool") or MISSING) for _, g in told],
            "in its own words": [_own_words(g.get("instrument") or {}) for _, g in told],
            "send lag P99": [
                duration(v.send_lag_p99_ms) if g.get("instrument") else MISSING for v, g in told
            ],
            "CPU s": [_said(g, "cpu_s") for _, g in told],
            "wall s": [_said(g, "wall_s") for _, g in told],
            "offered req/s": [_said(g, "offered_rps") for _, g in told],
            "sent req/s": [_said(g, "achieved_rps") for _, g in told],
        },
        hide_index=True,
        height=400 if len(told) > 10 else "auto",
        alt="The generator's check of itself in each repeat",
    )


def _own_words(instrument: Mapping[str, Any]) -> str:
    if "valid" not in instrument:
        return "says nothing"
    return "valid" if instrument["valid"] else plain("; ".join(instrument.get("reasons") or ()))


def _said(generator: Mapping[str, Any], key: str) -> str:
    value = (generator.get("instrument") or {}).get(key)
    return MISSING if value is None else number(float(value))


def _machine(view: opening.View) -> None:
    st.subheader("Machine, versions, commit and campaign", anchor=False)
    record = view.comparison.record
    facts = environment.facts(record)
    st.dataframe(
        {"fact": list(facts), "value": list(facts.values())},
        hide_index=True,
        height=400,
        alt="What run.json says of the run's surroundings",
    )
    if view.beside is not None:
        _beside(record, view.beside)


def _beside(record: Record, beside: Entry) -> None:
    st.subheader(f"What differs in {escaped(beside.id)}", anchor=False)
    try:
        surroundings.show(record, data.record(beside))
    except PROBLEMS as error:
        st.error(escaped(error))


def _kinds(comparison: Comparison) -> None:
    """Every kind of doubt, those of this run first."""
    st.subheader("What each doubt means", anchor=False)
    raised = {doubt.kind for doubt in comparison.doubts}
    kinds = sorted(MEANINGS, key=lambda kind: kind not in raised)
    with st.expander("Every kind of doubt, those of this run first"):
        st.table(
            {
                "doubt": [kind.replace("_", " ") for kind in kinds],
                "in this run": ["yes" if kind in raised else "no" for kind in kinds],
                "raised when": [escaped(MEANINGS[kind]) for kind in kinds],
            },
            border="horizontal",
            hide_index=True,
        )


page()
