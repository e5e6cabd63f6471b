"""
The app in a real browser: what Streamlit's test runner cannot see.

One process serves a folder with every kind of run, one Chromium looks at it. With
WINDTUNNEL_SCREENSHOTS=FOLDER every page is drawn there, in light and dark.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from dashboards.settings import ADDRESS, arguments, environment
from tests import gallery
from tests.browsers import COLOUR_RULES, Seen, chromium, violations

PAGES = (
    *("", "runs", "matrix", "curves", "compare", "cell", "stages", "flamegraphs", "history"),
    "method",
)
READY = """() => document.querySelector('h1')
    && document.querySelector('[data-test-script-state=notRunning]')
    && !document.querySelector('[data-testid=stSkeleton]')"""
DARK = """() => {
    if (document.getAnimations().some((each) => each instanceof CSSTransition)) return false;
    const style = getComputedStyle(document.querySelector('[data-testid=stApp]'));
    return style.backgroundColor.match(/\\d+/g).slice(0, 3).every((each) => each < 60);
}"""


@dataclass(frozen=True, slots=True)
class Site:
    """The app as it is served."""

    address: str
    results: Path
    runs: dict[str, str]

    def url(self, page: str, **query: str) -> str:
        return f"{self.address}/{page}?{urlencode(query)}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    results = tmp_path_factory.mktemp("results")
    kinds = (gallery.hostile, gallery.broken, gallery.running, gallery.real)
    runs = {make.__name__: make(results) for make in kinds}
    gallery.profile(results / runs["real"])
    runs["last"] = gallery.history(results)[-1]
    port = free_port()
    variables = environment(results) | {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    log = tmp_path_factory.mktemp("app") / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments(port)],
            cwd=gallery.ROOT,
            env=variables,
            stdout=sink,
            stderr=sink,
        )
    try:
        wait_until_up(f"http://{ADDRESS}:{port}/_stcore/health", process, log)
        yield Site(f"http://{ADDRESS}:{port}", results, runs)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert "Traceback" not in log.read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_up(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the app ended: {log.read_text()}"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"the app was not up in 60 s: {log.read_text()}")


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[BrowserContext]:
    """One browser; its theme is what a page asks for."""
    with chromium(viewport={"width": 1440, "height": 1000}, accept_downloads=True) as context:
        yield context


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def page(browser: BrowserContext, seen: Seen) -> Iterator[Page]:
    """A tab; whatever a test looks at, nothing is asked of others and nothing fails."""
    tab = browser.new_page()
    seen.watch(tab)
    yield tab
    tab.close()
    assert seen.hosts <= {ADDRESS}
    assert not seen.errors


def show(page: Page, url: str) -> None:
    """Load a page, until Streamlit has drawn it and nothing is running."""
    page.goto(url)
    page.wait_for_function(READY, timeout=30_000)
    page.wait_for_timeout(200)


def query(page: Page) -> str:
    """The URL as the browser's bar has it; it changes without a load."""
    text: str = page.evaluate("decodeURIComponent(location.search)")
    return text


def draw(page: Page, name: str) -> None:
    """A picture of the whole page, where one is wanted."""
    folder = os.environ.get("WINDTUNNEL_SCREENSHOTS")
    if folder:
        height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": 1440, "height": max(1000, height + 20)})
        page.wait_for_timeout(400)
        page.screenshot(path=Path(folder) / f"{name}.png")
        page.set_viewport_size({"width": 1440, "height": 1000})


def test_every_page_can_be_read_by_everybody(page: Page, site: Site) -> None:
    found: dict[str, str] = {}
    for name in PAGES:
        page.emulate_media(color_scheme="light")
        show(page, site.url(name, run=site.runs["last" if name == "history" else "real"]))
        assert not page.get_by_test_id("stException").count()
        draw(page, f"{name or 'overview'}-light")
        seen = violations(page)
        # Another theme changes colours alone.
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(DARK)
        draw(page, f"{name or 'overview'}-dark")
        seen |= violations(page, *COLOUR_RULES)
        found |= {f"{name}: {rule}": where for rule, where in seen.items()}
    assert not found


