"""What vectors say of a network that learns without labels: progress, or collapse."""

from __future__ import annotations

import numpy as np

from handful.core import Array, Float32, Float64, Int

_BLOCK = 1024  # rows whose similarities are held at once
_FLAT = 1e-6  # of the vectors' size: smaller differences are none
_LOWEST_RANK = 1.5


def knn_accuracy(X: Array, y: Int, k: int = 5) -> float:
    """Return the share of rows whose most similar other rows vote for their class.

    Leave-one-out under cosine, every one of ``k`` votes weighing its similarity,
    so that a tie goes to the nearer class. It shows whether a run gets better; it is no
    measure of a model, since the rows were trained on.

    Parameters
    ----------
    X : array-like of shape (n, dim)
    y : ndarray of shape (n,), int
        Classes from 0.
    k : int, default=5
        Number of votes, at least 1; fewer where there are fewer rows.

    Returns
    -------
    float
        In ``[0, 1]``.

    Raises
    ------
    ValueError
        If there are fewer than two rows, or ``k`` is below 1.

    Examples
    --------
    >>> knn_accuracy(np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]]), np.array([0, 0, 1, 1]), 1)
    1.0
    """
    if len(X) < 2 or k < 1:
        raise ValueError(f"Neighbours need two rows and one vote. Got {len(X)} rows and {k} votes.")
    rows, votes = _unit(X), np.eye(int(y.max()) + 1, dtype=np.float32)[y]
    k, right = min(k, len(rows) - 1), 0
    for start in range(0, len(rows), _BLOCK):
        similarity = rows[start : start + _BLOCK] @ rows.T
        own = np.arange(len(similarity))
        similarity[own, start + own] = -np.inf
        nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        weight = 2 + np.take_along_axis(similarity, nearest, axis=1)  # above 0 for any cosine
        scores = np.einsum("nk,nkc->nc", weight, votes[nearest])
        right += int((scores.argmax(axis=1) == y[start : start + _BLOCK]).sum())
    return right / len(rows)


def alignment(X: Array, other: Array) -> float:
    """Return the mean squared distance of two views of each image on the unit sphere [1]_.

    Parameters
    ----------
    X, other : array-like of shape (n, dim)
        Vectors of two views; row by row of one image.

    Returns
    -------
    float
        In ``[0, 4]``; lower is better, and 0 is also what a collapsed network has.

    References
    ----------
    .. [1] Wang and Isola, "Understanding Contrastive Representation Learning
       through Alignment and Uniformity on the Hypersphere", ICML 2020,
       https://arxiv.org/abs/2005.10242, with alpha = 2.

    Examples
    --------
    >>> alignment(np.eye(2), np.eye(2)[::-1])
    2.0
    """
    return float(np.square(_unit(X) - _unit(other)).sum(axis=1).mean())


def uniformity(X: Array) -> float:
    """Return the logarithm of the mean Gaussian potential of pairs on the unit sphere [1]_.

    Parameters
    ----------
    X : array-like of shape (n, dim)
        At least two rows.

    Returns
    -------
    float
        In ``[-8, 0]``; lower is better: 0 when all vectors are equal, near -4 when
        they lie evenly in many dimensions.

    References
    ----------
    .. [1] As in `alignment`, with t = 2.

    Examples
    --------
    >>> round(uniformity(np.eye(2)), 6)
    -4.0
    """
    rows = _unit(X).astype(np.float64)
    if len(rows) < 2:
        raise ValueError(f"Uniformity needs two rows. Got {len(rows)}.")
    first, second = np.triu_indices(len(rows), 1)
    distance = np.maximum(2 - 2 * (rows @ rows.T)[first, second], 0)
    return float(np.log(np.exp(-2 * distance).mean()))


def effective_rank(X: Array) -> float:
    """Return in how many directions vectors vary: the exponential of their spectrum's entropy [1]_.

    Parameters
    ----------
    X : array-like of shape (n, dim)
        Finite.

    Returns
    -------
    float
        In ``[1, min(n, dim)]``; 1 also when nothing varies.

    References
    ----------
    .. [1] Roy and Vetterli, "The effective rank: A measure of effective
       dimensionality", EUSIPCO 2007. Deviation: of the centred vectors.

    Examples
    --------
    >>> round(effective_rank(np.vstack([np.eye(3), -np.eye(3)])), 6)
    3.0
    """
    rows = np.asarray(X, np.float64)
    values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    if not values.sum() > _FLAT * np.abs(rows).max(initial=0):
        return 1.0
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def collapsed(X: Array) -> str | None:
    """Return the sentence that says why these vectors are useless, or None.

    Parameters
    ----------
    X : array-like of shape (n, dim)
        Of different images; with fewer than four rows nothing can be said.

    Examples
    --------
    >>> collapsed(np.ones((8, 4)))
    'All 8 images have the same vector.'
    >>> collapsed(np.random.default_rng(0).normal(size=(8, 4)))
    """
    rows = np.asarray(X)
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows).all(axis=1)).sum())
        return f"The vectors of {bad} of {len(rows)} images are not finite."
    if len(rows) < 4:
        return None
    if np.ptp(rows, axis=0).max() <= _FLAT * np.abs(rows).max(initial=0):
        return f"All {len(rows)} images have the same vector."
    rank = effective_rank(rows)
    if rank < _LOWEST_RANK and rows.shape[1] > 1:
        return f"The vectors of {len(rows)} images vary in one direction only (effective rank {rank:.1f})."
    return None


def _unit(X: Array) -> Float32:
    rows: Float64 = np.asarray(X, np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(length, 1e-12)).astype(np.float32)
