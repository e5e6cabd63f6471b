"""Where is the knee? Every cell of a run, variant by load."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from analysis import terminal
from analysis.cells import Cell
from analysis.comparison import Comparison
from analysis.figures.heat_map import heat_map
from analysis.objective import text
from analysis.words import level_name, measure_header, measured, plain
from dashboards import charts, measures, opening, state, ticks
from dashboards.once import once
from dashboards.text import escaped


def page() -> None:
    view = opening.one_run("Where is the knee?")
    comparison = view.comparison
    measure = measures.switch(comparison)
    if comparison.slo:
        st.caption(f"SLO: {escaped(text(comparison.slo))}.")
    charts.show(once(heat_map, comparison, measure, comparison.slo))
    _values(view.entry.id, comparison)


def _values(run: str, comparison: Comparison) -> None:
    """Every measure of every cell, and which doubts concern it."""
    st.subheader("All values", anchor=False)
    plan = comparison.plan
    cells = [cell for level in plan.levels for cell in comparison.matrix.level(level)]
    ticked = ticks.table(
        _columns(comparison, cells),
        [f"{run} {cell.variant} {cell.level}" for cell in cells],
        "cells_table",
        "single-row",
        alt="The median over repeats of every measure",
    )
    st.caption(
        "Medians over repeats. - stands for too few requests. Doubts are numbered as above. Tick a"
        " cell to look into it."
    )
    for row in ticked:
        _link(run, cells[row])


def _columns(comparison: Comparison, cells: Sequence[Cell]) -> dict[str, list[Any]]:
    measures = comparison.plan.measures
    return {
        "load": [level_name(cell.level) for cell in cells],
        "variant": [plain(cell.variant) for cell in cells],
        **{measure_header(m): [measured(cell.value(m), m) for cell in cells] for m in measures},
        "repeats": [len(cell.visits) for cell in cells],
        "fewest requests": [cell.fewest_requests for cell in cells],
        "role": [terminal.role(cell.variant, comparison) for cell in cells],
        "doubts": [_doubts(comparison, cell.variant, cell.level) for cell in cells],
    }


def _link(run: str, cell: Cell) -> None:
    """The way into a cell that was ticked."""
    load = level_name(cell.level)
    st.page_link(
        "views/cell.py",
        label=f"Cell: {escaped(cell.variant)}, {escaped(load)}",
        query_params=state.links([run]) | {"variant": cell.variant, "level": load},
    )


def _doubts(comparison: Comparison, variant: str, level: str) -> str:
    return ", ".join(
        str(number)
        for number, doubt in enumerate(comparison.doubts, 1)
        if (variant, level) in doubt.cells
    )


page()
