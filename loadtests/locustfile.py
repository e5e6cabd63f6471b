"""
The users of a Locust test: images to one endpoint, to a track, or mixed over several.

    locust -f loadtests/locustfile.py --host http://127.0.0.1:9600/predict/nano
    locust -f loadtests/locustfile.py --headless -u 8 -r 8 --duration 30s --samples run.parquet
    locust -f loadtests/locustfile.py --headless -u 8 -r 8 --duration 30s Mixed

Without a class it is Endpoint; `--class-picker` offers all of them in the web page. Options that
are not Locust's own are listed by `locust -f loadtests/locustfile.py --help-measuring`.
"""

import random
from typing import Any

import pyarrow as pa
from locust import events

from loadtests.locust_bench.life import Life
from loadtests.locust_bench.options import Options
from loadtests.locust_bench.run import RUN
from loadtests.locust_bench.user import ImageUser

# pyarrow looks for pandas when it is first used, which takes a second where there is one: now, and
# not while something is measured.
pa.array([0])


class Endpoint(ImageUser):
    """The endpoint of --host and --path."""


class Mixed(ImageUser):
    """Endpoints by the weights of --mix, in an order drawn from --seed."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._paths, self._weights = zip(*RUN.options.mix.items(), strict=True)
        self._draw = random.Random(f"{RUN.options.seed} mix {self.name}")

    @classmethod
    def paths(cls, options: Options) -> list[str]:
        """All that have a weight."""
        return [path for path, weight in options.mix.items() if weight]

    def path(self) -> str:
        """Another one each time."""
        return str(self._draw.choices(self._paths, self._weights)[0])


class TrackA(ImageUser):
    """Decoding, inference and NMS in the service's process."""

    fixed_path = "/pytorch/predict/small"


class TrackB(ImageUser):
    """Inference in Triton; the rest in the service."""

    fixed_path = "/predict/small"


class TrackC(ImageUser):
    """Inference and NMS in Triton, in one graph."""

    fixed_path = "/predict/small_end2end"


class TrackD(ImageUser):
    """JPEG bytes to Triton, which does everything."""

    fixed_path = "/predict/small_gpu_e2e"


class TrackDStreaming(ImageUser):
    """Track D with short queues and small batches."""

    fixed_path = "/predict/small_gpu_e2e_streaming"


class TrackDBatch(ImageUser):
    """Track D with long queues and large batches."""

    fixed_path = "/predict/small_gpu_e2e_batch"


Life(default_class=Endpoint.__name__).listen(events)
