"""
The command `windtunnel run`.
"""

import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import campaign as campaigns
from benchmarks import fields, generator, machine, plan, resume
from benchmarks import run as runs
from benchmarks.campaign import Campaign, CampaignError
from benchmarks.environments import ROOT
from benchmarks.plan import Prepared
from benchmarks.progress import Display
from benchmarks.record import RESULTS, Record
from benchmarks.recorder import Recorder, now

EXAMPLES = """
[bold]Examples[/bold]

windtunnel run benchmarks/campaigns/demo.toml

windtunnel run --dry-run benchmarks/campaigns/*.toml

windtunnel run --only baseline --only optimized benchmarks/campaigns/demo.toml

windtunnel run --resume          (goes on with the newest unfinished run)
"""

app = typer.Typer(rich_markup_mode="rich")

Campaigns = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="CAMPAIGN...",
        help="Campaign files (.toml), run one after the other; with --resume also records.",
        show_default=False,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with a run that was interrupted: the given record, or the newest unfinished"
        " one of the given campaign, or of all.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="VARIANT", help="Run this variant only; may be repeated."),
]
Results = Annotated[Path, typer.Option("--results", help="Where records go.")]
Checkout = Annotated[
    Path, typer.Option("--checkout", help="Run the service of this checkout of the repository.")
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", min=0, help="Seed of the order and of the images (default: drawn)."),
]
SkipUnavailable = Annotated[
    bool,
    typer.Option(
        "--skip-unavailable", help="Leave out variants that this machine cannot run, and say so."
    ),
]


@app.command(epilog=EXAMPLES)
def run(
    campaign: Campaigns = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    only: Only = None,
    results: Results = RESULTS,
    seed: Seed = None,
    skip_unavailable: SkipUnavailable = False,
    checkout: Checkout = ROOT,
) -> None:
    """Run campaigns: every variant at every level of load, and write a record of each request."""
    checkout = checkout.resolve()
    if resume:
        if only or seed is not None or dry_run:
            raise typer.BadParameter("--resume keeps the recorded plan; give no plan of your own")
        arguments: list[Path | None] = list(campaign) if campaign else [None]
        for argument in arguments:
            _go_on(argument, results, checkout)
        return
    if not campaign:
        raise typer.BadParameter(
            "give at least one campaign, such as benchmarks/campaigns/demo.toml"
        )
    chosen = [_read(file, only, seed) for file in campaign]
    if dry_run:
        for each in chosen:
            _say(plan.describe(each, each.order(0), plan.pin(machine.cores())))
        return
    generator.program(ROOT)
    prepared = [
        plan.prepare(each, checkout, _say, skip_unavailable=skip_unavailable) for each in chosen
    ]
    for index, ready in enumerate(prepared):
        _begin(ready, results, checkout, [str(file) for file in campaign[index + 1 :]])


def _begin(prepared: Prepared, results: Path, checkout: Path, later: list[str]) -> None:
    seed = prepared.campaign.seed
    seed = secrets.randbelow(2**31) if seed is None else seed
    pinning = plan.pin(machine.cores())
    recorder = runs.create(prepared, results, seed, pinning, plan.facts(prepared, checkout))
    _execute(prepared, recorder, pinning, checkout, later)


def _read(file: Path, only: list[str] | None, seed: int | None) -> Campaign:
    found = campaigns.read(file)
    for name in only or []:
        if name not in found.variants:
            raise CampaignError(fields.unknown(str(file), "variant", name, found.variants))
    found = found.only(only) if only else found
    return replace(found, seed=seed) if seed is not None else found


def _go_on(argument: Path | None, results: Path, checkout: Path) -> None:
    found: Record = resume.find(argument, results)
    changed = resume.check_machine(found, checkout)
    prepared = plan.prepare(resume.kept_campaign(found), checkout, _say)
    recorder = Recorder(found.path)
    before = found.run.get("commit")
    if before != changed["commit"]:
        _say(f"NOTE: the code has changed since the run began: {before}, now {changed['commit']}")
    resumed = [*recorder.record.run.get("resumed", []), {"at": now(), **changed}]
    recorder.save(status="running", finished=None, resumed=resumed)
    done, planned = len(found.completed()), len(found.order())
    _say(f"going on with {found.path}: {done} of {planned} visits are there")
    _execute(prepared, recorder, plan.pin(machine.cores()), checkout, [])


def _execute(
    prepared: Prepared,
    recorder: Recorder,
    pinning: plan.Pinning,
    checkout: Path,
    later: list[str],
) -> None:
    """Make the missing visits; whatever happens, say where the record is and how to go on."""
    missing = recorder.record.missing()
    _say(plan.describe(prepared.campaign, missing, pinning))
    _say(f"  record    {recorder.path}")
    try:
        with Display(prepared.campaign.name) as display:
            runs.Run(prepared, recorder, pinning, checkout, display).execute()
    except KeyboardInterrupt:
        print(f"interrupted; {_hint(recorder, later)}", file=sys.stderr)
        raise typer.Exit(130) from None
    except runs.StoppedError as error:
        print(f"windtunnel: {error}\n{_hint(recorder, later)}", file=sys.stderr)
        raise typer.Exit(1) from error
    finally:
        recorder.close()
    print(f"\nrecord: {recorder.path}\n  windtunnel compare {recorder.path}", flush=True)


def _hint(recorder: Recorder, later: list[str]) -> str:
    kept, planned = len(recorder.record.completed()), len(recorder.record.order())
    hint = (
        f"{kept} of {planned} visits are kept; to go on:\n  windtunnel run --resume {recorder.path}"
    )
    return hint + (f"\n  windtunnel run {' '.join(later)}" if later else "")


def _say(text: str) -> None:
    print(text, flush=True)
