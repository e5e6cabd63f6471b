"""
What the service counts, and /metrics, which tells it: names and labels are in telemetry.py.

Requests are counted as they end, in a Tally; what has a value at any time (memory, a GPU's load) is
looked up when somebody asks. The text itself is prometheus_client's.
"""

import asyncio
import platform
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any

import psutil
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as open_metrics
from prometheus_client.registry import Collector, CollectorRegistry

from service import detection, health, telemetry
from service.clock import Clock
from service.limits import STATUS
from service.routes import ELSEWHERE, PLACES, PREDICT, ROUTES, Place
from service.settings import LOCAL_TRACKS, REMOTE_TRACKS
from service.tally import Layout, Numbers, Part, Tally, Values, cumulative
from service.telemetry import NONE, STAGES, STATUS_CLASSES
from service.worker import Worker

# How often a worker looks at its event loop and writes down what others cannot see.
PULSE_S = 0.25
OPEN_METRICS = "application/openmetrics-text"

TRACKS = (*LOCAL_TRACKS, *REMOTE_TRACKS, NONE)
MODELS = (*detection.SIZES, NONE)

LAYOUT = Layout(
    {
        telemetry.DURATION: (ROUTES, MODELS, TRACKS, STATUS_CLASSES),
        telemetry.STAGE: (STAGES, MODELS, TRACKS),
        telemetry.REQUEST_BYTES: (ROUTES,),
        telemetry.RESPONSE_BYTES: (ROUTES,),
        telemetry.DETECTIONS: (MODELS, TRACKS),
        telemetry.REFUSALS: (tuple(STATUS),),
        telemetry.ADMITTED: (),
        telemetry.IN_FLIGHT: (),
        telemetry.ADMISSION_LIMIT: (),
        telemetry.WORKERS: (),
        telemetry.THREADS: (),
        telemetry.LOOP_LAG: (),
        telemetry.TRITON_CLIENTS_CREATED: (),
        telemetry.TRITON_CLIENTS: (),
        telemetry.TRITON_TENSORS: (),
        telemetry.SPANS: (telemetry.SPAN_OUTCOMES,),
    }
)


