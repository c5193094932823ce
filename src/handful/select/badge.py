"""Diverse images of large gradients, without ever forming a gradient."""

from __future__ import annotations

import numpy as np

from handful.core import Array, Float32, Int
from handful.select.clusters import squares
from handful.select.drawing import one_of
from handful.select.picks import Picks, Pool, opened

_TRIES, _ROUNDS = 8, 4  # rows proposed together, and how often before all are measured
_BLOCK = 16_384


def badge(
    *,
    proba: Array | None,
    X: Array | None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Draw images by k-means++ on the gradients that their likeliest labels would cause.

    The gradient of a linear head is the product of ``proba - onehot`` and the
    vector; distances of such products factor, so that nothing of the size
    classes × dimensions an image is formed [2]_.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes), or None
        None, while there is no model: k-means++ on the vectors.
    X, labelled, n, random_state
        As for `k_center`.

    Returns
    -------
    Picks
        ``q`` is NaN: the probabilities of the draws are not computed.

    References
    ----------
    .. [1] Ash, Zhang, Krishnamurthy, Langford and Agarwal, "Deep Batch Active
       Learning by Diverse, Uncertain Gradient Lower Bounds", ICLR 2020, algorithm 1,
       https://arxiv.org/abs/1906.03671. Deviation: the first image is drawn too.
    .. [2] Zhang et al., "LabelBench", 2023, appendix D,
       https://arxiv.org/abs/2306.09910.

    Examples
    --------
    >>> X, proba = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [1.0, 0.0], [0.5, 0.5]]
    >>> badge(proba=proba, X=X, n=1).indices[0] in (0, 2)
    True
    """
    pool = opened(
        "badge", X=X, proba=proba, labelled=labelled, n=n, random_state=random_state, uses_X=True
    )
    search = _Seeding(_Gradients(pool.vectors, pool.proba), pool)
    return Picks.certain(np.array([search.next() for _ in range(pool.n)], np.int64))


class _Seeding:
    """Draws rows in proportion to the squared distance from those drawn before.

    Distances only fall, so those of the past are bounds from above: a row drawn in
    proportion to its bound is taken with the probability distance over bound. That
    is an exact draw, and few rows are measured again.
    """

    def __init__(self, gradients: _Gradients, pool: Pool) -> None:
        self.gradients, self.random = gradients, pool.random
        self.bounds = np.zeros(len(pool.vectors), np.float32)
        self.bounds[pool.free] = gradients.lengths[pool.free]
        self.is_free = np.zeros(len(pool.vectors), np.bool_)
        self.is_free[pool.free] = True
        self.picked: list[int] = []

    def next(self) -> int:
        row = self._draw()
        self.is_free[row] = False
        self.picked.append(row)
        if len(self.picked) == 1:  # the lengths, from which the first is drawn, bound nothing
            self.bounds[self.is_free] = np.inf
            self._measure_all()
        self.bounds[row] = 0
        return row

    def _draw(self) -> int:
        for _ in range(_ROUNDS):
            row = self._try()
            if row is not None:
                return row
        self._measure_all()
        if self.bounds.any():
            return one_of(self.bounds, self.random)
        return int(self.random.choice(np.flatnonzero(self.is_free)))

    def _try(self) -> int | None:
        """Return a row drawn from the bounds and accepted, if there is one among a few."""
        edges = np.cumsum(self.bounds, dtype=np.float64)
        if edges[-1] <= 0:
            return None
        rows = np.searchsorted(edges, self.random.random(_TRIES) * edges[-1], side="right")
        rows = rows[rows < len(edges)]
        before = self.bounds[rows]
        self._measure(rows)
        accepted = self.random.random(len(rows)) * before < self.bounds[rows]
        return int(rows[accepted.argmax()]) if accepted.any() else None

    def _measure_all(self) -> None:
        for start in range(0, len(self.bounds), _BLOCK):
            self._measure(np.arange(start, min(start + _BLOCK, len(self.bounds))))

    def _measure(self, rows: Int) -> None:
        if self.picked:
            apart = self.gradients.distances(rows, np.array(self.picked)).min(axis=1)
            self.bounds[rows] = np.minimum(self.bounds[rows], apart)


class _Gradients:
    """Squared distances between gradients, from their two factors."""

    def __init__(self, X: Float32, proba: Float32 | None) -> None:
        self.X = X
        self.residuals = np.ones((len(X), 1), np.float32) if proba is None else -proba
        if proba is not None:
            self.residuals[np.arange(len(X)), proba.argmax(axis=1)] += 1
        self.lengths = squares(X) * squares(self.residuals)

    def distances(self, rows: Int, others: Int) -> Float32:
        """Return squared distances of shape (n_rows, n_others)."""
        product = self.X[rows] @ (-2 * self.X[others].T)
        product *= self.residuals[rows] @ self.residuals[others].T
        product += self.lengths[others]
        product += self.lengths[rows, None]
        return np.maximum(product, 0, out=product)
