"""
Whether a Triton gives right answers: a real picture through every model that is asked for.

READY is not enough. A server whose Python has numpy 2 is READY and reads zeros; one whose stub has
died stays READY. A cat that is found has gone through every tensor on its way.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from PIL import Image, ImageOps

from benchmarks.processes import RunError
from benchmarks.triton.served import Served

CAT = 15  # of the COCO classes
SCORE = 0.25
TIMEOUT_S = 20.0
GREY = (114, 114, 114)
SIZES = {"nano": 224, "small": 320, "medium": 416}


def check(address: str, served: Served, picture: Path) -> None:
    """Infer once with every model, or say which does not find the cat."""
    with triton.InferenceServerClient(address) as client:
        for name, (model, track) in served.asked.items():
            found = _infer(client, name, _input(picture, model, track))
            if not found:
                raise RunError(
                    f"Triton's model {name}: answers, and does not find the cat of {picture.name};"
                    " expected class 15 above a score of 0.25: its Python may have numpy 2, with"
                    " which inputs are read as zeros; `make setup-triton` makes it anew"
                )


def _input(picture: Path, model: str, track: str) -> Any:
    if track.startswith("D"):
        data = np.frombuffer(picture.read_bytes(), np.uint8)[None]
        tensor = triton.InferInput("encoded", list(data.shape), "UINT8")
    else:
        side = SIZES[model]
        square = ImageOps.pad(Image.open(picture).convert("RGB"), (side, side), color=GREY)
        data = np.asarray(square)[None]
        tensor = triton.InferInput("images", list(data.shape), "UINT8")
    return tensor.set_data_from_numpy(data)


def _infer(client: Any, name: str, tensor: Any) -> bool:
    """Whether the answer has the cat."""
    try:
        answer = client.infer(name, [tensor], client_timeout=TIMEOUT_S)
    except triton.InferenceServerException as error:
        raise RunError(
            f"Triton's model {name}: does not infer ({error.message()}); expected an answer to one"
            " picture; its log has the reason"
        ) from error
    raw = answer.as_numpy("output0")
    if raw is not None:
        return bool(raw[0, 4 + CAT].max() > SCORE)
    count = int(answer.as_numpy("num_dets")[0, 0])
    return CAT in answer.as_numpy("classes")[0, :count]


def describe(address: str, served: Served) -> dict[str, Any]:
    """The server's version and its models as they are configured, for the record."""
    try:
        with triton.InferenceServerClient(address) as client:
            version = client.get_server_metadata(client_timeout=TIMEOUT_S).version
            configs = {
                name: client.get_model_config(name, client_timeout=TIMEOUT_S).config
                for name in served.loaded
            }
    except triton.InferenceServerException as error:
        raise RunError(
            f"Triton at {address}: does not say what it serves ({error.message()}); expected its"
            " models' configurations; its log has the reason"
        ) from error
    engines = {config.parameters["engine"].string_value for config in configs.values()}
    return {
        "version": version,
        "engine": ", ".join(sorted(engines)),
        "models": {name: _facts(config) for name, config in configs.items()},
    }


def _facts(config: Any) -> dict[str, Any]:
    batching = config.dynamic_batching if config.HasField("dynamic_batching") else None
    return {
        "backend": config.backend or config.platform,
        "instances": sum(group.count for group in config.instance_group),
        "max_batch_size": config.max_batch_size,
        "queue_delay_us": batching.max_queue_delay_microseconds if batching else None,
    }
