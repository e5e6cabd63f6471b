"""
The tools that are compared: how each is told to make a load, and how its report is read.

Each is given what makes it fastest and most exact among its documented options, and the same
number of connections as the others. An option that differs is explained where it is set.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path

from benchmarks.peers import outputs
from benchmarks.peers.outputs import Report

HERE = Path(__file__).parent
TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Load:
    """What a tool is to do. A rate of 0 is a closed loop."""

    url: str
    connections: int
    duration_s: float
    rate: int = 0
    body: Path | None = None  # sent with POST; without it, GET
    work: Path = Path()  # where the tool and its adapter may write

    @property
    def requests(self) -> int:
        """Of an open loop."""
        return round(self.rate * self.duration_s)


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command line; what it writes to `output`, else prints, is its report."""

    argv: tuple[str, ...]
    output: Path | None = None
    # Turns the output into a report when the run is over; its CPU time is not counted.
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """A load generator."""

    name: str
    language: str
    invoke: Callable[[str, Load], Invocation]
    parse: Callable[[str], Report]
    open_loop: bool = True
    # The parts in which it gets as few workers as can do the work, since it divides the rate among
    # them: hey's all send at once, and what fortio spaces out grows with how few calls each has.
    few_workers: tuple[str, ...] = ()
    ours: bool = False


def wrk(program: str, load: Load) -> Invocation:
    """One thread, as there is one CPU."""
    script = str(HERE / "wrk.lua")
    argv = (program, "-t1", f"-c{load.connections}", f"-d{ceil(load.duration_s)}s",
            "--timeout", f"{TIMEOUT_S}s", "-s", script, load.url, "--")  # fmt: skip
    return Invocation((*argv, *([str(load.body)] if load.body else [])))


def hey(program: str, load: Load) -> Invocation:
    """`-q` is per worker."""
    argv = [program, "-c", str(load.connections), "-t", str(TIMEOUT_S)]
    if load.rate:
        argv += ["-n", str(load.requests), "-q", f"{load.rate / load.connections:g}"]
    else:
        argv += ["-z", f"{load.duration_s:g}s"]
    if load.body:
        argv += ["-m", "POST", "-D", str(load.body)]
    return Invocation((*argv, load.url))


def vegeta(program: str, load: Load) -> Invocation:
    """
    It always writes down every request; its report is another command.

    Without a limit it starts a worker, with a connection, for each request that finds none idle: on
    one CPU, at 10,000 a second, that is so much work that nearly all find none.
    """
    workers = str(load.connections)
    targets, results = load.work / "targets.txt", load.work / "results.bin"
    targets.write_text(f"POST {load.url}\n@{load.body}\n" if load.body else f"GET {load.url}\n")
    argv = [program, "attack", "-targets", str(targets), "-output", str(results),
            "-duration", f"{load.duration_s:g}s", "-timeout", f"{TIMEOUT_S}s",
            "-max-body", "0", "-workers", workers, "-max-workers", workers,
            "-rate", f"{load.rate}/1s" if load.rate else "0"]  # fmt: skip
    return Invocation(tuple(argv), after=(program, "report", "-type", "json", str(results)))


def bombardier(program: str, load: Load) -> Invocation:
    """Its default client, fasthttp, is its fastest."""
    argv = [program, "-c", str(load.connections), "-t", f"{TIMEOUT_S}s",
            "-l", "-p", "r", "-o", "json"]  # fmt: skip
    if load.rate:
        argv += ["-n", str(load.requests), "-r", str(load.rate)]
    else:
        argv += ["-d", f"{load.duration_s:g}s"]
    if load.body:
        argv += ["-m", "POST", "-f", str(load.body)]
    return Invocation((*argv, load.url))


def fortio(program: str, load: Load) -> Invocation:
    """`-uniform` spreads its connections over the interval; else they send as one."""
    report = load.work / "fortio.json"
    argv = [program, "load", "-quiet", "-c", str(load.connections), "-timeout", f"{TIMEOUT_S}s",
            "-p", "50,95,99", "-json", str(report)]  # fmt: skip
    if load.rate:
        argv += ["-qps", str(load.rate), "-n", str(load.requests), "-uniform"]
    else:
        argv += ["-qps", "0", "-t", f"{load.duration_s:g}s"]
    if load.body:
        argv += ["-payload-file", str(load.body)]
    return Invocation((*argv, load.url), output=report)


def k6(program: str, load: Load) -> Invocation:
    """The script of one request an iteration."""
    argv = [program, "run", "--quiet", "--no-usage-report", "--no-color",
            "-e", f"URL={load.url}", "-e", f"CONNECTIONS={load.connections}",
            "-e", f"DURATION={load.duration_s:g}s"]  # fmt: skip
    if load.rate:
        argv += ["-e", f"RATE={load.rate}"]
    if load.body:
        argv += ["-e", f"BODY={load.body}"]
    return Invocation((*argv, str(HERE / "k6.js")))


def oha(program: str, load: Load) -> Invocation:
    """One thread: by default it starts one for each core, also for those that it may not use."""
    argv = [program, "--no-tui", "--output-format", "json", "--worker-threads", "1",
            "-c", str(load.connections), "-t", f"{TIMEOUT_S}s"]  # fmt: skip
    if load.rate:
        argv += ["-n", str(load.requests), "-q", str(load.rate), "--latency-correction"]
    else:
        argv += ["-z", f"{load.duration_s:g}s"]
    if load.body:
        argv += ["-m", "POST", "-D", str(load.body)]
    return Invocation((*argv, load.url))


def triton_bench(program: str, load: Load, samples: bool = False) -> Invocation:
    """Without its warm-up and its calibration, which no other tool has."""
    argv = [program, "--url", load.url, "--json", "--quiet", "--warmup", "0", "--calibrate", "0",
            "--duration", f"{load.duration_s:g}s", "--timeout", f"{TIMEOUT_S}s"]  # fmt: skip
    argv += ["--rate", str(load.rate)] if load.rate else ["--clients", str(load.connections)]
    argv += ["--image", str(load.body), "--body", "raw"] if load.body else ["--method", "GET"]
    if samples:
        argv += ["--samples", str(samples_file(load))]
    return Invocation(tuple(argv))


def samples_file(load: Load) -> Path:
    """Where triton_bench writes a row for each request, when it is told to."""
    return load.work / "samples.parquet"


TOOLS = (
    Tool("triton_bench", "Go", triton_bench, outputs.triton_bench, ours=True),
    Tool("triton_bench --samples", "Go", partial(triton_bench, samples=True),
         outputs.triton_bench, ours=True),
    Tool("wrk", "C", wrk, outputs.wrk, open_loop=False),
    Tool("bombardier", "Go", bombardier, outputs.bombardier),
    Tool("fortio", "Go", fortio, outputs.fortio, few_workers=("pacing",)),
    Tool("hey", "Go", hey, outputs.hey, few_workers=("pacing", "truth")),
    Tool("k6", "Go", k6, outputs.k6),
    Tool("oha", "Rust", oha, outputs.oha),
    Tool("vegeta", "Go", vegeta, outputs.vegeta),
)  # fmt: skip
PEERS = tuple(tool.name for tool in TOOLS if not tool.ours)
