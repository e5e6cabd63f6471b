"""The stage times of a request, as it goes from layer to layer."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter_ns

CLOCK = "service.clock"  # its place in the ASGI scope


class Clock:
    """
    What is known of one request: its stage times, each in the order in which it was measured,
    and what they are reported under.

    Only one thread works on a request at a time, so nothing here is locked, but for a
    batch: its images go through the stages side by side, each with a clock of its own.
    """

    __slots__ = (
        "code",
        "detections",
        "outgoing",
        "queued_ns",
        "received_bytes",
        "request_id",
        "serialize_from_ns",
        "spent_ns",
        "started_ns",
        "trace_id",
        "track",
    )

    sampled = False  # whether the request's spans are recorded: see tracing.SampledClock

    def __init__(self) -> None:
        self.started_ns = perf_counter_ns()
        self.queued_ns = 0  # when a job was handed over to the threads
        self.serialize_from_ns = 0  # when the answer was there, but not yet as bytes
        self.track = ""  # which one answered, if any
        self.code = ""  # of the refusal, if it was refused
        self.received_bytes = 0
        self.detections = 0
        self.request_id = b""  # the caller's, or one of our own
        self.trace_id = ""  # the trace it belongs to, whether or not anybody records that
        self.outgoing = ""  # the traceparent for Triton, if the request is to be traced
        self.spent_ns: dict[str, int] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, also one that fails: a refused picture has cost its decoding."""
        began = perf_counter_ns()
        try:
            yield
        finally:
            self.add(name, perf_counter_ns() - began)

    # A stage that another server runs, which is told of the trace.
    call = stage

    def add(self, name: str, nanoseconds: int) -> None:
        """Stages that come back, as in a batch, add up."""
        self.spent_ns[name] = self.spent_ns.get(name, 0) + nanoseconds

    def received(self) -> None:
        """The body is complete."""
        self.add("receive", perf_counter_ns() - self.started_ns)

    def queued(self) -> None:
        """A job has been handed over; what follows is waiting for a thread."""
        self.queued_ns = perf_counter_ns()

    def taken(self) -> None:
        """A thread has begun to work on the job."""
        self.add("queue", perf_counter_ns() - self.queued_ns)

    def answered(self) -> None:
        """The answer exists as values; from here to the first byte is serialization."""
        self.serialize_from_ns = perf_counter_ns()

    def close(self) -> int:
        """End the last stage and give the whole time in nanoseconds."""
        if self.serialize_from_ns:
            self.add("serialize", perf_counter_ns() - self.serialize_from_ns)
            self.serialize_from_ns = 0
        return perf_counter_ns() - self.started_ns

    def for_picture(self) -> "Clock":
        """A clock for one picture of a batch, of the same trace."""
        clock = Clock()
        clock.outgoing = self.outgoing
        return clock

    def merge(self, other: "Clock") -> None:
        """Add the stage times of a picture."""
        for name, nanoseconds in other.spent_ns.items():
            self.spent_ns[name] = self.spent_ns.get(name, 0) + nanoseconds


def about(clock: Clock) -> dict[str, str]:
    """The fields of a log line by which its request is found again."""
    known = {"request_id": clock.request_id.decode("ascii")}
    return known | {"trace_id": clock.trace_id} if clock.trace_id else known
