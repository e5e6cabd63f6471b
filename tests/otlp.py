"""A receiver of traces as a collector has it: OTLP over gRPC, and over HTTP as protobuf or JSON."""

import base64
import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

KINDS = {1: "internal", 2: "server", 3: "client"}


@dataclass(frozen=True, slots=True)
class Span:
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: dict[str, Any]
    service: str


@dataclass(slots=True)
class Receiver:
    """What came in, and where to send it."""

    grpc: str = ""  # host:port
    http: str = ""
    spans: list[Span] = field(default_factory=list)
    delay_s: float = 0.0  # how long it takes to say that it has received, unless it is released
    released: threading.Event = field(default_factory=threading.Event)

    def wait_for(self, enough: Callable[[list[Span]], Any], patience_s: float = 60) -> list[Span]:
        """The spans, once there are enough of them."""
        deadline = time.monotonic() + patience_s
        while not enough(self.spans):
            assert time.monotonic() < deadline, [(s.service, s.name) for s in self.spans]
            time.sleep(0.02)
        return list(self.spans)

    def take(self, request: Any) -> None:
        self.released.wait(self.delay_s)
        self.spans += flat(request)


def flat(request: Any) -> Iterator[Span]:
    for resource in request.resource_spans:
        about = values(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    span.name,
                    KINDS.get(span.kind, "other"),
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code == 2,
                    values(span.attributes),
                    str(about.get("service.name", "")),
                )


def values(attributes: Any) -> dict[str, Any]:
    return {
        a.key: getattr(a.value, a.value.WhichOneof("value") or "string_value") for a in attributes
    }


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver at free ports of this machine, for as long as the block runs."""
    receiver = Receiver()

    class Servicer(TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:
            receiver.take(request)
            return ExportTraceServiceResponse()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.take(parsed(body, self.headers["content-type"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """The tests' output is not its place."""

    server = grpc.server(ThreadPoolExecutor(4))
    add_TraceServiceServicer_to_server(Servicer(), server)  # type: ignore[no-untyped-call]
    receiver.grpc = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        receiver.http = f"127.0.0.1:{web.server_port}"
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            web.shutdown()
            thread.join()
            server.stop(0).wait()


def parsed(body: bytes, content_type: str) -> Any:
    request = ExportTraceServiceRequest()
    if content_type.startswith("application/json"):
        # OTLP's JSON has ids in hexadecimal, where protobuf's own would have base64.
        json_format.Parse(rebased(body), request, ignore_unknown_fields=True)
    else:
        request.ParseFromString(body)
    return request


def rebased(body: bytes) -> str:

    def changed(node: Any) -> Any:
        if isinstance(node, list):
            return [changed(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {
            key: base64.b64encode(bytes.fromhex(value)).decode()
            if key in ("traceId", "spanId", "parentSpanId")
            else changed(value)
            for key, value in node.items()
        }

    return json.dumps(changed(json.loads(body)))
