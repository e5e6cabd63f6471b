"""
How long a person waits for the app: for a page, and for a change of what it shows.

    python -m benchmarks.components.dashboard [--rows 25000] [--runs 10000] [--folder DIR]

The app runs as a process, over a folder of RUNS runs and one record of 40 repeats with ROWS
requests each, a million. A real Chromium (the one that CHROMIUM names, if it does) opens pages in
new tabs, its files in its cache, and clicks. What is timed ends when the text that was asked for is
on the screen. The median of the repeats is held against what was promised; told beside it are their
best, and the first time, when files are read and figures made.
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median

from playwright.sync_api import BrowserContext, Page, sync_playwright

from benchmarks.components import made_up
from benchmarks.components.analysis import Row

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("windtunnel")
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-sync",
)
TIMES = 5
SETTLED_MS = 300
# What follows at once, and what is waited for without wondering.
MOST_CHANGE_S = 0.3
MOST_FIRST_S = 1.5
LARGE = "large/20260102T030405Z-abcdef"


@contextmanager
def serving(results: Path, cache: Path) -> Iterator[str]:
    """The address of an app that shows this folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    command = [str(PROGRAM), "dashboard", str(results), "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(f"{address}/_stcore/health", process)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    raise SystemExit("dashboard: the app was not up in 60 s; its message is above")


def opening(browser: BrowserContext, url: str, text: str) -> float:
    """From asking for a page to its text, in a new tab."""
    page = browser.new_page()
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.get_by_text(text).first.wait_for()
    took_s = time.perf_counter() - began
    page.close()
    return took_s


def changing(page: Page, choose: Callable[[], object], text: str) -> float:
    """From a click to the text that it brings."""
    wanted = page.get_by_role("heading", name=re.compile(text))
    began = time.perf_counter()
    choose()
    wanted.wait_for()
    took_s = time.perf_counter() - began
    settled(page)
    return took_s


def settled(page: Page) -> None:
    """Until nothing runs, and has not begun to run a moment later."""
    for _ in range(2):
        page.wait_for_timeout(SETTLED_MS)
        page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")


def switching(page: Page, key: str, options: dict[str, str]) -> list[float]:
    """A switch set to one option and the other in turn; each brings a heading of its own."""

    times_s = []
    for place in range(2 * TIMES):
        option = list(options)[place % 2]
        button = page.locator(f".st-key-{key}").get_by_role("radio", name=option)
        # Not `click`, which first waits until nothing moves.
        click = partial(button.evaluate, "each => each.click()")
        times_s.append(changing(page, click, options[option]))
    return times_s


def picking(page: Page, key: str, options: dict[str, str]) -> list[float]:
    """The same of a box, which was opened before the time begins."""
    times_s = []
    for place in range(2 * TIMES):
        option = list(options)[place % 2]
        box = page.locator(f".st-key-{key} input")
        box.scroll_into_view_if_needed()  # a box that is scrolled closes again
        settled(page)
        box.click()
        entry = page.get_by_role("option", name=option, exact=True)
        entry.wait_for()
        click = partial(entry.evaluate, "each => each.click()")
        times_s.append(changing(page, click, options[option]))
    return times_s


def repeated(what: str, times_s: list[float], most_s: float) -> Iterator[Row]:
    yield Row(f"{what}: median of {len(times_s)}", "s", median(times_s), most_s)
    yield Row(f"{what}: the best", "s", min(times_s))


def pages(browser: BrowserContext, address: str, runs: int) -> Iterator[Row]:
    for name, path, text in (
        (f"Runs, {runs + 1:,} of them", "runs", f"{runs + 1:,} of {runs + 1:,} runs"),
        ("Overview of a million requests", f"?run={LARGE}", "What the run says"),
    ):
        times_s = [opening(browser, f"{address}/{path}", text) for _ in range(TIMES + 1)]
        yield Row(f"{name}: first content, for the first time", "s", times_s[0])
        yield from repeated(f"{name}: first content", times_s[1:], MOST_FIRST_S)


def changes(browser: BrowserContext, address: str) -> Iterator[Row]:
    page = browser.new_page()
    for name, path, change in (
        ("Matrix: another measure", "matrix", _measures),
        ("Compare: all latencies of another load", "compare", _loads),
        ("Cell: another repeat", "cell", _repeats),
        ("Compare: another reference", "compare", _references),
    ):
        page.goto(f"{address}/{path}?run={LARGE}")
        page.get_by_role("button", name="Save").first.wait_for()
        settled(page)
        times_s = change(page)
        yield Row(f"{name}: the first time", "s", max(times_s[:2]))
        yield from repeated(name, times_s[2:], MOST_CHANGE_S)


def _measures(page: Page) -> list[float]:
    return switching(
        page, "measure", {"P50": "P50 of every variant", "P95": "P95 of every variant"}
    )


def _loads(page: Page) -> list[float]:
    clients = ("8 clients", "32 clients")
    return picking(
        page, "level", {name: f"answered within a time, with {name}" for name in clients}
    )


def _repeats(page: Page) -> list[float]:
    return picking(
        page, "repeat", {n: f"Requests a second over the window, .*repeat {n}" for n in "21"}
    )


def _references(page: Page) -> list[float]:
    names = ("seed", "baseline")
    return picking(page, "reference", {name: f"Each variant against {name}" for name in names})


def measure(folder: Path, rows: int, runs: int) -> list[Row]:
    print(f"dashboard: making {runs:,} runs and a large one", file=sys.stderr)
    results = made_up.many(folder, runs)
    made_up.large(folder, rows).parent.rename(results / "large")
    with (
        tempfile.TemporaryDirectory() as cache,
        serving(results, Path(cache)) as address,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        browser = chromium.new_context(viewport={"width": 1440, "height": 1000})
        opening(browser, f"{address}/flamegraphs", "py-spy")  # the app's own files
        found = [*pages(browser, address, runs), *changes(browser, address)]
        chromium.close()
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=25_000, help="of a repeat (default: 25000)")
    parser.add_argument("--runs", type=int, default=10_000, help="default: 10000")
    parser.add_argument("--folder", type=Path, help="keep what is made here; a new folder")
    asked = parser.parse_args()
    if CHROMIUM is None:
        parser.error("there is no Chromium; install it, or say with CHROMIUM where it is")
    if asked.folder and asked.folder.exists():
        parser.error(f"--folder: {asked.folder} is there already; expected a new folder")
    with tempfile.TemporaryDirectory() as temporary:
        rows = measure(asked.folder or Path(temporary), asked.rows, asked.runs)
    print("| what | found | at most | |\n|---|--:|--:|---|", *rows, sep="\n")


if __name__ == "__main__":
    main()
