"""
A short load of the doctor's own, and everything that is read before, during and after it.
"""

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from benchmarks import generator, probe
from benchmarks.doctor import service as services
from benchmarks.doctor import watch
from benchmarks.doctor.exposition import Page, grown
from benchmarks.doctor.files import read
from benchmarks.doctor.service import Service
from benchmarks.environments import ROOT
from benchmarks.processes import RunError
from loadtests import samples

if TYPE_CHECKING:
    from benchmarks.doctor.triton import Inferred

WARMUP_S = 1.0
TIMEOUT_S = 10.0
IMAGES = ROOT / "loadtests/images"
NETSTAT = "proc/net/netstat"
STARTED = "process_start_time_seconds"

Show = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load showed. Times are means of the good answers, milliseconds."""

    clients: int
    summary: dict[str, Any]  # the generator's
    statuses: dict[int, int]  # of all answers
    stages_ms: dict[str, float]
    usage: dict[str, Any]  # the Meter's, of the measured window
    moments: list[watch.Moment] = field(default_factory=list)  # of that window
    before: Page | None = None
    after: Page | None = None
    health: dict[str, Any] = field(default_factory=dict)  # afterwards
    inferred: "Inferred | None" = None
    overflows: int = 0  # connections that the kernel here dropped meanwhile, whoever listened

    @property
    def ok(self) -> int:
        """Good answers in the measured window."""
        return self.counted("ok")

    def counted(self, outcome: str) -> int:
        """Requests of the window with this outcome."""
        return int(self.summary["measured"].get(outcome) or 0)

    @property
    def sent(self) -> int:
        """Requests of the whole load, its warm-up too."""
        return int(self.summary["accounting"]["issued"])

    @property
    def window_s(self) -> float:
        """How long was measured."""
        window = self.summary["window"]
        return float(window["measure_end_ns"] - window["measure_start_ns"]) / 1e9

    @property
    def response_ms(self) -> float | None:
        """The mean answer."""
        found = (self.summary.get("response_ms") or {}).get("mean")
        return float(found) if found else None

    def share_of(self, stage: str) -> float:
        """How much of the mean answer a stage is."""
        return self.stages_ms.get(stage, 0.0) / self.response_ms if self.response_ms else 0.0

    @property
    def service_cores(self) -> float | None:
        """Cores that the service and its Triton used, seen from here or as it says itself."""
        mine = self.usage.get("service")
        if mine:
            return float(mine["cpu_s"]) / self.window_s
        used = grown("process_cpu_seconds_total", self.before, self.after)
        # The pages were read around the whole load.
        return None if used is None else used / float(self.summary["instrument"]["wall_s"])

    @property
    def fresh_workers(self) -> int | None:
        """Workers that are there after the load and were not before it; None where nobody tells."""
        pages = (self.before, self.after)
        old, new = (page.series.get(STARTED) if page else None for page in pages)
        if old is None or new is None:
            return None
        return len({*new.values()} - {*old.values()})

    def grown(self, name: str, **labels: str) -> float | None:
        """By how much a counter of the service grew."""
        return grown(name, self.before, self.after, **labels)


def take(service: Service, clients: int, duration_s: float, show: Show) -> Loaded:
    """Load a service; a RunError where it does not answer, or the generator fails."""
    url = service.address + services.predicting(service)
    inferred = _inferences(service)
    before, dropped = services.page(service.address), overflows()
    with tempfile.TemporaryDirectory(prefix="windtunnel-doctor-") as folder:
        file = Path(folder) / "samples.parquet"
        seen = watch.Watch(service)
        summary, meter = generator.measure(
            _command(url, clients, duration_s, file),
            WARMUP_S + duration_s + TIMEOUT_S,
            service.pids,
            show,
            also=seen.read,
        )
        statuses, stages_ms = of_samples(file)
    return Loaded(
        clients=clients,
        summary=summary,
        statuses=statuses,
        stages_ms=stages_ms,
        usage=meter.over(summary["window"]),
        moments=seen.within(summary["window"]),
        before=before,
        after=services.page(service.address),
        health=probe.health(service.address, TIMEOUT_S) or {},
        inferred=inferred(),
        overflows=overflows() - dropped if service.pids else 0,
    )


def _inferences(service: Service) -> Callable[[], "Inferred | None"]:
    """From now on until it is called; gRPC is loaded only where there is a Triton to be asked."""
    address = service.said("triton", "url")
    if not service.remote or not isinstance(address, str):
        return lambda: None
    from benchmarks.doctor import triton

    before = triton.counters(address)
    return lambda: triton.between(before, triton.counters(address))


def _command(url: str, clients: int, duration_s: float, file: Path) -> list[str]:
    """The generator's; it is not pinned, since a service that is running is not either."""
    return [
        *(str(generator.program(ROOT)), "--url", url, "--clients", str(clients)),
        *("--duration", f"{duration_s:g}s", "--warmup", f"{WARMUP_S:g}s"),
        *("--timeout", f"{TIMEOUT_S:g}s", "--images", str(IMAGES), "--calibrate", "100ms"),
        *("--samples", str(file), "--json", "--progress", "json"),
    ]


def of_samples(file: Path) -> tuple[dict[int, int], dict[str, float]]:
    """How many answers had each status, and the mean of each stage of those that were good."""
    columns = [f"stage_{stage}_us" for stage in samples.STAGES]
    try:
        rows = samples.read(file, columns=columns).table
    except samples.SamplesError as error:
        raise RunError(str(error)) from error
    statuses = Counter(status for status in rows["status"].to_pylist() if status)
    good = rows.filter(pc.and_(pc.equal(rows["status"], 200), pc.equal(_phase(rows), "measure")))
    means = {
        stage: (pc.sum(good[f"stage_{stage}_us"]).as_py() or 0) / len(good) / 1000
        for stage in samples.STAGES
        if len(good)
    }
    return dict(statuses), {stage: value for stage, value in means.items() if value > 0}


def _phase(rows: Any) -> Any:
    return pc.cast(rows["phase"], "string")


def overflows(root: Path = Path("/")) -> int:
    """Connections that the kernel has dropped because a listener's queue was full."""
    lines = (read(root, NETSTAT) or "").splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        found = dict(zip(names.split(), values.split(), strict=False))
        if "ListenOverflows" in found:
            return int(found["ListenOverflows"])
    return 0
