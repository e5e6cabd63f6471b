"""
A comparison as one HTML file that needs nothing else: no script, no network, no other file.

Everything in it comes from the record, so that the same record gives the same file. Names that a
record holds are text wherever they appear: the template escapes them, and so do the charts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from analysis import answer, report_tables
from analysis.comparison import Comparison
from analysis.figures import style
from analysis.figures.figure import Figure, inline_svg
from analysis.meanings import MEANINGS
from analysis.report_sections import Section, sections
from analysis.report_tables import Table
from analysis.terminal import doubt_line, legend, setting
from analysis.words import machine, plain

TEMPLATE = Path(__file__).with_name("report.html")
COMPLETE = "complete"
FIRST = (answer.ANSWER, answer.WHY)  # of the answer; its other parts stand where they belong


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as the page has it."""

    figure: Figure
    svg: Markup
    numbers: Table


def html(comparison: Comparison, command: str = "") -> str:
    """The page; *command* is how it was made, which a reader may want to repeat."""
    record = comparison.record
    found = sections(comparison)
    return _template().render(
        title=plain(record.question or record.name),
        setting=setting(comparison),
        machine=machine(record.run.get("machine") or {}),
        status="" if record.status == COMPLETE else plain(record.status),
        doubts=list(_doubts(comparison)),
        meanings=MEANINGS,
        parts=[(title, lines) for title in FIRST if (lines := answer.part(comparison, title))],
        legend=legend(comparison),
        sections=[(section, list(_pictures(section))) for section in found],
        provenance=list(_provenance(comparison, command)),
        light=Markup(style.css()),
        dark=Markup(style.css(dark=True)),
        font=Markup(style.FONT),
    )


@cache
def _template() -> Template:
    loader = FileSystemLoader(TEMPLATE.parent)
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(TEMPLATE.name)


def _pictures(section: Section) -> Iterator[Picture]:
    for place, figure in enumerate(section.figures):
        # Ids of all pictures of a page share one space.
        svg = Markup(inline_svg(figure, prefix=f"{section.anchor}-{place}-"))
        yield Picture(figure, svg, report_tables.behind(figure.title, figure.table))


def _doubts(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    for doubt in comparison.doubts:
        yield doubt.kind, doubt_line(doubt, comparison), plain(doubt.next_step)


def _provenance(comparison: Comparison, command: str) -> Iterator[tuple[str, str]]:
    """What a reader needs to find the numbers again."""
    record = comparison.record
    commit = record.run.get("commit") or {}
    dirty = ", with uncommitted changes" if commit.get("dirty") else ""
    yield "record", plain(record.path)
    yield "run", plain(record.run_id)
    yield (
        "measured",
        plain(f"{record.run.get('started', '')} to {record.run.get('finished') or '-'}"),
    )
    yield "commit", plain(f"{commit.get('sha') or 'unknown'}{dirty}")
    imported = (record.run.get("imported") or {}).get("tool")
    if imported:
        yield "imported from", plain(imported)
    if command:
        yield "made with", plain(command)
