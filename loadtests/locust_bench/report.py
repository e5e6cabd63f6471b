"""
What is made of the parts when a run is over: the samples file, the summary, lines for people.
"""

import json
import logging
import sys
from pathlib import Path
from typing import Any

from loadtests import samples
from loadtests.locust_bench import summary
from loadtests.locust_bench.merge import BrokenError, Step, merge
from loadtests.locust_bench.options import Options
from loadtests.locust_bench.run import Orders
from loadtests.locust_bench.summary import Facts

log = logging.getLogger(__name__)


def make(
    options: Options, orders: Orders, images: list[str], steps: list[Step], facts: Facts
) -> None:
    """Put the rows together, and say what they are."""
    merged = merge(Path(orders.folder), images, orders.t0_ns, steps)
    if options.samples:
        path = numbered(options.samples, facts.number)
        try:
            samples.write(path, merged.table, facts.window, merged.issued)
        except samples.SamplesError as error:
            raise BrokenError(str(error)) from error
        log.info("samples: %s", path)
    said = summary.summarize(merged, options, facts)
    _write(options.summary, facts.number, said)
    print(summary.for_people(said), file=sys.stderr)


def numbered(path: Path, number: int) -> Path:
    """A file for each run that the web page starts; none takes the place of another."""
    return path.with_name(f"{path.stem}-{number}{path.suffix}") if number > 1 else path


def _write(where: str, number: int, said: dict[str, Any]) -> None:
    """To a file, or to standard output."""
    if where == "-":
        print(json.dumps(said), flush=True)
    elif where:
        path = numbered(Path(where), number)
        try:
            path.write_text(f"{json.dumps(said)}\n", encoding="utf-8")
        except OSError as error:
            raise BrokenError(f"{path}: cannot be written ({error}); expected a file") from error
