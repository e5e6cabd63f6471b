"""
The service's commands. What they need is imported when they run: `windtunnel compare` must not
wait for a model's runtime to load.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from service.settings import SettingsError, read

app = typer.Typer(
    help="The object-detection service under test.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


With = Annotated[
    Literal["prometheus"] | None,
    typer.Option(
        "--with",
        help="Start a Prometheus beside it, on port 9090 or the next free one, that scrapes the"
        " service, Triton and the load generators of this machine every second and ends with it"
        " (default: none; `make setup-prometheus` brings it).",
        show_default=False,
    ),
]


@app.command()
def serve(beside: With = None) -> None:
    """
    Serve object detection over HTTP, as the SERVICE_* variables say.

    SERVICE_PRESET chooses baseline, seed or optimized; every other variable changes one
    setting of it. service/README.md lists them all. Where a Triton listens at
    SERVICE_TRITON_URL (127.0.0.1:8001; `windtunnel triton` starts one), pictures are answered
    by track B, otherwise by track A.

    Example: SERVICE_PRESET=optimized SERVICE_PORT=9600 windtunnel serve --with prometheus
    """
    from service import live, server

    settings = read(os.environ)
    if beside is None:
        server.serve(settings)
        return
    with live.prometheus(settings) as settings:
        server.serve(settings)


@app.command()
def settings() -> None:
    """
    Print the settings that the SERVICE_* variables come to, as JSON, and start nothing.

    Example: SERVICE_PRESET=seed windtunnel settings
    """
    typer.echo(json.dumps(read(os.environ).as_variables(), indent=2))


@app.command(hidden=True)
def overhead(images: Path) -> None:
    """
    Serve, and run the stages in a tight loop when stdin says so: see service/overhead.py.

    What a request costs beyond that is the service's own overhead
    (benchmarks/components/overhead.py).
    """
    from service import overhead

    overhead.serve(read(os.environ), images)


def main() -> None:
    """What a person can mend is one line and exit status 2, never a traceback."""
    try:
        app(prog_name="python -m service")
    except SettingsError as error:
        typer.echo(f"service: {error}", err=True)
        sys.exit(2)
