"""
ONNX graphs in Triton, by ONNX Runtime's Python package: our code, not NVIDIA's backend.

A Triton "Python-based backend": models that say ``backend: "onnxruntime_python"`` bring a
``model.onnx`` and no code. The name is its own on purpose, since NVIDIA's ``onnxruntime``
backend is C++ and has other costs; no number measured here is a number of that one.

Runs in Triton's stub, which reads zeros from its inputs with numpy 2: numpy 1.26 here.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb
from numpy.typing import NDArray

# Builds of ONNX Runtime may report their use to its makers; a lab's machines are its own business.
onnxruntime.disable_telemetry_events()

Arrays = list[NDArray[Any]]


class TritonPythonModel:
    """One instance of one model; Triton runs each in a process of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        file = config["default_model_filename"] or "model.onnx"
        path = Path(args["model_repository"], args["model_version"], file)
        self.session = load(path, engine_threads(args["model_name"], config))
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """The requests of one dynamic batch: joined, run once and split again, in order."""
        feeds = [
            [pb.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs]
            for request in requests
        ]
        try:
            batch = dict(zip(self.inputs, joined(feeds), strict=True))
            results = self.session.run(self.outputs, batch)
        except Exception as error:  # each request gets an answer of its own, with the cause
            return [failure(error) for _ in requests]
        rows = [len(feed[0]) for feed in feeds]
        return [
            pb.InferenceResponse(
                [pb.Tensor(name, part) for name, part in zip(self.outputs, share, strict=True)]
            )
            for share in shares(results, rows)
        ]


def load(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """From its path: the graph names its weights file relative to itself."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle engine threads that spin would take the CPU from the other instances.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def engine_threads(model: str, config: dict[str, Any]) -> int:
    """The parameter that NVIDIA's backend takes under the same name."""
    parameter = config["parameters"].get("intra_op_thread_count", {}).get("string_value", "")
    if not parameter.isdigit() or parameter == "0":
        raise ValueError(
            f"{model}: the parameter intra_op_thread_count is {parameter!r}; "
            "give the threads of one inference as a whole number of at least 1"
        )
    return int(parameter)


def joined(feeds: list[Arrays]) -> Arrays:
    """The inputs of all requests; of one alone as they are, because joining copies."""
    if len(feeds) == 1:
        return feeds[0]
    return [np.concatenate(parts) for parts in zip(*feeds, strict=True)]


def shares(results: Arrays, rows: list[int]) -> list[Arrays]:
    """What each request gets of the results: as many rows as it brought."""
    if len(rows) == 1:
        return [results]
    ends = np.cumsum(rows)
    return [
        [result[end - count : end] for result in results]
        for end, count in zip(ends.tolist(), rows, strict=True)
    ]


def failure(error: Exception) -> Any:
    message = f"ONNX Runtime failed on the batch of this request: {error}"
    return pb.InferenceResponse(error=pb.TritonError(message, pb.TritonError.INTERNAL))
