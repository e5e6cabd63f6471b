"""
A run: every visit of a campaign, in the recorded order, each one kept as soon as it is complete.

Whatever ends the run early (Ctrl-C, kill, a service that dies, a full disk), the repeats that were
completed stay, no process stays, and `windtunnel run --resume` makes those that are missing.
"""

import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import generator, metrics, snapshot, targets
from benchmarks.environments import ROOT
from benchmarks.generator import GeneratorError
from benchmarks.lineup import Lineup, target
from benchmarks.plan import Clock, Pinning, Prepared
from benchmarks.processes import RunError
from benchmarks.profiles.visits import ProfileVisits
from benchmarks.progress import Display
from benchmarks.record import FORMAT, METRICS, SAMPLES, TOOL, Visit, level_title
from benchmarks.recorder import Recorder, disk_full, explained, has_room, now, run_name
from benchmarks.signals import signals_ignored, stopped_by_signals
from benchmarks.slowest import slowest
from benchmarks.snapshot import Taken
from benchmarks.triton.statistics import Statistics
from benchmarks.usage import Meter, edges_ns, nothing
from benchmarks.variants import Target
from loadtests.samples import SamplesError

ATTEMPTS = 2


class StoppedError(RunError):
    """A run that had begun and could not go on."""


def create(
    prepared: Prepared, results: Path, seed: int, pinning: Pinning, facts: dict[str, Any]
) -> Recorder:
    """Begin a record: all that is known before the first visit."""
    campaign = prepared.campaign
    order = [v for v in campaign.order(seed) if v.variant not in prepared.left_out]
    name = run_name()
    run = {
        "format": FORMAT,
        "tool": TOOL,
        "run": name,
        "status": "running",
        "started": now(),
        "finished": None,
        "campaign": {**campaign.as_dict(), "seed": seed},
        "order": [[v.variant, v.level, v.repeat] for v in order],
        **facts,
        "pinning": pinning.as_dict(),
        "services": {},
        "left_out": prepared.left_out,
        "resumed": [],
    }
    return Recorder(results / campaign.name / name, run)


