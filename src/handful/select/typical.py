"""Typical images of clusters that have no label yet: the cold start."""

from __future__ import annotations

import numpy as np

from handful.core import Array, Float32, Int
from handful.select.clusters import k_means_clusters, squares
from handful.select.picks import Picks, Pool, opened

_NEIGHBOURS = 20
_MOST_CLUSTERS = 500
_COMPARED = 1000  # rows of one cluster among which the typical ones are looked for


def typiclust(
    *,
    proba: Array | None = None,
    X: Array | None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Pick the most typical image of each cluster that has the fewest labels.

    The pool is cut into as many clusters as there will be labels, at most 500.
    Clusters without a label come first, large before small; of each the image
    of the lowest mean distance to its 20 nearest neighbours in the cluster. It needs
    no model, and is the cold start of `default`; with many labels it loses to
    rules that look at the model.

    Parameters
    ----------
    proba : None
        Not used.
    X, labelled, n, random_state
        As for `k_center`.

    Returns
    -------
    Picks
        ``q`` is NaN.

    References
    ----------
    .. [1] Hacohen, Dekel and Weinshall, "Active Learning on a Budget: Opposite
       Strategies Suit High and Low Budgets", ICML 2022, algorithm 1,
       https://arxiv.org/abs/2202.02794. Deviations: small clusters are not left
       out; in a cluster of more than 1,000 images so many, drawn at random, are
       compared.

    Examples
    --------
    >>> X = [[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]]
    >>> typiclust(X=X, labelled=[4], n=1).indices
    array([1])
    """
    pool = opened(
        "typiclust", X=X, proba=None, labelled=labelled, n=n, random_state=random_state, uses_X=True
    )
    if pool.n == 0:
        return Picks.certain(pool.free[:0])
    n_clusters = min(len(pool.labelled) + pool.n, _MOST_CLUSTERS)
    codes = k_means_clusters(pool.vectors, n_clusters, pool.random).codes
    return Picks.certain(_from_clusters(codes, n_clusters, pool))


def _from_clusters(codes: Int, n_clusters: int, pool: Pool) -> Int:
    sizes = np.bincount(codes[pool.free], minlength=n_clusters)
    labels = np.bincount(codes[pool.labelled], minlength=n_clusters)
    order = pool.free[np.argsort(codes[pool.free], kind="stable")]
    members = np.split(order, np.cumsum(sizes)[:-1])
    waiting: dict[int, list[int]] = {}
    chosen: list[int] = []
    while len(chosen) < pool.n:
        wanted = int(np.lexsort((-sizes, labels, sizes == 0))[0])
        queue = waiting.get(wanted)
        if not queue:
            queue = waiting[wanted] = _by_typicality(members[wanted], chosen, pool)
        chosen.append(queue.pop())
        sizes[wanted] -= 1
        labels[wanted] += 1
    return np.array(chosen, np.int64)


def _by_typicality(rows: Int, chosen: list[int], pool: Pool) -> list[int]:
    """Return rows of a cluster that are not chosen, the most typical last."""
    rows = np.setdiff1d(rows, chosen)
    if len(rows) > _COMPARED:
        rows = np.sort(pool.random.choice(rows, _COMPARED, replace=False))
    return list(rows[np.argsort(-distance_to_neighbours(pool.vectors[rows]), kind="stable")])


def distance_to_neighbours(X: Float32) -> Float32:
    """Return the mean distance of every row to its nearest others, at most 20."""
    k = min(_NEIGHBOURS, len(X) - 1)
    if k < 1:
        return np.zeros(len(X), np.float32)
    lengths = squares(X)
    apart = X @ (-2 * X.T)
    apart += lengths
    np.fill_diagonal(apart, np.inf)
    apart.partition(k - 1, axis=1)
    return np.sqrt(np.maximum(apart[:, :k] + lengths[:, None], 0)).mean(axis=1)
