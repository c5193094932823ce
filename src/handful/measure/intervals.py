"""Intervals of shares and of paired differences that stay honest at a handful of images.

Wilson's interval is the default for a share: its mean coverage is nominal and
it is never empty. Clopper and Pearson's is for promises ("misses at most 1 %"):
its coverage is never below nominal. Both are tested by simulation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import stats

from handful.core import Estimate, Float64


def wilson_interval(
    n_correct: float, n_samples: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the Wilson score interval of a share.

    Unlike the normal approximation it stays inside ``[0, 1]`` and is usable for
    a handful of test images [1]_. Counts may be fractions, so that an effective
    number of images can be used.

    Parameters
    ----------
    n_correct : float
        Number of correct predictions, in ``[0, n_samples]``.
    n_samples : float
        Number of independent test images, above 0.
    confidence : float, default=0.95
        Nominal coverage, in ``(0, 1)``.

    Returns
    -------
    low : float
        Lower bound of the share, a fraction in ``[0, 1]``.
    high : float
        Upper bound, same unit.

    Raises
    ------
    ValueError
        If a count or the confidence is out of range.

    References
    ----------
    .. [1] Wilson, "Probable Inference, the Law of Succession, and Statistical
       Inference", JASA 22, 1927, https://doi.org/10.1080/01621459.1927.10502953

    Examples
    --------
    >>> low, high = wilson_interval(9, 10)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    _check_counts(n_correct, n_samples, confidence)
    return wilson_of_share(n_correct / n_samples, n_samples, confidence=confidence)


def wilson_of_share(
    share: float, n_samples: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the Wilson score interval of a share that was not counted; it always holds the share.

    See `wilson_interval`. A share times a number of images, divided by it again, may be
    another float.

    Examples
    --------
    >>> wilson_of_share(1 - 2**-53, 72.99)[1] >= 1 - 2**-53
    True
    """
    _check_counts(share * n_samples, n_samples, confidence)
    z = normal_quantile(confidence)
    middle = (share + z * z / (2 * n_samples)) / (1 + z * z / n_samples)
    spread = share * (1 - share) / n_samples + z * z / (4 * n_samples * n_samples)
    half = z * math.sqrt(spread) / (1 + z * z / n_samples)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def clopper_pearson(
    n_correct: int, n_samples: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the exact interval of a share, whose coverage is never below nominal.

    Parameters
    ----------
    n_correct : int
        Number of successes, in ``[0, n_samples]``.
    n_samples : int
        Number of independent images, at least 1.
    confidence : float, default=0.95
        Nominal coverage, in ``(0, 1)``.

    Returns
    -------
    low, high : float
        Bounds, fractions in ``[0, 1]``.

    Raises
    ------
    ValueError
        If a count or the confidence is out of range.

    References
    ----------
    .. [1] Clopper and Pearson, "The Use of Confidence or Fiducial Limits
       Illustrated in the Case of the Binomial", Biometrika 26, 1934.

    Examples
    --------
    >>> low, high = clopper_pearson(0, 10)
    >>> round(low, 3), round(high, 3)
    (0.0, 0.308)
    """
    _check_counts(n_correct, n_samples, confidence)
    tail = (1 - confidence) / 2
    missed = n_samples - n_correct
    low = 0.0 if n_correct == 0 else float(stats.beta.ppf(tail, n_correct, missed + 1))
    high = 1.0 if missed == 0 else float(stats.beta.ppf(1 - tail, n_correct + 1, missed))
    return low, high


def upper_bound(n_events: int, n_samples: int, *, confidence: float = 0.95) -> float:
    """Return the exact one-sided upper bound of the share of an event.

    Parameters
    ----------
    n_events : int
        Number of events seen, in ``[0, n_samples]``.
    n_samples : int
        Number of independent images, at least 1.
    confidence : float, default=0.95
        The share lies below the bound in at least this part of all repetitions.

    Examples
    --------
    >>> round(upper_bound(0, 299), 4)
    0.01
    """
    _check_counts(n_events, n_samples, confidence)
    if n_events == n_samples:
        return 1.0
    return float(stats.beta.ppf(confidence, n_events + 1, n_samples - n_events))


def paired_interval(
    differences: Float64, *, inflation: float = 1.0, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Return the mean of paired differences of hits and its interval.

    The two methods were tested on the same images, so only images on which they
    differ add to the variance. One image won by each side is added, as Bonett
    and Price advise [1]_, so that full agreement on few images is not taken for
    proof of equality.

    Parameters
    ----------
    differences : ndarray of shape (n_samples,)
        Hit of one method minus hit of the other, each in ``[-1, 1]``.
    inflation : float, default=1.0
        Factor of the variance, at least 1. For predictions of cross-validation
        ``1 + test size / training size`` accounts for training sets that
        overlap [2]_.
    confidence : float, default=0.95
        Nominal coverage, in ``(0, 1)``.

    Returns
    -------
    value, low, high : float
        Mean difference and its bounds, in ``[-1, 1]``.

    References
    ----------
    .. [1] Bonett and Price, "Adjusted Wald Confidence Interval for a Difference
       of Binomial Proportions Based on Paired Data", J. Educ. Behav. Stat. 37, 2012.
    .. [2] Nadeau and Bengio, "Inference for the Generalization Error",
       Machine Learning 52, 2003.

    Examples
    --------
    >>> value, low, high = paired_interval(np.array([1.0, 0.0, 0.0, 0.0]))
    >>> value, bool(low < 0 < high)
    (0.25, True)
    """
    value, error = paired_error(differences, inflation=inflation)
    centre = float(np.sum(differences)) / (len(differences) + 2)
    half = normal_quantile(confidence) * error
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    return value, min(low, value), max(high, value)


def paired_error(differences: Float64, *, inflation: float = 1.0) -> tuple[float, float]:
    """Return the mean of paired differences and its standard error (see `paired_interval`)."""
    if len(differences) == 0:
        raise ValueError("A paired difference needs at least one image. Got none.")
    n = len(differences) + 2
    centre = float(np.sum(differences)) / n
    squares = float(np.sum(np.square(differences))) + 2
    error = math.sqrt(max(0.0, squares / n - centre**2) / n * inflation)
    return float(np.mean(differences)), error


def share(n_correct: int, n_samples: int, what: str, how: str, *, exact: bool = False) -> Estimate:
    """Return a share with Wilson's interval (or the exact one) as an estimate.

    Examples
    --------
    >>> print(share(9, 10, "accuracy", "test split"))
    accuracy 90.0 % (95 % interval 59.6–98.2, n=10; test split, Wilson interval)
    """
    if n_samples == 0:
        return Estimate.not_measurable(what, f"{how}: no image to measure it on")
    interval: Any = clopper_pearson if exact else wilson_interval
    low, high = interval(n_correct, n_samples)
    name = "exact (Clopper–Pearson) interval" if exact else "Wilson interval"
    return Estimate(n_correct / n_samples, low, high, n_samples, what, f"{how}, {name}")


def normal_quantile(confidence: float) -> float:
    """Return the two-sided quantile of the normal distribution.

    Examples
    --------
    >>> round(normal_quantile(0.95), 2)
    1.96
    """
    return float(stats.norm.ppf((1 + confidence) / 2))


def _check_counts(n_events: float, n_samples: float, confidence: float) -> None:
    if not n_samples > 0 or not 0 <= n_events <= n_samples:
        raise ValueError(
            "Counts of an interval must satisfy 0 ≤ successes ≤ images and images > 0. "
            f"Got {n_events!r} of {n_samples!r}."
        )
    if not 0 < confidence < 1:
        raise ValueError(f"The 'confidence' must lie between 0 and 1. Got {confidence!r}.")
