"""
A service that is running somewhere: what it says of itself, and its processes if they are here.

What it says is believed as far as it has the form of service/README.md; another server's answers
leave the facts empty.
"""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import environments, listening, probe
from benchmarks.campaign import Variant
from benchmarks.doctor.exposition import Page, parse
from benchmarks.doctor.group import Limit, limit_of, usable
from benchmarks.environments import ROOT
from benchmarks.processes import RunError

DEFAULT_URL = "http://127.0.0.1:9600"
START = "SERVICE_PRESET=optimized windtunnel serve"
PICTURE = ROOT / "loadtests/images/cat-451x300.jpg"
MODELS = ("nano", "small", "medium")  # the cheapest first
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Service:
    """One service, when it was asked."""

    address: str  # scheme and host
    path: str  # of its predictions, empty where the URL does not say
    answers: bool = False  # whether anybody does
    health: dict[str, Any] = field(default_factory=dict)
    missing: str = ""  # why it is not ready
    page: Page | None = None
    pids: tuple[int, ...] = ()  # of its first process and its Triton; none where they are not here
    limit: Limit | None = None  # of CPU time, by its control group; seen here only
    cpus: float | None = None  # that it may use; seen here only
    optimized: dict[str, Any] = field(default_factory=dict)  # that preset's settings, here
    untold: str = ""  # why those are not known

    @property
    def url(self) -> str:
        """What was asked about, as it is typed after --url."""
        return self.typed(self.path)

    def typed(self, path: str) -> str:
        """One of its URLs, as a word of a command."""
        return shlex.quote(self.address + path)

    @property
    def picture(self) -> str:
        """The command that posts one real picture."""
        where = self.typed(self.path or f"/predict/{MODELS[0]}")
        return f"curl -F image=@{PICTURE.relative_to(ROOT)} {where}"

    @property
    def known(self) -> bool:
        """Whether it is a service of this project."""
        return bool(self.settings)

    @property
    def settings(self) -> dict[str, Any]:
        """Its SERVICE_* variables."""
        found = self.said("settings")
        return found if isinstance(found, dict) else {}

    def setting(self, name: str) -> Any:
        """One of them, without its prefix."""
        return self.settings.get(f"SERVICE_{name}")

    def number(self, name: str) -> float:
        """One of them that is a number; 0 where it is none."""
        value = self.setting(name)
        known = isinstance(value, int | float) and abs(value) < 2**63
        return float(value) if known else 0.0

    def said(self, *path: str) -> Any:
        """What /health has at a place; None where it has nothing."""
        return at(self.health, *path)

    @property
    def pid(self) -> int | None:
        """Of the worker that answered, if it is on this machine."""
        found = self.said("pid")
        return found if self.pids and isinstance(found, int) else None

    @property
    def remote(self) -> bool:
        """Whether a request on the default track is Triton's work."""
        return self.setting("TRACK") not in (None, "A", "null")


def at(tree: Any, *path: str) -> Any:
    """What JSON has at a place; None where it has nothing."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def divided(url: str) -> tuple[str, str]:
    """Address and path of a URL, or what is wrong with it."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError("it is not http://host:port")
    except ValueError as error:
        raise RunError(
            f"--url: found {url!r} ({error}); expected a service's address, as in {DEFAULT_URL};"
            " correct it"
        ) from error
    query = f"?{parts.query}" if parts.query else ""
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}", path + query if path else ""


def look(url: str) -> Service:
    """Ask a service about itself."""
    address, path = divided(url)
    try:
        probe.get(f"{address}/livez", TIMEOUT_S)
    except probe.FAILURES:
        return Service(address, path)
    health = probe.health(address, TIMEOUT_S) or {}
    found = here(Service(address, path, answers=True, health=health))
    if not found.known:
        return found
    best, untold = optimized()
    return replace(
        found, missing=missing(address), page=page(address), optimized=best, untold=untold
    )


def here(service: Service) -> Service:
    """With what is seen of its processes, where they are on this machine."""
    found = tuple(pids(service))
    if not found:
        return service
    limit = limit_of(Path("/"), found[0])
    return replace(service, pids=found, limit=limit, cpus=usable(found[0], limit))


def missing(address: str) -> str:
    """What the service says it lacks to be ready."""
    try:
        status, body = probe.get(f"{address}/readyz", TIMEOUT_S)
        if status == 200:
            return ""
        said = json.loads(body)["error"]["message"]
    except probe.FAILURES as error:
        return str(error)
    except (ValueError, KeyError, TypeError):
        return f"GET /readyz answered {status}"
    return str(said)


def page(address: str) -> Page | None:
    """Its metrics; None where they are switched off."""
    try:
        status, body = probe.get(f"{address}/metrics", TIMEOUT_S)
        return parse(body.decode()) if status == 200 else None
    except (*probe.FAILURES, ValueError):
        return None


def optimized() -> tuple[dict[str, Any], str]:
    """The best known settings on this machine, by the service's own preset, or why nobody knows."""
    try:
        return environments.effective_settings(Variant("optimized", "optimized"), ROOT), ""
    except RunError as error:
        return {}, str(error)


def pids(service: Service) -> Iterator[int]:
    """The first process of the service, and that of its Triton; none if they are not here."""
    worker, triton = service.said("pid"), service.said("triton", "url")
    parts = urlsplit(service.address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if worker is None:  # a server that says nothing of itself
        worker = listening.at_address(f"{parts.hostname}:{port}")
    first = listening.first_of(worker, port)
    if first is None or not listening.is_here(parts.hostname or ""):
        return
    yield first
    beside = listening.at_address(triton) if service.remote and isinstance(triton, str) else None
    if beside is not None:
        yield beside


def predicting(service: Service) -> str:
    """A path at which one real picture is answered, or why there is none."""
    candidates = [service.path] if service.path else [f"/predict/{model}" for model in MODELS]
    trouble = ""
    for path in candidates:
        trouble = refusal(service.address + path, PICTURE)
        if not trouble:
            return path
    raise RunError(trouble)


def refusal(url: str, picture: Path) -> str:
    """Why a picture is not answered; empty if it is."""
    try:
        status, body = probe.post(url, picture, "multipart", TIMEOUT_S)
    except probe.FAILURES as error:
        return f"POST {url}: no answer ({error})"
    if 200 <= status < 300:
        return ""
    return f"POST {url} answered {status} {body[:300].decode(errors='replace')!r}"
