"""
The commands `windtunnel run` and `windtunnel triton`.
"""

import secrets
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import campaign as campaigns
from benchmarks import environments, fields, generator, machine, plan, resume
from benchmarks import run as runs
from benchmarks.campaign import Campaign
from benchmarks.environments import ROOT
from benchmarks.fields import CampaignError
from benchmarks.plan import Prepared
from benchmarks.progress import Display
from benchmarks.record import RESULTS, Record, Visit, shown
from benchmarks.recorder import Recorder, now
from benchmarks.triton import served
from benchmarks.triton.server import HOST, Ports, Server
from benchmarks.triton.supervise import supervise

EXAMPLES = """
[bold]Examples[/bold]

windtunnel run benchmarks/campaigns/demo.toml

windtunnel run --dry-run benchmarks/campaigns/*.toml

windtunnel run --only baseline --only optimized benchmarks/campaigns/demo.toml

windtunnel run --resume          (goes on with the newest unfinished run)
"""

# Where a Prometheus looks for generators, unless it is told otherwise.
METRICS_ADDR = "127.0.0.1:9646"

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
Results = Annotated[
    Path,
    typer.Option(
        "--results", help="Where records go (default: benchmarks/results).", show_default=False
    ),
]
MetricsAddr = Annotated[
    str | None,
    typer.Option(
        "--metrics-addr",
        metavar="HOST:PORT",
        help="Where the generator serves Prometheus metrics while a cell is measured, as in"
        " 127.0.0.1:9646, which it is for a campaign with a [prometheus] (default: nowhere).",
        show_default=False,
    ),
]
Checkout = Annotated[
    Path | None,
    typer.Option(
        "--checkout",
        help="Run the service of this checkout of the repository (default: this one, or with"
        " --resume the recorded one).",
        show_default=False,
    ),
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


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for beside the campaigns."""

    results: Path
    checkout: Path | None = None
    only: tuple[str, ...] = ()
    seed: int | None = None
    skip_unavailable: bool = False
    metrics_addr: str | None = None

    def metrics_of(self, campaign: Campaign) -> str | None:
        """Where a campaign's generator serves metrics."""
        return self.metrics_addr or (METRICS_ADDR if campaign.prometheus else None)

    def command(self, *arguments: object) -> str:
        """The same command for other campaigns."""
        words = ["windtunnel", "run", *map(str, arguments)]
        if self.skip_unavailable:
            words.append("--skip-unavailable")
        for name in self.only:
            words += ["--only", name]
        if self.seed is not None:
            words += ["--seed", str(self.seed)]
        if self.metrics_addr:
            words += ["--metrics-addr", self.metrics_addr]
        if self.checkout:
            words += ["--checkout", str(shown(self.checkout))]
        if self.results != RESULTS:
            words += ["--results", str(shown(self.results))]
        return shlex.join(words)


@app.command(epilog=EXAMPLES)
def run(
    campaign: Campaigns = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    only: Only = None,
    results: Results = RESULTS,
    seed: Seed = None,
    skip_unavailable: SkipUnavailable = False,
    metrics_addr: MetricsAddr = None,
    checkout: Checkout = None,
) -> None:
    """Run campaigns: every variant at every level of load, and write a record of each request."""
    # The generator runs in another folder, so it is given whole paths.
    checkout = checkout.resolve() if checkout else None
    chosen = tuple(only or ())
    options = Options(results.resolve(), checkout, chosen, seed, skip_unavailable, metrics_addr)
    files = campaign or []
    if resume:
        if options.only or seed is not None or dry_run or skip_unavailable:
            raise typer.BadParameter("--resume keeps the recorded plan; give no plan of your own")
        _go_on_with(files or [None], options)
    elif not files:
        raise typer.BadParameter(
            "give at least one campaign, such as benchmarks/campaigns/demo.toml"
        )
    elif dry_run:
        for file in files:
            each = _read(file, options)
            pinning = plan.pin(machine.cores())
            _say(plan.describe(each, each.order(0), pinning, each.profiled()))
    else:
        _begin(files, options)


def _begin(files: list[Path], options: Options) -> None:
    chosen = [_read(file, options) for file in files]
    for each in chosen:
        generator.program(ROOT, each.generator)
        plan.check_metrics_address(options.metrics_of(each))
    checkout, skip = options.checkout or ROOT, options.skip_unavailable
    ready = [plan.prepare(each, checkout, _say, skip_unavailable=skip) for each in chosen]
    for index, prepared in enumerate(ready):
        seed = prepared.campaign.seed
        seed = secrets.randbelow(2**31) if seed is None else seed
        pinning, facts = plan.pin(machine.cores()), plan.facts(prepared, checkout)
        recorder = runs.create(prepared, options.results, seed, pinning, facts)
        later = files[index + 1 :]
        _say("")
        rest = options.command(*later) if later else ""
        _execute(prepared, recorder, pinning, checkout, options, rest)


def _read(file: Path, options: Options) -> Campaign:
    found = campaigns.read(file)
    for name in options.only:
        if name not in found.variants:
            raise CampaignError(fields.unknown(str(file), "variant", name, found.variants))
    found = found.only(options.only) if options.only else found
    return replace(found, seed=options.seed) if options.seed is not None else found


def _go_on_with(arguments: Sequence[Path | None], options: Options) -> None:
    for index, argument in enumerate(arguments):
        later = arguments[index + 1 :]
        _go_on(argument, options, options.command("--resume", *later) if later else "")


def _go_on(argument: Path | None, options: Options, later: str) -> None:
    found: Record = resume.find(argument, options.results)
    checkout = options.checkout or Path(found.run.get("checkout") or ROOT)
    changed = resume.check_machine(found, checkout)
    campaign = resume.kept_campaign(found)
    plan.check_metrics_address(options.metrics_of(campaign))
    prepared = plan.prepare(campaign, checkout, _say)
    recorder = Recorder(found.path.resolve())
    note = resume.changed_code(found, changed["commit"])
    if note:
        _say(f"NOTE: {note}")
    resumed = [*recorder.record.run.get("resumed", []), {"at": now(), **changed}]
    where = plan.recorded(checkout)
    recorder.save(status="running", finished=None, checkout=where, resumed=resumed)
    missing, planned = len(recorder.record.missing()), len(recorder.record.order())
    profiles = recorder.record.missing_profiles(campaign.profiled())
    also = f", and {_profiles(profiles)}" if profiles else ""
    _say(f"going on with {shown(found.path)}: {missing} of {planned} repeats are missing{also}")
    _execute(prepared, recorder, plan.pin(machine.cores()), checkout, options, later)


def _execute(
    prepared: Prepared,
    recorder: Recorder,
    pinning: plan.Pinning,
    checkout: Path,
    options: Options,
    later: str,
) -> None:
    """Measure the missing repeats; whatever happens, say where the record is and how to go on."""
    kept = recorder.record
    asked = prepared.campaign.profiled()
    _say(plan.describe(prepared.campaign, kept.missing(), pinning, kept.missing_profiles(asked)))
    metrics_addr = options.metrics_of(prepared.campaign)
    if metrics_addr:
        _say(f"  metrics   http://{metrics_addr}/metrics")
    _say(f"  record    {shown(kept.path)}\n")
    try:
        with Display(prepared.campaign.name, kept.order()) as display:
            runs.Run(prepared, recorder, pinning, checkout, display, metrics_addr).execute()
    except KeyboardInterrupt:
        print(f"interrupted; {_hint(kept, asked, options, later)}", file=sys.stderr)
        raise typer.Exit(130) from None
    except runs.StoppedError as error:
        print(f"windtunnel: {error}\n{_hint(kept, asked, options, later)}", file=sys.stderr)
        raise typer.Exit(1) from error
    finally:
        recorder.close()
    _say(f"\nrecord: {shown(kept.path)}\n  {_command('compare', kept)}")
    if left := kept.missing_profiles(asked):
        _say(f"  {_profiles(left)} could not be taken; again: {_command('run --resume', kept)}")


def _hint(kept: Record, asked: Sequence[Visit], options: Options, later: str) -> str:
    done, planned = len(kept.completed()), len(kept.order())
    left = kept.missing_profiles(asked)
    also = f", and {_profiles(left)} {'is' if len(left) == 1 else 'are'} missing" if left else ""
    served = f" --metrics-addr {options.metrics_addr}" if options.metrics_addr else ""
    command = _command(f"run --resume{served}", kept)
    hint = f"{done} of {planned} repeats are kept{also}; to go on:\n  {command}"
    return hint + (f"\n  {later}" if later else "")


def _profiles(visits: Sequence[Visit]) -> str:
    return f"{len(visits)} profile{'' if len(visits) == 1 else 's'}"


def _command(name: str, kept: Record) -> str:
    return f"windtunnel {name} {shlex.quote(str(shown(kept.path)))}"


def _say(text: str) -> None:
    print(text, flush=True)


TRITON_EXAMPLES = """
[bold]Examples[/bold]

windtunnel triton                                   (everything; then, elsewhere: windtunnel serve)

windtunnel triton --models nano --tracks B,C

windtunnel triton --models small --tracks D --queue-delay-ms 5 --max-batch 16
"""


@app.command(epilog=TRITON_EXAMPLES)
def triton(
    models: Annotated[str, typer.Option(help="nano, small, medium, with commas.")] = served.ALL,
    tracks: Annotated[
        str, typer.Option(help="B, C, D, D_streaming, D_batch, with commas.")
    ] = served.ALL,
    grpc_port: Annotated[int, typer.Option(min=1, max=65535)] = 8001,
    http_port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    metrics_port: Annotated[int, typer.Option(min=1, max=65535)] = 8002,
    address: Annotated[
        str, typer.Option(help="Where it listens: all can reach 0.0.0.0, as a container needs.")
    ] = HOST,
    queue_delay_ms: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="How long a detector waits for a batch to fill (default: the repository's).",
            show_default=False,
        ),
    ] = None,
    max_batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The largest batch of a detector (default: the repository's).",
            show_default=False,
        ),
    ] = None,
    max_queue: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Requests that may wait for a detector; more are refused (default: 1024).",
            show_default=False,
        ),
    ] = None,
    instances: Annotated[
        int | None,
        typer.Option(min=1, help="Of each detector (default: 2).", show_default=False),
    ] = None,
    log: Annotated[Path, typer.Option(help="Where the server writes.")] = ROOT
    / ".tools/triton/server.log",
) -> None:
    """
    Serve the detectors by the real Triton Inference Server, on this machine's CPU.

    The server is NVIDIA's, from the wheel nvidia-pytriton; its backends are Python code of ours
    (ONNX Runtime), so its times are not those of TensorRT or of NVIDIA's ONNX Runtime backend.
    It is ready when every model has found the cat in a picture, is started again when it or one
    of its Python stubs dies, and leaves nothing behind when it is stopped.
    """
    wanted = served.Served(
        served.parse("--models", models, served.MODELS),
        served.parse("--tracks", tracks, served.TRACKS),
        queue_delay_ms,
        max_batch,
        max_queue,
        instances,
    )
    environments.make("triton", ROOT, _say)
    _say(f"triton: starting, {wanted}; its log is {shown(log)}")
    ports = Ports(grpc_port, http_port, metrics_port)
    server = Server(wanted, log, ports=ports, address=address)
    try:
        supervise(server, _say)
    except KeyboardInterrupt:
        _say("triton: stopped")
