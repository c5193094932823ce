"""Bounds of a mean loss that hold at all times, however often one looks."""

from __future__ import annotations

import math

import numpy as np

from handful.core import Array, Float64

_GRID = 1001  # values of the mean that are tested
_BOLD = 0.75  # share of the capital that may be lost on one image
_PRIOR_VARIANCE = 0.1  # of a weighted loss, worth one image


def confidence_sequence(
    losses: Array,
    q: Array,
    n_pool: int,
    *,
    uniform_share: float = 1.0,
    confidence: float = 0.95,
) -> tuple[Float64, Float64]:
    """Return bounds of the mean loss on a pool after each image drawn from it.

    All of them hold together with the confidence: one may look after every image
    and stop when one likes. Against each value of the mean a gambler bets on the
    next weighted loss; a value at which he would have become ``1 / (1 - confidence)``
    times as rich is excluded [1]_.

    Parameters
    ----------
    losses : ndarray of shape (n_samples,)
        In ``[0, 1]``, in the order of the draws, without replacement.
    q : ndarray of shape (n_samples,)
        Probability with which each was drawn, given those before, in ``(0, 1]``. What it
        was chosen by must not look at the losses to come.
    n_pool : int
        Images in the pool before the first draw.
    uniform_share : float, default=1.0
        Every image left had at least this share of the uniform probability, in
        ``(0, 1]``; 1 for uniform draws, as for `handful.select.expected_error` otherwise.
    confidence : float, default=0.95
        In ``(0, 1)``.

    Returns
    -------
    low, high : ndarray of shape (n_samples,)
        Bounds after each draw, in ``[0, 1]``, never wider than before.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    .. [1] Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
       betting", JRSS B 86(1), 2024, sections 4.2 and 5, https://arxiv.org/abs/2010.09686.
       Deviations: draws of unequal probability, by weights whose bounds
       fall as the pool empties; the mean of both bets instead of the larger.

    Examples
    --------
    >>> low, high = confidence_sequence(np.zeros(50), 1 / (1000 - np.arange(50)), 1000)
    >>> bool(low[-1] == 0), bool(high[-1] < 0.1)
    (True, True)
    """
    losses, q = checked_draws(losses, q, n_pool, uniform_share)
    grid = np.linspace(0, 1, _GRID)
    up, down = np.zeros(_GRID), np.zeros(_GRID)
    possible = np.ones(_GRID, np.bool_)
    low, high = np.empty(len(losses)), np.empty(len(losses))
    known, spread, rich = 0.0, _PRIOR_VARIANCE, math.log(1 / (1 - confidence))
    for step, (loss, probability) in enumerate(zip(losses, q, strict=True)):
        largest = (n_pool - step) / (uniform_share * n_pool)
        expected = np.clip(grid - known / n_pool, 0, largest)
        weighted = min(loss / (probability * n_pool), largest)
        bet = _bet(spread / (step + 1), step + 1, confidence)
        win = np.minimum(bet, _BOLD / np.maximum(expected, 1e-12))
        lose = np.minimum(bet, _BOLD / np.maximum(largest - expected, 1e-12))
        up += np.log1p(win * (weighted - expected))
        down += np.log1p(-lose * (weighted - expected))
        still = possible & (np.logaddexp(up, down) - math.log(2) < rich)
        known += loss
        still &= (grid >= known / n_pool - 1 / _GRID) & (
            grid <= (known + n_pool - step - 1) / n_pool + 1 / _GRID
        )
        possible = still if still.any() else possible
        low[step], high[step] = _ends(grid, possible)
        spread += (weighted - _centre(low[step], high[step], known - loss, n_pool)) ** 2
    return low, high


def checked_draws(
    losses: Array, q: Array, n_pool: int, uniform_share: float
) -> tuple[Float64, Float64]:
    """Return losses and probabilities as float64, or say what is wrong with them."""
    losses, q = np.asarray(losses, np.float64), np.asarray(q, np.float64)
    if losses.shape != q.shape or losses.ndim != 1 or len(losses) > n_pool:
        raise ValueError(
            "Losses and 'q' must have a number a draw, and no more draws than the pool has images. "
            f"Got shapes {losses.shape} and {q.shape} and a pool of {n_pool}."
        )
    if not ((losses >= 0) & (losses <= 1)).all():
        raise ValueError("Losses must be in [0, 1].")
    if not ((q > 0) & (q <= 1 + 1e-9)).all():
        raise ValueError(
            "Every 'q' must be in (0, 1]: images picked without a known probability say nothing "
            "of the pool. Use audits, or picks of select.random or select.expected_error."
        )
    least = uniform_share / (n_pool - np.arange(len(q)))
    if not 0 < uniform_share <= 1 or (q < least * (1 - 1e-6)).any():
        raise ValueError(
            "The 'uniform_share' must be in (0, 1], and no 'q' below that share of the uniform "
            f"probability. Got {uniform_share!r}. Give the share the images were drawn with."
        )
    return losses, q


def _bet(variance: float, step: int, confidence: float) -> float:
    """Return the bet that would be best for a loss of this variance, over all times."""
    return math.sqrt(2 * math.log(2 / (1 - confidence)) / (variance * step * math.log(step + 1)))


def _ends(grid: Float64, possible: Array) -> tuple[float, float]:
    """Return the bounds of the values left, one step of the grid wider."""
    left = np.flatnonzero(possible)
    return float(grid[max(left[0] - 1, 0)]), float(grid[min(left[-1] + 1, len(grid) - 1)])


def _centre(low: float, high: float, known: float, n_pool: int) -> float:
    return max((low + high) / 2 - known / n_pool, 0.0)
