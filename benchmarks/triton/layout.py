"""
The folder that a server starts on, put together from the wheel and from service/.

    .tools/triton/<digest>/
        backends/python/                the wheel's backend, with the stub of our Python beside it
        backends/<ours>/                service/triton_backends, copied
        models/<model>                  a link into service/model_repository, or what differs

Backends are copies: Triton refuses one that is a link ("escapes backend directory"). The folder is
named after its content and never changed, so that servers may share it and none has to remove it;
`make clean` does.
"""

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import RunError
from benchmarks.record import shown
from benchmarks.triton.served import Served

CONFIG = "cpu"

_ASK = """
import ctypes, json, sys, sysconfig
from pathlib import Path
library = f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0"
folder = sysconfig.get_config_var("LIBDIR")
try:
    beside = Path(folder, library)
    ctypes.CDLL(str(beside if beside.exists() else library))
    found = True
except OSError:
    found = False
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2], "library": library, "library_found": found,
    "library_folder": folder, "packages": sysconfig.get_path("purelib"),
}))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python that Triton's Python models run in, and where its parts are."""

    folder: Path
    version: str
    library_folder: str
    packages: Path

    @property
    def server(self) -> Path:
        """The wheel's server."""
        return self.packages / "pytriton/tritonserver"

    def environment(self, root: Path) -> dict[str, str]:
        """What tells the server's stubs which Python, packages and libraries are theirs."""
        # Whatever the caller's shell says of another Python would lead the stubs astray.
        strays = ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
        kept = {k: v for k, v in os.environ.items() if k not in strays}
        libraries = self.packages / "nvidia_pytriton.libs"
        return {
            **kept,
            "PATH": f"{self.folder / 'bin'}:{kept.get('PATH', '')}",
            # Our own backends decode pictures with the service's code.
            "PYTHONPATH": f"{self.packages}:{root}",
            "LD_LIBRARY_PATH": f"{self.library_folder}:{libraries}",
            # A stub that finds no GPU need not look for one, and its caches are nobody's business.
            "PYTHONDONTWRITEBYTECODE": "1",
        }


def interpreter(root: Path) -> Interpreter:
    """The environment of `make setup-triton`, or what is missing of it."""
    folder = root / ".venv-triton"
    python = folder / "bin/python"
    if not python.exists():
        raise RunError(
            f"{shown(folder)}: not there; expected the environment that Triton runs in;"
            " `make setup-triton` installs it"
        )
    done = subprocess.run([str(python), "-c", _ASK], capture_output=True, text=True)
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise RunError(
            f"{shown(python)}: does not run ({done.stderr.strip()[-200:]}); expected a Python;"
            f" delete {shown(folder)} and `make setup-triton`"
        ) from error
    # Without it the server stays alive, never becomes ready, and says so in one line of its log.
    if not said["library_found"]:
        raise RunError(
            f"{said['library']}: not found; expected Python's own library, which Triton's Python"
            f" models need; `apt-get install libpython{said['version']}` brings it"
        )
    return Interpreter(folder, said["version"], said["library_folder"], Path(said["packages"]))


def assemble(served: Served, python: Interpreter, root: Path) -> Path:
    """Put the folder together, unless it is there."""
    service = root / "service"
    models = {name: service / "model_repository" / name for name in served.loaded}
    changed = {
        name: _changed(_config(models[name]), served, is_detector=name in served.detectors)
        for name in (served.loaded if served.differs else ())
    }
    backends = sorted((service / "triton_backends").glob("*/*.py"))
    wheel = sorted(folder.name for folder in python.packages.glob("nvidia_pytriton-*"))
    digest = hashlib.sha256(repr((sorted(models), python.version, wheel, str(root))).encode())
    for content in (*changed.values(), *(file.read_bytes() for file in backends)):
        digest.update(hashlib.sha256(content).digest())
    final = root / ".tools/triton" / digest.hexdigest()[:16]
    if not final.exists():
        partial = final.with_name(f".{final.name}.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        _copy_backends(python, backends, partial / "backends")
        _link_models(models, changed, partial / "models")
        _rename(partial, final)
    return final


def _copy_backends(python: Interpreter, ours: list[Path], into: Path) -> None:
    server = python.server
    theirs = (
        server / "backends/python/libtriton_python.so",
        server / "backends/python/triton_python_backend_utils.py",
        server / "python_backend_stubs" / python.version / "triton_python_backend_stub",
    )
    for file in theirs:
        if not file.exists():
            raise RunError(
                f"{shown(file)}: not there; expected a part of nvidia-pytriton for Python"
                f" {python.version}; delete {shown(python.folder)} and `make setup-triton`"
            )
    (into / "python").mkdir(parents=True)
    for file in theirs:
        shutil.copy(file, into / "python")
    for file in ours:
        (into / file.parent.name).mkdir(exist_ok=True)
        shutil.copy(file, into / file.parent.name)


def _link_models(models: dict[str, Path], changed: dict[str, bytes], into: Path) -> None:
    into.mkdir()
    for name, folder in models.items():
        if name not in changed:
            (into / name).symlink_to(folder)
            continue
        (into / name / "configs").mkdir(parents=True)
        (into / name / "configs" / f"{CONFIG}.pbtxt").write_bytes(changed[name])
        (into / name / "1").symlink_to(folder / "1")


def _config(model: Path) -> Any:
    """A model's configuration, as Triton's own schema reads it."""
    # Half a second to import, and needed by few: `windtunnel compare` must not wait for it.
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    file = model / "configs" / f"{CONFIG}.pbtxt"
    try:
        return text_format.Parse(file.read_text(), model_config_pb2.ModelConfig())
    except (OSError, text_format.ParseError) as error:
        raise RunError(
            f"{shown(file)}: cannot be read ({error}); expected a model's configuration;"
            " `python service/triton_models/build.py` writes it"
        ) from error


def _changed(config: Any, served: Served, *, is_detector: bool) -> bytes:
    """The configuration with another delay, batch, queue or number of instances."""
    if served.max_batch is not None:
        # Of all parts: an ensemble may not take a larger batch than one of them.
        config.max_batch_size = served.max_batch
    if is_detector and served.queue_delay_ms is not None:
        delay_us = round(1000 * served.queue_delay_ms)
        config.dynamic_batching.max_queue_delay_microseconds = delay_us
    if is_detector and served.max_queue is not None:
        config.dynamic_batching.default_queue_policy.max_queue_size = served.max_queue
    if is_detector and served.instances is not None:
        config.instance_group[0].count = served.instances
    return f"{config}".encode()  # a message prints itself in the text format


def _rename(partial: Path, final: Path) -> None:
    """Another server that starts may have made the same."""
    try:
        partial.rename(final)
    except OSError:
        shutil.rmtree(partial)
        if not final.exists():
            raise
