"""Whether probabilities mean what they say: reliability bins and the calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handful.core import Estimate, Float64, Int, stream
from handful.measure.intervals import share

N_RESAMPLES = 500


@dataclass(frozen=True)
class ReliabilityBin:
    """Images of similar confidence, and how often they were right.

    Parameters
    ----------
    low, high : float
        Range of the confidence in the bin, fractions.
    n : int
        Number of images.
    confidence : float
        Mean confidence of the images, a fraction.
    accuracy : Estimate
        Share of them that were right.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: Estimate


def reliability(confidence: Float64, hits: Float64, *, n_bins: int = 10) -> list[ReliabilityBin]:
    """Return bins of equally many images by rising confidence, with their accuracy.

    Parameters
    ----------
    confidence : ndarray of shape (n_samples,)
        Largest probability of each image.
    hits : ndarray of shape (n_samples,)
        1 where the prediction was right, 0 where it was wrong.
    n_bins : int, default=10
        Most bins; fewer when a bin would hold under 10 images.

    Examples
    --------
    >>> [part] = reliability(np.array([0.7, 0.9]), np.array([1.0, 1.0]))
    >>> part.n, round(part.confidence, 2), part.accuracy.value
    (2, 0.8, 1.0)
    """
    bins = []
    for rows in _equal_bins(confidence, n_bins):
        chosen = confidence[rows]
        accuracy = share(
            round(float(hits[rows].sum())), len(rows), "accuracy", "images of this confidence"
        )
        bins.append(
            ReliabilityBin(
                float(chosen.min()), float(chosen.max()), len(rows), float(chosen.mean()), accuracy
            )
        )
    return bins


def calibration_error(
    confidence: Float64, hits: Float64, how: str, *, n_bins: int = 10, random_state: int = 0
) -> Estimate:
    """Return the expected calibration error: mean distance of confidence and accuracy in bins.

    The plain figure is too large when bins hold few images, because noise adds
    distance even where there is none [1]_. So the answer is the error that, with
    the noise of these bins, has the plain figure as its median; the bounds are the
    errors under which the plain figure would be among the 2.5 % largest and
    smallest. Half of the error is taken to be the same in all bins, half to lie
    where the gaps exceed their noise.

    Parameters
    ----------
    confidence, hits : ndarray of shape (n_samples,)
        Largest probability of each image, and whether the prediction was right.
    how : str
        Where the predictions come from.
    n_bins : int, default=10
        Most bins of equally many images; fewer when one would hold under 10.
    random_state : int, default=0
        Seed of the simulated noise.

    References
    ----------
    .. [1] Kumar, Liang and Ma, "Verified Uncertainty Calibration", NeurIPS 2019, section 5.

    Examples
    --------
    >>> estimate = calibration_error(np.full(100, 0.9), np.arange(100) % 2.0, "an example")
    >>> round(estimate.value, 1)
    0.4
    """
    if len(confidence) == 0:
        return Estimate.not_measurable("calibration error", f"{how}: no image to measure it on")
    bins = _equal_bins(confidence, n_bins)
    weights = np.array([len(rows) for rows in bins]) / len(hits)
    gaps = np.array([float(np.mean(confidence[rows] - hits[rows])) for rows in bins])
    rates = np.array([(hits[rows].sum() + 0.5) / (len(rows) + 1) for rows in bins])
    errors = np.sqrt(rates * (1 - rates) / (weights * len(hits)))
    shape = _shape(gaps, errors, weights)
    noise = errors * stream(random_state, "calibration error").normal(size=(N_RESAMPLES, len(bins)))
    plain = float(weights @ np.abs(gaps))
    low, value, high = (
        _error_with_quantile(plain, quantile, weights, shape, noise)
        for quantile in (0.975, 0.5, 0.025)
    )
    return Estimate(
        value, low, high, len(hits), "calibration error",
        f"{how}, {len(bins)} bins of equal size, corrected for the noise of few images",
    )  # fmt: skip


def _shape(gaps: Float64, errors: Float64, weights: Float64) -> Float64:
    """Return how the error is spread over the bins, 1 on average: half flat, half as seen."""
    squares = np.maximum(np.square(gaps), 1e-18)
    seen = np.abs(gaps) * np.clip(1 - np.square(errors) / squares, 0, 1)  # James and Stein
    total = float(weights @ seen)
    return 0.5 + 0.5 * (seen / total if total > 0 else np.ones(len(gaps)))


def _error_with_quantile(
    plain: float, quantile: float, weights: Float64, shape: Float64, noise: Float64
) -> float:
    """Return the error in ``[0, 1]`` under which ``plain`` is that quantile, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        if np.quantile(np.abs(middle * shape + noise) @ weights, quantile) < plain:
            low = middle
        else:
            high = middle
    return low


def _equal_bins(confidence: Float64, n_bins: int) -> list[Int]:
    order = np.argsort(confidence, kind="stable")
    return [order[part] for part in _parts(len(order), n_bins)]


def _parts(n: int, n_bins: int) -> list[Int]:
    """Return the positions of each bin among sorted images, 10 or more in each."""
    return [
        part for part in np.array_split(np.arange(n), max(1, min(n_bins, n // 10))) if len(part)
    ]
