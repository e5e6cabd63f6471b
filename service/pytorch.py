"""
The detector in PyTorch, for track A: as eager as most services run it, without a compiler.

PyTorch takes seconds to import and half a gigabyte of memory, so nothing here imports it before
an engine is loaded. With more than one engine thread each slot has a team of its own, where the
slots of ONNX Runtime share one: slots x engine threads should not exceed the CPUs.
"""

import importlib.util
from functools import cache
from typing import TYPE_CHECKING, Any

from service.detection import SIZES, Floats, Infer
from service.model.weights import Weights, WeightsError
from service.settings import SettingsError

if TYPE_CHECKING:
    from service.model.nanodet import Network


def check() -> None:
    """Refuse the setting where PyTorch is missing; the price of importing it is not paid."""
    if importlib.util.find_spec("torch") is None:
        raise SettingsError(refusal("not installed here"))


def engine_name() -> str:
    """Where the network runs: on the first GPU if there is one."""
    return "pytorch-cuda" if library().cuda.is_available() else "pytorch-cpu"


def load(model: str, engine_threads: int) -> Infer:
    """What makes `output0` [84,P] of a tensor [1,3,S,S], as the model's ONNX graph does."""
    torch = library()
    from service.model.nanodet import Decoder

    # Of the whole process; a thread takes it over at its first operation.
    torch.set_num_threads(engine_threads)
    device = engine_name().removeprefix("pytorch-")
    body, decoder = network(device), Decoder(SIZES[model]).to(device)

    def infer(tensor: Floats) -> Floats:
        with torch.inference_mode():
            images = torch.from_numpy(tensor).to(device, memory_format=torch.channels_last)
            output: Floats = decoder(body(images))[0].cpu().numpy()
        return output

    return infer


@cache
def network(device: str) -> "Network":
    """The one network that the models share: they differ in the size of its input."""
    torch = library()
    from service.model.nanodet import Network

    # By default a GPU's convolutions keep 10 bits of a number's 23 (TF32), and the answers would
    # not be those of the other engines.
    torch.backends.cudnn.allow_tf32 = False
    try:
        weights = Weights()
    except WeightsError as error:
        raise SettingsError(f"SERVICE_ENGINE=pytorch: {error}") from None
    # oneDNN's convolutions read channels last: 0.7 of the time of the default layout.
    body: Network = Network(weights).to(device).to(memory_format=torch.channels_last)
    return body


def library() -> Any:
    """The package, or what to do where it cannot be imported."""
    check()
    try:
        import torch
    except (ImportError, OSError, ValueError) as error:  # without one of its libraries
        raise SettingsError(refusal(f"not to be imported here ({error})")) from None
    return torch


def refusal(found: str) -> str:
    return (
        f"SERVICE_ENGINE=pytorch: PyTorch is {found}; run the service from .venv-pytorch"
        " (`make setup-pytorch`) or choose onnxruntime"
    )
