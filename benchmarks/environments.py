"""
Which Python environment a variant runs in, and making the one with pillow-simd.

`default` is the environment that the runner itself runs in; `simd` has pillow-simd in place of
Pillow, which installs the same files. The service is asked what a variant's settings come to, so
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
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.campaign import Variant
from benchmarks.processes import RunError, runner_environment

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = "build-essential libjpeg-dev zlib1g-dev libwebp-dev python3-dev"
HEADERS = ("jpeglib.h", "zlib.h", "webp/decode.h", "Python.h")
SETTINGS_S = 60

_VERIFY = """
import PIL
from PIL import features
missing = [name for name in ("jpg", "webp") if not features.check(name)]
assert PIL.__version__.endswith("post0"), f"PIL is {PIL.__version__}, not pillow-simd"
assert not missing, f"built without {', '.join(missing)}"
print(PIL.__version__)
"""


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
        # A refusal is one line; a traceback explains itself at its end.
        reason = (text.strip().splitlines() or ["it said nothing"])[-1]
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
    return "simd" if settings.get("SERVICE_IMAGING") == "pillow_simd" else "default"


def interpreter(environment: str, root: Path) -> Path:
    """The Python of an environment."""
    if environment == "default":
        return Path(sys.executable)
    return root / f".venv-{environment}" / "bin" / "python"


def make(environment: str, root: Path, say: Callable[[str], None]) -> None:
    """Make an environment if it is not there as its lock says."""
    if environment == "default":
        return
    folder = root / ".venv-simd"
    stamp = folder / ".stamp"
    wanted = _state(root)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    _check_build_tools()
    how = "with AVX2" if machine.has_avx2() else "without AVX2, which this CPU does not have"
    say(f"making {folder.name}: compiling pillow-simd {how}; about half a minute")
    stamp.unlink(missing_ok=True)
    uv = _uv(root)
    # A build from when headers were missing has the same name, installed or in uv's cache: begin
    # with an empty folder and build anew.
    _step(["venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], uv, root)
    _step(["cache", "clean", "--quiet", "pillow-simd"], uv, root)
    fast = ["--config-file", "requirements/avx2.toml"] if machine.has_avx2() else []
    lock = ["--python", str(folder), "--require-hashes", "requirements/simd.txt"]
    _step(["pip", "sync", *fast, *lock], uv, root, shown=True)
    _verify(folder)
    stamp.write_text(wanted)
    say(f"{folder.name} is ready")


def _state(root: Path) -> str:
    """What the environment was made from: it is made again when this changes."""
    digest = hashlib.sha256()
    for name in ("requirements/simd.txt", "requirements/avx2.toml"):
        digest.update((root / name).read_bytes())
    digest.update(f"{machine.has_avx2()} {sys.version_info[:2]}".encode())
    return digest.hexdigest() + "\n"


def _check_build_tools() -> None:
    compiler = shutil.which(os.environ.get("CC", "cc").split()[0])
    missing = ["cc"] if compiler is None else [h for h in HEADERS if not _compiles(compiler, h)]
    if missing:
        raise UnavailableError(
            f"pillow-simd cannot be compiled here: {', '.join(missing)} not found;"
            " expected a C compiler and the headers of libjpeg, zlib, libwebp and Python;"
            f" `apt-get install {PACKAGES}`, or leave such variants out with"
            " `windtunnel run --skip-unavailable`"
        )


def _compiles(compiler: str, header: str) -> bool:
    source = f"#include <stdio.h>\n#include <{header}>\n"
    include = sysconfig.get_paths()["include"]
    command = [compiler, "-fsyntax-only", f"-I{include}", "-x", "c", "-"]
    return subprocess.run(command, input=source.encode(), capture_output=True).returncode == 0


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
            " expected .venv-simd; correct the cause, or leave such variants out with"
            " `windtunnel run --skip-unavailable`"
        )


def _verify(folder: Path) -> None:
    """What was built must be what was wanted: builds go through without half of their formats."""
    python = folder / "bin/python"
    done = subprocess.run([str(python), "-c", _VERIFY], capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UnavailableError(
            f"{folder}: not what was asked for ({reason}); expected pillow-simd with JPEG and"
            f" WebP; `apt-get install {PACKAGES}` and try again"
        )


def main(arguments: list[str]) -> int:
    """Make the named environment; for the Makefile."""
    if arguments != ["simd"]:
        print("usage: python -m benchmarks.environments simd", file=sys.stderr)
        return 2
    try:
        make("simd", ROOT, print)
    except RunError as error:
        print(f"windtunnel: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
