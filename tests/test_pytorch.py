"""Track A with PyTorch: it runs in an environment of its own, and answers as ONNX Runtime does."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks import environments
from service import detection, imaging, pytorch
from service.detection import Floats
from service.imaging import Frame
from service.model.weights import Weights, WeightsError
from service.settings import SettingsError
from tests.conftest import ROOT, Service, leave_out, service_environment, wait_until_ready
from tests.test_model import EXPECTED, IMAGES, iou

PICTURES = (
    "cat-451x300.jpg",
    "collage-01-768x576.jpg",
    "living-room-801x1200.jpg",
    "photographer-grey-512x512.jpg",
    "rocket-640x427.jpg",  # in which no size finds anything
)
SLOTS = 4

# Runs where PyTorch is: gives the output of every tensor, and what several slots make of one.
PROGRAM = """
import json, os, sys, threading
import numpy as np
from service import pytorch

given = np.load(sys.argv[1])
infer = {model: pytorch.load(model, 1) for model in ("nano", "small", "medium")}
outputs = {key: infer[key.split()[0]](given[key]) for key in given}
np.savez(sys.argv[2], **outputs)

def tasks():
    return len(os.listdir("/proc/self/task"))

key, slots, before, counts, same = next(iter(outputs)), int(sys.argv[3]), tasks(), [], []
barrier = threading.Barrier(slots)

def slot():
    barrier.wait()
    output = infer[key.split()[0]](given[key])
    barrier.wait()
    counts.append(tasks() - before)
    same.append(bool((output == outputs[key]).all()))
    barrier.wait()

threads = [threading.Thread(target=slot) for _ in range(slots)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps({"engine": pytorch.engine_name(), "threads": counts, "same": same}))
"""


@pytest.fixture(scope="session")
def pytorch_python() -> Path:
    """The Python with PyTorch. It is gigabytes: a person may do without, CI has to have it."""
    folder = ROOT / ".venv-pytorch"
    stamp = folder / ".stamp"
    if not stamp.exists() or stamp.read_text() != environments._state("pytorch", ROOT):
        leave_out("PyTorch is not installed here: run `make setup-pytorch`")
    return folder / "bin/python"


@dataclass(frozen=True, slots=True)
class Compared:
    """What both engines make of the same tensors, by model and picture."""

    ours: dict[tuple[str, str], Floats]  # ONNX Runtime's, in this environment
    theirs: dict[tuple[str, str], Floats]
    places: dict[tuple[str, str], Frame]
    said: dict[str, object]


@pytest.fixture(scope="session")
def compared(pytorch_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = tmp_path_factory.mktemp("pytorch")
    tensors, ours, places = {}, {}, {}
    for model, size in detection.SIZES.items():
        session = detection.load(model, 1)
        for name in PICTURES:
            decoded = imaging.decode_pillow(IMAGES[name].read_bytes(), size, 40_000_000)
            tensor = imaging.PIPELINES["pillow"].letterbox(decoded, imaging.Buffers(size))
            tensors[f"{model} {name}"] = tensor
            places[model, name] = decoded.frame
            ours[model, name] = detection.infer(session, tensor)
    np.savez(folder / "tensors.npz", **tensors)  # type: ignore[arg-type]  # its own option: a bool
    files = [str(folder / "tensors.npz"), str(folder / "outputs.npz")]
    # Warnings would go to the log of every service.
    command = [str(pytorch_python), "-W", "error", "-c", PROGRAM, *files, str(SLOTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    with np.load(files[1]) as outputs:
        theirs = {key: outputs[" ".join(key)] for key in ours}
    return Compared(ours, theirs, places, json.loads(done.stdout))


@pytest.mark.parametrize("model", detection.SIZES)
def test_the_output_is_that_of_onnx_runtime(compared: Compared, model: str) -> None:
    cells = sum((detection.SIZES[model] // stride) ** 2 for stride in (8, 16, 32))
    for name in PICTURES:
        ours, theirs = compared.ours[model, name], compared.theirs[model, name]
        assert theirs.shape == (84, cells)
        assert theirs.dtype == np.float32
        np.testing.assert_allclose(theirs[:4], ours[:4], rtol=0, atol=1e-3, err_msg=name)
        np.testing.assert_allclose(theirs[4:], ours[4:], rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("model", detection.SIZES)
def test_the_photos_give_the_expected_detections(compared: Compared, model: str) -> None:
    for name in PICTURES:
        place = compared.places[model, name]
        found = detection.in_picture(detection.detect(compared.theirs[model, name]), place)
        wanted = EXPECTED[name][str(detection.SIZES[model])]
        for expected in wanted:
            x1, y1, x2, y2 = expected["box"]
            box = [max(x1, 0), max(y1, 0), min(x2, place.width), min(y2, place.height)]
            same = [d for d in found if d["label"] == expected["label"]]
            near = [d for d in same if iou(d["box"], box) >= 0.97]
            assert near, f"{name}: {expected} is not among {same}"
            assert abs(near[0]["confidence"] - expected["score"]) <= 0.02
        strong = [d for d in found if d["confidence"] >= 0.37]
        assert len(strong) <= len(wanted), f"{name}: {strong}"


def test_slots_give_the_same_answer_and_have_no_threads_of_the_engine(compared: Compared) -> None:
    """With one engine thread a slot's inference is the slot's own: no team of OpenMP's."""
    assert compared.said == {
        "engine": compared.said["engine"],
        "threads": [SLOTS] * SLOTS,
        "same": [True] * SLOTS,
    }
    assert compared.said["engine"] in ("pytorch-cpu", "pytorch-cuda")