def test_a_choice_is_in_the_url_and_goes_along_to_other_pages(page: Page, site: Site) -> None:
    show(page, site.url("matrix", run=site.runs["last"]))
    page.locator(".st-key-measure").get_by_text("P50").click()
    page.wait_for_function("location.search.includes('measure=P50')")
    page.get_by_test_id("stSidebar").get_by_role("link", name="Curves").click()
    page.wait_for_function("location.pathname == '/curves'")
    page.get_by_role("heading", name="What throughput costs at P50").wait_for()
    assert "measure=P50" in query(page)
    assert f"run={site.runs['last']}" in query(page)


def test_another_run_of_the_box_is_in_the_url(page: Page, site: Site) -> None:
    show(page, site.url(""))
    page.locator(".st-key-run_box input").click()
    page.get_by_role("option", name="hostile").click()
    run = site.runs["hostile"]
    page.wait_for_function("run => decodeURIComponent(location.search) == `?run=${run}`", arg=run)


def test_names_of_a_record_are_never_markup(page: Page, site: Site) -> None:
    for name in ("", "compare", "cell", "stages", "method", "runs"):
        show(page, site.url(name, run=site.runs["hostile"], variant=gallery.HOSTILE[1]))
        main = page.get_by_test_id("stMain")
        links = main.locator("a").evaluate_all("links => links.map(link => link.href)")
        assert [link for link in links if not link.startswith(site.address)] == []
        assert not main.locator("script, .katex, img[src=x]").count()
        if name in ("", "compare"):
            assert gallery.HOSTILE[2] in main.inner_text().replace("\u2060", "")


def test_ticked_runs_are_compared(page: Page, site: Site) -> None:
    show(page, site.url("runs"))
    box = page.locator(".st-key-runs_table canvas").first.bounding_box()
    assert box is not None
    main = page.get_by_test_id("stMain")
    # Between them lies one that cannot be read. The link says which ticks have arrived.
    for row, wanted in ((1, "run="), (4, "&run=")):
        page.mouse.click(box["x"] + 16, box["y"] + 35 * row + 17)
        compare = main.locator(f"a[href*='{wanted}']", has_text="Compare")
        compare.wait_for()
    compare.click()
    page.wait_for_function("location.pathname == '/compare'")
    page.get_by_role("heading", name="Beside another run").wait_for()
    assert query(page).count("run=") == 2


def test_a_tick_does_not_move_to_another_run(page: Page, site: Site) -> None:
    show(page, site.url("runs"))
    box = page.locator(".st-key-runs_table canvas").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + 35 + 17)
    compare = page.get_by_test_id("stMain").get_by_role("link", name="Compare")
    compare.wait_for()
    search = page.get_by_role("textbox", name="Search")
    search.fill("hostile")
    search.press("Enter")
    page.get_by_text("1 of 10 runs").wait_for()
    compare.wait_for(state="detached")


def test_a_chart_is_saved_when_it_is_asked_for(page: Page, site: Site) -> None:
    show(page, site.url("matrix", run=site.runs["real"]))
    page.get_by_role("button", name="Save").first.click()
    with page.expect_download() as download:
        page.get_by_test_id("stPopoverBody").get_by_role("button", name="PNG").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    assert download.value.suggested_filename.endswith(".png")


def test_the_report_of_a_comparison_is_one_file(page: Page, site: Site) -> None:
    show(page, site.url("compare", run=site.runs["real"]))
    page.get_by_role("button", name="Save this comparison").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="HTML report").click()
    text = Path(download.value.path()).read_text()
    assert text.lower().startswith("<!doctype html>")
    assert "optimized" in text


def test_a_ticked_cell_is_a_click_away(page: Page, site: Site) -> None:
    show(page, site.url("matrix", run=site.runs["real"]))
    # A table is drawn when it comes into view.
    page.get_by_role("heading", name="All values").scroll_into_view_if_needed()
    table = page.locator(".st-key-cells_table canvas").first
    table.wait_for()
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + 35 * 3 + 17)
    page.get_by_role("link", name="Cell: seed, 1 client").click()
    page.wait_for_function("location.pathname == '/cell'")
    page.get_by_role("heading", name="seed with 1 client, repeat 1").first.wait_for()
    assert "variant=seed&level=1+client" in query(page)


