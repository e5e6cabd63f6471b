"""The console script: every command under its name, and no library that it does not need."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from windtunnel import COMMANDS, ERRORS

ROOT = Path(__file__).parent.parent


def test_every_command_of_the_packages_is_in_the_help_or_hidden() -> None:
    files = [file for file in ROOT.glob("[abds]*/**/*commands.py")]
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    there = {
        (name, module)
        for module in modules
        for name in typer.main.get_group(import_module(module).app).commands
    }
    assert there == set(COMMANDS.items())


@pytest.mark.parametrize(("module", "name"), ERRORS.items())
def test_what_is_said_in_one_line_is_an_error_of_its_module(module: str, name: str) -> None:
    error = getattr(import_module(module), name)
    assert issubclass(error, Exception)
    assert error.__module__ == module


@pytest.mark.parametrize(
    ("command", "needless"),
    [
        (["settings"], {"numpy", "pyarrow", "scipy", "fastapi", "streamlit"}),
        (["run", "--help"], {"scipy", "fastapi", "streamlit", "onnxruntime"}),
        (["compare", "--help"], {"fastapi", "streamlit", "onnxruntime"}),
    ],
)
def test_a_command_does_not_wait_for_libraries_of_others(
    command: list[str], needless: set[str]
) -> None:
    script = (
        "import atexit, sys, windtunnel;"
        "atexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr));"
        "windtunnel.main()"
    )
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.split())
    assert "typer" in loaded
    assert loaded & needless == set()
