"""
Spans of sampled requests, by OpenTelemetry's SDK, sent over OTLP in the background.

Whether a request is sampled is decided before anything is made: by its caller, or by chance where
there is none. The other 99 of 100 pay for a look at their headers. Half a second to import: who
does not trace does not wait for it.
"""

import logging
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter_ns, time_ns
from typing import Any
from urllib.parse import unquote

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from service import telemetry
from service.clock import Clock
from service.limits import Refusal, Scope
from service.metrics import LAYOUT, Metrics, installed_version
from service.routes import ELSEWHERE, PLACES
from service.settings import Settings

# Enough for some seconds of a busy service that traces everything; what comes on top is dropped.
QUEUE_SPANS = 8192
BATCH_SPANS = 512
SEND_EVERY_S = 1.0
# For one batch, and at the service's end for all that is left.
EXPORT_S = 3.0
STOP_S = 3.0
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT")

log = logging.getLogger("service")


class Tracing:
    """The spans of one worker: who gets them, and where they go."""

    def __init__(self, settings: Settings, metrics: Metrics | None) -> None:
        self.ratio = settings.trace_ratio
        self.spans = Spans(exporter(settings), settings.otlp_url, count_in(metrics))
        resource = Resource.create(
            {"service.name": telemetry.SERVICE, "service.version": installed_version()}
        )
        self.provider = TracerProvider(resource=resource, sampler=ALWAYS_ON, shutdown_on_exit=False)
        self.provider.add_span_processor(self.spans)
        self.tracer = self.provider.get_tracer("windtunnel.service")

    def clock(self, parent: bytes, asked: bool, baggage: bytes) -> Clock:
        """A clock that makes spans if the caller asks for them or, without one, by chance."""
        if not asked and (parent or random.random() >= self.ratio):
            return Clock()
        clock = SampledClock(self.tracer, context_of(parent), entries(baggage))
        # Not so where the environment has switched the SDK off.
        return clock if clock.server.is_recording() else Clock()

    def ended(
        self, clock: Clock, scope: Scope, status: int, total_ns: int, sent_bytes: int
    ) -> None:
        """Say in the server span what came of the request, and end it."""
        assert isinstance(clock, SampledClock)
        span, place = clock.server, PLACES.get(scope["path"], ELSEWHERE)
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        span.update_name(f"{method} {place.route}")
        span.set_attributes(
            {
                telemetry.METHOD: method,
                telemetry.ROUTE: place.route,
                telemetry.URL_PATH: scope["path"][:200],
                telemetry.URL_SCHEME: scope.get("scheme", "http"),
                telemetry.STATUS: status,
                telemetry.REQUEST_SIZE: clock.received_bytes,
                telemetry.RESPONSE_SIZE: sent_bytes,
                telemetry.SPAN_MODEL: place.model,
                telemetry.SPAN_TRACK: clock.track or telemetry.NONE,
                telemetry.SPAN_DETECTIONS: clock.detections,
                telemetry.SPAN_REQUEST_ID: clock.request_id.decode("ascii"),
                **agent(scope),
            }
        )
        if clock.code or status == 0:
            span.set_attribute(telemetry.ERROR, clock.code or "no_answer")
        if status >= 500 or status == 0:
            span.set_status(Status(StatusCode.ERROR))
        span.end(clock.unix_ns(clock.started_ns + total_ns))

    def stop(self) -> None:
        """Send what is left, within STOP_S."""
        self.provider.shutdown()


class SampledClock(Clock):
    """A clock whose stages are spans too, under one for the request or, in a batch, with it."""

    __slots__ = ("baggage", "context", "offset_ns", "server", "tracer")

    sampled = True

    def __init__(
        self,
        tracer: Tracer,
        parent: Context,
        baggage: dict[str, str],
        server: Any = None,
    ) -> None:
        super().__init__()
        self.tracer, self.baggage = tracer, baggage
        self.offset_ns = time_ns() - perf_counter_ns()
        self.server = server or tracer.start_span(
            "request",
            parent,
            SpanKind.SERVER,
            baggage,
            start_time=self.unix_ns(self.started_ns),
        )
        self.context = set_span_in_context(self.server, Context())
        self.trace_id = f"{self.server.get_span_context().trace_id:032x}"

    def unix_ns(self, at_ns: int) -> int:
        return at_ns + self.offset_ns

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        with self.recorded(name, SpanKind.INTERNAL):
            yield

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """A stage of another server, whose own spans belong under this one."""
        with self.recorded(name, SpanKind.CLIENT) as span:
            context = span.get_span_context()
            self.outgoing = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"
            try:
                yield
            finally:
                self.outgoing = ""

    @contextmanager
    def recorded(self, name: str, kind: SpanKind) -> Iterator[Any]:
        began = perf_counter_ns()
        span = self.started(name, kind, began)
        try:
            yield span
        except BaseException as error:
            known = error.code if isinstance(error, Refusal) else type(error).__qualname__
            span.set_attribute(telemetry.ERROR, known)
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            ended = perf_counter_ns()
            Clock.add(self, name, ended - began)
            span.end(self.unix_ns(ended))

    def started(self, name: str, kind: SpanKind, began_ns: int) -> Any:
        return self.tracer.start_span(
            name,
            self.context,
            kind,
            {telemetry.SPAN_STAGE: name, **self.baggage},
            start_time=self.unix_ns(began_ns),
        )

    def add(self, name: str, nanoseconds: int) -> None:
        """A stage that is known only now that it has ended."""
        super().add(name, nanoseconds)
        ended = perf_counter_ns()
        span = self.started(name, SpanKind.INTERNAL, ended - nanoseconds)
        span.end(self.unix_ns(ended))

    def for_picture(self) -> Clock:
        return SampledClock(self.tracer, self.context, self.baggage, self.server)