def test_a_running_run_is_followed_without_a_reload(page: Page, site: Site, tmp_path: Path) -> None:
    run = site.results / site.runs["running"]
    kept = tmp_path / "r01"
    shutil.move(run / "cells/baseline/c0001/r01", kept)
    show(page, site.url("method", run=site.runs["running"]))
    page.get_by_text("5 of 18 repeats are there").wait_for()
    shutil.move(kept, run / "cells/baseline/c0001/r01")
    page.get_by_text("6 of 18 repeats are there").wait_for(timeout=15_000)


def test_the_keyboard_reaches_another_page(page: Page, site: Site) -> None:
    show(page, site.url("", run=site.runs["real"]))
    link = page.get_by_test_id("stSidebar").get_by_role("link", name="Stages")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("location.pathname == '/stages'")
    page.get_by_role("heading", name="Which stage costs?").wait_for()


def test_a_flamegraph_is_looked_around_in_with_the_keyboard(page: Page, site: Site) -> None:
    show(page, site.url("flamegraphs", run=site.runs["real"]))
    graph = page.locator(".flame")
    told = graph.locator("p.spoken")
    # R and C are keys of the app, which what is written here is not meant for.
    graph.get_by_role("searchbox").focus()
    page.keyboard.type("racecar|resize")
    page.get_by_text("2 frames, ").wait_for()
    assert not page.get_by_role("dialog").count()
    page.keyboard.press("Enter")
    assert told.inner_text().startswith("Image.resize (PIL/Image.py), new: ")
    graph.get_by_role("searchbox").fill("alert")
    page.keyboard.press("Enter")
    assert told.inner_text().startswith(gallery.HOSTILE[0])
    assert not graph.locator("script, img").count()
    graph.get_by_role("application").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    assert told.inner_text().startswith("main (service/commands.py): ")


def test_a_flamegraph_stays_as_it_was_while_its_page_is_drawn_again(page: Page, site: Site) -> None:
    show(page, site.url("flamegraphs", run=site.runs["real"]))
    graph = page.locator(".flame")
    graph.get_by_role("searchbox").fill("resize")
    slo = page.get_by_role("textbox", name="SLO")
    slo.fill("p95=777ms")
    slo.press("Enter")
    page.wait_for_function("location.search.includes('777')")
    page.wait_for_function(READY)
    assert graph.get_by_role("searchbox").input_value() == "resize"
    place = page.get_by_test_id("stMain").get_by_role("link", name="Image.resize (PIL/Image.py)")
    expect(place).to_have_attribute("href", re.compile("slo=p95"))  # it is drawn after the URL
    place.click()
    page.wait_for_function("location.search.includes('find=')")
    graph.get_by_text(re.compile(r"^Image\.resize \(PIL/Image\.py\), ")).wait_for()
    assert "slo=p95=777ms" in query(page)
    against = page.locator(".st-key-against input")
    assert against.input_value() == "baseline"
    page.locator(".st-key-variant input").click()
    page.get_by_role("option", name="baseline", exact=True).click()
    graph.get_by_text("others; shares are of own code").wait_for()
    assert against.input_value() == "nothing: one profile"
    page.locator(".st-key-variant input").click()
    page.get_by_role("option", name="optimized").click()
    graph.get_by_text("no change beyond the noise").wait_for()
    assert against.input_value() == "baseline"
    page.locator(".st-key-against input").click()
    page.get_by_role("option", name="nothing: one profile").click()
    graph.get_by_text("others; shares are of own code").wait_for()
    assert "against=nothing" in query(page)


def test_a_stage_leads_to_the_flamegraph_of_its_cell(page: Page, site: Site) -> None:
    run = site.runs["real"]
    show(page, site.url("stages", run=run, variant="optimized", level="32 clients"))
    page.get_by_role("link", name="Which code: the flamegraph of optimized, 32 clients").click()
    page.wait_for_function("location.pathname == '/flamegraphs'")
    page.get_by_role("heading", name="What code got more expensive?").wait_for()
    page.get_by_role("button", name="Save").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
        page.get_by_role("button", name="HTML page").click()
    assert download.value.suggested_filename == "baseline-optimized-c0032.html"
    assert Path(download.value.path()).read_text().startswith("<!doctype html>")
