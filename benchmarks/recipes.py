"""What each environment beside the default one is made from, needs and must be able to do."""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine

PACKAGES = "build-essential libjpeg-dev zlib1g-dev libwebp-dev python3-dev"
HEADERS = ("jpeglib.h", "zlib.h", "webp/decode.h", "Python.h")
PYTORCH_BYTES = 5 * 10**9  # on disk, once: the environment's files are links into uv's cache
GLIBC = (2, 35)  # what nvidia-pytriton's wheel is linked to

_PROVE_SIMD = """
import PIL
from PIL import features
missing = [name for name in ("jpg", "webp") if not features.check(name)]
assert PIL.__version__.endswith("post0"), f"PIL is {PIL.__version__}, not pillow-simd"
assert not missing, f"built without {', '.join(missing)}"
"""
_PROVE_PYTORCH = """
import torch
ones = torch.ones(1, 1, 3, 3)
found = torch.nn.functional.conv2d(ones, ones, padding=1).numpy().tolist()
assert found == [[[[4, 6, 4], [6, 9, 6], [4, 6, 4]]]], f"a convolution gives {found}"
"""
_PROVE_TRITON = """
import ctypes, sys, sysconfig
from pathlib import Path
import cv2, numpy, onnxruntime, PIL, pytriton, simplejpeg
version = "%d.%d" % sys.version_info[:2]
beside = Path(sysconfig.get_config_var("LIBDIR"), f"libpython{version}.so.1.0")
try:
    ctypes.CDLL(str(beside if beside.exists() else beside.name))
except OSError:
    sys.exit(f"{beside.name} is missing: apt-get install libpython{version}")
server = Path(pytriton.__file__).parent / "tritonserver/bin/tritonserver"
assert server.exists(), f"no {server}"
assert numpy.__version__.startswith("1."), f"numpy is {numpy.__version__}, which Triton misreads"
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the environment of requirements/<name>.txt is made."""

    work: Callable[[], str]  # what takes its time
    lacking: Callable[[Path], str]  # why it cannot be made in this checkout; empty: it can
    proof: str  # a program that fails where the environment is not what it should be
    expected: str  # what it should be, and what to do when it is not
    compiled: str = ""  # the package that is built here
    python: str = sys.executable  # which one, in uv's words
    files: tuple[str, ...] = ()  # what it is made from besides its lock
    options: Callable[[], list[str]] = list  # of `uv pip sync`


def _simd_work() -> str:
    how = "with AVX2" if machine.has_avx2() else "without AVX2, which this CPU does not have"
    return f"compiling pillow-simd {how}; about half a minute"


def _simd_options() -> list[str]:
    return ["--config-file", "requirements/avx2.toml"] if machine.has_avx2() else []


def _simd_lacking(_root: Path) -> str:
    compiler = shutil.which(os.environ.get("CC", "cc").split()[0])
    missing = ["cc"] if compiler is None else [h for h in HEADERS if not compiles(compiler, h)]
    if not missing:
        return ""
    return (
        f"pillow-simd cannot be compiled here: {', '.join(missing)} not found;"
        " expected a C compiler and the headers of libjpeg, zlib, libwebp and Python;"
        f" `apt-get install {PACKAGES}`"
    )


def compiles(compiler: str, header: str) -> bool:
    """Whether a program that includes this header is accepted."""
    source = f"#include <stdio.h>\n#include <{header}>\n"
    include = sysconfig.get_paths()["include"]
    command = [compiler, "-fsyntax-only", f"-I{include}", "-x", "c", "-"]
    return subprocess.run(command, input=source.encode(), capture_output=True).returncode == 0


def _pytorch_work() -> str:
    return "fetching PyTorch, 2.5 GB (4 GB on disk, most of it for GPUs)"


def _pytorch_lacking(root: Path) -> str:
    free = shutil.disk_usage(root).free
    if free >= PYTORCH_BYTES:
        return ""
    return (
        f"PyTorch does not fit on this disk: found {free / 1e9:.1f} GB free in {root};"
        f" expected {PYTORCH_BYTES / 1e9:.0f} GB; make room"
    )


def _triton_work() -> str:
    return "fetching the Triton Inference Server, 0.2 GB (0.5 GB on disk)"


def _triton_lacking(_root: Path) -> str:
    name, version = platform.libc_ver()
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if platform.machine() == "x86_64" and name == "glibc" and parts >= GLIBC:
        return ""
    return (
        f"Triton does not run here: found {platform.machine()} with {name or 'no glibc'} {version};"
        f" expected x86_64 with glibc {GLIBC[0]}.{GLIBC[1]} or newer; use such a machine"
    )


def triton_python(ours: tuple[int, int]) -> str:
    """Numpy 1.26 has no wheel for a Python above 3.12: then uv looks for another one here."""
    return sys.executable if ours < (3, 13) else ">=3.11,<3.13"


RECIPES = {
    "simd": Recipe(
        work=_simd_work,
        lacking=_simd_lacking,
        proof=_PROVE_SIMD,
        expected=f"pillow-simd with JPEG and WebP; `apt-get install {PACKAGES}` and try again",
        compiled="pillow-simd",
        files=("requirements/avx2.toml",),
        options=_simd_options,
    ),
    "pytorch": Recipe(
        work=_pytorch_work,
        lacking=_pytorch_lacking,
        proof=_PROVE_PYTORCH,
        expected="PyTorch with the libraries that it is linked to; remove the folder and try again",
    ),
    "triton": Recipe(
        work=_triton_work,
        lacking=_triton_lacking,
        proof=_PROVE_TRITON,
        expected="nvidia-pytriton's server, numpy 1 and Python's shared library; then try again",
        python=triton_python(sys.version_info[:2]),
    ),
}
