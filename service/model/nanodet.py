"""
NanoDet-g in PyTorch: step by step the network of graph.py, with the same weights.

Only service/pytorch.py imports this, and only where PyTorch is installed.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from service.model.weights import (
    BINS,
    CLASSES,
    LEAKY_SLOPE,
    MEAN_RGB,
    STD_RGB,
    Floats,
    Weights,
    grid,
)

# The kernel and the bias of each convolution, in the order of the file.
Parameters = Iterator[tuple[Floats, Floats]]


class Convolution(nn.Module):
    """The next convolution of the file, and its LeakyReLU."""

    kernel: Tensor
    bias: Tensor

    def __init__(
        self, parameters: Parameters, stride: int = 1, *, rgb: bool = False, active: bool = True
    ) -> None:
        super().__init__()
        kernel, bias = next(parameters)
        # The file's (height, width, in, out) as PyTorch wants it: (out, in, height, width).
        weight = torch.from_numpy(kernel).permute(3, 2, 0, 1)
        if rgb:  # trained on BGR: turn the kernel round rather than every image
            weight = weight.flip(1)
        # Buffers: nothing is trained here, and no gradient is wanted.
        self.register_buffer("kernel", weight)
        self.register_buffer("bias", torch.from_numpy(bias))
        self.stride = stride
        self.padding = kernel.shape[0] // 2
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        x = functional.conv2d(x, self.kernel, self.bias, self.stride, self.padding)
        # In place: the convolution's result is nobody else's.
        return functional.leaky_relu_(x, LEAKY_SLOPE) if self.active else x


class Block(nn.Module):
    """Two convolutions, the second on top of the first; both go on."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__()
        self.first = Convolution(parameters)
        self.second = Convolution(parameters)

    def forward(self, x: Tensor) -> Tensor:
        half = self.first(x)
        return torch.cat((self.second(half), half), 1)


class Stage(nn.Module):
    """One cross-stage-partial stage of the backbone."""

    def __init__(self, parameters: Parameters, blocks: int, stride: int = 2) -> None:
        super().__init__()
        self.first = Convolution(parameters, stride)
        self.blocks = nn.Sequential(*(Block(parameters) for _ in range(blocks)))
        self.last = Convolution(parameters)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.first(x)
        return torch.cat((self.last(self.blocks(inner)), inner), 1)


class Network(nn.Module):
    """The 80 class logits and 4 x 11 bin logits of every cell, for each stride."""

    scale: Tensor
    shift: Tensor

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        names = weights.convolutions()
        parameters = ((weights.array(kernel), weights.array(bias)) for kernel, bias in names)
        self.register_buffer("scale", column(np.divide(255, STD_RGB)))
        self.register_buffer("shift", column(-np.divide(MEAN_RGB, STD_RGB)))
        # In the order in which the file has them.
        self.stem = Convolution(parameters, 2, rgb=True)
        self.stage2 = Stage(parameters, blocks=1, stride=1)
        self.stage3 = Stage(parameters, blocks=2)
        self.stage4 = Stage(parameters, blocks=2)
        self.stage5 = Stage(parameters, blocks=3)
        self.laterals = nn.ModuleList(Convolution(parameters, active=False) for _ in range(3))
        self.heads = nn.ModuleList(
            nn.Sequential(Convolution(parameters), Convolution(parameters, active=False))
            for _ in range(3)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.stem(images * self.scale + self.shift)
        x = functional.max_pool2d(x, 3, 2, 1)
        c3 = self.stage3(self.stage2(x))
        c4 = self.stage4(c3)
        c5 = self.stage5(c4)

        # The path-aggregation neck: coarse to fine, then back.
        levels = (c3, c4, c5)
        p3, p4, p5 = (lateral(c) for lateral, c in zip(self.laterals, levels, strict=True))
        p4 = p4 + upsample(p5)
        p3 = p3 + upsample(p4)
        p4 = p4 + functional.avg_pool2d(p3, 2)
        p5 = p5 + functional.avg_pool2d(p4, 2)
        return [head(p) for head, p in zip(self.heads, (p3, p4, p5), strict=True)]


class Decoder(nn.Module):
    """From the levels of a square of this size to cx, cy, w, h in pixels and 80 scores."""

    points: Tensor
    strides: Tensor
    bins: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        points, strides = grid(size)
        self.register_buffer("points", torch.from_numpy(points.astype(np.float32)))
        self.register_buffer("strides", torch.from_numpy(strides.astype(np.float32)))
        self.register_buffer("bins", torch.arange(BINS, dtype=torch.float32).reshape(1, 1, BINS, 1))

    def forward(self, levels: list[Tensor]) -> Tensor:
        rows = torch.cat([level.flatten(2) for level in levels], 2)
        scores = rows[:, :CLASSES].sigmoid()
        # The distance to a side is the mean of its distribution.
        share = rows[:, CLASSES:].reshape(len(rows), 4, BINS, -1).softmax(2)
        sides = (share * self.bins).sum(2) * self.strides
        left_top, right_bottom = sides[:, :2], sides[:, 2:]
        centres = (right_bottom - left_top) * 0.5 + self.points
        return torch.cat((centres, left_top + right_bottom, scores), 1)


def column(values: NDArray[np.float64]) -> Tensor:
    """A value for each channel of an image."""
    return torch.from_numpy(values.astype(np.float32)).reshape(1, -1, 1, 1)


def upsample(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
