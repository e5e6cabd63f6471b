"""
The settings that `windtunnel tune` moves: how each is written, and what it trades for what.

A knob is a name for a SERVICE_* or TRITON_* setting, in a unit that people think in. Any other
SERVICE_* setting can be moved too; of those only their values are known.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from analysis.latency import AnalysisError
from analysis.words import plain
from benchmarks.fields import unknown

SERVICE, TRITON = "SERVICE_", "TRITON_"
MEGABYTE = 2**20
EXAMPLE = "workers=1,2,3,5"


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting. `factor` is the knob's unit in the setting's: 2^20 where MB stand for bytes."""

    name: str
    setting: str
    trades: str
    look: str
    factor: int = 1

    @property
    def needs_triton(self) -> bool:
        """Whether it does nothing on a track that asks no Triton."""
        return self.setting.startswith(TRITON) or self.setting == "SERVICE_POOL_SIZE"

    def to_setting(self, value: str) -> str:
        """`50` of max-mb as the service has it: `52428800`. AnalysisError if it is no number."""
        if self.factor == 1:
            return value
        found = number(value)
        if found is None or not isfinite(found * self.factor):
            raise AnalysisError(
                f"{self.name}: found {plain(value)!r}; expected a number; write one, as in 50"
            )
        return f"{round(found * self.factor)}"

    def from_setting(self, setting: str) -> str:
        """The other way round, for people: 100 for 100.0."""
        found = number(setting)
        if found is None:
            return setting
        scaled = found / self.factor
        return f"{scaled:.0f}" if scaled.is_integer() else f"{scaled:g}"


def number(text: str) -> float | None:
    """What a value comes to as a number; None of a word."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if isfinite(found) else None


KNOBS = (
    Knob(
        "workers",
        "SERVICE_WORKERS",
        "Each is a process with a copy of the model: more of them use more CPUs and take more"
        " memory, and the most crowded one makes the P95, as connections spread unevenly",
        "memory MB and req/s: fewer if only the first grows, more if CPUs are idle under load",
    ),
    Knob(
        "threads",
        "SERVICE_THREADS",
        "So many stages run side by side in a worker; beyond the CPUs they only wait for each"
        " other inside a stage rather than in the queue",
        "the stages in `windtunnel compare`: with more threads `queue` shrinks and `infer` grows",
    ),
    Knob(
        "engine-threads",
        "SERVICE_ENGINE_THREADS",
        "Threads of one inference: a request alone is answered sooner, many at a time take the"
        " CPUs from one another",
        "the P50 at 1 client against req/s at many",
    ),
    Knob(
        "admission",
        "SERVICE_ADMISSION",
        "Requests in a worker at a time, more are refused with a 429: low keeps the wait of those"
        " let in short, high lets a queue grow. A limit above the clients of a worker refuses none",
        "failed, which refusals are; clients that wait for answers ask again at once, so what a"
        " limit does at a given rate is for a campaign with rates",
    ),
    Knob(
        "backlog",
        "SERVICE_BACKLOG",
        "Connections that wait to be accepted: too few, and some are refused when many come at"
        " once. Clients that keep their connections come once",
        "failed, with more clients than the smallest value",
    ),
    Knob(
        "max-mb",
        "SERVICE_MAX_BYTES",
        "Admission x max-mb (of 2^20 bytes) is the memory that bodies may take in a worker; a limit"
        " above the largest picture sent costs no time",
        "the largest picture that your users send, which no load test knows; a refusal counts as"
        " failed",
        factor=MEGABYTE,
    ),
    Knob(
        "slow-ms",
        "SERVICE_SLOW_MS",
        "A slower request is logged in one line with its stages: where most requests are slow,"
        " each pays for its line",
        "the size of the log: low to study a service, high to serve with it",
    ),
    Knob(
        "recycle",
        "SERVICE_RECYCLE_REQUESTS",
        "A worker ends after so many requests: what leaked is given back, and clients on its"
        " connections see an error; 0 never",
        "memory of a run that is long enough to leak, and failed",
    ),
    Knob(
        "pool",
        "SERVICE_POOL_SIZE",
        "Clients of Triton that are kept, one for each of its models: more than there are models"
        " change nothing, fewer make a client for each request",
        "api_triton_clients_created_total, which stands still when the pool is large enough",
    ),
    Knob(
        "delay-ms",
        "TRITON_QUEUE_DELAY_MS",
        "How long Triton waits for a batch to fill: every request may wait so long, and batches"
        " grow only where enough requests are under way",
        "average batch and queue ms, in the Triton table of `windtunnel compare`",
    ),
    Knob(
        "max-batch",
        "TRITON_MAX_BATCH",
        "Pictures in one execution: more answers a second where the engine gains by batches, and"
        " each request takes as long as its whole batch",
        "average batch and compute ms, in the Triton table of `windtunnel compare`",
    ),
    Knob(
        "instances",
        "TRITON_INSTANCES",
        "Executions of a model side by side, each a process with a copy of it on a CPU: more use"
        " more CPUs and memory, and leave smaller batches",
        "memory, and queue ms in the Triton table of `windtunnel compare`",
    ),
)
BY_NAME = {knob.name: knob for knob in KNOBS}
BY_SETTING = {knob.setting: knob for knob in KNOBS}


def find(option: str, name: str) -> Knob:
    """The knob of a name, `workers` or `SERVICE_WORKERS`; AnalysisError if there is none."""
    if name.startswith(SERVICE) and name != SERVICE:
        return of_setting(name)
    if knob := BY_NAME.get(name) or BY_SETTING.get(name):
        return knob
    raise AnalysisError(unknown(option, "knob", name, (*BY_NAME, "SERVICE_<setting>")))


def of_setting(setting: str) -> Knob:
    """The knob that moves a setting; one without advice for a setting that has no other name."""
    return BY_SETTING.get(setting) or Knob(setting, setting, "", "")


def parse(option: str, text: str) -> tuple[Knob, tuple[str, ...]]:
    """`workers=1,2,3,5`: the knob and its values as the setting has them, each once."""
    name, sign, listed = (part.strip() for part in text.partition("="))
    values = [part.strip() for part in listed.split(",")]
    if not sign or not all(values):
        raise AnalysisError(
            f"{option}: found {plain(text)!r}; expected a knob and its values, as in {EXAMPLE}"
        )
    knob = find(option, name)
    return knob, distinct(knob.to_setting(value) for value in values)


def distinct(values: Iterable[str]) -> tuple[str, ...]:
    """Each value once: 2 and 2.0 are one."""
    found: list[str] = []
    for value in values:
        if not any(same(value, other) for other in found):
            found.append(value)
    return tuple(found)


def same(value: str, other: str) -> bool:
    """Whether two values of a setting are equal, as numbers where they are numbers."""
    numbers = number(value), number(other)
    return value == other if None in numbers else numbers[0] == numbers[1]
