"""
The choices that several pages offer: a measure, a load, a variant. Names in boxes, as in the URL.
"""

from collections.abc import Iterable, Sequence

from analysis.comparison import Comparison
from analysis.words import level_name, load_of, measure_name
from dashboards import state

HEADLINE = "p95"


def switch(comparison: Comparison) -> str:
    """The measure to look at, such as `p95` or `throughput`."""
    return _measure(comparison.plan.measures)


def percentile(comparison: Comparison) -> str:
    """The same of the percentiles alone."""
    return _measure(comparison.plan.measures[: len(comparison.plan.percentiles)])


def _measure(measures: Sequence[str]) -> str:
    names = {measure_name(measure): measure for measure in measures}
    return names[state.switch("Measure", "measure", list(names), measure_name(HEADLINE))]


def level(levels: Iterable[str]) -> str:
    """One of the loads; the highest, where differences matter most, if nothing is said."""
    names = {level_name(level): level for level in sorted(levels, key=load_of)}
    return names[state.choose("Load", "level", list(names), list(names)[-1])]


def variant(names: Sequence[str], default: str | None = None) -> str:
    """One of the variants."""
    return state.choose("Variant", "variant", names, default)
