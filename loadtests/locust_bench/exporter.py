"""
Prometheus metrics of a run under way, under the names of triton_bench (report/metrics.go).

Everything is read when it is scraped. A scrape is answered between two users' turns, in the process
that is alone or the master; what workers have counted is up to a second old there.
"""

from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import Any, Protocol
from urllib.parse import urlsplit

import psutil
from gevent.pywsgi import WSGIServer
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from loadtests import labels
from loadtests.locust_bench.tally import LAGS_S, TIMES_S, Tally, Times
from loadtests.samples import OUTCOMES

GIVEN_UP = "Requests given up are above every bound."


class Source(Protocol):
    """What is told of a run."""

    def tally(self) -> Tally: ...
    def is_measuring(self) -> bool: ...
    def clients(self) -> int | None: ...


class Collector:
    """Makes the metrics of a source."""

    def __init__(self, source: Source, given: dict[str, str]) -> None:
        self._source = source
        self._labels = dict.fromkeys(labels.NAMES, "") | given
        self._started_s = psutil.Process().create_time()

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before there is a run; asked for, `collect` would be called."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All of them, of one moment."""
        tally = self._source.tally()
        requests = CounterMetricFamily(
            "loadtest_requests", "Requests that ended, by outcome.", labels=["outcome"]
        )
        for name, count in zip(OUTCOMES, tally.outcomes, strict=True):
            requests.add_metric([name], count)
        yield requests
        yield CounterMetricFamily(
            "loadtest_issued",
            "Requests that were begun: the achieved rate is its rate.",
            tally.issued,
        )
        yield GaugeMetricFamily(
            "loadtest_in_flight", "Requests that have no answer yet.", tally.in_flight
        )
        yield CounterMetricFamily(
            "loadtest_connections", "Connections that were opened.", tally.connections
        )
        yield _histogram(
            "loadtest_response_seconds",
            f"From when a request was due to the last byte of its answer. {GIVEN_UP}",
            TIMES_S,
            tally.response,
        )
        yield _histogram(
            "loadtest_service_seconds",
            f"From when a request was sent to the last byte of its answer. {GIVEN_UP}",
            TIMES_S,
            tally.service,
        )
        yield _histogram(
            "loadtest_send_lag_seconds",
            "From when a request was due to when it was sent.",
            LAGS_S,
            tally.lag,
        )
        yield self._info()
        yield CounterMetricFamily(
            "process_cpu_seconds",
            "CPU time of all Locust processes since the run began, in seconds.",
            tally.cpu_s,
        )
        yield GaugeMetricFamily(
            "process_resident_memory_bytes",
            "Resident memory of all Locust processes.",
            tally.rss_bytes,
        )
        yield GaugeMetricFamily(
            "process_start_time_seconds", "When this process was started.", self._started_s
        )

    def _info(self) -> Metric:
        count = self._source.clients()
        named = {**self._labels, "clients": "" if count is None else str(count)}
        info = GaugeMetricFamily(
            "loadtest_run_info",
            "1 during the measured time and 0 before and after it; the labels say what is"
            " measured.",
            labels=list(named),
        )
        info.add_metric(list(named.values()), int(self._source.is_measuring()))
        return info


def _histogram(name: str, about: str, bounds_s: tuple[float, ...], times: Times) -> Metric:
    """Counts up to each bound, added up as Prometheus has them."""
    total, buckets = 0, []
    for bound, count in zip((*bounds_s, inf), times.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == inf else repr(bound), total))
    return HistogramMetricFamily(name, about, buckets=buckets, sum_value=times.sum_s)


class Exporter:
    """Serves /metrics at an address until it is closed."""

    def __init__(self, address: str, source: Source, given: dict[str, str]) -> None:
        registry = CollectorRegistry()
        registry.register(Collector(source, given))
        self._server = WSGIServer(_host_and_port(address), _only_metrics(registry), log=None)
        try:
            self._server.start()
        except OSError as error:
            raise AddressError(
                f"--metrics-addr {address}: {error.strerror or error}; expected HOST:PORT that is"
                " free, or port 0 for any"
            ) from error

    @property
    def url(self) -> str:
        """Where the metrics are."""
        host, port = self._server.address[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"

    def close(self) -> None:
        """Answer no more."""
        self._server.stop(timeout=1)


class AddressError(Exception):
    """An address where nothing can be served."""


def _host_and_port(address: str) -> tuple[str, int]:
    """HOST:PORT taken apart; options.py has looked whether it is one."""
    parts = urlsplit(f"//{address}")
    return str(parts.hostname), int(parts.port or 0)


def _only_metrics(registry: CollectorRegistry) -> Callable[..., Any]:
    metrics = make_wsgi_app(registry, disable_compression=True)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        if environ["PATH_INFO"] != "/metrics":
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"GET /metrics\n"]
        return metrics(environ, start)

    return answer
