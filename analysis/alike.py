"""
May two runs stand in one history? Only if they measured the same variant in the same way.

What may differ is the code: a history is there to show what it changed.
"""

from collections.abc import Mapping
from typing import Any

from benchmarks.record import Record

KEYS = ("model", "track", "body", "images", "generator", "trace_ratio")


def setup(record: Record, variant: str) -> dict[str, str]:
    """How a variant was measured, by name of the setting; what was not set is not there."""
    campaign = record.campaign
    # The A/A copy is set up as what it copies.
    original = variant.removesuffix(".aa") if variant == record.aa else variant
    own: dict[str, Any] = campaign["variants"].get(original) or {}
    settings = own.get("settings") or {}
    found = {
        **{key: campaign.get(key) for key in KEYS},
        **{key: own[key] for key in ("preset", "url", "trace_ratio") if key in own},
        **settings,
        "track": settings.get("SERVICE_TRACK") or campaign.get("track"),
        "imported from": (record.run.get("imported") or {}).get("tool"),
    }
    return {key: str(value) for key, value in found.items() if value is not None}


def differences(found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """`model small instead of nano; SERVICE_WORKERS 2 instead of none`: empty if there are none."""
    names = dict.fromkeys([*wanted, *found])
    return "; ".join(
        f"{name} {found.get(name, 'none')} instead of {wanted.get(name, 'none')}"
        for name in names
        if found.get(name) != wanted.get(name)
    )
