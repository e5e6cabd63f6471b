"""
The outcome of judging claims as a Markdown page, made from its claims.json alone.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analysis.claims import picture as pictured
from analysis.claims import sentences as words
from analysis.claims.rules import FAILS, HOLDS, IN_PART, MACHINE_FACTOR, OPEN, SHOWN, UNKNOWN
from analysis.markdown import escape as escaped
from analysis.markdown import table
from analysis.words import MISSING, enumeration, machine

MARKS = {HOLDS: "●", IN_PART: "◐", FAILS: "○", UNKNOWN: "?"}
NOTHING = "Nothing was measured."
ROW_MARKS = {HOLDS: "yes", FAILS: "no", OPEN: "open", SHOWN: ""}
# Changes when the words of the page do, so that a committed page can be told from its file.
HOW_TO_READ = f"""
**{HOLDS}**: every row shows it. **{IN_PART}**: some rows show it, others do not, or are open.
**{FAILS}**: no row shows it, and at least one shows the contrary. **{UNKNOWN}**: neither, or this
machine has not what it takes.

- *Measured* is the quantity that the guide speaks of, taken block by block: what is compared was
  measured in the same block, in random order (limits, memory and behaviour: in a fixed one). In
  brackets is its interval over the blocks (Student's t, of ratios on logarithms), so wide that all
  intervals of a claim hold together in 95 % of such runs; *{words.WIDE}* is one whose ends are over
  {words.TOO_WIDE:g} times apart.
- A row says *yes* if its whole interval lies beyond the near edge of what is claimed: 5x keeps a
  promise of 2x to 3x, and is then said to be more. It says *no* if the whole interval falls short
  of that edge, and is *open* if the edge lies inside. Where two copies of one service were
  measured, they differ by the *floor*, and the result has to be further than that from the edge.
- An absolute number (ms, MB/s) belongs to its machine, so within a factor of {MACHINE_FACTOR:g} it
  counts as met.
- Rows without yes, no or open decide nothing: what else was measured, and what would have helped.
- Verdicts are not adjusted for one another: were the truth exactly at the edge of each claim, one
  in twenty could be judged wrongly.
"""


# Brackets around numbers need no escape, as long as no link can come of them.
INTERVALS = re.compile(rf"\\\[([-+\d., ]+|{words.WIDE})\\\](?!\()")


def escape(said: object) -> str:
    """As in Markdown elsewhere; two `~500` in one line would be struck out."""
    return INTERVALS.sub(r"[\1]", escaped(said).replace("~", "\\~"))


def text(outcome: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = [
        f"# Is it true? {escape(outcome['title'])}, measured",
        *_opening(outcome),
        _overview(outcome),
        "## Claim by claim",
        *(part for claim in outcome["claims"] for part in _claim(claim)),
        *_exhibits(outcome),
        "## How to read it",
        HOW_TO_READ.strip() + f"\n- Pictures: {pictured.LEGEND}.",
        "## Where it was measured",
        *_sources(outcome),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(outcome: Mapping[str, Any]) -> Iterator[str]:
    counts, total = words.counts(outcome), len(outcome["claims"])
    told = [f"{counts[name]} {_said(name, counts[name])}" for name in MARKS if counts.get(name)]
    plural = "s" if total != 1 else ""
    yield (
        f"An optimization guide ({escape(outcome['source'])}) promises numbers. Here each is put to"
        f" the test on a real service. Of {total} claim{plural}, **{enumeration(told)}**."
    )
    if outcome.get("quick"):
        yield (
            "> **A quick look, not a result**: few and short repeats, to see that everything runs."
            " Intervals are wide, and most verdicts open. `windtunnel claims` measures in full."
        )
    facts = [source["machine"] for source in outcome["sources"] if source.get("machine")]
    if facts:
        yield (
            f"Measured on {escape(machine(facts[0]))}; judged on {escape(outcome['made'][:10])}."
        )


def _said(name: str, count: int) -> str:
    """`1 holds`, `3 hold`, `2 do not hold`, `4 cannot be told here`."""
    if count == 1:
        return name
    return {HOLDS: "hold", IN_PART: "hold in part", FAILS: "do not hold"}.get(name, name)


def _overview(outcome: Mapping[str, Any]) -> str:
    rows = [
        [
            f"[{escape(claim['title'])}](#{claim['id']})",
            escape(words.summary_claimed(claim)),
            escape(words.overall(claim)),
            f"{MARKS.get(claim['verdict'], '')} **{escape(claim['verdict'])}**",
        ]
        for claim in outcome["claims"]
    ]
    return table(["claim", "the guide", "measured", "verdict"], "lrrl", rows)


def _claim(claim: Mapping[str, Any]) -> Iterator[str]:
    mark = MARKS.get(claim["verdict"], "")
    heading = f"{escape(claim['title'])}: {mark} {escape(claim['verdict'])}"
    yield f'<a id="{claim["id"]}"></a>\n\n### {heading}'
    yield f"> {escape(claim['quote'])}  \n> *{escape(claim['section'])}*"
    yield escape(words.why(claim)) + (f" {escape(claim['because'])}" if claim["because"] else "")
    if claim["evidence"]:
        yield _rows(claim["evidence"])
        yield _doubts(claim["evidence"])


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """A column that would be empty is left out."""
    pictures = pictured.pictures(rows)
    columns: list[tuple[str, str, list[str]]] = [
        ("", "l", [escape(row["says"]) for row in rows]),
        ("the guide", "r", [escape(words.claimed(row)) for row in rows]),
        ("before → after", "r", [escape(words.from_to(row)) for row in rows]),
        ("measured", "r", [escape(words.measured(row)) for row in rows]),
        ("", "l", [f"`{picture}`" if picture else "" for picture in pictures]),
        ("floor", "r", [words.floor(row).replace(MISSING, "") for row in rows]),
        ("", "l", [_outcome(row) for row in rows]),
    ]
    kept = [column for column in columns if any(cell not in ("", MISSING) for cell in column[2])]
    lines = [[cells[n] for _, _, cells in kept] for n in range(len(rows))]
    return table([head for head, _, _ in kept], "".join(side for _, side, _ in kept), lines)


def _doubts(rows: Sequence[Mapping[str, Any]]) -> str:
    """Which doubts are about the cells of these rows, by their numbers at the end of the page."""
    found: dict[str, set[int]] = {}
    for row in rows:
        if row.get("campaign") and row.get("doubts"):
            found.setdefault(row["campaign"], set()).update(row["doubts"])
    told = [
        f"{escape(name)} {', '.join(map(str, sorted(numbers)))}" for name, numbers in found.items()
    ]
    return f"[Doubts](#doubts) about these cells: {'; '.join(told)}." if told else ""


def _outcome(row: Mapping[str, Any]) -> str:
    mark = ROW_MARKS.get(row["outcome"], row["outcome"])
    said = f"**{mark}**" if mark else ""
    remark = escape(row["remark"])
    return f"{said}: {remark}" if said and remark else said or remark


def _exhibits(outcome: Mapping[str, Any]) -> Iterator[str]:
    """Tables that belong to no claim."""
    if outcome["exhibits"]:
        yield "## What each optimization does alone"
    for exhibit in outcome["exhibits"]:
        yield f"### {escape(exhibit['title'])}"
        yield escape(exhibit["says"])
        yield _rows(exhibit["rows"])


def _sources(outcome: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [
            f"{escape(source['kind'])} {escape(source['name'])}",
            escape(source["question"]),
            escape(source["run"]),
            escape(source["blocks"]),
            _commit(source.get("commit") or {}),
        ]
        for source in outcome["sources"]
    ]
    yield table(["", "asks", "run", "blocks", "commit"], "lllrl", rows) if rows else NOTHING
    if any(source.get("doubts") for source in outcome["sources"]):
        yield '<a id="doubts"></a>\n\n## Doubts'
    for source in outcome["sources"]:
        if source.get("doubts"):
            listed = "\n".join(f"{n}. {escape(text)}" for n, text in enumerate(source["doubts"], 1))
            yield f"About {escape(source['kind'])} {escape(source['name'])}:\n\n{listed}"


def _commit(commit: Mapping[str, Any]) -> str:
    changed = " and changes" if commit.get("dirty") else ""
    return escape(str(commit.get("sha") or MISSING)[:7]) + changed
