"""
The command `windtunnel profile`: where a service spends its CPU time, or its memory.
"""

import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from benchmarks import fields, generator, plan
from benchmarks.environments import ROOT
from benchmarks.profiles import memory, once, outputs
from benchmarks.profiles.once import Wanted, say
from benchmarks.profiles.options import DURATION_S, MOST_HZ, MOST_S, RATE_HZ, Options
from benchmarks.profiles.outputs import Format
from benchmarks.profiles.taken import Load
from benchmarks.progress import Display
from benchmarks.record import Visit, clients_level
from benchmarks.signals import stopped_by_signals
from benchmarks.variants import Target

EXAMPLES = """
[bold]Examples[/bold]

windtunnel profile --variant optimized                      (starts it, loads it, draws profile.svg)

windtunnel profile --url http://127.0.0.1:9600 --duration 60 --clients 32

windtunnel profile --pid 4242 --no-load --format speedscope --output p.json

windtunnel profile --variant baseline --output a.txt        (stacks, for windtunnel flame)

windtunnel profile --variant baseline --memory --output memory.html
"""

app = typer.Typer(rich_markup_mode="rich")

Pid = Annotated[
    int | None,
    typer.Option(
        "--pid", min=1, help="A process that runs, with its children.", show_default=False
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="A service that runs on this machine: its supervisor and all its workers. Without a"
        " path it is one of this project.",
        show_default=False,
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(
        "--variant",
        metavar="NAME",
        help="baseline, seed, optimized, or a variant of --campaign: started, profiled, stopped.",
        show_default=False,
    ),
]
File = Annotated[
    Path | None,
    typer.Option(
        "--campaign", metavar="FILE", help="Where the variant is described.", show_default=False
    ),
]
Duration = Annotated[
    int, typer.Option(min=1, max=MOST_S, help="Seconds during which stacks are read.")
]
Rate = Annotated[int, typer.Option(min=1, max=MOST_HZ, help="Readings a second.")]
OutputFormat = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="svg is a flamegraph, speedscope a file for that viewer, collapsed one line a stack,"
        " with the facts in a .json beside it (default: as --output ends, else svg).",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write to this file; one that is there is replaced.",
        show_default="profile.svg",
    ),
]  # fmt: skip
Native = Annotated[bool, typer.Option("--native", help="Frames of C and C++ too; slower.")]
Gil = Annotated[bool, typer.Option("--gil", help="Only threads that hold the interpreter's lock.")]
Idle = Annotated[bool, typer.Option("--idle", help="Threads that wait too.")]
Nonblocking = Annotated[
    bool,
    typer.Option(
        "--nonblocking",
        help="Do not pause the service while a stack is read: costs it less, at the price of some"
        " stacks that mix two moments.",
    ),
]
Clients = Annotated[
    int, typer.Option(min=1, max=9999, help="Clients of triton_bench, which loads it meanwhile.")
]
NoLoad = Annotated[bool, typer.Option("--no-load", help="Send nothing: it is under load already.")]
Model = Annotated[
    str | None, typer.Option(help="nano, small, medium (default: nano).", show_default=False)
]
Track = Annotated[
    str | None,
    typer.Option(
        help="Which track is asked (default: A; of a service that runs, its own).",
        show_default=False,
    ),
]
MemoryView = Annotated[
    bool,
    typer.Option(
        "--memory",
        help="Allocations instead of CPU time: runs the variant with one worker under memray, and"
        " writes a flamegraph of the moment of most memory.",
    ),
]


@app.command(epilog=EXAMPLES)
def profile(
    pid: Pid = None,
    url: Url = None,
    variant: Variant = None,
    campaign: File = None,
    duration: Duration = DURATION_S,
    rate: Rate = RATE_HZ,
    output_format: OutputFormat = None,
    output: Output = None,
    native: Native = False,
    gil: Gil = False,
    idle: Idle = False,
    nonblocking: Nonblocking = False,
    clients: Clients = 8,
    no_load: NoLoad = False,
    model: Model = None,
    track: Track = None,
    memory_view: MemoryView = False,
) -> None:
    """
    Where a service spends its CPU time: the stacks of all its workers, read from outside by py-spy.

    The service needs no change and no restart. It is loaded meanwhile; how fast it answers then is
    no measurement. Those are made by `windtunnel run`, with their profiles if the campaign has a
    table `profile`.
    """
    wanted = Wanted(pid, url, variant, campaign, clients, model, track, not no_load)
    _check(wanted)
    options = Options(rate, duration, native, gil, idle, nonblocking)
    try:
        with stopped_by_signals():
            if memory_view:
                _check_memory(wanted, options, output_format)
                _memory(wanted, duration, output or Path(outputs.MEMORY_NAME))
            else:
                written = outputs.chosen(output_format, output)
                _profile(wanted, options, written, output or Path(outputs.NAMES[written]))
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        raise typer.Exit(130) from None


def _check(wanted: Wanted) -> None:
    """Refuse options that would not do what they say."""
    if sum(given is not None for given in (wanted.pid, wanted.url, wanted.variant)) != 1:
        raise typer.BadParameter("give one of --pid, --url and --variant")
    if wanted.campaign and wanted.variant is None:
        raise typer.BadParameter("--campaign says where a --variant is; give its name")
    path = urlsplit(fields.url("--url", wanted.url)).path if wanted.url else ""
    if path.strip("/") and (wanted.model or wanted.track):
        raise typer.BadParameter(
            f"--url {wanted.url} says what is asked; leave --model and --track, or its path, out"
        )


def _check_memory(wanted: Wanted, options: Options, asked: Format | None) -> None:
    if wanted.variant is None or not wanted.load:
        raise typer.BadParameter("--memory starts a --variant and loads it; leave the others out")
    if asked or options != Options(duration_s=options.duration_s):
        raise typer.BadParameter(
            "--memory is of allocations; --format, --rate, --native, --gil, --idle and"
            " --nonblocking are of CPU time; leave them out"
        )


def _profile(wanted: Wanted, options: Options, written: Format, output: Path) -> None:
    outputs.check(output, written)
    with once.scratch() as folder:
        drawn = folder / "profile"
        take = once.started if wanted.variant else once.running
        facts = take(wanted, options, drawn, written.value)
        outputs.keep(drawn, output, facts if written is Format.collapsed else None)
    say(outputs.said(facts, output, written))


def _memory(wanted: Wanted, seconds: int, output: Path) -> None:
    outputs.check(output)
    generator.program(ROOT)
    name = wanted.variant or ""
    alone = memory.alone(once.of_variant(wanted, seconds), name)
    prepared = plan.prepare(alone, ROOT, say)
    visit = Visit(name, clients_level(wanted.clients), 1)
    with once.scratch() as folder, Display("memory", [visit]) as display:
        drawn = folder / outputs.MEMORY_NAME

        def load(target: Target) -> Load:
            return once.load_of(alone, target.url)

        found = memory.view(prepared, load, folder, drawn, say, display.show)
        outputs.keep(drawn, output)
    say(outputs.memory_said(found, output))
