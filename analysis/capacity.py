"""
How much load each variant carries within an SLO, from the levels that were measured.

Its sentences also say where the knee is and by which law throughput scales.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, sqrt

from analysis import knee, usl
from analysis.cells import THROUGHPUT, Cell
from analysis.checks import Doubt
from analysis.compare import Bound, Ratio
from analysis.comparison import Comparison
from analysis.crossing import Crossing, crossing
from analysis.curve import closed, curve, lacking
from analysis.interval import over_repeats
from analysis.kept import Judged, Kept, kept
from analysis.matrix import Matrix
from analysis.objective import Objective, text
from analysis.words import enumeration, levels_phrase, load_of, number, plain
from benchmarks.record import level_title

NEAR = 1.05  # a level nearer than 5 % to one that was measured tells nothing new
CLIENTS, RATE = "clients", "rate"  # as load_of says it: closed loop, open loop


@dataclass(frozen=True, slots=True)
class Capacity:
    """One variant under one kind of load, against an objective."""

    variant: str
    loop: str  # CLIENTS or RATE
    judged: dict[str, Judged]  # by level, the lowest load first
    holds: str | None  # the highest level that holds, every lower one holding too
    breaks: str | None  # the lowest level that breaks it
    undecided: tuple[str, ...]  # between these two: what cannot be told
    again: tuple[str, ...]  # levels that hold above one that breaks, which is odd
    throughput: Ratio | None  # requests/s at `holds`: point and 95 % interval over repeats
    crossing: Crossing
    advice: tuple[float, ...]  # loads to measure next; none if nothing nearer can be told


def capacity(comparison: Comparison, slo: Objective) -> list[Capacity]:
    """Each variant, the A/A copy included, in the record's order; clients before rates."""
    plan = comparison.plan
    return [
        _capacity(comparison.matrix, variant, loop, levels, slo)
        for variant in plan.variants
        for loop in (CLIENTS, RATE)
        if (levels := sorted((n for n in plan.levels if load_of(n)[0] == loop), key=load_of))
    ]


def _capacity(
    matrix: Matrix, variant: str, loop: str, levels: Sequence[str], slo: Objective
) -> Capacity:
    cells = {n: matrix.cells.get((variant, n), Cell(variant, n, ())) for n in levels}
    judged = {level: kept(cell, slo) for level, cell in cells.items()}
    outcomes = [judged[level].outcome for level in levels]
    first = next((i for i, o in enumerate(outcomes) if o is not Kept.HOLDS), len(levels))
    broken = next((i for i, o in enumerate(outcomes) if o is Kept.BROKEN), len(levels))
    holds = levels[first - 1] if first else None
    breaks = levels[broken] if broken < len(levels) else None
    undecided = [n for n in levels[first:broken] if judged[n].outcome is Kept.CANNOT_TELL]
    crossed = crossing(list(cells.values()), slo)
    return Capacity(
        variant=variant,
        loop=loop,
        judged=judged,
        holds=holds,
        breaks=breaks,
        undecided=tuple(undecided),
        again=tuple(n for n in levels[broken:] if judged[n].outcome is Kept.HOLDS),
        throughput=_throughput(cells[holds]) if holds else None,
        crossing=crossed,
        advice=() if undecided else tuple(_advice(loop, holds, breaks, crossed.load)),
    )


def _throughput(cell: Cell) -> Ratio | None:
    values = [visit.value(THROUGHPUT) for visit in cell.visits]
    return over_repeats([value for value in values if value is not None])


def _advice(
    loop: str, holds: str | None, breaks: str | None, crossed: Ratio | None
) -> Iterator[float]:
    """Between the level that holds and the one that breaks; beyond, where one is missing."""
    low = load_of(holds)[1] if holds else 0.0
    high = load_of(breaks)[1] if breaks else inf
    if low == 0:
        wanted = [high / 4, high / 2]
    elif high == inf:
        wanted = [2 * low, 4 * low]
    else:
        inside = crossed is not None and low * NEAR < crossed.point < high / NEAR
        wanted = [crossed.point if crossed and inside else sqrt(low * high)]
    rounded = [float(round(n)) if loop == CLIENTS else float(f"{n:.3g}") for n in wanted]
    for load in dict.fromkeys(rounded):
        if load > 0 and low * NEAR <= load <= high / NEAR:
            yield load


