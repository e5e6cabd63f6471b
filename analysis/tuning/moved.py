"""
Which knobs a record moved: each variant differs from the reference in one setting.

Read from the record's own settings, so that any campaign of that form can be judged, and one that
was measured long ago.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.batching import configured
from analysis.latency import AnalysisError
from analysis.tuning import knobs
from analysis.tuning.knobs import Knob
from analysis.words import plain
from benchmarks.record import Record
from benchmarks.triton.served import ASKED, PARTS

# What run.json says of a Triton model, and its unit in the setting's.
TRITON_FACTS = {
    "TRITON_QUEUE_DELAY_MS": ("queue_delay_us", 1000),
    "TRITON_MAX_BATCH": ("max_batch_size", 1),
    "TRITON_INSTANCES": ("instances", 1),
}
SETTINGS = (knobs.SERVICE, knobs.TRITON)
Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Moved:
    """One knob in a record: the present value, and the value of each variant that moves it."""

    knob: Knob
    present: str  # as the setting has it; words where the record does not know it
    values: Mapping[str, str]


def moved(record: Record) -> list[Moved]:
    """
    The knobs, in the order of the campaign's variants.

    AnalysisError if a variant differs in several settings, or there is nothing but the reference.
    """
    tables = record.campaign["variants"]
    base = _settings(tables.get(record.reference, {}))
    found: dict[str, dict[str, str]] = {}
    for name, table in tables.items():
        if name != record.reference and name not in record.left_out:
            key, value = _moved_by(record, name, base, _settings(table))
            found.setdefault(key, {})[name] = value
    if not found:
        raise AnalysisError(
            f"{record.path}: only {plain(record.reference)} was measured; expected several values"
            " of a setting, or several numbers of clients; use `windtunnel compare` on it"
        )
    return [
        Moved(knobs.of_setting(key), base.get(key) or _by_default(record, key), values)
        for key, values in found.items()
    ]


def _settings(table: Table) -> dict[str, str]:
    """All that makes a variant what it is; `preset` and `url` are no settings."""
    settings = {str(k): str(v) for k, v in (table.get("settings") or {}).items()}
    return {**{k: str(table[k]) for k in ("preset", "url") if table.get(k)}, **settings}


def _moved_by(
    record: Record, name: str, base: Mapping[str, str], ours: Mapping[str, str]
) -> tuple[str, str]:
    """The setting in which a variant differs from the reference, and its value there."""
    changed = [key for key in {**base, **ours} if base.get(key) != ours.get(key)]
    if len(changed) == 1 and changed[0] in ours and changed[0].startswith(SETTINGS):
        return changed[0], ours[changed[0]]
    raise AnalysisError(
        f"{record.path}: {plain(name)} differs from {plain(record.reference)} in"
        f" {', '.join(map(plain, changed)) or 'nothing'}; expected one SERVICE_* or TRITON_*"
        " setting, as in a record of `windtunnel tune`; use `windtunnel compare` on it"
    )


def _by_default(record: Record, setting: str) -> str:
    """The present value of a setting that the campaign leaves alone, as far as run.json says."""
    reference = record.reference
    if setting.startswith(knobs.TRITON):
        key, factor = TRITON_FACTS.get(setting, ("", 1))
        facts = configured(record.run, reference).get(_detector(record), {})
        told = facts.get(key)
        if isinstance(told, int | float):
            return f"{told / factor:g}"
        return "as the model repository has it"
    service = (record.run.get("services") or {}).get(reference) or {}
    found = ((service.get("health") or {}).get("settings") or {}).get(setting)
    return "as the preset has it" if found is None else f"{found}"


def _detector(record: Record) -> str:
    """The Triton model that gathers batches for the reference's track."""
    settings = record.campaign["variants"].get(record.reference, {}).get("settings") or {}
    track = str(settings.get("SERVICE_TRACK") or record.campaign.get("track"))
    parts = PARTS.get(track) or (ASKED.get(track, ""),)
    return parts[0].format(model=record.campaign.get("model"))
