"""
What telemetry costs a request: CPU above `off` of each level of campaigns/telemetry.toml.

    python -m benchmarks.components.telemetry [--quick] [--results DIR]

The campaign is run twice: as it is, and without inference (track null), where a difference of
microseconds stands out. Spans go to a receiver of its own that discards them. What the service's
processes used in the measured time is divided by the answers in it; levels are compared inside a
block, and the intervals are over blocks. Both records are kept, for `windtunnel compare`.
"""

import argparse
import math
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scipy.special import stdtrit

from benchmarks import campaign as campaigns
from benchmarks import machine, plan
from benchmarks import run as runs
from benchmarks.campaign import Campaign, Variant
from benchmarks.environments import ROOT
from benchmarks.fields import CampaignError
from benchmarks.processes import Command, Process, RunError, free_port, runner_environment
from benchmarks.progress import Display
from benchmarks.record import RESULTS, Record, RecordError, load, shown

FILE = ROOT / "benchmarks/campaigns/telemetry.toml"
SINK = (sys.executable, "-m", "benchmarks.components.otlp_sink")
READY_S = 20.0
GRACE_S = 5.0
# What the usual telemetry may cost: both, each where it can be seen.
JUDGED = "default"
MOST_SHARE = 0.05  # of a request with inference
MOST_US = 100.0  # of one without

HOW_TO_READ = """
CPU: microseconds of CPU a request, of all processes of the service, mean over {blocks} blocks.
Above {reference}: the difference within a block, with its 95 % interval (paired t). {copy} is
{reference} once more, in a process of its own: what it differs by is noise. A difference of
microseconds is seen without inference; with it, it is lost in what inference varies by."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float

    def verdict(self, limit: float) -> str:
        """Whether it is under a limit, as far as the interval tells."""
        return "held" if self.high < limit else "missed" if self.low >= limit else "undecided"


@dataclass(frozen=True, slots=True)
class Level:
    """A variant in all blocks: CPU seconds a request, and those of the reference beside it."""

    name: str
    cpu_s: list[float]
    reference_s: list[float]

    @property
    def above_us(self) -> Estimate:
        """Microseconds more than the reference."""
        pairs = zip(self.cpu_s, self.reference_s, strict=True)
        return estimate([(mine - other) * 1e6 for mine, other in pairs])

    @property
    def share(self) -> Estimate:
        """The same as a share of the reference."""
        pairs = zip(self.cpu_s, self.reference_s, strict=True)
        return estimate([mine / other - 1 for mine, other in pairs])


def estimate(values: list[float]) -> Estimate:
    """The mean and its interval by Student's t; of a single block nothing is known but the mean."""
    mean, n = statistics.mean(values), len(values)
    if n < 2:
        return Estimate(mean, -math.inf, math.inf)
    reach = float(stdtrit(n - 1, 0.975)) * statistics.stdev(values) / math.sqrt(n)
    return Estimate(mean, mean - reach, mean + reach)


def levels(record: Record) -> list[Level]:
    """All variants of a record, in its order; a request that failed is no request to count."""
    used: dict[tuple[str, str, int], float] = {}
    for visit in record.completed():
        cell = record.facts(visit)
        summary = cell["generator"]
        if summary["measured"]["ok"] != summary["measured"]["issued"]:
            raise RunError(
                f"{shown(record.path / visit.folder)}: requests failed ({summary['errors']});"
                " expected an answer to each; see the logs of the record"
            )
        answers = summary["throughput_rps"] * summary["duration_s"]
        used[visit.variant, visit.level, visit.repeat] = cell["service"]["cpu_s"] / answers
    return [
        Level(
            name,
            [cpu for (variant, _, _), cpu in used.items() if variant == name],
            [used[record.reference, level, r] for (v, level, r) in used if v == name],
        )
        for name in record.variants
    ]


def table(found: list[Level], reference: str) -> str:
    """A row for each level."""
    lines = [
        f"| level | CPU, us | above {reference}, us | share of {reference} |",
        "|---|---:|---:|---:|",
    ]
    for level in found:
        us, share = level.above_us, level.share
        difference = (
            f"{us.mean:+.1f} ({us.low:+.1f} to {us.high:+.1f})",
            f"{share.mean:+.1%} ({share.low:+.1%} to {share.high:+.1%})",
        )
        shown_as = ("", "") if level.name == reference else difference
        cpu_us = statistics.mean(level.cpu_s) * 1e6
        lines.append(f"| {level.name} | {cpu_us:.1f} | {' | '.join(shown_as)} |")
    return "\n".join(lines)


