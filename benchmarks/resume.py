"""
Going on with a run that was interrupted: which one, and whether it is still the same run.
"""

import dataclasses
from pathlib import Path
from typing import Any

from benchmarks import campaign as campaigns
from benchmarks import machine, record
from benchmarks.campaign import Campaign
from benchmarks.processes import RunError
from benchmarks.record import Record, RecordError


def find(argument: Path | None, results: Path) -> Record:
    """The record that is meant: a record's folder, or the newest unfinished of a campaign."""
    if argument is not None and argument.suffix != ".toml":
        found = record.load(argument)
        if found.status == "complete" and not found.missing():
            raise RunError(
                f"{found.path}: complete; expected a run with missing repeats;"
                " leave --resume out to start a new run"
            )
        return found
    wanted = campaigns.read(argument) if argument else None
    folder = results / wanted.name if wanted else results
    unfinished = [r for r in _readable(folder) if r.status != "complete"]
    if not unfinished:
        raise RunError(
            f"{folder}: no unfinished run; expected one to go on with;"
            " leave --resume out to start a new run"
        )
    newest = max(unfinished, key=lambda r: r.run_id)
    if wanted and argument:
        check_same(argument, wanted, newest)
    return newest


def kept_campaign(found: Record) -> Campaign:
    """The campaign of a record, without the variants that were left out."""
    campaign = campaigns.from_record(str(found.path / "run.json"), found.campaign)
    return campaign.only(name for name in campaign.variants if name not in found.left_out)


def check_same(file: Path, wanted: Campaign, found: Record) -> None:
    """Refuse to mix two campaigns in one record."""
    kept = campaigns.from_record(str(found.path / "run.json"), found.campaign)
    if set(kept.variants) <= set(wanted.variants):
        wanted = wanted.only(kept.variants)  # it may have been started with --only
    if wanted.seed is None:
        wanted = dataclasses.replace(wanted, seed=kept.seed)
    differing = [
        f.name
        for f in dataclasses.fields(Campaign)
        if f.name != "question" and getattr(wanted, f.name) != getattr(kept, f.name)
    ]
    if differing:
        raise RunError(
            f"{file}: differs from the campaign of {found.path} in {', '.join(differing)};"
            " expected the same; undo the change, or leave --resume out to start a new run"
        )


def check_machine(found: Record, root: Path) -> dict[str, Any]:
    """Refuse another machine; return what is different about the code, for run.json."""
    here, there = machine.facts(), found.run.get("machine") or {}
    for fact in ("cpu", "threads", "available_cpus"):
        if fact in there and here[fact] != there[fact]:
            raise RunError(
                f"{found.path}: measured with {fact} {there[fact]!r}, this machine has"
                f" {here[fact]!r}; expected the same machine; start a new run here"
            )
    return {"load_before": here["load_before"], "commit": machine.commit(root)}


def _readable(folder: Path) -> list[Record]:
    found = []
    for path in record.runs(folder):
        try:
            found.append(record.load(path))
        except RecordError:
            continue  # a damaged one is no reason not to find the others
    return found
