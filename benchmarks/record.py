"""
The record: the folder that a run leaves, as the analysis reads it.

    results/<campaign>/<YYYYmmddTHHMMSSZ>-<6 hex>/
        run.json                                  what was run, where, in which order
        logs/<variant>.txt                        what the service wrote
        cells/<variant>/<level>/r01/              one repeat, complete or absent:
            samples.parquet                       every request (loadtests/samples.py)
            cell.json                             the generator's summary, CPU and memory

It holds facts only: a percentile is computed by whoever reads it. A folder whose name begins
with a dot is being written and is never read.

Format history (`format` in run.json and cell.json):
    1   the first form.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = 1
TOOL = "windtunnel"
# Where records go and are looked for, from whichever folder a command is called.
RESULTS = Path(__file__).resolve().parent / "results"
SAMPLES = "samples.parquet"
CELL = "cell.json"
STATUSES = ("running", "interrupted", "complete")

_RUN_KEYS = {"run": str, "status": str, "campaign": dict, "order": list}
_CAMPAIGN_KEYS = {"name": str, "variants": dict, "clients": list, "rates": list, "repeats": int}


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

    def facts(self, visit: Visit) -> dict[str, Any]:
        """What cell.json says about a visit."""
        return read_json(self._file(visit, CELL))

    def _has(self, visit: Visit) -> bool:
        folder = self.path / visit.folder
        return (folder / CELL).is_file() and (folder / SAMPLES).is_file()

    def _file(self, visit: Visit, name: str) -> Path:
        path = self.path / visit.folder / name
        if not path.is_file():
            raise RecordError(
                f"{path}: not there; expected a repeat that was completed;"
                f" `windtunnel run --resume {self.path}` makes those that are missing"
            )
        return path


def load(path: Path) -> Record:
    """Read a run's folder; of a campaign's or a results folder, its newest run."""
    path = Path(path)
    path = path.parent if path.name == "run.json" else path
    if not path.is_dir():
        raise RecordError(
            f"{path}: no such folder; expected a record, or a folder that holds records;"
            " `windtunnel run CAMPAIGN` makes one"
        )
    if not (path / "run.json").exists():
        newest = max(runs(path), key=lambda run: run.name, default=None)
        if newest is None:
            raise RecordError(
                f"{path}: no run.json here or below; expected a record;"
                " give the folder that `windtunnel run` printed at its end"
            )
        path = newest
    run = read_json(path / "run.json")
    _check_run(path / "run.json", run)
    return Record(path, run)


def runs(path: Path) -> Iterator[Path]:
    """Every run in a campaign's folder or in a results folder."""
    for pattern in ("*/run.json", "*/*/run.json"):
        for file in path.glob(pattern):
            if not any(part.startswith(".") for part in file.relative_to(path).parts):
                yield file.parent


def read_json(path: Path) -> dict[str, Any]:
    """Read one of the record's JSON files, refusing what is not a format that we know."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read ({error}); expected JSON; {_REMEDY}") from error
    if not text.strip():
        raise RecordError(f"{path}: empty; expected JSON; {_REMEDY}")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise RecordError(
            f"{path}: damaged or cut short ({error}); expected JSON; {_REMEDY}"
        ) from error
    found = value.get("format") if isinstance(value, dict) else None
    if not isinstance(value, dict) or type(found) is not int:
        raise RecordError(f"{path}: no format number; expected a file of a record; {_REMEDY}")
    if not 1 <= found <= FORMAT:
        raise RecordError(
            f"{path}: format {found}; this windtunnel reads 1 to {FORMAT};"
            " read it with the version that wrote it, or a newer one"
        )
    return value


_REMEDY = "restore it from a copy, or delete the folder and run the campaign again"


def _check_run(path: Path, run: dict[str, Any]) -> None:
    if run.get("tool") != TOOL:
        raise RecordError(
            f"{path}: written by {run.get('tool', 'another program')!r}; expected a record of"
            f" {TOOL}; give the folder that `windtunnel run` printed at its end"
        )
    campaign = run.get("campaign")
    for part, keys in ((run, _RUN_KEYS), (campaign, _CAMPAIGN_KEYS)):
        for key, kind in keys.items():
            value = part.get(key) if isinstance(part, dict) else None
            if not isinstance(value, kind):
                raise RecordError(
                    f"{path}: {key!r} is {value!r}; expected {kind.__name__}; {_REMEDY}"
                )
    if run["status"] not in STATUSES:
        raise RecordError(
            f"{path}: status is {run['status']!r}; expected {', '.join(STATUSES)}; {_REMEDY}"
        )
    if not all(isinstance(visit, list) and len(visit) == 3 for visit in run["order"]):
        raise RecordError(
            f"{path}: 'order' holds other things than [variant, level, repeat]; {_REMEDY}"
        )
