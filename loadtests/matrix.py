"""
A campaign's levels against one service that is already running, in a seeded order.

    locust -f loadtests/locustfile.py,loadtests/matrix.py --campaign benchmarks/campaigns/demo.toml

For watching a matrix in Locust's page. Variants, A/A and verdicts are `windtunnel run`'s, which
takes `generator = "locust"` in the campaign; here only clients, repeats, times and seed are read.
"""

import sys
from typing import Any

from locust import events
from locust.runners import MasterRunner, WorkerRunner

from loadtests.locust_bench.plans import PlanError, Planned, matrix
from loadtests.locust_bench.shape import Steps


def _declare(parser: Any, **_: Any) -> None:
    add = parser.add_argument_group("A campaign's matrix (windtunnel)").add_argument
    add("--campaign", default="", metavar="FILE", help="whose clients, repeats and times to follow")


def _check(environment: Any, runner: Any, **_: Any) -> None:
    """Refuse a campaign that cannot be followed before anything starts."""
    if isinstance(runner, WorkerRunner):
        return
    given = environment.parsed_options
    try:
        steps = matrix(given.campaign, given.seed)
        if isinstance(runner, MasterRunner) and any(step.min_requests for step in steps):
            raise PlanError(
                f"{given.campaign}: has min_requests; expected none, because workers do not know"
                " each other's counts; use one process"
            )
    except PlanError as error:
        print(f"locust: {error}", file=sys.stderr)
        sys.exit(2)


class MatrixShape(Steps):
    """Each level for its warm-up and its measured time."""

    def plan(self, given: Any) -> list[Planned]:
        """The campaign's."""
        return matrix(given.campaign, given.seed)


events.init_command_line_parser.add_listener(_declare)  # type: ignore[no-untyped-call]
events.init.add_listener(_check)  # type: ignore[no-untyped-call]