def sentences(comparison: Comparison, slo: Objective | None) -> list[str]:
    """
    What each variant carries, where its knee is, and by which law it scales; plain text.

    What cannot be told is said with the reason and what would let it, once for all variants
    alike. Without an objective there is no capacity; knee and law need none.
    """
    plan = comparison.plan
    carried = capacity(comparison, slo) if slo else []
    told = [_sentence(comparison, each, slo) for each in carried if slo and each.variant != plan.aa]
    clauses: dict[str, list[str]] = {}
    for name in plan.variants:
        if name != plan.aa and closed(plan.levels):
            for clause in _scaling(comparison.matrix, name):
                clauses.setdefault(clause, []).append(plain(name))
    return [*told, *(f"{enumeration(names)}: {clause}." for clause, names in clauses.items())]


def _scaling(matrix: Matrix, variant: str) -> Iterator[str]:
    found = curve(matrix, variant)
    if lacking(found, knee.LEVELS):
        yield f"knee and scaling law are not known: {lacking(found, usl.LEVELS)}"
    else:
        yield knee.clause(knee.knee(matrix, variant))
        yield usl.clause(usl.scaling(matrix, variant))


def _sentence(comparison: Comparison, found: Capacity, slo: Objective) -> str:
    name, limit = plain(found.variant), text(slo)
    lowest = next(iter(found.judged))
    if found.holds:
        carried = f"{level_title(found.holds)} ({_details(found)})"
        start = f"{name} carries {carried} within {limit}"
    elif found.breaks == lowest:
        start = f"{name} breaks {limit}, even {levels_phrase([lowest])}"
        start += f" ({found.judged[lowest].reason})"
    else:
        start = f"{name}: what it carries within {limit} cannot be told"
    parts = [start, *_limits(found, lowest)]
    numbers = [str(n) for n, each in enumerate(comparison.doubts, 1) if _concerns(each, found)]
    if numbers:
        parts.append(f"see doubt{'s' if len(numbers) > 1 else ''} {enumeration(numbers)}")
    return "; ".join(parts) + "."


def _details(found: Capacity) -> str:
    """`114 [111, 117] requests/s, 12% of the error budget`, and whether requests were enough."""
    assert found.holds
    judged, shown = found.judged[found.holds], []
    if found.throughput:
        rps = found.throughput
        shown.append(f"{number(rps.point)} [{number(rps.low)}, {number(rps.high)}] requests/s")
    if judged.budget_spent is not None:
        share = f"{number(100 * judged.budget_spent)}%" if judged.over else "none"
        shown.append(f"{share} of its error budget")
    if judged.requests_needed is not None and not judged.proven:
        shown.append(f"{judged.requests} requests, MLPerf asks for {judged.requests_needed}")
    return ", ".join(shown)


def _limits(found: Capacity, lowest: str) -> Iterator[str]:
    """What ends it, what cannot be told, and what to measure next."""
    for level in found.undecided:
        judged = found.judged[level]
        untold = "it cannot be told, as " if found.holds else ""
        yield f"{levels_phrase([level])} {untold}{judged.reason}: {judged.remedy}"
    if found.breaks and found.breaks != lowest:
        yield f"it breaks {levels_phrase([found.breaks])} ({found.judged[found.breaks].reason})"
    if found.again:
        yield f"{levels_phrase(found.again)} it holds again, so measure again"
    if found.crossing.load and found.crossing.between:
        yield f"the limit is crossed {_crossed(found.crossing.load, found.crossing.between)}"
    if found.advice:
        unit = "clients" if found.loop == CLIENTS else "rates"
        wanted = ", ".join(f"{load:g}" for load in found.advice)
        why = "no level breaks it: " if found.holds and not found.breaks else ""
        yield f"{why}add {unit} = [{wanted}]"


def _crossed(load: Ratio, between: tuple[str, str]) -> str:
    (loop, low), (_, high) = (load_of(level) for level in between)
    unit = "clients" if loop == CLIENTS else "requests/s"
    straight = f"if the curve is straight from {low:g} to {high:g} {unit}"
    if load.bound is Bound.AT_MOST:
        return f"below {number(load.high)} {unit}, {straight}"
    if load.low < low or load.high > high:
        return f"between {low:g} and {high:g} {unit}; more repeats would tell where"
    shown = f"{number(load.point)} [{number(load.low)}, {number(load.high)}]"
    return f"at about {shown} {unit}, {straight}"


def _concerns(doubt: Doubt, found: Capacity) -> bool:
    """Whether it is of a level that decided."""
    decided = {found.holds, found.breaks, *found.undecided}
    return any(name == found.variant and level in decided for name, level in doubt.cells)
