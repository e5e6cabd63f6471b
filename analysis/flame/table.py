"""
The functions of a flame document as a table: those whose own cost changed, or that cost most.
"""

from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from analysis.flame.functions import written
from analysis.flame.graph import SHARE
from analysis.words import plain

MOST = 20
SAME = "No function's own cost changed beyond the noise."
WORDS = {"new": "new", "gone": "gone", "both": ""}


def changed(document: dict[str, Any]) -> RenderableType:
    """Of a difference, the functions that differ beyond the noise; of one profile, the largest."""
    single = len(document["sides"]) == 1
    rows = [row for row in document["functions"] if single or row["self_changed"]]
    if not rows:
        return Text(SAME)
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_edge=False,
        caption=_caption(document, len(rows) - MOST),
        caption_justify="left",
    )
    table.add_column("function", overflow="fold")
    table.add_column("file", overflow="fold", style="dim")
    for name in [*document["sides"], *([] if single else ["difference"])]:
        table.add_column(plain(name), justify="right", no_wrap=True)
    table.add_column("")
    for row in rows[:MOST]:
        table.add_row(*_cells(row, document["unit"]))
    return table


def _caption(document: dict[str, Any], more: int) -> str:
    unit = "share of samples" if document["unit"] == SHARE else document["unit"]
    rest = f"; {more} more are not shown" if more > 0 else ""
    return f"{unit}, in the function itself, wherever it is called from{rest}"


def _cells(row: dict[str, Any], unit: str) -> list[Text]:
    own = row["self"]
    cells = [plain(row["name"]), plain(row["file"]), *(written(cost, unit) for cost in own)]
    if len(own) > 1:
        difference = own[1] - own[0]
        sign = "+" if difference > 0 else "-"
        cells += [f"{sign}{written(abs(difference), unit)}", WORDS[row["state"]]]
    else:
        cells.append("")
    return [Text(cell) for cell in cells]
