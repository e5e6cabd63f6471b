"""
What a Prometheus saw of a repeat: the series of the campaign's queries over the measured window.

It is asked through its HTTP API, when it has scraped once more after the window's end. Before a run
it must answer, and so must every query; what it does in the middle of a run never ends a visit.
"""

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from benchmarks import probe
from benchmarks.metrics import Row, labels_text
from benchmarks.processes import RunError
from benchmarks.queries import JOBS, RATE_INTERVAL, Prometheus

SOURCE = "prometheus"
TIMEOUT_S = 10.0
LOOK_S = 0.1
# Beyond one scrape interval: a scrape may be slow. And in all, so that a run gets on.
SLACK_S = 2.0
LONGEST_WAIT_S = 30.0
# Prometheus gathers changes for 5 s before it scrapes what is new.
DISCOVERY_S = 20.0
MOST_POINTS = 10_000  # of a series; Prometheus refuses over 11,000
INTERVALS_A_RATE = 4
MS = 1_000_000  # nanoseconds

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w|y)")
_UNITS_S = {
    "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0,
}  # fmt: skip


class SnapshotError(Exception):
    """What Prometheus did instead of answering what was asked."""


class SilentError(SnapshotError):
    """It did not answer at all: there is no use in asking more."""


@dataclass(frozen=True, slots=True)
class Scraped:
    """A target, as Prometheus tells of it."""

    job: str
    instance: str
    url: str
    interval: str
    at_ns: int  # the last scrape

    @property
    def interval_s(self) -> float:
        """How often it is scraped."""
        return duration_s(self.interval)


@dataclass(slots=True)
class Taken:
    """A snapshot: its rows, and what cell.json says of it."""

    rows: list[Row] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)  # queries that found nothing
    waited_s: float = 0.0
    errors: list[str] = field(default_factory=list)

    @property
    def error(self) -> str | None:
        """Why something may be missing, if anything is."""
        return "; ".join(self.errors) or None

    def facts(self) -> dict[str, Any]:
        """How much there is, and what is missing."""
        return {
            "series": len({(row.series, row.labels) for row in self.rows}),
            "points": len(self.rows),
            "empty": self.empty,
            "waited_s": round(self.waited_s, 3),
            "error": self.error,
        }


def check(settings: Prometheus, window_s: float, say: Callable[[str], None]) -> None:
    """Refuse a Prometheus that is not there, and a query that is none, before a run starts."""
    try:
        _ask(settings, "status/buildinfo", {})
        targets = _targets(settings)
    except SnapshotError as error:
        raise RunError(
            f"[prometheus]: {error}; expected a Prometheus at {settings.url};"
            " start it there, or delete the table"
        ) from error
    interval_s = scrape_interval_s(targets)
    try:
        now_ns = time.time_ns()
        for name, query in settings.queries.items():
            _points(settings, name, expanded(query, interval_s), now_ns - 10**9, now_ns)
    except SnapshotError as error:
        raise RunError(
            f"[prometheus]: {error}; expected PromQL that it answers; correct the query"
        ) from error
    if not targets:
        say(f"NOTE: Prometheus at {settings.url} scrapes nothing yet: it will have seen nothing")
        return
    if interval_s + SLACK_S > LONGEST_WAIT_S:
        say(
            f"NOTE: Prometheus scrapes every {interval_s:g} s and a repeat waits for it for"
            f" {LONGEST_WAIT_S:g} s at most: its snapshot may lack the end; scrape more often"
        )
    if INTERVALS_A_RATE * interval_s > window_s:
        say(
            f"NOTE: Prometheus scrapes every {interval_s:g} s and a repeat is measured for"
            f" {window_s:g} s: rates are over {INTERVALS_A_RATE * interval_s:g} s, and so of more"
            " than the repeat; scrape more often, or measure for longer"
        )


def await_targets(settings: Prometheus, addresses: set[str]) -> str | None:
    """Wait until all of these were scraped; else what is wrong, since a run goes on without."""
    deadline = time.monotonic() + DISCOVERY_S
    try:
        while missing := addresses - {t.instance for t in _active(settings) if t.at_ns > 0}:
            if time.monotonic() > deadline:
                return (
                    f"{', '.join(sorted(missing))}: not scraped in {DISCOVERY_S:g} s; does it read"
                    f" {settings.targets} (file_sd_configs)?"
                )
            time.sleep(LOOK_S)
    except SnapshotError as error:
        return str(error)
    return None


def take(settings: Prometheus, start_ns: int, end_ns: int) -> Taken:
    """
    Every query over a window, given in nanoseconds of the wall clock.

    What is wrong with a target or a query is noted, and costs nothing of the others.
    """
    taken, began = Taken(), time.monotonic()
    try:
        interval_s, late = _await_scrape(settings, end_ns)
    except SnapshotError as error:
        taken.errors.append(str(error))
        return taken
    finally:
        taken.waited_s = time.monotonic() - began
    if late:
        taken.errors.append(late)
    for name, query in settings.queries.items():
        try:
            found = _points(settings, name, expanded(query, interval_s), start_ns, end_ns)
        except SnapshotError as error:
            taken.errors.append(str(error))
            if isinstance(error, SilentError):
                break
            continue
        taken.rows += found
        if not found:
            taken.empty.append(name)
    return taken


