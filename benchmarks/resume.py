"""
Going on with a run that was interrupted: which one, and whether it is still the same run.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import campaign as campaigns
from benchmarks import machine, record
from benchmarks.campaign import Campaign
from benchmarks.processes import RunError
from benchmarks.record import Record, RecordError, Visit, shown


def find(argument: Path | None, results: Path) -> Record:
    """The record that is meant: a record's folder, or the newest unfinished of a campaign."""
    if argument is not None and argument.suffix != ".toml":
        found = record.load(argument)
        if found.status == "complete" and not (found.missing() or _profiles(found)):
            raise RunError(
                f"{shown(found.path)}: complete; expected a run with missing repeats;"
                " leave --resume out to start a new run"
            )
        return found
    wanted = campaigns.read(argument) if argument else None
    folder = results / wanted.name if wanted else results
    unfinished = [r for r in _readable(folder) if r.status != "complete"]
    if not unfinished:
        raise RunError(
            f"{shown(folder)}: no unfinished run; expected one to go on with;"
            " leave --resume out to start a new run"
        )
    newest = max(unfinished, key=lambda r: r.run_id)
    if wanted and argument:
        check_same(argument, wanted, newest)
    return newest


def _profiles(found: Record) -> list[Visit]:
    """The profiles that it lacks; records of other programs may have campaigns that are none."""
    if not found.campaign.get("profile"):
        return []
    return found.missing_profiles(kept_campaign(found).profiled())


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
            f"{file}: differs from the campaign of {shown(found.path)} in {', '.join(differing)};"
            " expected the same; undo the change, or leave --resume out to start a new run"
        )


def check_machine(found: Record, root: Path) -> dict[str, Any]:
    """Refuse another machine; return what is different about the code, for run.json."""
    here, there = machine.facts(), found.run.get("machine") or {}
    for fact in ("cpu", "threads", "available_cpus"):
        if fact in there and here[fact] != there[fact]:
            raise RunError(
                f"{shown(found.path)}: measured with {fact} {there[fact]!r}, this machine has"
                f" {here[fact]!r}; expected the same machine; start a new run here"
            )
    return {"load_before": here["load_before"], "commit": machine.commit(root)}


def changed_code(found: Record, now: Mapping[str, Any]) -> str | None:
    """What to tell a person whose run goes on with other code than it began with."""
    before = found.run.get("commit") or {}
    if before == now:
        return None
    return (
        f"the run began with {_commit_words(before)} and goes on with {_commit_words(now)}:"
        " its repeats are not all of the same code; to compare only one, start a new run"
    )


def _commit_words(commit: Mapping[str, Any]) -> str:
    sha = commit.get("sha")
    words = f"commit {str(sha)[:7]}" if sha else "code of no known commit"
    return words + (" and uncommitted changes" if commit.get("dirty") else "")


def _readable(folder: Path) -> list[Record]:
    found = []
    for path in record.runs(folder):
        try:
            found.append(record.load(path))
        except RecordError:
            continue  # a damaged one is no reason not to find the others
    return found
