import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from service import imaging
from service.limits import Refusal

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "loadtests/images"
HOSTILE = ROOT / "tests/data/hostile"
LIMIT = 40_000_000
# pillow_simd is the same functions on another PIL; tests/test_service_presets.py runs it.
PIPELINES = ("pillow", "pillow_draft", "turbo")

# PIL's transposition that makes the file in which this orientation is to be undone.
LAID_DOWN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture(autouse=True)
def own_pixel_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    imaging.prepare("pillow")


def tensor(name: str, data: bytes, size: int = 224) -> NDArray[np.float32]:
    pipeline = imaging.PIPELINES[name]
    return pipeline.letterbox(pipeline.decode(data, size, LIMIT), imaging.Buffers(size)).copy()


def encoded(image: Image.Image, kind: str, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[imaging.ORIENTATION_TAG] = orientation
    file = io.BytesIO()
    image.save(file, kind, quality=95, exif=exif)
    return file.getvalue()


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.sampled_from([224, 320, 416]))
def test_a_picture_of_any_shape_has_a_place_in_the_square(w: int, h: int, size: int) -> None:
    place = imaging.frame(w, h, size)
    assert 1 <= place.inner_width <= size
    assert 1 <= place.inner_height <= size
    assert max(place.inner_width, place.inner_height) == size
    assert place.left == (size - place.inner_width) // 2
    assert place.top == (size - place.inner_height) // 2


@pytest.mark.parametrize("pipeline", ["pillow_draft", "turbo"])
@pytest.mark.parametrize("file", sorted(IMAGES.rglob("*.jpg")), ids=lambda f: f.stem)
def test_reduced_decoding_gives_nearly_the_picture_of_a_full_one(pipeline: str, file: Path) -> None:
    difference = np.abs(tensor(pipeline, file.read_bytes()) - tensor("pillow", file.read_bytes()))
    # In levels of 255: no step anywhere that a different filter would make at every edge.
    assert difference.mean() * 255 < 0.5
    assert difference.max() * 255 < 16


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("orientation", LAID_DOWN)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_that_lies_on_its_side_is_turned_upright(
    pipeline: str, orientation: int, kind: str
) -> None:
    upright = Image.open(IMAGES / "cat-451x300.jpg")
    lying = upright.transpose(LAID_DOWN[orientation])
    expected = tensor(pipeline, encoded(upright, kind))
    found = tensor(pipeline, encoded(lying, kind, orientation))
    assert np.abs(found - expected).mean() * 255 < 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_our_reader_finds_the_orientation_that_pillow_finds(orientation: int) -> None:
    image = Image.new("RGB", (20, 10))
    assert imaging.exif_orientation(encoded(image, "JPEG", orientation)) == orientation


@given(st.binary(max_size=300), st.integers(0, 60))
def test_a_broken_exif_block_is_upright_and_no_error(noise: bytes, keep: int) -> None:
    data = encoded(Image.new("RGB", (20, 10)), "JPEG", 6)
    assert imaging.exif_orientation(data[:keep] + noise) in range(1, 9)
    assert imaging.tiff_orientation(noise) in range(1, 9)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_sixteen_bit_grey_keeps_its_levels(pipeline: str) -> None:
    found = tensor(pipeline, (HOSTILE / "grey-16bit.png").read_bytes())
    cat = tensor(pipeline, (HOSTILE / "exif-orientation-6.jpg").read_bytes())
    inside = found[0, :, 60:160, :]
    assert inside.max() <= 1
    # Clipped to white it would be 1 throughout; as the cat in grey it has the cat's mean.
    assert abs(float(inside.mean()) - float(cat[0, :, 60:160, :].mean())) < 0.05


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize(
    ("name", "tolerance"),
    # CMYK has been through another colour space and WebP through another codec; the others
    # hold the very coefficients of the cat.
    [("progressive", 0.3), ("garbage-after-end", 0.0), ("cmyk", 8.0)],
)
def test_the_cat_is_the_cat(pipeline: str, name: str, tolerance: float) -> None:
    cat = tensor(pipeline, (IMAGES / "cat-451x300.jpg").read_bytes())
    found = tensor(pipeline, (HOSTILE / f"{name}.jpg").read_bytes())
    assert np.abs(found - cat).mean() * 255 <= tolerance


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_one_pixel_fills_the_square(pipeline: str) -> None:
    found = tensor(pipeline, (HOSTILE / "1x1.jpg").read_bytes())
    assert found.shape == (1, 3, 224, 224)
    assert np.ptp(found[0], axis=(1, 2)).max() < 1e-6


def test_buffers_do_not_remember_the_picture_before() -> None:
    pipeline, buffers = imaging.PIPELINES["turbo"], imaging.Buffers(224)
    tall = (IMAGES / "living-room-801x1200.jpg").read_bytes()
    wide = (IMAGES / "rocket-640x427.jpg").read_bytes()
    for data in (tall, wide, tall):
        again = pipeline.letterbox(pipeline.decode(data, 224, LIMIT), buffers)
        np.testing.assert_array_equal(again, tensor("turbo", data))


@pytest.mark.parametrize("pipeline", PIPELINES)
@given(cut=st.integers(0, 30_000), noise=st.binary(min_size=1, max_size=8))
def test_a_damaged_picture_is_decoded_or_refused_and_no_other_error(
    pipeline: str, cut: int, noise: bytes
) -> None:
    data = bytearray((IMAGES / "cat-451x300.jpg").read_bytes())
    data[cut : cut + len(noise)] = noise
    with contextlib.suppress(Refusal):
        assert tensor(pipeline, bytes(data)).shape == (1, 3, 224, 224)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_pixel_limit_is_decided_from_the_header(pipeline: str) -> None:
    photo = (IMAGES / "cat-451x300.jpg").read_bytes()
    decode = imaging.PIPELINES[pipeline].decode
    assert decode(photo, 224, 451 * 300).frame.width == 451
    with pytest.raises(Refusal, match="451x300; at most 135299") as refused:
        decode(photo, 224, 451 * 300 - 1)
    assert refused.value.status == 413
