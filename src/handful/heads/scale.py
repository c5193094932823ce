"""The one number that turns scores into calibrated logits."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from handful.core import Array, Bool, Float64, Int
from handful.heads.logits import log_losses

_WIDEST = 5.0  # search within exp(±5) of the centre


def informed(codes: Int) -> Bool:
    """Return which rows share their class: the others can't be recognised when left out."""
    return np.bincount(codes)[codes] > 1


def with_class_shares_kept(logits: Array, codes: Int) -> Float64:
    """Return leave-one-out logits as if leaving a row out did not make its class rarer.

    Of ``m`` rows of a class, ``m - 1`` are left when one is out: by that alone its
    logit falls by ``log(m / (m - 1))``, which is added back. Without it few labels
    a class look worse than they are, and temperatures become too high.
    """
    logits, counts = np.array(logits, np.float64), np.bincount(codes)[codes]
    logits[np.arange(len(codes)), codes] += np.log(counts / np.maximum(counts - 1, 0.5))
    return logits


def fitted_scale(
    scores: Array, codes: Int, *, centre: float = 1.0, spread: float = 0.5
) -> tuple[float, float]:
    """Return the factor that minimises the log loss of held-out scores, and that loss.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes)
        Of rows that the model did not see.
    codes : ndarray of shape (n_samples,)
        True columns.
    centre, spread : float
        Median and logarithmic standard deviation of a log-normal prior, which
        decides where there are few rows.

    Returns
    -------
    scale : float
        ``centre`` where there is one class or no row.
    loss : float
        Summed log loss in nats, plus minus the logarithm of the prior.
    """
    scores = np.asarray(scores, np.float64)
    if scores.shape[1] < 2 or not len(scores):
        return centre, 0.0

    def loss(step: float) -> float:
        fit = log_losses(scores * (centre * np.exp(step)), codes).sum()
        return float(fit + np.square(step / spread) / 2)

    found = minimize_scalar(
        loss, bounds=(-_WIDEST, _WIDEST), method="bounded", options={"xatol": 1e-3}
    )
    return float(centre * np.exp(found.x)), float(found.fun)
