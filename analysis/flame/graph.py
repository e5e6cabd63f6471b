"""
One profile, or the difference of two, as a tree of frames with what each costs a request.

`document` is what the flamegraph pages, `windtunnel flame` and the sentences of because.py are
made from: plain data, described in README.md. Nothing is drawn here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.flame import noise, profiles
from analysis.flame.costs import Costs, costs_of
from analysis.flame.doubts import doubts, noise_sentence
from analysis.flame.profiles import Profile
from analysis.flame.stacks import Frame, Stacks
from analysis.words import levels_phrase, plain
from benchmarks.record import Record

COST, SHARE = "CPU ms a request", "share"
SMALLEST = 0.0005  # of both profiles: rarer frames are left out and counted
ROOT = Frame("all", "")


@dataclass(slots=True)
class Node:
    """A frame below its callers; samples of each side, those in which itself runs apart."""

    frame: Frame
    samples: list[int]
    own: list[int]
    children: "dict[Frame, Node]" = field(default_factory=dict)


def of_record(
    record: Record, level: str, variant: str, against: str | None = None
) -> dict[str, Any]:
    """
    A cell's profile, or its difference from that of *against*, which is the first side.

    AnalysisError or RecordError: a profile is not there or damaged.
    """
    names = [variant] if against is None else [against, variant]
    found = [profiles.from_record(record, name, level) for name in names]
    pairs = profiles.aa_pairs(record) if against else []
    title = f"{' → '.join(map(plain, names))} {levels_phrase([level])}"
    return document(found, title=title, pairs=pairs)


def document(
    sides: Sequence[Profile],
    *,
    title: str = "",
    pairs: Sequence[tuple[Stacks, Stacks]] = (),
) -> dict[str, Any]:
    """
    One or two profiles as the flame document; of two, the first is what the second came from.

    *pairs* are stacks of copies of one service (A/A), from which the noise is measured.
    """
    found = tuple(sides)
    costs = costs_of(found, pairs)
    root, left_out = _tree([side.stacks for side in found])
    functions = _functions([side.stacks for side in found])
    nodes = list(_walk(root))
    looked_at = len(nodes) + 2 * len(functions)
    limit = noise.threshold(looked_at, costs.dispersion)
    marks = dict(zip(map(id, nodes), costs.z([node.samples for node in nodes]), strict=True))
    return {
        "title": title or " → ".join(plain(side.name) for side in found),
        "sides": [plain(side.name) for side in found],
        "unit": COST if all(side.cpu_ms for side in found) else SHARE,
        "totals": list(costs.totals),
        "samples": list(costs.samples),
        "noise": noise_sentence(costs.whole, costs.dispersion, limit, looked_at),
        "threshold": limit if costs.whole is not None else None,
        "doubts": doubts(found, costs.whole, costs.dispersion),
        "left_out": left_out,
        "waiting": [side.stacks.waiting for side in found],
        "tree": _described(root, costs, marks, limit),
        "functions": _table(functions, costs, limit),
    }


def _tree(sides: Sequence[Stacks]) -> tuple[Node, int]:
    """All stacks as one tree, and how many of its frames were too rare to keep."""
    root = Node(ROOT, [0] * len(sides), [0] * len(sides))
    for i, side in enumerate(sides):
        for stack, count in side.counts.items():
            node = root
            node.samples[i] += count
            for frame in stack:
                if frame not in node.children:
                    node.children[frame] = Node(frame, [0] * len(sides), [0] * len(sides))
                node = node.children[frame]
                node.samples[i] += count
            node.own[i] += count
    # The walk goes down a frame after it was yielded, so it meets only what is kept.
    return root, sum(_pruned(node, root.samples) for node in _walk(root))


def _pruned(node: Node, totals: Sequence[int]) -> int:
    """Forget the children that are too rare; how many frames went with them."""
    rare = [child for child in node.children.values() if not _kept(child.samples, totals)]
    for child in rare:
        del node.children[child.frame]
    return sum(1 for child in rare for _ in _walk(child))


def _kept(samples: Sequence[int], totals: Sequence[int]) -> bool:
    return any(count >= SMALLEST * of for count, of in zip(samples, totals, strict=True))


def _walk(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children.values()


def _described(
    node: Node, costs: Costs, marks: dict[int, float | None], limit: float
) -> dict[str, Any]:
    children = sorted(node.children.values(), key=lambda child: child.frame)
    return {
        "name": node.frame.name,
        "file": node.frame.file,
        "cost": costs.cost(node.samples),
        "self": costs.cost(node.own),
        "share": costs.share(node.samples),
        **_change(node.samples, marks[id(node)], limit),
        "children": [_described(child, costs, marks, limit) for child in children],
    }


def _change(samples: Sequence[int], z: float | None, limit: float) -> dict[str, Any]:
    state = "new" if not samples[0] else "gone" if not samples[-1] else "both"
    return {"z": z, "changed": z is not None and abs(z) > limit, "state": state}


def _functions(sides: Sequence[Stacks]) -> dict[Frame, tuple[list[int], list[int]]]:
    """Samples of each function, wherever it is called from: on the stack, and running."""
    total, own = [side.functions for side in sides], [side.leaves for side in sides]
    wholes = [side.samples for side in sides]
    every = {
        frame: ([found[frame] for found in total], [found[frame] for found in own])
        for frame in dict.fromkeys(frame for found in total for frame in found)
    }
    return {frame: found for frame, found in every.items() if _kept(found[0], wholes)}


def _table(
    functions: dict[Frame, tuple[list[int], list[int]]], costs: Costs, limit: float
) -> list[dict[str, Any]]:
    """By what they themselves cost more or less; of one profile, by what they cost."""
    zs = costs.z([total for total, _ in functions.values()])
    own_zs = costs.z([own for _, own in functions.values()])
    rows = [
        {
            "name": frame.name,
            "file": frame.file,
            "cost": costs.cost(total),
            "self": costs.cost(own),
            "share": costs.share(total),
            **_change(total, z, limit),
            "self_z": own_z,
            "self_changed": own_z is not None and abs(own_z) > limit,
        }
        for (frame, (total, own)), z, own_z in zip(functions.items(), zs, own_zs, strict=True)
    ]
    return sorted(rows, key=lambda row: (-abs(_net(row["self"])), row["name"], row["file"]))


def _net(costs: Sequence[float]) -> float:
    return costs[-1] - costs[0] if len(costs) > 1 else costs[0]
