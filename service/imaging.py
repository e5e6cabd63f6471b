"""
From the bytes of a picture to the tensor the model takes, in four ways, two of them on either PIL.

Each way is three functions, `decode`, `canvas` and `planes`, so that the stages can be timed
apart. All of them honour the EXIF orientation and give the same picture within the
tolerance that tests/test_imaging.py states. The size is checked in the header, before
anything is decoded.
"""

import importlib.metadata
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
import PIL
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageOps, features

from service.limits import Refusal
from service.settings import SettingsError

PAD = 114
# A JPEG may be decoded at a fraction of its size, as long as this many times the pixels that
# the model sees are left on each side. Closer to it, libjpeg's own averaging shows in the
# boxes: with 3, IoU with the full decode is at least 0.99 on the corpus, with 1 it is 0.79.
# OpenCV's INTER_AREA averages over squares where Pillow weights with a triangle: 0.75.
HEADROOM = 3
ORIENTATION_TAG = 0x0112
EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/"
EIGHT_BITS = [round(level / 257) for level in range(2**16)]

# PIL's transposition for each EXIF orientation, and what makes the same of an array.
UPRIGHT: dict[int, Callable[[Any], Any]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


class Frame(NamedTuple):
    """Where the upright picture lies in the model's square."""

    width: int  # of the upright picture
    height: int
    inner_width: int  # of its place in the square
    inner_height: int
    left: int
    top: int


def frame(width: int, height: int, size: int) -> Frame:
    scale = min(size / width, size / height)
    # A side may round to 0, and a picture of no width cannot be resized.
    inner_width = max(1, round(width * scale))
    inner_height = max(1, round(height * scale))
    left, top = (size - inner_width) // 2, (size - inner_height) // 2
    return Frame(width, height, inner_width, inner_height, left, top)


class Decoded(NamedTuple):
    pixels: Image.Image  # RGB, as large as its decoder made it
    orientation: int  # EXIF, still to be applied; 1 is upright
    frame: Frame


class Canvas:
    """The model's square of pixels, HWC: a thread's own, or a region that another process reads."""

    def __init__(self, size: int, pixels: NDArray[np.uint8] | None = None) -> None:
        self.pixels = np.empty((size, size, 3), np.uint8) if pixels is None else pixels
        self.pixels[:] = PAD
        self.filled = (0, 0, size, size)  # where the last picture lay: the rest is still grey


class Buffers:
    """What one thread works in: made once, so that no request pays for fresh pages."""

    def __init__(self, size: int) -> None:
        self.canvas = Canvas(size)
        self.tensor: NDArray[np.float32] = np.empty((1, 3, size, size), np.float32)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """
    Bytes to picture, picture to the model's square, and the square to a tensor of floats.

    Whoever sends the square to a server as it is, a quarter of the bytes, leaves the last out.
    """

    decode: Callable[[bytes, int, int], Decoded]
    canvas: Callable[[Decoded, Canvas], NDArray[np.uint8]]
    planes: Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32]]

    def letterbox(self, decoded: Decoded, buffers: Buffers) -> NDArray[np.float32]:
        """The tensor [1,3,S,S]: RGB, 0..1."""
        return self.planes(self.canvas(decoded, buffers.canvas), buffers.tensor)


def kind(data: bytes) -> str:
    """The format by the first bytes, whatever the name or the Content-Type says."""
    if not data:
        raise Refusal("image_empty", "the image has no bytes; send the whole file")
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and "WEBP" in accepted():
        return "WEBP"
    raise Refusal("image_type_unknown", f"the bytes are no {' or '.join(accepted())} picture")


@cache
def accepted() -> tuple[str, ...]:
    """A build of PIL without libwebp, as pillow-simd may be, cannot open WebP."""
    return ("JPEG", "PNG", "WEBP") if features.check("webp") else ("JPEG", "PNG")


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise Refusal(
            "image_too_large",
            f"the header says {width}x{height}; at most {max_pixels} pixels are accepted",
        )


def open_checked(data: bytes, max_pixels: int) -> Image.Image:
    """A lazily opened picture of acceptable size; PIL has read its header only."""
    name = kind(data)
    try:
        image = Image.open(io.BytesIO(data), formats=[name])
    except Exception as error:  # decoders raise what they like; the fault is in the picture
        raise broken(name, data, error) from error
    check_pixels(*image.size, max_pixels)
    return image


def broken(name: str, data: bytes, error: Exception) -> Refusal:
    if "truncated" in str(error).lower():
        return Refusal(
            "image_truncated", f"the {name} ends after {len(data)} bytes; send the whole file"
        )
    return Refusal("image_broken", f"the {name} cannot be decoded: {error}")


