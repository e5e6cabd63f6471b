"""
Brings the peers onto this machine through their ordinary clients: apt, go, cargo.

What is there in a version that is named here is left as it is. Where the newest version cannot be
built (a registry may not have all that it needs), the next one named is taken; which one was
measured is read from the program and stands in the result.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.tools import PEERS

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".tools/peers/bin"
DEBIAN = ("wrk", "hey")
# Newest first.
GO_MODULES = {
    # The tags of later ones lack the module path that goes with them: not for `go install`.
    "bombardier": ("github.com/codesenberg/bombardier@v1.2.6",),
    "fortio": ("fortio.org/fortio@v1.75.3", "fortio.org/fortio@v1.68.2"),
    "k6": ("go.k6.io/k6/v2@v2.2.0", "go.k6.io/k6@v1.8.1"),
    "vegeta": ("github.com/tsenart/vegeta/v12@v12.13.0",),
}
CRATES = {"oha": "1.16.0"}


class InstallError(Exception):
    """A tool that cannot be had here, and why."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A tool that can be run."""

    program: str
    version: str
    source: str  # where it comes from, and what was tried before


def install(name: str) -> Installed:
    """The tool, installed if it was not."""
    if name not in PEERS:
        raise InstallError(f"{name}: not a tool that is compared; those are {', '.join(PEERS)}")
    if name in DEBIAN:
        return _from_debian(name)
    return _from_crates(name) if name in CRATES else _from_modules(name)


def _from_debian(name: str) -> Installed:
    if shutil.which(name) is None:
        if os.geteuid() or shutil.which("apt-get") is None:
            raise InstallError(f"{name}: not installed; run: sudo apt-get install {name}")
        _run(["apt-get", "update", "-qq"], {})
        _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", name],
             {"DEBIAN_FRONTEND": "noninteractive"})  # fmt: skip
    program = shutil.which(name)
    if program is None:
        raise InstallError(f"{name}: apt-get installed it, and it is not on the PATH")
    try:
        version = _text(["dpkg-query", "-W", "-f", "${Version}", name])
    except InstallError:
        return Installed(program, "unknown", f"{program}, not from a Debian package")
    return Installed(program, version, f"Debian package {name}")


def _from_modules(name: str) -> Installed:
    program = PROGRAMS / name
    specs, refused = GO_MODULES[name], []
    for spec in specs:
        if program.exists() and _module(program) == spec:
            return _built(program, spec)
    for spec in specs:
        try:
            # Built on its own, in no workspace, with the Go that is here.
            _run(["go", "install", spec],
                 {"GOBIN": str(PROGRAMS), "GOWORK": "off", "GOTOOLCHAIN": "local"})  # fmt: skip
        except InstallError as error:
            refused.append(str(error))
            continue
        return _built(program, spec)
    raise InstallError(f"{name}: " + "; ".join(refused))


def _built(program: Path, spec: str) -> Installed:
    newest, source = GO_MODULES[program.name][0], f"go install {spec}"
    if spec != newest:
        source += f"; {newest} could not be built here"
    return Installed(str(program), spec.partition("@")[2], source)


def _module(program: Path) -> str | None:
    """The module and version that a Go program was built from."""
    try:
        text = _text(["go", "version", "-m", str(program)])
    except InstallError:
        return None
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["mod"]:
            return f"{words[1]}@{words[2]}"
    return None


def _from_crates(name: str) -> Installed:
    program, version = PROGRAMS / name, CRATES[name]
    source = f"cargo install {name} --locked --version {version}"
    if program.exists() and _text([str(program), "--version"]).split()[-1] == version:
        return Installed(str(program), version, source)
    _run(["cargo", "install", "--root", str(PROGRAMS.parent), name, "--locked",
          "--version", version], {})  # fmt: skip
    return Installed(str(program), version, source)


def _run(command: Sequence[str], environment: dict[str, str]) -> None:
    """Run an installer, showing that it is getting on."""
    print(f"installing: {' '.join(command)}", file=sys.stderr)
    try:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
    except FileNotFoundError:
        raise InstallError(f"{command[0]}: not found; install it, and run this again") from None
    with process:
        lines = _shown(process)
    if process.returncode:
        telling = [line for line in lines if "error" in line.lower() or "403" in line]
        said = (telling or lines or ["nothing was printed"])[-1].strip()
        raise InstallError(f"{' '.join(command[:3])}: {said}")


def _shown(process: "subprocess.Popen[str]") -> list[str]:
    """The lines of an installer, the newest shown on a terminal, else one in ten seconds."""
    assert process.stdout is not None
    lines, shown, terminal = [], time.monotonic(), sys.stderr.isatty()
    try:
        for line in process.stdout:
            lines.append(line.rstrip())
            if terminal:
                print(f"\r\033[K  {lines[-1][:90]}", end="", file=sys.stderr, flush=True)
            elif time.monotonic() > shown + 10:
                shown = time.monotonic()
                print(f"  {lines[-1]}", file=sys.stderr, flush=True)
    except BaseException:
        process.terminate()
        raise
    finally:
        if terminal:
            print("\r\033[K", end="", file=sys.stderr)
    return lines


def _text(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise InstallError(f"{' '.join(command)}: {error}") from None
    return done.stdout.strip()
