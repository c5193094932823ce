"""Nearest neighbours by cosine similarity, a block of rows at a time."""

from __future__ import annotations

import numpy as np

from handful.core import Float32, Int
from handful.embeddings.index import library, pays, search

_BLOCK = 1024
_COSINES_AT_ONCE = 8_000_000
_GROUP = 16  # columns of which one maximum is taken


def unit(X: Float32) -> Float32:
    """Return the rows of ``X`` scaled to length 1; a zero row stays zero."""
    length = np.linalg.norm(X, axis=1, keepdims=True)
    return (X / np.maximum(length, 1e-12)).astype(np.float32)


def nearest(queries: Float32, X: Float32, n_neighbors: int) -> tuple[Int, Float32]:
    """Return the most similar rows of ``X`` for each query.

    They are exact; where both are large (100,000 of each, say) and the extra ``index`` is installed, a
    graph finds at least 99 of 100 of them, sooner, and the same ones each time [1]_.

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
    .. [1] Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using
       Hierarchical Navigable Small World Graphs", 2016, https://arxiv.org/abs/1603.09320

    Examples
    --------
    >>> X = np.eye(3, dtype=np.float32)
    >>> nearest(X[:1], X, 1)[0]
    array([[0]])
    """
    k = min(n_neighbors, len(X))
    if pays(len(queries), len(X)) and (index := library(len(queries), len(X))) is not None:
        indices, similarity, short = search(index, queries, X, k)
        if len(short):
            indices[short], similarity[short] = compared(queries[short], X, k)
        return indices, similarity
    return compared(queries, X, k)


def compared(queries: Float32, X: Float32, k: int) -> tuple[Int, Float32]:
    """Return what `nearest` does, by comparing each query with each row."""
    X = unit(X)
    indices = np.empty((len(queries), k), np.int64)
    similarity = np.empty((len(queries), k), np.float32)
    step = min(_BLOCK, max(64, _COSINES_AT_ONCE // max(len(X), 1)))
    for start in range(0, len(queries), step):
        block = slice(start, start + step)
        cosines = unit(queries[block]) @ X.T
        candidates = np.sort(_highest(cosines, k), axis=1)
        order = np.argsort(-np.take_along_axis(cosines, candidates, 1), axis=1, kind="stable")
        indices[block] = np.take_along_axis(candidates, order, 1)
        similarity[block] = np.take_along_axis(cosines, indices[block], 1)
    return indices, similarity


def _highest(values: Float32, k: int) -> Int:
    """Return the columns of the ``k`` highest values of each row, in any order.

    They lie in the ``k`` groups of columns whose maxima are the highest, so that the slow
    partition sees a small part of the row. The last columns are in no group.
    """
    n_groups = values.shape[1] // _GROUP
    if n_groups <= k:
        return np.argpartition(values, -k, axis=1)[:, -k:]
    grouped = values[:, : n_groups * _GROUP].reshape(len(values), _GROUP, n_groups)
    groups = np.argpartition(grouped.max(axis=1), -k, axis=1)[:, -k:]
    columns = (groups[:, :, None] + np.arange(_GROUP) * n_groups).reshape(len(values), -1)
    last = np.arange(n_groups * _GROUP, values.shape[1])
    columns = np.concatenate([columns, np.tile(last, (len(values), 1))], axis=1)
    found = np.argpartition(np.take_along_axis(values, columns, 1), -k, axis=1)[:, -k:]
    return np.take_along_axis(columns, found, 1)


def pairs_above(X: Float32, threshold: float) -> tuple[Int, Float32]:
    """Return every pair of rows whose cosine similarity reaches ``threshold``.

    Parameters
    ----------
    X : ndarray of shape (n_samples, dim)
    threshold : float
        In ``(-1, 1]``.

    Returns
    -------
    pairs : ndarray of shape (n_pairs, 2), int64
        The lower row first, sorted.
    similarity : ndarray of shape (n_pairs,), float32

    Examples
    --------
    >>> pairs_above(np.array([[1, 0], [0, 1], [2, 0]], np.float32), 0.9)[0]
    array([[0, 2]])
    """
    X = unit(X)
    pairs, similarity = [np.empty((0, 2), np.int64)], [np.empty(0, np.float32)]
    for start in range(0, len(X), _BLOCK):
        cosines = X[start : start + _BLOCK] @ X[start:].T
        rows, columns = np.nonzero(np.triu(cosines >= threshold, k=1))
        pairs.append(np.stack([rows, columns], axis=1) + start)
        similarity.append(cosines[rows, columns])
    return np.concatenate(pairs), np.concatenate(similarity)
