"""
One real request, as the generator will send them: a variant is ready when it has answered it.
"""

import http.client
import json
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
FAILURES = (OSError, http.client.HTTPException)

# Proxies of the environment are for the network outside; services are on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def images_in(folder: Path) -> list[Path]:
    """The images of a corpus."""
    if folder.is_file():
        return [folder]
    return sorted(f for f in folder.glob("*") if f.suffix.lower() in TYPES)


def get(url: str, timeout_s: float) -> tuple[int, bytes]:
    """The status and the body of an answer, also if it is an error."""
    return _open(urllib.request.Request(url), timeout_s)


def post(url: str, image: Path, body: str, timeout_s: float) -> tuple[int, bytes]:
    """Send one image, in a form's field `image` or as the body itself."""
    kind = TYPES.get(image.suffix.lower(), "application/octet-stream")
    data = image.read_bytes()
    if body == "multipart":
        data, kind = _multipart(image.name, kind, data)
    request = urllib.request.Request(url, data=data, headers={"Content-Type": kind})
    return _open(request, timeout_s)


def health(address: str, timeout_s: float = 5.0) -> dict[str, Any] | None:
    """What a service says about itself, for the record; None if it does not."""
    try:
        status, body = get(f"{address}/health", timeout_s)
        said = json.loads(body)
    except (*FAILURES, ValueError):
        return None
    return said if status == 200 and isinstance(said, dict) else None


def is_open(url: str) -> bool:
    """Whether a URL answers with 200 now."""
    try:
        return get(url, 5)[0] == 200
    except FAILURES:
        return False


def _open(request: urllib.request.Request, timeout_s: float) -> tuple[int, bytes]:
    try:
        with _opener.open(request, timeout=timeout_s) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def _multipart(name: str, kind: str, data: bytes) -> tuple[bytes, str]:
    boundary = uuid.uuid4().hex
    disposition = f'Content-Disposition: form-data; name="image"; filename="{name}"'
    head = f"--{boundary}\r\n{disposition}\r\nContent-Type: {kind}\r\n\r\n"
    whole = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    return whole, f"multipart/form-data; boundary={boundary}"
