"""
What was made of the same things before is not made again: figures, and what the browser gets.

Things of the analysis are never changed, and `data.py` gives the same ones as long as their files
are the same; so that they are the same is seen by what they are, or by where they lie in memory.
"""

import weakref
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import streamlit as st

from analysis.frames import Repeat
from dashboards.kept import Kept

Made = TypeVar("Made")

MOST = 256


def once(make: Callable[..., Made], *args: Any, **more: Any) -> Made:
    """What *make* makes of these arguments."""
    held: list[Callable[[], Any]] = []
    key = (make.__module__, make.__qualname__, _same(args, held), _same(more, held))
    known = _made().get(key)
    # A repeat that was let go may have given its place in memory to another one.
    if known is None or any(thing() is None for thing in known[1]):
        known = make(*args, **more), held
        _made().keep(key, known)
    made: Made = known[0]
    return made


def _same(thing: Any, held: list[Callable[[], Any]]) -> Hashable:
    """
    Alike for things that are alike; of what cannot be compared quickly, where it lies.

    What is known by its place is held, so that nothing else can lie there: repeats, which are
    large and kept elsewhere, only weakly.
    """
    if isinstance(thing, Mapping):
        return tuple((name, _same(each, held)) for name, each in thing.items())
    if isinstance(thing, list | tuple):
        return tuple(_same(each, held) for each in thing)
    if isinstance(thing, Repeat):
        held.append(weakref.ref(thing))
        return id(thing)
    try:
        hash(thing)
    except TypeError:
        held.append(lambda: thing)
        return id(thing)
    return thing  # type: ignore[no-any-return]


@st.cache_resource(show_spinner=False)
def _made() -> Kept[Any]:
    return Kept(0, MOST)
