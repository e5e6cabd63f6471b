"""
The settings: read once from SERVICE_* variables, on top of a preset.

A preset is a dict of values and a variant is a preset with differences, so that each
optimization can be measured alone. The README's table is checked against this module.
"""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

PREFIX = "SERVICE_"
PRESET_NAMES = ("baseline", "seed", "optimized")
NOBODY = "none"
PORT = r"(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
ADDRESS = re.compile(rf"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):{PORT}")
LOCAL_TRACKS = ("A", "null")
REMOTE_TRACKS = ("B", "C", "D", "D_streaming", "D_batch")  # those that need Triton


class SettingsError(Exception):
    """A setting that cannot be honoured; the message is for the person who set it."""


def text() -> Any:
    return field(metadata={})


def address() -> Any:
    return field(metadata={"address": True})


def choice(*values: str) -> Any:
    return field(metadata={"choices": values})


def number(low: float, high: float) -> Any:
    return field(metadata={"low": low, "high": high})


@dataclass(frozen=True, slots=True)
class Settings:
    """One service. Every field is the variable SERVICE_<FIELD>; the presets fill all of them."""

    preset: str = choice(*PRESET_NAMES)
    host: str = text()
    port: int = number(0, 65535)
    track: str = choice("auto", *LOCAL_TRACKS, *REMOTE_TRACKS)
    engine: str = choice("onnxruntime", "pytorch")
    json: str = choice("stdlib", "orjson_response", "bytes")
    imaging: str = choice("pillow", "pillow_simd", "pillow_draft", "turbo", "turbo_simd")
    upload: str = choice("form", "direct")
    middleware: str = choice("decorator", "asgi")
    loop: str = choice("asyncio", "uvloop")
    http: str = choice("h11", "httptools")
    workers: int = number(1, 256)
    threads: int = number(1, 256)
    engine_threads: int = number(1, 256)
    recycle_requests: int = number(0, 10**9)
    recycle_jitter: int = number(0, 10**9)
    graceful_s: int = number(0, 3600)
    keep_alive_s: int = number(1, 3600)
    backlog: int = number(1, 65535)
    nagle: str = choice("on", "off")
    admission: int = number(1, 10**6)
    max_bytes: int = number(1, 2**31)
    max_pixels: int = number(1, 2**31)
    max_images: int = number(1, 1000)
    receive_timeout_s: float = number(0.1, 3600)
    triton_url: str = address()
    triton_timeout_s: float = number(0.1, 3600)
    clients: str = choice("per_request", "pooled")
    pool_size: int = number(1, 1024)
    tensors: str = choice("inline", "shared_memory")
    metrics: str = choice("off", "on", "instrumentator")
    tracing: str = choice("auto", "off", "grpc", "http", "contrib")
    trace_ratio: float = number(0, 1)
    otlp_url: str = address()
    slow_ms: float = number(0, 10**6)
    logs: str = choice("auto", "line", "json")
    log_level: str = choice("debug", "info", "warning", "error")

    def as_variables(self) -> dict[str, Any]:
        return {PREFIX + name.upper(): value for name, value in asdict(self).items()}


