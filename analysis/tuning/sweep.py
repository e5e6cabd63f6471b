"""
What `windtunnel tune` measures, as a campaign: the present settings, and each value of each knob.

Every knob is moved alone from the present settings, which are the reference, so that what differs
is due to it. All variants are visited in the same blocks.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

from analysis.latency import AnalysisError, min_count
from analysis.objective import Objective
from analysis.tuning.knobs import SERVICE, TRITON, Knob, number, same
from analysis.words import enumeration
from benchmarks.campaign import LOCAL_TRACKS
from benchmarks.fields import unknown

PRESENT = "present"
SERVED = "service"  # the one variant of a sweep over clients
Q = 95.0  # the percentile that decides where no objective names one
LIMITS = ("admission", "backlog")  # knobs that show only when more ask than they let in
# So many processes may wait idle beside the one that is measured; more are started one by one.
PROCESSES_AT_ONCE = 16
WARMUP_S = 1.0


def decisive(slo: Objective | None) -> float:
    """The percentile that decides: the objective's, or P95."""
    return slo.q if slo else Q


@dataclass(frozen=True, slots=True)
class Load:
    """How each value is measured; the units are those of a campaign file."""

    clients: tuple[int, ...]
    repeats: int = 5
    duration_s: float = 5.0
    slo: str = ""
    model: str = "nano"
    track: str = "A"
    body: str = "multipart"
    images: str = "loadtests/images"


@dataclass(frozen=True, slots=True)
class Sweep:
    """
    The knobs and their values, from the present settings of a preset.

    `settings` are all settings that the service has, as text; `given` those that the present
    has otherwise than its preset, TRITON_* among them.
    """

    preset: str
    knobs: tuple[tuple[Knob, tuple[str, ...]], ...]
    settings: Mapping[str, str]
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def present(self) -> dict[str, str]:
        """The present settings, with those of the knobs written out where they are known."""
        known = {
            knob.setting: self.settings[knob.setting]
            for knob, _ in self.knobs
            if knob.setting in self.settings
        }
        return {**self.given, **known}

    def steps(self) -> Iterator[tuple[Knob, str]]:
        """Each knob with each of its values, but for the present one."""
        for knob, values in self.knobs:
            now = self.present.get(knob.setting)
            for value in values:
                if now is None or not same(value, now):
                    yield knob, value


def check(sweep: Sweep, load: Load) -> None:
    """AnalysisError for a knob that does not exist, has nothing to do, or has no second value."""
    moved = {knob.setting for knob, _ in sweep.steps()}
    settings = [knob.setting for knob, _ in sweep.knobs]
    for knob, _ in sweep.knobs:
        if knob.setting.startswith(SERVICE) and knob.setting not in sweep.settings:
            raise AnalysisError(unknown("--knob", "setting", knob.setting, sweep.settings))
        if settings.count(knob.setting) > 1:
            raise AnalysisError(
                f"--knob {knob.name}: found twice; expected each knob once; give all its values"
                " in one list"
            )
        if knob.needs_triton and load.track in LOCAL_TRACKS:
            raise AnalysisError(
                f"--knob {knob.name}: track {load.track} asks no Triton, so it changes nothing"
                " there; expected a track of Triton; add --track D (or B, C)"
            )
        if knob.setting not in moved:
            raise AnalysisError(
                f"--knob {knob.name}: found only the present value"
                f" {knob.from_setting(sweep.present[knob.setting])}; expected another to compare"
                " it with; add one"
            )


def notes(sweep: Sweep, load: Load) -> Iterator[str]:
    """What cannot show under this load."""
    most = max(load.clients)
    for knob, values in sweep.knobs:
        limits = [number(value) for value in (*values, sweep.present.get(knob.setting, ""))]
        known = [limit for limit in limits if limit is not None]
        if knob.name in LIMITS and known and min(known) >= most:
            yield (
                f"{knob.name}: no value is below the {most} clients that ask, so none refuses"
                f" anything: ask more with --clients, or try less than {most}"
            )


def campaign(sweep: Sweep, load: Load, slo: Objective | None) -> dict[str, Any]:
    """The campaign's table: the present settings and each step from them."""
    base = {"preset": sweep.preset, **sweep.present}
    variants: dict[str, dict[str, Any]] = {PRESENT: base}
    for knob, value in sweep.steps():
        name = _folder(f"{knob.name}_{knob.from_setting(value)}", variants)
        variants[name] = {**base, knob.setting: value}
    variants = {name: _typed(variant) for name, variant in variants.items()}
    names = [knob.name for knob, _ in sweep.knobs]
    return {
        "name": _folder("tune_" + "_".join(names)).replace("-", "_"),
        "question": f"Which value of {enumeration(names)} serves best?",
        "reference": PRESENT,
        "restart": "cell" if _processes(sweep, load) > PROCESSES_AT_ONCE else "block",
        **_common(load, slo),
        "variants": variants,
    }


def clients_campaign(
    variant: Mapping[str, str], load: Load, slo: Objective | None
) -> dict[str, Any]:
    """The same for one variant, or for the URL of a service of others, over clients alone."""
    return {
        "name": "tune_clients",
        "question": "How many clients at a time does the service carry?",
        "aa": False,  # nothing is compared with anything: the noise is that of the repeats
        **_common(load, slo),
        "variants": {SERVED: _typed(variant)},
    }


def _typed(variant: Mapping[str, str]) -> dict[str, Any]:
    """Settings of Triton are numbers in a campaign; what is none the campaign refuses."""
    numbers = {key: number(value) for key, value in variant.items() if key.startswith(TRITON)}
    known = {key: int(n) if n.is_integer() else n for key, n in numbers.items() if n is not None}
    return {**variant, **known}


def _common(load: Load, slo: Objective | None) -> dict[str, Any]:
    found = {
        "clients": sorted(load.clients),
        "repeats": load.repeats,
        "duration_s": load.duration_s,
        "min_requests": min_count(decisive(slo)),
        "warmup_s": WARMUP_S,
        "model": load.model,
        "track": load.track,
        "body": load.body,
        "images": load.images,
    }
    return {**found, "slo": load.slo} if load.slo else found


def toml(table: Mapping[str, Any]) -> str:
    """A campaign's table as its file: JSON writes texts, numbers and lists as TOML does."""
    plain = {key: value for key, value in table.items() if key != "variants"}
    lines = [f"{key} = {_literal(value)}" for key, value in plain.items()]
    for name, variant in table["variants"].items():
        lines += ["", f"[variants.{_literal(name)}]"]
        lines += [f"{key} = {_literal(value)}" for key, value in variant.items()]
    return "\n".join(lines) + "\n"


def _literal(value: Any) -> str:
    # TOML allows no such character in a text, and JSON writes it as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _folder(wanted: str, taken: Collection[str] = ()) -> str:
    """A name that can be a folder's, and that no other variant has."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", wanted)[:60].strip("_")
    further = (f"{name}_{n}" for n in count(2))
    return next(each for each in chain([name], further) if each not in taken)


def _processes(sweep: Sweep, load: Load) -> int:
    """Of all services, the A/A copy and their Tritons, if they run side by side."""
    now = sweep.settings.get("SERVICE_WORKERS", "1")
    workers = [now, now, *(v if k.name == "workers" else now for k, v in sweep.steps())]
    # A Triton has a process of its own for each instance of a model, of which there are two.
    triton = 0 if load.track in LOCAL_TRACKS else 3
    return sum(int(number(n) or 1) + triton for n in workers)
