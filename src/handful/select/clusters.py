"""K-means on float32 rows, as far as a selection needs it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from handful.core import Float32, Int

_DISTANCES_AT_ONCE = 4_000_000
_FIT_ON, _SEED_ON = 20_000, 4096  # rows on which centres are found, and begun
_STEPS = 12


@dataclass(frozen=True)
class Clusters:
    """Rows in clusters.

    Parameters
    ----------
    centres : ndarray of shape (n_clusters, n_features), float32
    codes : ndarray of shape (n_samples,), int64
        Cluster of each row; some clusters may be empty.
    distances : ndarray of shape (n_samples,), float32
        Squared, to the own centre, at least 0.
    """

    centres: Float32
    codes: Int
    distances: Float32


def k_means_clusters(
    X: Float32, n_clusters: int, random: np.random.Generator, weights: Float32 | None = None
) -> Clusters:
    """Cluster rows by Lloyd's steps from a k-means++ start.

    Centres are begun on at most 4,096 rows (10 a cluster, if that is more) and found on
    at most 20,000, drawn at random; all rows are assigned.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32
    n_clusters : int
        At least 1; clipped to the number of rows.
    random : Generator
    weights : ndarray of shape (n_samples,), optional
        How much a row pulls its centre, above 0.

    References
    ----------
    .. [1] Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding",
       SODA 2007, http://ilpubs.stanford.edu:8090/778/. Of several candidates for
       every centre the best is taken, as their section 7 proposes.

    Examples
    --------
    >>> X = np.array([[0, 0], [0, 1], [9, 9]], np.float32)
    >>> codes = k_means_clusters(X, 2, np.random.default_rng(0)).codes
    >>> bool(codes[0] == codes[1] != codes[2])
    True
    """
    rows = np.arange(len(X))
    if len(X) > _FIT_ON:
        rows = np.sort(random.choice(len(X), _FIT_ON, replace=False))
    sample = X[rows] if len(rows) < len(X) else X
    weight = np.ones(len(rows), np.float32) if weights is None else weights[rows]
    centres = _spread_out(sample, weight, min(n_clusters, len(rows)), random)
    before = None
    for _ in range(_STEPS):
        codes, _ = assigned(sample, centres)
        if before is not None and np.array_equal(codes, before):
            break
        centres, before = _means(sample, weight, codes, centres), codes
    return Clusters(centres, *assigned(X, centres))


def assigned(X: Float32, centres: Float32) -> tuple[Int, Float32]:
    """Return the nearest centre of every row and the squared distance to it."""
    codes, distances = np.empty(len(X), np.int64), np.empty(len(X), np.float32)
    lengths, step = squares(centres), max(1, _DISTANCES_AT_ONCE // len(centres))
    for start in range(0, len(X), step):
        block = X[start : start + step]
        apart = block @ (-2 * centres.T)
        apart += lengths
        nearest = apart.argmin(axis=1)
        codes[start : start + step] = nearest
        distances[start : start + step] = apart[np.arange(len(block)), nearest] + squares(block)
    return codes, np.maximum(distances, 0)


def squares(X: Float32) -> Float32:
    """Return the squared length of every row."""
    return np.einsum("ij,ij->i", X, X)


def central(clusters: Clusters, n: int) -> Int:
    """Return ``n`` distinct rows: the one nearest to each centre, largest clusters first.

    Where clusters are empty, the rows farthest from their centres follow.
    """
    order = np.lexsort((clusters.distances, clusters.codes))
    found, first = np.unique(clusters.codes[order], return_index=True)
    size = np.bincount(clusters.codes, minlength=len(clusters.centres))[found]
    chosen = order[first][np.argsort(-size, kind="stable")][:n]
    rest = np.setdiff1d(np.arange(len(order)), chosen)
    far = rest[np.argsort(-clusters.distances[rest], kind="stable")][: n - len(chosen)]
    return np.concatenate([chosen, far])


def _spread_out(X: Float32, weights: Float32, k: int, random: np.random.Generator) -> Float32:
    """Return the start: rows drawn in proportion to their distance from those before."""
    if len(X) > max(_SEED_ON, 10 * k):
        rows = random.choice(len(X), max(_SEED_ON, 10 * k), replace=False)
        X, weights = X[rows], weights[rows]
    lengths, n_tries = squares(X), 2 + int(math.log(k))
    first = random.choice(len(X), p=weights.astype(np.float64) / weights.sum(dtype=np.float64))
    centres = [first]
    nearest = np.maximum(lengths + lengths[first] - 2 * (X @ X[first]), 0)
    for _ in range(k - 1):
        edges = np.cumsum(nearest * weights, dtype=np.float64)
        if edges[-1] <= 0:
            centres.append(int(random.integers(len(X))))
            continue
        tries = np.searchsorted(edges, random.random(n_tries) * edges[-1], side="right")
        tries = np.minimum(tries, len(X) - 1)
        apart = lengths[:, None] + lengths[tries] - 2 * (X @ X[tries].T)
        np.clip(apart, 0, nearest[:, None], out=apart)
        best = int((weights @ apart).argmin())
        centres.append(int(tries[best]))
        nearest = np.ascontiguousarray(apart[:, best])
    return X[centres]


def _means(X: Float32, weights: Float32, codes: Int, centres: Float32) -> Float32:
    """Return the weighted mean of every cluster; an empty one stays where it was."""
    member = sparse.csr_array((weights, (codes, np.arange(len(X)))), shape=(len(centres), len(X)))
    total = np.asarray(member.sum(axis=1)).ravel()
    means = (member @ X) / np.maximum(total, 1e-30)[:, None]
    return np.where(total[:, None] > 0, means, centres).astype(np.float32)
