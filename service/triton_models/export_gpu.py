"""
Write the model repository for a GPU: TensorRT plans and DALI pipelines beside their configs.

    python -m service.triton_models.export_gpu --out DIR [--sizes nano small medium]

Run it where the plans will run, with the TensorRT and the DALI of that Triton: a plan fits the
GPU and the version that built it and no other. The service `export` of docker-compose.yml does
that. What is in DIR already, from the same sources, versions and GPU, is left as it is.

Not run here. The tests check what can be checked without a GPU: the graphs that it starts from, and
that it says what is missing.
"""

import argparse
import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from service.triton_models import build

STAMP = "exported.txt"
NEEDED = {
    "numpy": "numpy",
    "onnx": "onnx",
    "tensorrt": "tensorrt",
    "nvidia.dali": "nvidia-dali",
}
SOURCES = ("model/weights.py", "model/graph.py", "model/build_model.py", "triton_models")
WORKSPACE_BYTES = 1 << 30


class ExportError(Exception):
    """What stands in the way; the message is for the person who asked for the export."""


def gpus() -> list[str]:
    """The GPUs of this machine, as the driver's own tool lists them."""
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.splitlines() if found.returncode == 0 else []


def installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that would hold it
        return False


def missing() -> list[str]:
    found = [f"the package {name}" for module, name in NEEDED.items() if not installed(module)]
    if not gpus():
        found.append("a GPU that nvidia-smi lists")
    return found


def plan(graph: bytes, size: int, max_batch: int) -> bytes:
    """The engine for batches of 1 to `max_batch`, tuned for 8."""
    import tensorrt

    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    tensorrt.init_libnvinfer_plugins(logger, "")
    builder = tensorrt.Builder(logger)
    # The graph says itself what is fp16 and what is not; the builder may not change that.
    typed = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(graph):
        errors = "; ".join(str(parser.get_error(at)) for at in range(parser.num_errors))
        raise ExportError(f"TensorRT {tensorrt.__version__} cannot read the graph: {errors}")
    profile = builder.create_optimization_profile()
    shapes = [(batch, size, size, 3) for batch in (1, min(8, max_batch), max_batch)]
    profile.set_shape("images", *shapes)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ExportError("TensorRT built no engine; its own messages above say why")
    return bytes(engine)


def letterboxed(size: int, device: str) -> Any:
    """
    The DALI pipeline: files to upright pictures [S,S,3] with 114 around them, and their size.

    `device` is "mixed" on a GPU, where nvJPEG decodes; "cpu" makes the same for a comparison.
    """
    from nvidia.dali import Pipeline, fn, types

    pipeline = Pipeline(
        batch_size=build.DECODE_BATCH,
        num_threads=build.DECODE_THREADS,
        device_id=None if device == "cpu" else 0,
        prefetch_queue_depth=1,
    )
    with pipeline:
        encoded = fn.external_source(device="cpu", name="encoded")
        # Both honour the EXIF orientation unless told otherwise.
        shape = fn.peek_image_shape(encoded, dtype=types.INT32)
        pictures = fn.decoders.image(encoded, device=device, output_type=types.RGB)
        inner = fn.resize(
            pictures, size=[size, size], mode="not_larger", interp_type=types.INTERP_LINEAR
        )
        # Centred; an odd rest leaves the smaller half on the left and on top, as in the service.
        square = fn.crop(
            inner,
            crop=[size, size],
            out_of_bounds_policy="pad",
            fill_values=build.PAD,
            rounding="truncate",
        )
        pipeline.set_outputs(square, fn.stack(shape[1], shape[0]))
    return pipeline


def stamp() -> str:
    """What the files depend on: the sources, the versions and the GPU."""
    import tensorrt
    from nvidia import dali

    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for name in SOURCES:
        files = sorted((root / name).glob("*.py")) if (root / name).is_dir() else [root / name]
        for file in files:
            digest.update(file.read_bytes())
    versions = f"TensorRT {tensorrt.__version__}, DALI {dali.__version__}"
    return f"{versions}, {gpus()[0]}, sources {digest.hexdigest()}\n"


def write_detectors(out: Path, name: str) -> None:
    """A plan for each graph and largest batch; the models that only wait longer share theirs."""
    from service.model.build_model import build as build_graph
    from service.model.graph import TENSORRT
    from service.model.weights import Weights

    size = build.SIZES[name]
    weights = Weights()
    plans: dict[tuple[bool, int], bytes] = {}
    batches = {"": 8} | {form.inner: form.max_batch for form in build.FORMS}
    for inner, max_batch in batches.items():
        key = bool(inner), max_batch
        if key not in plans:
            graph = build_graph(weights, size, TENSORRT, end2end=key[0])
            plans[key] = plan(graph.SerializeToString(), size, max_batch)
        folder = out / (f"{name}_{inner}" if inner else name) / "1"
        (folder / "model.plan").write_bytes(plans[key])


def write(out: Path, names: list[str]) -> None:
    # Of another export: the server loads all that is there, and one that fails ends it.
    for folder in out.glob("*/configs"):
        shutil.rmtree(folder.parent)
    for model, configs in build.models(names).items():
        config = out / model / "configs/gpu.pbtxt"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(configs["gpu"])
        (out / model / "1").mkdir(exist_ok=True)
    for name in names:
        write_detectors(out, name)
        pipeline = letterboxed(build.SIZES[name], "mixed")
        pipeline.serialize(filename=str(out / f"{name}_decode/1/model.dali"))
        print(f"{name}: written", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().split("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="the repository to write")
    parser.add_argument("--sizes", nargs="+", choices=list(build.SIZES), default=list(build.SIZES))
    args = parser.parse_args()
    if lacking := missing():
        print(f"export_gpu: missing: {', '.join(lacking)}", file=sys.stderr)
        return 2
    mark = f"{' '.join(args.sizes)}: {stamp()}"
    file = args.out / STAMP
    if file.exists() and file.read_text() == mark:
        print(f"{args.out} is up to date: {mark}", end="")
        return 0
    file.unlink(missing_ok=True)  # half an export is none
    try:
        write(args.out, args.sizes)
    except ExportError as error:
        print(f"export_gpu: {error}", file=sys.stderr)
        return 1
    file.write_text(mark)
    return 0


if __name__ == "__main__":
    sys.exit(main())
