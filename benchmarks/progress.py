"""
What a person sees of a run: on a terminal a live line under the finished visits, elsewhere one
plain line for each repeat.

The numbers are the generator's, for watching; the analysis computes its own from the samples.
"""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from benchmarks.plan import duration
from benchmarks.record import Visit, level_title

Remaining = Callable[[float], float]


class Display:
    """Shows one run. Outside a terminal `show` is silent."""

    def __init__(self, title: str, visits: Sequence[Visit], console: Console | None = None) -> None:
        self._title = title
        # The columns are as wide as what will be in them: a line has to fit into a terminal.
        self._planned = len(visits)
        self._levels = max((len(level_title(visit.level)) for visit in visits), default=0)
        self._variants = max((len(visit.variant) for visit in visits), default=0)
        self._console = console or Console(highlight=False, soft_wrap=True, markup=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._heading = ""
        self._remaining: Remaining | None = None  # nobody knows how long a start takes
        self._began = time.monotonic()

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text)

    def working(self, text: str) -> None:
        """What happens between visits."""
        self._heading, self._remaining = text, None
        self._draw()

    def visit(self, visit: Visit, position: int, remaining: Remaining) -> None:
        """A visit begins."""
        self._begin(self._place(visit, position), remaining)

    def show(self, progress: dict[str, Any]) -> None:
        """The generator's live numbers."""
        total = progress.get("total_s") or 0
        done = min(1.0, (progress.get("elapsed_s") or 0) / total) if total else 0.0
        phase = "warm-up" if progress.get("phase") == "warmup" else progress.get("phase", "")
        numbers = [
            f"{phase:7}",
            f"{_number(progress.get('rps')):>4} req/s",
            f"P50 {_number(progress.get('p50_ms')):>4} ms",
            f"P99 {_number(progress.get('p99_ms')):>4} ms",
            f"{progress.get('errors') or 0} failed",
        ]
        self._draw("   ".join(numbers), done)

    def profile(self, visit: Visit, remaining: Remaining) -> None:
        """A visit begins that is profiled and not measured."""
        self._begin(["profile", level_title(visit.level), visit.variant], remaining)

    def _begin(self, place: list[str], remaining: Remaining) -> None:
        self._heading, self._remaining = "   ".join(place), remaining
        self._began = time.monotonic()
        self._draw("warm-up")

    def profiled(self, visit: Visit, facts: dict[str, Any]) -> None:
        """A profile has been taken: one line for it."""
        parts = [
            "profile",
            f"{level_title(visit.level):>{self._levels}}",
            f"{visit.variant:<{self._variants}}",
            f"{facts['samples']} samples",
            f"{facts['errors']} unreadable",
        ]
        if not self._console.is_terminal:
            parts.append(self._left())
        self.say("  ".join(parts))

    def done(self, visit: Visit, position: int, facts: dict[str, Any]) -> None:
        """A visit has been measured: one line for it."""
        summary = facts["generator"]
        counts = summary.get("measured") or {}
        failed = sum(counts.get(k) or 0 for k in counts if k not in ("issued", "ok"))
        response = summary.get("response_ms") or {}
        number, repeat, level, variant = self._place(visit, position)
        parts = [
            f"{number:>{2 * len(str(self._planned)) + 1}}",
            repeat,
            f"{level:>{self._levels}}",
            f"{variant:<{self._variants}}",
            f"{_number(summary.get('throughput_rps')):>4} req/s",
            *(f"{p.upper()} {_milliseconds(response.get(p))}" for p in ("p50", "p95", "p99")),
            f"{counts.get('ok', 0)} ok",
        ]
        # A log always has this column; on a terminal of 100 columns there is no room for a zero.
        if failed or not self._console.is_terminal:
            parts.append(f"{failed} failed")
        if not self._console.is_terminal:
            parts.append(self._left())
        self.say("  ".join(parts))

    def _place(self, visit: Visit, position: int) -> list[str]:
        repeat = f"repeat {visit.repeat}"
        return [f"{position}/{self._planned}", repeat, level_title(visit.level), visit.variant]

    def _left(self) -> str:
        if self._remaining is None:
            return ""
        return f"about {duration(self._remaining(time.monotonic() - self._began))} left"

    def _draw(self, numbers: str = "", done: float = 0.0) -> None:
        if not self._console.is_terminal:
            return
        heading = "   ".join(filter(None, (self._title, self._heading, self._left())))
        line = Table.grid(padding=(0, 2))
        if numbers:
            line.add_row(ProgressBar(total=1.0, completed=done, width=20), Text(numbers))
        # No thread that redraws: it would take time from what is measured.
        self._live.update(Group(Text(heading, style="bold"), line), refresh=True)


def _number(value: float | None) -> str:
    """Three digits that matter; a dash for what was not measured."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{_number(value):>4} ms"
