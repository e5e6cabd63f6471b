"""
A service level objective (SLO) and how it is written: `p99=250ms,errors=0.1%`.

Whether a cell keeps it is told by kept.py.
"""

import re
from dataclasses import dataclass
from math import inf

from analysis.latency import AnalysisError

EXAMPLE = "p99=250ms,errors=0.1%"
_PERCENTILE = re.compile(r"p([0-9]+(?:\.[0-9]+)?)")
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s)")
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")


@dataclass(frozen=True, slots=True)
class Objective:
    """The q-th percentile of response time up to *limit_ms*, and so many failures at most."""

    q: float
    limit_ms: float
    max_error_share: float = 0.001


def parse(text: str) -> Objective:
    """`p99=250ms,errors=0.1%`; errors are up to 0.1 % if nothing is said. AnalysisError if not."""
    parts: dict[str, str] = {}
    for part in text.split(","):
        key, sign, value = (piece.strip().lower() for piece in part.partition("="))
        name = "errors" if key == "errors" else "percentile"
        if not sign or name in parts or not (name == "errors" or _PERCENTILE.fullmatch(key)):
            raise _refused(text, part.strip(), "one percentile and its limit, and errors")
        parts[name] = f"{key}={value}"
    if "percentile" not in parts:
        raise _refused(text, text.strip(), "a percentile and its limit")
    key, _, limit = parts["percentile"].partition("=")
    _, _, errors = parts.get("errors", "errors=0.1%").partition("=")
    return Objective(_percentile(text, key), _limit_ms(text, limit), _share(text, errors))


def _percentile(text: str, key: str) -> float:
    q = float(key.removeprefix("p"))
    if not 0 < q < 100:
        raise _refused(text, key, "a percentile of more than 0 and less than 100")
    return q


def _limit_ms(text: str, found: str) -> float:
    match = _TIME.fullmatch(found)
    limit_ms = float(match[1]) * (1000 if match[2] == "s" else 1) if match else 0.0
    if not 0 < limit_ms < inf:
        raise _refused(text, found, "a time of more than 0 with its unit, ms or s")
    return limit_ms


def _share(text: str, found: str) -> float:
    match = _SHARE.fullmatch(found)
    if match is None or float(match[1]) >= 100:
        raise _refused(text, found, "errors as per cent, from 0% to less than 100%")
    return float(match[1]) / 100


def _refused(text: str, found: str, expected: str) -> AnalysisError:
    return AnalysisError(f"SLO {text!r}: found {found!r}; expected {expected}; write {EXAMPLE}")


DEFAULT = parse(EXAMPLE)


def text(slo: Objective) -> str:
    """`P99 up to 250 ms, errors up to 0.1%`."""
    return f"{_limit(slo)}, errors up to {_exact(slo.max_error_share * 100)}%"


def _limit(slo: Objective) -> str:
    """`P99 up to 250 ms`."""
    short = slo.limit_ms < 1000
    limit = f"{_exact(slo.limit_ms)} ms" if short else f"{_exact(slo.limit_ms / 1000)} s"
    return f"P{_exact(slo.q)} up to {limit}"


def _exact(value: float) -> str:
    """A limit as it was set: three digits would be another limit."""
    return f"{value:.12f}".rstrip("0").rstrip(".")
