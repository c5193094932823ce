"""Vectors compared by the cosine, a block of rows at a time."""

from __future__ import annotations

import numpy as np

from handful.core import Float32, Int

_BLOCK = 1024
_PART = 65_536  # rows that are scaled at once: a second copy of a million would not fit
_COSINES_AT_ONCE = 8_000_000
_GROUP = 16  # columns of which one maximum is taken


def unit(X: Float32) -> Float32:
    """Return the rows of ``X`` scaled to length 1; a zero row stays zero."""
    length = np.linalg.norm(X, axis=1, keepdims=True)
    return (X / np.maximum(length, 1e-12)).astype(np.float32)


def compared(queries: Float32, X: Float32, k: int) -> tuple[Int, Float32]:
    """Return what `nearest` does, by comparing each query with each row; ``k`` is at most ``len(X)``."""
    found = np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
    for start in range(0, len(X), _PART):
        part = unit(X[start : start + _PART])
        blocks = [
            against(unit(queries[q : q + _BLOCK]), part, min(k, len(part)))
            for q in range(0, max(len(queries), 1), _BLOCK)
        ]
        indices, similarity = map(np.concatenate, zip(*blocks, strict=True))
        both = (
            np.concatenate([found[0], indices + start], 1),
            np.concatenate([found[1], similarity], 1),
        )
        found = best(*both, k) if start else both
    return found


def against(queries: Float32, units: Float32, k: int) -> tuple[Int, Float32]:
    """Return the same for rows of length 1 on both sides, a bounded number of cosines at once."""
    indices = np.empty((len(queries), k), np.int64)
    similarity = np.empty((len(queries), k), np.float32)
    step = min(_BLOCK, max(64, _COSINES_AT_ONCE // max(len(units), 1)))
    for start in range(0, len(queries), step):
        block = slice(start, start + step)
        cosines = queries[block] @ units.T
        columns = highest(cosines, k)
        indices[block], similarity[block] = best(
            columns, np.take_along_axis(cosines, columns, 1), k
        )
    return indices, similarity


def best(indices: Int, similarity: Float32, k: int) -> tuple[Int, Float32]:
    """Return the ``k`` most similar candidates of each row, the most similar first; ties by the lower index."""
    order = np.lexsort((indices, -similarity))[:, :k]
    return np.take_along_axis(indices, order, 1), np.take_along_axis(similarity, order, 1)


def highest(values: Float32, k: int) -> Int:
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
