"""
Steps of users before they are made: a list of numbers, or the matrix of a campaign.
"""

import random
import tomllib
from argparse import ArgumentTypeError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.locust_bench.options import positive_s

# Locust looks at a shape once a second.
SHORTEST_S = 1.0
# As benchmarks/campaign.py, which the generators know nothing of; a test keeps the two alike.
DEFAULTS = {"repeats": 3, "duration_s": 10.0, "warmup_s": 2.0, "min_requests": 0}
# Types and the least value of what is read of a campaign.
NUMBERS: dict[str, tuple[tuple[type, ...], int]] = {
    "clients": ((int,), 1),
    "repeats": ((int,), 1),
    "seed": ((int,), 0),
    "min_requests": ((int,), 0),
    "warmup_s": ((int, float), 0),
    "duration_s": ((int, float), 0),
}


class PlanError(Exception):
    """A campaign that cannot be followed, with what was found and what to do about it."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A step before it is made."""

    name: str
    clients: int
    warmup_s: float
    duration_s: float
    min_requests: int = 0


def clients_list(text: str) -> list[int]:
    """Numbers of users: 1,8,32."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ArgumentTypeError(f"{text!r} are no numbers of users; expected some such as 1,8,32")
    return [int(part) for part in parts]


def step_time_s(text: str) -> float:
    """A duration that Locust can keep."""
    value = positive_s(text)
    if value < SHORTEST_S:
        raise ArgumentTypeError(f"{text!r} is too short; expected {SHORTEST_S:g}s or more")
    return value


def steps(clients: list[int], each_s: float, warmup_s: float) -> list[Planned]:
    """The warm-up belongs to the first step; later ones are entered under load."""
    return [
        Planned(f"{count} users", count, 0.0 if number else warmup_s, each_s)
        for number, count in enumerate(clients)
    ]


def matrix(file: str, seed: int) -> list[Planned]:
    """The steps of a campaign: levels shuffled in each repeat, with the campaign's seed or ours."""
    campaign = {**DEFAULTS, "seed": seed, **_read(file)}
    if not campaign.get("clients"):
        raise PlanError(
            f"{file}: has no clients; expected a closed loop; Locust's users wait for their answers"
        )
    for name, (kinds, least) in NUMBERS.items():
        value = campaign[name]
        numbers = value if name == "clients" else [value]
        sound = isinstance(numbers, list)
        if not sound or any(type(number) not in kinds or number < least for number in numbers):
            whole = "" if float in kinds else "whole "
            raise PlanError(f"{file}: {name} is {value!r}; expected {whole}numbers from {least} on")
    if campaign["warmup_s"] + campaign["duration_s"] < SHORTEST_S:
        raise PlanError(f"{file}: steps under {SHORTEST_S:g} s; expected longer; raise duration_s")
    levels, shuffler = campaign["clients"], random.Random(campaign["seed"])
    warmup_s, duration_s = float(campaign["warmup_s"]), float(campaign["duration_s"])
    return [
        Planned(f"r{n:02d} c{count:04d}", count, warmup_s, duration_s, campaign["min_requests"])
        for n in range(1, campaign["repeats"] + 1)
        for count in shuffler.sample(levels, len(levels))
    ]


def _read(file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(
            f"--campaign {file!r}: cannot be read ({error}); expected a campaign's file;"
            " see benchmarks/campaigns"
        ) from error
