"""Which runs do I have? All of them in one table, to be filtered, chosen and compared."""

from collections.abc import Sequence

import pyarrow as pa
import streamlit as st

from analysis.catalogue import Entry
from dashboards import data, opening, state, ticks
from dashboards.listing import WHY, Listing

ANY = "any"
FILTERS = {"Campaign": "campaign", "Machine": "machine", "Status": "status", "Source": "source"}
PLACES = {
    "views/compare.py": "Compare",
    "views/matrix.py": "Matrix",
    "views/overview.py": "Overview",
    "views/method.py": "Method & quality",
}
ROWS_PX = 560  # of a table before it scrolls


def page() -> None:
    opening.question("Which runs do I have?")
    opening.runs()
    listing = data.listing()
    places = _filtered(listing)
    every, hidden = len(listing.entries), len(listing.entries) - len(places)
    st.caption(
        f"{len(places):,} of {every:,} runs"
        + (f"; the filters hide {hidden:,}" if hidden else "")
        + ". Tick up to two and open them on another page."
    )
    if not places:
        opening.nothing("No run matches the filters: clear one of them.")
    entries = list(listing.entries.values())
    _chosen([entries[place] for place in _table(listing, places)])


def _filtered(listing: Listing) -> list[int]:
    """The places of those that keep to all of the filters, which the URL holds."""
    words = state.write("Search", "q", "", help="In names, questions, variants and commits.")
    wanted = {}
    for box, (label, column) in zip(st.columns(len(FILTERS)), FILTERS.items(), strict=True):
        with box:
            values = sorted(set(listing.columns[column]))
            every = _every(values)
            asked = state.choose(label, column, [every, *values])
        if asked != every:
            wanted[column] = asked
    return listing.having(words.casefold().split(), wanted)


def _every(values: Sequence[str]) -> str:
    """The word for all of them, which is none of them."""
    word = ANY
    while word in values:
        word = f"({word})"
    return word


def _table(listing: Listing, places: Sequence[int]) -> list[int]:
    """The places of the rows that are ticked."""
    rows = pa.table(listing.columns).take(places)
    ids = list(listing.entries)
    ticked = ticks.table(
        rows,
        [ids[place] for place in places],
        "runs_table",
        "multi-row",
        height=ROWS_PX if len(places) > 14 else "auto",
        column_config={
            WHY: st.column_config.TextColumn(width=330),
            "variants": st.column_config.TextColumn(width=170),
        },
        alt="All runs that match the filters, newest first",
    )
    return [places[row] for row in ticked]


def _chosen(ticked: Sequence[Entry]) -> None:
    """Where the ticked runs can be looked at; the links carry their names."""
    for entry in ticked:
        if entry.problem:
            st.error(opening.unreadable(entry))
    readable = [entry.id for entry in ticked if not entry.problem]
    names = readable[: state.MOST_RUNS]
    if len(readable) > len(names):
        st.caption(f"The first {len(names)} of the {len(readable)} that are ticked are opened.")
    if names:
        with st.container(horizontal=True):
            for path, label in PLACES.items():
                st.page_link(path, label=label, query_params=state.links(names))


page()
