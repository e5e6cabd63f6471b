"""
Which Python environment a variant runs in, and making those that are apart from the default.

`default` is the environment that the runner itself runs in; `simd` has pillow-simd in place of
Pillow, which installs the same files; `pytorch` has gigabytes of PyTorch besides; `triton` has
the Triton server and an older numpy. The service is asked what a variant's settings come to, so
that its rules are written down once, in the service.

    python -m benchmarks.environments simd
"""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.campaign import Variant
from benchmarks.processes import RunError, runner_environment
from benchmarks.recipes import RECIPES, Recipe

ROOT = Path(__file__).resolve().parent.parent
SETTINGS_S = 60
LEAVE_OUT = "or leave such variants out with `windtunnel run --skip-unavailable`"


class UnavailableError(RunError):
    """An environment that cannot be made on this machine as it is."""


def effective_settings(variant: Variant, checkout: Path) -> dict[str, Any]:
    """What the service makes of a variant's settings; a setting that it refuses is an error."""
    # Python would find the service that is installed instead, and run another than was asked for.
    if not (checkout / "service/__main__.py").exists():
        raise RunError(
            f"{checkout}: no service/__main__.py; expected a checkout of this repository;"
            " correct --checkout"
        )
    code, said, text = _ask_service(tuple(sorted(variant.environ.items())), checkout)
    try:
        settings = json.loads(said) if code == 0 else None
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        # A refusal is one line; a traceback explains itself at its end, in an old version in a box.
        lines = [line.strip("│╭╰╮╯─ ") for line in text.splitlines()]
        reason = next(filter(None, reversed(lines)), "it said nothing")
        raise RunError(f"variant {variant.name!r}: the service refuses its settings: {reason}")
    return settings


@functools.cache
def _ask_service(settings: tuple[tuple[str, str], ...], checkout: Path) -> tuple[int, str, str]:
    """Ask once for each variant, however many campaigns have it: Python starts slowly."""
    command = [sys.executable, "-m", "service", "settings"]
    env = runner_environment(**dict(settings))
    try:
        done = subprocess.run(
            command, cwd=checkout, env=env, capture_output=True, text=True, timeout=SETTINGS_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(
            f"{checkout}: `{' '.join(command[1:])}` did not answer ({error});"
            " expected the service's settings; try that command by hand"
        ) from error
    return done.returncode, done.stdout, done.stderr


def environment_of(settings: dict[str, Any]) -> str:
    """The environment that effective settings need."""
    pytorch = settings.get("SERVICE_ENGINE") == "pytorch"
    imaging = settings.get("SERVICE_IMAGING")
    simd = imaging in ("pillow_simd", "turbo_simd")
    if pytorch and simd:
        raise RunError(
            f"SERVICE_ENGINE=pytorch and SERVICE_IMAGING={imaging}: found both in one variant;"
            " expected one, since no environment has both; choose another SERVICE_IMAGING"
        )
    return "pytorch" if pytorch else "simd" if simd else "default"


def interpreter(environment: str, root: Path) -> Path:
    """The Python of an environment."""
    if environment == "default":
        return Path(sys.executable)
    return root / f".venv-{environment}" / "bin" / "python"


def make(environment: str, root: Path, say: Callable[[str], None]) -> None:
    """Make an environment if it is not there as its lock says."""
    if environment == "default":
        return
    recipe = RECIPES[environment]
    folder = root / f".venv-{environment}"
    stamp = folder / ".stamp"
    wanted = _state(environment, root)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if reason := recipe.lacking(root):
        raise UnavailableError(f"{reason}, {LEAVE_OUT}")
    say(f"making {folder.name}: {recipe.work()}")
    stamp.unlink(missing_ok=True)
    _install(environment, folder, root)
    _verify(recipe, folder)
    stamp.write_text(wanted)
    say(f"{folder.name} is ready")


def _state(environment: str, root: Path) -> str:
    """What an environment is made from: it is made again when this changes."""
    recipe = RECIPES[environment]
    digest = hashlib.sha256()
    for name in (_lock(environment), *recipe.files):
        digest.update((root / name).read_bytes())
    digest.update(f"{recipe.options()} {recipe.python} {sys.version_info[:2]}".encode())
    return digest.hexdigest() + "\n"


def _lock(environment: str) -> str:
    return f"requirements/{environment}.txt"


def _install(environment: str, folder: Path, root: Path) -> None:
    recipe, uv = RECIPES[environment], _uv(root)
    # A build from when headers were missing has the same name, installed or in uv's cache: begin
    # with an empty folder and build anew.
    _step(["venv", "--quiet", "--clear", "--python", recipe.python, str(folder)], uv, root)
    if recipe.compiled:
        _step(["cache", "clean", "--quiet", recipe.compiled], uv, root)
    lock = ["--python", str(folder), "--require-hashes", _lock(environment)]
    _step(["pip", "sync", *recipe.options(), *lock], uv, root, shown=True)


def _uv(root: Path) -> str:
    here = root / ".tools/bin/uv"
    found = str(here) if here.exists() else shutil.which("uv")
    if not found:
        raise UnavailableError(f"{here}: not there; expected uv; `make setup` installs it")
    return found


def _step(arguments: list[str], uv: str, root: Path, *, shown: bool = False) -> None:
    """Run uv; what it prints is its progress when shown, and the reason when it fails."""
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    env.pop("VIRTUAL_ENV", None)
    stderr = None if shown else subprocess.PIPE
    done = subprocess.run(
        [uv, *arguments], cwd=root, env=env, stdout=subprocess.DEVNULL, stderr=stderr, text=True
    )
    if done.returncode != 0:
        reason = (done.stderr or "see above").strip()
        raise UnavailableError(
            f"uv {' '.join(arguments)}: ended with status {done.returncode} ({reason});"
            f" expected status 0; correct the cause, {LEAVE_OUT}"
        )


def _verify(recipe: Recipe, folder: Path) -> None:
    """What was made must be what was wanted: builds go through without half of their formats."""
    python = folder / "bin/python"
    done = subprocess.run([str(python), "-c", recipe.proof], capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UnavailableError(
            f"{folder}: not what was asked for ({reason}); expected {recipe.expected}"
        )


def main(arguments: list[str]) -> int:
    """Make the named environment; for the Makefile."""
    if len(arguments) != 1 or arguments[0] not in RECIPES:
        print(f"usage: python -m benchmarks.environments {'|'.join(RECIPES)}", file=sys.stderr)
        return 2
    try:
        make(arguments[0], ROOT, print)
    except RunError as error:
        print(f"windtunnel: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
