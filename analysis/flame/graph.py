"""
One profile, or the difference of two, as a tree of frames with what each costs a request.

`document` is what the flamegraph pages and `windtunnel flame` are made from: plain data, described
in README.md. Nothing is drawn here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.flame import noise, profiles
from analysis.flame.costs import Costs, costs_of
from analysis.flame.doubts import doubts, noise_sentence
from analysis.flame.profiles import Profile
from analysis.flame.stacks import Frame, Stack, Stacks
from analysis.words import levels_phrase, plain
from benchmarks.record import Record

COST, SHARE = "CPU ms a request", "share"
SMALLEST = 0.0005  # of both profiles: rarer frames are left out and counted
ROOT = Frame("all", "")

# Samples of each side: with what a function calls, and those in which itself runs.
Counts = tuple[list[int], list[int]]
Sample = tuple[Stack, int, int]  # which side, and how many of it


@dataclass(slots=True)
class Node:
    """A frame below its callers; samples of each side, those in which itself runs apart."""

    frame: Frame
    samples: list[int]
    own: list[int]
    children: "list[Node]" = field(default_factory=list)


def of_record(
    record: Record, level: str, variant: str, against: str | None = None
) -> dict[str, Any]:
    """
    A cell's profile, or its difference from that of *against*, which is the first side.

    AnalysisError or RecordError: a profile is not there or damaged.
    """
    found, pairs = profiles.of_cell(record, level, variant, against)
    return document(found, level=level, pairs=pairs)


def document(
    sides: Sequence[Profile], *, level: str = "", pairs: Sequence[tuple[Stacks, Stacks]] = ()
) -> dict[str, Any]:
    """
    One or two profiles as the flame document; of two, the first is what the second came from.

    *pairs* are stacks of copies of one service (A/A), from which the noise is measured.
    """
    both = [side.stacks for side in sides]
    costs = costs_of(sides, pairs)
    root, left_out = _tree(both)
    functions = _functions(both)
    different = len(_different(root, functions))
    limit = noise.threshold(different, costs.dispersion)
    circular = list(pairs) in ([tuple(both)], [tuple(both[::-1])])
    return {
        "title": _title(sides, level),
        "sides": [plain(side.name) for side in sides],
        "unit": COST if all(side.cpu_ms for side in sides) else SHARE,
        "totals": _rounded(costs.totals),
        "samples": list(costs.samples),
        "differs": costs.differ(),
        "noise": noise_sentence(costs.whole, costs.dispersion, limit, different, circular=circular),
        "threshold": None if costs.whole is None else _digits(limit),
        "doubts": doubts(sides, costs.whole, costs.dispersion),
        "left_out": left_out,
        "waiting": [side.waiting for side in both],
        "tree": _described(root, costs, _marks(root, costs), limit),
        "functions": _table(functions, costs, limit),
    }


def looked_at(sides: Sequence[Stacks]) -> set[tuple[int, ...]]:
    """
    Samples of each side of all frames and functions that are drawn or listed.

    Frames with the same samples are one comparison, as those of a stem that all stacks have.
    """
    root, _ = _tree(sides)
    return _different(root, _functions(sides))


def _title(sides: Sequence[Profile], level: str) -> str:
    names = " → ".join(plain(side.name) for side in sides)
    return f"{names} {levels_phrase([level])}" if level else names


def _tree(sides: Sequence[Stacks]) -> tuple[Node, int]:
    """
    All stacks as one tree, and how many of its frames are too rare to be in it.

    From the stem outwards, so that nothing is made of what is left out; what such a frame calls is
    left out with it, and not counted.
    """
    samples = [side.samples for side in sides]
    every = [(stack, i, n) for i, side in enumerate(sides) for stack, n in side.counts.items()]
    root, left_out = Node(ROOT, samples, [0] * len(sides)), 0
    growing = [(root, every, 0)]
    while growing:
        node, through, depth = growing.pop()
        for frame, called in _called(node, through, depth).items():
            child = Node(frame, _sums(called, len(sides)), [0] * len(sides))
            if _kept(child.samples, samples):
                node.children.append(child)
                growing.append((child, called, depth + 1))
            else:
                left_out += 1
    return root, left_out


def _called(node: Node, through: Sequence[Sample], depth: int) -> dict[Frame, list[Sample]]:
    """The stacks that go on from a node, by the next frame; those that end there are its own."""
    found: dict[Frame, list[Sample]] = {}
    for sample in through:
        stack, side, count = sample
        if depth == len(stack):
            node.own[side] += count
        else:
            found.setdefault(stack[depth], []).append(sample)
    return found


def _sums(called: Sequence[Sample], sides: int) -> list[int]:
    found = [0] * sides
    for _, side, count in called:
        found[side] += count
    return found


def _kept(samples: Sequence[int], totals: Sequence[int]) -> bool:
    return any(count >= SMALLEST * of for count, of in zip(samples, totals, strict=True))


def _walk(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def _different(root: Node, functions: Mapping[Frame, Counts]) -> set[tuple[int, ...]]:
    found = {tuple(node.samples) for node in _walk(root)}
    return found | {tuple(counts) for both in functions.values() for counts in both}


def _marks(root: Node, costs: Costs) -> dict[int, float | None]:
    """The z of each node."""
    nodes = list(_walk(root))
    return dict(zip(map(id, nodes), costs.z([node.samples for node in nodes]), strict=True))


def _described(
    node: Node, costs: Costs, marks: Mapping[int, float | None], limit: float
) -> dict[str, Any]:
    children = sorted(node.children, key=lambda child: child.frame)
    return {
        "name": node.frame.name,
        "file": node.frame.file,
        "cost": _rounded(costs.cost(node.samples)),
        "self": _rounded(costs.cost(node.own)),
        "share": _rounded(costs.share(node.samples)),
        **_change(node.samples, marks[id(node)], limit),
        "children": [_described(child, costs, marks, limit) for child in children],
    }


def _change(samples: Sequence[int], z: float | None, limit: float) -> dict[str, Any]:
    state = "new" if not samples[0] else "gone" if not samples[-1] else "both"
    return {"z": None if z is None else _digits(z), "changed": _beyond(z, limit), "state": state}


def _beyond(z: float | None, limit: float) -> bool:
    return z is not None and abs(z) > limit


def _functions(sides: Sequence[Stacks]) -> dict[Frame, Counts]:
    """Samples of each function, wherever it is called from: on the stack, and running."""
    total, own = [side.functions for side in sides], [side.leaves for side in sides]
    wholes = [side.samples for side in sides]
    every = dict.fromkeys(frame for found in total for frame in found)
    return {
        frame: (samples, [found[frame] for found in own])
        for frame in every
        if _kept(samples := [found[frame] for found in total], wholes)
    }


def _table(functions: Mapping[Frame, Counts], costs: Costs, limit: float) -> list[dict[str, Any]]:
    """By what they themselves cost more or less; of one profile, by what they cost."""
    zs = costs.z([total for total, _ in functions.values()])
    own_zs = costs.z([own for _, own in functions.values()])
    rows = [
        {
            "name": frame.name,
            "file": frame.file,
            "cost": _rounded(costs.cost(total)),
            "self": _rounded(costs.cost(own)),
            "share": _rounded(costs.share(total)),
            **_change(total, z, limit),
            "self_z": None if own_z is None else _digits(own_z),
            "self_changed": _beyond(own_z, limit),
        }
        for (frame, (total, own)), z, own_z in zip(functions.items(), zs, own_zs, strict=True)
    ]
    return sorted(rows, key=lambda row: (-abs(_net(row["self"])), row["name"], row["file"]))


def _net(costs: Sequence[float]) -> float:
    return costs[-1] - costs[0] if len(costs) > 1 else costs[0]


def _rounded(values: Iterable[float]) -> list[float]:
    return [_digits(value) for value in values]


def _digits(value: float) -> float:
    """Six of them: a page is half as large, and nobody sees more."""
    return float(f"{value:.6g}")
