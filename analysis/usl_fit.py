"""
The least-squares fit behind usl.py, with intervals over repeats.

By the law, N / X, the time for each answer, is a + b (N-1) + c N (N-1). The fit is to logarithms,
because noise is a share, and finds a, b and c, or some of them with the others 0.
"""

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

from analysis.compare import t_quantile

MOST_STEPS = 100
SETTLED = 1e-9  # the largest change of a logarithm in the last step
WIDEST = 300.0  # half the width of a logarithm's interval: nothing is known, and it is a number
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval over repeats."""

    point: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """
    a, b and c, and what each block would make of them.

    A block's own parameters are one linear step from the common ones towards its times, so that
    their mean is the fit itself. Student's t over them is every interval (the delta method, over
    blocks). Resampling 3 or 5 blocks instead gives intervals that cover 70 to 85 %.
    """

    parameters: Array  # (3,)
    blocks: Array  # (B, 3)

    def estimate(self, point: float, gradient: Array) -> Estimate:
        """A function of a, b, c: its value and gradient there, to its value and interval."""
        half = float(self._half_width(gradient[:, None])[0])
        return Estimate(point, point - half, point + half)

    def exponential(self, point: float, gradient: Array) -> Estimate:
        """The same where *point* is the function's logarithm, and its gradient that one's."""
        half = min(float(self._half_width(gradient[:, None])[0]), WIDEST)
        return Estimate(exp(point), exp(point - half), exp(point + half))

    def throughput(self, clients: Array) -> tuple[Array, Array, Array]:
        """Requests/s with so many clients, and the edges of the 95 % band."""
        columns = terms(clients)
        times = columns @ self.parameters
        half = np.minimum(self._half_width((columns / times[:, None]).T), WIDEST)
        middle = clients / times
        return middle, middle * np.exp(-half), middle * np.exp(half)

    def _half_width(self, gradients: Array) -> Array:
        """Of functions with these gradients, (3, K) to (K,)."""
        spread = (self.blocks - self.parameters) @ gradients
        count = len(spread)
        deviation: Array = np.sqrt(np.sum((spread - spread.mean(axis=0)) ** 2, axis=0))
        return t_quantile(count - 1) * deviation / sqrt(count * (count - 1))


def terms(clients: Array) -> Array:
    """What a, b and c are multiplied by, (N,) to (N, 3)."""
    return np.stack([np.ones_like(clients), clients - 1, clients * (clients - 1)], axis=1)


def fit(clients: Array, rps: Array, free: tuple[int, ...]) -> Fit | None:
    """
    The parameters *free* (of 0, 1, 2) from *clients* (L,) and *rps* (B, L), both above 0.

    Gauss-Newton on the logarithms of the times' geometric means, each step halved until it is an
    improvement. None: it does not settle.
    """
    columns = terms(clients)[:, free]
    times = clients / rps
    logs = np.log(times)
    found = _settled(columns, logs.mean(axis=0))
    if found is None:
        return None
    law = columns @ found
    step = np.linalg.pinv(columns / law[:, None])
    parameters, blocks = np.zeros(3), np.zeros((len(rps), 3))
    parameters[list(free)] = found
    blocks[:, list(free)] = found + (logs - np.log(law)) @ step.T
    return Fit(parameters, blocks)


def _settled(columns: Array, logs: Array) -> Array | None:
    parameters = _start(columns, np.exp(logs))
    for _ in range(MOST_STEPS):
        law = columns @ parameters
        rest = logs - np.log(law)
        step = _least_squares(columns / law[:, None], rest)
        while not _better(columns @ (parameters + step), logs, float(rest @ rest)):
            step = step / 2
            if np.abs(columns @ step / law).max() < SETTLED:
                return parameters
        parameters += step
        if np.abs(columns @ step / law).max() < SETTLED:
            return parameters
    return None


def _start(columns: Array, times: Array) -> Array:
    """The fit of relative errors, which needs no steps; else times that do not depend on N."""
    found = _least_squares(columns / times[:, None], np.ones(len(times)))
    if (columns @ found > 0).all():
        return found
    flat = np.zeros_like(found)
    flat[0] = np.exp(np.log(times).mean())
    return flat


def _better(law: Array, logs: Array, squares: float) -> bool:
    if not (law > 0).all():
        return False
    rest = logs - np.log(law)
    return float(rest @ rest) <= squares


def _least_squares(columns: Array, values: Array) -> Array:
    return np.asarray(np.linalg.lstsq(columns, values, rcond=None)[0], dtype=np.float64)