def as_rgb(image: Image.Image) -> Image.Image:
    """Any mode in 8-bit RGB; PIL would clip 16-bit grey to white."""
    if image.mode.startswith("I"):
        # By a table: arithmetic would need several arrays of the whole picture.
        image = image.convert("I").point(EIGHT_BITS, "L")
    return image.convert("RGB")


def loaded(image: Image.Image, name: str, data: bytes) -> Image.Image:
    try:
        return as_rgb(image)
    except Exception as error:  # as in open_checked: OSError, SyntaxError, struct.error, ...
        raise broken(name, data, error) from error


def decode_pillow(data: bytes, size: int, max_pixels: int) -> Decoded:
    """The usual way: the whole picture, turned upright at full size."""
    image = open_checked(data, max_pixels)
    rgb = loaded(image, str(image.format), data)
    # The tag is read from the file: converting to RGB keeps `info`, and not always the EXIF.
    orientation = turn(image)
    del image  # or there would be three of it in memory
    upright = rgb if orientation == 1 else ImageOps.exif_transpose(tagged(rgb, orientation))
    return Decoded(upright, 1, frame(*upright.size, size))


def tagged(image: Image.Image, orientation: int) -> Image.Image:
    image.getexif()[ORIENTATION_TAG] = orientation
    return image


def turn(image: Image.Image) -> int:
    """The EXIF orientation; a broken EXIF block is no reason to refuse the picture."""
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:
        return 1
    return orientation if orientation in UPRIGHT else 1


def canvas_pillow(decoded: Decoded, canvas: Canvas) -> NDArray[np.uint8]:
    """Antialiased bilinear, on a new square for each picture."""
    size = canvas.pixels.shape[0]
    place = decoded.frame
    inner = decoded.pixels.resize(
        (place.inner_width, place.inner_height), Image.Resampling.BILINEAR
    )
    square = Image.new("RGB", (size, size), (PAD, PAD, PAD))
    square.paste(inner, (place.left, place.top))
    return np.asarray(square)


