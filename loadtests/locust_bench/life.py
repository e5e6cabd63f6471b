"""
The life of a run at Locust's events: options, start, a line a second, the end, samples and summary.

A process that is alone and a master decide for all (`Conductor`); whoever has users fills a part.
Workers are told by Locust's own messages, which arrive in order with its "spawn" and "quit".
"""

import logging
import signal
import sys
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

import gevent
from locust import runners
from locust.exception import StopTest
from locust.runners import STATE_INIT, MasterRunner, WorkerRunner

from loadtests import labels
from loadtests.locust_bench import options as opts
from loadtests.locust_bench.conductor import STOP, Conductor
from loadtests.locust_bench.exporter import AddressError, Exporter
from loadtests.locust_bench.merge import BrokenError
from loadtests.locust_bench.run import RUN, Orders
from loadtests.locust_bench.tally import packed, unpacked
from loadtests.payloads import PayloadError

DEFAULT_HOST = "http://127.0.0.1:9600"
USAGE_STATUS = 2
INTERRUPTED_STATUS = 130

log = logging.getLogger(__name__)


class Life:
    """The listeners of this process."""

    def __init__(self, default_class: str) -> None:
        self._default_class = default_class
        self._conductor: Conductor | None = None
        self._exporter: Exporter | None = None

    def listen(self, events: Any) -> None:
        """Before Locust's own listeners are there, so that ours are asked last when it ends."""
        events.init_command_line_parser.add_listener(opts.add_to)
        events.init.add_listener(self.init)
        events.test_start.add_listener(self.test_start)
        events.test_stopping.add_listener(self.test_stopping)
        events.test_stop.add_listener(self.test_stop)
        events.request.add_listener(self.request)
        events.quitting.add_listener(self.quitting_last)
        events.report_to_master.add_listener(self.report_to_master)
        events.worker_report.add_listener(self.worker_report)
        # For a line a second; Locust's own is three.
        runners.WORKER_REPORT_INTERVAL = 1.0

    def init(self, environment: Any, runner: Any, **_: Any) -> None:
        """Refuse what cannot work before anything starts."""
        gevent.signal_handler(signal.SIGINT, self._interrupt, environment)
        # Locust says itself why it stopped; gevent would add a traceback.
        gevent.get_hub().NOT_ERROR += (StopTest,)
        # Its clock stood still while modules were loaded; --run-time would end so much too early.
        gevent.get_hub().loop.update_now()
        environment.events.quitting.add_listener(self.quitting_first)
        if isinstance(runner, WorkerRunner):
            runner.register_message(STOP, self._told_to_stop)
            return
        given = environment.parsed_options
        opts.make_absolute(given)
        problem = opts.problem(given, distributed=isinstance(runner, MasterRunner))
        if problem:
            print(f"locust: {problem}", file=sys.stderr)
            sys.exit(USAGE_STATUS)
        environment.host = environment.host or DEFAULT_HOST
        # A user who is stopped may have the time that a request has; Ctrl-C takes it away.
        environment.stop_timeout = environment.stop_timeout or given.timeout_s
        if not given.user_classes and not given.class_picker:
            named = environment.available_user_classes
            chosen = [named[self._default_class]] if self._default_class in named else []
            environment.user_classes[:] = chosen or environment.user_classes
        self._conductor = Conductor(environment)
        if given.metrics_addr:
            self._serve(given, self._conductor)

    def _serve(self, given: Any, conductor: Conductor) -> None:
        try:
            self._exporter = Exporter(given.metrics_addr, conductor, labels.read(given.labels))
        except AddressError as error:
            print(f"locust: {error}", file=sys.stderr)
            sys.exit(USAGE_STATUS)
        log.info("metrics: %s", self._exporter.url)

    def test_start(self, environment: Any, **_: Any) -> None:
        """The first of all: decide, and open the part."""
        try:
            self._start(environment)
        except (BrokenError, PayloadError, OSError) as error:
            if self._conductor:
                self._conductor.give_up(str(error))
            raise StopTest(str(error)) from error

    def _start(self, environment: Any) -> None:
        runner, given = environment.runner, environment.parsed_options
        if self._conductor:
            if problem := opts.no_address(environment.host, given.path):  # the page may change it
                raise BrokenError(problem)
            split_host(environment)
            given.windtunnel = asdict(self._conductor.decide())
        if not isinstance(runner, MasterRunner):
            worker = runner.worker_index if isinstance(runner, WorkerRunner) else None
            RUN.begin(given, Orders(**given.windtunnel), worker)
        if self._conductor:
            self._conductor.begin()

    def request(self, context: dict[str, Any], response: Any, exception: Any, **_: Any) -> None:
        """An answer, or why there is none; requests that are not ours have no exchange."""
        exchange = context.get("exchange")
        if exchange is not None:
            exchange.part.answered(exchange, response, exception)

    def test_stopping(self, **_: Any) -> None:
        """No user begins anything more."""
        if self._conductor:
            self._conductor.stopping()

    def test_stop(self, **_: Any) -> None:
        """The users of this process are gone; a master's workers may still have some."""
        RUN.finish()
        if self._conductor:
            self._conductor.stopped()

    def quitting_first(self, environment: Any, **_: Any) -> None:
        """Ctrl-C or a kill in mid-run: those in flight are censored, at the workers too."""
        if self._conductor:
            self._conductor.hurry()
        environment.stop_timeout = 0.0
        if RUN.active:
            environment.runner.stop()

    def quitting_last(self, environment: Any, **_: Any) -> None:
        """The master has told its workers to quit: wait for their parts."""
        if not self._conductor:
            return
        self._conductor.join()
        if self._exporter:
            self._exporter.close()
        if self._conductor.running:
            self._conductor.give_up("stopped before a worker had users; nothing was measured")
        if self._conductor.broken:
            environment.process_exit_code = 1
        elif self._conductor.interrupted:
            environment.process_exit_code = INTERRUPTED_STATUS

    def _interrupt(self, environment: Any) -> None:
        """
        Ctrl-C, where Locust waits for it.

        Python would raise it wherever it is just then: in a user, whose row would be lost. A master
        that still waits for its workers does not expect it.
        """
        error: BaseException = KeyboardInterrupt()
        idle = self._conductor is not None and not self._conductor.running
        if idle and environment.parsed_options.headless and environment.runner.state == STATE_INIT:
            environment.runner.quit()
            error = SystemExit(INTERRUPTED_STATUS)
        gevent.get_hub().handle_system_error(type(error), error)

    def report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        """A worker adds to what Locust says what is wrong, if anything is."""
        data["windtunnel_fault"] = RUN.fault
        if RUN.is_tallied:
            data["windtunnel_tally"] = RUN.orders.t0_ns, packed(RUN.tally())

    def worker_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        """The master stops for it, and keeps what was counted."""
        if self._conductor and data.get("windtunnel_fault"):
            self._conductor.broken = data["windtunnel_fault"]
        if self._conductor and "windtunnel_tally" in data:
            t0_ns, tally = data["windtunnel_tally"]
            self._conductor.told(client_id, t0_ns, unpacked(tally))

    def _told_to_stop(self, environment: Any, msg: Any, **_: Any) -> None:
        environment.stop_timeout = float(msg.data)


def split_host(environment: Any) -> None:
    """An address with a path is as good as a host and --path."""
    given, parts = environment.parsed_options, urlsplit(environment.host)
    given.path = given.path or opts.path_in(environment.host) or opts.SMALL
    environment.host = f"{parts.scheme}://{parts.netloc}"
