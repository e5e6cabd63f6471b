"""
Takes spans over OTLP (gRPC), counts them and throws them away.

    python -m benchmarks.components.otlp_sink [--port 4317]

What sending spans costs a service is measured against this: a real receiver that keeps nothing.
"""

import argparse
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

HOST = "127.0.0.1"
PORT = 4317
GRACE_S = 1.0


class Sink(TraceServiceServicer):
    """The receiver."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.spans = self.requests = 0

    def Export(self, request: Any, context: Any) -> Any:
        """Take one batch."""
        count = sum(
            len(scope.spans) for each in request.resource_spans for scope in each.scope_spans
        )
        with self._lock:
            self.spans, self.requests = self.spans + count, self.requests + 1
        return ExportTraceServiceResponse()


def serve(port: int, stop: threading.Event) -> int:
    """Take spans until it is told to stop; the exit status."""
    sink = Sink()
    # Two listeners on one port would each get some of the spans.
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    add_TraceServiceServicer_to_server(sink, server)  # type: ignore[no-untyped-call]
    try:
        bound = server.add_insecure_port(f"{HOST}:{port}")
    except RuntimeError as error:
        print(
            f"otlp_sink: {HOST}:{port}: {error}; expected a port that is free; choose another"
            " with --port, or stop what listens there",
            file=sys.stderr,
        )
        return 2
    server.start()
    print(f"taking spans at {HOST}:{bound}", flush=True)
    stop.wait()
    server.stop(GRACE_S).wait()
    print(f"{sink.spans} spans in {sink.requests} requests", flush=True)
    return 0


def main() -> int:
    """Serve until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}; 0: any")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return serve(parser.parse_args().port, stop)


if __name__ == "__main__":
    sys.exit(main())
