"""
The record: the folder that a run leaves, as the analysis reads it.

    results/<campaign>/<YYYYmmddTHHMMSSZ>-<6 hex>/
        run.json                                  what was run, where, in which order
        logs/<variant>.txt                        what the service wrote
        cells/<variant>/<level>/r01/              one repeat, complete or absent:
            samples.parquet                       every request (loadtests/samples.py)
            cell.json                             the generator's summary, CPU and memory
            metrics.parquet                       what Triton said of itself, and Prometheus of
                                                  all (metrics.py), where there is one; without
                                                  it a repeat is complete too
        profiles/<variant>/<level>.txt            collapsed stacks, of a visit that is not measured
        profiles/<variant>/<level>.json           how they were taken; both files, or no profile

It holds facts only: a percentile is computed by whoever reads it. A folder whose name begins
with a dot is being written and is never read.

Format history (`format` in run.json and cell.json):
    1   the first form. Later a repeat may hold metrics.parquet, cell.json `service.by_process`,
        `metrics`, `slowest` and `prometheus`, the campaign `trace_ratio`, `prometheus` and `slo`,
        and run.json `imported` (benchmarks/imports), with cells whose cell.json has `reported` in
        the place of samples, and a campaign `profile`, with its profiles: additions, which a reader
        that does not know them is not misled by.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import contents

FORMAT = 1
TOOL = "windtunnel"
# Where records go and are looked for, from whichever folder a command is called.
RESULTS = Path(__file__).resolve().parent / "results"
SAMPLES = "samples.parquet"
CELL = "cell.json"
METRICS = "metrics.parquet"
# A profile's two files, after the level's name.
STACKS, FACTS = ".txt", ".json"


class RecordError(Exception):
    """A record that cannot be read, with what was found and what to do about it."""


@dataclass(frozen=True, slots=True, order=True)
class Visit:
    """One repeat of one cell: the unit of comparison. Repeats count from 1."""

    variant: str
    level: str
    repeat: int

    @property
    def folder(self) -> Path:
        """Where the visit lies inside the record."""
        return Path("cells", self.variant, self.level, f"r{self.repeat:02d}")


def clients_level(clients: int) -> str:
    """Name a level of the closed loop: 8 clients are c0008."""
    return f"c{clients:04d}"


def rate_level(rate: float) -> str:
    """Name a level of the open loop: 50 requests a second are q0050, one each 2 s q0000.5."""
    whole, _, fraction = f"{rate:.9f}".rstrip("0").partition(".")
    return f"q{int(whole):04d}" + (f".{fraction}" if fraction else "")


def level_title(level: str) -> str:
    """A level as a person says it: `8 clients`, `50 requests/s`."""
    load = float(level[1:])
    if level.startswith("q"):
        return f"{load:g} requests/s"
    return f"{load:g} client" + ("" if load == 1 else "s")


def shown(path: Path) -> Path:
    """A path as a person types it: from the working directory, where it lies below that."""
    try:
        return path.absolute().relative_to(Path.cwd())
    except ValueError:
        return path


@dataclass(frozen=True, slots=True)
class Record:
    """A record on disk: what was planned, and which of it is there."""

    path: Path
    run: dict[str, Any]

    @property
    def campaign(self) -> dict[str, Any]:
        """The campaign as it was read, with the seed that was used."""
        campaign: dict[str, Any] = self.run["campaign"]
        return campaign

    @property
    def name(self) -> str:
        """The campaign's name."""
        return str(self.campaign["name"])

    @property
    def run_id(self) -> str:
        """The run's name: the name of its folder when it was written."""
        return str(self.run["run"])

    @property
    def question(self) -> str:
        """What the campaign asks."""
        return str(self.campaign.get("question", ""))

    @property
    def reference(self) -> str:
        """The variant that the others are compared with."""
        return str(self.campaign.get("reference") or next(iter(self.campaign["variants"])))

    @property
    def aa(self) -> str | None:
        """The second copy of the reference, which shows the noise; None if there is none."""
        return self.campaign.get("aa") or None

    @property
    def variants(self) -> list[str]:
        """The variants that were run, in the campaign's order; the A/A copy is the last."""
        names = [*self.campaign["variants"], *([self.aa] if self.aa else [])]
        return [name for name in names if name not in self.left_out]

    @property
    def tracks(self) -> list[str]:
        """What the variants were asked for: each its own track, or the campaign's."""
        default = self.campaign.get("track")
        found = [
            variant.get("settings", {}).get("SERVICE_TRACK", default)
            for name, variant in self.campaign["variants"].items()
            if name not in self.left_out and not variant.get("url")
        ]
        return [str(track) for track in dict.fromkeys(found) if track]

    @property
    def left_out(self) -> dict[str, str]:
        """Variants that this machine could not run, with the reason."""
        return dict(self.run.get("left_out") or {})

    @property
    def levels(self) -> list[str]:
        """The levels of load, in the campaign's order."""
        clients = [clients_level(n) for n in self.campaign["clients"]]
        return clients + [rate_level(rate) for rate in self.campaign["rates"]]

    @property
    def repeats(self) -> int:
        """How many repeats each cell was to have."""
        return int(self.campaign["repeats"])

    @property
    def margin(self) -> float:
        """Within which share two variants count as the same."""
        return float(self.campaign.get("margin", 0.05))

    @property
    def slo(self) -> str | None:
        """What the service promises, as the campaign says it: `p99=250ms`."""
        return self.campaign.get("slo") or None

    @property
    def status(self) -> str:
        """Either running (or killed), interrupted or complete."""
        return str(self.run["status"])

    def order(self) -> list[Visit]:
        """Every planned visit, in the order in which the run makes them."""
        return [Visit(str(v), str(level), int(repeat)) for v, level, repeat in self.run["order"]]

    def completed(self) -> list[Visit]:
        """The visits that are there, in the order of the run."""
        return [visit for visit in self.order() if self._has(visit)]

    def missing(self) -> list[Visit]:
        """The visits that are not there yet, in the order of the run."""
        return [visit for visit in self.order() if not self._has(visit)]

    def samples(self, visit: Visit) -> Path:
        """The file with a visit's requests."""
        return self._file(visit, SAMPLES)

    def metrics(self, visit: Visit) -> Path | None:
        """The file with what servers said of themselves; None if the visit has none."""
        path = self.path / visit.folder / METRICS
        return path if path.is_file() else None

    def facts(self, visit: Visit) -> dict[str, Any]:
        """What cell.json says about a visit."""
        path = self._file(visit, CELL)
        again = f"`windtunnel run --resume {shown(self.path)}`"
        remedy = f"delete {shown(path.parent)}, then {again}"
        cell = read_json(path, remedy)
        if problem := contents.cell_problem(cell):
            raise RecordError(f"{shown(path)}: {problem}; {remedy}")
        return cell

    def profiles(self) -> list[tuple[str, str]]:
        """Variant and level of every profile that is there, in the campaign's order."""
        cells = [(variant, level) for variant in self.variants for level in self.levels]
        return [cell for cell in cells if self._has_profile(*cell)]

    def missing_profiles(self, asked: Iterable[Visit]) -> list[Visit]:
        """Those of the visits that a campaign profiles whose profile is not there."""
        known = [visit for visit in asked if visit.variant not in self.left_out]
        return [v for v in known if not self._has_profile(v.variant, v.level)]

    def profile(self, variant: str, level: str) -> Path:
        """The file with a cell's collapsed stacks, as py-spy writes them, with line numbers."""
        return self._profile_file(variant, level, STACKS)

    def profile_facts(self, variant: str, level: str) -> dict[str, Any]:
        """How a cell's stacks were taken: benchmarks/README.md has the keys."""
        path = self._profile_file(variant, level, FACTS)
        remedy = f"delete {shown(path)}, then `windtunnel run --resume {shown(self.path)}`"
        facts = read_json(path, remedy)
        if problem := contents.profile_problem(facts):
            raise RecordError(f"{shown(path)}: {problem}; {remedy}")
        return facts

    def profile_path(self, variant: str, level: str) -> Path:
        """Where a cell's profile is or will be, without the ending of its two files."""
        return self.path / "profiles" / variant / level

    def has_samples(self, visit: Visit) -> bool:
        """Whether a visit has its requests, or only what another program reported of them."""
        return (self.path / visit.folder / SAMPLES).is_file()

    def _has(self, visit: Visit) -> bool:
        there = (self.path / visit.folder / CELL).is_file()
        return there and (self.has_samples(visit) or bool(self.run.get("imported")))

    def _has_profile(self, variant: str, level: str) -> bool:
        path = self.profile_path(variant, level)
        return all(path.with_name(path.name + end).is_file() for end in (STACKS, FACTS))

    def _profile_file(self, variant: str, level: str, ending: str) -> Path:
        # Names that are not the record's own are not joined to a path.
        if variant in self.variants and level in self.levels and self._has_profile(variant, level):
            path = self.profile_path(variant, level)
            return path.with_name(path.name + ending)
        there = ", ".join(f"{v} {level_title(each)}" for v, each in self.profiles()) or "none"
        raise RecordError(
            f"{shown(self.path)}: no profile of {variant!r} at {level!r}; expected one of those"
            f" that are there ({there}); `[profile] clients = [..]` in a campaign makes them"
        )

    def _file(self, visit: Visit, name: str) -> Path:
        path = self.path / visit.folder / name
        if not path.is_file():
            raise RecordError(
                f"{shown(path)}: not there; expected a repeat that was completed;"
                f" `windtunnel run --resume {shown(self.path)}` makes those that are missing"
            )
        return path


