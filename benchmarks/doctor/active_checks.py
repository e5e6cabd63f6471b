"""
What a service really runs with: from what its process has loaded, not from what it was set to.

A contradiction between the two is a PROBLEM. What is active but plainer than in the preset
`optimized` is a NOTE: that preset holds what measuring left over.
"""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.doctor.findings import Finding, Grade, judged
from benchmarks.doctor.service import Service

# Of these /health says what is active, under the setting's own name.
ACTIVE = ("performance", "optimizations")
OPTIMIZATIONS = ("json", "imaging", "upload", "middleware", "loop", "http")
PYTHON_BACKEND = "triton-python"


def findings(service: Service) -> Iterator[Finding]:
    """All checks of what is active."""
    yield from presets(service)
    for name in OPTIMIZATIONS:
        yield optimization(service, name)
    yield pillow(service)
    yield engine(service)
    yield from pooling(service)
    yield versions(service)


def presets(service: Service) -> Iterator[Finding]:
    """Whether this checkout's service says what the preset `optimized` is; nothing if it does."""
    if service.untold:
        yield Finding(
            "preset",
            Grade.NOTE,
            f"not known, and not compared with: {' '.join(service.untold.split())}",
            "the preset optimized, as this checkout's service has it",
            "SERVICE_PRESET=optimized python -m service settings",
        )


def optimization(service: Service, name: str) -> Finding:
    """One setting: wanted, active, and what the preset `optimized` has."""
    variable = f"SERVICE_{name.upper()}"
    wanted, active = service.setting(name.upper()), service.said(*ACTIVE, name)
    best = service.optimized.get(variable, active)
    contradiction = active != wanted
    return judged(
        name,
        f"{active} is active, though {variable} is {wanted}" if contradiction else f"{active}",
        f"{wanted}, as it was set" if contradiction else f"{best}, as in the preset optimized",
        f"windtunnel profile --url {service.url} --output profile.svg"
        if contradiction
        else f"{variable}={best} windtunnel serve",
        note=active != best,
        problem=contradiction,
    )


def pillow(service: Service) -> Finding:
    """Which PIL answers, and what it can open."""
    found = service.said("pillow")
    about: dict[str, Any] = found if isinstance(found, dict) else {}
    name, turbo, accepts = (about.get(key) for key in ("name", "libjpeg_turbo", "accepts"))
    simd, web = name == "pillow-simd", isinstance(accepts, list) and "WEBP" in accepts
    said = [f"{name} {about.get('version')}", f"libjpeg-turbo {turbo or 'missing'}"]
    if simd:
        said.append("older than Pillow's latest mended decoders: not for uploads of strangers")
    if not web:
        said.append("no WebP: such uploads are refused")
    return judged(
        "PIL",
        ", ".join(said),
        "Pillow with libjpeg-turbo and WebP (libjpeg-turbo says nothing about pillow-simd)",
        "make setup && SERVICE_PRESET=optimized windtunnel serve",
        note=simd or not web or not turbo,
    )


def engine(service: Service) -> Finding:
    """Who infers; nobody may take fixed boxes or a Python backend for the real thing."""
    track = service.setting("TRACK")
    by_model = service.said("engine", "default_track")
    names = sorted({str(name) for name in by_model.values()}) if isinstance(by_model, dict) else []
    fixed = service.said("engine", "real") is False
    python = any(name.startswith(PYTHON_BACKEND) for name in names)
    said = f"track {track}, engine {', '.join(names) or 'unknown'}"
    if fixed:
        said += ": fixed boxes, no inference"
    if python:
        said += ": Triton with Python backends, whose times are not TensorRT's"
    return judged(
        "engine",
        said,
        "an engine that infers, and is the one that is meant",
        "SERVICE_TRACK=A windtunnel serve",
        note=fixed or python,
    )


def pooling(service: Service) -> Iterator[Finding]:
    """Whether gRPC clients are kept; of a track that needs none nothing is said."""
    if not service.remote:
        return
    wanted, kind = service.setting("CLIENTS"), service.said("triton", "clients", "kind")
    yield judged(
        "Triton clients",
        f"{kind}, though SERVICE_CLIENTS is {wanted}" if kind != wanted else f"{kind}",
        "pooled: one connection is kept for each model",
        "SERVICE_CLIENTS=pooled windtunnel serve",
        note=kind != "pooled",
        problem=kind != wanted,
    )


def versions(service: Service) -> Finding:
    """The service's release and Python, beside those of this checkout."""
    build = service.page.series.get("api_build_info", {}) if service.page else {}
    labels = dict(next(iter(build), ()))
    theirs, ours = labels.get("version", "unknown"), installed()
    return judged(
        "version",
        f"windtunnel {theirs}, Python {labels.get('python', 'unknown')}",
        f"windtunnel {ours}, which looks at it",
        "make setup && windtunnel serve",
        note=theirs not in ("unknown", ours),
    )


def installed() -> str:
    """Of this checkout."""
    try:
        return version("windtunnel")
    except PackageNotFoundError:
        return "unknown"
