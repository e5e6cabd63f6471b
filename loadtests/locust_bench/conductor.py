"""
The process that decides for a run: when it is measured and ends, and what is made of the parts.
"""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from time import monotonic_ns
from typing import Any

import gevent
from locust.runners import MasterRunner
from locust.stats import calculate_response_time_percentile, diff_response_time_dicts

from loadtests.locust_bench import gather, report
from loadtests.locust_bench import options as opts
from loadtests.locust_bench.footer import footers_in
from loadtests.locust_bench.gauge import cpu_s
from loadtests.locust_bench.merge import BrokenError, Step
from loadtests.locust_bench.options import Options
from loadtests.locust_bench.run import FOREVER, RUN, Orders, part_name
from loadtests.locust_bench.summary import Facts
from loadtests.locust_bench.tally import Tally, together
from loadtests.payloads import image_files
from loadtests.samples import Window

STOP = "windtunnel_stop"
PATIENCE_S = 60.0


class Conductor:
    """One run after the other: the web page may start several."""

    orders: Orders
    options: Options

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._runner = environment.runner
        self._distributed = isinstance(self._runner, MasterRunner)
        self._workers: set[str] = set()
        self._gathering: gevent.Greenlet | None = None
        self._number = 0
        self._images: list[str] = []
        self._clients = 0
        self._stopping_ns = 0
        self._folder: Path | None = None  # of the parts, while there is one
        self._told: dict[str, Tally] = {}  # by workers, of what they have counted
        self._cpu_s = self._began_s = 0.0  # CPU of this process, and when, as the run began
        self.running = self.interrupted = False
        self.broken = ""
        self.steps: list[Step] = []

    def decide(self) -> Orders:
        """When the warm-up ends and when all, and where the parts go."""
        self.options = options = opts.read(self._environment.parsed_options)
        shape = self._environment.shape_class
        t0_ns = monotonic_ns()
        warmup_s = shape.warmup_s if shape else options.warmup_s
        measure_ns = t0_ns + round(warmup_s * 1e9)
        where = options.samples.parent if options.samples else None
        name = options.samples.name if options.samples else "locust"
        try:
            folder = tempfile.mkdtemp(prefix=f".{name}.", suffix=".parts", dir=where)
        except OSError as error:
            raise BrokenError(
                f"{where or tempfile.gettempdir()}: cannot be written ({error.strerror});"
                " expected a folder with room"
            ) from error
        self._folder = Path(folder)
        self._images = [file.name for file in image_files(options.images, options.limit)]
        self._number += 1
        end_ns = FOREVER if shape else self._planned_end_ns(t0_ns, measure_ns)
        self.orders = Orders(folder, t0_ns, time.time_ns(), measure_ns, end_ns)
        self.steps = [Step("", 0, t0_ns, measure_ns)]
        if shape:
            self.steps = shape.begin(t0_ns)
        return self.orders

    def _planned_end_ns(self, t0_ns: int, measure_ns: int) -> int:
        run_time_s = self._environment.parsed_options.run_time
        if self.options.duration_s:
            return measure_ns + round(self.options.duration_s * 1e9)
        return t0_ns + round(run_time_s * 1e9) if run_time_s else FOREVER

    def begin(self) -> None:
        """The users are about to start."""
        runner = self._runner
        self.running, self.interrupted, self.broken = True, False, ""
        self._stopping_ns = self._clients = 0
        self._told = {}
        self._cpu_s, self._began_s = cpu_s(), time.monotonic()
        if self._distributed:
            active = runner.clients.ready + runner.clients.running + runner.clients.spawning
            self._workers = {part_name(runner.get_worker_index(each.id)) for each in active}
        gevent.spawn(self._watch)
        if self.options.duration_s and not self._environment.shape_class:
            gevent.spawn(self._end_in_time)

    def _end_in_time(self) -> None:
        """At the end of --duration; alone, also when there are enough requests."""
        orders = self.orders
        gevent.sleep((orders.end_ns - monotonic_ns()) / 1e9)
        while self.running and self.orders is orders:
            now_ns = monotonic_ns()
            if now_ns >= orders.end_ns and (self._distributed or RUN.is_over(now_ns)):
                self._stop_all()
                return
            gevent.sleep(0.01)

    def _stop_all(self) -> None:
        if self._environment.parsed_options.headless:
            self._runner.quit()
        else:
            self._runner.stop()

    def _watch(self) -> None:
        """Each second: a line, and whether the run can go on."""
        orders, folder, total = self.orders, Path(self.orders.folder), self._runner.stats.total
        warmup: dict[int, int] = {}
        before, before_ns = 0, orders.t0_ns
        while True:
            gevent.sleep(1.0 - (monotonic_ns() - orders.t0_ns) / 1e9 % 1.0)
            if not self.running or self.orders is not orders:
                return
            self._clients = max(self._clients, self._runner.target_user_count)
            now_ns, ok = monotonic_ns(), total.num_requests - total.num_failures
            rate, before, before_ns = (ok - before) / (now_ns - before_ns) * 1e9, ok, now_ns
            times = diff_response_time_dicts(total.response_times, warmup)
            if now_ns < orders.measure_ns:
                warmup = dict(total.response_times)
            if self.options.progress == "json":
                print(json.dumps(self._moment(times, rate, now_ns)), file=sys.stderr)
            fault = RUN.fault or (gather.vanished(folder) if self._distributed else None)
            if fault:
                self.broken = self.broken or fault
            if self.broken:
                self._stop_all()
                return

    def _moment(self, times: dict[int, int], rate: float, now_ns: int) -> dict[str, Any]:
        """The keys of triton_bench's lines; the numbers are Locust's own, good enough to watch."""
        orders, count = self.orders, sum(times.values())
        p50, p99 = (
            calculate_response_time_percentile(times, count, p) if count else None
            for p in (0.50, 0.99)
        )
        total_s = (max(orders.end_ns, min(now_ns, RUN.end_ns)) - orders.t0_ns) / 1e9
        return {
            "elapsed_s": (now_ns - orders.t0_ns) / 1e9,
            "total_s": None if orders.end_ns == FOREVER else total_s,
            "phase": "warmup" if now_ns < orders.measure_ns else "measure",
            "rps": rate,
            "p50_ms": p50,
            "p99_ms": p99,
            "errors": self._runner.stats.total.num_failures,
            "in_flight": self._runner.user_count,  # each user waits for one answer
        }

    def told(self, worker: str, t0_ns: int, tally: Tally) -> None:
        """A worker reports; what it has of the run before is over."""
        if self._number and t0_ns == self.orders.t0_ns:
            self._told[worker] = tally

    def tally(self) -> Tally:
        """What all processes have counted, since the run began."""
        own = RUN.tally()
        if self._distributed and self._began_s:  # a master has no users: its RUN never begins
            own.cpu_s = cpu_s() - self._cpu_s
        return together([own, *self._told.values()])

    def is_measuring(self) -> bool:
        """Whether what is due now is measured."""
        if not self.running or self._stopping_ns:
            return False
        now_ns = monotonic_ns()
        return any(step.measure_ns <= now_ns < step.end_ns for step in self.steps)

    def clients(self) -> int | None:
        """How many users there are to be."""
        given = self._environment.parsed_options
        return self._runner.target_user_count or self._clients or given.num_users

    def stopping(self) -> None:
        """Whatever the reason, from now on nothing new is sent."""
        self._stopping_ns = self._stopping_ns or monotonic_ns()
        self._clients = max(self._clients, self._runner.target_user_count)

    def hurry(self) -> None:
        """Workers too are to censor what is in flight."""
        if self.running and self._distributed:
            self._runner.send_message(STOP, 0)

    def stopped(self) -> None:
        """All users of this process are gone; a master tells its workers so next, and waits."""
        if not self.running:
            return
        self.running = False
        if self._distributed:
            self._gathering = gevent.spawn(self._gather)
        else:
            self._finish()

    def join(self) -> None:
        """Wait until the samples are there."""
        if self._gathering is not None:
            self._gathering.join()

    def _gather(self) -> None:
        patience_s = self._environment.stop_timeout + PATIENCE_S
        problem = gather.wait(Path(self.orders.folder), self._workers, patience_s)
        self.broken = self.broken or problem or ""
        self._finish()

    def _finish(self) -> None:
        """Samples and summary of the parts, or why there are none."""
        footers = footers_in(Path(self.orders.folder)).values()
        faults = (footer.fault for footer in footers if footer.fault)
        self.broken = self.broken or next(faults, RUN.fault)
        try:
            if not self.broken:
                self._end_steps(max((footer.last_due_ns for footer in footers), default=0))
                report.make(self.options, self.orders, self._images, self.steps, self._facts())
        except BrokenError as error:
            self.broken = str(error)
        self.give_up(self.broken)

    def give_up(self, broken: str) -> None:
        """Leave no parts, and say what is wrong, if anything is."""
        self.running, self.broken = False, broken
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        if broken:
            print(f"locust: {broken}", file=sys.stderr)

    def _end_steps(self, last_due_ns: int) -> None:
        """When was measured, as it came about: what is stopped early ends with its last request."""
        shape = self._environment.shape_class
        if shape:
            self.interrupted = not shape.is_through
        else:
            distributed = self._distributed
            end_ns = self.orders.end_ns if distributed else RUN.planned_end_ns(self._stopping_ns)
            # Locust's --run-time is counted from a moment before the users start.
            slack_ns = 0 if self.options.duration_s else 1_000_000_000
            self.interrupted = end_ns != FOREVER and self._stopping_ns < end_ns - slack_ns
            self.steps[-1].end_ns = end_ns
        latest_ns = max(self._stopping_ns, last_due_ns + 1)
        for step in self.steps:
            step.end_ns = max(step.measure_ns, min(step.end_ns, latest_ns))

    def _facts(self) -> Facts:
        orders = self.orders
        # A locustfile of somebody else's may have users of other kinds, which leave no rows.
        classes = [each for each in self._environment.user_classes if hasattr(each, "paths")]
        paths = {path for each in classes for path in each.paths(self.options)}
        begin, end = self.steps[0].measure_ns, self.steps[-1].end_ns
        return Facts(
            number=self._number,
            host=self._environment.host,
            paths=sorted(paths),
            clients=self._clients,
            images=len(self._images),
            t0_ns=orders.t0_ns,
            window=Window(orders.start_unix_ns, begin - orders.t0_ns, end - orders.t0_ns),
            wall_s=time.monotonic() - self._began_s,
            master_cpu_s=cpu_s() - self._cpu_s if self._distributed else 0.0,
            interrupted=self.interrupted,
            has_steps=self._environment.shape_class is not None,
        )
