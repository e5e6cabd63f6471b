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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from analysis.doubts import KINDS
from analysis.latency import AnalysisError
from benchmarks import fields as checked

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
        return _policy(str(path), tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise AnalysisError(f"{path}: not TOML ({error}); expected a policy; mend it") from error
    except checked.CampaignError as error:  # a policy's values are checked like a campaign's
        raise AnalysisError(str(error)) from error


def _policy(where: str, data: Mapping[str, Any]) -> Policy:
    _known(where, data, POLICY_KEYS)
    rules = data.get("rule")
    if not isinstance(rules, list) or not rules:
        raise AnalysisError(f"{where}: no [[rule]]; expected at least one; add one with a limit")
    reference = data.get("reference")
    return Policy(
        rule=tuple(_rule(f"{where}: rule {n}", rule) for n, rule in enumerate(rules, 1)),
        reference=None if reference is None else checked.text(f"{where}: reference", reference),
        block_on=_kinds(f"{where}: block_on", data.get("block_on", [])),
    )


def _rule(where: str, data: Any) -> Rule:
    if not isinstance(data, Mapping):
        raise checked.wrong(where, data, "a table, [[rule]]")
    _known(where, data, RULE_KEYS)
    if not any(limit in data for limit in LIMITS):
        raise AnalysisError(
            f"{where}: no limit; expected one of {', '.join(LIMITS)}; add the one that counts"
        )
    return Rule(**{key: RULE_KEYS[key](f"{where}: {key}", value) for key, value in data.items()})


def _names(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise checked.wrong(where, value, "a list with at least one name")
    return tuple(checked.text(where, name) for name in value)


def _kinds(where: str, value: Any) -> tuple[str, ...]:
    if value == ALL:
        return KINDS
    kinds = () if value == [] else _names(where, value)
    _known(where, kinds, KINDS)
    return kinds


def _known(where: str, found: Iterable[str], known: Iterable[str]) -> None:
    for name in found:
        if name not in known:
            raise AnalysisError(checked.unknown(where, "name", name, known))


_RATIO = checked.Number(float, 0.001, 1000)
POLICY_KEYS = tuple(field.name for field in fields(Policy))
RULE_KEYS: dict[str, Callable[[str, Any], Any]] = {
    "variants": _names,
    "clients": checked.Numbers(checked.Number(int, 1, 9999)),
    "rates": checked.Numbers(checked.Number(float, 0.001, 9999)),
    "percentiles": checked.Numbers(checked.Number(float, 1, 99.999)),
    "max_ratio": _RATIO,
    "min_throughput_ratio": _RATIO,
    "max_ms": checked.Number(float, 0.001, 600_000),
    "max_error_share": checked.Number(float, 0, 1),
}
