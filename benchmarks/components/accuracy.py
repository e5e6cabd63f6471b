"""
Is what triton_bench reports true? Compared with a server whose delays are known exactly.

`tb_stub` answers after a constant delay, after one of two, or freezes once for two seconds. Each
case is measured several times and the median of what was reported is held against theory: one
neighbour's burst of work must not decide. `make bench` prints the table; a row that misses by more
than 1 % and more than 100 us makes the exit status 1.

A frozen server is measured over one connection. The request that froze it waits in the server; all
that are due meanwhile wait for the connection, and afterwards for each other. So the freeze is in
the response time of many requests, by an amount that follows from the schedule, and in the service
time of one.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

PROGRAMS = Path(__file__).parents[2] / ".tools/bin"
PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
# Opens the connections, and is a whole number of tens of requests in every case.
WARMUP_S = 2
TOLERANCE = 0.01
TOLERANCE_MS = 0.1


class AccuracyError(Exception):
    """The comparison could not be made."""


@dataclass(frozen=True, slots=True)
class Case:
    """A server's behaviour, a load, and the times that each request must then take."""

    name: str
    stub: tuple[str, ...]
    load: tuple[str, ...]
    response_ms: Sequence[float]
    service_ms: Sequence[float]


@dataclass(frozen=True, slots=True)
class Row:
    """One percentile of one case: what theory says and what was reported, repeat by repeat."""

    case: str
    time: str
    percentile: str
    theory_ms: float
    reported_ms: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        """The repeat in the middle."""
        return median(self.reported_ms)

    @property
    def error_ms(self) -> float:
        """Reported less theory."""
        return self.median_ms - self.theory_ms

    @property
    def holds(self) -> bool:
        """Whether the report is as accurate as promised."""
        return abs(self.error_ms) <= max(TOLERANCE * self.theory_ms, TOLERANCE_MS)


def percentile(values: Sequence[float], p: float) -> float:
    """The observed value of rank ceil(p*n), as the generator reports it."""
    return sorted(values)[math.ceil(p * len(values) - 1e-9) - 1]


def frozen_response_ms(
    requests: int, rate: float, delay_ms: float, freeze_ms: float, freeze_at: int
) -> list[float]:
    """
    The response time of each arrival at a server with one connection that freezes once.

    Arrivals come every 1/rate and are served one after another. The answer to number *freeze_at*
    (from 1) comes when the freeze, which began with its arrival, is over; the x-th second after it
    finds a wait of freeze - x * (1 - rate * delay).
    """
    times, free_ms = [], 0.0
    for number in range(1, requests + 1):
        due_ms = (number - 1) / rate * 1e3
        begun_ms = max(due_ms, free_ms)
        free_ms = begun_ms + (freeze_ms if number == freeze_at else delay_ms)
        times.append(free_ms - due_ms)
    return times


def cases() -> list[Case]:
    """The three servers, under both loops where that makes a difference."""
    delay, fast, slow = 100.0, 100.0, 300.0
    constant = [delay] * 400
    bimodal = [slow if n % 10 == 0 else fast for n in range(1, 401)]
    even = ("--rate", "80", "--requests", "400")
    two = ("--delay", f"{fast}ms", "--slow", f"{slow}ms", "--slow-every", "10")
    return [
        Case(
            "constant, 8 clients",
            ("--delay", f"{delay}ms"),
            ("--clients", "8", "--requests", "400"),
            constant,
            constant,
        ),
        Case("constant, 80/s", ("--delay", f"{delay}ms"), even, constant, constant),
        Case("bimodal, 80/s", ("--mode", "bimodal", *two), even, bimodal, bimodal),
        frozen_case(),
    ]


def frozen_case() -> Case:
    """A server that is busy for four fifths of the time, and stands still for 2 s in between."""
    rate, delay, freeze, freeze_at, requests = 8.0, 100.0, 2000.0, 50, 375
    return Case(
        f"2 s freeze, {rate:g}/s",
        ("--mode", "freeze", "--delay", f"{delay}ms", "--freeze", f"{freeze}ms",
         "--freeze-at", str(freeze_at + round(WARMUP_S * rate))),
        ("--rate", f"{rate:g}", "--requests", str(requests), "--max-connections", "1"),
        frozen_response_ms(requests, rate, delay, freeze, freeze_at),
        [freeze if n == freeze_at else delay for n in range(1, requests + 1)],
    )  # fmt: skip


