"""
What a Triton did during a load: how long inferences waited in its queue, and how long they took.

Asked over gRPC at the address that the service has, which may not be one of this machine. The
counters are those of the statistics extension, cumulative and in nanoseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

TIMEOUT_S = 2.0
COMPUTE = ("compute_input", "compute_infer", "compute_output")
Parts = Mapping[str, tuple[int, int]]
Counters = Mapping[str, Parts]


@dataclass(frozen=True, slots=True)
class Inferred:
    """The mean of an inference, all models that took part in it together."""

    count: int
    queue_ms: float
    compute_ms: float


def counters(address: str) -> Counters | None:
    """Count and nanoseconds of each part, by model; None where nobody answers."""
    try:
        client = InferenceServerClient(address)
    except (InferenceServerException, ValueError):
        return None
    try:
        said = client.get_inference_statistics(client_timeout=TIMEOUT_S)
        return {
            model.name: {
                part: (int(getattr(stats, part).count), int(getattr(stats, part).ns))
                for part in ("success", *COMPUTE)
            }
            for model in said.model_stats
            for stats in [model.inference_stats]
        }
    except InferenceServerException:
        return None
    finally:
        client.close()


def between(before: Counters | None, after: Counters | None) -> Inferred | None:
    """
    What happened between two readings; None where nothing did, or it is not known.

    The model whose requests took most in all is the one that was asked: an ensemble's time has that
    of its steps in it. Its own counter does not know what its steps waited for, but its time of
    computing is theirs, so the rest was waited for.
    """
    if before is None or after is None:
        return None
    grown = [_grown(before.get(name, {}), parts) for name, parts in after.items()]
    asked = max(grown, key=lambda parts: parts["success"][1], default=None)
    if asked is None or asked["success"][0] <= 0:
        return None
    count, total_ns = asked["success"]
    compute_ns = sum(asked[part][1] for part in COMPUTE)
    return Inferred(count, max(0, total_ns - compute_ns) / count / 1e6, compute_ns / count / 1e6)


def _grown(before: Parts, after: Parts) -> Parts:
    return {
        part: (count - before.get(part, (0, 0))[0], spent_ns - before.get(part, (0, 0))[1])
        for part, (count, spent_ns) in after.items()
    }
