"""The dashboards as Grafana gets them, and what Grafana would make of their queries."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser as promql

from grafana.build import BOARDS

Json = dict[str, Any]

DASHBOARDS: dict[str, Json] = {board.file: json.loads(board.json()) for board in BOARDS}
WITHOUT_QUERIES = ("row", "text")


def panels(dashboard: Json) -> Iterator[Json]:
    """All that is drawn, those in rows that are folded up too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def targets(dashboard: Json) -> Iterator[tuple[Json, Json]]:
    """Each query, and the panel that it is in."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield panel, target


@dataclass(frozen=True, slots=True)
class Use:
    """A selector in a query: what it selects, over how long if it does, and what is done to it."""

    name: str
    where: dict[str, str]
    range_s: float | None
    function: str


def uses(expression: str) -> list[Use]:
    """Every selector of a query."""
    return list(_uses(promql.parse(expression), ""))


def _uses(node: Any, function: str) -> Iterator[Use]:
    if isinstance(node, promql.MatrixSelector):
        yield _use(node.vector_selector, node.range.total_seconds(), function)
    elif isinstance(node, promql.VectorSelector):
        yield _use(node, None, function)
    elif isinstance(node, promql.Call):
        for argument in node.args:
            yield from _uses(argument, node.func.name)
    else:
        for child in ("lhs", "rhs", "expr"):
            if hasattr(node, child):
                yield from _uses(getattr(node, child), function)


def _use(selector: Any, range_s: float | None, function: str) -> Use:
    where = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
    return Use(selector.name, where, range_s, function)
