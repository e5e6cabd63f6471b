"""
The console script: the packages' commands under one name.

The only module that may import every package, and each only when one of its commands is asked for:
a service that is to start need not wait for the libraries of the analysis. It holds no logic of
its own beyond turning the packages' errors into one line and exit status 2.
"""

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

# In the order of the help.
COMMANDS = {
    "run": "benchmarks.commands",
    "triton": "benchmarks.commands",
    "import": "benchmarks.import_commands",
    "compare": "analysis.commands",
    "gate": "analysis.commands",
    "report": "analysis.report_commands",
    "history": "analysis.history_commands",
    "profile": "benchmarks.profiles.commands",
    "flame": "analysis.flame.commands",
    "claims": "analysis.claims.commands",
    "tune": "analysis.tuning.commands",
    "doctor": "benchmarks.doctor_commands",
    "dashboard": "dashboards.commands",
    "serve": "service.commands",
    "settings": "service.commands",
    "overhead": "service.commands",
}
ERRORS = {
    "analysis.latency": "AnalysisError",
    "benchmarks.fields": "CampaignError",
    "benchmarks.processes": "RunError",
    "benchmarks.record": "RecordError",
    "loadtests.samples": "SamplesError",
    "service.settings": "SettingsError",
}
EXAMPLES = """
Examples

windtunnel run benchmarks/campaigns/demo.toml

windtunnel compare          (the newest record)

windtunnel dashboard        (all records, in a browser)

windtunnel gate benchmarks/results/demo --policy benchmarks/policies/example.toml
"""


class Commands(Mapping[str, Any]):
    """Each command by its name, made when it is looked up."""

    def __getitem__(self, name: str) -> Any:
        module = import_module(COMMANDS[name])
        return typer.main.get_group(module.app).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Group(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands()  # type: ignore[assignment]  # nothing is ever added to it


app = typer.Typer(
    name="windtunnel",
    cls=Group,
    help="Which variant of an HTTP inference service is faster, by how much, and how sure is it?",
    epilog=EXAMPLES,
    no_args_is_help=True,
    callback=lambda: None,  # what makes it a group for typer, which sees no commands yet
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run a command; an error that a person can act on is one line, never a traceback."""
    try:
        app()
    except Exception as error:
        # A module that nobody imported has raised nothing.
        known = [vars(sys.modules[at])[name] for at, name in ERRORS.items() if at in sys.modules]
        if not isinstance(error, tuple(known)):
            raise
        print(f"windtunnel: {error}", file=sys.stderr)
        sys.exit(2)
