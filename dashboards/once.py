"""
What was made of the same things before is not made again: figures, and what the browser gets.

Things of the analysis are never changed, and `data.py` gives the same ones as long as their files
are the same; so that they are the same is seen by what they are, or by where they lie in memory.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import streamlit as st

from dashboards.kept import Kept, size

Made = TypeVar("Made")

MOST_BYTES = 200 * 2**20
MOST = 256


def once(make: Callable[..., Made], *args: Any, **more: Any) -> Made:
    """What *make* makes of these arguments."""
    key = (make.__module__, make.__qualname__, _same(args), _same(more))
    known = _made().get(key)
    if known is None:
        # With the arguments, as nothing else may lie where they lie in memory meanwhile.
        known = make(*args, **more), (args, more)
        _made().keep(key, known, size(args))
    made: Made = known[0]
    return made


def _same(thing: Any) -> Hashable:
    """Alike for things that are alike; of what cannot be compared quickly, where it lies."""
    if isinstance(thing, Mapping):
        return tuple((name, _same(each)) for name, each in thing.items())
    if isinstance(thing, list | tuple):
        return tuple(map(_same, thing))
    try:
        hash(thing)
    except TypeError:
        return id(thing)
    return thing  # type: ignore[no-any-return]


@st.cache_resource(show_spinner=False)
def _made() -> Kept[Any]:
    return Kept(MOST_BYTES, MOST)