def verdicts(whole: list[Level], bare: list[Level]) -> str:
    """What the target says of the usual level: its share of a request, and its microseconds."""
    full = next(level for level in whole if level.name == JUDGED)
    share, us = full.share, next(level.above_us for level in bare if level.name == JUDGED)
    of_full = us.mean / (statistics.mean(full.reference_s) * 1e6)
    return "\n".join(
        [
            f"target of {JUDGED}:",
            f"  under {MOST_SHARE:.0%} of a request with inference: {share.verdict(MOST_SHARE)}"
            f" ({share.mean:+.1%}, {share.low:+.1%} to {share.high:+.1%};"
            f" the microseconds below are {of_full:+.2%} of it)",
            f"  under {MOST_US:.0f} us of one without: {us.verdict(MOST_US)}"
            f" ({us.mean:+.1f} us, {us.low:+.1f} to {us.high:+.1f})",
        ]
    )


@contextmanager
def sink(folder: Path) -> Iterator[tuple[str, Path]]:
    """A receiver's address, and the file that has what it says."""
    port, said = free_port(), folder / "sink.txt"
    command = Command((*SINK, "--port", str(port)), ROOT, runner_environment())
    with said.open("wb") as log:
        process = Process(command, stdout=log.fileno(), stderr=log.fileno())
    try:
        deadline = time.monotonic() + READY_S
        while not process.listens_on(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RunError(f"the receiver of spans did not start: {said.read_text().strip()}")
            time.sleep(0.05)
        yield f"127.0.0.1:{port}", said
    finally:
        process.stop(GRACE_S)


def chosen(address: str, *, quick: bool) -> list[Campaign]:
    """The campaign, and the same without inference; those that trace send to an address."""
    campaign = campaigns.read(FILE)
    variants = {name: sending_to(v, address) for name, v in campaign.variants.items()}
    whole = replace(campaign, variants=variants)
    # Thousands of requests a second need less time.
    bare = replace(whole, name=f"{campaign.name}_null", track="null", duration_s=4.0)
    if quick:
        return [replace(each, repeats=3, duration_s=2.0, warmup_s=0.5) for each in (whole, bare)]
    return [whole, bare]


def sending_to(variant: Variant, address: str) -> Variant:
    """A variant whose spans go to an address, if it makes any."""
    if variant.settings["SERVICE_TRACING"] == "off":
        return variant
    return replace(variant, settings={**variant.settings, "SERVICE_OTLP_URL": address})


def measured(campaign: Campaign, results: Path) -> Record:
    """Run a campaign; its record."""
    prepared, pinning = plan.prepare(campaign, ROOT, print), plan.pin(machine.cores())
    facts = plan.facts(prepared, ROOT)
    recorder = runs.create(prepared, results, secrets.randbelow(2**31), pinning, facts)
    try:
        print(plan.describe(campaign, recorder.record.order(), pinning), flush=True)
        with Display(campaign.name, recorder.record.order()) as display:
            runs.Run(prepared, recorder, pinning, ROOT, display).execute()
    finally:
        recorder.close()
    return load(recorder.path)


def main() -> int:
    """Run both and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 short repeats: a look, no verdict")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the records go")
    wanted = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            with sink(Path(folder)) as (address, said):
                both = [
                    measured(campaign, wanted.results.resolve())
                    for campaign in chosen(address, quick=wanted.quick)
                ]
            received = said.read_text().splitlines()[-1]
        found = [levels(record) for record in both]
    except (CampaignError, RecordError, RunError) as error:
        print(f"telemetry: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    for record, each in zip(both, found, strict=True):
        campaign = record.campaign
        print(f"\n{campaign['model']}, track {campaign['track']} ({shown(record.path)}):\n")
        print(table(each, record.reference))
    print(
        HOW_TO_READ.format(
            blocks=len(found[0][0].cpu_s), reference=both[0].reference, copy=both[0].aa
        )
    )
    print(f"\nreceived: {received}")
    print("--quick: no verdict" if wanted.quick else verdicts(*found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