def cores() -> int:
    """CPUs this process may use: its affinity, and the quota of its container if there is one."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):
        return allowed


def preset(name: str, cpus: int) -> dict[str, Any]:
    """The values of a preset on a machine of so many CPUs."""
    # What all presets share is what the comparison holds still: the model's threads, the
    # slots that may run it, the limits and the threshold of the log.
    shared = {
        "preset": name,
        "host": "127.0.0.1",
        "port": 9600,
        "track": "auto",
        "engine": "onnxruntime",
        "threads": cpus,
        "engine_threads": 1,
        "graceful_s": 30,
        "keep_alive_s": 75,
        "nagle": "off",
        "admission": 512,
        "max_bytes": 50 * 2**20,
        "max_pixels": 25_000_000,
        "max_images": 16,
        "receive_timeout_s": 30.0,
        "triton_url": "127.0.0.1:8001",
        "triton_timeout_s": 10.0,
        "pool_size": 32,
        "metrics": "on",
        "tracing": "auto",
        "trace_ratio": 0.01,
        "otlp_url": "127.0.0.1:4317",
        "slow_ms": 100.0,
        "logs": "auto",
        "log_level": "info",
    }
    return shared | {"baseline": BASELINE, "seed": seed(cpus), "optimized": optimized(cpus)}[name]


BASELINE = {
    "json": "stdlib",
    "imaging": "pillow",
    "upload": "form",
    "middleware": "decorator",
    "loop": "asyncio",
    "http": "h11",
    "clients": "per_request",
    "tensors": "inline",
    "workers": 1,
    "recycle_requests": 0,
    "recycle_jitter": 0,
    "backlog": 2048,
}


def optimized(cpus: int) -> dict[str, Any]:
    return {
        "json": "bytes",
        "imaging": "turbo",
        "upload": "direct",
        "middleware": "asgi",
        "loop": "uvloop",
        "http": "httptools",
        "clients": "pooled",
        "tensors": "shared_memory",
        # Inference runs outside of Python's lock, so one process feeds several CPUs; more of them
        # share the connections unevenly, and the P95 is that of the crowded one. From 8 CPUs on,
        # one event loop would be the limit: that is reckoned, not measured.
        "workers": max(1, cpus // 4),
        "recycle_requests": 0,
        "recycle_jitter": 0,
        "backlog": 2048,
    }


def seed(cpus: int) -> dict[str, Any]:
    """The recipe of the optimization guide that this project tests, its worker formula included."""
    return {
        "json": "orjson_response",
        "imaging": "pillow_simd",
        "upload": "form",
        "middleware": "decorator",
        "loop": "uvloop",
        "http": "httptools",
        "clients": "pooled",
        "tensors": "inline",
        "workers": 2 * cpus + 1,
        "recycle_requests": 10_000,
        "recycle_jitter": 1_000,
        "backlog": 4096,
    }


def read(environ: Mapping[str, str]) -> Settings:
    """The settings that these variables ask for, or a SettingsError that says what to write."""
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    known = {PREFIX + f.name.upper(): f for f in fields(Settings)}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise SettingsError(f"{name}: no such setting; the nearest is {near}")
    wanted = {known[name].name: parse(name, text, known[name]) for name, text in given.items()}
    settings = Settings(**preset(wanted.get("preset", "baseline"), cores()) | wanted)
    if settings.track in REMOTE_TRACKS and settings.triton_url == NOBODY:
        raise SettingsError(
            f"SERVICE_TRACK: {settings.track} needs Triton, and SERVICE_TRITON_URL is "
            f"{NOBODY}; set it to Triton's gRPC address, or choose track A"
        )
    if settings.otlp_url == NOBODY and settings.tracing not in ("auto", "off"):
        raise SettingsError(
            f"SERVICE_TRACING: {settings.tracing} needs a receiver, and SERVICE_OTLP_URL is "
            f"{NOBODY}; set it to the receiver's address, or SERVICE_TRACING=off"
        )
    return settings


def changed(settings: Settings, **values: Any) -> Settings:
    """The same but for these values, here and in the workers, which read the variables again."""
    os.environ.update({f"{PREFIX}{name.upper()}": str(value) for name, value in values.items()})
    return replace(settings, **values)


def parse(name: str, text: str, declared: Any) -> Any:
    """The value of one variable, in the type and within the bounds that its field declares."""
    rule = declared.metadata
    if choices := rule.get("choices"):
        if text not in choices:
            raise SettingsError(f"{name}: found {text!r}; expected one of {', '.join(choices)}")
        return text
    if "address" in rule and text != NOBODY and not ADDRESS.fullmatch(text):
        raise SettingsError(
            f"{name}: found {text!r}; expected {NOBODY}, or host:port as in"
            f" {preset('optimized', 1)[declared.name]}"
        )
    if "low" not in rule:
        if not text:  # an empty host would mean every address of the machine
            raise SettingsError(f"{name}: found nothing; expected a value, or no such variable")
        return text
    try:
        value = declared.type(text)
    except ValueError:
        value = None
    if value is None or not rule["low"] <= value <= rule["high"]:
        kind = "a whole number" if declared.type is int else "a number"
        raise SettingsError(
            f"{name}: found {text!r}; expected {kind} from {rule['low']:g} to {rule['high']:g}"
        )
    return value
