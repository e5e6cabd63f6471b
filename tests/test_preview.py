"""The page that is drawn where there is no Grafana, from a Prometheus that scrapes itself."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from benchmarks.processes import free_port
from grafana import drawing
from grafana.build import BOARDS
from grafana.preview import KINDS
from grafana.source import Refused, Source, Unreachable, lasts
from grafana.variables import everything, quoted
from service import live
from service.settings import SettingsError
from tests.conftest import NO_TLS, ROOT, leave_out
from tests.dashboards import DASHBOARDS, panels

HOSTILE = """<script>alert("&'")</script>"""
VOID = {"meta"}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address, once it has scraped itself as a job with a hostile name."""
    try:
        program = live.find()
    except SettingsError as error:
        leave_out(str(error))
    folder = tmp_path_factory.mktemp("prometheus")
    address = f"127.0.0.1:{free_port()}"
    job = {"job_name": HOSTILE, "static_configs": [{"targets": [address]}]}
    config = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}}
    (folder / "prometheus.yml").write_text(json.dumps(config | {"scrape_configs": [job]}))
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not scraped(address):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def scraped(address: str) -> bool:
    try:
        found = httpx.get(f"http://{address}/api/v1/query", params={"query": "up"}, verify=NO_TLS)
    except httpx.TransportError:
        return False
    return found.status_code == 200 and bool(found.json()["data"]["result"])


