"""
What a profile is to be: how often the stacks are read, for how long, and of which threads; and
the `[profile]` of a campaign, which says the same and which levels are profiled.

py-spy's words are kept (native, gil, idle, nonblocking): who knows it finds them again.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from benchmarks import fields
from benchmarks.fields import CampaignError
from benchmarks.record import clients_level, rate_level

# Above 100 Hz the pauses cost more than 5 % of a light service's CPU time (py-spy blocks by
# default); beyond 1000 py-spy itself cannot keep up.
RATE_HZ, DURATION_S = 100, 10
MOST_HZ, MOST_S = 1000, 3600


@dataclass(frozen=True, slots=True)
class Options:
    """How the stacks are read."""

    rate_hz: int = RATE_HZ
    duration_s: int = DURATION_S  # py-spy takes whole seconds
    native: bool = False  # frames of C and C++ too
    gil: bool = False  # only threads that hold the interpreter's lock
    idle: bool = False  # threads that wait too
    nonblocking: bool = False  # do not pause the service while a stack is read

    def switches(self) -> dict[str, bool]:
        """Those that are on or off, as a profile's facts have them."""
        names = ("native", "gil", "idle", "nonblocking")
        return {name: bool(getattr(self, name)) for name in names}


@dataclass(frozen=True, slots=True)
class Profile:
    """The `[profile]` of a campaign: at these levels each service is profiled once."""

    clients: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    options: Options = field(default_factory=Options)

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels' names."""
        closed = (clients_level(n) for n in self.clients)
        return (*closed, *(rate_level(rate) for rate in self.rates))

    def as_dict(self) -> dict[str, Any]:
        """The table, as run.json keeps it."""
        loads = {"clients": list(self.clients), "rates": list(self.rates)}
        given = {key: value for key, value in loads.items() if value}
        return given | dataclasses.asdict(self.options)


def read(where: str, table: Any) -> Profile:
    """A campaign's table, or what is wrong with it."""
    if not isinstance(table, dict):
        raise fields.wrong(where, table, "a table [profile]")
    for key in table:
        if key not in _KINDS:
            raise CampaignError(fields.unknown(where, "key", key, _KINDS))
    checked = {key: _KINDS[key](f"{where}.{key}", value) for key, value in table.items()}
    loads = {key: checked.pop(key) for key in ("clients", "rates") if key in checked}
    if len(loads) != 1:
        found = " and ".join(loads) or "no levels"
        raise CampaignError(
            f"{where}: {found}; expected the levels that are profiled, as clients = [8] or"
            " rates = [50]; give one of the two"
        )
    return Profile(**loads, options=Options(**checked))


def check_levels(where: str, profile: Profile, levels: list[str]) -> None:
    """Only what is measured is profiled: a profile explains a measurement."""
    for level, load in zip(profile.levels, profile.clients or profile.rates, strict=True):
        if level not in levels:
            kind = "clients" if profile.clients else "rates"
            known = ", ".join(f"{float(each[1:]):g}" for each in levels if each[0] == level[0])
            raise CampaignError(
                f"{where}: {kind} has {load:g}; expected levels of the campaign"
                f" ({known or f'it has no {kind}'}); add it to the campaign, or take it out here"
            )


_SWITCH = fields.boolean
_KINDS: dict[str, Any] = {
    "clients": fields.Numbers(fields.Number(int, 1, 9999)),
    "rates": fields.Numbers(fields.Number(float, 0.001, 9999)),
    "rate_hz": fields.Number(int, 1, MOST_HZ),
    "duration_s": fields.Number(int, 1, MOST_S),
    "native": _SWITCH,
    "gil": _SWITCH,
    "idle": _SWITCH,
    "nonblocking": _SWITCH,
}
