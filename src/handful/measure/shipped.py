"""The accuracy of the shipped model, from folds whose models saw fewer labels.

See `shipped_accuracy`.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, logit

from handful.core import Estimate, Float64, Int
from handful.measure.intervals import wilson_interval

GAIN, GAIN_ERROR = 0.3, 0.15


def shipped_accuracy(hits: Float64, kept: Float64, codes: Int, what: str, how: str) -> Estimate:
    """Return the accuracy of the model fitted on all labels.

    Parameters
    ----------
    hits : ndarray of shape (n_samples,)
        Mean hit of each image over the repeats, NaN when never tested.
    kept : ndarray of shape (n_samples,)
        Labels of the image's class in training over those of all.
    codes : ndarray of shape (n_samples,)
        Class of each image.
    what, how : str
        For the estimate.
    """
    tested = ~np.isnan(hits)
    n, n_tested = len(hits), int(tested.sum())
    if n_tested == 0:
        return Estimate.not_measurable(what, f"{how}: every class has a single label")
    share = (hits[tested].sum() + 0.5) / (n_tested + 1)
    doublings = float(np.mean(-np.log2(kept[tested])))
    rise = float(expit(logit(share) + GAIN * doublings) - share)
    known = float(np.clip(hits[tested].mean() + rise, 0, 1))
    slope = share * (1 - share)
    missing = 1 - n_tested / n
    value = (1 - missing) * known + missing * known / 2
    variance = ((1 - missing) ** 2) * (slope / n_tested + (slope * doublings * GAIN_ERROR) ** 2) + (
        missing * known / 4
    ) ** 2
    effective = max(1.0, min(n, slope / variance))
    low, high = wilson_interval(value * effective, effective)
    return Estimate(value, min(low, value), max(high, value), n_tested, what, how)


def doublings(kept: Float64) -> float:
    """Return the mean number of doublings from training on folds to training on all."""
    return -math.log2(float(np.mean(kept)))