def context_of(traceparent: bytes) -> Context:
    """The caller's span as a parent; none without one."""
    if not traceparent:
        return Context()
    trace_id, span_id = traceparent[3:35], traceparent[36:52]
    flags = TraceFlags(int(traceparent[53:55], 16))
    parent = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def entries(baggage: bytes) -> dict[str, str]:
    """Of a baggage header, what may become attributes; the rest is not ours to record."""
    found = {}
    for entry in baggage.decode("latin-1").split(",")[:64]:
        name, _, value = entry.partition(";")[0].partition("=")
        if name.strip() in telemetry.BAGGAGE:
            found[name.strip()] = unquote(value.strip())[:200]
    return found


def agent(scope: Scope) -> dict[str, str]:
    """The caller's program, as it calls itself."""
    for name, value in scope["headers"]:
        if name == b"user-agent":
            return {telemetry.USER_AGENT: value.decode("latin-1")[:200]}
    return {}


def exporter(settings: Settings) -> SpanExporter:
    """The one of the protocol that the settings name, without TLS: a collector is near."""
    if settings.tracing == "http":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http

        return Http(endpoint=f"http://{settings.otlp_url}/v1/traces", timeout=EXPORT_S)
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc

    return Grpc(endpoint=f"http://{settings.otlp_url}", insecure=True, timeout=EXPORT_S)


Count = Callable[[str, int], None]


def count_in(metrics: Metrics | None) -> Count:
    """How spans are counted by what became of them."""
    if metrics is None:
        return lambda _outcome, _number: None
    cells, tally = LAYOUT.at[telemetry.SPANS], metrics.tally
    return lambda outcome, number: tally.add(cells[(outcome,)], number)


class Spans(BatchSpanProcessor):
    """
    The queue of spans in front of the exporter, which drops what it has no room for, and counts.

    The SDK's own drops the oldest and writes a line for each, in the thread of the request.
    """

    def __init__(self, sink: SpanExporter, url: str, count: Count) -> None:
        self.waiting, self.count, self.lock = 0, count, threading.Lock()
        super().__init__(
            Reporting(sink, url, self.sent),
            max_queue_size=QUEUE_SPANS,
            schedule_delay_millis=SEND_EVERY_S * 1e3,
            max_export_batch_size=BATCH_SPANS,
        )

    def on_end(self, span: ReadableSpan) -> None:
        with self.lock:
            self.count(telemetry.RECORDED, 1)
            if self.waiting >= QUEUE_SPANS:
                self.count(telemetry.DROPPED, 1)
                return
            self.waiting += 1
        super().on_end(span)

    def sent(self, outcome: str, number: int) -> None:
        with self.lock:
            self.waiting -= number
            self.count(outcome, number)

    def shutdown(self) -> None:
        self._batch_processor.shutdown(timeout_millis=int(STOP_S * 1e3))


class Reporting(SpanExporter):
    """An exporter whose failures are counted, and said once and not with each batch."""

    def __init__(self, sink: SpanExporter, url: str, sent: Count) -> None:
        self.sink, self.url, self.sent, self.works = sink, url, sent, True
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self.sink.export(spans)
        except Exception as error:  # what the exporter cannot encode must not stay in our count
            log.debug("spans: %r", error)
            result = SpanExportResult.FAILURE
        works = result is SpanExportResult.SUCCESS
        self.sent(telemetry.EXPORTED if works else telemetry.FAILED, len(spans))
        if works != self.works:
            self.works = works
            if works:
                log.info("spans are taken again at %s", self.url)
            else:
                log.warning(
                    "no spans are taken at %s: they are lost until somebody listens there", self.url
                )
        return result

    def shutdown(self) -> None:
        self.sink.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self.sink.force_flush(timeout_millis)
