"""Unsure and diverse: a shortlist of small margins, then one image a cluster of it."""

from __future__ import annotations

import numpy as np

from handful.core import Array
from handful.select.clusters import central, k_means_clusters
from handful.select.picks import Picks, Pool, lowest, opened
from handful.select.scores import margins
from handful.select.typical import typiclust

_MANY, _FEW = 25, 3  # shortlisted images a pick, at most and at least
_SHARE = 8  # one in so many of the pool is shortlisted


def margin_k_means(
    *,
    proba: Array | None,
    X: Array | None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Shortlist the smallest margins; pick the image nearest to the centre of each cluster.

    A bare `margin` fills a batch with near copies, bare `k_means` spends labels
    on what the model knows. The shortlist has 25 images a pick, but no more than an
    eighth of the pool or 3 a pick: one that does not shrink with the pool is
    plain k-means.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes), or None
        None, while there is no model: plain k-means.
    X, labelled, n, random_state
        As for `k_center`.

    Returns
    -------
    Picks
        ``q`` is NaN.

    References
    ----------
    .. [1] Zhdanov, "Diverse mini-batch Active Learning", 2019,
       https://arxiv.org/abs/1901.05954. Deviations: the size of the shortlist,
       and clusters are not weighted.

    Examples
    --------
    >>> X = [[0.0], [0.1], [5.0], [5.1], [9.0]]
    >>> proba = [[0.5, 0.5], [0.6, 0.4], [0.5, 0.5], [0.6, 0.4], [1.0, 0.0]]
    >>> sorted(margin_k_means(proba=proba, X=X, n=1).indices < 4)
    [np.True_]
    """
    pool = opened(
        "margin_k_means", X=X, proba=proba, labelled=labelled, n=n, random_state=random_state,
        uses_X=True,
    )  # fmt: skip
    if pool.n == 0:
        return Picks.certain(pool.free[:0])
    rows = _shortlist(pool)
    clusters = k_means_clusters(pool.vectors[rows], pool.n, pool.random)
    return Picks.certain(rows[central(clusters, pool.n)])


def _shortlist(pool: Pool) -> Array:
    if pool.proba is None:
        return pool.free
    size = min(_MANY * pool.n, max(_FEW * pool.n, len(pool.free) // _SHARE), len(pool.free))
    wide = Pool(pool.X, pool.proba, pool.labelled, pool.free, size, pool.random)
    return np.sort(lowest(margins(pool.proba), wide))


def default(
    *,
    proba: Array | None,
    X: Array | None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Pick typical images first, then those that are unsure and diverse.

    The switch: `typiclust` while there is no model, one class, or less than one label
    a class on average; then `margin_k_means`. Its evidence is
    ``benchmarks/results/active_curves.json``, whose draws did not choose it.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes), or None
        None while there is no model.
    X, labelled, n, random_state
        As for `k_center`.

    Returns
    -------
    Picks
        ``q`` is NaN.

    Examples
    --------
    >>> X = [[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]]
    >>> sorted(default(proba=None, X=X, n=2).indices.tolist())
    [1, 4]
    """
    pool = opened("default", X=X, proba=proba, labelled=labelled, n=n, random_state=random_state)
    rule = typiclust if is_cold(pool.proba, len(pool.labelled)) else margin_k_means
    return rule(proba=proba, X=X, labelled=labelled, n=n, random_state=random_state)


def is_cold(proba: Array | None, n_labelled: int) -> bool:
    """Return whether a model has too few labels to be asked where it is unsure."""
    return proba is None or proba.shape[1] < 2 or n_labelled < proba.shape[1]
