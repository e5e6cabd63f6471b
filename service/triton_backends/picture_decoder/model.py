"""
Decoding in Triton on a CPU: the bytes of a picture to the detector's square of pixels.

A Triton "Python-based backend" of ours, in the place that NVIDIA's DALI has on a GPU: models
that say ``backend: "picture_decoder"`` bring neither code nor files, the size of the square is
that of their output ``images``. The pixels come from the service's own `turbo` pipeline, so
that a picture decoded here and one decoded there do not differ.

Runs in Triton's stub, whose environment names the folder that holds `service` in PYTHONPATH.
"""

import json
import os
import sys
from typing import Any

import numpy as np
import triton_python_backend_utils as pb
from numpy.typing import NDArray

# The stub's interpreter does not look at the variable itself.
sys.path += [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]

from service import imaging
from service.limits import Refusal

PIPELINE = imaging.PIPELINES["turbo"]


class TritonPythonModel:
    """One instance of one model; Triton runs each in a process of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        images = next(tensor for tensor in config["output"] if tensor["name"] == "images")
        self.size = int(images["dims"][0])
        self.max_pixels = int(config["parameters"]["max_pixels"]["string_value"])
        imaging.prepare("turbo")
        self.canvas = imaging.Canvas(self.size)

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self.answer(request) for request in requests]

    def answer(self, request: Any) -> Any:
        """A refused picture is the caller's fault, and says so in the words of the service."""
        encoded = pb.get_input_tensor_by_name(request, "encoded").as_numpy()
        try:
            pixels, sizes = self.decoded(encoded)
        except Refusal as refusal:
            message = f"refused {refusal.code}: {refusal.message}"
            return pb.InferenceResponse(error=pb.TritonError(message, pb.TritonError.INVALID_ARG))
        return pb.InferenceResponse([pb.Tensor("images", pixels), pb.Tensor("size", sizes)])

    def decoded(self, encoded: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """One picture a row; files of different lengths come in requests of their own."""
        pixels = np.empty((len(encoded), self.size, self.size, 3), np.uint8)
        sizes = np.empty((len(encoded), 2), np.int32)
        for row, data in enumerate(encoded):
            picture = PIPELINE.decode(data.tobytes(), self.size, self.max_pixels)
            pixels[row] = PIPELINE.canvas(picture, self.canvas)
            sizes[row] = picture.frame.width, picture.frame.height
        return pixels, sizes
