"""Nearest neighbours by cosine similarity."""

from __future__ import annotations

from handful.core import Float32, Int
from handful.embeddings.cells import pays, search
from handful.embeddings.cosine import compared


def nearest(queries: Float32, X: Float32, n_neighbors: int) -> tuple[Int, Float32]:
    """Return the most similar rows of ``X`` for each query.

    They are exact; where both are large (100,000 of each, say) at least 99 of 100 of them are found, sooner,
    and the same ones each time [1]_.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, dim)
    X : ndarray of shape (n_samples, dim)
    n_neighbors : int
        At least 1; clipped to ``n_samples``.

    Returns
    -------
    indices : ndarray of shape (n_queries, n_neighbors), int64
        Rows of ``X``, the most similar first; ties by the lower row.
    similarity : ndarray of the same shape, float32
        Cosine, in ``[-1, 1]``, higher is closer.

    References
    ----------
    .. [1] Sivic and Zisserman, "Video Google: A Text Retrieval Approach to Object Matching in Videos", 2003
       (rows in the cells of their nearest centres), https://doi.org/10.1109/ICCV.2003.1238663

    Examples
    --------
    >>> import numpy as np
    >>> X = np.eye(3, dtype=np.float32)
    >>> nearest(X[:1], X, 1)[0]
    array([[0]])
    """
    k = min(n_neighbors, len(X))
    find = search if pays(len(queries), len(X)) else compared
    return find(queries, X, k)
