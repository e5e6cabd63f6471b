"""
The optimization guide's limit of uploads as it writes it: a middleware that knows Content-Length.

    python -m benchmarks.components.guide_server

A FastAPI application of a few lines, whose endpoint takes a form's file. Run by limits.py, through
counted.py.
"""

from typing import Annotated

from fastapi import FastAPI, File, Request, UploadFile
from fastapi.responses import JSONResponse
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import Response

from benchmarks.components.bare_server import listening, serve

PATH = "/predict/small"
MAX_FILE_SIZE_MB = 50
MAX_FILE_SIZE_BYTES = MAX_FILE_SIZE_MB * 1024 * 1024

app = FastAPI()


@app.middleware("http")
async def sized(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Refuse a length that is too large."""
    length = request.headers.get("content-length")
    if length and int(length) > MAX_FILE_SIZE_BYTES:
        return JSONResponse({"detail": f"more than {MAX_FILE_SIZE_MB} MB"}, status_code=413)
    return await call_next(request)


@app.post(PATH)
async def predict(image: Annotated[UploadFile, File()]) -> dict[str, int]:
    """Read the file, as one that decodes it has to."""
    return {"bytes": len(await image.read())}


if __name__ == "__main__":
    with listening() as listener:
        serve(app, "uvloop", "httptools", listener)
