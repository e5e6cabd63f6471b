"""What code got more expensive? A cell's CPU profile, or how it differs from another variant's."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from shlex import quote
from typing import Any, NoReturn

import streamlit as st

from analysis.comparison import Comparison
from analysis.flame import functions, profiles, speedscope, standalone
from analysis.flame.because import Link
from analysis.flame.graph import SHARE
from analysis.flame.stacks import Frame
from analysis.opened import PROBLEMS, Record
from analysis.words import level_name, plain
from dashboards import data, flamegraph, measures, opening, saving, state
from dashboards.data import Flame
from dashboards.text import bullets, escaped

ALONE = "nothing: one profile"
MOST_ROWS = 1000
TABLE_PX = 420
CAMPAIGN = """\
[profile]
clients = [8]"""
BY_HAND = """\
windtunnel profile --variant baseline --format collapsed --output baseline.txt
windtunnel profile --variant optimized --format collapsed --output optimized.txt
windtunnel flame baseline.txt optimized.txt --open"""


def page() -> None:
    view = opening.one_run("What code got more expensive?")
    comparison = view.comparison
    record = comparison.record
    there = record.profiles()
    if not there:
        _nothing_yet(view.entry.id, record)
    level, variant, against = _cell(comparison, there)
    try:
        shown = data.flame(record, level, variant, against)
    except PROBLEMS as error:
        st.error(escaped(error))
        return
    _said(shown)
    _places(view.entry.id, shown, (level, variant, against))
    flamegraph.show(shown.document, key="flamegraph", find=st.query_params.get("find", ""))
    st.caption(escaped(standalone.note(shown.document)))
    _save(record, shown, (level, variant, against))
    _functions(shown.document)


def _nothing_yet(run: str, record: Record) -> NoReturn:
    """When or how profiles come, or where they come from if the campaign does not ask for them."""
    if not record.campaign.get("profile"):
        st.info(
            "This run has no profiles. A campaign that asks for them visits each cell once more,"
            " unmeasured, and reads its stacks with py-spy meanwhile:"
        )
        st.code(CAMPAIGN, language="toml")
        st.markdown("Or outside of a campaign, each variant by itself:")
        st.code(BY_HAND, language=None, wrap_lines=True)
    elif record.status == "running":
        st.info(
            "The profiles that the campaign asks for are still to be taken. They come last, when"
            " every repeat has been measured, and are shown when the run has ended."
        )
    else:
        st.info(
            "The profiles that the campaign asks for are not there: the run ended before they were"
            " taken, or py-spy may not read other processes, which `windtunnel doctor` says. This"
            " takes them:"
        )
        again = f"windtunnel run --resume {quote(str(record.path))}"
        st.code(again, language=None, wrap_lines=True)
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
        level = measures.level({level for _, level in there})
    variants = [variant for variant, at in there if at == level]
    judged = [variant for variant in plan.judged if variant in variants]
    with boxes[0]:
        variant = measures.variant(variants, judged[0] if judged else None)
    with boxes[2]:
        others = [name for name in variants if name != variant]
        default = ALONE if variant == plan.reference else plan.reference
        against = state.choose("Against", "against", [ALONE, *others], default, besides=[variant])
    return level, variant, None if against == ALONE else against


def _said(shown: Flame) -> None:
    """What the whole costs, or why it differs, which says that too; and what to doubt of it."""
    document = shown.document
    if shown.because:
        st.markdown(bullets(shown.because))
    else:
        found = " → ".join(
            f"**{escaped(total)}** {escaped(side)}" for side, total in standalone.totals(document)
        )
        rest = [functions.unit(document), standalone.change(document)]
        st.markdown(f"{found} {escaped(', '.join(filter(None, rest)))}")
    if document["doubts"]:
        st.warning(bullets(document["doubts"]), icon=":material/warning:")


def _places(run: str, shown: Flame, cell: tuple[str, str, str | None]) -> None:
    """A link for each place that the sentences name, which shows it in the flamegraph."""
    parts = [part for line in shown.because for part in line.parts if isinstance(part, Link)]
    places = {(part.name, part.file): None for part in parts}
    if not places:
        return
    level, variant, against = cell
    query = state.links([run]) | {"level": level_name(level), "variant": variant}
    query |= {"against": against} if against else {}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Show in the flamegraph:", width="content")
        for name, file in places:
            st.page_link(
                "views/flamegraphs.py",
                label=escaped(Frame(name, file).label),
                query_params=query | {"find": standalone.pattern(name, file)},
            )


def _save(record: Record, shown: Flame, cell: tuple[str, str, str | None]) -> None:
    """The page as a file, and the profiles for other programs."""
    level, variant, against = cell
    sides = [name for name in (against, variant) if name is not None]
    name = "-".join([*map(plain, sides), level])
    html = partial(standalone.html, shown.document, shown.because)
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
    table = functions.numbers(document, MOST_ROWS)
    form = "percent" if document["unit"] == SHARE else "%.3g"
    shares = [f"{prefix}{functions.PART}" for prefix, *_ in functions.PARTS]
    st.dataframe(
        table.columns,
        hide_index=True,
        height=TABLE_PX,
        column_config={
            name: st.column_config.NumberColumn(format="percent" if name in shares else form)
            for name, values in table.columns.items()
            if any(isinstance(value, float) for value in values)
        },
        alt="What each function costs a request, with what it calls and itself",
    )
    st.caption(escaped(table.caption))


page()
