"""
The corpus as request bodies, for generators in Python: the same bytes as those of triton_bench.

Bodies are built before a run begins; a request picks one, in an order of its client's own.
"""

import mimetypes
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

IMAGES = Path(__file__).with_name("images")
TYPES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}
FORMS = ("multipart", "raw")

# Fixed, so that two runs send the same bytes. No image holds it: build() looks.
BOUNDARY = "windtunnel-4f1c9a7be2d04c61"


class PayloadError(Exception):
    """Images that cannot be sent, with what was found and what to do about it."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One image as the body of a request."""

    image: str
    content_type: str
    body: bytes


def image_files(path: Path, limit: int = 0) -> list[Path]:
    """One image, or those of a folder by name; *limit* keeps the first few."""
    if path.is_file():
        return [path]
    try:
        entries = sorted(path.iterdir(), key=lambda file: file.name.encode())
    except OSError as error:
        raise PayloadError(
            f"{path}: cannot be read ({error.strerror}); expected an image or a folder of images"
        ) from error
    found = [file for file in entries if file.suffix.lower() in TYPES and file.is_file()]
    if not found:
        raise PayloadError(
            f"{path}: no images among {len(entries)} entries;"
            f" expected files ending in {' '.join(sorted(TYPES))}"
        )
    return found[:limit] if limit else found


def build(files: list[Path], form: str) -> tuple[Payload, ...]:
    """The bodies of some images, as the field `image` of a form or as they are."""
    return tuple(_payload(file, form) for file in files)


def order(seed: int, client: str, count: int) -> Iterator[int]:
    """The images of one client, again and again in an order drawn for it."""
    return cycle(random.Random(f"{seed} {client}").sample(range(count), count))


def _payload(file: Path, form: str) -> Payload:
    try:
        image = file.read_bytes()
    except OSError as error:
        raise PayloadError(
            f"{file}: cannot be read ({error.strerror}); expected an image"
        ) from error
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if form == "raw":
        return Payload(file.name, kind, image)
    if BOUNDARY.encode() in image:
        raise PayloadError(f"{file}: contains the multipart boundary {BOUNDARY}; use --body raw")
    name = file.name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    body = head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()
    return Payload(file.name, f"multipart/form-data; boundary={BOUNDARY}", body)
