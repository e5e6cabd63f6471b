"""
A ratio, its interval and the noise floor as one line of text.
"""

from collections.abc import Iterable
from math import inf, log

from rich.text import Text

from analysis.compare import Bound, Ratio
from analysis.differences import Difference

WIDTH = 21  # odd, so that the ratio 1 has a column


def reach_of(differences: Iterable[Difference]) -> float:
    """The ratio at the right edge of every picture of a run, so that pictures compare."""
    exact = [d.ratio.point for d in differences if d.ratio and d.ratio.bound is Bound.EXACT]
    largest = max((max(point, 1 / point) for point in exact), default=1.0)
    return next((edge for edge in (1.25, 1.5, 2.0, 4.0) if largest < edge), 10.0)


def scale(reach: float) -> str:
    """The head of a column of pictures: what its edges and its middle stand for."""
    low, high = f"{1 / reach:.2g}", f"{reach:.3g}"
    half = WIDTH // 2
    return f"{low:<{half}}1{high:>{half}}"


def picture(ratio: Ratio, floor: float | None, reach: float) -> Text:
    """`..-o-.|....` on a logarithmic scale: `o` in its interval, `|` is 1, dots the noise floor."""
    half = WIDTH // 2

    def column(value: float) -> int:
        place = log(value) / log(reach) * half if 0 < value < inf else value - 1
        return half + round(max(-half - 1.0, min(half + 1.0, place)))

    line = [" "] * WIDTH
    if floor is not None:
        dots = range(max(0, column(1 / (1 + floor))), min(2 * half, column(1 + floor)) + 1)
        line = ["." if place in dots else " " for place in range(WIDTH)]
    low, high = column(ratio.low), column(ratio.high)
    for place in range(max(0, low), min(2 * half, high) + 1):
        line[place] = "-"
    line[half] = "|"
    if 0 <= (point := column(ratio.point)) <= 2 * half:
        line[point] = "o"
    line[0] = "<" if low < 0 else line[0]
    line[-1] = ">" if high > 2 * half else line[-1]
    return Text("".join(line))
