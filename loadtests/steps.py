"""
Steps of users, held one after the other: how far does the service scale?

    locust -f loadtests/locustfile.py,loadtests/steps.py --steps 1,8,32 --step-time 10s --headless

Locust takes up every shape that it is given a file of, so this one is a file of its own.
"""

from typing import Any

from locust import events

from loadtests.locust_bench.plans import Planned, clients_list, step_time_s, steps
from loadtests.locust_bench.shape import Steps


def _declare(parser: Any, **_: Any) -> None:
    add = parser.add_argument_group("Steps (windtunnel)").add_argument
    add("--steps", type=clients_list, default=[1, 8, 32], help="users of each (default 1,8,32)")
    add("--step-time", type=step_time_s, default=10.0, metavar="D", help="of each (default 10s)")


class StepShape(Steps):
    """The warm-up, then each number of users for its time."""

    def plan(self, given: Any) -> list[Planned]:
        """Those of --steps."""
        return steps(given.steps, given.step_time, given.warmup_s)


events.init_command_line_parser.add_listener(_declare)  # type: ignore[no-untyped-call]
