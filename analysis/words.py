"""
Numbers, names and sentences as people read them; the terminal, Markdown and gate share these.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import floor, inf, log10
from typing import Any

from analysis.cells import THROUGHPUT
from analysis.compare import Bound, Ratio, Value
from benchmarks.record import level_title

MISSING = "-"
ALL_LEVELS = "all"  # the level of a difference over the whole curve


def plain(text: object) -> str:
    """A name from a record, without what a terminal would obey."""
    said = str(text)
    return said if said.isprintable() else "".join(c if c.isprintable() else "�" for c in said)


def number(value: float) -> str:
    """Three significant digits, never an exponent: 0.0123, 4.56, 78.9, 1230."""
    if value == 0 or not -inf < value < inf:
        return f"{value:g}"
    decimals = 2 - floor(log10(abs(value)))
    return f"{round(value, decimals):.{max(0, decimals)}f}"


def rounded_to(whole: float) -> Callable[[float], str]:
    """How to write parts so that they add up: with the decimals of the whole's three digits."""
    decimals = max(0, 2 - floor(log10(abs(whole)))) if whole else 2
    # Adding 0 makes 0 of a -0 that rounding left.
    return lambda part: f"{round(part, decimals) + 0.0:.{decimals}f}"


def percent(share: float) -> str:
    return f"{share:.1%}" if abs(share) < 0.0995 else f"{share:.0%}"


def measured(value: Value | None, measure: str) -> str:
    """The value of a cell; a percentile among given-up requests is `> 30 s`."""
    if value is None:
        return MISSING
    if value.at_least and measure != THROUGHPUT:
        return f"> {duration(value.value)}"
    return number(value.value)


def duration(value_ms: float) -> str:
    return f"{number(value_ms)} ms" if value_ms < 1000 else f"{value_ms / 1000:.3g} s"


def ratio_point(ratio: Ratio) -> str:
    sign = {Bound.EXACT: "", Bound.AT_LEAST: "> ", Bound.AT_MOST: "< "}[ratio.bound]
    return sign + _ratio_number(ratio.point, ratio)


def ratio_interval(ratio: Ratio) -> str:
    if ratio.high == inf:
        return MISSING
    if ratio.bound is Bound.AT_LEAST:
        return f"> {_ratio_number(ratio.low, ratio)}"
    if ratio.bound is Bound.AT_MOST:
        return f"< {_ratio_number(ratio.high, ratio)}"
    return f"[{_ratio_number(ratio.low, ratio)}, {_ratio_number(ratio.high, ratio)}]"


def _ratio_number(value: float, ratio: Ratio) -> str:
    """Two decimals, three where two would hide on which side of 1 a narrow interval lies."""
    if not 0.095 <= value < 10:
        return number(value)
    return f"{value:.3f}" if ratio.smallest_difference < 0.02 else f"{value:.2f}"


def floor_text(share: float | None) -> str:
    return MISSING if share is None else f"±{percent(share)}"


def detectable(ratio: Ratio) -> str:
    """The smallest difference that 8 of 10 such campaigns would have shown."""
    return MISSING if ratio.detectable == inf else percent(ratio.detectable)


def level_name(level: str) -> str:
    """A level's title; of a difference over the whole curve, that."""
    return "over all levels" if level == ALL_LEVELS else level_title(level)


def measure_name(measure: str) -> str:
    return "req/s" if measure == THROUGHPUT else measure.upper()


def measure_header(measure: str) -> str:
    return "req/s" if measure == THROUGHPUT else f"{measure.upper()} ms"


def load_of(level: str) -> tuple[str, float]:
    """`c0008` is ("clients", 8), `q0050` ("rate", 50)."""
    return ("clients" if level.startswith("c") else "rate"), float(level[1:])


def levels_phrase(levels: Sequence[str], every: Sequence[str] = ()) -> str:
    """`with 1, 8 and 32 clients`, `at 50 requests/s`, `at every level`."""
    if len(levels) > 1 and list(levels) == list(every):
        return "at every level"
    loops = [[n for n in levels if load_of(n)[0] == loop] for loop in ("clients", "rate")]
    if all(loops):
        return " and ".join(levels_phrase(alike) for alike in loops)
    if len(levels) == 1:
        word = "with" if load_of(levels[0])[0] == "clients" else "at"
        return f"{word} {level_title(levels[0])}"
    loads = enumeration([f"{load_of(level)[1]:g}" for level in levels])
    clients = load_of(levels[0])[0] == "clients"
    return f"with {loads} clients" if clients else f"at {loads} requests/s"


def enumeration(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def cells_phrase(cells: Iterable[tuple[str, str]], every: Sequence[str]) -> str:
    """`baseline, seed at every level; optimized with 8 and 32 clients`."""
    levels: dict[str, list[str]] = {}
    for variant, level in cells:
        levels.setdefault(variant, []).append(level)
    variants: dict[tuple[str, ...], list[str]] = {}
    for variant, found in levels.items():
        ordered = tuple(sorted(set(found), key=list(every).index))
        variants.setdefault(ordered, []).append(plain(variant))
    return "; ".join(
        f"{', '.join(names)} {levels_phrase(found, every)}" for found, names in variants.items()
    )


def machine(facts: Mapping[str, Any]) -> str:
    """`AMD EPYC 7763, 2 cores, 8 GB, Debian 12, Linux 6.1, kvm`: what is known, in one line."""
    cores, memory = facts.get("cores"), facts.get("memory_bytes")
    parts = [
        facts.get("cpu"),
        f"{cores} core{'s' if cores != 1 else ''}" if cores else None,
        f"{memory / 2**30:.0f} GiB" if memory else None,
        facts.get("os"),
        f"Linux {facts['kernel']}" if facts.get("kernel") else None,
        facts.get("virtualization"),
        f"governor {facts['governor']}" if facts.get("governor") else None,
    ]
    return ", ".join(plain(part) for part in parts if part) or "unknown machine"
