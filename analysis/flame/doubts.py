"""
What stands above a flamegraph: what its grey means, and why not to trust it.
"""

from collections.abc import Iterator, Sequence

from analysis.flame.noise import ASSUMED_SCALE, Dispersion, Scale
from analysis.flame.profiles import OWN, Profile, calibrated_apart
from analysis.words import enumeration, number, percent, plain

FEWEST_SAMPLES = 500
SCATTERED = 10.0  # times the variance of independent samples
LATE_S = 1.0
MANY_ERRORS = 0.05  # in units of the samples
DISTURBED = 1.25  # CPU time a request while profiled, in units of that measured
MUCH_IN_LOOP = 0.05  # of the samples that may be work
CIRCULAR = " This pair is what the noise was measured on, so it cannot but be within it."


def noise_sentence(
    whole: Scale | None, found: Dispersion, limit: float, looked_at: int, *, circular: bool = False
) -> str:
    """What is grey, and from what that was measured; empty for one profile."""
    if whole is None:
        return ""
    source = "measured on profiles of two copies" if found.measured else "assumed"
    if whole.exact:
        scale = ""
    elif whole.blocks < 2:
        scale = f", and CPU time a request varies by {percent(ASSUMED_SCALE)} (assumed)"
    else:
        scale = f", and CPU time a request varies as it did over {whole.blocks} blocks"
    assumed = not found.measured or (whole.blocks < 2 and not whole.exact)
    return (
        f"Grey is within the noise, |z| up to {number(limit)}: the variance of sample counts is"
        f" {number(found.phi)} times that of independent ones ({source}){scale}."
        f" {'If that holds, in' if assumed else 'In'} 95% of such comparisons none of these"
        f" {looked_at} different counts is coloured by chance.{CIRCULAR if circular else ''}"
    )


def doubts(sides: Sequence[Profile], whole: Scale | None, found: Dispersion) -> list[str]:
    """Sentences, each with what to do; none if nothing is to be said."""
    said = [sentence for side in sides for sentence in _of_one(side)]
    both = [] if whole is None else _of_both(sides, whole, found)
    return [*_of_all(sides), *both, *said]


def _of_all(sides: Sequence[Profile]) -> Iterator[str]:
    unknown = [plain(side.name) for side in sides if not side.cpu_ms]
    if unknown:
        yield (
            f"CPU time a request is not known of {enumeration(unknown)}, so these are shares of"
            " samples: one grows when another shrinks; profile under load of the generator"
        )


def _of_both(sides: Sequence[Profile], whole: Scale, found: Dispersion) -> Iterator[str]:
    if not found.measured:
        yield (
            "no profiles of two copies of one service (A/A), so how samples scatter is assumed:"
            " profile a campaign with `aa`, or give a second profile of the first with `--copy`"
        )
    elif found.phi > SCATTERED:
        yield (
            "in profiles of two copies of one service the variance of sample counts is"
            f" {number(found.phi)} times that of independent ones, so only large differences show;"
            " profile for longer, or with less other load on the machine"
        )
    if not whole.exact and whole.blocks < 2:
        yield (
            "CPU time a request comes from one window only, so how much it varies is assumed:"
            " profile a campaign with at least 3 repeats"
        )
    if not whole.exact and calibrated_apart(sides) and not all(side.own_cpu_ms for side in sides):
        (own,) = (plain(side.name) for side in sides if side.only_own)
        yield (
            f"CPU time a request of {own} is of the profiled window, that of the other of measured"
            " repeats, so the difference may be the profiler's; measure both in one campaign"
        )
    options = [
        {name for name in ("native", "gil", "idle") if side.options.get(name)} for side in sides
    ]
    if options[0] != options[1]:
        named = [", ".join(sorted(each)) or "neither native, gil nor idle" for each in options]
        yield (
            f"the two were not taken alike ({named[0]} against {named[1]}), so frames do not"
            " correspond; take both with the same options"
        )


def _of_one(side: Profile) -> Iterator[str]:
    name, stacks = plain(side.name), side.stacks
    if stacks.samples < FEWEST_SAMPLES:
        yield f"{name} has {stacks.samples} samples only; profile for longer, or at a higher rate"
    if stacks.cut:
        yield f"{stacks.cut} samples of {name} had deeper stacks than are kept, and were cut"
    errors = side.facts.get("errors")
    if isinstance(errors, int) and errors > MANY_ERRORS * (stacks.samples + stacks.waiting):
        yield f"{errors} stacks of {name} could not be read; profile without `--nonblocking`"
    behind_s = side.facts.get("behind_s")
    if isinstance(behind_s, int | float) and behind_s > LATE_S:
        yield (
            f"the profiler of {name} was up to {number(behind_s)} s late, so moments are missing;"
            " profile at a lower rate"
        )
    yield from _of_cost(side, name)


def _of_cost(side: Profile, name: str) -> Iterator[str]:
    """CPU time that is in the cost of a request, but in no stack or in the wrong one."""
    loop = side.stacks.in_loop / (side.stacks.samples + side.stacks.in_loop)
    if loop > MUCH_IN_LOOP:
        yield (
            f"up to {percent(loop)} of {name}'s CPU time may be uvloop's own, charged to the other"
            " frames: seen from Python, its work looks as its waiting does; profile with `--native`"
        )
    if side.engine_threads > 1:
        yield (
            f"the engine of {name} computes with {side.engine_threads} threads, of which stacks"
            " show one; the rest is charged to all frames; measure with SERVICE_ENGINE_THREADS=1"
        )
    if side.triton_ms is not None:
        yield (
            f"Triton's CPU time ({number(side.triton_ms)} ms a request of {name}) is not in it:"
            " it is another program, in none of these stacks; the report has its statistics"
        )
    measured = [cost for block, cost in side.cpu_ms.items() if block != OWN]
    if side.own_cpu_ms is not None and measured:
        ratio = side.own_cpu_ms * len(measured) / sum(measured)
        if not 1 / DISTURBED < ratio < DISTURBED:
            yield (
                f"a request of {name} took {number(ratio)} times as much CPU time while it was"
                " profiled, so the profile may not be typical; profile at a lower rate"
            )
