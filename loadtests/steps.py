"""
Steps of users, held one after the other: how far does the service scale?

    locust -f loadtests/locustfile.py,loadtests/steps.py --steps 1,8,32 --step-time 10s --headless

Locust takes up every shape that it is given a file of, so this one is a file of its own.
"""

from argparse import ArgumentTypeError
from typing import Any

from locust import events

from loadtests.locust_bench import options
from loadtests.locust_bench.shape import SHORTEST_S, Planned, Steps


def clients_list(text: str) -> list[int]:
    """Numbers of users: 1,8,32."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ArgumentTypeError(f"{text!r} are no numbers of users; expected some such as 1,8,32")
    return [int(part) for part in parts]


def step_time_s(text: str) -> float:
    """A duration that Locust can keep: it looks once a second."""
    value = options.positive_s(text)
    if value < SHORTEST_S:
        raise ArgumentTypeError(f"{text!r} is too short; expected {SHORTEST_S:g}s or more")
    return value


def _declare(parser: Any, **_: Any) -> None:
    add = parser.add_argument_group("Steps (windtunnel)").add_argument
    add("--steps", type=clients_list, default=[1, 8, 32], help="users of each (default 1,8,32)")
    add("--step-time", type=step_time_s, default=10.0, metavar="D", help="of each (default 10s)")


class StepShape(Steps):
    """The warm-up, then each number of users for its time."""

    def plan(self, given: Any) -> list[Planned]:
        """The warm-up belongs to the first step; later ones are entered under load."""
        return [
            Planned(f"{clients} users", clients, 0.0 if number else given.warmup, given.step_time)
            for number, clients in enumerate(given.steps)
        ]


events.init_command_line_parser.add_listener(_declare)  # type: ignore[no-untyped-call]
