"""Images whose neighbourhoods cover the pool, found without a matrix of all pairs."""

from __future__ import annotations

import numpy as np

from handful.core import Array, Bool, Float32, Int, UInt8
from handful.select.clusters import k_means_clusters, squares
from handful.select.picks import Picks, Pool, opened

_COMPARED = 10_000
_QUERIES = 1000  # rows from which the radius is estimated
_BLOCK = 512
_UNKNOWN_CLASSES = 10


def probcover(
    *,
    proba: Array | None = None,
    X: Array | None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
    n_classes: int | None = None,
    purity: float = 0.95,
) -> Picks:
    """Pick, one by one, the image whose ball holds most images outside all balls so far.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes), default=None
        Only its number of classes is used.
    X, labelled, n, random_state
        As for `k_center`.
    n_classes : int, default=None
        Clusters by which the radius is chosen; None: the columns of ``proba``, 10 without.
    purity : float, default=0.95
        Share of balls that hold one cluster alone, in ``(0, 1)``.

    Returns
    -------
    Picks
        ``q`` is NaN. When everything is covered the rest is drawn at random.

    Notes
    -----
    Of more than 10,000 images so many are drawn, the labelled ones first; their
    pairs take one bit each, 13 MB at most. The radius is the quantile ``1 - purity`` of the
    distance to the nearest image of another k-means cluster, which is the largest
    radius of that purity.

    References
    ----------
    .. [1] Yehuda, Dekel, Hacohen and Weinshall, "Active Learning Through a Covering
       Lens", NeurIPS 2022, algorithm 1 and section 3.3,
       https://arxiv.org/abs/2205.11320. Deviations: the sample, the closed form
       of the radius.

    Examples
    --------
    >>> X = [[0.0], [0.1], [0.2], [9.0]]
    >>> bool(probcover(X=X, n=1, n_classes=2).indices[0] < 3)
    True
    """
    pool = opened(
        "probcover", X=X, proba=proba, labelled=labelled, n=n, random_state=random_state,
        uses_X=True,
    )  # fmt: skip
    if n_classes is None:
        n_classes = _UNKNOWN_CLASSES if pool.proba is None else pool.proba.shape[1]
    rows = _sample(pool)
    X = pool.vectors[rows]
    radius = _radius(X, n_classes, purity, pool.random)
    chosen = rows[_covering(X, radius, ~np.isin(rows, pool.labelled), pool)]
    rest = np.setdiff1d(pool.free, chosen)
    drawn = pool.random.choice(rest, pool.n - len(chosen), replace=False)
    return Picks.certain(np.concatenate([chosen, drawn]))


def _sample(pool: Pool) -> Int:
    most = max(_COMPARED - len(pool.labelled), pool.n)
    free = pool.free
    if len(free) > most:
        free = np.sort(pool.random.choice(free, most, replace=False))
    return np.sort(np.concatenate([pool.labelled[:_COMPARED], free]))


def _radius(X: Float32, n_classes: int, purity: float, random: np.random.Generator) -> float:
    """Return the squared radius of balls of which the given share is pure."""
    codes = k_means_clusters(X, n_classes, random).codes
    queries = random.permutation(len(X))[:_QUERIES]
    lengths, nearest = squares(X), []
    for start in range(0, len(queries), _BLOCK):
        rows = queries[start : start + _BLOCK]
        apart = _apart(X, lengths, rows)
        apart[codes[rows][:, None] == codes] = np.inf
        nearest.append(apart.min(axis=1))
    found = np.concatenate(nearest)
    return float(np.quantile(found, 1 - purity)) if np.isfinite(found).all() else np.inf


def _covering(X: Float32, radius: float, is_free: Bool, pool: Pool) -> Int:
    """Return rows in the order of how many uncovered rows their balls hold."""
    near, degrees = _near(X, radius)
    covered = np.zeros(len(X), np.bool_)
    for row in np.flatnonzero(~is_free).tolist():
        degrees -= _cover(near, row, covered)
    chosen: list[int] = []
    while len(chosen) < min(pool.n, int(is_free.sum())):
        degree = np.where(is_free, degrees, -1)
        degree[chosen] = -1
        most = degree.max()
        if most <= 0:
            break
        chosen.append(int(pool.random.choice(np.flatnonzero(degree == most))))
        degrees -= _cover(near, chosen[-1], covered)
    return np.array(chosen, np.int64)


def _near(X: Float32, radius: float) -> tuple[UInt8, Int]:
    """Return which rows are within the radius of which, a bit a pair, and how many."""
    lengths = squares(X)
    near = np.empty((len(X), -(-len(X) // 8)), np.uint8)
    degrees = np.empty(len(X), np.int64)
    for start in range(0, len(X), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(X)))
        inside = _apart(X, lengths, rows) <= radius
        inside[np.arange(len(rows)), rows] = True
        near[rows], degrees[rows] = np.packbits(inside, axis=1), inside.sum(axis=1)
    return near, degrees


def _cover(near: UInt8, row: int, covered: Bool) -> Int:
    """Cover the ball of a row; return by how much every row's count of uncovered ones falls."""
    ball = np.unpackbits(near[row], count=len(covered)).view(np.bool_)
    new = np.flatnonzero(ball & ~covered)
    covered[new] = True
    fall = np.zeros(len(covered), np.int64)
    for start in range(0, len(new), _BLOCK):
        bits = np.unpackbits(near[new[start : start + _BLOCK]], axis=1, count=len(covered))
        fall += bits.sum(axis=0, dtype=np.int64)
    return fall


def _apart(X: Float32, lengths: Float32, rows: Int) -> Float32:
    return np.maximum(lengths[rows][:, None] + lengths - 2 * (X[rows] @ X.T), 0)
