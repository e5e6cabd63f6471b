"""The nodes of NanoDet-g's ONNX graphs, one step of the network after the other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.model.weights import (
    BINS,
    CLASSES,
    LEAKY_SLOPE,
    MEAN_RGB,
    STD_RGB,
    Weights,
    grid,
)

SCORE_THRESHOLD = 0.25
IOU_THRESHOLD = 0.45
MAX_DETECTIONS = 100


@dataclass(frozen=True)
class Form:
    """What a graph takes and holds; every form of a size computes the same network."""

    suffix: str
    u8: bool = False
    standalone: bool = False
    tensorrt: bool = False


FLOATS = Form("")
BYTES = Form("_u8", u8=True)
TENSORRT = Form("_trt", u8=True, standalone=True, tensorrt=True)


class Graph:
    """Each method adds one step to the graph and returns the name of its result."""

    def __init__(self, weights: Weights, form: Form) -> None:
        self.weights = weights
        self.form = form
        self.convolutions = weights.convolutions()
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        return self.ops(kind, *inputs, outs=[out or f"{kind}_{len(self.nodes)}"], **attributes)[0]

    def ops(self, kind: str, *inputs: str, outs: list[str], **attributes: Any) -> list[str]:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, outs, name=name, **attributes))
        return outs

    def constant(self, value: object, dtype: type = np.float32, name: str = "") -> str:
        name = name or f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def reference(self, name: str) -> str:
        """The tensor as a pointer into the weights file, and its conversion."""
        shape, offset, length = self.weights.entries[name]
        tensor = TensorProto(
            name=name,
            dims=shape,
            data_type=TensorProto.FLOAT16,
            data_location=TensorProto.EXTERNAL,
        )
        place = (("location", self.weights.location), ("offset", offset), ("length", length))
        for key, value in place:
            tensor.external_data.add(key=key, value=str(value))
        self.initializers.append(tensor)
        return self.op("Cast", name, to=TensorProto.FLOAT)

    def kernel(self, name: str, *, rgb: bool) -> str:
        """A kernel as ONNX wants it (out, in, height, width); TFJS keeps it the other way round."""
        if self.form.standalone:
            kernel = self.weights.array(name).transpose(3, 2, 0, 1)
            return self.constant(kernel[:, ::-1] if rgb else kernel, self.precision(), name)
        weight = self.op("Transpose", self.reference(name), perm=[3, 2, 0, 1])
        if rgb:
            weight = self.op("Gather", weight, self.constant([2, 1, 0], np.int64), axis=1)
        return weight

    def bias(self, name: str) -> str:
        if self.form.standalone:
            return self.constant(self.weights.array(name), self.precision(), name)
        return self.reference(name)

    def precision(self) -> type:
        """Of the convolutions; fp16 is what the weights are published in."""
        return np.float16 if self.form.tensorrt else np.float32

    def conv(self, x: str, stride: int = 1, *, rgb: bool = False, active: bool = True) -> str:
        """
        The next convolution of the file, and its LeakyReLU.

        The network was trained on BGR: with `rgb` the kernel is turned round, not every image.
        """
        kernel, bias = next(self.convolutions)
        size = self.weights.entries[kernel][0][0]
        x = self.op(
            "Conv",
            x,
            self.kernel(kernel, rgb=rgb),
            self.bias(bias),
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[size // 2] * 4,
        )
        return self.op("LeakyRelu", x, alpha=LEAKY_SLOPE) if active else x

    def stage(self, x: str, blocks: int, stride: int = 2) -> str:
        """One cross-stage-partial stage of the backbone."""
        inner = x = self.conv(x, stride)
        for _ in range(blocks):
            half = self.conv(x)
            x = self.op("Concat", self.conv(half), half, axis=1)
        return self.op("Concat", self.conv(x), inner, axis=1)

    def planes(self, pixels: str) -> str:
        """Pixels [N,S,S,3] of 0..255 as the network takes them: [N,3,S,S] of 0..1."""
        x = self.op("Cast", pixels, to=TensorProto.FLOAT)
        # A factor, not a division: the service scales the same way, bit for bit.
        x = self.op("Mul", x, self.constant(np.float32(1 / 255)))
        return self.op("Transpose", x, perm=[0, 3, 1, 2])

    def network(self, images: str) -> list[str]:
        """The 80 class logits and 4 x 11 bin logits of every cell, for each stride."""
        scale = self.constant(255 / np.reshape(STD_RGB, (1, 3, 1, 1)))
        shift = self.constant(-np.divide(MEAN_RGB, STD_RGB).reshape(1, 3, 1, 1))
        x = self.op("Add", self.op("Mul", images, scale), shift)
        if self.form.tensorrt:
            x = self.op("Cast", x, to=TensorProto.FLOAT16)

        # The backbone. Its last three stages are at strides 8, 16 and 32.
        x = self.conv(x, 2, rgb=True)
        x = self.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        x = self.stage(x, blocks=1, stride=1)
        c3 = self.stage(x, blocks=2)
        c4 = self.stage(c3, blocks=2)
        c5 = self.stage(c4, blocks=3)

        # The path-aggregation neck: coarse to fine, then back.
        p3, p4, p5 = (self.conv(c, active=False) for c in (c3, c4, c5))
        p4 = self.op("Add", p4, self.upsample(p5))
        p3 = self.op("Add", p3, self.upsample(p4))
        p4 = self.op("Add", p4, self.downsample(p3))
        p5 = self.op("Add", p5, self.downsample(p4))

        levels = [self.conv(self.conv(p), active=False) for p in (p3, p4, p5)]
        if self.form.tensorrt:  # a box is a mean over bins times its stride: too fine for fp16
            levels = [self.op("Cast", level, to=TensorProto.FLOAT) for level in levels]
        return levels

    def upsample(self, x: str) -> str:
        scales = self.constant([1, 1, 2, 2])
        mode = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.op("Resize", x, "", scales, **mode)

    def downsample(self, x: str) -> str:
        # Upstream interpolates; at exactly one half that is the mean of four cells.
        return self.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])

    def decode(self, levels: list[str], size: int) -> tuple[str, str, str]:
        """Centres and extents [N,2,P] in input pixels, and class scores [N,80,P]."""
        per_cell = CLASSES + 4 * BINS
        shape = self.constant([0, per_cell, -1], np.int64)
        rows = self.op("Concat", *(self.op("Reshape", x, shape) for x in levels), axis=2)
        split = self.constant([CLASSES, 4 * BINS], np.int64)
        logits, bins = self.ops("Split", rows, split, outs=["logits", "bins"], axis=1)

        # The distance to a side is the mean of its distribution.
        bins = self.op("Reshape", bins, self.constant([0, 4, BINS, -1], np.int64))
        share = self.op("Softmax", bins, axis=2)
        weighted = self.op("Mul", share, self.constant(np.arange(BINS).reshape(1, 1, BINS, 1)))
        sides = self.op("ReduceSum", weighted, self.constant([2], np.int64), keepdims=0)

        points, strides = grid(size)
        sides = self.op("Mul", sides, self.constant(strides))
        two = self.constant([2, 2], np.int64)
        left_top, right_bottom = self.ops(
            "Split", sides, two, outs=["left_top", "right_bottom"], axis=1
        )
        shift = self.op("Mul", self.op("Sub", right_bottom, left_top), self.constant(0.5))
        centres = self.op("Add", shift, self.constant(points))
        extents = self.op("Add", left_top, right_bottom)
        return centres, extents, self.op("Sigmoid", logits)

    def candidates(self, centres: str, extents: str, scores: str) -> tuple[str, str, str]:
        """The best score of each cell, its box [N,P,4], and the scores without the others."""
        best = self.op("ReduceMax", scores, axes=[1], keepdims=1)
        winners = self.op("Cast", self.op("Equal", scores, best), to=TensorProto.FLOAT)
        boxes = self.op("Concat", centres, extents, axis=1)
        boxes = self.op("Transpose", boxes, perm=[0, 2, 1])
        return best, boxes, self.op("Mul", scores, winners)

    def suppress_by_plugin(self, centres: str, extents: str, scores: str) -> None:
        """What `suppress` keeps, by TensorRT's own suppression: far less of a graph to run."""
        _, boxes, candidates = self.candidates(centres, extents, scores)
        count, _, _, label = self.ops(
            "EfficientNMS_TRT",
            boxes,
            self.op("Transpose", candidates, perm=[0, 2, 1]),
            outs=["num_dets", "boxes", "scores", "label"],
            domain="TRT",
            plugin_version="1",
            background_class=-1,
            box_coding=1,  # centre and extents in; what comes out has corners all the same
            class_agnostic=0,
            iou_threshold=just_above(IOU_THRESHOLD),
            max_output_boxes=MAX_DETECTIONS,
            score_activation=0,
            score_threshold=just_above(SCORE_THRESHOLD),
        )
        # The plugin leaves class 0 in the rows that it does not fill.
        found = self.op("Less", self.constant(np.arange(MAX_DETECTIONS)[None], np.int32), count)
        self.op("Where", found, label, self.constant(-1, np.int32), out="classes")

    def suppress(self, centres: str, extents: str, scores: str) -> None:
        """Keep the best boxes of each image: at most 100, of at most one class per cell."""
        best, boxes, candidates = self.candidates(centres, extents, scores)
        kept = self.op(
            "NonMaxSuppression",
            boxes,
            candidates,
            self.constant(MAX_DETECTIONS, np.int64),
            self.constant(IOU_THRESHOLD, name="iou_threshold"),
            self.constant(SCORE_THRESHOLD, name="score_threshold"),
            center_point_box=1,
        )  # [M,3]: image, class, cell, over the whole batch

        # Back to one row per image: the kept scores in an otherwise empty [N,P], then its top.
        one = self.constant([1], np.int64)
        cells = self.op("Gather", kept, self.constant([0, 2], np.int64), axis=1)
        best = self.op("Squeeze", best, one)
        empty = self.op("ConstantOfShape", self.op("Shape", best))
        sparse = self.op("ScatterND", empty, cells, self.op("GatherND", best, cells))
        top = self.constant([MAX_DETECTIONS], np.int64)
        top_scores, index = self.ops("TopK", sparse, top, outs=["scores", "index"], axis=1)

        found = self.op("Greater", top_scores, self.constant(0.0))
        self.op("ReduceSum", self.op("Cast", found, to=TensorProto.INT32), one, out="num_dets")

        label = self.op("ArgMax", scores, axis=1, keepdims=0)
        label = self.op("GatherElements", label, index, axis=1)
        label = self.op("Where", found, label, self.constant(-1, np.int64))
        self.op("Cast", label, out="classes", to=TensorProto.INT32)

        half = self.op("Mul", extents, self.constant(0.5))
        corners = self.op(
            "Concat", self.op("Sub", centres, half), self.op("Add", centres, half), axis=1
        )
        corners = self.op("Transpose", corners, perm=[0, 2, 1])
        last = self.constant([-1], np.int64)
        corners = self.op("GatherND", corners, self.op("Unsqueeze", index, last), batch_dims=1)
        shown = self.op("Unsqueeze", self.op("Cast", found, to=TensorProto.FLOAT), last)
        self.op("Mul", corners, shown, out="boxes")


def just_above(threshold: float) -> float:
    """For a comparison that keeps what equals its threshold, where ours drops it."""
    return float(np.nextafter(np.float32(threshold), np.float32(np.inf)))
