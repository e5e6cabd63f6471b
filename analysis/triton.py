"""
Triton over the repeats of each cell: batches, queue and compute time, and a delay paid for nothing.

What a model may do is known from run.json, where `services[variant].triton` has the engine and
each model's `backend`, `max_batch_size` and `queue_delay_us`; without it only numbers are shown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean, median

from analysis.batching import Use, allowed, server
from analysis.comparison import Comparison
from analysis.words import MISSING, duration, levels_phrase, load_of, number, percent, plain
from benchmarks.record import level_title

MEASURES = (
    "average_batch",
    "queue_share",
    "queue_ms",
    "compute_ms",
    "compute_input_ms",
    "compute_infer_ms",
    "compute_output_ms",
)
HEAD = ("load", "variant", "model", "average batch", "queue share", "queue ms", "compute ms")
NAMES = 3  # of the columns, from the left
LEGEND = (
    "average batch = inferences / executions; - = an ensemble, whose steps do the batching."
    " queue, compute = of a request in Triton, on average. Medians of repeats."
)
# Below this average, with this many clients, a model that waits for a batch gets none.
HARDLY, MANY = 1.1, 8


@dataclass(frozen=True, slots=True)
class CellUse:
    """One Triton model under one variant at one level, in every repeat that can tell."""

    variant: str
    level: str
    model: str
    repeats: Mapping[int, Use]

    @property
    def ensemble(self) -> bool:
        return any(use.ensemble for use in self.repeats.values())

    def median(self, measure: str) -> float | None:
        """The median over repeats; None of what an ensemble has not."""
        values = [getattr(use, measure) for use in self.repeats.values()]
        known = [value for value in values if value is not None]
        return median(known) if known else None

    @property
    def batch_sizes(self) -> dict[int, float]:
        """The mean over repeats of each size's share: medians would not add up to 1."""
        uses = self.repeats.values()
        sizes = sorted({size for use in uses for size in use.batch_sizes})
        return {size: fmean(use.batch_sizes.get(size, 0.0) for use in uses) for size in sizes}


def cells(comparison: Comparison) -> list[CellUse]:
    """Every model that ran in a cell, in the order of the tables."""
    return [
        CellUse(
            cell.variant,
            level,
            model,
            {v.repeat: v.triton[model] for v in cell.visits if model in v.triton},
        )
        for level in comparison.plan.levels
        for cell in comparison.matrix.level(level)
        for model in sorted({name for visit in cell.visits for name in visit.triton})
    ]


def rows(comparison: Comparison) -> list[list[str]]:
    """The cells of a table under HEAD; names are as the record has them."""
    return [
        [
            level_title(found.level),
            found.variant,
            found.model,
            *(
                MISSING if value is None else say(value)
                for measure, say in (
                    ("average_batch", number),
                    ("queue_share", percent),
                    ("queue_ms", number),
                    ("compute_ms", number),
                )
                for value in (found.median(measure),)
            ),
        ]
        for found in cells(comparison)
    ]


def engines(comparison: Comparison) -> str:
    """Which engines ran the models: a backend written in Python is not to be taken for TensorRT."""
    found = (
        server(comparison.record.run, variant).get("engine") for variant in comparison.plan.variants
    )
    return ", ".join(dict.fromkeys(plain(engine) for engine in found if engine))


def never_batched(comparison: Comparison) -> Iterator[str]:
    """A sentence for each model that waited for batches and got none."""
    alone: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for found in cells(comparison):
        kind, load = load_of(found.level)
        average = found.median("average_batch")
        enough = kind == "clients" and load >= MANY and found.variant != comparison.plan.aa
        if enough and average is not None and average < HARDLY:
            alone.setdefault((found.variant, found.model), []).append((found.level, average))
    for (variant, model), levels in alone.items():
        largest, delay_ms = allowed(comparison.record.run, variant, model)
        if largest > 1 and delay_ms > 0:
            where = levels_phrase([level for level, _ in levels], comparison.plan.levels)
            most = number(max(average for _, average in levels))
            yield (
                f"{plain(variant)}: {plain(model)} waits up to {duration(delay_ms)} for a batch"
                f" of up to {largest:g}, and {where} its average batch was"
                f" {'at most ' if len(levels) > 1 else ''}{most}: the wait bought nothing. Look"
                " for what hands Triton one request at a time, or take the delay away."
            )
