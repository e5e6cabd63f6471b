"""
Files to take away. Each is made when it is asked for: a picture takes a second.
"""

from collections.abc import Callable, Mapping
from functools import partial

import streamlit as st

# By name: what the menu calls it, its media type, and what makes it.
Files = Mapping[str, tuple[str, str, Callable[[], bytes | str]]]


def menu(label: str, files: Files, *, key: str) -> None:
    """A button that opens onto one button a file."""
    with st.popover(label, key=key):
        for name, (title, mime, made) in files.items():
            st.download_button(
                title,
                partial(_bytes, made),
                file_name=name,
                mime=mime,
                key=f"{key}-{title}",
                on_click="ignore",
                type="tertiary",
                width="stretch",
            )


def _bytes(made: Callable[[], bytes | str]) -> bytes:
    content = made()
    return content.encode() if isinstance(content, str) else content
