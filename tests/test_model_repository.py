"""The model repository as committed: what its table says, and what a client may rely on."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from service import detection, imaging
from service.settings import preset
from service.triton_models import build

ROOT = Path(__file__).parent.parent
REPOSITORY = ROOT / "service/model_repository"
SCRIPT = ROOT / "service/triton_models/build.py"
BACKENDS = ROOT / "service/triton_backends"
MODELS = sorted(folder.name for folder in REPOSITORY.iterdir() if (folder / "configs").is_dir())
DETECTORS = [name for name in MODELS if build.graph(name)]
ENSEMBLES = [name for name in MODELS if "_D" in name]
DELAY_US = {"": 0, "end2end": 0, "streaming": 1_000, "balanced": 10_000, "batch": 50_000}
MAX_BATCH = {"": 8, "end2end": 8, "streaming": 8, "balanced": 64, "batch": 64}
ONNX_TYPES = {pb.TYPE_UINT8: "UINT8", pb.TYPE_FP32: "FLOAT", pb.TYPE_INT32: "INT32"}


def config(model: str, form: str) -> Any:
    """The configuration, as Triton itself reads it: a field that it does not know is an error."""
    text = (REPOSITORY / model / f"configs/{form}.pbtxt").read_text()
    return text_format.Parse(text, pb.ModelConfig())


def tensors(those: Any) -> dict[str, tuple[int, list[int]]]:
    return {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in those}


def engine(model: str, form: str) -> str:
    found: str = config(model, form).parameters["engine"].string_value
    return found


def test_the_committed_files_are_what_the_table_says() -> None:
    assert build.differences(REPOSITORY) == []


def test_a_file_that_was_changed_by_hand_is_found(tmp_path: Path) -> None:
    script = [sys.executable, str(SCRIPT), "--out", str(tmp_path)]
    assert subprocess.run(script, check=False).returncode == 0
    (tmp_path / "nano/configs/cpu.pbtxt").write_text("backend: 'other'\n")
    (tmp_path / "small/1/source").unlink()
    (tmp_path / "small/1/model.plan").write_text("left over")
    (tmp_path / "__pycache__").mkdir()  # a model without a configuration, to Triton
    checked = subprocess.run([*script, "--check"], check=False, capture_output=True, text=True)
    assert checked.returncode == 1
    assert checked.stderr.splitlines() == [
        "nano/configs/cpu.pbtxt is not as written",
        "small/1/source is not as written",
        "__pycache__ is not in the table",
        "small/1/model.plan is not in the table",
    ]


def test_there_are_the_nine_models_of_each_size() -> None:
    rest = ["", "_D", "_D_batch", "_D_streaming", "_balanced", "_batch", "_decode", "_end2end"]
    rest.append("_streaming")
    assert sorted(size + kind for size in detection.SIZES for kind in rest) == MODELS


def test_the_repository_and_the_service_mean_the_same() -> None:
    assert build.SIZES == detection.SIZES
    assert build.MAX_DETECTIONS == detection.MAX_DETECTIONS
    assert build.PAD == imaging.PAD
    assert preset("optimized", 1)["max_pixels"] == build.MAX_PIXELS


@pytest.mark.parametrize("model", MODELS)
def test_the_two_forms_of_a_model_look_alike_from_outside(model: str) -> None:
    cpu, gpu = config(model, "cpu"), config(model, "gpu")
    assert cpu.name == gpu.name == model
    assert tensors(cpu.input) == tensors(gpu.input)
    assert tensors(cpu.output) == tensors(gpu.output)
    assert cpu.max_batch_size == gpu.max_batch_size
    assert cpu.ensemble_scheduling == gpu.ensemble_scheduling
    if not model.endswith("_decode"):  # the one that decodes picture by picture on a CPU
        assert cpu.dynamic_batching == gpu.dynamic_batching


@pytest.mark.parametrize("model", DETECTORS)
def test_a_detector_batches_as_its_name_promises(model: str) -> None:
    for form in ("cpu", "gpu"):
        found = config(model, form)
        _, _, kind = model.partition("_")
        assert found.max_batch_size == MAX_BATCH[kind]
        assert found.dynamic_batching.max_queue_delay_microseconds == DELAY_US[kind]
        assert found.dynamic_batching.default_queue_policy.max_queue_size == 1024


@pytest.mark.parametrize("model", DETECTORS)
def test_the_graph_of_a_detector_has_the_tensors_of_its_config(model: str) -> None:
    file = REPOSITORY / model / "1/model.onnx"
    assert file.resolve().parent == (REPOSITORY / model / "1/source").resolve().parent
    graph = onnx.load(str(file), load_external_data=False).graph
    found = config(model, "cpu")
    for values, declared in ((graph.input, found.input), (graph.output, found.output)):
        assert [value.name for value in values] == [tensor.name for tensor in declared]
        for value, tensor in zip(values, declared, strict=True):
            kind = value.type.tensor_type
            assert [side.dim_value for side in kind.shape.dim[1:]] == list(tensor.dims)
            assert onnx.TensorProto.DataType.Name(kind.elem_type) == ONNX_TYPES[tensor.data_type]


@pytest.mark.parametrize("model", MODELS)
def test_the_engine_parameter_says_what_really_runs(model: str) -> None:
    assert engine(model, "cpu") == "triton-python-onnxruntime"
    if model in ENSEMBLES:
        assert engine(model, "gpu") == "triton-dali-tensorrt"
    elif model in DETECTORS:
        assert engine(model, "gpu") == "triton-tensorrt"
    else:
        assert engine(model, "gpu") == "triton-dali"


@pytest.mark.parametrize("model", sorted({*MODELS} - {*ENSEMBLES}))
def test_a_model_runs_where_its_form_says(model: str) -> None:
    cpu, gpu = config(model, "cpu"), config(model, "gpu")
    (group,) = cpu.instance_group
    assert (group.kind, group.count) == (pb.ModelInstanceGroup.KIND_CPU, 2)
    # Of ours, and under a name that is not one of NVIDIA's.
    assert (BACKENDS / cpu.backend / "model.py").is_file()
    assert cpu.backend not in ("onnxruntime", "python", "dali", "tensorrt")
    (group,) = gpu.instance_group
    assert group.kind == pb.ModelInstanceGroup.KIND_GPU
    assert (gpu.platform or gpu.backend) == ("tensorrt_plan" if model in DETECTORS else "dali")


@pytest.mark.parametrize("model", ENSEMBLES)
def test_the_steps_of_an_ensemble_fit_together(model: str) -> None:
    whole = config(model, "cpu")
    known = tensors(whole.input)
    for step in whole.ensemble_scheduling.step:
        part = config(step.model_name, "cpu")
        assert part.max_batch_size >= whole.max_batch_size
        assert {name: known[step.input_map[name]] for name in step.input_map} == tensors(part.input)
        given = tensors(part.output)
        known |= {step.output_map[name]: given[name] for name in step.output_map}
    for name, declared in tensors(whole.output).items():
        assert known[name] == declared
    detector = whole.ensemble_scheduling.step[-1].model_name
    assert whole.max_batch_size == config(detector, "cpu").max_batch_size


@pytest.mark.parametrize("size", build.SIZES)
def test_files_of_different_lengths_may_share_a_batch(size: str) -> None:
    for form in ("cpu", "gpu"):
        decode = config(f"{size}_decode", form)
        assert [tensor.allow_ragged_batch for tensor in decode.input] == [True]
    assert not config(f"{size}_decode", "cpu").HasField("dynamic_batching")
    policy = config(f"{size}_decode", "gpu").dynamic_batching.default_queue_policy
    assert policy.max_queue_size == 1024


def test_the_export_says_in_one_line_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "models"
    run = subprocess.run(
        [sys.executable, "-m", "service.triton_models.export_gpu", "--out", out],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PATH": ""},  # where nvidia-smi would be, if there is a GPU
    )
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith("export_gpu: missing: ")
    assert line.endswith("a GPU that nvidia-smi lists")
    assert not out.exists()
