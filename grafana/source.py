"""A Prometheus, and what is asked of it where there is no Grafana that asks."""

import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

from grafana.drawing import Points
from grafana.variables import Labels

POINTS = 240  # of a line, at most
WAIT_S = 30.0


class Unreachable(Exception):
    """There is no Prometheus there, or it does not answer as one."""


class Refused(Exception):
    """Prometheus says that a query is wrong."""


@dataclass(frozen=True, slots=True)
class Source:
    """A Prometheus, and the time that is asked for."""

    url: str
    end: float
    seconds: float

    @property
    def start(self) -> float:
        """Where the time begins."""
        return self.end - self.seconds

    def ask(self, path: str, **query: Any) -> Any:
        """What its API answers."""
        address = f"{self.url.rstrip('/')}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(address, timeout=WAIT_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            said = error.read()
            if error.code in (400, 422) and said.startswith(b"{"):
                raise Refused(json.loads(said).get("error", "")) from None
            raise Unreachable(f"{self.url}: {path}: HTTP {error.code}") from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self.url}: {getattr(error, 'reason', error)}") from None
        except (ValueError, KeyError, TypeError):
            raise Unreachable(f"{self.url}: what answers is not Prometheus") from None

    def series(self, selector: str) -> list[Labels]:
        """The labels of what a selector has."""
        found: list[Labels] = self.ask(
            "series", **{"match[]": selector, "start": self.start, "end": self.end}
        )
        return found

    def over_time(self, expression: str, step: float) -> list[tuple[Labels, Points]]:
        """The series of a query, with their finite points."""
        found = self.ask(
            "query_range", query=expression, start=self.start, end=self.end, step=step
        )["result"]
        series = ((one["metric"], finite(one["values"])) for one in found)
        return [(labels, points) for labels, points in series if points]

    def at_once(self, expression: str) -> list[tuple[Labels, float]]:
        """The series of a query, each with its value at the end, if that is a number."""
        found = self.ask("query", query=expression, time=self.end)["result"]
        values = ((one["metric"], float(one["value"][1])) for one in found)
        return [(labels, value) for labels, value in values if isfinite(value)]

    def exemplars(self, expression: str) -> Points:
        """The traced requests of a query's buckets."""
        found = self.ask("query_exemplars", query=expression, start=self.start, end=self.end)
        return finite((e["timestamp"], e["value"]) for one in found for e in one["exemplars"])

    def of_time(self) -> tuple[float, dict[str, str]]:
        """The distance of points, and the variables that come from it, as Grafana reckons them."""
        targets = self.ask("targets", state="active")["activeTargets"]
        scrape = max((lasts(t.get("scrapeInterval", "15s")) for t in targets), default=15.0)
        step = ceil(max(scrape, self.seconds / POINTS))
        rate = max(step + scrape, 4 * scrape)
        lengths = {"__interval": step, "__rate_interval": rate, "__range": self.seconds}
        # Prometheus' durations are whole numbers.
        return step, {name: f"{round(length * 1000)}ms" for name, length in lengths.items()}


def lasts(duration: str) -> float:
    """Seconds of a duration as Prometheus writes it: 1m30s."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(float(n) * units[u] for n, u in re.findall(r"(\d+)(ms|[smhd])", duration))


def finite(points: Any) -> Points:
    """Those that can be drawn: a mean of nothing is no number."""
    return [(float(at), float(v)) for at, v in points if isfinite(float(v))]
