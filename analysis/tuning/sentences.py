"""
The advice of a sweep in sentences: what to set, why, what it costs, and what to try next.
"""

import shlex
from collections.abc import Callable, Iterator, Sequence
from math import inf

from analysis.cells import Cell
from analysis.comparison import Comparison
from analysis.costs import cpu_ms, memory_mb
from analysis.objective import text
from analysis.tuning import knobs
from analysis.tuning.advice import Advice, Candidate, Outcome
from analysis.words import enumeration, levels_phrase, load_of, number, percent, plain
from benchmarks.record import level_title

Cost = Callable[[Cell], float | None]
NOTABLE = 1.1  # times as much memory or CPU time: less is not worth a word


def sentences(comparison: Comparison, advice: Advice) -> list[str]:
    """The recommendation first, as plain text."""
    found = [
        _recommendation(advice),
        *_as_good(advice),
        *_costs(comparison, advice),
        *_beyond(advice),
        *_objective(comparison, advice),
    ]
    return [plain(each) for each in found]


def _recommendation(advice: Advice) -> str:
    name, now = advice.knob.name, advice.present.value
    if advice.changes:
        chosen = advice.chosen
        return f"{name}: set {chosen.value}, not {now}: {chosen.reason}."
    others = advice.candidates[1:]
    if all(each.outcome is Outcome.ALIKE for each in others):
        return f"{name}: keep {now}: no other value differs beyond noise{_seen(others)}."
    groups: dict[Outcome, list[Candidate]] = {}
    for each in others:
        groups.setdefault(each.outcome, []).append(each)
    told = "; ".join(f"{_values(found)}: {outcome}" for outcome, found in groups.items())
    return f"{name}: keep {now}: no other value is better ({told}){_seen(others)}."


def _values(found: Sequence[Candidate]) -> str:
    return enumeration([each.value for each in found])


def _seen(others: Sequence[Candidate]) -> str:
    """The difference that one comparison would have shown if it were the only one."""
    alike = [each.unseen for each in others if each.outcome is Outcome.ALIKE]
    if not alike or max(alike) == inf:
        return ""
    return f"; one such comparison by itself would show {percent(max(alike))} in 8 of 10 sweeps"


def _as_good(advice: Advice) -> Iterator[str]:
    if advice.as_good:
        verb = "is" if len(advice.as_good) == 1 else "are"
        yield (
            f"{_values(advice.as_good)} {verb} no faster beyond noise than"
            f" {advice.chosen.value}, which is the smaller change."
        )


def _costs(comparison: Comparison, advice: Advice) -> Iterator[str]:
    """What the choice costs; of a value that stays, which one would be cheaper."""
    if advice.changes:
        if told := _cost(comparison, advice, advice.chosen):
            yield f"It takes {told}."
        return
    alike = [each for each in advice.candidates[1:] if each.outcome is Outcome.ALIKE]
    cheaper = [
        (ratio, each)
        for each in alike
        if (ratio := _times(comparison, advice, each, memory_mb)) and ratio < 1 / NOTABLE
    ]
    if cheaper:
        _, least = min(cheaper, key=lambda found: found[0])
        yield f"{least.value} takes {_cost(comparison, advice, least)}, if that counts."


def _cost(comparison: Comparison, advice: Advice, one: Candidate) -> str:
    """`614 MB of memory (2: 231) and 21 ms of CPU a request (20)`; only what differs notably."""
    told = []
    for cost, unit in ((memory_mb, "MB of memory"), (cpu_ms, "ms of CPU a request")):
        ours, theirs = (_used(comparison, advice, each, cost) for each in (one, advice.present))
        if ours and theirs and not 1 / NOTABLE < ours / theirs < NOTABLE:
            told.append(
                f"{number(ours)} {unit} where {advice.present.value} takes {number(theirs)}"
            )
    return " and ".join(told)


def _times(comparison: Comparison, advice: Advice, one: Candidate, cost: Cost) -> float | None:
    ours, theirs = (_used(comparison, advice, each, cost) for each in (one, advice.present))
    return ours / theirs if ours and theirs else None


