"""
`windtunnel tune`: moves a setting, measures every value, and says which one to serve with.
"""

import re
import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console

from analysis import objective
from analysis.comparison import compare
from analysis.latency import AnalysisError
from analysis.objective import Objective
from analysis.tuning import knobs, table
from analysis.tuning.sweep import (
    SERVED,
    Load,
    Sweep,
    campaign,
    check,
    clients_campaign,
    decisive,
    notes,
    toml,
)
from analysis.words import plain
from benchmarks import campaign as campaigns
from benchmarks import commands as runs
from benchmarks import environments
from benchmarks.campaign import BODIES, PRESETS, TRACKS
from benchmarks.environments import ROOT
from benchmarks.record import RESULTS, load, shown
from benchmarks.triton.served import MODELS

EXAMPLES = """
Examples

windtunnel tune --preset optimized --knob workers=1,2,3,5 --slo p99=250ms

windtunnel tune --knob admission=8,32,128 --knob threads=1,2,4 --clients 32,64

windtunnel tune --track D --knob delay-ms=0,2,10,50 --clients 1,16

windtunnel tune --url http://127.0.0.1:9600 --clients 1,2,4,8,16,32 --slo p95=300ms

windtunnel tune --record benchmarks/results/tune_workers     (what a finished sweep says)
"""
CLIENTS = "1,8,32"
CLIENTS_ALONE = "1,2,4,8,16,32"
_COUNT = re.compile(r"0*[1-9][0-9]{0,8}")

app = typer.Typer()


@app.command(name="tune", epilog=EXAMPLES)
def tune_command(
    preset: Annotated[
        str, typer.Option(metavar="PRESET", help=f"The present settings: {', '.join(PRESETS)}.")
    ] = "optimized",
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="A service that is running, of which only the number of clients can be moved:"
            " where a picture is posted, or the address of one of ours.",
            show_default=False,
        ),
    ] = None,
    knob: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KNOB=V,V",
            help=f"A setting and its values, may be repeated: {', '.join(knobs.BY_NAME)}, or any"
            " SERVICE_*. Without one the clients are moved.",
            show_default=False,
        ),
    ] = None,
    present: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KNOB=V",
            help="What is otherwise than the preset today; may be repeated.",
            show_default=False,
        ),
    ] = None,
    clients: Annotated[
        str | None,
        typer.Option(
            metavar="N,N",
            help="How many ask at a time.",
            show_default=f"{CLIENTS}; without a knob {CLIENTS_ALONE}",
        ),
    ] = None,
    slo: Annotated[
        str | None,
        typer.Option(
            metavar="SLO",
            help=f"What has to hold, as in {objective.EXAMPLE}: the value that carries it at the"
            " most load is best (default: the fastest by P95).",
            show_default=False,
        ),
    ] = None,
    track: Annotated[
        str | None,
        typer.Option(metavar="TRACK", help=f"One of {', '.join(TRACKS)}.", show_default="A"),
    ] = None,
    model: Annotated[str, typer.Option(metavar="MODEL", help=f"{', '.join(MODELS)}.")] = "nano",
    repeats: Annotated[int, typer.Option(min=2, max=99, help="Of each value and load.")] = 5,
    duration: Annotated[
        float,
        typer.Option(
            min=0.1,
            max=86400,
            metavar="S",
            help="Of a repeat; as long as its percentile needs, up to 4 times.",
        ),
    ] = 5.0,
    body: Annotated[str, typer.Option(metavar="BODY", help=f"{' or '.join(BODIES)}.")] = BODIES[0],
    images: Annotated[
        str, typer.Option(metavar="PATH", help="What is sent: a folder or a file.")
    ] = "loadtests/images",
    results: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Where records go.", show_default="benchmarks/results"),
    ] = RESULTS,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="RECORD", help="Measure nothing: judge this sweep.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
) -> None:
    """
    Say which value of a setting to serve with: measure each, in turns, as `windtunnel run` does.

    Every knob is moved alone from the present settings. Where nothing differs beyond noise the
    present value stays, and the difference that would have been seen is told.
    """
    if record is not None:
        if url or knob or present or clients:
            raise AnalysisError(
                "--record: found together with what is to be measured; expected --slo at most; a"
                " record is judged as it is, so leave the others out"
            )
        _judge(record, slo)
        return
    wanted = None if slo is None else objective.parse(slo)
    counts = _clients(clients or (CLIENTS if knob else CLIENTS_ALONE))
    load_ = Load(counts, repeats, duration, slo or "", model, track or "A", body, images)
    if url is None:
        table = _of_preset(preset, knob or [], present or [], load_, wanted)
    elif knob or present:
        raise AnalysisError(
            "--url with --knob or --present: a service that is running keeps the settings it was"
            " started with; expected --clients alone; leave --url out to start one with --preset"
        )
    else:
        table = clients_campaign({"url": _address(url, model, track)}, load_, wanted)
    _measure(table, results.resolve(), dry_run=dry_run)
    if not dry_run:
        _judge(results / table["name"], slo)


