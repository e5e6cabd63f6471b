"""
The options that the locustfile adds to Locust's own, and what they come to.

Locust hands a master's options on to its workers, so a worker needs none of them.
"""

import argparse
import re
from argparse import ArgumentTypeError, Namespace
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadtests import labels
from loadtests.payloads import FORMS, IMAGES, PayloadError, build, image_files

MIX = "/predict/nano=6,/predict/small=3,/predict/medium=1,/predict/nano?track=null=2"
SMALL = "/predict/small"
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ms|s|m|h|)")
# As an address has it: nothing that the client would refuse only when it sends.
_PATH = re.compile(r"/(?!/)[!-~]*|/")
_UNITS_S = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_s(text: str) -> float:
    """A duration as triton_bench writes it: 10, 10s, 500ms, 2m."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ArgumentTypeError(f"{text!r} is no duration; expected one such as 10, 10s or 500ms")
    return float(match[1]) * _UNITS_S[match[2]]


def positive_s(text: str) -> float:
    """A duration that is not zero."""
    value = duration_s(text)
    if not value > 0:
        raise ArgumentTypeError(f"{text!r} is no time at all; expected more than 0")
    return value


def whole(text: str) -> int:
    """A whole number that is not negative."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no whole number; expected 0 or more")
    return int(text)


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text!r} is no share; expected a number from 0 to 1")
    return value


def mix(text: str) -> dict[str, float]:
    """Weights by path: `/predict/nano=6,/predict/small=3`."""
    weights = {}
    for part in text.split(","):
        path, _, weight = part.rpartition("=")
        if not _PATH.fullmatch(path) or not re.fullmatch(r"\d+(\.\d+)?", weight):
            raise ArgumentTypeError(
                f"{part!r} is no weight of a path; expected PATH=WEIGHT, such as /predict/nano=6"
            )
        weights[path] = float(weight)
    if not sum(weights.values()):
        raise ArgumentTypeError(f"{text!r} sends nothing; expected a weight above 0")
    return weights


class HelpAction(argparse.Action):
    """Print these options: Locust's own --help ends before it has read a locustfile."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print and stop."""
        about = argparse.ArgumentParser(
            usage="locust -f loadtests/locustfile.py [options] [UserClass ...]",
            epilog="With -f loadtests/locustfile.py,loadtests/steps.py also --steps 1,8,32 and"
            " --step-time 10s; with loadtests/matrix.py instead of steps.py --campaign FILE."
            " `locust --help` has Locust's own options, --list the user classes.",
            add_help=False,
        )
        add_to(about)
        about.print_help()
        parser.exit()


def add_to(parser: Any) -> None:
    """Declare the options; only the path can be changed in the web page."""

    add = parser.add_argument_group("Measuring (windtunnel)").add_argument
    path = add("--path", default="", help=f"of the endpoint (default: that of --host, or {SMALL})")
    path.include_in_web_ui = True
    add("--help-measuring", action=HelpAction, nargs=0, help="print these options and stop")
    add("--mix", type=mix, default=mix(MIX), metavar="PATH=WEIGHT,..", help=f"of Mixed ({MIX})")
    add("--body", choices=FORMS, default="multipart", help='field "image" of a form, or raw')
    add("--image", default="", metavar="FILE", help="send this image")
    add("--images", default=str(IMAGES), metavar="DIR", help="send these (default: %(default)s)")
    add("--limit", type=whole, default=0, metavar="N", help="only the first N images, by name")
    add("--seed", type=whole, default=1, metavar="S", help="order of images and paths (default 1)")
    # With their units where they are used.
    timed = {"metavar": "D"}
    add("--warmup", dest="warmup_s", type=duration_s, default=2.0, **timed,
        help="load before it (default 2s)")  # fmt: skip
    add("--duration", dest="duration_s", type=positive_s, **timed,
        help="measured time (default: until stopped)")  # fmt: skip
    add("--min-requests", type=whole, default=0, metavar="N", help="longer, up to 4 x --duration")
    add("--timeout", dest="timeout_s", type=positive_s, default=30.0, **timed,
        help="give up then (default 30s)")  # fmt: skip
    add("--trace-ratio", type=share, default=0.01, metavar="X",
        help="of the requests, to ask to be traced (default 0.01)")  # fmt: skip
    add("--label", dest="labels", action="append", type=labels.checked, default=[],
        metavar="NAME=VALUE", help="of loadtest_run_info, and in the baggage of traced requests:"
        " campaign, run, variant, cell, repeat or others; may be repeated")  # fmt: skip
    add("--metrics-addr", default="", metavar="A",
        help="serve Prometheus metrics there, as in 127.0.0.1:9646")  # fmt: skip
    add("--samples", default="", metavar="FILE", help="one row for each request, as Parquet")
    add("--summary", default="", metavar="FILE", help="JSON summary; - is standard output")
    add("--progress", choices=("none", "json"), default="none", help="a line a second on stderr")


