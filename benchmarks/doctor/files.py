"""
Small files of /proc and /sys, as text and as numbers; what cannot be read is None.
"""

from pathlib import Path


def read(root: Path, name: str) -> str | None:
    """The text of a file; None without it."""
    try:
        return (root / name).read_text(errors="replace").strip() or None
    except OSError:
        return None


def number(root: Path, name: str) -> int | None:
    """The whole number in a file; None without one."""
    try:
        return int(read(root, name) or "")
    except ValueError:
        return None