class Metrics:
    """The counters of one worker; belongs to its event loop."""

    def __init__(self, worker: Worker, folder: Path | None) -> None:
        gauges = [metric for metric in LAYOUT.at if metric.kind == "gauge"]
        self.tally = Tally(LAYOUT, gauges, folder)
        self.worker = worker
        self.exemplars: dict[int, Exemplar] = {}  # by the cell of a bucket; of this worker
        self.registry = CollectorRegistry()
        self.registry.register(Families(self))
        self.duration: dict[tuple[Place, str, int], int] = {}
        self.created = 0  # clients of Triton that are counted already
        self.pulse: asyncio.Task[None] | None = None
        at = LAYOUT.at
        self.stages = at[telemetry.STAGE]
        self.request_bytes = at[telemetry.REQUEST_BYTES]
        self.response_bytes = at[telemetry.RESPONSE_BYTES]
        self.detections = at[telemetry.DETECTIONS]
        self.refusals = at[telemetry.REFUSALS]
        self.awaited = awaited(worker.settings.track)
        self.admitted = at[telemetry.ADMITTED][()]
        self.in_flight = at[telemetry.IN_FLIGHT][()]

    def start(self) -> None:
        """What needs the event loop, and what holds as long as it runs."""
        settings, tally = self.worker.settings, self.tally
        tally.set(LAYOUT.at[telemetry.WORKERS][()], 1)
        tally.set(LAYOUT.at[telemetry.THREADS][()], settings.threads)
        tally.set(LAYOUT.at[telemetry.ADMISSION_LIMIT][()], settings.admission)
        self.pulse = asyncio.create_task(self.beat())

    async def stop(self) -> None:
        if self.pulse is not None:
            self.pulse.cancel()
            await asyncio.gather(self.pulse, return_exceptions=True)
        self.look_at_triton()

    async def beat(self) -> None:
        lag = LAYOUT.at[telemetry.LOOP_LAG][()]
        while True:
            due = monotonic() + PULSE_S
            await asyncio.sleep(PULSE_S)
            self.tally.observe(lag, max(0.0, monotonic() - due))
            self.look_at_triton()

    def look_at_triton(self) -> None:
        if self.worker.remote is None:
            return
        clients, memory = self.worker.remote.triton.clients, self.worker.remote.memory
        at, tally = LAYOUT.at, self.tally
        tally.add(at[telemetry.TRITON_CLIENTS_CREATED][()], clients.created - self.created)
        self.created = clients.created
        tally.set(at[telemetry.TRITON_CLIENTS][()], clients.cached)
        tally.set(at[telemetry.TRITON_TENSORS][()], memory.bytes)

    def entered(self, in_flight: int) -> None:
        """One more prediction was admitted."""
        self.tally.add(self.admitted)
        self.tally.set(self.in_flight, in_flight)

    def left(self, in_flight: int) -> None:
        self.tally.set(self.in_flight, in_flight)

    def ended(self, clock: Clock, path: str, status: int, total_ns: int, sent_bytes: int) -> None:
        """Count a request, all of it: some 15 additions."""
        tally, place, track = self.tally, PLACES.get(path, ELSEWHERE), clock.track or NONE
        key = (place, track, status)
        at = self.duration.get(key)
        if at is None:  # few: of each, only what was seen
            labels = (place.route, place.model, track, status_class(status))
            at = self.duration[key] = LAYOUT.at[telemetry.DURATION][labels]
        bucket = tally.observe(at, total_ns / 1e9)
        if clock.sampled:
            self.exemplars[bucket] = exemplar(clock, total_ns)
        # A request that was cancelled may have left a thread that goes on.
        for name, nanoseconds in tuple(clock.spent_ns.items()):
            bucket = tally.observe(self.stages[name, place.model, track], nanoseconds / 1e9)
            if clock.sampled:
                self.exemplars[bucket] = exemplar(clock, nanoseconds)
        tally.add(self.request_bytes[(place.route,)], clock.received_bytes)
        tally.add(self.response_bytes[(place.route,)], sent_bytes)
        if clock.detections:
            tally.add(self.detections[place.model, track], clock.detections)
        if clock.code:
            tally.add(self.refusals[(clock.code,)])
        if (
            self.worker.remote is not None
            and self.worker.remote.triton.clients.created != self.created
        ):
            self.look_at_triton()


