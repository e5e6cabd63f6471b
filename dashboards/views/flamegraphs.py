"""What code got more expensive? A cell's CPU profile, or how it differs from another variant's."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

import streamlit as st

from analysis.comparison import Comparison
from analysis.flame import because, graph, profiles, speedscope, standalone
from analysis.opened import PROBLEMS, Record
from analysis.words import level_name, load_of, plain
from dashboards import flamegraph, measures, opening, saving, state
from dashboards.once import once
from dashboards.text import bullets, escaped

ALONE = "nothing: one profile"
MOST_ROWS = 1000
TABLE_PX = 420
CAMPAIGN = """\
[profile]
clients = [8]"""
BY_HAND = """\
windtunnel profile --variant optimized --format collapsed --output optimized.txt
windtunnel flame baseline.txt optimized.txt --open"""


def page() -> None:
    view = opening.one_run("What code got more expensive?")
    comparison = view.comparison
    record = comparison.record
    there = record.profiles()
    if not there:
        _nothing_yet(view.entry.id)
    level, variant, against = _cell(comparison, there)
    try:
        stamp = _stamp(record, level)
        document = once(_document, record, level, variant, against, stamp)
        lines = once(_because, record, level, variant, against, stamp)
    except PROBLEMS as error:
        st.error(escaped(error))
        return
    _said(document, lines)
    flamegraph.show(document, key="flamegraph")
    st.caption(escaped(standalone.note(document)))
    _save(record, document, lines, (level, variant, against))
    _functions(document)


def _nothing_yet(run: str) -> NoReturn:
    """Where profiles come from."""
    st.info(
        "This run has no profiles. A campaign that asks for them visits each cell once more,"
        " unmeasured, and reads its stacks with py-spy meanwhile:"
    )
    st.code(CAMPAIGN, language="toml")
    st.markdown("Or outside of a campaign, each variant by itself:")
    st.code(BY_HAND, language=None, wrap_lines=True)
    st.page_link(
        "views/stages.py",
        label="Stages says which stage of the service the time goes to",
        query_params=state.links([run]),
    )
    st.stop()


def _cell(comparison: Comparison, there: Sequence[tuple[str, str]]) -> tuple[str, str, str | None]:
    """A load, a variant and what it is held against, among the profiles that there are."""
    plan = comparison.plan
    boxes = st.columns(3)
    with boxes[1]:
        levels = sorted({level for _, level in there}, key=load_of)
        names = {level_name(level): level for level in levels}
        level = names[state.choose("Load", "level", list(names), list(names)[-1])]
    variants = [variant for variant, at in there if at == level]
    judged = [variant for variant in plan.judged if variant in variants]
    with boxes[0]:
        variant = measures.variant(variants, judged[0] if judged else None)
    with boxes[2]:
        against = state.choose("Against", "against", [ALONE, *variants], plan.reference)
    return level, variant, None if against in (ALONE, variant) else against


def _stamp(record: Record, level: str) -> tuple[Any, ...]:
    """Alike as long as no profile of this level was written again."""
    files = [record.profile(variant, at) for variant, at in record.profiles() if at == level]
    facts = [file.with_suffix(".json") for file in files]
    return tuple((file.name, file.stat().st_mtime_ns) for file in (*files, *facts))


def _document(
    record: Record, level: str, variant: str, against: str | None, _stamp: object
) -> dict[str, Any]:
    return graph.of_record(record, level, variant, against)


def _because(
    record: Record, level: str, variant: str, against: str | None, _stamp: object
) -> list[str]:
    return because.of_record(record, level, variant, against) if against else []


def _said(document: Mapping[str, Any], lines: Sequence[str]) -> None:
    """What the whole costs, or why it differs, which says that too; and what to doubt of it."""
    if lines:
        st.markdown(bullets(lines))
    else:
        found = " → ".join(
            f"**{escaped(total)}** {escaped(side)}" for side, total in standalone.totals(document)
        )
        rest = [standalone.unit(document), standalone.change(document)]
        st.markdown(f"{found} {escaped(', '.join(filter(None, rest)))}")
    if document["doubts"]:
        st.warning(bullets(document["doubts"]), icon=":material/warning:")


def _save(
    record: Record,
    document: Mapping[str, Any],
    lines: Sequence[str],
    cell: tuple[str, str, str | None],
) -> None:
    """The page as a file, and the profiles for other programs."""
    level, variant, against = cell
    sides = [name for name in (against, variant) if name is not None]
    name = "-".join([*map(plain, sides), level])
    html = partial(standalone.html, document, lines)
    files: dict[str, tuple[str, str, Callable[[], bytes | str]]] = {
        f"{name}.html": ("HTML page", "text/html", html),
        f"{name}.speedscope.json": (
            "speedscope",
            "application/json",
            partial(_speedscope, record, level, sides),
        ),
    }
    for side in sides:
        path = record.profile(side, level)
        title = f"Collapsed stacks of {escaped(side)}"
        files[f"{plain(side)}-{level}.txt"] = (title, "text/plain", path.read_bytes)
    saving.menu("Save", files, key="save-flamegraph")


def _speedscope(record: Record, level: str, sides: Sequence[str]) -> str:
    found = [profiles.from_record(record, side, level) for side in sides]
    return json.dumps(speedscope.document(found))


def _functions(document: Mapping[str, Any]) -> None:
    st.subheader("Functions", anchor=False)
    table = standalone.functions(document, MOST_ROWS)
    st.dataframe(
        table.columns,
        hide_index=True,
        height=TABLE_PX,
        alt="What each function costs a request, with what it calls and itself",
    )
    st.caption(escaped(table.caption))


page()
