"""
The universal scalability law (USL): what throughput over clients says of contention and coherency.

X(N) = lambda N / (1 + sigma (N-1) + kappa N (N-1)), Gunther, Guerrilla Capacity Planning, 2007,
chapter 4. Amdahl's law is the same with kappa 0, and growth in proportion with sigma 0 as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, log1p, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from analysis.compare import CONFIDENCE
from analysis.curve import Curve, curve, lacking
from analysis.matrix import Matrix
from analysis.usl_fit import Estimate, Fit, fit, terms
from analysis.words import number, percent

LEVELS = 5
USL, AMDAHL, LINEAR = "USL", "Amdahl", "linear"
UNFIT = "no scaling law can be fitted to its throughput"
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scaling:
    """The law that a variant's throughput follows, as far as its repeats can tell."""

    variant: str
    law: str  # "USL"; "Amdahl": kappa cannot be told from 0; "linear": nor can sigma
    clients: tuple[float, ...]
    throughput_rps: tuple[float, ...]  # geometric mean over repeats, one a level
    rate_rps: Estimate  # lambda: what one client gets
    sigma: Estimate  # contention: the share of the work that runs one at a time
    kappa: Estimate  # coherency: what each pair of clients costs
    peak: Estimate | None  # the clients with most throughput; None unless kappa excludes 0
    ceiling_rps: Estimate | None  # at the peak; by Amdahl's law lambda / sigma
    peak_beyond: float | None  # with kappa at the upper end of its interval; None with a peak
    misfit: tuple[float, float] | None  # clients, measured / law - 1: the law does not hold
    fitted: Fit

    def curve(self, clients: Sequence[float]) -> tuple[Array, Array, Array]:
        """Requests/s by the law, and the lower and the upper edge of its 95 % band."""
        return self.fitted.throughput(np.asarray(clients, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class NoLaw:
    variant: str
    reason: str


def scaling(matrix: Matrix, variant: str) -> Scaling | NoLaw:
    """
    The law with as many terms as can be told from 0: kappa and sigma count if their intervals do.

    The intervals of lambda, sigma and kappa are those of the whole law: with a term left out that
    is there after all, they would be too narrow and in the wrong place.
    """
    found = curve(matrix, variant)
    if reason := lacking(found, LEVELS):
        return NoLaw(variant, f"the scaling law is not known: {reason}")
    whole = fit(found.clients, found.rps, (0, 1, 2))
    chosen = _chosen(found, whole) if whole else None
    if whole is None or chosen is None:
        return NoLaw(variant, f"{UNFIT}: take more repeats")
    if whole.parameters[0] <= 0:
        return NoLaw(variant, f"{UNFIT}: add clients = [1]")
    return _scaling(found, whole, chosen, _misfit(found, chosen, matrix.plan.margin))


def _scaling(found: Curve, whole: Fit, chosen: Fit, misfit: tuple[float, float] | None) -> Scaling:
    law = USL if chosen.parameters[2] > 0 else AMDAHL if chosen.parameters[1] > 0 else LINEAR
    sigma, kappa = (_share(whole, chosen, term) for term in (1, 2))
    holds = misfit is None
    peak = _peak(chosen, sigma, kappa) if holds and law == USL else None
    return Scaling(
        variant=found.variant,
        law=law,
        clients=tuple(found.clients.tolist()),
        throughput_rps=tuple(found.mean_rps.tolist()),
        rate_rps=_rate(whole, chosen),
        sigma=sigma,
        kappa=kappa,
        peak=peak,
        ceiling_rps=_ceiling(chosen, peak) if holds and law != LINEAR else None,
        peak_beyond=_beyond(sigma, kappa) if holds and law != USL else None,
        misfit=misfit,
        fitted=chosen,
    )


def _chosen(found: Curve, whole: Fit) -> Fit | None:
    """The most terms that the repeats can tell from 0, none of them negative."""
    laws: list[tuple[int, ...]] = []
    if _ratio(whole, 2).low > 0:
        laws += [(0, 1, 2), (0, 2)]
    amdahl = fit(found.clients, found.rps, (0, 1))
    if amdahl is not None and _ratio(amdahl, 1).low > 0:
        laws.append((0, 1))
    fits = (fit(found.clients, found.rps, free) for free in [*laws, (0,)])
    return next((each for each in fits if each and (each.parameters >= 0).all()), None)


def _ratio(found: Fit, term: int) -> Estimate:
    """Sigma or kappa: the term divided by a."""
    a, value = found.parameters[0], found.parameters[term]
    gradient = np.zeros(3)
    gradient[0], gradient[term] = -value / a**2, 1 / a
    return found.estimate(float(value / a), gradient)


def _share(whole: Fit, chosen: Fit, term: int) -> Estimate:
    """As the law has it, within the interval of the whole law; neither is below 0."""
    point, interval = _ratio(chosen, term).point, _ratio(whole, term)
    return Estimate(point, max(0.0, min(interval.low, point)), max(interval.high, point))


def _rate(whole: Fit, chosen: Fit) -> Estimate:
    a = whole.parameters[0]
    interval = whole.exponential(-log(a), np.array([-1 / a, 0, 0]))
    point = 1 / float(chosen.parameters[0])
    return Estimate(point, min(interval.low, point), max(interval.high, point))


def _peak(found: Fit, sigma: Estimate, kappa: Estimate) -> Estimate:
    """sqrt((1 - sigma) / kappa), with the interval of its logarithm; 1 if sigma is 1 or more."""
    a, b, c = found.parameters
    if b >= a:
        return Estimate(1.0, 1.0, sqrt(max(1.0, (1 - sigma.low) / kappa.low)))
    gradient = np.array([1 / (a - b), -1 / (a - b), -1 / c]) / 2
    peak = found.exponential(log((a - b) / c) / 2, gradient)
    return Estimate(*(max(1.0, clients) for clients in (peak.point, peak.low, peak.high)))


def _ceiling(found: Fit, peak: Estimate | None) -> Estimate:
    """The most throughput. At the peak it does not change with N, so only a, b, c are unsure."""
    if peak is None:
        b = float(found.parameters[1])
        return found.exponential(-log(b), np.array([0, -1 / b, 0]))
    columns = terms(np.array([peak.point]))[0]
    time = float(columns @ found.parameters)
    return found.exponential(log(peak.point / time), -columns / time)


def _beyond(sigma: Estimate, kappa: Estimate) -> float | None:
    """Where a peak would be at the nearest, with both at the upper ends of their intervals."""
    if kappa.high <= 0:
        return None
    return sqrt(max(1.0, (1 - sigma.high) / kappa.high))


def _misfit(found: Curve, chosen: Fit, margin: float) -> tuple[float, float] | None:
    """
    The level that is farthest from the law, if it is so by more than noise and the margin.

    Each level's distance has a t interval over blocks, after the blocks' own levels are taken
    out, and as there are L of them it is one of 1 - 5 % / L (Bonferroni).
    """
    law, _, _ = chosen.throughput(found.clients)
    away = np.log(found.rps) - np.log(law)
    away = away - away.mean(axis=1, keepdims=True)
    blocks, levels = away.shape
    widths = stdtrit(blocks - 1, 1 - (1 - CONFIDENCE) / 2 / levels)
    half = widths * away.std(axis=0, ddof=1) / sqrt(blocks)
    mean = away.mean(axis=0)
    sure = (np.abs(mean) > half) & (np.abs(mean) > log1p(margin))
    if not sure.any():
        return None
    worst = int(np.argmax(np.where(sure, np.abs(mean), 0)))
    return float(found.clients[worst]), exp(float(mean[worst])) - 1


def clause(found: Scaling | NoLaw) -> str:
    """What the law says of a variant, or why it says nothing."""
    if isinstance(found, NoLaw):
        return found.reason
    if found.misfit is not None:
        return _misfitting(*found.misfit)
    if found.peak is None or found.ceiling_rps is None:
        return f"{_without_peak(found)}{_nearest_peak(found)}"
    beyond = ", more than were measured" if found.peak.point > found.clients[-1] else ""
    return (
        f"by the universal scalability law throughput is highest with {_shown(found.peak)}"
        f" clients{beyond}: {_shown(found.ceiling_rps)} requests/s; contention (sigma)"
        f" {_shown(found.sigma)}, coherency (kappa) {_shown(found.kappa)}"
    )


def _misfitting(clients: float, share: float) -> str:
    away = f"{percent(abs(share))} {'above' if share > 0 else 'below'} it with {clients:g} clients"
    return (
        f"throughput does not follow the universal scalability law ({away}),"
        " so no peak is read from it"
    )


def _without_peak(found: Scaling) -> str:
    if found.ceiling_rps is None:
        return (
            f"throughput cannot be told from growth in proportion to clients, up to"
            f" {found.clients[-1]:g} (contention, sigma, up to {number(found.sigma.high)})"
        )
    return (
        f"by Amdahl's law throughput stays below {_shown(found.ceiling_rps)} requests/s, with"
        f" contention (sigma) {_shown(found.sigma)}"
    )


def _nearest_peak(found: Scaling) -> str:
    if found.peak_beyond is None:
        return ""
    return f"; it has no peak that shows, and none below {number(found.peak_beyond)} clients"


def _shown(found: Estimate) -> str:
    return f"{number(found.point)} [{number(found.low)}, {number(found.high)}]"