def preview(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "grafana.preview", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def page(prometheus: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of all dashboards."""
    path = tmp_path_factory.mktemp("page") / "preview.html"
    done = preview("--prometheus", prometheus, "--minutes", "0.1", "--out", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}\n", "")
    return path.read_text()


class Elements(HTMLParser):
    """The elements of a page, each with what it has and, of headings and notes, its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[tuple[str, str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append((self.open[-1] if self.open else "", data))


def test_every_panel_of_every_dashboard_is_drawn(page: str) -> None:
    elements = Elements(page)
    assert elements.open == []
    titles = [words for tag, words in elements.words if tag == "h3"]
    drawn = [panel for name in sorted(DASHBOARDS) for panel in panels(DASHBOARDS[name])]
    assert titles == [panel["title"] for panel in drawn]
    tips = [found["title"] for tag, found in elements.found if tag == "h3"]
    assert tips == [panel["description"] for panel in drawn]
    assert {panel["type"] for panel in drawn} == KINDS.keys()


def test_the_page_loads_and_runs_nothing(page: str) -> None:
    elements = Elements(page)
    tags = {tag for tag, _ in elements.found}
    assert tags & {"script", "link", "img", "iframe", "object", "image", "use"} == set()
    for _, found in elements.found:
        assert found.keys() & {"src", "srcset", "action", "xlink:href"} == set()
        assert not [name for name in found if name.startswith("on")]
        assert (found.get("href") or "#").startswith("#")
    assert "url(" not in page
    assert "@import" not in page
    policy = next(f["content"] for t, f in elements.found if f.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_it_says_that_it_is_not_grafanas_drawing(page: str) -> None:
    assert "Grafana draws these dashboards otherwise" in page


def test_names_from_labels_are_escaped(page: str) -> None:
    """The job is a line of "Duration of a scrape", so its name is in a legend."""
    assert HOSTILE not in page
    assert "<script" not in page
    assert HOSTILE in [words for _, words in Elements(page).words]


def test_a_panel_without_data_says_so_and_one_that_needs_a_gpu_too(page: str) -> None:
    said = [words for tag, words in Elements(page).words if words.startswith("no data")]
    needy = sum(bool(panel.needs) for board in BOARDS for panel in board.panels)
    assert said.count("no data: needs a GPU") == needy
    assert said.count("no data") > 10  # nothing of the service is there


def test_values_have_their_unit(page: str) -> None:
    """A scrape takes some milliseconds; what nobody counts shows 0 and is in its unit."""
    words = [words for tag, words in Elements(page).words if tag in ("td", "b")]
    assert [one for one in words if re.fullmatch(r"[\d.]+ (ms|µs)", one)]
    assert "0 req/s" in words


def test_a_query_that_is_refused_is_told_from_a_prometheus_that_is_not_there(
    prometheus: str,
) -> None:
    with pytest.raises(Refused, match="parse error"):
        Source(prometheus, time.time(), 60).at_once("sum(")
    with pytest.raises(Unreachable, match="HTTP 404"):
        Source(f"{prometheus}/nowhere", time.time(), 60).at_once("up")


def test_one_dashboard_is_drawn_alone(prometheus: str, tmp_path: Path) -> None:
    path = tmp_path / "slo.html"
    assert preview("slo", "--prometheus", prometheus, "--out", path).returncode == 0
    headings = [words for tag, words in Elements(path.read_text()).words if tag == "h1"]
    assert headings == ["Objectives"]


def test_no_prometheus_is_one_line(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = preview("--prometheus", url, "--out", tmp_path / "page.html")
    assert done.returncode == 2
    assert done.stderr == (
        f"{url}: [Errno 111] Connection refused; start `windtunnel serve --with prometheus`, or"
        " say where one is: --prometheus URL\n"
    )
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nosuch",), "nosuch: none of campaign, runtime, service, slo, triton"),
        (("--minutes", "0"), "0: expected more than 0"),
        (("--prometheus", "127.0.0.1:9090"), "127.0.0.1:9090: expected http://HOST:PORT"),
    ],
)
def test_what_cannot_be_drawn_is_said(arguments: tuple[str, ...], says: str) -> None:
    done = preview(*arguments)
    assert done.returncode == 2
    assert done.stderr.rstrip().endswith(says)


def test_a_page_that_cannot_be_written_is_one_line(prometheus: str, tmp_path: Path) -> None:
    path = tmp_path / "nowhere/page.html"
    done = preview("slo", "--prometheus", prometheus, "--out", path)
    assert (done.returncode, done.stderr) == (2, f"--out {path}: No such file or directory\n")


@pytest.mark.parametrize(
    ("value", "unit", "digits", "written"),
    [
        (0.00123, "s", None, "1.23 ms"),
        (0, "s", None, "0 s"),
        (90, "s", None, "1.5 min"),
        (0.0314159, "percentunit", None, "3.14%"),
        (0.999, "percentunit", 1, "99.9%"),
        (-13.07, "percentunit", 1, "-1307.0%"),
        (1536, "bytes", None, "1.5 KiB"),
        (12345, "short", None, "12.3 K"),
        (1234567, "reqps", None, "1235 K req/s"),
        (3, "none", None, "3"),
    ],
)
def test_a_value_is_written_as_its_unit_is(
    value: float, unit: str, digits: int | None, written: str
) -> None:
    assert drawing.text(value, unit, digits) == written


@pytest.mark.parametrize(
    ("low", "high", "unit", "expected"),
    [
        (0, 1, "percentunit", [0, 0.5, 1]),
        (0, 0.42, "s", [0, 0.2, 0.4]),
        (-1, 1, "short", [-1, 0, 1]),
        (0, 3 * 2**20, "bytes", [0, 2**20, 2 * 2**20, 3 * 2**20]),
    ],
)
def test_an_axis_has_round_values(
    low: float, high: float, unit: str, expected: list[float]
) -> None:
    assert drawing.ticks(low, high, unit, 3) == pytest.approx(expected)


def test_what_is_stacked_stands_on_what_is_below() -> None:
    lines = [
        drawing.Line("a", [(1, 1.0), (2, 1.0), (4, 1.0)]),
        drawing.Line("b", [(2, 2.0), (3, 2.0)]),
    ]
    assert drawing.stacked(lines) == [
        ([(1, 0), (2, 0), (3, 0), (4, 0)], [(1, 1), (2, 1), (3, 0), (4, 1)]),
        ([(2, 1), (3, 0)], [(2, 3), (3, 2)]),
    ]


def test_a_heat_map_is_of_single_buckets() -> None:
    """Prometheus' are cumulative: 3 within 0.1 s and 3 within 0.5 s are none between them."""
    frame = drawing.Frame(300, 200, 0, 2)
    buckets = {0.1: [(1.0, 3.0)], 0.5: [(1.0, 3.0)], 1.0: [(1.0, 4.0)], 5.0: [(1.0, 4.0)]}
    svg = drawing.heat(buckets, frame, 0.5)
    assert svg is not None
    assert len(svg.findall("rect")) == 2
    shown = [element.text for element in svg.findall("text")]
    assert shown[:3] == ["≤ 100 ms", "≤ 500 ms", "≤ 1 s"]
    assert drawing.heat({0.1: [(1.0, 0.0)]}, frame, 0.5) is None


def test_durations_are_those_of_prometheus() -> None:
    assert [lasts(one) for one in ("1m30s", "200ms", "5s")] == pytest.approx([90, 0.2, 5])


def test_a_value_with_signs_is_a_pattern_that_it_alone_fits() -> None:
    assert quoted('a.b|"c"\\') == 'a\\\\.b\\\\|\\"c\\"\\\\\\\\'
    assert quoted("yolo-api") == "yolo-api"


def test_all_of_a_variable_is_its_values_or_what_stands_for_them() -> None:
    asked = []

    def series(selector: str) -> list[dict[str, str]]:
        asked.append(selector)
        return [{"job": "b"}, {"job": "a"}] if "$" not in selector and len(asked) == 1 else []

    found = everything(DASHBOARDS["slo"], {"__range": "1s"}, series)
    assert found == {"__range": "1s", "job": "a|b", "slo": ".+"}
    assert asked == ["api_requests_total", "slo:objective:ratio"]
    assert everything(DASHBOARDS["slo"], {}, lambda _: [])["job"] == "none"
