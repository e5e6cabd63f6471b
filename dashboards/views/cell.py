"""What happened inside this cell? One repeat, request by request."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import streamlit as st

from analysis import terminal
from analysis.cells import Cell, Visited
from analysis.comparison import Comparison
from analysis.figures.over_time import over_time, rates_over_time
from analysis.frames import Repeat
from analysis.latency import Percentile
from analysis.opened import PROBLEMS
from analysis.words import MISSING, duration, level_name, measure_name, number, percent, plain
from dashboards import charts, data, measures, opening, state, tails
from dashboards.once import once
from dashboards.text import bullets, escaped

TIMES = (
    "Response counts from when a request was due, service from when it was sent. The interval is"
    " inside this repeat; variants are compared over repeats."
)


def page() -> None:
    view = opening.one_run("What happened inside this cell?")
    comparison = view.comparison
    cell, visited = _choose(comparison)
    _own_doubts(comparison, cell)
    imported = bool(comparison.record.run.get("imported"))
    _requests(visited, imported=imported)
    try:
        read = data.visit(view.entry, visited)
    except PROBLEMS as error:
        st.error(escaped(error))
        return
    if isinstance(read, Repeat):
        charts.show(once(over_time, read))
        charts.show(once(rates_over_time, read))
    else:
        st.info("The requests of this repeat are not in the record: another tool summed them up.")
    _slowest(visited.facts, imported=imported)
    _stages(comparison, cell)


def _choose(comparison: Comparison) -> tuple[Cell, Visited]:
    boxes = st.columns(3)
    with boxes[0]:
        variant = measures.variant(comparison.plan.variants, comparison.plan.reference)
    with boxes[1]:
        level = measures.level(comparison.plan.levels)
    cell = comparison.matrix.cells.get((variant, level))
    if cell is None:
        opening.nothing(
            f"{escaped(variant)} {escaped(level_name(level))}: no repeat of this cell is there."
        )
    repeats = {str(visit.repeat): visit for visit in cell.visits}
    with boxes[2]:
        return cell, repeats[state.choose("Repeat", "repeat", list(repeats))]


def _own_doubts(comparison: Comparison, cell: Cell) -> None:
    """Those doubts that concern this very cell."""
    own = [d for d in comparison.doubts if (cell.variant, cell.level) in d.cells]
    if own:
        lines = bullets(terminal.doubt_line(doubt, comparison) for doubt in own)
        st.warning(f"Of this cell is doubted:\n{lines}")


def _requests(visited: Visited, *, imported: bool) -> None:
    st.subheader("Requests of this repeat", anchor=False)
    with st.container(horizontal=True, gap="large"):
        _outcomes(visited)
        with st.container(width=520):
            _percentiles(visited)
            if visited.percentiles and not imported:
                st.caption(TIMES)


def _outcomes(visited: Visited) -> None:
    checked = (visited.facts.get("generator") or {}).get("instrument")
    facts = {
        "good answers a second": number(visited.throughput_rps),
        **{name.replace("_", " "): f"{n:,}" for name, n in visited.counts.items()},
        "failed": percent(visited.error_share),
        "measured for": f"{number(visited.window_s)} s",
        "send lag P99": duration(visited.send_lag_p99_ms) if checked else MISSING,
    }
    rows = {"what": list(facts), "value": list(facts.values())}
    st.table(rows, hide_index=True, width="content", border="horizontal")


def _percentiles(visited: Visited) -> None:
    if not visited.percentiles:
        st.info("This repeat has too few requests for any percentile.")
        return
    rows: dict[str, list[str]] = {
        "percentile": [],
        "response": [],
        "95 % interval": [],
        "service": [],
    }
    for measure, found in visited.percentiles.items():
        service = visited.service_percentiles.get(measure)
        rows["percentile"].append(measure_name(measure))
        rows["response"].append(("> " if found.at_least else "") + duration(found.value_ms))
        rows["95 % interval"].append(_interval(found))
        rows["service"].append(duration(service.value_ms) if service else MISSING)
    st.table(rows, hide_index=True, border="horizontal")


def _interval(found: Percentile) -> str:
    if not isfinite(found.low_ms) or not isfinite(found.high_ms):
        return MISSING
    return f"{duration(found.low_ms)} to {duration(found.high_ms)}"


def _slowest(facts: Mapping[str, Any], *, imported: bool) -> None:
    st.subheader("The slowest requests", anchor=False)
    told = facts.get("slowest")
    rows = [row for row in told if isinstance(row, dict)] if isinstance(told, list) else []
    if not rows:
        st.info(
            "What was imported does not name them."
            if imported
            else "The record does not name them: it was made before they were written down."
        )
        return
    st.dataframe(
        {
            "latency ms": [_number(row.get("latency_ms")) for row in rows],
            "status": [plain(row.get("status") or "") for row in rows],
            "error": [plain(row.get("error") or "") for row in rows],
            "image": [plain(row.get("image") or "") for row in rows],
            "trace id": [plain(row.get("trace_id") or "") for row in rows],
            "traced": ["yes" if row.get("sampled") else "no" for row in rows],
        },
        hide_index=True,
        alt="The slowest requests with their traces",
    )
    st.caption(
        "A request that was traced is found by its id in Tempo; the others have an id and no trace."
    )


def _number(value: Any) -> str:
    return number(float(value)) if isinstance(value, int | float) else MISSING


def _stages(comparison: Comparison, cell: Cell) -> None:
    """Where the slow requests of all repeats of the cell spend more than the middle ones."""
    figure = tails.figure(comparison, cell.variant, cell.level)
    if figure is not None:
        charts.show(figure)


page()
