"""
What is chosen, as the URL says it: a link shows another person the same view.

Streamlit keeps widgets with `bind="query-params"` and the URL alike. Which runs are shown is no
single widget's value, so `run` is read and written here. What the URL names and nobody knows is
ignored, with a warning that names it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from analysis.catalogue import Entry
from analysis.words import plain
from dashboards.text import escaped

RUN = "run"
# These mean the same on every page, so that the links between pages hand them on.
SHARED = ("reference", "slo", "measure", "level", "variant")
MOST_RUNS = 2  # that are shown beside each other
MOST_NAMED = 3
LONGEST_NAME = 80

_CHOSEN = "chosen_runs"
_DEFAULTS = "defaults"
_KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The runs of the URL, or the newest one that can be read."""

    entries: tuple[Entry, ...]
    unknown: tuple[str, ...]  # names of the URL that are no runs


def chosen(known: Mapping[str, Entry]) -> Chosen:
    """By name among the runs that there are, newest first; the names never become paths."""
    asked = st.query_params.get_all(RUN) or st.session_state.get(_CHOSEN, [])
    found = tuple(known[name] for name in dict.fromkeys(asked) if name in known)
    unknown = tuple(name for name in dict.fromkeys(asked) if name not in known)
    if not found:
        newest = next((e for e in known.values() if not e.problem), None)
        found = tuple(filter(None, [newest or next(iter(known.values()), None)]))
    if not asked and found:
        # Once a session: a link of today shows the same run tomorrow, and Back leads out.
        st.query_params[RUN] = [entry.id for entry in found]
    st.session_state[_CHOSEN] = [entry.id for entry in found]
    return Chosen(found[:MOST_RUNS], unknown)


def show_runs(names: Sequence[str]) -> None:
    """Put these runs into the URL."""
    st.session_state[_CHOSEN] = list(names)
    st.query_params[RUN] = list(names)


def warn(unknown: Sequence[str], what: str) -> None:
    """Name what the URL asked for and is not there."""
    if unknown:
        names = ", ".join(f"“{escaped(name[:LONGEST_NAME])}”" for name in unknown[:MOST_NAMED])
        more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
        st.warning(f"Not here, so ignored: {what} {names}{more}, which the link names.")


def choose(
    label: str,
    key: str,
    options: Sequence[str],
    default: str | None = None,
    *,
    help: str = "",
    besides: Sequence[str] = (),
) -> str:
    """
    A choice of one by its name, in a box: names of a record are not markup there.

    *besides* are names that are there and no choice now: nobody is warned of them.
    """
    first = _first(options, default)
    _settle(key, options, first, label, besides)
    found = st.selectbox(
        label,
        options,
        index=list(options).index(first),
        format_func=plain,
        key=key,
        help=help or None,
        bind="query-params",
    )
    return _remembered(key, found, first)


def switch(label: str, key: str, options: Sequence[str], default: str | None = None) -> str:
    """A choice of one of a few words of our own, side by side."""
    first = _first(options, default)
    _settle(key, options, first, label)
    found = st.segmented_control(
        label, options, default=first, required=True, key=key, bind="query-params"
    )
    return _remembered(key, found, first)


def write(label: str, key: str, default: str, *, help: str = "") -> str:
    """A text of one line."""
    _default(key, default)
    found = st.text_input(label, default, key=key, help=help or None, bind="query-params")
    return _remembered(key, found, default)


def links(names: Sequence[str]) -> dict[str, str | list[str]]:
    """The URL's part after `?` that shows these runs with what is chosen now."""
    kept: dict[str, str] = st.session_state.get(_KEPT, {})
    defaults: dict[str, str] = st.session_state.get(_DEFAULTS, {})
    asked = st.query_params
    now = {key: st.session_state.get(key) or asked.get(key) or kept.get(key) for key in SHARED}
    chosen = {key: value for key, value in now.items() if value and value != defaults.get(key)}
    return {RUN: list(names), **chosen}


def _first(options: Sequence[str], default: str | None) -> str:
    return default if default is not None and default in options else options[0]


def _settle(
    key: str, options: Sequence[str], default: str, label: str, besides: Sequence[str] = ()
) -> None:
    """Forget what is no option here; what the URL asks for in vain is named."""
    asked = st.query_params.get(key)
    if asked is not None and asked not in (*options, *besides):
        warn([asked], f"a {label.lower()}")
    if key in st.session_state and st.session_state[key] not in options:
        st.session_state[key] = default  # forgotten, the browser would go on to show it
    _default(key, default)


def _default(key: str, value: str) -> None:
    """What the box shows if nobody chose; another run has another default, which nobody chose."""
    defaults: dict[str, str] = st.session_state.setdefault(_DEFAULTS, {})
    before = defaults.get(key, value)
    if before != value and st.session_state.get(key) == before:
        st.session_state[key] = value
        st.session_state.get(_KEPT, {}).pop(key, None)
    defaults[key] = value


def _remembered(key: str, value: str | None, default: str) -> str:
    """What was chosen, kept for the links of pages that have no such widget."""
    found = default if value is None else value
    kept = st.session_state.setdefault(_KEPT, {})
    kept[key] = found
    return found
