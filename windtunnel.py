"""
The console script: mounts each package's commands under one name.

The only module that may import every package; it holds no logic of its own
beyond turning the packages' errors into one line and exit status 2.
"""

import sys

import typer

import analysis.claims.commands
import analysis.commands
import analysis.flame.commands
import analysis.history_commands
import analysis.report_commands
import analysis.tuning.commands
import benchmarks.commands
import benchmarks.doctor_commands
import benchmarks.import_commands
import benchmarks.profiles.commands
import dashboards.commands
import service.commands
from analysis.latency import AnalysisError
from benchmarks.fields import CampaignError
from benchmarks.processes import RunError
from benchmarks.record import RecordError
from loadtests.samples import SamplesError
from service.settings import SettingsError

ERRORS = (AnalysisError, CampaignError, RecordError, RunError, SamplesError, SettingsError)
EXAMPLES = """
Examples

windtunnel run benchmarks/campaigns/demo.toml

windtunnel compare          (the newest record)

windtunnel dashboard        (all records, in a browser)

windtunnel gate benchmarks/results/demo --policy benchmarks/policies/example.toml
"""

app = typer.Typer(
    name="windtunnel",
    help="Which variant of an HTTP inference service is faster, by how much, and how sure is it?",
    epilog=EXAMPLES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for module in (
    benchmarks.commands,
    benchmarks.import_commands,
    analysis.commands,
    analysis.report_commands,
    analysis.history_commands,
    benchmarks.profiles.commands,
    analysis.flame.commands,
    analysis.claims.commands,
    analysis.tuning.commands,
    benchmarks.doctor_commands,
    dashboards.commands,
    service.commands,
):
    app.add_typer(module.app)


def main() -> None:
    """Run a command; an error that a person can act on is one line, never a traceback."""
    try:
        app()
    except ERRORS as error:
        print(f"windtunnel: {error}", file=sys.stderr)
        sys.exit(2)
