"""
The file of claims: what somebody says about a service, and what is measured to tell if it is so.

    [[claim]]
    id = "orjson"
    title = "orjson makes JSON faster"
    section = "1. High-Performance JSON Serialization (orjson)"
    quote = "2-3x faster JSON encoding/decoding"
    because.holds = "orjson is compiled"   # printed if that is the verdict
        [[claim.evidence]]
        says = "encode 100 boxes"
        component = "json"
        case = "encode.orjson.100"
        against = "encode.stdlib.100"
        as = "times"                       # times, change, saved, value or check
        claimed = [2, 3]                   # without it the row is shown and decides nothing

analysis/README.md has every key. Unknown ones are refused, with the nearest that exists.
"""

import tomllib
from collections.abc import Iterable, Mapping
from math import inf, isnan
from pathlib import Path
from typing import Any

from analysis.claims.asked import (
    ID,
    KINDS,
    SIDES,
    VERDICTS,
    Claim,
    Claims,
    Component,
    Evidence,
    Exhibit,
)
from analysis.claims.measures import MORE_IS_BETTER, is_measure
from analysis.latency import AnalysisError
from benchmarks import fields
from benchmarks.record import clients_level, rate_level


def read(path: Path) -> Claims:
    """Read a file of claims; AnalysisError says what is wrong in it."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise AnalysisError(
            f"{path}: cannot be read ({error}); expected claims in TOML;"
            " see benchmarks/claims.toml for some"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise AnalysisError(f"{path}: not TOML ({error}); expected claims; mend it") from error
    try:
        return _claims(str(path), data)
    except fields.CampaignError as error:  # values are checked like a campaign's
        raise AnalysisError(str(error)) from error


def _claims(where: str, data: Mapping[str, Any]) -> Claims:
    _known(where, data, ("title", "source", "claim", "exhibit", "component"))
    components = {
        name: _component(f"{where}: component.{name}", table)
        for name, table in _table(f"{where}: component", data.get("component", {})).items()
    }
    claims = tuple(
        _claim(f"{where}: claim {n}", table)
        for n, table in enumerate(_tables(where, "claim", data), 1)
    )
    if not claims:
        raise AnalysisError(f"{where}: no [[claim]]; expected at least one; add one")
    ids = [claim.id for claim in claims]
    for name in ids:
        if ids.count(name) > 1:
            raise AnalysisError(f"{where}: id {name!r} twice; expected each once; rename one")
    exhibits = tuple(
        _exhibit(f"{where}: exhibit {n}", table)
        for n, table in enumerate(_tables(where, "exhibit", data), 1)
    )
    found = Claims(
        fields.text(f"{where}: title", data.get("title")),
        fields.text(f"{where}: source", data.get("source")),
        claims,
        exhibits,
        components,
    )
    for name in found.needed("component"):
        if name not in components:
            raise AnalysisError(fields.unknown(where, "component", name, components))
    return found


def _component(where: str, table: Any) -> Component:
    keys = ("module", "takes_s", "quick_s")
    _known(where, _table(where, table), keys)
    seconds = fields.Number(float, 0.1, 3600)
    module = fields.folder_name(f"{where}.module", table.get("module"))
    return Component(module, *(seconds(f"{where}.{key}", table.get(key)) for key in keys[1:]))


def _claim(where: str, table: Mapping[str, Any]) -> Claim:
    _known(where, table, ("id", "title", "section", "quote", "evidence", "cannot", "because"))
    name = table.get("id")
    if not isinstance(name, str) or not ID.fullmatch(name):
        raise fields.wrong(f"{where}: id", name, "small letters, digits and - (it is a link)")
    where = f"{where} ({name})"
    because = _table(f"{where}: because", table.get("because", {}))
    _known(f"{where}: because", because, VERDICTS)
    rows = tuple(
        _evidence(f"{where}: evidence {n}", row)
        for n, row in enumerate(_tables(where, "evidence", table), 1)
    )
    cannot = fields.text(f"{where}: cannot", table["cannot"]) if "cannot" in table else ""
    if not cannot and not any(row.is_judged for row in rows):
        raise AnalysisError(
            f"{where}: no evidence with a claimed range, and no reason why it cannot be told;"
            " expected one of them; add claimed = [..] to a row, or cannot = '..'"
        )
    texts = {key: fields.text(f"{where}: {key}", table.get(key)) for key in _TEXTS}
    reasons = {key: fields.text(f"{where}: because.{key}", value) for key, value in because.items()}
    return Claim(id=name, **texts, evidence=rows, cannot=cannot, because=reasons)


_TEXTS = ("title", "section", "quote")


def _exhibit(where: str, table: Mapping[str, Any]) -> Exhibit:
    _known(where, table, ("title", "says", "row"))
    rows = [
        _evidence(f"{where}: row {n}", r) for n, r in enumerate(_tables(where, "row", table), 1)
    ]
    title, says = (fields.text(f"{where}: {key}", table.get(key)) for key in ("title", "says"))
    return Exhibit(title, says, tuple(rows))


def _evidence(where: str, row: Mapping[str, Any]) -> Evidence:
    _known(where, row, _ROW_KEYS)
    kind = fields.Choice(*KINDS)(f"{where}: as", row.get("as"))
    given = [key for key in ("campaign", "component") if key in row]
    if len(given) != 1:
        raise AnalysisError(
            f"{where}: {' and '.join(given) or 'neither campaign nor component'}; expected one of"
            " them; it names what was measured"
        )
    source = (given[0], fields.folder_name(f"{where}: {given[0]}", row[given[0]]))
    case = fields.text(f"{where}: case", row.get("case"))
    against = fields.text(f"{where}: against", row["against"]) if "against" in row else ""
    if kind in ("times", "change", "saved") and not against:
        raise AnalysisError(f"{where}: no against; expected what {case!r} is compared with; add it")
    claimed = _claimed(f"{where}: claimed", row["claimed"], kind) if "claimed" in row else None
    return Evidence(
        says=fields.text(f"{where}: says", row.get("says")),
        kind=kind,
        source=source,
        case=case,
        against=against,
        level=_level(where, row) if source[0] == "campaign" else "",
        measure=_measure(where, row, source[0]),
        claimed=claimed,
        said=fields.text(f"{where}: said", row["said"]) if "said" in row else "",
        better=_better(where, row, kind, claimed),
    )


_ROW_KEYS = (
    "says", "as", "campaign", "component", "case", "against", "clients", "rate", "measure",
    "claimed", "said", "better",
)  # fmt: skip


def _claimed(where: str, value: Any, kind: str) -> tuple[float, float]:
    """Two numbers in order; changes are written in percent."""
    numbers = isinstance(value, list) and all(type(n) in (int, float) for n in value)
    if kind == "check" or not numbers or len(value) != 2 or any(isnan(n) for n in value):
        raise fields.wrong(where, value, "[lowest, highest] for anything but a check")
    low, high = (float(n) / (100 if kind == "change" else 1) for n in value)
    if low > high or low == inf or high == -inf or (kind == "times" and low <= 0):
        raise fields.wrong(where, value, "[lowest, highest], of times above 0")
    return low, high


def _better(where: str, row: Mapping[str, Any], kind: str, claimed: Any) -> str:
    """Which side of the range keeps the claim as well: a claim of 2x is kept by 5x."""
    if "better" in row:
        return fields.Choice(*SIDES)(f"{where}: better", row["better"])
    if kind != "change":
        return "inside" if kind == "value" else "more"
    less = claimed[1] <= 0 if claimed else row.get("measure") not in MORE_IS_BETTER
    return "less" if less else "more"


def _level(where: str, row: Mapping[str, Any]) -> str:
    if ("clients" in row) == ("rate" in row):
        raise AnalysisError(f"{where}: which level is not said; expected clients = 8, or rate = 50")
    if "clients" in row:
        return clients_level(fields.Number(int, 1, 9999)(f"{where}: clients", row["clients"]))
    return rate_level(fields.Number(float, 0.001, 9999)(f"{where}: rate", row["rate"]))


def _measure(where: str, row: Mapping[str, Any], source: str) -> str:
    found = row.get("measure", "value" if source == "component" else "")
    if not isinstance(found, str) or not is_measure(source, found):
        raise fields.wrong(f"{where}: measure", found, f"a measure of a {source} (README.md)")
    return found


def _table(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise fields.wrong(where, value, "a table")
    return value


def _tables(where: str, key: str, data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = data.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise fields.wrong(f"{where}: {key}", found, f"tables [[{key}]]")
    return found


def _known(where: str, found: Iterable[str], known: Iterable[str]) -> None:
    names = tuple(known)
    for name in found:
        if name not in names:
            raise AnalysisError(fields.unknown(where, "key", name, names))
