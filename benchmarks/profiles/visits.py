"""
The visits of a run that are profiled: one for each cell that the campaign's `[profile]` names, when
all repeats have been measured, so that no measurement has a profiler beside it.
"""

import dataclasses
import random
from typing import Any

from benchmarks.campaign import Campaign
from benchmarks.environments import ROOT
from benchmarks.generator import GeneratorError
from benchmarks.lineup import Lineup
from benchmarks.plan import Clock
from benchmarks.processes import RunError
from benchmarks.profiles import sampler, taken
from benchmarks.profiles.options import Options
from benchmarks.profiles.sampler import ProfileError
from benchmarks.profiles.taken import Load, Watcher
from benchmarks.progress import Display
from benchmarks.record import STACKS, Visit, level_title
from benchmarks.recorder import Recorder, disk_full, has_room

ATTEMPTS = 2


class ProfileVisits:
    """Takes the profiles of a run into its record."""

    def __init__(
        self,
        campaign: Campaign,
        recorder: Recorder,
        lineup: Lineup,
        cpus: tuple[int, ...] | None,
        display: Display,
    ) -> None:
        self._options = campaign.profile.options if campaign.profile else Options()
        # Its length is the profile's, whatever a measured repeat waits for.
        seconds = taken.load_s(self._options)
        self._campaign = dataclasses.replace(campaign, duration_s=seconds, min_requests=None)
        self._recorder, self._lineup, self._cpus = recorder, lineup, cpus
        self._display = display
        self._noted: set[str] = set()

    def take(self, visit: Visit, rest: list[Visit], clock: Clock) -> None:
        """Profile a cell whose service is up: it is in the record afterwards, or a NOTE is said."""
        self._display.profile(visit, lambda running_s: clock.left_s(rest, running_s))
        try:
            facts = self._twice_at_most(visit)
        finally:
            self._recorder.discard_profile(visit)
        if facts is None:
            return
        self._display.profiled(visit, facts)
        for note in taken.notes(facts):
            self._display.say(f"NOTE: {visit.variant}: {note}")

    def _twice_at_most(self, visit: Visit) -> dict[str, Any] | None:
        """A profile is no reason to give up a run whose repeats have all been measured."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._take(visit)
            except (GeneratorError, ProfileError) as error:
                self._lineup.check()  # a service that has ended is a reason
                if not has_room(self._recorder.path):
                    raise RunError(f"{disk_full(self._recorder.path)}; {error}") from error
                again = "once more" if attempt < ATTEMPTS else "and left out"
                where = f"{visit.variant}, {level_title(visit.level)}"
                self._display.say(f"NOTE: {where}: not profiled, {again}: {error}")
        return None

    def _take(self, visit: Visit) -> dict[str, Any]:
        target = self._lineup.targets[visit.variant]
        pid = target.pids[0]  # of the service; what its Triton does is not Python of ours
        self._note_threads(visit.variant, pid)
        folder = self._recorder.begin_profile(visit)
        stacks = folder / f"stacks{STACKS}"
        facts = taken.take(
            self._load(visit, target.url),
            self._options,
            stacks,
            "collapsed",
            pid,
            self._cpus,
            Watcher(self._display.show, self._lineup.check),
            variant=visit.variant,
            level=visit.level,
        )
        self._recorder.commit_profile(visit, stacks, facts)
        return facts

    def _load(self, visit: Visit, url: str) -> Load:
        """The same images in the same order for all services of a level."""
        kept = self._recorder.record
        drawn = random.Random(f"{kept.campaign['seed']} {visit.level} profile")
        images = ROOT / self._campaign.images
        return Load(self._campaign, visit, url, kept.run_id, drawn.getrandbits(31), images)

    def _note_threads(self, variant: str, pid: int) -> None:
        note = sampler.threads_note(pid, self._options)
        if note and variant not in self._noted:
            self._noted.add(variant)
            self._display.say(f"NOTE: {variant}: {note} ([profile] nonblocking = true)")