def load(path: Path) -> Record:
    """Read a run's folder; of a campaign's or a results folder, its newest run."""
    path = Path(path)
    path = path.parent if path.name == "run.json" else path
    if not path.is_dir():
        raise RecordError(
            f"{shown(path)}: no such folder; expected a record, or a folder that holds records;"
            " `windtunnel run CAMPAIGN` makes one"
        )
    if not (path / "run.json").exists():
        newest = max(runs(path), key=lambda run: run.name, default=None)
        if newest is None:
            raise RecordError(
                f"{shown(path)}: no run.json here or below; expected a record;"
                " give the folder that `windtunnel run` printed at its end"
            )
        path = newest
    file = path / "run.json"
    remedy = f"restore it from a copy, or delete {shown(path)} and run the campaign again"
    found = Record(path, read_json(file, remedy))
    _check(found, shown(file), remedy)
    return found


def runs(path: Path) -> Iterator[Path]:
    """Every run in a campaign's folder or in a results folder."""
    for pattern in ("*/run.json", "*/*/run.json"):
        for file in path.glob(pattern):
            if not any(part.startswith(".") for part in file.relative_to(path).parts):
                yield file.parent


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Read one of the record's JSON files, refusing what is not a format that we know."""
    where = shown(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{where}: cannot be read ({error}); expected JSON; {remedy}") from error
    if not text.strip():
        raise RecordError(f"{where}: empty; expected JSON; {remedy}")
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise RecordError(
            f"{where}: damaged or cut short ({error}); expected JSON; {remedy}"
        ) from error
    found = value.get("format") if isinstance(value, dict) else None
    if not isinstance(value, dict) or type(found) is not int:
        raise RecordError(f"{where}: no format number; expected a file of a record; {remedy}")
    if not 1 <= found <= FORMAT:
        raise RecordError(
            f"{where}: format {found}; this windtunnel reads 1 to {FORMAT};"
            " read it with the version that wrote it, or a newer one"
        )
    return value


def _check(found: Record, where: Path, remedy: str) -> None:
    """Refuse what no run of ours has written."""
    if found.run.get("tool") != TOOL:
        raise RecordError(
            f"{where}: written by {found.run.get('tool', 'another program')!r}; expected a record"
            f" of {TOOL}; give the folder that `windtunnel run` printed at its end"
        )
    problem = contents.problem(found.run)
    if problem:
        raise RecordError(f"{where}: {problem}; {remedy}")
    variants, levels = {*found.campaign["variants"], found.aa}, set(found.levels)
    if found.reference not in variants:
        raise RecordError(
            f"{where}: 'reference' holds {found.reference!r}; expected a variant of the campaign;"
            f" {remedy}"
        )
    for visit in found.order():
        if visit.variant not in variants or visit.level not in levels:
            raise RecordError(
                f"{where}: 'order' holds {visit.variant!r} at {visit.level!r}; expected a variant"
                f" and a level of the campaign; {remedy}"
            )
