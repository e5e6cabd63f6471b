"""
NanoDet-g as published: its weights, and the numbers that its architecture goes with.

The ONNX graphs (graph.py) and the PyTorch module (nanodet.py) are both made from this, so
that the engines differ in speed alone.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SOURCE = Path(__file__).parent / "source"
SHA256 = {
    "nanodet.json": "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
    "nanodet.bin": "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
}

CLASSES = 80
STRIDES = (8, 16, 32)
BINS = 11  # each side of a box is a distribution over 0..10 strides
LEAKY_SLOPE = 0.1
MEAN_RGB = (123.675, 116.28, 103.53)
STD_RGB = (58.395, 57.12, 57.375)

Floats = NDArray[np.float32]


class WeightsError(Exception):
    """The published files are not there as they were published."""


class Weights:
    """The kernels and biases of the TFJS model, in the order of its convolutions."""

    def __init__(self, folder: Path = SOURCE) -> None:
        check_published(folder)
        model = json.loads((folder / "nanodet.json").read_text())
        (group,) = model["weightsManifest"]
        self.location = f"{folder.name}/{group['paths'][0]}"
        self.data = (folder / group["paths"][0]).read_bytes()
        self.nodes = model["modelTopology"]["node"]
        # Shape, offset and length in the file; the other entries are constants of the graph.
        self.entries: dict[str, tuple[list[int], int, int]] = {}
        offset = 0
        for entry in group["weights"]:
            stored = entry.get("quantization", entry)["dtype"]
            length = int(np.prod(entry["shape"], dtype=int)) * np.dtype(stored).itemsize
            if stored == "float16":
                self.entries[entry["name"]] = entry["shape"], offset, length
            offset += length

    def convolutions(self) -> Iterator[tuple[str, str]]:
        """The names of each convolution's kernel and bias."""
        kernels = {n["name"]: n["input"][1] for n in self.nodes if n["op"] == "Conv2D"}
        biases = {n["input"][0]: n["input"][1] for n in self.nodes if n["op"] == "Add"}

        def number(conv: str) -> int:
            return int(conv.rpartition("convolution")[2].lstrip("_") or 0)

        for conv in sorted(kernels, key=number):
            yield kernels[conv], biases[conv]

    def array(self, name: str) -> Floats:
        """A bias, or a kernel as TFJS keeps it: (height, width, in, out)."""
        shape, offset, length = self.entries[name]
        values = np.frombuffer(self.data, np.float16, length // 2, offset)
        return values.astype(np.float32).reshape(shape)


def check_published(folder: Path) -> None:
    for name, expected in SHA256.items():
        file = folder / name
        try:
            found = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as error:
            found = f"nothing ({error.strerror})"
        if found != expected:
            raise WeightsError(
                f"{file}: found {found}; expected the published file, of SHA-256 {expected};"
                f" restore it (`git checkout -- {file}`)"
            )


def grid(size: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The centre [1,2,P] and the stride [1,1,P] of every cell."""
    points, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: size // stride, : size // stride]
        points.append((np.stack([x, y]).reshape(2, -1) + 0.5) * stride)
        strides.append(np.full(x.size, stride))
    return np.concatenate(points, 1)[None], np.concatenate(strides)[None, None]