@contextmanager
def stub(flags: Sequence[str]) -> Iterator[str]:
    """Run the server; yields its URL."""
    program = PROGRAMS / "tb_stub"
    with subprocess.Popen([program, *flags], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def measure(case: Case) -> dict[str, Any]:
    """One repeat: the summary of one run against a fresh server."""
    with tempfile.TemporaryDirectory() as folder, stub(case.stub) as url:
        image = Path(folder) / "small.jpg"
        image.write_bytes(bytes(1000))  # the bytes do not matter here, and copying them takes time
        command = [str(PROGRAMS / "triton_bench"), "--url", url, "--image", str(image),
                   "--body", "raw", "--warmup", f"{WARMUP_S}s", "--json", "--quiet",
                   *case.load]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise AccuracyError(
            f"{case.name}: triton_bench ended with {done.returncode}: {done.stderr}"
        )
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def compare(case: Case, summaries: Sequence[dict[str, Any]]) -> list[Row]:
    """The reported percentiles of all repeats beside those of theory."""
    rows = []
    for time, theory in (("response", case.response_ms), ("service", case.service_ms)):
        for name, p in PERCENTILES.items():
            reported = tuple(summary[f"{time}_ms"][name] for summary in summaries)
            if None in reported:
                raise AccuracyError(f"{case.name}: no {time} {name} was reported")
            rows.append(Row(case.name, time, name, percentile(theory, p), reported))
    return rows


def table(rows: Sequence[Row], repeats: int) -> str:
    """The rows as Markdown."""
    lines = [
        f"Reported is the median of {repeats} repeats; spread is from the lowest to the highest.",
        "",
        "| case | time | | theory ms | reported ms | error ms | error | spread ms | holds |",
        "|---|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        spread = max(row.reported_ms) - min(row.reported_ms)
        lines.append(
            f"| {row.case} | {row.time} | {row.percentile.upper()} | {row.theory_ms:.3f} "
            f"| {row.median_ms:.3f} | {row.error_ms:+.3f} | {row.error_ms / row.theory_ms:+.2%} "
            f"| {spread:.3f} | {'yes' if row.holds else 'NO'} |"
        )
    return "\n".join(lines)


def floor(rows: Sequence[Row]) -> str:
    """
    What a request costs beyond the server's delay, and for which delays 1 % can be kept.

    The wire and the waking of both programs are in every answer and are no mistake of the report,
    but theory leaves them out. The delays of the cases are long enough for that.
    """
    ms = median(row.error_ms for row in rows if row.percentile == "p50" and row.time == "service")
    return (
        f"A request costs {ms:.2f} ms beyond the delay on this machine (wire and wake-ups): "
        f"{TOLERANCE:.0%} can be kept for delays over {ms / TOLERANCE:.0f} ms."
    )


def go_ahead() -> str:
    """
    Let what is measured here go before other programs, where that is allowed.

    This is a check of the instrument, not of how busy the machine is. Campaigns do not do it.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    except (AttributeError, OSError):
        return "with the priority of any program: other load is part of the errors"
    return "at real-time priority: other load is kept out as far as can be"


def main() -> int:
    """Measure all cases in turn, repeat by repeat, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.components.accuracy",
        description="Compare what triton_bench reports with what the server is known to do.",
        epilog="example: .venv/bin/python -m benchmarks.components.accuracy --repeats 5",
    )
    parser.add_argument("--repeats", type=int, default=3, help="of each case (default: 3)")
    repeats = max(parser.parse_args().repeats, 1)
    ahead = go_ahead()
    found: dict[str, list[dict[str, Any]]] = {case.name: [] for case in cases()}
    for repeat in range(1, repeats + 1):
        for case in cases():
            print(f"repeat {repeat} of {repeats}: {case.name}", file=sys.stderr)
            found[case.name].append(measure(case))
    rows = [row for case in cases() for row in compare(case, found[case.name])]
    print(table(rows, repeats))
    print(f"\nServer and generator ran {ahead}.\n{floor(rows)}")
    missed = sum(not row.holds for row in rows)
    bound = f"{TOLERANCE:.0%} or {TOLERANCE_MS * 1e3:.0f} us"
    print(f"\n{len(rows) - missed} of {len(rows)} hold: within {bound} of theory")
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (AccuracyError, OSError) as error:
        print(f"accuracy: {error}; `make build` builds what it runs", file=sys.stderr)
        sys.exit(2)
