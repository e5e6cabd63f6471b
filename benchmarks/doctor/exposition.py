"""
What a /metrics page says, as numbers that can be asked for and subtracted.

The names are those of service/README.md; a page without them answers with nothing, not with zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Page:
    """One reading: the values of each series by its labels."""

    series: Mapping[str, Mapping[Labels, float]]

    def total(self, name: str, **labels: str) -> float | None:
        """The sum of a series over all that have these labels; None where there is none."""
        found = self.series.get(name)
        if found is None:
            return None
        wanted = labels.items()
        return sum(value for of, value in found.items() if wanted <= of)

    def by(self, name: str, label: str) -> dict[str, float]:
        """The same for each value of a label."""
        sums: dict[str, float] = {}
        for labels, value in self.series.get(name, {}).items():
            key = dict(labels).get(label, "")
            sums[key] = sums.get(key, 0.0) + value
        return sums


def parse(text: str) -> Page:
    """A page in Prometheus' text format; a ValueError where it is none."""
    # Here, because every command would wait for it.
    from prometheus_client.parser import text_string_to_metric_families

    series: dict[str, dict[Labels, float]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = frozenset(sample.labels.items())
                series.setdefault(sample.name, {})[labels] = sample.value
    except IndexError as error:  # the parser's own, of a line that breaks off
        raise ValueError("no page of metrics") from error
    return Page(series)


def grown(name: str, before: Page | None, after: Page | None, **labels: str) -> float | None:
    """By how much a counter grew; None where it cannot be known."""
    ends = [page.total(name, **labels) if page else None for page in (before, after)]
    first, last = ends
    return None if first is None or last is None else last - first


def grown_by(name: str, label: str, before: Page | None, after: Page | None) -> dict[str, float]:
    """The same for each value of a label, those that grew."""
    if before is None or after is None:
        return {}
    first = before.by(name, label)
    ends = {key: value - first.get(key, 0.0) for key, value in after.by(name, label).items()}
    return {key: value for key, value in ends.items() if value > 0}
