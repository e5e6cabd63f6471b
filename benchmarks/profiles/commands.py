"""
The command `windtunnel profile`: where a service spends its CPU time, or its memory.
"""

import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import generator, plan
from benchmarks.environments import ROOT
from benchmarks.profiles import memory, once
from benchmarks.profiles.once import Wanted, say
from benchmarks.profiles.options import DURATION_S, MOST_HZ, MOST_S, RATE_HZ, Options
from benchmarks.profiles.taken import Load
from benchmarks.progress import Display
from benchmarks.record import FACTS, Visit, clients_level, shown
from benchmarks.recorder import explained, write_json
from benchmarks.run import stopped_by_signals
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


class Format(StrEnum):
    svg = "svg"
    speedscope = "speedscope"
    collapsed = "collapsed"


OUTPUTS = {
    Format.svg: "profile.svg",
    Format.speedscope: "profile.speedscope.json",
    Format.collapsed: "profile.txt",
}
ENDINGS = {".svg": Format.svg, ".json": Format.speedscope, ".txt": Format.collapsed}
NEXT = {
    Format.svg: "open it in a browser; a click widens a frame, Ctrl-F searches",
    Format.speedscope: "open it with speedscope, which keeps it in your browser",
    Format.collapsed: "windtunnel flame {output}",
}

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
Memory = Annotated[
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
    memory_view: Memory = False,
) -> None:
    """
    Where a service spends its CPU time: the stacks of all its workers, read from outside by py-spy.

    The service needs no change and no restart. It is loaded meanwhile; how fast it answers then is
    no measurement. Those are made by `windtunnel run`, with their profiles if the campaign has a
    table `profile`.
    """
    if sum(given is not None for given in (pid, url, variant)) != 1:
        raise typer.BadParameter("give one of --pid, --url and --variant")
    if campaign and variant is None:
        raise typer.BadParameter("--campaign says where a --variant is; give its name")
    wanted = Wanted(pid, url, variant, campaign, clients, model, track, not no_load)
    options = Options(rate, duration, native, gil, idle, nonblocking)
    try:
        with stopped_by_signals():
            if memory_view:
                _memory(wanted, duration, output or Path("memory.html"))
            else:
                chosen = output_format or ENDINGS.get(output.suffix if output else "", Format.svg)
                _profile(wanted, options, chosen, output or Path(OUTPUTS[chosen]))
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        raise typer.Exit(130) from None


def _profile(wanted: Wanted, options: Options, chosen: Format, output: Path) -> None:
    if chosen is Format.collapsed and output.suffix == FACTS:
        raise typer.BadParameter(f"--output {output}: that is where the facts go; give a .txt")
    _check(output)
    with once.scratch() as folder:
        drawn = folder / "profile"
        take = once.started if wanted.variant else once.running
        facts = take(wanted, options, drawn, chosen.value)
        _keep(drawn, output)
    if chosen is Format.collapsed:
        with explained(output, "choose another --output"):
            write_json(output.with_suffix(FACTS), facts)
    say("\n".join(_said(facts, shown(output))))
    say(f"  next: {NEXT[chosen].format(output=shown(output))}")


def _said(facts: dict[str, Any], output: Path) -> list[str]:
    """What was read, and what the service did meanwhile."""
    lines = [
        f"{output}: {facts['samples']} samples in {facts['duration_s']} s at"
        f" {facts['rate_hz']} Hz, {facts['errors']} unreadable"
    ]
    answers, window_s, cpu_s = (facts.get(key) for key in ("answers", "window_s", "cpu_s"))
    if answers and window_s and cpu_s is not None:
        lines.append(
            f"  meanwhile {answers / window_s:.1f} answers a second and"
            f" {1000 * cpu_s / answers:.1f} ms of CPU time a request, of a service that is watched"
        )
    if facts["behind_s"]:
        lines.append(
            f"  NOTE: py-spy was up to {facts['behind_s']:.1f} s late, so some moments are missing:"
            " a lower --rate or --nonblocking helps"
        )
    return lines


def _memory(wanted: Wanted, seconds: int, output: Path) -> None:
    if wanted.variant is None or not wanted.load:
        raise typer.BadParameter("--memory starts a --variant and loads it; leave the others out")
    _check(output)
    generator.program(ROOT)
    alone = memory.alone(once.of_variant(wanted, seconds), wanted.variant)
    prepared = plan.prepare(alone, ROOT, say)
    visit = Visit(wanted.variant, clients_level(wanted.clients), 1)
    with once.scratch() as folder, Display("memory", [visit]) as display:
        drawn = folder / "memory.html"

        def load(target: Target) -> Load:
            return once.load_of(alone, target.url)

        found = memory.view(prepared, load, folder, drawn, say, display.show)
        _keep(drawn, output)
    say(
        f"{shown(output)}: peak {found.peak_bytes / 2**20:.1f} MiB; it shows who has them then\n"
        f"  {found.allocations_a_request:,.0f} allocations a request"
        f" ({found.bytes_a_request / 2**20:.2f} MiB, given back later),"
        f" in {found.answers} requests of one worker"
    )


def _check(output: Path) -> None:
    """A profile of a minute is not to be refused after it."""
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise typer.BadParameter(f"--output {output}: expected a file in a folder that is there")


def _keep(drawn: Path, output: Path) -> None:
    with explained(output, "choose another --output"):
        shutil.move(drawn, output)