@dataclass(frozen=True, slots=True)
class Options:
    """The options as given, checked."""

    path: str
    mix: dict[str, float]
    body: str
    images: Path
    limit: int
    seed: int
    warmup_s: float
    duration_s: float | None
    min_requests: int
    timeout_s: float
    trace_ratio: float
    labels: dict[str, str]
    metrics_addr: str
    samples: Path | None
    summary: str
    progress: str


def read(given: Namespace) -> Options:
    """The options of a run, from what Locust parsed or a master sent."""
    plain = {field.name: getattr(given, field.name) for field in fields(Options)}
    samples = Path(given.samples) if given.samples else None
    named = {"images": Path(given.image or given.images), "labels": labels.read(given.labels)}
    return Options(**plain | named | {"samples": samples})


def problem(given: Namespace, *, distributed: bool) -> str | None:
    """What cannot be done with these options together, or here."""
    if given.min_requests and not given.duration_s:
        return "--min-requests: given without --duration; expected both; it makes that longer"
    if given.min_requests and distributed:
        return "--min-requests: workers do not know each other's counts; use one process"
    if given.duration_s and given.run_time:
        return "--duration and --run-time: both given; expected one; the latter has the warm-up"
    return (
        no_address(given.host, given.path)
        or labels.problem(given.labels)
        or _no_listener(given.metrics_addr)
        or _no_files(read(given))
    )


def _no_listener(address: str) -> str | None:
    """Why metrics cannot be served there."""
    try:
        parts = urlsplit(f"//{address}")
        sound = bool(parts.hostname) and parts.port is not None and parts.netloc == address
    except ValueError:
        sound = False
    if address and not sound:
        return f"--metrics-addr {address}: expected HOST:PORT, as in 127.0.0.1:9646"
    return None


def no_address(host: str | None, path: str) -> str | None:
    """Why nothing can be sent there; Locust would find out with each request, or never."""
    if host:
        try:
            parts = urlsplit(host)
            sound = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
        except ValueError:
            sound = False
        if not sound or not _PATH.fullmatch(path_in(host) or "/"):
            return (
                f"--host {host}: expected http://HOST:PORT, maybe with a path;"
                " TLS would hide when the first byte is sent"
            )
    if path and not _PATH.fullmatch(path):
        return f"--path {path}: expected one as in an address, such as {SMALL}"
    return None


def path_in(host: str) -> str:
    """The path of an address, if it has one, with its query."""
    parts = urlsplit(host)
    return parts.path.rstrip("/") + (f"?{parts.query}" if parts.query else "")


def _no_files(options: Options) -> str | None:
    try:
        build(image_files(options.images, options.limit), options.body)
    except PayloadError as error:
        return str(error)
    summary = Path(options.summary) if options.summary not in ("", "-") else None
    for name, file in (("--samples", options.samples), ("--summary", summary)):
        if file and (file.is_dir() or not file.parent.is_dir()):
            return f"{name} {file}: cannot be written; expected a file in a folder that exists"
    return None


def make_absolute(given: Namespace) -> None:
    """A worker may run in another folder than its master."""
    for name in ("image", "images", "samples"):
        if value := getattr(given, name):
            setattr(given, name, str(Path(value).absolute()))
