"""Compare triton_bench with other load generators on this machine, and write down how it went."""

import argparse
import os
import random
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import install, record, report
from benchmarks.peers.measure import Bench
from benchmarks.peers.outputs import OutputError
from benchmarks.peers.pacing import Pacing
from benchmarks.peers.plan import Part, Stop, plan, takes_s
from benchmarks.peers.running import Cpus, RunningError, choose_cpus
from benchmarks.peers.throughput import Throughput
from benchmarks.peers.tools import PEERS, TOOLS
from benchmarks.peers.truth import Truth
from loadtests.samples import SamplesError

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results/peers"
# Beyond this, something else is running.
QUIET_LOAD = 0.5
PARTS = ("throughput", "pacing", "truth")
EXAMPLES = """
examples:
  make peers                                         everything
  .venv/bin/python -m benchmarks.peers --quick       the same in short: for a look, not for numbers
  .venv/bin/python -m benchmarks.peers --only pacing --tools oha,vegeta --rounds 5
  .venv/bin/python -m benchmarks.peers --show benchmarks/results/peers/<time>.json

Peers are installed into .tools/peers (wrk and hey: by apt). Server and generator run on two CPUs of
their own; let nothing else run meanwhile. Ctrl-C ends it and keeps what was measured.
"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument(
        "--only", choices=PARTS, help="measure this part (default: throughput, pacing and truth)"
    )
    options.add_argument(
        "--tools", type=_names, default=PEERS, metavar="A,B",
        help=f"the peers to compare with, or 'none' (default: {','.join(PEERS)})",
    )  # fmt: skip
    options.add_argument(
        "--rounds", type=_positive, help="how often each tool is met (default: 3; --quick: 1)"
    )
    options.add_argument("--quick", action="store_true", help="one round of short runs")
    options.add_argument("--seed", type=int, help="of the order (default: a new one; recorded)")
    options.add_argument(
        "--bin", type=Path, default=ROOT / ".tools/bin", metavar="DIR",
        help="where triton_bench and tb_stub are (default: .tools/bin)",
    )  # fmt: skip
    options.add_argument(
        "--output", type=Path, default=RESULTS, metavar="DIR",
        help="where <UTC time>.json and .md go (default: benchmarks/results/peers)",
    )  # fmt: skip
    options.add_argument(
        "--install-only", action="store_true", help="install the peers, say what is there, and end"
    )
    options.add_argument(
        "--show", type=Path, metavar="JSON", help="print the tables of this result, and end"
    )
    return options


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text != "none" else ()
    if unknown := set(names) - set(PEERS):
        raise argparse.ArgumentTypeError(
            f"{', '.join(sorted(unknown))}: not known; expected some of {', '.join(PEERS)}"
        )
    return names


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a number of rounds, 1 or more")
    return int(text)


def parts(options: argparse.Namespace) -> list[Part]:
    """What is to be measured. The truth takes no less: its percentiles need requests."""
    quick: bool = options.quick
    found: tuple[Part, ...] = (
        Throughput(1.0 if quick else 4.0), Pacing(5.0 if quick else 6.0), Truth(),
    )  # fmt: skip
    return [part for part in found if options.only in (None, part.name)]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 measured, 130 interrupted; what a target came to is in the tables."""
    options = parser().parse_args(arguments)
    if options.show:
        print(report.text(record.read(options.show)))
        return 0
    # Asked to stop, it ends what it has started, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    installed, missing = _install(options.tools)
    if options.install_only:
        return 1 if missing else 0
    tools = [tool for tool in TOOLS if tool.ours or tool.name in installed]
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    rounds = options.rounds or (1 if options.quick else 3)
    stops = plan(parts(options), tools, rounds, seed)
    cpus = choose_cpus()
    result = record.begin(
        quick=options.quick, seed=seed, rounds=rounds, cpus=cpus,
        peers=installed, missing=missing, programs=options.bin,
    )  # fmt: skip
    status = _measure(_bench(options.bin, installed, cpus), stops, result)
    folder = record.write(options.output, result)
    print(report.text(result))
    print(f"\nwritten to {folder}.json and .md", file=sys.stderr)
    return status


def _install(names: Sequence[str]) -> tuple[dict[str, install.Installed], dict[str, str]]:
    installed, missing = {}, {}
    for name in names:
        try:
            installed[name] = install.install(name)
            print(f"{name} {installed[name].version}: {installed[name].source}", file=sys.stderr)
        except install.InstallError as error:
            missing[name] = str(error)
            print(f"NOT COMPARED: {error}", file=sys.stderr)
    return installed, missing


def _bench(folder: Path, peers: dict[str, install.Installed], cpus: Cpus) -> Bench:
    for name in ("triton_bench", "tb_stub"):
        if not (folder / name).exists():
            raise RunningError(f"{folder / name}: not there; `make build` builds it")
    programs = {tool.name: str(folder / "triton_bench") for tool in TOOLS if tool.ours}
    programs |= {name: peer.program for name, peer in peers.items()}
    return Bench(folder / "tb_stub", programs, cpus)


def _measure(bench: Bench, stops: Sequence[Stop], result: dict[str, Any]) -> int:
    """Make the visits, adding each to the result; a tool that fails has a row that says so."""
    if (load := os.getloadavg()[0]) > QUIET_LOAD:
        print(f"the load of this machine is {load:.1f}: what else runs will be in the numbers",
              file=sys.stderr)  # fmt: skip
    os.sched_setaffinity(0, {bench.cpus.server})
    try:
        for done, stop in enumerate(stops):
            left_s = takes_s(stops[done:])
            print(f"{done + 1} of {len(stops)}, {left_s / 60:.1f} min left: {stop.part.name} "
                  f"{stop.condition}, round {stop.round}, {stop.tool.name}",
                  file=sys.stderr)  # fmt: skip
            result["visits"].append(_visit(bench, stop))
    except KeyboardInterrupt:
        print(f"interrupted after {len(result['visits'])} visits", file=sys.stderr)
        result["interrupted"] = True
        return 130
    finally:
        record.end(result)
    return 0


def _visit(bench: Bench, stop: Stop) -> dict[str, Any]:
    about: dict[str, Any] = {
        "part": stop.part.name, "condition": stop.condition, "round": stop.round,
        "tool": stop.tool.name, "failure": None,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="peers-") as work:
        try:
            return about | stop.part.measure(bench, stop.tool, stop.condition, Path(work))
        except (RunningError, OutputError, SamplesError, KeyError, OSError) as error:
            print(f"  FAILED: {error!r}", file=sys.stderr)
            return about | {"failure": f"{error}" or repr(error)}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("peers: interrupted: nothing was measured yet", file=sys.stderr)
        sys.exit(130)
    except (RunningError, record.RecordError, OSError) as error:
        print(f"peers: {error}", file=sys.stderr)
        sys.exit(2)
