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

from locust import events

from loadtests.locust_bench.life import Life
from loadtests.locust_bench.run import RUN
from loadtests.locust_bench.user import ImageUser


class Endpoint(ImageUser):
    """The endpoint of --host and --path."""

    def path(self) -> str:
        """The same for every image."""
        return str(RUN.options.path)


class Mixed(ImageUser):
    """Endpoints by the weights of --mix, in an order drawn from --seed."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        weights = RUN.options.mix
        self._paths, self._weights = list(weights), list(weights.values())
        self._draw = random.Random(f"{RUN.options.seed} mix {self.name}")

    def path(self) -> str:
        """Another one each time."""
        return self._draw.choices(self._paths, self._weights)[0]


class TrackA(ImageUser):
    """Decoding, inference and NMS in the service's process."""

    def path(self) -> str:
        """The seed's path of the track."""
        return "/pytorch/predict/small"


class TrackB(ImageUser):
    """Inference in Triton; the rest in the service."""

    def path(self) -> str:
        """The seed's path of the track."""
        return "/predict/small"


class TrackC(ImageUser):
    """Inference and NMS in Triton, in one graph."""

    def path(self) -> str:
        """The seed's path of the track."""
        return "/predict/small_end2end"


class TrackD(ImageUser):
    """JPEG bytes to Triton, which does everything."""

    def path(self) -> str:
        """The seed's path of the track."""
        return "/predict/small_gpu_e2e"


class TrackDStreaming(ImageUser):
    """Track D with short queues and small batches."""

    def path(self) -> str:
        """The seed's path of the track."""
        return "/predict/small_gpu_e2e_streaming"


class TrackDBatch(ImageUser):
    """Track D with long queues and large batches."""

    def path(self) -> str:
        """The seed's path of the track."""
        return "/predict/small_gpu_e2e_batch"


Life(default_class=Endpoint.__name__).listen(events)
