"""
A campaign's levels against one service that is already running, in a seeded order.

    locust -f loadtests/locustfile.py,loadtests/matrix.py --campaign benchmarks/campaigns/demo.toml

For watching a matrix in Locust's page. Variants, A/A and verdicts are `windtunnel run`'s, which
takes `generator = "locust"` in the campaign; here only clients, repeats, times and seed are read.
"""

import random
import sys
import tomllib
from pathlib import Path
from typing import Any, NoReturn

from locust import events
from locust.runners import MasterRunner, WorkerRunner

from loadtests.locust_bench.shape import SHORTEST_S, Planned, Steps

# As benchmarks/campaign.py, which the generators know nothing of; a test keeps the two alike.
DEFAULTS = {"repeats": 3, "duration_s": 10.0, "warmup_s": 2.0, "min_requests": 0}


def _declare(parser: Any, **_: Any) -> None:
    add = parser.add_argument_group("A campaign's matrix (windtunnel)").add_argument
    add("--campaign", default="", metavar="FILE", help="whose clients, repeats and times to follow")


def _check(environment: Any, runner: Any, **_: Any) -> None:
    """Refuse a campaign that cannot be followed before anything starts."""
    if isinstance(runner, WorkerRunner):
        return
    file = environment.parsed_options.campaign
    steps = planned(file, environment.parsed_options.seed)
    if isinstance(runner, MasterRunner) and any(step.min_requests for step in steps):
        refuse(f"{file}: min_requests needs the counts of all workers; use one process")


def planned(file: str, seed: int) -> list[Planned]:
    """The steps of a campaign: levels shuffled in each repeat, with the campaign's seed or ours."""
    campaign = {**DEFAULTS, **_read(file)}
    levels = campaign.get("clients")
    if not levels:
        refuse(f"{file}: has no clients; expected a closed loop; Locust's users wait for answers")
    if campaign["warmup_s"] + campaign["duration_s"] < SHORTEST_S:
        refuse(f"{file}: steps of less than {SHORTEST_S:g} s; expected longer ones; see duration_s")
    shuffler = random.Random(campaign.get("seed", seed))
    return [
        Planned(
            f"r{repeat:02d} c{clients:04d}",
            clients,
            float(campaign["warmup_s"]),
            float(campaign["duration_s"]),
            campaign["min_requests"],
        )
        for repeat in range(1, campaign["repeats"] + 1)
        for clients in shuffler.sample(levels, len(levels))
    ]


def _read(file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        refuse(
            f"--campaign {file}: no such file; expected a campaign (benchmarks/campaigns/*.toml)"
        )
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        refuse(f"--campaign {file}: not TOML ({error}); expected a campaign")


def refuse(problem: str) -> NoReturn:
    """End with one line."""
    print(f"locust: {problem}", file=sys.stderr)
    sys.exit(2)


class MatrixShape(Steps):
    """Each level for its warm-up and its measured time."""

    def plan(self, given: Any) -> list[Planned]:
        """The campaign's."""
        return planned(given.campaign, given.seed)


events.init_command_line_parser.add_listener(_declare)  # type: ignore[no-untyped-call]
events.init.add_listener(_check)  # type: ignore[no-untyped-call]
