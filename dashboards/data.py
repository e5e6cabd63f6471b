"""
Records as the pages need them, each file read once.

Small results are kept by Streamlit, under the times of the files that they come from. The requests
of repeats are large: of those, only as many as fit into a fixed share of memory are kept.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import streamlit as st

from analysis import catalogue, opened
from analysis.catalogue import Entry
from analysis.cells import Visited, reduce
from analysis.comparison import Comparison, of, plan_of
from analysis.flame import because, graph, profiles
from analysis.flame.because import Sentence, Told
from analysis.frames import Repeat
from analysis.objective import Objective
from analysis.opened import AnalysisError, Record, Visit
from analysis.plan import PERCENTILES
from dashboards.kept import Kept, size
from dashboards.listing import Listing
from dashboards.once import once
from dashboards.settings import RESULTS

LISTED_FOR_S = 4
MOST_BYTES = 400 * 2**20  # of requests that are kept; a million of them take about 90 MB
MOST_COMPARISONS = 64
MOST_VISITS = 20_000
MOST_FLAMES = 64
MOST_FLAME_BYTES = 200 * 2**20
IN_MEMORY = 4  # bytes that a flame document takes, for each of its JSON


@dataclass(frozen=True, slots=True)
class Flame:
    """A flame document, and the sentences that say why the two differ."""

    document: Mapping[str, Any]
    because: Sequence[Sentence]


def results() -> Path:
    """The folder whose records are shown."""
    return Path(os.environ.get(RESULTS, opened.RESULTS))


def entries() -> Mapping[str, Entry]:
    """Every run by its name, newest first; what was found a few seconds ago is good enough."""
    return listing().entries


def listing() -> Listing:
    """The same with the rows of a table."""
    return _listing(str(results()))


@st.cache_resource(ttl=LISTED_FOR_S, refresh_mode="background", max_entries=4, show_spinner=False)
def _listing(folder: str) -> Listing:
    return Listing(catalogue.entries(Path(folder)))


def record(entry: Entry) -> Record:
    """The record as it is now; a running one grows."""
    return opened.opened(entry.path)


def comparison(
    entry: Entry, reference: str | None = None, slo: Objective | None = None
) -> Comparison:
    """A run compared; AnalysisError and its like if it cannot be."""
    found = record(entry)
    stamps = {visit: opened.stamp(found, visit) for visit in found.completed()}
    if not stamps:
        raise AnalysisError(f"{entry.id}: no repeat is complete yet")
    return _comparison(_name(found, stamps), found, stamps, reference, slo)


def _name(found: Record, stamps: Mapping[Visit, tuple[int, ...]]) -> str:
    """Alike for the same record in the same state."""
    run = (found.path / "run.json").stat()
    state = (str(found.path), run.st_size, run.st_mtime_ns, sorted(stamps.items()))
    return blake2b(repr(state).encode(), digest_size=16).hexdigest()


@st.cache_resource(max_entries=MOST_COMPARISONS, show_spinner="Reading the record …")
def _comparison(
    name: str,
    _record: Record,
    _stamps: Mapping[Visit, tuple[int, ...]],
    reference: str | None,
    slo: Objective | None,
) -> Comparison:
    plan = plan_of(_record, reference=reference)
    visits = (_visited(_record, visit, stamp, slo) for visit, stamp in _stamps.items())
    return of(visits, _record, plan, slo)


def _visited(found: Record, visit: Visit, stamp: tuple[int, ...], slo: Objective | None) -> Visited:
    """A repeat reduced to what is said of it, whatever it is compared with."""
    key = (str(found.path), visit, stamp, slo)
    known = _reduced().get(key)
    if known is None:
        read = repeat(found, visit, stamp)
        wanted = sorted({*PERCENTILES, *([slo.q] if slo else [])})
        known = read if isinstance(read, Visited) else reduce(read, wanted, slo)
        _reduced().keep(key, known)
    return known


def repeat(found: Record, visit: Visit, stamp: tuple[int, ...] | None = None) -> Repeat | Visited:
    """One visit with its requests, if it has any."""
    key = (str(found.path), visit, stamp or opened.stamp(found, visit))
    known = _requests().get(key)
    if known is None:
        known = opened.read(found, visit)
        _requests().keep(key, known, size(known))
    return known


def repeats(entry: Entry, level: str, variants: Iterable[str]) -> dict[str, list[Repeat]]:
    """By variant, the repeats of a level that have their requests."""
    found = record(entry)
    wanted = [v for v in found.completed() if v.level == level]
    read = {name: [repeat(found, v) for v in wanted if v.variant == name] for name in variants}
    return {
        name: alone
        for name, of_variant in read.items()
        if (alone := [each for each in of_variant if isinstance(each, Repeat)])
    }


def visit(entry: Entry, visited: Visited) -> Repeat | Visited:
    """The same repeat with its requests, if the record has them."""
    return repeat(record(entry), Visit(visited.variant, visited.level, visited.repeat))


def flame(found: Record, level: str, variant: str, against: str | None) -> Flame:
    """A cell's profile, or its difference from another variant's; AnalysisError and its like."""
    visits = tuple(opened.stamp(found, v) for v in found.completed() if v.level == level)
    key = (str(found.path), level, variant, against, profiled(found), visits)
    known = _flames().get(key)
    if known is None:
        sides, pairs = profiles.of_cell(found, level, variant, against)
        document = graph.document(sides, level=level, pairs=pairs)
        lines = because.explained(sides, pairs, level=level) if against else []
        known = Flame(document, lines)
        _flames().keep(key, known, IN_MEMORY * len(json.dumps(document)))
    return known


def told(comparison: Comparison) -> list[Told]:
    """What the profiles say of each judged variant."""
    return once(_told, comparison, profiled(comparison.record))


def _told(comparison: Comparison, _profiled: object) -> list[Told]:
    return because.told(comparison)


def profiled(found: Record) -> tuple[tuple[str, int, int], ...]:
    """Alike as long as no profile was added or written again: the noise comes from all of them."""
    stacks = [found.profile(variant, level) for variant, level in found.profiles()]
    files = [file for each in stacks for file in (each, each.with_suffix(".json"))]
    states = [(str(file), file.stat()) for file in files]
    return tuple((name, state.st_size, state.st_mtime_ns) for name, state in states)


@st.cache_resource(show_spinner=False)
def _flames() -> Kept[Flame]:
    return Kept(MOST_FLAME_BYTES, MOST_FLAMES)


@st.cache_resource(show_spinner=False)
def _requests() -> Kept[Repeat | Visited]:
    return Kept(MOST_BYTES, MOST_VISITS)


@st.cache_resource(show_spinner=False)
def _reduced() -> Kept[Visited]:
    return Kept(MOST_BYTES, MOST_VISITS)