def expanded(query: str, interval_s: float) -> str:
    """A query with the range of its rates filled in."""
    range_ms = max(1, round(INTERVALS_A_RATE * interval_s * 1000))
    return query.replace(RATE_INTERVAL, f"{range_ms}ms")


def scrape_interval_s(targets: list[Scraped]) -> float:
    """How often the slowest of the targets is scraped."""
    return max((target.interval_s for target in targets), default=1.0)


def duration_s(text: str) -> float:
    """A duration as Prometheus writes it: 15s, 1m30s, 500ms."""
    if not text or _DURATION.sub("", text):
        raise ValueError(f"{text!r} is no duration")
    return sum(int(count) * _UNITS_S[unit] for count, unit in _DURATION.findall(text))


def _await_scrape(settings: Prometheus, end_ns: int) -> tuple[float, str | None]:
    """
    Wait until all targets were scraped after the window, or one is taking too long.

    Returns how often they are scraped, and what is wrong with that one.
    """
    began = time.monotonic()
    while True:
        targets = _targets(settings)
        interval_s = scrape_interval_s(targets)
        late = [target for target in targets if target.at_ns < end_ns]
        if not late:
            return interval_s, None
        patience_s = min(LONGEST_WAIT_S, interval_s + SLACK_S)
        if time.monotonic() - began > patience_s:
            return interval_s, (
                f"{late[0].url}: not scraped for {patience_s:g} s after the measured time, though"
                f" it should be every {late[0].interval}"
            )
        time.sleep(LOOK_S)


def _targets(settings: Prometheus) -> list[Scraped]:
    """The targets of the jobs that matter here; of all, where there are none."""
    active = _active(settings)
    return [target for target in active if target.job in JOBS] or active


def _active(settings: Prometheus) -> list[Scraped]:
    data = _ask(settings, "targets", {"state": "active"})
    with _understood("targets: "):
        return [_scraped(each) for each in data["activeTargets"]]


def _scraped(said: dict[str, Any]) -> Scraped:
    labels, interval = said["labels"], said["scrapeInterval"]
    at = datetime.fromisoformat(said["lastScrape"])
    at_ns = int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e9)
    duration_s(interval)  # refused here, where it is known who said so
    return Scraped(labels["job"], labels["instance"], said["scrapeUrl"], interval, at_ns)


def _points(settings: Prometheus, name: str, query: str, start_ns: int, end_ns: int) -> list[Row]:
    """The rows of one query; a value that is none (nothing was divided by nothing) has no row."""
    step_s = max(settings.step_s, (end_ns - start_ns) / 1e9 / MOST_POINTS)
    # Prometheus has milliseconds: the whole ones inside the window.
    first_ms, last_ms = -(-start_ns // MS), end_ns // MS
    window = {"start": f"{first_ms / 1e3:.3f}", "end": f"{last_ms / 1e3:.3f}"}
    found = _ask(settings, "query_range", {"query": query, "step": f"{step_s:.3f}", **window}, name)
    rows = []
    with _understood(f"query {name}: "):
        for series in found["result"]:
            if "histograms" in series:
                raise SnapshotError(
                    f"query {name}: answered with native histograms; expected numbers, as of"
                    " histogram_quantile() or histogram_count()"
                )
            labels = labels_text(series["metric"])
            for at_s, text in series["values"]:
                value = float(text)
                if not math.isnan(value):
                    rows.append(Row(round(at_s * 1e3) * MS, SOURCE, name, labels, value))
    return rows


def _ask(settings: Prometheus, what: str, parameters: dict[str, str], query: str = "") -> Any:
    """The data of an answer of the API."""
    url = f"{settings.url.rstrip('/')}/api/v1/{what}"
    about = f"query {query}: " if query else f"GET {url}: "
    try:
        status, body = probe.get(f"{url}?{urlencode(parameters)}", TIMEOUT_S)
    except probe.FAILURES as error:
        raise SilentError(f"{about}no answer ({error})") from error
    with _understood(about):
        said = json.loads(body)
        if status == 200 and said["status"] == "success":
            return said["data"]
        reason = said["error"]
    raise SnapshotError(f"{about}answered {status}: {reason}")


@contextmanager
def _understood(about: str) -> Iterator[None]:
    """Whatever is not as the API has it, in whatever way: an answer that a run goes on without."""
    try:
        yield
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise SnapshotError(
            f"{about}not what a Prometheus answers ({type(error).__name__}: {error})"
        ) from error
