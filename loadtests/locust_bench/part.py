"""
The rows of one Locust process, kept in columns and spilled to disk a few at a time.

Times are of the machine's monotonic clock, which all its processes share; merge.py makes the
sample file of the parts. Spilling is in small pieces because every user waits meanwhile.
"""

from dataclasses import asdict
from pathlib import Path
from time import monotonic_ns
from typing import Any

import pyarrow as pa
from gevent import GreenletExit, Timeout
from locust.contrib.fasthttp import LocustBadStatusCode

from loadtests.locust_bench.connection import Exchange
from loadtests.locust_bench.footer import Footer, announce, write_json
from loadtests.locust_bench.server_timing import NO_STAGES, Stages, stages_us
from loadtests.locust_bench.tally import Tally
from loadtests.samples import ERRORS, STAGES

SPILL_ROWS = 256
SCHEMA = pa.schema(
    [
        *(pa.field(f"{name}_ns", pa.int64()) for name in ("due", "sent", "first_byte", "done")),
        *(pa.field(name, pa.int32()) for name in ("status", "error")),
        *(pa.field(name, pa.int64()) for name in ("bytes_in", "bytes_out")),
        *(pa.field(name, pa.int32()) for name in ("image", "client")),
        *(pa.field(f"stage_{stage}_us", pa.int32()) for stage in STAGES),
        pa.field("trace_id", pa.string()),
    ]
)
_ERROR = {name: number for number, name in enumerate(ERRORS)}


class Part:
    """The rows of this process in this run."""

    def __init__(self, folder: Path, name: str, measure_ns: int, *, tallied: bool = False) -> None:
        self._path = folder / f"{name}.arrow"
        self._rows: list[tuple[Any, ...]] = []
        self._tally = Tally() if tallied else None
        self._tallied = 0  # of the rows above
        self.footer = Footer()
        self.issued = self.clients = self.dials = self.measured = 0
        self.measure_ns = measure_ns
        announce(folder / f"{name}.open")
        self._sink = pa.OSFile(str(self._path), "wb")
        self._writer = pa.ipc.new_stream(self._sink, SCHEMA)

    def count_from(self, measure_ns: int) -> None:
        """Begin to count towards --min-requests, or again for another step."""
        self.measure_ns, self.measured = measure_ns, 0

    def add(
        self,
        x: Exchange,
        done_ns: int,
        status: int,
        error: str,
        stages: Stages = NO_STAGES,
    ) -> None:
        """Keep a row; one that was never sent is sent when it was given up."""
        x.done_ns = done_ns
        self.footer.last_due_ns = max(self.footer.last_due_ns, x.due_ns)
        sent_ns = x.sent_ns or done_ns
        if x.due_ns >= self.measure_ns:
            self.measured += 1
        self._rows.append(
            (
                *(x.due_ns, sent_ns, x.first_byte_ns or None, done_ns),
                *(status, _ERROR[error], x.bytes_in, x.bytes_out, x.image, x.client),
                *stages,
                x.trace,
            )
        )
        if len(self._rows) >= SPILL_ROWS:
            self.spill()

    def tally(self) -> Tally:
        """What was counted so far, with metrics only."""
        self._count()
        tally = self._tally or Tally()
        tally.issued, tally.connections = self.issued, self.dials
        return tally

    def _count(self) -> None:
        if self._tally:
            self._tally.count(self._rows[self._tallied :])
            self._tallied = len(self._rows)

    def answered(self, x: Exchange, response: Any, exception: BaseException | None) -> None:
        """The `request` event: an answer, or why there is none."""
        if exception is None or isinstance(exception, LocustBadStatusCode):
            named = response.headers.get("server-timing")
            stages = stages_us(named) if named else NO_STAGES
            self.add(x, x.last_byte_ns, response.status_code, "", stages)
        else:
            self.failed(x, exception)

    def failed(self, x: Exchange, exception: BaseException) -> None:
        """A request without a whole answer."""
        error, cause = why(x, exception)
        self.footer.examples.setdefault(error, f"{type(cause).__name__}: {cause}")
        self.add(x, monotonic_ns(), 0, error)

    def spill(self) -> None:
        """Write what has come together; a full disk ends the run, not the user that found it."""
        self._count()
        rows, self._rows, self._tallied = self._rows, [], 0
        if not rows or self.footer.fault:
            return
        columns = [
            pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), SCHEMA, strict=True)
        ]
        try:
            self._writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
        except OSError as error:
            self.footer.fault = (
                f"{self._path}: cannot be written ({error}); expected a folder with room"
            )

    def finish(self, **measured: Any) -> None:
        """Complete the part; nothing may be added any more."""
        self.spill()
        footer = self.footer
        footer.issued, footer.clients, footer.dials = self.issued, self.clients, self.dials
        for name, value in measured.items():
            setattr(footer, name, value)
        try:
            self._writer.close()
            self._sink.close()
        except OSError as error:
            footer.fault = footer.fault or f"{self._path}: cannot be completed ({error})"
        try:
            write_json(self._path.with_suffix(".json"), asdict(footer))
        except OSError as error:
            footer.fault = footer.fault or f"{self._path}: cannot be completed ({error})"


def why(x: Exchange, exception: BaseException) -> tuple[str, BaseException]:
    """The class of a failure, and what Locust's client had wrapped."""
    cause = getattr(exception, "original", None) or exception
    if isinstance(cause, GreenletExit):
        return "censored", cause
    if not x.sent_ns:
        return "connect", cause
    if isinstance(cause, Timeout | TimeoutError):
        return "timeout", cause
    if isinstance(cause, ConnectionResetError | BrokenPipeError):
        return "reset", cause
    return "closed" if x.ended else "protocol", cause
