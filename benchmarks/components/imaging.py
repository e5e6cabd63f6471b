"""
What pictures take: single operations of Pillow and of pillow-simd, and the service's pipelines.

    python -m benchmarks.components.imaging [--quick] [--results DIR]

Three photos of the corpus, of 0.3, 2 and 12 megapixels, to the square of model `small`.
pillow-simd is measured in its own environment beside Pillow in the default one, which is newer, by
as much as pillow-simd lags. A pipeline is service/imaging.py from the file's bytes to the tensor.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import machine
from benchmarks.components import interleaved, result, tables
from benchmarks.components.interleaved import Timed
from benchmarks.components.result import Check
from benchmarks.environments import ROOT

NAME = "imaging"
QUESTION = "Which ways with pictures are faster, by how much, and at which size of picture?"
PICTURES = {
    "0.3mp": "rocket-640x427.jpg",
    "2mp": "dogs-window-large-1182x1776.jpg",
    "12mp": "large/sunset-large-4272x2848.jpg",
}
ENVIRONMENTS = {"pillow": "default", "pillow_simd": "simd"}
SETUP = """
import io
from pathlib import Path
from PIL import Image
from service import imaging
side, max_pixels = 320, 25_000_000
imaging.prepare(way)
data = Path(picture).read_bytes()
"""
OPENED = """
image = Image.open(io.BytesIO(data)).convert("RGB")
place = imaging.frame(*image.size, side)
inner = place.inner_width, place.inner_height
"""
PIPELINE = "\npipeline, buffers = imaging.PIPELINES[way], imaging.Buffers(side)\n"
RGBA, GREY = 'other = image.convert("RGBA")', 'other = image.convert("L")'
# Name, what it is, the statement, and what its setup has besides.
OPERATIONS = (
    ("decode", "decode a JPEG, whole", "Image.open(io.BytesIO(data)).load()", ""),
    ("resize", "to the model's size", "image.resize(inner, Image.Resampling.BILINEAR)", OPENED),
    ("rgba_to_rgb", "RGBA to RGB", 'other.convert("RGB")', OPENED + RGBA),
    ("l_to_rgb", "grey to RGB", 'other.convert("RGB")', OPENED + GREY),
    ("rgb_to_l", "RGB to grey", 'image.convert("L")', OPENED),
)
PIPELINES = ("pillow", "pillow_simd", "pillow_draft", "turbo")


def cases(*, simd: bool) -> Iterator[Timed]:
    """All of them, at each size; without pillow-simd those that need no environment but ours."""
    for size, picture in PICTURES.items():
        file = f"loadtests/images/{picture}"
        for way, environment in ENVIRONMENTS.items():
            setup = f"way, picture = {way!r}, {file!r}\n{SETUP}"
            for name, says, statement, more in OPERATIONS:
                named, more = f"{name}.{way}.{size}", setup + more
                if simd or environment == "default":
                    yield Timed(named, f"{says}: {way}", statement, more, environment, "len(data)")
        for way in PIPELINES:
            environment = ENVIRONMENTS.get(way, "default")
            setup = f"way, picture = {way!r}, {file!r}\n{SETUP}{PIPELINE}"
            said = f"SERVICE_IMAGING={way}: bytes to tensor"
            work = "pipeline.letterbox(pipeline.decode(data, side, max_pixels), buffers)"
            if simd or environment == "default":
                yield Timed(f"pipeline.{way}.{size}", said, work, setup, environment, "len(data)")


def groups(names: list[str]) -> list[list[str]]:
    """What is compared with what: the ways of one operation at one size, Pillow first."""
    found: dict[str, dict[str, list[str]]] = {}
    for name in names:
        operation, _, size = name.split(".", 2)
        found.setdefault(operation, {}).setdefault(size, []).append(name)
    return [group for sizes in found.values() for group in sizes.values()]


def avx2() -> Iterator[Check]:
    """Whether pillow-simd's library has AVX2 code, if the CPU does and the build's tools tell."""
    if not machine.has_avx2():
        return
    library = next((ROOT / ".venv-simd").glob("lib/python*/site-packages/PIL/_imaging.*.so"), None)
    if library is None:
        return
    try:
        code = subprocess.run(
            ["objdump", "-d", str(library)], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return
    uses, name = code.count("%ymm"), "pillow-simd uses AVX2"
    expected = "some: this project built it with -mavx2"
    yield Check(name, expected, f"{uses} instructions with its registers", uses > 0)


def measured(options: tables.Options) -> Path:
    """Measure, print, write; the file."""
    simd = tables.available("simd", "all of pillow-simd")
    begun = result.beginning(tuple(ENVIRONMENTS.values()) if simd else ("default",))
    wanted = list(cases(simd=simd))
    effort = interleaved.QUICK if options.quick else interleaved.FULL
    found = interleaved.measure(wanted, effort, tables.shower(NAME))
    checks = list(avx2()) if simd else []
    print(tables.table(found, groups([case.name for case in wanted])))
    print(f"\n{tables.checks(checks)}" if checks else "")
    return result.write(options.results, NAME, QUESTION, begun, found, checks, quick=options.quick)


if __name__ == "__main__":
    wanted = tables.options("imaging", QUESTION, "3 minutes, with --quick 30 seconds")
    sys.exit(tables.ended(NAME, lambda: measured(wanted)))
