"""
A campaign file, read and either refused or accepted as a frozen value.

Everything that can be wrong in the file is found here, before anything starts. Which SERVICE_*
settings exist is the service's knowledge: the runner asks it (benchmarks/environments.py).
"""

import dataclasses
import random
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import fields
from benchmarks.fields import CampaignError
from benchmarks.profiles import options
from benchmarks.profiles.options import Profile
from benchmarks.queries import DEFAULTS, Prometheus
from benchmarks.record import Visit, clients_level, rate_level
from benchmarks.triton import served
from benchmarks.triton.served import MODELS, Served

PRESETS = ("baseline", "seed", "optimized")
LOCAL_TRACKS = ("A", "null")
TRACKS = (*LOCAL_TRACKS, *served.TRACKS)
BODIES = ("multipart", "raw")
RESTARTS = ("block", "cell")
GENERATORS = ("triton_bench", "locust")
TRITON_URL = "SERVICE_TRITON_URL"
VARIANT_KEYS = ("preset", "url", "trace_ratio")
# The runner chooses where a service listens; two copies of one variant must not collide.
CHOSEN_BY_RUNNER = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PRESET")


@dataclass(frozen=True, slots=True)
class Variant:
    """
    A named set of service settings, or the URL of a service that is already running.

    `triton` is what its Triton does otherwise than the repository says: TRITON_* settings;
    `trace_ratio` the share of its requests that ask to be traced, if not the campaign's.
    """

    name: str
    preset: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    url: str | None = None
    triton: dict[str, float] = field(default_factory=dict)
    trace_ratio: float | None = None

    @property
    def environ(self) -> dict[str, str]:
        """The SERVICE_* variables that make a service this variant."""
        preset = {"SERVICE_PRESET": self.preset} if self.preset else {}
        return {**preset, **self.settings}

    def as_dict(self) -> dict[str, Any]:
        """What run.json says about the variant."""
        ratio = {} if self.trace_ratio is None else {"trace_ratio": self.trace_ratio}
        if self.url:
            return {"url": self.url, **ratio}
        preset = {"preset": self.preset} if self.preset else {}
        return {**preset, **ratio, "settings": {**self.settings, **self.triton}}


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign file. The table in benchmarks/README.md explains the fields."""

    name: str
    variants: dict[str, Variant]
    question: str = ""
    clients: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    generator: str = "triton_bench"
    repeats: int = 3
    duration_s: float = 10.0
    min_requests: int | None = None
    warmup_s: float = 2.0
    timeout_s: float = 30.0
    model: str = "nano"
    track: str = "A"
    body: str = "multipart"
    images: str = "loadtests/images"
    trace_ratio: float = 0.01
    reference: str = ""
    aa: bool = True
    margin: float = 0.05
    slo: str = ""
    restart: str = "block"
    seed: int | None = None
    prometheus: Prometheus | None = None
    profile: Profile | None = None

    def trace_ratio_of(self, variant: Variant) -> float:
        """The share of a variant's requests that ask to be traced: its own, or the campaign's."""
        return self.trace_ratio if variant.trace_ratio is None else variant.trace_ratio

    def track_of(self, variant: Variant) -> str:
        """The track that a variant is asked for: its own, or the campaign's."""
        return variant.settings.get("SERVICE_TRACK", self.track)

    @property
    def tracks(self) -> tuple[str, ...]:
        """Every track that is asked for."""
        return tuple(dict.fromkeys(self.track_of(v) for v in self.variants.values() if not v.url))

    def served_to(self, variant: Variant) -> Served | None:
        """What a Triton has to serve for a variant; None if it needs none, or brings its own."""
        track = self.track_of(variant)
        if variant.url or track in LOCAL_TRACKS or TRITON_URL in variant.settings:
            return None
        return served.with_settings(Served((self.model,), (track,)), variant.triton)

    @property
    def longest_s(self) -> float:
        """How long the load of one visit may take: the generator waits 4 times for min_requests."""
        return self.warmup_s + self.duration_s * (4 if self.min_requests else 1)

    @property
    def copy_name(self) -> str | None:
        """The name of the reference's second copy, whose difference is noise by construction."""
        return f"{self.reference}.aa" if self.aa else None

    @property
    def services(self) -> dict[str, Variant]:
        """Everything that is loaded: the variants, and the A/A copy of the reference at the end."""
        if not self.copy_name:
            return dict(self.variants)
        copy = replace(self.variants[self.reference], name=self.copy_name)
        return {**self.variants, self.copy_name: copy}

    @property
    def levels(self) -> dict[str, float]:
        """Level names, each with its number of clients or its rate."""
        closed = {clients_level(n): float(n) for n in self.clients}
        return closed | {rate_level(rate): rate for rate in self.rates}

    def only(self, names: Iterable[str]) -> "Campaign":
        """
        The same campaign with fewer variants.

        If the reference is not among them, the first that is left takes its place, without A/A.
        """
        chosen = set(names)
        kept = {name: self.variants[name] for name in self.variants if name in chosen}
        if self.reference in kept:
            return replace(self, variants=kept)
        return replace(self, variants=kept, reference=next(iter(kept)), aa=False)

    def order(self, seed: int) -> list[Visit]:
        """
        Every visit: repeats outermost, then shuffled levels, then shuffled variants.

        So the variants of one block run next to each other in time, and drift of the machine
        touches all of them alike instead of whichever comes last in the file.
        """
        shuffler = random.Random(seed)
        visits = []
        for repeat in range(1, self.repeats + 1):
            for level in shuffler.sample(list(self.levels), len(self.levels)):
                for variant in shuffler.sample(list(self.services), len(self.services)):
                    visits.append(Visit(variant, level, repeat))
        return visits

    def profiled(self) -> list[Visit]:
        """
        The visits that are profiled and not measured; a level's services follow each other.

        Their repeat is the one after the last. Of a variant that others run there is none.
        """
        levels = self.profile.levels if self.profile else ()
        ours = [name for name, variant in self.services.items() if not variant.url]
        return [Visit(name, level, self.repeats + 1) for level in levels for name in ours]

    def as_dict(self) -> dict[str, Any]:
        """The campaign as run.json keeps it."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        variants = {name: variant.as_dict() for name, variant in self.variants.items()}
        lists = {"clients": list(self.clients), "rates": list(self.rates)}
        watched = dataclasses.asdict(self.prometheus) if self.prometheus else None
        profile = self.profile.as_dict() if self.profile else None
        tables = {"variants": variants, "prometheus": watched, "profile": profile}
        return {**plain, **tables, **lists, "slo": self.slo or None, "aa": self.copy_name}


def read(path: Path) -> Campaign:
    """Read a campaign file."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except FileNotFoundError as error:
        raise CampaignError(
            f"{path}: no such file; expected a campaign; see benchmarks/campaigns/*.toml"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CampaignError(
            f"{path}: not TOML ({error}); expected a campaign; correct it"
        ) from error
    return accept(str(path), {"name": path.stem, "question": leading_comment(text), **values})


def from_record(where: str, kept: dict[str, Any]) -> Campaign:
    """The campaign that run.json keeps, checked like a file, for a run that goes on."""
    values = {key: value for key, value in kept.items() if value not in (None, [])}
    variants = values.get("variants", {})
    values["variants"] = {
        name: {**{k: v for k, v in table.items() if k != "settings"}, **table.get("settings", {})}
        for name, table in variants.items()
    }
    return accept(where, {**values, "aa": "aa" in values})


def leading_comment(text: str) -> str:
    """The comment that a campaign opens with: its question."""
    lines = []
    for line in text.strip().splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    return " ".join(lines).strip()


def accept(where: str, values: dict[str, Any]) -> Campaign:
    """Turn a table into a campaign, or say what is wrong with it."""
    known = [f.name for f in dataclasses.fields(Campaign)]
    for key in values:
        if key not in known:
            raise CampaignError(fields.unknown(where, "key", key, known))
    checked = {key: _KINDS[key](f"{where}: {key}", value) for key, value in values.items()}
    if not checked.get("variants"):
        raise CampaignError(f"{where}: no variants; expected at least one; add [variants.<name>]")
    if bool(checked.get("clients")) == bool(checked.get("rates")):
        found = "both clients and rates" if checked.get("clients") else "neither clients nor rates"
        raise CampaignError(
            f"{where}: {found}; expected one of them; keep clients = [..] (closed loop)"
            " or rates = [..] (open loop, requests a second)"
        )
    if checked.get("rates") and checked.get("generator") == "locust":
        raise CampaignError(
            f"{where}: rates with generator = 'locust', whose users wait for their answers;"
            " expected clients; leave the generator out, or give clients = [..]"
        )
    reference = checked.setdefault("reference", next(iter(checked["variants"])))
    if reference not in checked["variants"]:
        raise CampaignError(
            fields.unknown(where, "reference", reference, list(checked["variants"]))
        )
    campaign = Campaign(**checked)
    if campaign.profile:
        options.check_levels(f"{where}: profile", campaign.profile, list(campaign.levels))
    for variant in campaign.variants.values():
        _check_triton(f"{where}: variants.{variant.name}", campaign, variant)
    return campaign


def _check_triton(where: str, campaign: Campaign, variant: Variant) -> None:
    """A track that exists, and settings of a Triton only for a variant that has one of ours."""
    track = campaign.track_of(variant)
    if track not in TRACKS:
        raise CampaignError(fields.unknown(where, "SERVICE_TRACK", track, TRACKS))
    if track not in LOCAL_TRACKS and variant.settings.get(TRITON_URL) == "none":
        raise CampaignError(
            f"{where}: track {track} with {TRITON_URL} = 'none'; expected a track without Triton"
            f" ({', '.join(LOCAL_TRACKS)}), or no {TRITON_URL}; delete the line"
        )
    if variant.triton and campaign.served_to(variant) is None:
        raise CampaignError(
            f"{where}: {', '.join(variant.triton)} with track {track}; expected a track that"
            f" Triton serves ({', '.join(served.TRACKS)}) and no {TRITON_URL}; delete the line, or"
            " set SERVICE_TRACK"
        )


def _variants(where: str, value: Any) -> dict[str, Variant]:
    if not isinstance(value, dict):
        raise fields.wrong(where, value, "tables [variants.<name>]")
    return {
        fields.folder_name(where, name): _variant(f"{where}.{name}", name, t)
        for name, t in value.items()
    }


def _variant(where: str, name: str, table: Any) -> Variant:
    if not isinstance(table, dict):
        raise fields.wrong(where, table, f"a table [variants.{name}]")
    settings: dict[str, str] = {}
    triton: dict[str, float] = {}
    for key, value in table.items():
        if key in CHOSEN_BY_RUNNER:
            hint = "use preset = .." if key == "SERVICE_PRESET" else "the runner finds a free port"
            raise CampaignError(f"{where}: {key} cannot be set here; {hint}; delete the line")
        if key.startswith("SERVICE_"):
            settings[key] = _setting(f"{where}.{key}", value)
        elif key in served.SETTINGS:
            low, high = served.SETTINGS[key]
            triton[key] = fields.Number(type(low), low, high)(f"{where}.{key}", value)
        elif key not in VARIANT_KEYS:
            known = (*VARIANT_KEYS, *served.SETTINGS, "SERVICE_<setting>")
            raise CampaignError(fields.unknown(where, "key", key, known))
    preset = (
        fields.Choice(*PRESETS)(f"{where}.preset", table["preset"]) if "preset" in table else None
    )
    url = fields.url(f"{where}.url", table["url"]) if "url" in table else None
    ratio = _RATIO(f"{where}.trace_ratio", table["trace_ratio"]) if "trace_ratio" in table else None
    if url and (preset or settings or triton):
        raise CampaignError(
            f"{where}: a url together with settings; expected one or the other;"
            " a service that is already running keeps the settings it was started with"
        )
    if not (url or preset or settings or triton):
        raise CampaignError(f"{where}: empty; expected preset, url or SERVICE_*; add one")
    return Variant(name, preset, settings, url, triton, ratio)


def _setting(where: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise fields.wrong(where, value, "a text or a number")
    return str(value)


def _prometheus(where: str, value: Any) -> Prometheus:
    """Queries of the campaign's own are asked besides the default ones, or in the place of one."""
    known = tuple(f.name for f in dataclasses.fields(Prometheus))
    if not isinstance(value, dict):
        raise fields.wrong(where, value, "a table [prometheus]")
    for key in value:
        if key not in known:
            raise CampaignError(fields.unknown(where, "key", key, known))
    if "url" not in value:
        raise CampaignError(
            f"{where}: no url; expected where Prometheus is;"
            " add url = 'http://127.0.0.1:9090' or delete the table"
        )
    own = value.get("queries", {})
    if not isinstance(own, dict):
        raise fields.wrong(f"{where}.queries", own, "a table of names and PromQL")
    queries = {name: fields.text(f"{where}.queries.{name}", text) for name, text in own.items()}
    return Prometheus(
        fields.url(f"{where}.url", value["url"]),
        fields.Number(float, 0.1, 3600)(f"{where}.step_s", value.get("step_s", 1.0)),
        {**DEFAULTS, **queries},
        fields.text(f"{where}.targets", value["targets"]) if value.get("targets") else "",
    )


_RATIO = fields.Number(float, 0, 1)
_SECONDS = fields.Number(float, 0.1, 86400)
_KINDS: dict[str, Any] = {
    "name": fields.folder_name,
    "question": fields.question,
    "variants": _variants,
    "clients": fields.Numbers(fields.Number(int, 1, 9999)),
    "rates": fields.Numbers(fields.Number(float, 0.001, 9999)),
    "generator": fields.Choice(*GENERATORS),
    "repeats": fields.Number(int, 1, 99),
    "duration_s": _SECONDS,
    "min_requests": fields.Number(int, 1, 10**6),
    "warmup_s": fields.Number(float, 0, 3600),
    "timeout_s": _SECONDS,
    "model": fields.Choice(*MODELS),
    "track": fields.Choice(*TRACKS),
    "body": fields.Choice(*BODIES),
    "images": fields.text,
    "trace_ratio": _RATIO,
    "reference": fields.text,
    "aa": fields.boolean,
    "margin": fields.Number(float, 0.001, 1),
    "slo": fields.slo,
    "restart": fields.Choice(*RESTARTS),
    "seed": fields.Number(int, 0, 2**53),
    "prometheus": _prometheus,
    "profile": options.read,
}