def exposition(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """
    What is in a registry as text and its content type: OpenMetrics for who can read it.

    prometheus_client's own choice fails on a version that is none.
    """
    if OPEN_METRICS in accept:
        text: bytes = open_metrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return text, open_metrics.CONTENT_TYPE_LATEST
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


def awaited(track: str) -> frozenset[Values]:
    """
    Labels of the requests that will come, which are told before they do.

    A series that begins with its first request hides that request from rate(), and a first failure
    from the alerts.
    """
    ends = [(track, "2xx"), (track, "5xx"), (NONE, "5xx")]
    return frozenset((PREDICT, model, *end) for model in detection.SIZES for end in ends)


def status_class(status: int) -> str:
    """Its first digit; none where the service gave no answer."""
    found = f"{status // 100}xx"
    return found if found in STATUS_CLASSES else NONE


def exemplar(clock: Clock, nanoseconds: int) -> Exemplar:
    return Exemplar({telemetry.EXEMPLAR: clock.trace_id}, nanoseconds / 1e9, time())


class Families(Collector):
    """All metrics of the service at the moment of a scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        tally = self.metrics.tally
        parts = tally.parts()
        numbers = tally.sums(parts)
        yield self.requests(numbers)
        for metric in LAYOUT.at:
            sleep(0)  # the event loop's turn, if it has something to do
            yield self.counted(metric, numbers)
        yield from self.processes(parts)
        yield from facts(self.metrics.worker)
        yield from gpus()

    def requests(self, numbers: Numbers) -> Any:
        """Their histogram has counted them already."""
        family = empty(telemetry.REQUESTS)
        for labels, cells in self.series(telemetry.DURATION, numbers):
            family.add_metric(labels, float(cells[:-1].sum()))
        return family

    def counted(self, metric: telemetry.Metric, numbers: Numbers) -> Any:
        family = empty(metric)
        for labels, cells in self.series(metric, numbers):
            if metric.kind == "histogram":
                family.add_metric(labels, *self.histogram(metric, labels, cells))
            else:
                family.add_metric(labels, float(cells[0]))
        return family

    def series(
        self, metric: telemetry.Metric, numbers: Numbers
    ) -> Iterator[tuple[Values, Numbers]]:
        requests = metric is telemetry.DURATION
        return LAYOUT.series(metric, numbers, self.metrics.awaited if requests else frozenset())

    def histogram(
        self, metric: telemetry.Metric, labels: Values, cells: Numbers
    ) -> tuple[list[Any], float]:
        buckets, total = cumulative(cells)
        at, known = LAYOUT.at[metric][labels], self.metrics.exemplars
        return [(*bucket, known.get(at + i)) for i, bucket in enumerate(buckets)], total

    def processes(self, parts: list[Part]) -> Iterator[Metric]:
        cpu, memory, files, started = (
            empty(metric)
            for metric in (telemetry.CPU, telemetry.MEMORY, telemetry.FILES, telemetry.STARTED)
        )
        for part in parts:
            worker = [str(part.number)]
            cpu.add_metric(worker, part.cpu_s())
            if part.process is None:
                continue
            try:
                memory.add_metric(worker, part.process.memory_info().rss)
                files.add_metric(worker, part.process.num_fds())
                started.add_metric(worker, part.process.create_time())
            except psutil.Error:  # it ended meanwhile
                continue
        yield from (cpu, memory, files, started)


def empty(metric: telemetry.Metric) -> Any:
    """A family without samples. prometheus_client adds the _total of a counter itself."""
    kinds: dict[str, Callable[..., Metric]] = {
        "counter": CounterMetricFamily,
        "histogram": HistogramMetricFamily,
        "gauge": GaugeMetricFamily,
        "info": GaugeMetricFamily,
    }
    return kinds[metric.kind](
        metric.name.removesuffix("_total"), metric.help, labels=list(metric.labels)
    )


def facts(worker: Worker) -> Iterator[Metric]:
    """What is constant, as labels."""
    settings = worker.settings
    build = empty(telemetry.BUILD)
    values = {
        "version": installed_version(),
        "python": platform.python_version(),
        **{name: str(getattr(settings, name)) for name in telemetry.BUILD.labels[2:]},
    }
    build.add_metric([values[name] for name in telemetry.BUILD.labels], 1)
    yield build
    models, track = empty(telemetry.MODEL), worker.track(None)
    for model, size in detection.SIZES.items():
        models.add_metric([model, "NanoDet-g", str(size), track.name, track.engine(model)], 1)
    yield models


def installed_version() -> str:
    try:
        return version("windtunnel")
    except PackageNotFoundError:  # run from the sources, as in its container
        return "unknown"


def gpus() -> Iterator[Metric]:
    used, memory, load = (
        empty(metric)
        for metric in (telemetry.GPU_MEMORY, telemetry.GPU_MEMORY_TOTAL, telemetry.GPU_LOAD)
    )
    for number, gpu in enumerate(health.gpu() or []):
        percent = gpu["percent"]
        for family, value in (
            (used, gpu["memory_used_bytes"]),
            (memory, gpu["memory_total_bytes"]),
            (load, None if percent is None else percent / 100),
        ):
            if value is not None:
                family.add_metric([str(number)], value)
    yield from (used, memory, load)