def _used(comparison: Comparison, advice: Advice, one: Candidate, cost: Cost) -> float | None:
    """Under the heaviest load that decided."""
    level = max(advice.levels, key=load_of)
    cell = comparison.matrix.cells.get((one.variant, level))
    return None if cell is None else cost(cell)


def _beyond(advice: Advice) -> Iterator[str]:
    """The best may lie where nothing was tried."""
    values = [knobs.number(each.value) for each in advice.candidates]
    known = [value for value in values if value is not None]
    chosen = knobs.number(advice.chosen.value)
    if not advice.changes or chosen is None or len(known) < len(values):
        return
    if chosen in (max(known), min(known)) and chosen > 1:
        whole = all(value.is_integer() for value in known)
        half = chosen // 2 if whole else chosen / 2
        further, edge = (2 * chosen, "largest") if chosen == max(known) else (half, "smallest")
        shown = f"{further:.0f}" if whole else f"{further:g}"
        again = f"--knob {advice.knob.name}={advice.chosen.value},{shown}"
        yield f"{advice.chosen.value} is the {edge} value that was tried: go on with {again}."


def _objective(comparison: Comparison, advice: Advice) -> Iterator[str]:
    """What is carried; what to load next if the objective tells no value from another."""
    slo = comparison.slo
    if slo is None:
        return
    top = max(comparison.plan.levels, key=load_of)
    carried = [each.carries for each in advice.candidates]
    if not any(carried):
        lowest = min(comparison.plan.levels, key=load_of)
        yield f"No value surely keeps {text(slo)}, even {levels_phrase([lowest])}{_less(lowest)}."
    elif all(level == top for level in carried):
        more = f"{load_of(top)[1] * 2:g},{load_of(top)[1] * 4:g}"
        yield (
            f"Every value keeps {text(slo)} {levels_phrase([top])}, the most that were tried:"
            f" --clients {more} would tell what each carries."
        )
    else:
        each = (f"{one.value} carries {_load(one.carries)}" for one in advice.candidates)
        yield f"Within {text(slo)}: {', '.join(each)}."


def _less(lowest: str) -> str:
    return ": ask for less load with --clients" if load_of(lowest)[1] > 1 else ""


def _load(carried: str | None) -> str:
    return level_title(carried) if carried else "nothing that was tried"


def together(advices: Sequence[Advice]) -> Iterator[str]:
    """Knobs were moved one at a time: what they do at once is another question."""
    changed = [each for each in advices if each.changes]
    if len(changed) > 1:
        first, *rest = changed
        now = " ".join(f"--present {each.knob.name}={each.chosen.value}" for each in rest)
        yield (
            "Each knob was moved alone. To see them together: "
            f"{now} --knob {first.knob.name}={first.present.value},{first.chosen.value}"
        )


def commands(comparison: Comparison, advices: Sequence[Advice]) -> Iterator[str]:
    """What starts a service, and its Triton, with the values that were chosen."""
    changed = [each for each in advices if each.changes]
    chosen = {each.knob.setting: each.knob.to_setting(each.chosen.value) for each in changed}
    variants = comparison.record.campaign["variants"]
    present = variants.get(comparison.plan.reference, {})
    every = {**(present.get("settings") or {}), **chosen}
    preset = {"SERVICE_PRESET": present["preset"]} if present.get("preset") else {}
    if any(name.startswith(knobs.SERVICE) for name in chosen):
        ours = {**preset, **{k: v for k, v in every.items() if k.startswith(knobs.SERVICE)}}
        yield " ".join([*(shlex.quote(f"{k}={v}") for k, v in ours.items()), "windtunnel serve"])
    if any(name.startswith(knobs.TRITON) for name in chosen):
        options = (_option(k, str(v)) for k, v in every.items() if k.startswith(knobs.TRITON))
        yield " ".join(["windtunnel triton", *options])


def _option(setting: str, value: str) -> str:
    """A campaign's TRITON_MAX_BATCH is --max-batch of the command."""
    name = setting.removeprefix(knobs.TRITON).lower().replace("_", "-")
    return f"--{name} {shlex.quote(value)}"
