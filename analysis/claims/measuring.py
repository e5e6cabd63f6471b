"""
What `windtunnel claims` measures: the campaigns and components that its claims speak of.

Each is a step that leaves a record or a result of its own, so what was measured once need not be
measured again, and a step that fails costs only the rows that need it.
"""

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from analysis.claims import keeping
from analysis.claims.asked import Claims
from benchmarks import campaign as campaigns
from benchmarks import commands, plan, record
from benchmarks.campaign import Campaign
from benchmarks.components import result
from benchmarks.environments import ROOT
from benchmarks.fields import CampaignError
from benchmarks.processes import RunError
from benchmarks.record import RecordError, shown
from benchmarks.signals import stopped_by_signals

CAMPAIGNS = ROOT / "benchmarks/campaigns"
INTERRUPTED = 130
GRACE_S = 60.0
STDERR = 2  # progress goes there: what is on stdout is the outcome alone
# A quick look: two blocks, so that there is an interval at all, each as short as a P50 allows.
QUICK = {"repeats": "2", "duration_s": "0.8", "warmup_s": "0.3"}
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One campaign or component; `kept` is what was measured before, complete or not."""

    kind: str
    name: str
    takes_s: float
    kept: Path | None = None
    complete: bool = False
    variants: tuple[str, ...] = ()  # of a campaign: those that the claims need

    @property
    def left_s(self) -> float:
        return 0.0 if self.complete else self.takes_s


@dataclass(frozen=True, slots=True)
class Measured:
    """Where the records and results are, by campaign and by component."""

    records: dict[str, Path]
    results: dict[str, Path]


def steps(asked: Claims, results: Path, *, reuse: bool, quick: bool) -> list[Step]:
    """
    What has to be measured; with *reuse*, what this commit has measured here is kept.

    AnalysisError where nothing can be kept, as it is not known which code would have measured it.
    """
    here = keeping.here() if reuse else None
    found = [
        _component_step(asked, name, results, here, quick) for name in asked.needed("component")
    ]
    for name in asked.needed("campaign"):
        file = CAMPAIGNS / f"{name}.toml"
        campaign = campaigns.read(file)
        variants = _variants(asked, campaign)
        step = Step("campaign", name, _takes_s(campaign, variants, quick=quick), variants=variants)
        kept = None
        if here and not quick:
            kept = keeping.kept_record(campaign, file, variants, results, here)
        if kept:
            step = replace(step, kept=kept.path, complete=kept.status == "complete")
        found.append(step)
    return found


def _component_step(
    asked: Claims, name: str, results: Path, here: keeping.Here | None, quick: bool
) -> Step:
    component = asked.components[name]
    kept = keeping.kept_result(asked, name, results, here, quick=quick) if here else None
    takes_s = component.quick_s if quick else component.takes_s
    return Step("component", name, takes_s, kept, kept is not None)


def _variants(asked: Claims, campaign: Campaign) -> tuple[str, ...]:
    """Those that the rows name, and the reference, whose copy shows the noise."""
    rows = [row for row in asked.rows() if row.source == ("campaign", campaign.name)]
    named = {name for row in rows for name in (row.case, row.against)} | {campaign.reference}
    return tuple(name for name in campaign.variants if name in named)


def _takes_s(campaign: Campaign, variants: tuple[str, ...], *, quick: bool) -> float:
    if quick:
        with TemporaryDirectory() as folder:
            campaign = campaigns.read(_quick_file(campaign.name, Path(folder)))
    chosen = campaign.only(variants)
    return plan.Clock(chosen).left_s(chosen.order(0))


def _quick_file(name: str, folder: Path) -> Path:
    """The campaign with few and short repeats, which say nothing about a P95."""
    text = (CAMPAIGNS / f"{name}.toml").read_text(encoding="utf-8")
    head, table, rest = text.partition("\n[")
    head = re.sub(r"(?m)^min_requests = .*\n", "", head)
    for key, value in QUICK.items():
        head = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", head)
    path = folder / f"{name}.toml"
    path.write_text(head + table + rest, encoding="utf-8")
    return path


def describe(found: Sequence[Step]) -> Iterator[str]:
    """The plan, a line a step, and how long all of it takes."""
    width = max((len(step.name) for step in found), default=0)
    for step in found:
        when = plan.duration(step.takes_s)
        if step.complete:
            when = "was measured"
        elif step.kept:
            when = f"goes on, up to {when}"
        yield f"  {step.kind:<9}  {step.name:<{width}}  {when}"
    yield f"  in all about {plan.duration(sum(step.left_s for step in found))}"


def measure(
    found: Sequence[Step], asked: Claims, results: Path, *, quick: bool, say: Say
) -> Measured:
    """
    Make every step that is not complete.

    One that fails is said, and its rows cannot be told. typer.Exit(130) when interrupted.
    """
    records: dict[str, Path] = {}
    results_of: dict[str, Path] = {}
    for number, step in enumerate(found, 1):
        say(f"\n[{number} of {len(found)}] {step.kind} {step.name}")
        if step.kind == "component":
            module = asked.components[step.name].module
            path = step.kept or _run_component(step.name, module, results, quick=quick)
        else:
            with redirect_stdout(sys.stderr):
                path = step.kept if step.complete else _run_campaign(step, results, quick=quick)
        if path is None:
            say(f"NOT MEASURED: {step.kind} {step.name}; claims that need it cannot be told")
        else:
            (results_of if step.kind == "component" else records)[step.name] = path
            say(f"  {_state(step, path)}: {shown(path)}")
    return Measured(records, results_of)


def _state(step: Step, path: Path) -> str:
    """What there is now: a campaign that stopped midway leaves a record all the same."""
    if step.complete or step.kind == "component":
        return "kept" if step.complete else "measured"
    try:
        missing = len(record.load(path).missing())
    except RecordError:
        return "measured, and cannot be read"
    return f"measured in part, {missing} repeats are missing" if missing else "measured"


def _run_campaign(step: Step, results: Path, *, quick: bool) -> Path | None:
    """Its record, whatever is in it; None if it could not begin."""
    before = {path.name for path in record.runs(results / step.name)}
    try:
        only = list(step.variants)
        if step.kept:
            commands.run([step.kept], resume=True, results=results)
        elif quick:
            with TemporaryDirectory() as folder:
                file = _quick_file(step.name, Path(folder))
                commands.run([file], only=only, results=results, skip_unavailable=True)
        else:
            file = CAMPAIGNS / f"{step.name}.toml"
            commands.run([file], only=only, results=results, skip_unavailable=True)
    except typer.Exit as end:
        if end.exit_code == INTERRUPTED:
            raise
    except (CampaignError, RunError) as error:
        print(f"windtunnel: {error}", file=sys.stderr)
    if step.kept:
        return step.kept
    new = [path for path in record.runs(results / step.name) if path.name not in before]
    return max(new, key=lambda path: path.name, default=None)


def _run_component(name: str, module: str, results: Path, *, quick: bool) -> Path | None:
    """Its result; None if it failed. It has a session of its own, so that Ctrl-C comes once."""
    before = result.newest(name, results)
    command = [sys.executable, "-m", f"benchmarks.components.{module}", "--results", str(results)]
    if quick:
        command.append("--quick")
    with stopped_by_signals():
        process = subprocess.Popen(command, cwd=ROOT, stdout=STDERR, start_new_session=True)
        try:
            status = process.wait()
        except KeyboardInterrupt:
            _interrupt(process)
            raise typer.Exit(INTERRUPTED) from None
    if status == INTERRUPTED:
        raise typer.Exit(INTERRUPTED)
    found = result.newest(name, results)
    return found if status == 0 and found != before else None


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C would, and wait until it has stopped what it had started."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()
