"""
How every page begins: its question, the run that it shows, and what to doubt, before any number.

Where there is nothing to show, one sentence says so, with the command that helps.
"""

from dataclasses import dataclass
from shlex import quote
from typing import NoReturn

import streamlit as st

from analysis import terminal
from analysis.catalogue import Entry, progress
from analysis.comparison import Comparison
from analysis.opened import PROBLEMS
from analysis.words import machine
from dashboards import data, sidebar, state
from dashboards.text import bullets, escaped, said

FOLLOWED_EACH_S = 2


@dataclass(frozen=True, slots=True)
class View:
    """What a page shows: a run compared, and the run beside it if two were chosen."""

    entry: Entry
    comparison: Comparison
    beside: Entry | None


def question(text: str) -> None:
    """The page's title."""
    st.title(text, anchor=False)


def runs() -> state.Chosen:
    """Which runs are chosen; ends the page where there are none at all."""
    folder = data.results()
    if not folder.is_dir():
        nothing(
            f"There is no folder {escaped(folder)}.",
            "windtunnel dashboard FOLDER-WITH-RECORDS",
        )
    known = data.entries()
    if not known:
        nothing(
            f"There is no run in {escaped(folder)} yet. This makes one, in a few minutes:",
            "windtunnel run benchmarks/campaigns/demo.toml",
        )
    chosen = state.chosen(known)
    state.warn(chosen.unknown, "a run")
    return chosen


def one_run(title: str, *, doubts_open: bool = False) -> View:
    """The title, and the chosen run with its doubts; ends the page where it cannot be shown."""
    question(title)
    chosen = runs()
    entry, beside = chosen.entries[0], (*chosen.entries, None)[1]
    if entry.problem:
        broken(entry)
    left_out = _left_out(entry)
    wanted = sidebar.wanted(entry)
    if entry.reference in left_out:
        st.warning(
            f"The campaign's reference, {escaped(entry.reference)}, was left out:"
            f" {escaped(left_out[entry.reference])}"
        )
    try:
        comparison = data.comparison(entry, wanted.reference, wanted.slo)
    except PROBLEMS as error:
        _not_yet(entry, str(error))
    _strip(entry, comparison)
    if entry.status == "running":
        _follow(entry, sum(len(cell.visits) for cell in comparison.matrix.cells.values()))
    doubts(comparison, opened=doubts_open)
    return View(entry, comparison, beside)


def _left_out(entry: Entry) -> dict[str, str]:
    """Variants that were not run, with the reason; ends the page where no other is left."""
    try:
        found = data.record(entry).left_out
    except PROBLEMS as error:
        _not_yet(entry, str(error))
    if not entry.variants:
        reasons = [f"{name}: {why}" for name, why in found.items()]
        nothing(f"In {escaped(entry.id)} no variant was run.\n\n{bullets(reasons)}")
    return found


def nothing(text: str, command: str = "") -> NoReturn:
    """An empty page: why, and what to type."""
    st.info(text)
    if command:
        st.code(command, language=None)
    st.stop()


def broken(entry: Entry) -> NoReturn:
    """A run that cannot be read: why, and the way to the others."""
    st.error(unreadable(entry))
    st.page_link("views/runs.py", label="All runs", query_params=state.links([entry.id]))
    st.stop()


def unreadable(entry: Entry) -> str:
    return f"{escaped(entry.id)} cannot be read. {escaped(entry.problem)}"


def _not_yet(entry: Entry, problem: str) -> NoReturn:
    """A run that has nothing to compare: not yet, no more, or because a file is damaged."""
    done, running = progress(entry)[0], entry.status == "running"
    if done or entry.imported:
        st.error(escaped(problem))
    elif running:
        st.info(f"{escaped(entry.id)} is running; its first repeat is not complete yet.")
    else:
        nothing(escaped(problem), f"windtunnel run --resume {quote(str(entry.path))}")
    if running:
        _follow(entry, done)
    st.stop()


def _strip(entry: Entry, comparison: Comparison) -> None:
    """Which run this is, in two lines."""
    record = comparison.record
    parts = [
        f"**{escaped(entry.question or entry.campaign)}**",
        escaped(f"{terminal.setting(comparison)} · {when(entry)} · {entry.run}"),
        escaped(machine(record.run.get("machine") or {})),
    ]
    st.markdown("  \n".join(parts))


def when(entry: Entry) -> str:
    """`2026-11-26 12:26 UTC`."""
    return entry.started.replace("T", " ")[:16] + " UTC" if entry.started else "start unknown"


def doubts(comparison: Comparison, *, opened: bool) -> None:
    """Every reason not to trust a number, with what to do; above the numbers."""
    found = comparison.doubts
    if not found:
        return
    title = f"{len(found)} doubt{'s' if len(found) > 1 else ''} about these numbers"
    with st.expander(title, expanded=opened, icon=":material/warning:", key="doubts"):
        st.markdown(
            "\n".join(
                f"{number}. {said(terminal.doubt_line(doubt, comparison))}  \n"
                f"   *{said(doubt.next_step)}*"
                for number, doubt in enumerate(found, 1)
            )
        )


@st.fragment(run_every=FOLLOWED_EACH_S)
def _follow(entry: Entry, shown: int) -> None:
    """How far a running run is; the page is drawn again when a repeat was added or it ended."""
    done, planned = progress(entry)
    now = data.entries().get(entry.id, entry)
    if done > shown or now.status != entry.status:
        st.rerun()
    st.progress(
        done / planned if planned else 0.0,
        f"{done} of {planned} repeats are there; this page follows. If the run was killed,"
        " `windtunnel run --resume` goes on.",
    )