def test_the_service_says_which_engine_it_is(
    pytorch_python: Path, compared: Compared, tmp_path: Path
) -> None:
    name, log = "cat-451x300.jpg", tmp_path / "log"
    settings = {"SERVICE_ENGINE": "pytorch", "SERVICE_TRACK": "A", "SERVICE_THREADS": "1"}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [pytorch_python, "-m", "service", "serve"],
            env=service_environment(settings),
            cwd=ROOT,
            stderr=sink,
        )
    try:
        service = Service(wait_until_ready(process, log), process.pid, log)
        with service.client() as client:
            answer = client.post(
                "/predict/small",
                content=IMAGES[name].read_bytes(),
                headers={"Content-Type": "image/jpeg"},
            )
            assert answer.status_code == 200, answer.text
    finally:
        process.terminate()
        assert process.wait(60) == 0
    said = answer.json()
    assert (said["track"], said["engine"]) == ("A", compared.said["engine"])
    place = compared.places["small", name]
    (expected,) = detection.in_picture(detection.detect(compared.ours["small", name]), place)
    (found,) = said["detections"]
    assert found["label"] == expected["label"] == "cat"
    assert found["confidence"] == pytest.approx(expected["confidence"], abs=2e-4)
    assert found["box"] == pytest.approx(expected["box"], abs=0.2)


def test_the_environment_is_made_once(pytorch_python: Path) -> None:
    said: list[str] = []
    environments.make("pytorch", ROOT, said.append)
    assert said == [], "once made, it is left alone"
    assert environments.interpreter("pytorch", ROOT) == pytorch_python


def test_without_pytorch_the_setting_is_refused() -> None:
    # The environment of the tests has no PyTorch; only the one that is made for it has.
    with pytest.raises(SettingsError) as error:
        pytorch.load("nano", 1)
    assert str(error.value) == (
        "SERVICE_ENGINE=pytorch: PyTorch is not installed here; run the service from"
        " .venv-pytorch (`make setup-pytorch`) or choose onnxruntime"
    )
    with pytest.raises(SettingsError, match="not installed here"):
        pytorch.check()


def test_a_pytorch_without_its_libraries_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the package says itself when it was installed without what it is linked to.
    (tmp_path / "torch.py").write_text(
        'raise OSError("libcudart.so.13: cannot open shared object")'
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match=r"not to be imported here \(libcudart\.so\.13: cannot"):
        pytorch.engine_name()


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nanodet\.json: found nothing \(No such file"):
        Weights(tmp_path)
    published = detection.FOLDER / "source"
    (tmp_path / "nanodet.json").write_bytes((published / "nanodet.json").read_bytes())
    (tmp_path / "nanodet.bin").write_bytes((published / "nanodet.bin").read_bytes()[:-2])
    with pytest.raises(WeightsError, match=r"nanodet\.bin: found \w{64}; expected the published"):
        Weights(tmp_path)
