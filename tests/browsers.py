"""
A real Chromium, and what it does besides showing a page: questions to hosts, errors, dialogs.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.conftest import leave_out

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # which is small in a container
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
RULES = ("wcag2a", "wcag2aa", "wcag21aa")
COLOUR_RULES = ("color-contrast", "link-in-text-block")  # those that another theme may break
# On every page but the first, Streamlit asks whether its server lies below the page.
KNOWN = re.compile(r"/_stcore/(health|host-config)$")


@contextmanager
def chromium(**look: Any) -> Iterator[BrowserContext]:
    """A window of it; without one here the test is left out, aloud."""
    if CHROMIUM is None:
        leave_out("there is no Chromium: `apt-get install chromium`, or say where with CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser.new_context(**look)
        finally:
            browser.close()


@dataclass(slots=True)
class Seen:
    """What a browser did besides showing a page."""

    hosts: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("request", lambda request: self.asked(request))
        page.on("console", lambda message: self.told(message))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: self.errors.append(f"dialog: {dialog.message}"))

    def asked(self, request: Request) -> None:
        if request.url.startswith(("http", "ws")):
            self.hosts.add(urlsplit(request.url).hostname or "")

    def told(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not KNOWN.search(str(message.location.get("url"))):
            self.errors.append(message.text)


def violations(page: Page, *rules: str) -> dict[str, str]:
    """Of WCAG 2.1 A and AA, as far as axe sees them: the rule, and where it is broken."""
    page.evaluate(AXE)
    asked = {"runOnly": rules or RULES, "resultTypes": ["violations"]}
    told = page.evaluate("rules => axe.run(document, rules)", asked)["violations"]
    return {each["id"]: each["nodes"][0]["html"] for each in told}
