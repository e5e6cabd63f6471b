"""
The files that `windtunnel profile` leaves: in which format, where, and what is said of them.
"""

import shutil
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from benchmarks.profiles import taken
from benchmarks.profiles.memory import Memory
from benchmarks.record import FACTS, shown
from benchmarks.recorder import explained, write_json


class Format(StrEnum):
    """How the stacks are written."""

    svg = "svg"
    speedscope = "speedscope"
    collapsed = "collapsed"


NAMES = {
    Format.svg: "profile.svg",
    Format.speedscope: "profile.speedscope.json",
    Format.collapsed: "profile.txt",
}
MEMORY_NAME = "memory.html"
ENDINGS = {".svg": Format.svg, ".json": Format.speedscope, ".txt": Format.collapsed}
NEXT = {
    Format.svg: "open it in a browser; a click widens a frame, Ctrl-F searches",
    Format.speedscope: "open it with speedscope, which keeps it in your browser",
    Format.collapsed: "windtunnel flame {output}",
}


def chosen(asked: Format | None, output: Path | None) -> Format:
    """The format that was asked for, or the one that the file's name ends as."""
    return asked or ENDINGS.get(output.suffix if output else "", Format.svg)


def check(output: Path, written: Format | None = None) -> None:
    """A profile of a minute is not to be refused after it."""
    if written is Format.collapsed and output.suffix == FACTS:
        raise typer.BadParameter(f"--output {output}: that is where the facts go; give a .txt")
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise typer.BadParameter(f"--output {output}: expected a file in a folder that is there")


def keep(drawn: Path, output: Path, facts: dict[str, Any] | None = None) -> None:
    """Put a finished file where it was asked for, with its facts beside it."""
    with explained(output, "choose another --output", kept="no profile was kept"):
        if facts:
            write_json(output.with_suffix(FACTS), facts)
        shutil.move(drawn, output)


def said(facts: dict[str, Any], output: Path, written: Format) -> str:
    """What was read, what the service did meanwhile, and what to do next."""
    lines = [
        f"{shown(output)}: {facts['samples']} samples in {facts['duration_s']} s at"
        f" {facts['rate_hz']} Hz, {facts['errors']} unreadable"
    ]
    answers, window_s, cpu_s = (facts.get(key) for key in ("answers", "window_s", "cpu_s"))
    if answers and window_s and cpu_s is not None:
        lines.append(
            f"  meanwhile {answers / window_s:.1f} answers a second and"
            f" {1000 * cpu_s / answers:.1f} ms of CPU time a request, of a service that is watched"
        )
    lines += [f"  NOTE: {note}" for note in taken.notes(facts)]
    return "\n".join([*lines, f"  next: {NEXT[written].format(output=shown(output))}"])


def memory_said(found: Memory, output: Path) -> str:
    """The peak, and what a request allocates."""
    return (
        f"{shown(output)}: peak {found.peak_bytes / 2**20:.1f} MiB; it shows who has them then\n"
        f"  {found.allocations_a_request:,.0f} allocations a request"
        f" ({found.bytes_a_request / 2**20:.2f} MiB in all, most of it short-lived),"
        f" in {found.answers} requests of one worker"
    )
