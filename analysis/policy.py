"""
A gate's policy: a TOML file with the rules that a run must keep, as frozen dataclasses.

    block_on = ["generator_late", "errors"]     # doubts that make a check undecidable; or "all"
    [[rule]]
    variants = ["optimized"]                    # default: all but the reference and its copy
    clients = [1, 8]                            # or rates = [50]; default: every level
    percentiles = [95]
    max_ratio = 1.05                            # variant / reference, of latency
    min_throughput_ratio = 0.95
    max_ms = 250                                # of each percentile named
    max_error_share = 0.01
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from analysis.doubts import KINDS
from analysis.latency import AnalysisError

LIMITS = ("max_ratio", "min_throughput_ratio", "max_ms", "max_error_share")
ALL = "all"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which cells, and the limits that each of them must keep. No list: all of them."""

    variants: tuple[str, ...] = ()
    clients: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    percentiles: tuple[float, ...] = (95.0,)
    max_ratio: float | None = None
    min_throughput_ratio: float | None = None
    max_ms: float | None = None
    max_error_share: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    rule: tuple[Rule, ...]
    reference: str | None = None  # default: the record's
    block_on: tuple[str, ...] = ()  # kinds of doubt


def read(path: Path) -> Policy:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AnalysisError(
            f"{path}: cannot be read ({error}); expected a policy in TOML;"
            " see benchmarks/policies for one"
        ) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AnalysisError(f"{path}: not TOML ({error}); expected a policy; mend it") from error
    return _policy(str(path), data)


def _policy(where: str, data: Mapping[str, Any]) -> Policy:
    _known(where, data, [field.name for field in fields(Policy)])
    rules = data.get("rule")
    if not isinstance(rules, list) or not rules:
        raise AnalysisError(f"{where}: no [[rule]]; expected at least one; add one with a limit")
    return Policy(
        rule=tuple(_rule(f"{where}: rule {n}", rule) for n, rule in enumerate(rules, 1)),
        reference=_text(f"{where}: reference", data.get("reference")),
        block_on=_kinds(f"{where}: block_on", data.get("block_on", [])),
    )


def _rule(where: str, data: Any) -> Rule:
    if not isinstance(data, Mapping):
        raise _wrong(where, data, "a table, [[rule]]")
    _known(where, data, [field.name for field in fields(Rule)])
    if not any(limit in data for limit in LIMITS):
        raise AnalysisError(
            f"{where}: no limit; expected one of {', '.join(LIMITS)}; add the one that counts"
        )
    values: dict[str, Any] = {name: _number(f"{where}: {name}", data, name) for name in LIMITS}
    for name in ("clients", "rates", "percentiles"):
        if name in data:
            values[name] = tuple(_list(f"{where}: {name}", data[name], (int, float), "numbers"))
    if "variants" in data:
        values["variants"] = tuple(_list(f"{where}: variants", data["variants"], (str,), "names"))
    return Rule(**values)


def _kinds(where: str, found: Any) -> tuple[str, ...]:
    if found == ALL:
        return KINDS
    kinds = tuple(_list(where, found, (str,), f'kinds of doubt, or "{ALL}"', empty=True))
    _known(where, dict.fromkeys(kinds), KINDS)
    return kinds


def _number(where: str, data: Mapping[str, Any], name: str) -> float | None:
    value = data.get(name)
    if value is None:
        return None
    # A share of failed requests may be 0; a ratio or a time may not.
    if type(value) not in (int, float) or value < 0 or (value == 0 and name != "max_error_share"):
        raise _wrong(where, value, "a number above 0")
    return float(value)


def _text(where: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _wrong(where, value, "the name of a variant")
    return value


def _list(
    where: str, value: Any, kinds: tuple[type, ...], what: str, *, empty: bool = False
) -> Sequence[Any]:
    if not isinstance(value, list) or not all(type(item) in kinds for item in value):
        raise _wrong(where, value, f"a list of {what}")
    if not value and not empty:
        raise _wrong(where, value, f"a list of {what} that is not empty")
    return value


def _known(where: str, found: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in found:
        if name not in known:
            raise AnalysisError(f"{where}: unknown {name!r}; {nearest(name, known)}")


def nearest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    advice = f"; did you mean {close[0]!r}?" if close else ""
    return f"expected one of {', '.join(known)}{advice}"


def _wrong(where: str, found: object, expected: str) -> AnalysisError:
    return AnalysisError(f"{where}: found {found!r}; expected {expected}; change the value")
