"""Images that lie far from all labelled ones, or in the middle of clusters."""

from __future__ import annotations

import numpy as np

from handful.core import Array, Float32, Int
from handful.select.clusters import central, k_means_clusters, squares
from handful.select.picks import Picks, opened

_KEPT = 2048  # rows that are measured again after every pick
_BLOCK = 16_384


def k_center(
    *,
    proba: Array | None = None,
    X: Array | None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Pick, one by one, the image farthest from everything labelled or picked.

    The greedy solution of the k-center problem, "core-set" [1]_: it covers the
    pool, outliers first, which makes it poor with few labels.

    Parameters
    ----------
    proba : None
        Not used.
    X : ndarray of shape (n_samples, n_features)
        Vectors of all images of the pool; see `prepared`.
    labelled, n, random_state
        As for `margin`. Without a label the first pick is random.

    Returns
    -------
    Picks
        ``q`` is NaN.

    Raises
    ------
    ValueError
        If the arrays do not fit.

    Notes
    -----
    Distances only fall, so those of the past are bounds from above: only the
    rows of the largest bounds are measured again after a pick. The picks are
    those of the plain algorithm.

    References
    ----------
    .. [1] Sener and Savarese, "Active Learning for Convolutional Neural Networks:
       A Core-Set Approach", ICLR 2018, algorithm 1, https://arxiv.org/abs/1708.00489.

    Examples
    --------
    >>> k_center(X=[[0.0], [1.0], [5.0]], labelled=[0], n=2).indices
    array([2, 1])
    """
    pool = opened(
        "k_center", X=X, proba=None, labelled=labelled, n=n, random_state=random_state, uses_X=True
    )
    if pool.n == 0:
        return Picks.certain(pool.free[:0])
    first = [] if len(pool.labelled) else [int(pool.random.choice(pool.free))]
    search = _Farthest(pool.vectors, np.concatenate([pool.labelled, first]).astype(np.int64))
    found = [search.next() for _ in range(pool.n - len(first))]
    return Picks.certain(np.array(first + found))


class _Farthest:
    """Finds the row farthest from a growing set of rows."""

    def __init__(self, X: Float32, centres: Int) -> None:
        self.X, self.lengths = X, squares(X)
        self.bounds = np.full(len(X), np.inf, np.float32)
        for start in range(0, len(X), _BLOCK):
            self._measure(slice(start, start + _BLOCK), centres)
        self.bounds[centres] = -1
        self.picked: list[int] = []
        self.kept, self.outside = np.empty(0, np.int64), np.inf

    def next(self) -> int:
        if self.picked:
            self._measure_kept()
        size = _KEPT
        while not len(self.kept) or self.bounds[self.kept].max() < self.outside:
            self._keep(size)
            size *= 4
        row = int(self.kept[self.bounds[self.kept].argmax()])
        self.bounds[row] = -1
        self.picked.append(row)
        return row

    def _measure_kept(self) -> None:
        last = self.picked[-1]
        apart = self.rows @ (-2 * self.X[last])
        apart += self.lengths[self.kept] + self.lengths[last]
        self._lower(self.kept, apart)

    def _keep(self, size: int) -> None:
        """Measure the rows of the largest bounds against all picks, and keep them at hand."""
        size = min(size, len(self.bounds))
        order = np.argpartition(self.bounds, len(self.bounds) - size)
        outside, self.kept = order[:-size], order[-size:]
        self.outside = float(self.bounds[outside].max()) if len(outside) else -np.inf
        self.rows = self.X[self.kept]
        if self.picked:
            self._measure(self.kept, np.array(self.picked))

    def _measure(self, rows: Int | slice, centres: Int) -> None:
        apart = self.X[rows] @ (-2 * self.X[centres].T)
        apart += self.lengths[centres]
        self._lower(rows, apart.min(axis=1) + self.lengths[rows])

    def _lower(self, rows: Int | slice, distances: Float32) -> None:
        is_taken = self.bounds[rows] < 0
        lowered = np.minimum(self.bounds[rows], np.maximum(distances, 0))
        self.bounds[rows] = np.where(is_taken, -1, lowered)


def k_means(
    *,
    proba: Array | None = None,
    X: Array | None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Pick the image nearest to the centre of each of ``n`` clusters of the unlabelled images.

    Parameters
    ----------
    proba : None
        Not used.
    X, labelled, n, random_state
        As for `k_center`.

    Returns
    -------
    Picks
        ``q`` is NaN; the largest cluster first.

    References
    ----------
    .. [1] Zhdanov, "Diverse mini-batch Active Learning", 2019,
       https://arxiv.org/abs/1901.05954, without its weights.

    Examples
    --------
    >>> k_means(X=[[0.0], [0.1], [5.0], [5.2], [5.1]], n=2).indices[0]
    np.int64(4)
    """
    pool = opened(
        "k_means", X=X, proba=None, labelled=labelled, n=n, random_state=random_state, uses_X=True
    )
    if pool.n == 0:
        return Picks.certain(pool.free[:0])
    clusters = k_means_clusters(pool.vectors[pool.free], pool.n, pool.random)
    return Picks.certain(pool.free[central(clusters, pool.n)])
