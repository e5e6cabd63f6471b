"""Which visits are made, and in which order: rounds, in each of which every tool is met once."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.peers.measure import Bench
from benchmarks.peers.tools import Tool


class Part(Protocol):
    """Something that is measured of every tool, under some conditions."""

    @property
    def name(self) -> str: ...
    @property
    def conditions(self) -> tuple[str, ...]: ...
    def takes_s(self, condition: str) -> float: ...
    def suits(self, tool: Tool) -> bool: ...
    def measure(self, bench: Bench, tool: Tool, condition: str, work: Path) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Stop:
    """A visit to be made."""

    part: Part
    condition: str
    round: int  # from 1
    tool: Tool


def plan(parts: Sequence[Part], tools: Sequence[Tool], rounds: int, seed: int) -> list[Stop]:
    """
    All visits. Tools follow each other directly under the same condition, in an order of its own
    each time, so that a change of the machine meets all alike.
    """
    order = random.Random(seed)
    stops = []
    for part in parts:
        for number in range(1, rounds + 1):
            for condition in part.conditions:
                suited = [tool for tool in tools if part.suits(tool)]
                order.shuffle(suited)
                stops += [Stop(part, condition, number, tool) for tool in suited]
    return stops


def takes_s(stops: Sequence[Stop]) -> float:
    """How long they will take, about."""
    return sum(stop.part.takes_s(stop.condition) for stop in stops)
