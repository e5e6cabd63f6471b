"""
Which stage of a request a stack belongs to: a table of the functions that begin one.

With it, stacks speak of the same stages as the times that come with the answers. A stage that
Triton runs has only its calls here. Tests hold the table to the service and to real profiles.
"""

from analysis.flame.stacks import Frame, Stack
from analysis.stages import REST

# The outermost of these on a stack is the stage that it belongs to.
STAGE_OF = {
    Frame(name, file): stage
    for stage, file, names in (
        ("receive", "service/api.py", "only_part pictures"),
        ("receive", "service/limits.py", "Body.receive Body.whole Body.counted"),
        ("receive", "starlette/requests.py", "Request._get_form Request.body Request.close"),
        ("receive", "starlette/formparsers.py", "MultiPartParser.parse"),
        ("decode", "service/imaging.py", "decode_pillow decode_draft decode_turbo"),
        ("preprocess", "service/imaging.py", "Pipeline.letterbox canvas_pillow canvas_draft"),
        ("preprocess", "service/imaging.py", "planes_plain planes_in_place"),
        ("infer", "service/detection.py", "infer"),
        ("infer", "service/pytorch.py", "load.<locals>.infer"),
        ("infer", "service/tensors.py", "Store.infer Store.infer_inline"),
        ("infer", "service/triton.py", "Triton.infer"),
        ("postprocess", "service/detection.py", "detect in_picture"),
        ("serialize", "service/api.py", "<lambda> predictions.<locals>.encode"),
        ("serialize", "fastapi/routing.py", "serialize_response"),
        ("serialize", "fastapi/encoders.py", "jsonable_encoder"),
        ("serialize", "starlette/responses.py", "JSONResponse.__init__ JSONResponse.render"),
    )
    for name in names.split()
}


def stage_of(stack: Stack) -> str:
    """The stage of a stack's outermost frame that has one; the rest for what has none."""
    return next((STAGE_OF[frame] for frame in stack if frame in STAGE_OF), REST)
