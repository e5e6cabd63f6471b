"""
Tells a Prometheus where the services of a run are, which listen on another port at each start.

The file is what its `file_sd_configs` reads: addresses, each with the job that it belongs to and
the variant that it is.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.recorder import explained
from benchmarks.variants import Target

SERVICE_JOB, TRITON_JOB, GENERATOR_JOB = "yolo-api", "triton", "loadtests"


def groups(up: Iterable[Target], generator: str | None) -> list[dict[str, Any]]:
    """What is up and ours: services, the Triton of each, and the generator."""
    found = []
    for target in up:
        named = {"variant": target.name}
        if target.pids:
            found.append(_group(urlsplit(target.url).netloc, job=SERVICE_JOB, **named))
        if target.statistics:
            found.append(_group(target.statistics[1], job=TRITON_JOB, **named))
    # Its own metrics say which variant it loads.
    return [*found, _group(generator, job=GENERATOR_JOB)] if generator else found


def write(path: Path, what: list[dict[str, Any]]) -> None:
    """Replace the file at once; Prometheus looks at it when it changes."""
    partial = path.with_name(f".{path.name}.partial")
    with explained(path.parent, "change its permissions, or targets of [prometheus]"):
        partial.write_text(json.dumps(what, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)


def addresses(what: list[dict[str, Any]]) -> set[str]:
    """Of all groups."""
    return {address for group in what for address in group["targets"]}


def _group(address: str, **labels: str) -> dict[str, Any]:
    return {"targets": [address], "labels": labels}
