"""
How the app is started: Streamlit's options, and where the records are.

Everything stays on this machine: it listens on the loopback address and reports to nobody.
"""

import json
import os
from pathlib import Path

ADDRESS = "127.0.0.1"
RESULTS = "WINDTUNNEL_RESULTS"  # the environment variable that says which folder is shown
SCRIPT = Path(__file__).with_name("app.py")

# All that is text stands out from its background by more than 4.5 to 1: the blues, and captions,
# which Streamlit draws in six tenths of the text's colour.
THEME = {
    "light.primaryColor": "#0a4b8f",
    "light.backgroundColor": "#ffffff",
    "light.secondaryBackgroundColor": "#f4f6f8",
    "light.textColor": "#0b0d10",
    "light.linkColor": "#0a4b8f",
    "dark.primaryColor": "#79b8ff",
    "dark.backgroundColor": "#12161b",
    "dark.secondaryBackgroundColor": "#1b2129",
    "dark.textColor": "#e6edf3",
    "dark.linkColor": "#79b8ff",
}
# Pages are read, not advertised: titles of the size of a report's.
SIZES = ("1.9rem", "1.5rem", "1.25rem", "1.1rem", "1rem", "1rem")
OPTIONS = {
    "theme.headingFontSizes": json.dumps(SIZES),
    "theme.paddingTop": "1rem",
    "theme.paddingBottom": "3rem",
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": "false",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "viewer",
    "client.showErrorLinks": "false",
    "client.showErrorDetails": "none",
    "logger.hideWelcomeMessage": "true",
    "logger.level": "warning",
    "runner.magicEnabled": "false",
    # A box has a default and may be set as well: state.py says when.
    "global.disableWidgetStateDuplicationWarning": "true",
    # A list of runs may be so many times older than its time while a new one is made behind it.
    "runner.cacheBackgroundRefreshTTLMultiplier": "2",
    **{f"theme.{name}": value for name, value in THEME.items()},
}
# By which the app may be called: no page elsewhere can point a name of its own at this machine.
HOSTS = (ADDRESS, "localhost")


def arguments(port: int, *, address: str = ADDRESS, browser: bool = False) -> list[str]:
    """What `python -m` is to run; with *browser* Streamlit opens one when it is ready."""
    options = [
        *OPTIONS.items(),
        *(("server.allowedHosts", host) for host in HOSTS),
        ("server.address", address),
        ("server.port", str(port)),
        ("server.headless", "false" if browser else "true"),
    ]
    flags = [part for name, value in options for part in (f"--{name}", value)]
    return ["streamlit", "run", str(SCRIPT), *flags]


def environment(results: Path) -> dict[str, str]:
    """The variables of the app's process."""
    return {**os.environ, RESULTS: str(results.absolute())}
