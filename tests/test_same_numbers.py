"""The terminal, Markdown, the HTML report and the app print the same numbers, row by row."""

import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from streamlit.testing.v1 import AppTest

from analysis import markdown, report, terminal
from analysis.comparison import Comparison, compare
from analysis.words import floor_text, measure_name, measured, ratio_interval, ratio_point
from benchmarks.record import RESULTS, load
from dashboards import settings
from tests.golden import DEMO

ROOT = Path(__file__).parent.parent
Row = tuple[str, ...]


class Cells(HTMLParser):
    """The texts of the cells of every table row of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data.strip()


@pytest.fixture(scope="module")
def demo() -> Comparison:
    return compare(load(DEMO))


@pytest.fixture(scope="module")
def app(demo: Comparison, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    """The tables of the pages that show every cell, and every difference."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv(settings.RESULTS, str(RESULTS))
        opened = AppTest.from_file(str(ROOT / "dashboards/app.py"), default_timeout=60)
        opened.query_params["run"] = f"demo/{demo.record.path.name}"
        opened.run()
        for page in ("matrix", "compare"):
            opened.switch_page(f"views/{page}.py").run()
            assert not opened.exception
            tables = [frame.value.astype(str).values.tolist() for frame in opened.dataframe]
            found[page] = [row for table in tables for row in table]
    return found


def values(comparison: Comparison) -> list[Row]:
    """Variant, then its percentiles and throughput, of every cell."""
    return [
        (cell.variant, *(measured(cell.value(name), name) for name in comparison.plan.measures))
        for level in comparison.plan.levels
        for cell in comparison.matrix.level(level)
    ]


def differences(comparison: Comparison) -> list[Row]:
    """Measure, ratio, interval, noise floor and verdict, of every level and of the whole curve."""
    matrix = comparison.matrix
    return [
        (
            measure_name(d.measure),
            ratio_point(d.ratio),
            ratio_interval(d.ratio),
            floor_text(d.floor),
            str(d.verdict),
        )
        for d in (*matrix.differences, *matrix.curves)
        if d.ratio is not None
    ]


def among(row: Row, rows: list[list[str]]) -> bool:
    """Whether these texts stand in one of the rows, in any order; a sign may be at a verdict."""
    return any(
        all(any(t == c or c.endswith(f" {t}") for c in found) for t in row) for found in rows
    )


def test_every_form_has_the_same_values_and_the_same_verdicts(
    demo: Comparison, app: dict[str, list[list[str]]]
) -> None:
    page = StringIO()
    terminal.show(demo, Console(file=page, width=140))
    printed = [re.split(r" {2,}|(?<=\S) (?=\[|±)", line) for line in page.getvalue().splitlines()]
    written = [
        re.split(r" ?\| ?| (?=\[)", line.replace("**", ""))
        for line in markdown.text(demo).splitlines()
    ]
    html = Cells(report.html(demo)).rows
    assert len(values(demo)) == 8
    for row in values(demo):
        assert all(among(row, rows) for rows in (printed, written, html, app["matrix"])), row
    assert len(differences(demo)) == 18
    for row in differences(demo):
        assert all(among(row, rows) for rows in (printed, written, html, app["compare"])), row


def test_a_number_that_differs_would_be_found(demo: Comparison) -> None:
    html = Cells(report.html(demo)).rows
    variant, first, *rest = values(demo)[0]
    assert among((variant, first, *rest), html)
    assert not among((variant, f"{first}1", *rest), html)
