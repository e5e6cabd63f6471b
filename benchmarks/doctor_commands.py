"""
The command `windtunnel doctor`.
"""

import json
import sys
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.doctor import table
from benchmarks.doctor.examine import Asked, examine
from benchmarks.doctor.findings import Grade, Section, count
from benchmarks.processes import RunError
from benchmarks.progress import Display
from benchmarks.recorder import now
from benchmarks.signals import stopped_by_signals
from benchmarks.snapshot import duration_s

EXAMPLES = """
[bold]Examples[/bold]

windtunnel doctor                    (this machine, and the service on port 9600 if there is one)

windtunnel doctor --no-load

windtunnel doctor --url http://127.0.0.1:9600/predict/small --load 30s --clients 32

windtunnel doctor --format json > doctor.json
"""

LEAST_S, MOST_S = 1.0, 3600.0

app = typer.Typer(rich_markup_mode="rich")


class Format(StrEnum):
    """How the findings are printed."""

    TABLE = "table"
    JSON = "json"


@app.command(epilog=EXAMPLES)
def doctor(
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="The service, or where it predicts (default: http://127.0.0.1:9600, where none"
            " need be).",
            show_default=False,
        ),
    ] = None,
    load: Annotated[
        str, typer.Option("--load", metavar="TIME", help="How long it is loaded: 5s, 1m.")
    ] = "5s",
    no_load: Annotated[
        bool, typer.Option("--no-load", help="Do not load it: only look, and ask.")
    ] = False,
    clients: Annotated[
        int, typer.Option("--clients", min=1, max=4096, help="Clients of the load.")
    ] = 8,
    form: Annotated[Format, typer.Option("--format", help="How it is printed.")] = Format.TABLE,
) -> None:
    """
    What is wrong with a running service, and is this machine fit to measure on?

    Looks at the machine for a second, asks the service what it really runs with, and loads it
    for a moment to see what is refused, what waits, what grows and what the bottleneck is. Each
    finding is OK, a NOTE or a PROBLEM, with the next command to type.
    The exit status is 1 if there is a PROBLEM.
    """
    asked = Asked(url, None if no_load else seconds(load), clients)
    sections, complete = _examined(asked)
    if sections and form is Format.JSON:
        found = table.as_dict(asked.address, now(), sections, complete=complete)
        print(json.dumps(found, indent=1))
    elif sections:
        table.show(sections, Console(highlight=False, markup=False), complete=complete)
    sys.stdout.flush()
    if not complete:
        raise typer.Exit(130)
    if count(sections, Grade.PROBLEM):
        raise typer.Exit(1)


def _examined(asked: Asked) -> tuple[list[Section], bool]:
    """What was found, and whether that is all: Ctrl-C in a load keeps what was found before."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    sections: list[Section] = []
    with Display("doctor", (), console) as display:

        def say(text: str) -> None:
            if console.is_terminal:
                display.working(text)
            else:
                display.say(f"doctor: {text}")

        try:
            with stopped_by_signals():
                for section in examine(asked, say, display.show):
                    sections.append(section)
        except KeyboardInterrupt:
            return sections, False
    return sections, True


def seconds(text: str) -> float:
    """The length of the load; a number alone is seconds."""
    try:
        value = duration_s(f"{text}s" if text.isdigit() else text)
    except ValueError:
        value = 0.0
    if not LEAST_S <= value <= MOST_S:
        raise RunError(
            f"--load: found {text!r}; expected a time from {LEAST_S:g}s to {MOST_S / 60:g}m;"
            " write 5s or 1m, or --no-load"
        )
    return value
