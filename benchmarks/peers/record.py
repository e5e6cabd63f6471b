"""
The result file: every visit of every round, and the conditions under which it was made.

JSON of version 1: `started`, `ended` (UTC), `interrupted`, `quick`, `seed`, `rounds`, `cpus`,
`commit`, `machine`, `load_after`, `tools` (version and source of each), `missing` (peers that could
not be had, and why), `visits` (as measured; `failure` is null when there was none).
"""

import hashlib
import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.peers import report
from benchmarks.peers.install import Installed
from benchmarks.peers.running import Cpus

ROOT = Path(__file__).parents[2]
VERSION = 1


class RecordError(Exception):
    """A result file that cannot be read."""


def begin(
    *,
    quick: bool,
    seed: int,
    rounds: int,
    cpus: Cpus,
    peers: dict[str, Installed],
    missing: dict[str, str],
    programs: Path,
) -> dict[str, Any]:
    """A result without visits."""
    digest = hashlib.sha256((programs / "triton_bench").read_bytes()).hexdigest()
    tools = {name: {"version": peer.version, "source": peer.source} for name, peer in peers.items()}
    commit = machine.commit(ROOT)
    ours = {"version": (commit["sha"] or "unknown")[:12], "source": f"sha256 {digest}"}
    return {
        "version": VERSION,
        "started": _stamp(datetime.now(UTC)),
        "ended": None,
        "interrupted": False,
        "quick": quick,
        "seed": seed,
        "rounds": rounds,
        "cpus": asdict(cpus),
        "commit": commit,
        "machine": machine.facts(),
        "tools": {"triton_bench": ours} | tools,
        "missing": missing,
        "visits": [],
    }


def end(result: dict[str, Any]) -> None:
    """Note when it was over."""
    result["ended"] = _stamp(datetime.now(UTC))
    result["load_after"] = [round(load, 2) for load in os.getloadavg()]


def write(folder: Path, result: dict[str, Any]) -> Path:
    """Write the result and its tables; returns their path without the ending."""
    folder.mkdir(parents=True, exist_ok=True)
    started: str = result["started"]
    path = folder / started.replace("-", "").replace(":", "")
    path.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    path.with_suffix(".md").write_text(report.text(result) + "\n")
    return path


def read(path: Path) -> dict[str, Any]:
    """A result that was written before."""
    try:
        result: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise RecordError(f"{path}: {error}; expected a result of this program") from None
    if not isinstance(result, dict) or result.get("version") != VERSION:
        raise RecordError(f"{path}: not a result of version {VERSION}")
    return result


def _stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
