"""Picks drawn with a known probability: random, and by expected error for testing a model."""

from __future__ import annotations

import numpy as np

from handful.core import Array, Float64
from handful.select.picks import Picks, Pool, opened


def random(
    *,
    proba: Array | None = None,
    X: Array | None = None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Pick at random, every image equally likely.

    Parameters
    ----------
    proba, X, labelled, n, random_state
        As for `margin`; of ``proba`` and ``X`` one is enough, for its length.

    Returns
    -------
    Picks
        ``q`` is one over the number of images that were left.

    Examples
    --------
    >>> picks = random(X=np.zeros((4, 1)), labelled=[0], n=9)
    >>> sorted(picks.indices.tolist()), picks.q.round(2).tolist()
    ([1, 2, 3], [0.33, 0.5, 1.0])
    """
    pool = opened("random", X=X, proba=proba, labelled=labelled, n=n, random_state=random_state)
    rows = pool.random.choice(pool.free, pool.n, replace=False)
    return Picks(rows, 1 / (len(pool.free) - np.arange(pool.n, dtype=np.float64)))


def expected_error(
    *,
    proba: Array | None,
    X: Array | None = None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
    uniform_share: float = 0.2,
) -> Picks:
    """Draw images on which the model probably errs, to measure it with few labels.

    One image after the other is drawn in proportion to the root of ``1 - max(proba)``
    [1]_, mixed with a uniform share that keeps every weight of the estimate bounded.
    `handful.measure.lure` undoes the preference.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes), or None
        Of the model to be measured. None: uniform.
    X, labelled, n, random_state
        As for `margin`.
    uniform_share : float, default=0.2
        Share of picks that are uniform, in ``(0, 1]``.

    Returns
    -------
    Picks
        With ``q``.

    Raises
    ------
    ValueError
        If the arrays do not fit or the share is out of range.

    References
    ----------
    .. [1] Kossen, Farquhar, Gal and Rainforth, "Active Testing: Sample-Efficient
       Model Evaluation", ICML 2021, section 4.1, https://arxiv.org/abs/2103.05331.
       Deviations: the model is its own surrogate; the uniform share; the
       root, since of a loss that is 1 with a probability that root has the least variance.

    Examples
    --------
    >>> picks = expected_error(proba=[[0.5, 0.5], [1.0, 0.0], [1.0, 0.0]], n=1)
    >>> picks.indices, picks.q.round(3)
    (array([0]), array([0.867]))
    """
    if not 0 < uniform_share <= 1:
        raise ValueError(f"The 'uniform_share' must be in (0, 1]. Got {uniform_share!r}.")
    pool = opened(
        "expected_error", X=X, proba=proba, labelled=labelled, n=n, random_state=random_state
    )
    scores = np.ones(len(pool.free))
    if pool.proba is not None:
        error = 1 - pool.proba.max(axis=1)[pool.free].astype(np.float64)
        scores = np.sqrt(np.maximum(error, 0))
    return drawn(scores, pool, uniform_share)


def drawn(scores: Float64, pool: Pool, uniform_share: float) -> Picks:
    """Draw free rows one after the other, in proportion to their scores or uniformly.

    Parameters
    ----------
    scores : ndarray of shape (n_free,), float64
        At least 0.
    pool : Pool
    uniform_share : float
        In ``(0, 1]``.
    """
    weights, left = np.maximum(scores, 0), np.ones(len(scores), np.bool_)
    chosen, q = np.empty(pool.n, np.int64), np.empty(pool.n)
    for step in range(pool.n):
        total, n_left = float(weights.sum()), len(left) - step
        share = uniform_share if total > 0 else 1.0
        if pool.random.random() < share:
            row = int(pool.random.choice(np.flatnonzero(left)))
        else:
            row = one_of(weights, pool.random)
        preferred = weights[row] / total if total > 0 else 0.0
        chosen[step], q[step] = row, share / n_left + (1 - share) * preferred
        weights[row], left[row] = 0, False
    return Picks(pool.free[chosen], q)


def one_of(weights: Array, random: np.random.Generator) -> int:
    """Return a row drawn in proportion to its weight; the weights do not sum to 0."""
    edges = np.cumsum(weights, dtype=np.float64)
    row = int(np.searchsorted(edges, random.random() * edges[-1], side="right"))
    return min(row, int(np.flatnonzero(weights)[-1])) if row >= len(edges) else row
