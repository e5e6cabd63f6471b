"""
The command that starts the app: `windtunnel dashboard`.
"""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from analysis.opened import RESULTS, AnalysisError
from dashboards.settings import ADDRESS, arguments, environment

PORT = 8501
EVERYWHERE = "0.0.0.0"

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command(
    name="dashboard",
    epilog="example: windtunnel dashboard benchmarks/results --port 8600 --open",
)
def dashboard_command(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS",
            help="The folder that holds the records.",
            show_default="benchmarks/results",
        ),
    ] = RESULTS,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the app answers.")] = PORT,
    address: Annotated[
        str, typer.Option(help="Where it listens: 0.0.0.0 in a container, whose port is published.")
    ] = ADDRESS,
    browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open a browser when it is ready.")
    ] = False,
) -> None:
    """Show the records in a browser, on this machine alone, until Ctrl-C."""
    check_port(port, address)
    print(f"{url(address, port)} shows {results}; Ctrl-C ends it", flush=True)
    # In the place of this process: Ctrl-C and signals reach the app, and nobody is left behind.
    command = [sys.executable, "-m", *arguments(port, address=address, browser=browser)]
    os.execve(sys.executable, command, environment(results))


def url(address: str, port: int) -> str:
    """Where a browser on this machine finds an app that listens there."""
    return f"http://{ADDRESS if address == EVERYWHERE else address}:{port}"


def check_port(port: int, address: str = ADDRESS) -> None:
    """AnalysisError if somebody answers there already, or it may not be used."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the server does: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise AnalysisError(
                f"port {port}: cannot be used on {address} ({error.strerror}); expected a free one;"
                f" choose another with --port, such as --port {port + 1}"
            ) from error
