"""
Where labels go so that none covers another; in pixels, and therefore for one width of a figure.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import hypot

CHARACTER_PX, HEIGHT_PX, AWAY_PX = 7.0, 12.0, 10.0
STEP_PX = 5.0
SIDES = ("above", "right", "below", "left")

Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a figure; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def spread(wanted: Sequence[float], sizes: Sequence[float], low: float, high: float) -> list[float]:
    """
    Middles as near to the wanted ones as can be without an overlap, in the order of the wanted.

    Neighbours that overlap become one pile about the mean of what they want (the algorithm of
    isotonic regression, pool adjacent violators); piles are then kept inside. Where there is not
    room for all, the first reach beyond *low*.
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    tops = _piled([wanted[index] for index in order], [sizes[index] for index in order])
    floor = low
    for place, index in enumerate(order):
        tops[place] = max(tops[place], floor)
        floor = tops[place] + sizes[index]
    ceiling = high
    for place, index in reversed(list(enumerate(order))):
        tops[place] = min(tops[place], ceiling - sizes[index])
        ceiling = tops[place]
    found = [0.0] * len(wanted)
    for place, index in enumerate(order):
        found[index] = tops[place] + sizes[index] / 2
    return found


def _piled(wanted: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """The top of each label: those that would overlap lie on each other, about where they want."""
    piles: list[tuple[float, list[float]]] = []  # the pile's middle, the sizes in it
    for middle, size in zip(wanted, sizes, strict=True):
        piles.append((middle, [size]))
        while len(piles) > 1 and _overlap(*piles[-2:]):
            (middle, above), (other, below) = piles[-2:]
            count = len(above) + len(below)
            mean = (middle * len(above) + other * len(below)) / count
            piles[-2:] = [(mean, above + below)]
    tops = []
    for middle, pile in piles:
        at = middle - sum(pile) / 2
        for size in pile:
            tops.append(at)
            at += size
    return tops


def _overlap(above: tuple[float, list[float]], below: tuple[float, list[float]]) -> bool:
    return above[0] + sum(above[1]) / 2 > below[0] - sum(below[1]) / 2


def sides(
    points: Sequence[Place],
    texts: Sequence[str],
    edges: Box,
    others: Iterable[Place] = (),
) -> Iterator[str | None]:
    """
    On which side of each point its text goes; None where every side is taken.

    Earlier points choose first. A text covers no point, no other text and no other place, and it
    stays within the edges.
    """
    taken = [Box(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    taken += [Box(x - 1, y - 1, x + 1, y + 1) for x, y in others]
    for (x, y), text in zip(points, texts, strict=True):
        for side in SIDES:
            box = _box(x, y, CHARACTER_PX * len(text), side)
            inside = edges.left <= box.left and box.right <= edges.right
            inside = inside and edges.top <= box.top and box.bottom <= edges.bottom
            if inside and not any(box.meets(other) for other in taken):
                taken.append(box)
                yield side
                break
        else:
            yield None


def along(start: Place, end: Place) -> Iterator[Place]:
    """Places on a line that are less than a letter apart."""
    (x, y), (to_x, to_y) = start, end
    steps = max(1, round(hypot(to_x - x, to_y - y) / STEP_PX))
    for step in range(1, steps):
        yield x + (to_x - x) * step / steps, y + (to_y - y) * step / steps


def _box(x: float, y: float, width: float, side: str) -> Box:
    dx = {"left": -AWAY_PX / 2 - width, "right": AWAY_PX / 2}.get(side, -width / 2)
    dy = {"above": -AWAY_PX / 2 - HEIGHT_PX, "below": AWAY_PX / 2}.get(side, -HEIGHT_PX / 2)
    return Box(x + dx, y + dy, x + dx + width, y + dy + HEIGHT_PX)
