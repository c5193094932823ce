"""The mutual nearest-neighbour graph, and what spreads along it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from handful.core import Float32, Int
from handful.embeddings import nearest

N_AXES = 128  # principal axes on which rows are compared
_TINY = np.float32(1e-30)


def mutual_graph(rows: Float32, n_neighbors: int, *, temperature: float) -> Any:
    """Return the normalised adjacency of rows that are neighbours of each other.

    Two rows are joined when each is among the ``n_neighbors`` most similar of the
    other; the weight is ``exp((cosine - 1) / temperature)``, divided by the root of
    the degrees at both ends. A row that is nobody's mutual neighbour is isolated:
    its line is empty.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features), float32
    n_neighbors : int
        At least 1.
    temperature : float
        Divides cosines, above 0; higher makes weights more equal.

    Returns
    -------
    csr_array of shape (n_samples, n_samples), float32
        Symmetric, the largest eigenvalue at most 1.

    Examples
    --------
    >>> rows = np.array([[1, 0], [1, 0.1], [0, 1]], np.float32)
    >>> mutual_graph(rows, 1, temperature=0.1).toarray().round(2).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    n = len(rows)
    indices, cosines = _others(*nearest(rows, rows, n_neighbors + 1))
    weights = np.exp((np.clip(cosines, -1, 1) - 1) / np.float32(temperature))
    starts = np.arange(n + 1) * indices.shape[1]
    directed = sparse.csr_array((weights.ravel(), indices.ravel(), starts), shape=(n, n))
    mutual = directed.minimum(directed.T).tocsr()
    degree = np.asarray(mutual.sum(axis=1), np.float32)
    root = sparse.diags_array(1 / np.sqrt(np.maximum(degree, _TINY)))
    return (root @ mutual @ root).tocsr().astype(np.float32)


def spread(graph: Any, values: Float32, *, alpha: float, n_steps: int) -> Float32:
    """Return values after ``n_steps`` of giving the share ``alpha`` to the neighbours.

    The iteration of Zhou et al., "Learning with Local and Global Consistency",
    NIPS 2003, section 2, stopped early. An isolated row keeps its direction.

    Parameters
    ----------
    graph : csr_array of shape (n_samples, n_samples)
    values : ndarray of shape (n_samples, n_columns), float32
    alpha : float
        In ``(0, 1)``.
    n_steps : int

    Returns
    -------
    ndarray of shape (n_samples, n_columns), float32
    """
    kept, spreading = values * np.float32(1 - alpha), values
    for _ in range(n_steps):
        spreading = graph @ spreading
        spreading *= np.float32(alpha)
        spreading += kept
    return spreading


def _others(indices: Int, cosines: Float32) -> tuple[Int, Float32]:
    """Drop every row from its own neighbours, or the last where duplicates crowd it out."""
    other = indices != np.arange(len(indices))[:, None]
    other[other.all(axis=1), -1] = False
    shape = (len(indices), indices.shape[1] - 1)
    return indices[other].reshape(shape), cosines[other].reshape(shape)
