"""
Write the Triton model repository, in its CPU and its GPU form, from one table.

    python service/triton_models/build.py [--out DIR] [--check]

For each model a folder with ``configs/cpu.pbtxt`` and ``configs/gpu.pbtxt``, between which
``--model-config-name`` chooses, and a version folder. The two forms have the same names,
tensors and batching, so that a client need not know which it talks to; the parameter
``engine`` says what really runs. With ``--check`` nothing is written: exit status 1 says
that the files are not those that this script writes.

It lies beside the repository and not in it: Triton takes every folder there for a model, and
Python's ``__pycache__`` would keep the server from starting.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent / "model_repository"
SIZES = {"nano": 224, "small": 320, "medium": 416}
STRIDES = (8, 16, 32)
ROWS = 84  # cx, cy, w, h and 80 scores
MAX_DETECTIONS = 100
PAD = 114
DECODE_BATCH = 64
DECODE_THREADS = 4
MAX_PIXELS = 25_000_000
QUEUE = 1024
NOTE = "# Written by service/triton_models/build.py from its table: change that, not this.\n"


@dataclass(frozen=True)
class Form:
    """One way of batching the end2end graph: how long a request may wait, for how many others."""

    inner: str  # the detector
    whole: str  # the ensemble that decodes too; "" where there is none
    delay_us: int
    max_batch: int


FORMS = (
    Form("end2end", "", 0, 8),
    Form("streaming", "D_streaming", 1_000, 8),
    Form("balanced", "D", 10_000, 64),
    Form("batch", "D_batch", 50_000, 64),
)

Tensor = tuple[str, str, tuple[int, ...]]
ENCODED: Tensor = ("encoded", "UINT8", (-1,))
PICTURE_SIZE: Tensor = ("size", "INT32", (2,))
DETECTIONS: tuple[Tensor, ...] = (
    ("num_dets", "INT32", (1,)),
    ("boxes", "FP32", (MAX_DETECTIONS, 4)),
    ("scores", "FP32", (MAX_DETECTIONS,)),
    ("classes", "INT32", (MAX_DETECTIONS,)),
)


def images(size: int) -> Tensor:
    return "images", "UINT8", (size, size, 3)


def raw(size: int) -> Tensor:
    return "output0", "FP32", (ROWS, sum((size // stride) ** 2 for stride in STRIDES))


def block(kind: str, *items: str) -> str:
    return f"{kind} [\n" + ",\n".join(f"  {{ {item} }}" for item in items) + "\n]\n"


def tensors(kind: str, *those: Tensor, extra: str = "") -> str:
    return block(
        kind,
        *(
            f'name: "{name}" data_type: TYPE_{dtype} dims: [ {", ".join(map(str, dims))} ]{extra}'
            for name, dtype, dims in those
        ),
    )


def parameters(**values: str) -> str:
    return "".join(
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'
        for key, value in values.items()
    )


def dynamic_batching(delay_us: int) -> str:
    # A full queue is an error at once: a server that is offered too much must say so.
    delay = f"  max_queue_delay_microseconds: {delay_us}\n" if delay_us else ""
    policy = f"  default_queue_policy {{ max_queue_size: {QUEUE} }}\n"
    return f"dynamic_batching {{\n{delay}{policy}}}\n"


def head(name: str, runs_in: str, max_batch: int) -> str:
    return f'{NOTE}name: "{name}"\n{runs_in}\nmax_batch_size: {max_batch}\n'


def detector(
    name: str, size: int, outputs: tuple[Tensor, ...], delay_us: int, max_batch: int
) -> dict[str, str]:
    shared = tensors("input", images(size)) + tensors("output", *outputs)
    shared += dynamic_batching(delay_us)
    return {
        "cpu": head(name, 'backend: "onnxruntime_python"', max_batch)
        + shared
        + block("instance_group", "count: 2 kind: KIND_CPU")
        + parameters(engine="triton-python-onnxruntime", intra_op_thread_count="1"),
        "gpu": head(name, 'platform: "tensorrt_plan"', max_batch)
        + shared
        + block("instance_group", "count: 2 kind: KIND_GPU")
        + parameters(engine="triton-tensorrt"),
    }


def decoder(name: str, size: int) -> dict[str, str]:
    # Ragged: files of different lengths may share a batch, and none of them is padded.
    shared = tensors("input", ENCODED, extra=" allow_ragged_batch: true")
    shared += tensors("output", images(size), PICTURE_SIZE)
    return {
        # No batching: our decoder takes one picture after the other anyway.
        "cpu": head(name, 'backend: "picture_decoder"', DECODE_BATCH)
        + shared
        + block("instance_group", "count: 2 kind: KIND_CPU")
        + parameters(engine="triton-python-onnxruntime", max_pixels=str(MAX_PIXELS)),
        "gpu": head(name, 'backend: "dali"', DECODE_BATCH)
        + shared
        + dynamic_batching(0)
        + block("instance_group", "count: 1 kind: KIND_GPU")
        + parameters(engine="triton-dali", num_threads=str(DECODE_THREADS)),
    }


def step(model: str, inputs: dict[str, str], outputs: dict[str, str]) -> str:
    lines = [f'model_name: "{model}"', "model_version: -1"]
    for kind, mapped in (("input_map", inputs), ("output_map", outputs)):
        lines += [f'{kind} {{ key: "{key}" value: "{value}" }}' for key, value in mapped.items()]
    return "    {\n" + "".join(f"      {line}\n" for line in lines) + "    }"


def ensemble(name: str, decode: str, inner: str, max_batch: int) -> dict[str, str]:
    found = {tensor[0]: tensor[0] for tensor in DETECTIONS}
    steps = ",\n".join(
        [
            step(decode, {"encoded": "encoded"}, {"images": "square", "size": "size"}),
            step(inner, {"images": "square"}, found),
        ]
    )
    shared = head(name, 'platform: "ensemble"', max_batch)
    shared += tensors("input", ENCODED) + tensors("output", *DETECTIONS, PICTURE_SIZE)
    shared += f"ensemble_scheduling {{\n  step [\n{steps}\n  ]\n}}\n"
    return {
        "cpu": shared + parameters(engine="triton-python-onnxruntime"),
        "gpu": shared + parameters(engine="triton-dali-tensorrt"),
    }


def models(names: Iterable[str] = SIZES) -> dict[str, dict[str, str]]:
    """The configuration of every model of these sizes, in both forms."""
    found = {}
    for name in names:
        size = SIZES[name]
        found[name] = detector(name, size, (raw(size),), 0, 8)
        decode = f"{name}_decode"
        found[decode] = decoder(decode, size)
        for form in FORMS:
            inner = f"{name}_{form.inner}"
            found[inner] = detector(inner, size, DETECTIONS, form.delay_us, form.max_batch)
            if form.whole:
                whole = f"{name}_{form.whole}"
                found[whole] = ensemble(whole, decode, inner, form.max_batch)
    return found


def graph(model: str) -> str | None:
    """The graph that a detector runs on a CPU; the other models have no file."""
    name, _, rest = model.partition("_")
    if rest and rest not in [form.inner for form in FORMS]:
        return None
    return f"nanodet_g_{SIZES[name]}" + "_end2end" * bool(rest) + "_u8.onnx"


def contents() -> dict[Path, str | Path]:
    """Every file of the repository, as text, and every link, as the path that it holds."""
    files: dict[Path, str | Path] = {}
    for model, configs in models().items():
        for form, text in configs.items():
            files[Path(model, "configs", f"{form}.pbtxt")] = text
        version = Path(model, "1")
        if name := graph(model):
            # Both are links, or ONNX Runtime refuses weights "outside" the graph's folder.
            files[version / "model.onnx"] = Path("../../../model", name)
            files[version / "source"] = Path("../../../model/source")
        else:
            files[version / ".gitkeep"] = ""  # Triton wants the folder, git wants a file in it
    return files


def same(file: Path, content: str | Path) -> bool:
    if isinstance(content, Path):
        return file.is_symlink() and file.readlink() == content
    return file.is_file() and not file.is_symlink() and file.read_text() == content


def differences(folder: Path) -> list[str]:
    """What is missing, differs, or is there without being asked for."""
    wanted = contents()
    found = [
        f"{path} is not as written" for path in wanted if not same(folder / path, wanted[path])
    ]
    known = {parent for path in wanted for parent in (path, *path.parents)}
    present = sorted(file for depth in ("*/", "*/*", "*/*/*") for file in folder.glob(depth))
    paths = [file.relative_to(folder) for file in present]
    return found + [f"{path} is not in the table" for path in paths if path not in known]


def write(folder: Path) -> None:
    for path, content in contents().items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        if isinstance(content, Path):
            file.symlink_to(content)
        else:
            file.write_text(content)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=REPOSITORY, help="default: %(default)s")
    parser.add_argument("--check", action="store_true", help="compare only; 1 if anything differs")
    args = parser.parse_args()
    if not args.check:
        write(args.out)
    found = differences(args.out)
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
