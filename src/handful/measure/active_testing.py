"""Accuracy while labels are chosen: weighted active picks, or blind audits.

Labels that a model asked for are no sample of the images: their plain accuracy is
off by ten points and more. Two kinds of picks tell the truth. *Audits* are
uniform and unseen by the model. *Weighted picks* are drawn by a known
probability, with preference for likely errors, and weighted back.
"""

from __future__ import annotations

import numpy as np

from handful.core import Array, Estimate
from handful.measure.confidence_sequence import checked_draws, confidence_sequence
from handful.measure.intervals import clopper_pearson


def lure(losses: Array, q: Array, n_pool: int) -> float:
    """Return the mean loss on a pool from images drawn with unequal probabilities.

    Unbiased for the pool whatever the probabilities were, as long as every image with
    a loss could be drawn [1]_.

    Parameters
    ----------
    losses : ndarray of shape (n_samples,)
        In the order of the draws, without replacement; in ``[0, 1]``.
    q : ndarray of shape (n_samples,)
        Probability of each draw, given those before.
    n_pool : int
        Images in the pool before the first draw.

    Returns
    -------
    float
        NaN without a draw.

    Raises
    ------
    ValueError
        If the arguments do not fit.

    References
    ----------
    .. [1] Farquhar, Gal and Rainforth, "On Statistical Bias In Active Learning: How
       and When To Fix It", ICLR 2021, equation 10, https://arxiv.org/abs/2101.11665.

    Examples
    --------
    >>> lure([1.0, 0.0], [1 / 4, 1 / 3], 4)
    0.5
    """
    losses, q = checked_draws(losses, q, n_pool, uniform_share=1e-12)
    n = len(losses)
    if n == 0:
        return float("nan")
    before = n_pool - np.arange(n)  # images left before each draw
    rest = np.maximum(before - 1, 1)
    weights = 1 + (n_pool - n) / rest * (1 / (before * q) - 1)
    return float(np.mean(weights * losses))


def active_accuracy(
    hits: Array,
    q: Array,
    n_pool: int,
    *,
    uniform_share: float = 0.2,
    look: int = 1,
    what: str = "accuracy on the pool",
    confidence: float = 0.95,
) -> Estimate:
    """Return the accuracy of one model on a pool from images drawn with known probabilities.

    Parameters
    ----------
    hits : ndarray of shape (n_samples,)
        Whether the model was right, in the order of the draws; it must not have learnt
        from these labels.
    q, n_pool, uniform_share
        As for `confidence_sequence`; ``uniform_share`` as for `handful.select.expected_error`.
    look : int, default=1
        Number of the model, from 1, when several are measured on the same draws one
        after the other: the intervals of all of them hold together.
    what : str, default="accuracy on the pool"
        Which model on which pool.
    confidence : float, default=0.95

    Returns
    -------
    Estimate
        The value by `lure`, the interval by `confidence_sequence`: it holds at all times.

    Examples
    --------
    >>> hits = np.ones(30)
    >>> print(active_accuracy(hits, 1 / (500 - np.arange(30)), 500, uniform_share=1.0).percent)
    100.0 % (83.1–100.0)
    """
    hits = np.asarray(hits, np.float64)
    if not len(hits):
        return Estimate.not_measurable(what, "no image was drawn with a known probability")
    share = 1 - _risk(look, confidence)
    low, high = confidence_sequence(
        1 - hits, q, n_pool, uniform_share=uniform_share, confidence=share
    )
    value = float(np.clip(1 - lure(1 - hits, q, n_pool), 0, 1))
    bounds = min(1 - high[-1], value), max(1 - low[-1], value)
    how = f"weighted picks (LURE), confidence sequence valid at all times, look {look}"
    return Estimate(value, *bounds, len(hits), what, how, confidence)


def audited_accuracy(
    hits: Array,
    *,
    look: int = 1,
    what: str = "accuracy on the pool",
    confidence: float = 0.95,
) -> Estimate:
    """Return the accuracy of one model on a pool from uniform audits that it never saw.

    Parameters
    ----------
    hits : ndarray of shape (n_samples,)
        Whether the model was right on each audit.
    look : int, default=1
        Number of this look, from 1: each look at a new model, or at more audits,
        spends a share ``1 / (look · (look + 1))`` of the risk, so that all intervals
        shown hold together with the confidence.
    what : str, default="accuracy on the pool"
        Which model on which pool.
    confidence : float, default=0.95

    Returns
    -------
    Estimate
        Exact (Clopper-Pearson) interval; a finite pool makes it only narrower than claimed.

    Examples
    --------
    >>> print(audited_accuracy([1] * 19 + [0]).percent, audited_accuracy([1] * 19 + [0], look=9).percent)
    95.0 % (72.1–99.9) 95.0 % (57.9–100.0)
    """
    hits = np.asarray(hits, np.float64)
    if not len(hits):
        return Estimate.not_measurable(what, "no audit yet")
    n_right = round(float(hits.sum()))
    low, high = clopper_pearson(n_right, len(hits), confidence=1 - _risk(look, confidence))
    how = f"blind audits, exact interval that holds for all looks so far, look {look}"
    return Estimate(n_right / len(hits), low, high, len(hits), what, how, confidence)


def _risk(look: int, confidence: float) -> float:
    """Return the share of the risk that a look may spend; over all looks they sum to all of it."""
    if look < 1:
        raise ValueError(f"The 'look' is counted from 1. Got {look!r}.")
    return (1 - confidence) / (look * (look + 1))
