"""The HTML report: one file that needs nothing, says what the terminal says, and obeys no name."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis import answer, report, report_commands
from analysis.cells import THROUGHPUT
from analysis.comparison import Comparison, compare
from analysis.latency import AnalysisError
from analysis.objective import parse
from analysis.report_sections import measure_of, sections
from analysis.terminal import doubt_line, shown
from analysis.words import measured, plain, ratio_interval, ratio_point
from benchmarks.record import load
from tests.golden import DEMO
from tests.records import Shape, campaign, with_cell, write

ROOT = Path(__file__).parent.parent
HOSTILE = "<script>alert('&\")]]> & {{7*7}} {% raw %}"
SLO = parse("p95=30ms,errors=0.1%")
SHAPE = Shape(median_ms=20, requests=120, noise=0.02, stages={"decode": 3.0, "infer": 9.0})
VOID = {"meta", "br", "link", "hr", "img", "input"}


class Page(HTMLParser):
    """What a browser would see: elements that nest, and the text of them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def attributes(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name))]


def said(line: str) -> str:
    return " ".join(line.split())


@pytest.fixture(scope="module")
def demo() -> Comparison:
    return compare(load(DEMO), slo=SLO)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Ten variants at eight levels, with all that a text in a record may try."""
    names = ["baseline", HOSTILE, *(f"variant-{n}" for n in range(8))]
    levels = tuple(f"c{2**n:04d}" for n in range(8))
    variants = {name: replace(SHAPE, median_ms=20 + place) for place, name in enumerate(names)}
    run = {"left_out": {f"{HOSTILE}-too": HOSTILE}, "machine": {"cpu": HOSTILE}}
    plan = campaign(variants, levels, repeats=2, run=run, question=HOSTILE)
    plan = with_cell(plan, HOSTILE, "c0008", timeouts=60)
    return compare(load(write(tmp_path_factory.mktemp("report"), plan)), slo=SLO)


@pytest.fixture(scope="module")
def pages(demo: Comparison, hostile: Comparison) -> dict[str, str]:
    return {"demo": report.html(demo, "windtunnel report demo"), "hostile": report.html(hostile)}


@pytest.mark.parametrize("name", ["demo", "hostile"])
def test_the_page_is_one_file_that_runs_and_fetches_nothing(
    pages: dict[str, str], name: str
) -> None:
    page = Page(pages[name])
    assert page.open == []
    kinds = {tag for tag, _ in page.tags}
    assert not kinds & {"script", "link", "iframe", "img", "image", "object", "form", "base"}
    policy = page.attributes("content")[0]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert all(link.startswith("#") for link in [*page.attributes("href"), *page.attributes("src")])
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    assert "url(http" not in pages[name]
    assert len(pages[name]) < 3_000_000


@pytest.mark.parametrize("name", ["demo", "hostile"])
def test_every_link_of_the_page_leads_somewhere(pages: dict[str, str], name: str) -> None:
    page = Page(pages[name])
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in page.attributes("href")} <= set(ids)
    referred = set(re.findall(r"url\(#([^)]*)\)", pages[name]))
    assert referred <= set(ids)


def test_what_a_record_says_is_text(pages: dict[str, str]) -> None:
    text = Page(pages["hostile"]).text
    assert said(HOSTILE) in text  # the question; and none of it was a template
    assert pages["hostile"].count("<script") == 0


def test_the_page_says_what_the_terminal_says(demo: Comparison, pages: dict[str, str]) -> None:
    text = Page(pages["demo"]).text
    for _, lines in answer.parts(demo):
        assert all(said(line) in text for line in lines)
    for doubt in demo.doubts:
        assert said(doubt_line(doubt, demo)) in text
        assert said(doubt.next_step) in text
    for level in demo.plan.levels:
        for d in shown(demo, level):
            assert d.ratio is not None
            assert f"{ratio_point(d.ratio)} {ratio_interval(d.ratio)}" in text
    for cell in demo.matrix.cells.values():
        assert all(measured(cell.value(m), m) in text for m in demo.plan.measures)


def test_doubts_stand_above_numbers_and_the_answer_at_the_top(pages: dict[str, str]) -> None:
    places = [pages["demo"].index(f'id="{name}"') for name in ("doubts", "answer", "differences")]
    assert places == sorted(places)
    assert pages["demo"].index('id="answer"') < pages["demo"].index("<svg")


def test_each_figure_has_its_sentence_its_text_and_its_numbers(
    demo: Comparison, pages: dict[str, str]
) -> None:
    page = Page(pages["demo"])
    figures = [figure for section in sections(demo) for figure in section.figures]
    assert sum(tag == "svg" for tag, _ in page.tags) == len(figures) >= 8
    for figure in figures:
        assert said(figure.title) in page.text
        assert said(figure.explained) in page.text
        assert figure.alt in page.attributes("aria-label")
    assert page.text.count("The numbers behind it") == len(figures)


def test_the_same_record_gives_the_same_page(demo: Comparison, pages: dict[str, str]) -> None:
    assert report.html(demo, "windtunnel report demo") == pages["demo"]


def test_the_page_says_where_it_comes_from(demo: Comparison, pages: dict[str, str]) -> None:
    text = Page(pages["demo"]).text
    for fact in (demo.record.run_id, demo.record.run["commit"]["sha"], "windtunnel report demo"):
        assert fact in text


def test_light_dark_and_paper_have_their_colours(pages: dict[str, str]) -> None:
    rules = pages["demo"].split("</style>")[0]
    assert rules.count("--ink: #1f2328") == 2  # the screen in light, and paper
    assert rules.count("--ink: #e6edf3") == 1
    used = set(re.findall(r"var\(--([a-z-]+)\)", pages["demo"]))
    assert used <= set(re.findall(r"--([a-z-]+):", rules))


def test_of_many_ratios_there_are_maps_and_of_few_a_forest(
    demo: Comparison, hostile: Comparison
) -> None:
    few, many = (
        [figure.name for figure in sections(comparison)[0].figures]
        for comparison in (demo, hostile)
    )
    assert few == ["ratios-all"]
    assert many == ["ratios-map-p95", f"ratios-map-{THROUGHPUT}"]


def test_figures_speak_of_a_percentile_that_nearly_all_cells_have(demo: Comparison) -> None:
    assert measure_of(demo) == "p95"
    triton = compare(load(ROOT / "tests/data/record-triton"))
    assert measure_of(triton) == "p50"  # 48 requests a repeat


def test_a_record_with_a_triton_has_its_table() -> None:
    text = Page(report.html(compare(load(ROOT / "tests/data/record-triton")))).text
    assert "What did Triton do?" in text
    assert "nano_balanced" in text


def test_a_run_that_is_not_complete_is_called_so(tmp_path: Path) -> None:
    plan = campaign({"baseline": SHAPE, "other": SHAPE}, ("c0008",), run={"status": "interrupted"})
    plan = with_cell(plan, "other", "c0008", repeats=0)
    text = Page(report.html(compare(load(write(tmp_path, plan))))).text
    assert "This run is interrupted: what it did not measure is missing here." in text
    assert "other could not be compared with baseline" in text


def test_one_variant_alone_has_a_page(tmp_path: Path) -> None:
    plan = campaign({"baseline": SHAPE}, ("c0008",), aa=None, repeats=1)
    page = Page(report.html(compare(load(write(tmp_path, plan)))))
    assert page.open == []
    assert "What did each cell measure?" in page.text


def invoke(*arguments: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(report_commands.app, [*arguments])
    return result.exit_code, result.output, result.exception


def test_the_command_writes_the_page_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    record = str(ROOT / "tests/data/record-v1")
    code, output, _ = invoke(record, "--output", str(path), "--slo", "p95=250ms", "--margin", "3%")
    assert (code, output.strip()) == (0, str(path))
    text = Page(path.read_text(encoding="utf-8")).text
    assert "P95 up to 250 ms" in text
    assert "within 3.0%" in text
    assert re.search(r"windtunnel report \S*record-v1 --slo p95=250ms --margin 3%", text)


def test_the_command_writes_markdown(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    code, _, _ = invoke(
        str(DEMO), "--format", "markdown", "--output", str(path), "--reference", "seed"
    )
    assert code == 0
    assert path.read_text().startswith("### Is the optimized service faster")


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "page.html"
    _, _, error = invoke(str(ROOT / "tests/data/record-v1"), "--output", str(path))
    assert isinstance(error, AnalysisError)
    assert re.search(r"page\.html: cannot be written .*; choose another --output$", str(error))


def test_an_slo_that_is_none_is_refused(tmp_path: Path) -> None:
    _, _, error = invoke(str(DEMO), "--slo", "p95<3", "--output", str(tmp_path / "x"))
    assert isinstance(error, AnalysisError)
    assert not (tmp_path / "x").exists()


def test_a_reported_record_has_no_samples_and_a_page_all_the_same(tmp_path: Path) -> None:
    """What `windtunnel import` makes of another tool's summary."""
    plan = campaign({"baseline": SHAPE, "other": SHAPE}, ("c0008",))
    path = write(tmp_path, replace(plan, run={"imported": {"tool": "locust"}}))
    said_of = {
        "counts": {"ok": 120, "http_error": 0, "transport_error": 0, "timeout": 0, "censored": 0},
        "window_s": 10.0,
        "throughput_rps": 12.0,
        "percentiles_ms": {"50": 20.0, "95": 30.0},
    }
    for cell in path.glob("cells/*/*/*/cell.json"):
        facts = json.loads(cell.read_text()) | {"reported": said_of}
        cell.write_text(json.dumps(facts))
        cell.with_name("samples.parquet").unlink()
    comparison = compare(load(path))
    page = Page(report.html(comparison))
    assert "Is the tail longer" not in page.text
    assert plain("other takes the same time") in page.text
