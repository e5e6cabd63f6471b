"""
The questions that panels ask, written with the limits that are chosen above them.

Rates are taken over `$__rate_interval`, which is never shorter than four scrapes; percentiles from
buckets that were added up first, never from percentiles.
"""

from dataclasses import dataclass

WINDOW = "[$__rate_interval]"
NOTHING = "nothing"  # a line at 0; `none` is a status and a track


@dataclass(frozen=True, slots=True)
class Exporter:
    """What one kind of target exposes, of the targets that the dashboard's variables name."""

    limits: tuple[str, ...]

    def series(self, name: str, *where: str) -> str:
        """Its series of one name."""
        return f"{name}{{{','.join((*self.limits, *where))}}}"

    def rate(self, name: str, *where: str, by: str = "") -> str:
        """What a counter gains in a second, added up."""
        return total(f"rate({self.series(name, *where)}{WINDOW})", by)

    def mean(self, histogram: str, *where: str, by: str = "") -> str:
        """The mean of what a histogram observed."""
        total, count = (self.rate(f"{histogram}_{x}", *where, by=by) for x in ("sum", "count"))
        return f"{total} / {count}"

    def quantile(self, q: float, histogram: str, *where: str, by: str = "") -> str:
        """An estimate from a histogram's buckets, of all its targets together."""
        buckets = self.rate(f"{histogram}_bucket", *where, by=f"le,{by}" if by else "le")
        return f"histogram_quantile({q:g}, {buckets})"


SERVICE = Exporter(('job=~"$job"', 'instance=~"$instance"'))
TRITON = Exporter(('job=~"$triton"',))
LOADTESTS = Exporter(('job=~"$loadtests"',))
NODE = Exporter(('job=~"$node"', 'instance=~"$machine"'))
GPU = Exporter(('job=~"$gpu"',))


def total(expression: str, by: str = "") -> str:
    """A sum, by these labels if any."""
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def seen(expression: str) -> str:
    """Only where anything happens: of 27 models and as many codes, few do at one time."""
    return f"({expression} > 0)"


def or_zero(expression: str, by: str = "") -> str:
    """0 where nothing of the kind has happened yet: an empty panel would say "not measured"."""
    zero = f'label_replace(vector(0), "{by}", "{NOTHING}", "", "")' if by else "vector(0)"
    return f"{expression} or on () {zero}"


def share(part: str, whole: str) -> str:
    """A share of all; 0 while nothing has happened."""
    return f"({part} or vector(0)) / ({whole} > 0) or vector(0)"


def per(part: str, whole: str) -> str:
    """A mean over what happened, as seconds for a request; none where nothing did."""
    return f"{part} / ({whole} > 0)"