def planes_plain(pixels: NDArray[np.uint8], tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """numpy at its plainest: every step makes a new array."""
    scaled = pixels.astype(np.float32) / 255
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def decode_draft(data: bytes, size: int, max_pixels: int) -> Decoded:
    """Pillow, told the size that is needed: libjpeg then decodes at 1/2, 1/4 or 1/8."""
    image = open_checked(data, max_pixels)
    orientation = turn(image)
    place = oriented_frame(*image.size, orientation, size)
    width, height = stored_inner(place, orientation)
    image.draft("RGB", (HEADROOM * width, HEADROOM * height))
    return Decoded(loaded(image, str(image.format), data), orientation, place)


def canvas_draft(decoded: Decoded, canvas: Canvas) -> NDArray[np.uint8]:
    """Resize the picture as it lies in its file, turn it upright while it is small, place it."""
    inner = decoded.pixels.resize(
        stored_inner(decoded.frame, decoded.orientation), Image.Resampling.BILINEAR
    )
    pixels = np.asarray(inner)
    if decoded.orientation != 1:
        pixels = UPRIGHT[decoded.orientation](pixels)
    place, square = decoded.frame, canvas.pixels
    here = (place.left, place.top, place.inner_width, place.inner_height)
    if here != canvas.filled:
        square[:] = PAD
        canvas.filled = here
    square[
        place.top : place.top + place.inner_height, place.left : place.left + place.inner_width
    ] = pixels
    return square


def planes_in_place(pixels: NDArray[np.uint8], tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """Spread the pixels over the tensor's planes, without an array in between."""
    for plane, channel in zip(tensor[0], cv2.split(pixels), strict=True):
        np.multiply(channel, np.float32(1 / 255), out=plane, dtype=np.float32)
    return tensor


def decode_turbo(data: bytes, size: int, max_pixels: int) -> Decoded:
    """
    libjpeg-turbo at a fraction of the size; what is no plain JPEG goes through Pillow.

    A JPEG that libjpeg has a complaint about goes there too, so that all four ways agree
    on what is broken.
    """
    if data[:3] != b"\xff\xd8\xff":
        return decode_draft(data, size, max_pixels)
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        check_pixels(width, height, max_pixels)
        if space in ("CMYK", "YCCK"):
            return decode_draft(data, size, max_pixels)
        orientation = exif_orientation(data)
        place = oriented_frame(width, height, orientation, size)
        least_width, least_height = reduced(width, height, stored_inner(place, orientation))
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_width=least_width, min_height=least_height)
    except ValueError:
        return decode_draft(data, size, max_pixels)
    return Decoded(Image.fromarray(pixels), orientation, place)


def reduced(width: int, height: int, inner: tuple[int, int]) -> tuple[int, int]:
    """Width and height at the smallest of 1, 1/2, 1/4 and 1/8 that keeps the headroom."""
    scale = min(width // (HEADROOM * inner[0]), height // (HEADROOM * inner[1]))
    divisor = 8 if scale >= 8 else 4 if scale >= 4 else 2 if scale >= 2 else 1
    return -(-width // divisor), -(-height // divisor)


def oriented_frame(width: int, height: int, orientation: int, size: int) -> Frame:
    """The frame of a picture that is stored as width x height and may lie on its side."""
    return frame(height, width, size) if orientation >= 5 else frame(width, height, size)


def stored_inner(place: Frame, orientation: int) -> tuple[int, int]:
    """Width and height of the place, as the picture lies in its file."""
    inner = place.inner_width, place.inner_height
    return inner[::-1] if orientation >= 5 else inner


def exif_orientation(data: bytes) -> int:
    """
    The orientation of a JPEG, from its EXIF block; PIL takes 20 times as long to say it.

    Without one there, PIL takes it from the XMP block: a ValueError leaves that to it.
    """
    at, found = 2, 1
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xE1 and data.startswith(EXIF, at + 4):
            found = tiff_orientation(data[at + 10 : at + 2 + length])
            if found != 1:
                break
        xmp = marker == 0xE1 and data.startswith(XMP, at + 4)
        if xmp and data.find(b"tiff:Orientation", at, at + 2 + length) >= 0:
            raise ValueError("the orientation is in the XMP block")
        if marker == 0xDA or length < 2:
            break
        at += 2 + length
    return found


def tiff_orientation(block: bytes) -> int:
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(block[:4])
    if order is None:
        return 1

    def read(at: int, length: int) -> int:
        return int.from_bytes(block[at : at + length], order)  # type: ignore[arg-type]

    directory = read(4, 4)
    for entry in range(min(read(directory, 2), 200)):
        at = directory + 2 + 12 * entry
        if read(at, 2) == ORIENTATION_TAG:
            value = read(at + 8, 2)
            return value if value in UPRIGHT else 1
    return 1


PIPELINES = {
    "pillow": Pipeline(decode_pillow, canvas_pillow, planes_plain),
    "pillow_simd": Pipeline(decode_pillow, canvas_pillow, planes_plain),
    "pillow_draft": Pipeline(decode_draft, canvas_draft, planes_in_place),
    "turbo": Pipeline(decode_turbo, canvas_draft, planes_in_place),
    "turbo_simd": Pipeline(decode_turbo, canvas_draft, planes_in_place),
}
# The same functions on the PIL whose resizing is vector code.
ON_PILLOW_SIMD = ("pillow_simd", "turbo_simd")


@cache
def pil() -> tuple[str, str]:
    """Name and version of the active PIL; two that lie over each other are refused."""
    names = {d.name.lower() for d in importlib.metadata.distributions() if d.name}
    if {"pillow", "pillow-simd"} <= names:
        raise SettingsError(
            "environment: both pillow and pillow-simd are installed, and they overwrite each "
            "other's files; make a fresh environment with one of them (`make setup` or "
            "`make setup-simd`)"
        )
    # A pillow-simd version is a Pillow version with a suffix: 12.1.1.post0.
    simd = "pillow-simd" in names and ".post" in PIL.__version__
    return ("pillow-simd" if simd else "Pillow"), PIL.__version__


def prepare(imaging: str) -> tuple[str, str]:
    """Refuse a pipeline that this environment cannot honour, and take over PIL's pixel limit."""
    name, version = pil()
    if imaging in ON_PILLOW_SIMD and name != "pillow-simd":
        raise SettingsError(
            f"SERVICE_IMAGING={imaging}: PIL is {name} {version} here, not pillow-simd; run the "
            "service from .venv-simd (`make setup-simd`) or choose pillow, pillow_draft or turbo"
        )
    if imaging == "pillow" and name != "Pillow":
        raise SettingsError(
            f"SERVICE_IMAGING=pillow: PIL is {name} {version} here, not Pillow; run the service "
            "from .venv (`make setup`) or choose pillow_simd, turbo_simd, pillow_draft or turbo"
        )
    # PIL warns above 89 and raises above 179 megapixels; check_pixels decides instead.
    Image.MAX_IMAGE_PIXELS = None
    cv2.setNumThreads(1)
    return name, version
