"""
The service's commands. What they need is imported when they run: `windtunnel compare` must not
wait for a model's runtime to load.
"""

import json
import os
import sys
import time
from pathlib import Path

import typer

from service.settings import SettingsError, read

app = typer.Typer(
    help="The object-detection service under test.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def serve() -> None:
    """
    Serve object detection over HTTP, as the SERVICE_* variables say.

    SERVICE_PRESET chooses baseline, seed or optimized; every other variable changes one
    setting of it. service/README.md lists them all.

    Example: SERVICE_PRESET=optimized SERVICE_PORT=9600 windtunnel serve
    """
    from service import server

    server.serve(read(os.environ))


@app.command()
def settings() -> None:
    """
    Print the settings that the SERVICE_* variables come to, as JSON, and start nothing.

    Example: SERVICE_PRESET=seed windtunnel settings
    """
    typer.echo(json.dumps(read(os.environ).as_variables(), indent=2))


@app.command(hidden=True)
def stages(images: Path, model: str = "nano") -> None:
    """
    Run the stages without the service: for each line on stdin, one pass over the pictures.

    Each pass prints the CPU milliseconds that a picture cost. What the service takes beyond
    that is its own overhead (benchmarks/components/overhead.py).
    """
    from service import imaging
    from service.telemetry import Clock
    from service.tracks import Worker

    settings = read(os.environ)
    imaging.prepare(settings.imaging)
    track = Worker(settings).tracks["A"]
    pictures = [file.read_bytes() for file in sorted(images.glob("*.jpg"))]
    for _ in sys.stdin:
        began = time.process_time()
        for picture in pictures:
            track.answer(model, picture, Clock())
        typer.echo(json.dumps({"cpu_ms": (time.process_time() - began) * 1e3 / len(pictures)}))
        sys.stdout.flush()


def main() -> None:
    """What a person can mend is one line and exit status 2, never a traceback."""
    try:
        app(prog_name="python -m service")
    except SettingsError as error:
        typer.echo(f"service: {error}", err=True)
        sys.exit(2)