def _clients(text: str) -> tuple[int, ...]:
    """`1,8,32`, each once; AnalysisError if there is something else in it."""
    parts = [part.strip() for part in text.split(",")]
    if not all(_COUNT.fullmatch(part) for part in parts):
        raise AnalysisError(
            f"--clients: found {plain(text)!r}; expected whole numbers from 1 on, with commas"
            f" between them, as in {CLIENTS}"
        )
    return tuple(dict.fromkeys(int(part) for part in parts))


def _address(url: str, model: str, track: str | None) -> str:
    """Where pictures are posted; of one of our services its address is enough."""
    if urlsplit(url).path not in ("", "/"):
        return url
    return f"{url.rstrip('/')}/predict/{model}" + (f"?track={track}" if track else "")


def _of_preset(
    preset: str, wanted: list[str], given: list[str], load: Load, slo: Objective | None
) -> dict[str, Any]:
    """The campaign that moves these knobs from the present settings."""
    base = dict(_present(each) for each in given)
    # What the campaign itself would refuse, before the service is asked about it.
    table = clients_campaign({"preset": preset, **base}, load, slo)
    served = campaigns.accept("tune", table).variants[SERVED]
    if not wanted:
        return table
    effective = environments.effective_settings(served, ROOT)
    settings = {
        **{name: str(value) for name, value in effective.items()},
        "SERVICE_TRACK": load.track,
    }
    found = Sweep(preset, tuple(knobs.parse("--knob", each) for each in wanted), settings, base)
    check(found, load)
    for note in notes(found, load):
        print(f"NOTE: {note}", flush=True)
    return campaign(found, load, slo)


def _present(text: str) -> tuple[str, str]:
    """`workers=2`: the setting and its value."""
    knob, values = knobs.parse("--present", text)
    if len(values) != 1:
        raise AnalysisError(
            f"--present: found {plain(text)!r}; expected one value; move it by --knob"
        )
    return knob.setting, values[0]


def _measure(table: dict[str, Any], results: Path, *, dry_run: bool) -> None:
    """Run the campaign as `windtunnel run` does; what is complete can be judged later."""
    campaigns.accept("tune", table)  # whose refusal would else name a file that nobody wrote
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"{table['name']}.toml"
        file.write_text(toml(table), encoding="utf-8")
        try:
            runs.run([file], results=results, dry_run=dry_run)
        except typer.Exit as stopped:
            if stopped.exit_code:
                where = shlex.quote(str(shown(results / table["name"])))
                print(f"then: windtunnel tune --record {where}", file=sys.stderr)
            raise


def _judge(path: Path, slo: str | None) -> None:
    """Say what a sweep's record says."""
    record = load(shown(path))
    promised = slo or record.slo
    wanted = objective.parse(promised) if promised else None
    comparison = compare(record, slo=wanted, percentiles=[decisive(wanted)])
    table.show(comparison, Console())
