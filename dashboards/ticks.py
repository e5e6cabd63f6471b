"""
Tables whose rows can be ticked.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Literal

import streamlit as st


def table(
    rows: Any,
    names: Sequence[str],
    key: str,
    mode: Literal["single-row", "multi-row"],
    **look: Any,
) -> list[int]:
    """The places of the ticked rows; *names* say what each row is."""
    # Streamlit keeps ticks by place: other rows are another table, or ticks would move to them.
    digest = blake2b(repr(list(names)).encode(), digest_size=8).hexdigest()
    with st.container(key=key):
        event = st.dataframe(
            rows,
            hide_index=True,
            on_select="rerun",
            selection_mode=mode,
            key=f"{key}-{digest}",
            **look,
        )
    return [row for row in event.selection.rows if row < len(names)]