class Run:
    """The visits that are missing from a record, made one after the other."""

    def __init__(
        self,
        prepared: Prepared,
        recorder: Recorder,
        pinning: Pinning,
        checkout: Path,
        display: Display,
        metrics_addr: str | None = None,
    ) -> None:
        self._campaign, self._pinning = prepared.campaign, pinning
        self._recorder, self._display = recorder, display
        self._metrics_addr = metrics_addr
        self._program = generator.program(ROOT, self._campaign.generator)
        self._images = ROOT / self._campaign.images
        logs = recorder.path / "logs"
        found = {
            name: target(prepared, name, logs, checkout, pinning.service)
            for name in recorder.record.variants
        }
        self._lineup = Lineup(found, self._campaign.restart)
        self._order = recorder.record.order()
        self._clock = Clock(self._campaign)
        self._profiles = ProfileVisits(
            self._campaign, recorder, self._lineup, pinning.generator, display
        )

    def execute(self) -> None:
        """Make every missing visit, then the missing profiles; the record says how it ended."""
        kept = self._recorder.record
        missing = kept.missing()
        profiles = kept.missing_profiles(self._campaign.profiled())
        rest, status = [*missing, *profiles], "interrupted"
        try:
            with stopped_by_signals():
                for index, visit in enumerate(rest):
                    self._start_for(visit, rest[index:])
                    if visit in profiles:
                        self._profiles.take(visit, rest[index:], self._clock)
                    else:
                        self._visit(visit, rest[index:])
            status = "complete"
        except RunError as error:
            raise StoppedError(str(error)) from error
        finally:
            self._end(status)

    def _end(self, status: str) -> None:
        """Stop what runs, then write how it ended; a signal meanwhile changes nothing."""
        with signals_ignored():
            self._display.working("stopping the services")
            with suppress(RunError):
                self._forget_targets()
            self._lineup.stop()
            # On a full disk the status stays "running", which means the same to --resume.
            with suppress(RunError):
                finished = now() if status == "complete" else None
                self._recorder.save(status=status, finished=finished)

    def _start_for(self, visit: Visit, rest: list[Visit]) -> None:
        started, seconds = self._lineup.prepare(visit, rest, self._display.working)
        if not started:
            return
        seconds += self._show_targets(started)
        self._clock.saw_start(seconds, sum(bool(target.pids) for target in started))
        known = self._recorder.record.run["services"]
        new = {target.name: target.facts() for target in started if target.name not in known}
        if new:
            self._recorder.save(services={**known, **new})

    def _show_targets(self, up: list[Target]) -> float:
        """Tell Prometheus what is up, where the campaign says so; how long it took to see it."""
        watched = self._campaign.prometheus
        if not watched or not watched.targets:
            return 0.0
        began = time.monotonic()
        found = targets.groups(up, self._metrics_addr)
        targets.write(ROOT / watched.targets, found)
        self._display.working("waiting for Prometheus to see them")
        if problem := snapshot.await_targets(watched, targets.addresses(found)):
            self._display.say(f"Prometheus does not see all: {problem}")
        return time.monotonic() - began

    def _forget_targets(self) -> None:
        """Nothing will be up any more."""
        watched = self._campaign.prometheus
        if watched and watched.targets:
            targets.write(ROOT / watched.targets, [])

    def _visit(self, visit: Visit, rest: list[Visit]) -> None:
        position = self._order.index(visit) + 1
        self._display.visit(visit, position, lambda running_s: self._clock.left_s(rest, running_s))
        began = time.monotonic()
        try:
            facts = self._measure_twice_at_most(visit, position)
            self._recorder.commit(visit, facts)
        except BaseException:
            self._recorder.discard(visit)
            raise
        self._clock.saw_visit(time.monotonic() - began)
        self._display.done(visit, position, facts)

    def _measure_twice_at_most(self, visit: Visit, position: int) -> dict[str, Any]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._measure(visit, position)
            except GeneratorError as error:
                if not has_room(self._recorder.path):
                    raise RunError(f"{disk_full(self._recorder.path)}; {error}") from error
                if attempt == ATTEMPTS:
                    where = f"{visit.variant}, {level_title(visit.level)}, repeat {visit.repeat}"
                    raise RunError(f"{where}: not measured, {attempt} times: {error}") from error
                self._display.say(f"not measured, once more: {error}")
        raise AssertionError("unreachable")

    def _measure(self, visit: Visit, position: int) -> dict[str, Any]:
        """One visit, from an empty folder to the facts of its cell.json."""
        started, began = now(), time.monotonic()
        folder = self._recorder.begin(visit)
        statistics = self._statistics(visit)
        summary, meter = self._load(visit, folder / SAMPLES, statistics)
        if not (folder / SAMPLES).exists():
            raise GeneratorError("the generator wrote no samples; expected one row a request")
        wall_s = round(time.monotonic() - began, 3)
        taken = self._snapshot(summary["window"])
        readings = self._write(folder / METRICS, statistics, taken)
        ratio = self._campaign.trace_ratio_of(self._campaign.services[visit.variant])
        return {
            "format": FORMAT,
            "variant": visit.variant,
            "level": visit.level,
            "repeat": visit.repeat,
            "position": position,
            "started": started,
            "wall_s": wall_s,
            "generator": summary,
            **meter.over(summary["window"]),
            "metrics": readings,
            "slowest": _slowest(folder / SAMPLES, ratio),
            "prometheus": taken.facts() if taken else None,
        }

    def _snapshot(self, window: dict[str, int]) -> Taken | None:
        """What Prometheus saw in the measured window, if the campaign has one."""
        if not self._campaign.prometheus:
            return None
        taken = snapshot.take(self._campaign.prometheus, *edges_ns(window))
        if taken.error:
            self._display.say(f"no whole snapshot of Prometheus: {taken.error}")
        return taken

    def _write(
        self, path: Path, statistics: Statistics | None, taken: Taken | None
    ) -> dict[str, Any] | None:
        """Write metrics.parquet, if there is anything for it; says how Triton's readings went."""
        rows = taken.rows if taken else []
        with explained(self._recorder.path):
            if statistics:
                return statistics.write(path, rows)
            if rows:
                metrics.write(path, rows)
        return None

    def _statistics(self, visit: Visit) -> Statistics | None:
        """A reader of the Triton that the variant uses, if it uses one."""
        addresses = self._lineup.targets[visit.variant].statistics
        return Statistics(*addresses) if addresses else None

    def _load(
        self, visit: Visit, samples: Path, statistics: Statistics | None
    ) -> tuple[dict[str, Any], Meter]:
        """Run the generator against the visited variant."""
        target, campaign = self._lineup.targets[visit.variant], self._campaign
        arguments = generator.arguments(
            campaign,
            visit,
            target.url,
            run=self._recorder.record.run_id,
            images=self._images,
            seed=self._seed(visit),
            samples=samples,
            metrics_addr=self._metrics_addr,
        )
        also = (lambda _meter: statistics.read()) if statistics else nothing
        return generator.measure(
            [str(self._program), *arguments],
            campaign.longest_s + campaign.timeout_s,
            target.pids,
            self._display.show,
            self._lineup.check,
            cpus=self._pinning.generator,
            also=also,
        )

    def _seed(self, visit: Visit) -> int:
        """One seed a block: all its variants are sent the same images in the same order."""
        drawn = random.Random(
            f"{self._recorder.record.campaign['seed']} {visit.level} {visit.repeat}"
        )
        return drawn.getrandbits(31)


def _slowest(path: Path, trace_ratio: float) -> list[dict[str, Any]]:
    """The slowest requests; samples that cannot be read are no measurement."""
    try:
        return slowest(path, trace_ratio)
    except SamplesError as error:
        raise GeneratorError(str(error)) from error
