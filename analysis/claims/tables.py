"""
The outcome of judging claims as a person reads it in a terminal: one row a claim, then why.
"""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from analysis.claims import sentences as words
from analysis.claims.rules import FAILS, HOLDS, IN_PART, UNKNOWN
from analysis.terminal import trimmed
from analysis.words import plain

STYLES = {HOLDS: "bold green", IN_PART: "yellow", FAILS: "bold red", UNKNOWN: "dim"}


def show(outcome: Mapping[str, Any], console: Console) -> None:
    """The table, and under it a line for each claim that says why; counts last."""
    with trimmed(console):
        console.print(Text(plain(f"{outcome['title']}: claimed and measured"), style="bold"))
        if outcome.get("quick"):
            console.print(Text("a quick look: few, short repeats decide little", style="yellow"))
        console.print(Padding(_table(outcome), (1, 0)))
        for claim in outcome["claims"]:
            line = Text(plain(claim["id"]), style="bold")
            line.append(f"  {plain(words.why(claim))}", style="default")
            if claim["because"]:
                line.append(f" {plain(claim['because'])}", style="dim")
            console.print(line)
        console.print(Text(f"\n{counted(outcome)}", style="bold"))


def counted(outcome: Mapping[str, Any]) -> str:
    """`30 claims: holds 9, holds in part 4, does not hold 12, cannot be told here 5`."""
    counts, total = words.counts(outcome), len(outcome["claims"])
    told = ", ".join(f"{name} {counts[name]}" for name in STYLES if counts.get(name))
    return f"{total} claim{'s' if total != 1 else ''}: {told}"


def _table(outcome: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("claim", overflow="fold", min_width=12)
    table.add_column("the guide", justify="right", overflow="fold")
    table.add_column("measured", justify="right", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for claim in outcome["claims"]:
        table.add_row(
            Text(plain(claim["id"])),
            Text(plain(words.summary_claimed(claim))),
            Text(plain(words.overall(claim))),
            Text(plain(claim["verdict"]), style=STYLES.get(claim["verdict"], "")),
        )
    return table
