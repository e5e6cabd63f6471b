"""
What a Triton says of itself while a visit is measured: the counters of each model, and how many
requests wait.

A reading keeps two pages as they came, and nothing is parsed before the visit has ended. The
counters are those of Triton's statistics extension, which are exact (nanoseconds, and one entry for
each size of batch); /metrics has the same rounded to microseconds, and the gauge of waiting
requests, which is why it is read at all.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import metrics, probe
from benchmarks.metrics import Row, labels_text

STATISTICS = "triton_statistics"
GAUGES = "triton_metrics"
PENDING = "nv_inference_pending_request_count"
GAUGE = PENDING.encode()
TIMEOUT_S = 1.0
MOST_PAGES = 8000  # those of more than half an hour, two at a time, twice a second

# A sample of Prometheus' text format; a quoted label may hold any character, escaped or not.
_LABEL = r'(\w+)="((?:[^"\\]|\\.)*)"'
_SAMPLE = re.compile(rf"^{PENDING}\{{((?:{_LABEL},?)*)\}} (\S+)", re.MULTILINE)
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass(frozen=True, slots=True)
class Page:
    """What one address answered, and when: midway between the question and the answer."""

    reading: int  # from 1
    at_unix_ns: int
    source: str
    body: bytes


class Statistics:
    """The readings of one visit. One takes 1.3 ms of a core here and 0.5 ms in the server."""

    def __init__(self, http: str, metrics_address: str) -> None:
        self._urls = {
            STATISTICS: f"http://{http}/v2/models/stats",
            GAUGES: f"http://{metrics_address}/metrics",
        }
        self._pages: list[Page] = []
        self._readings = 0
        self._failed: set[int] = set()  # which of them lack a page
        self._error: str | None = None
        self._every = 1

    def read(self) -> None:
        """Read both pages; one that cannot be had is left out, and counted."""
        self._readings += 1
        if self._readings % self._every == 0:
            self._read()
        if len(self._pages) > MOST_PAGES:
            # Counters lose nothing by being read less often; hours of pages are gigabytes.
            self._pages = [p for p in self._pages if p.reading % (2 * self._every) == 0]
            self._every *= 2

    def _read(self) -> None:
        for source, url in self._urls.items():
            began = time.time_ns()
            try:
                status, body = probe.get(url, TIMEOUT_S)
            except probe.FAILURES as error:
                self._fail(self._readings, f"GET {url}: no answer ({error})")
                return  # whoever hangs on one page will not be asked for the other
            if status != 200:
                self._fail(self._readings, f"GET {url} answered {status}; expected 200")
                return
            if source == GAUGES:  # of dozens of kilobytes, a line for each model
                body = b"\n".join(line for line in body.split(b"\n") if line.startswith(GAUGE))
            self._pages.append(Page(self._readings, (began + time.time_ns()) // 2, source, body))

    def _fail(self, reading: int, what: str) -> None:
        self._failed.add(reading)
        self._error = what

    def write(self, path: Path, others: Iterable[Row] = ()) -> dict[str, Any]:
        """
        Write what was read, and *others* with it, if any of it is worth a file.

        Returns what cell.json says of the readings.
        """
        rows = [row for page in self._pages for row in self._parsed(page)]
        rows = [*without_idle_models(rows), *others]
        if rows:
            metrics.write(path, rows)
        return {"readings": self._readings, "failed": len(self._failed), "error": self._error}

    def _parsed(self, page: Page) -> list[Row]:
        parse = statistics_rows if page.source == STATISTICS else pending_rows
        try:
            return [Row(page.at_unix_ns, page.source, *rest) for rest in parse(page.body)]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self._fail(
                page.reading,
                f"{self._urls[page.source]}: not what Triton answers ({type(error).__name__}:"
                f" {error}); expected its model statistics",
            )
            return []


def statistics_rows(body: bytes) -> Iterator[tuple[str, str, float]]:
    """Series, labels and value of every counter in an answer of the statistics extension."""
    for model in json.loads(body)["model_stats"]:
        labels = {"model": model["name"], "version": model.get("version", "")}
        text = labels_text(labels)
        for name in ("inference_count", "execution_count"):
            yield name, text, float(model[name])
        for name, value in _durations(model["inference_stats"]):
            yield f"inference_stats.{name}", text, value
        for batch in model.get("batch_stats", ()):
            of_size = labels_text({**labels, "batch_size": str(batch["batch_size"])})
            for name, value in _durations(batch):
                yield f"batch_stats.{name}", of_size, value


def _durations(table: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """`queue.count` and `queue.ns`, and so on; a batch's size is no duration."""
    for name, duration in table.items():
        if isinstance(duration, dict):
            for part in ("count", "ns"):
                yield f"{name}.{part}", float(duration[part])


def pending_rows(body: bytes) -> Iterator[tuple[str, str, float]]:
    """Of a page in Prometheus' text format the gauge of requests that wait, for each model."""
    for sample in _SAMPLE.finditer(body.decode()):
        labels = {name: _unescaped(value) for name, value in re.findall(_LABEL, sample[1])}
        yield PENDING, labels_text(labels), float(sample[4])


def _unescaped(value: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), value)


def without_idle_models(rows: list[Row]) -> list[Row]:
    """
    Leave out the models that nobody asked: whose counters all stood still, and nobody waited.

    A repository may hold dozens of models, of which a visit uses one to three.
    """
    first: dict[tuple[str, str], float] = {}
    busy: set[str] = set()
    models = {labels: str(json.loads(labels).get("model")) for labels in {r.labels for r in rows}}
    for row in rows:
        counter = row.series, row.labels
        before = 0.0 if row.series == PENDING else first.setdefault(counter, row.value)
        if row.value != before:
            busy.add(models[row.labels])
    return [row for row in rows if models[row.labels] in busy]
