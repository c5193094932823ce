"""Nearest neighbours by a graph instead of by comparing all with all: for many queries in a large set.

The graph is walked with vectors rounded to 8 bits; the candidates are then compared in full. It is
built on one thread, in the order of the rows, so that the same vectors give the same neighbours.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from handful.core import Array, Float32, Int, usable_cores

_LINKS, _EXPANSION_ADD, _EXPANSION_SEARCH = 16, 64, 128
_CANDIDATES = 2  # for each neighbour that is wanted
_BUILD, _SEARCH = 20_000, 30_000  # comparisons that take as long as one row: benchmarks/scale.py
_BLOCK = 2048


def pays(n_queries: int, n_samples: int) -> bool:
    """Tell whether the graph is faster than comparing each query with each row.

    Examples
    --------
    >>> pays(40_000, 40_000), pays(100_000, 100_000), pays(1_000, 1_000_000)
    (False, True, False)
    """
    return n_queries * n_samples > _BUILD * n_samples + _SEARCH * n_queries


def library(n_queries: int, n_samples: int) -> Any:
    """Return usearch's class of indexes, None if it is not installed, with a warning."""
    try:
        from usearch.index import Index
    except ImportError:
        warnings.warn(
            f"{n_queries} × {n_samples} vectors are compared one by one, which takes long. "
            "A fast index is installed by: pip install 'handful[index]'",
            stacklevel=3,
        )
        return None
    return Index


def search(index: Any, queries: Float32, X: Float32, n_neighbors: int) -> tuple[Int, Float32, Int]:
    """Return the most similar rows of ``X`` for each query, but for about one of a thousand.

    Parameters
    ----------
    index : type
        What `library` returned.
    queries : ndarray of shape (n_queries, dim)
    X : ndarray of shape (n_samples, dim)
    n_neighbors : int
        Between 1 and ``n_samples``.

    Returns
    -------
    indices, similarity
        As `nearest`; the cosines are exact.
    short : ndarray of shape (n_short,), int64
        Queries for which the graph held too few rows: theirs are meaningless.

    References
    ----------
    .. [1] Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using
       Hierarchical Navigable Small World Graphs", 2016, https://arxiv.org/abs/1603.09320
    """
    lengths = _lengths(X)
    scale = 127 / max(max(_largest(X[b], lengths[b]) for b in _blocks(len(X))), 1e-12)
    graph = index(
        ndim=X.shape[1], metric="cos", dtype="i8", connectivity=_LINKS,
        expansion_add=_EXPANSION_ADD, expansion_search=max(_EXPANSION_SEARCH, _CANDIDATES * n_neighbors),
    )  # fmt: skip
    for b in _blocks(len(X)):
        graph.add(np.arange(len(X))[b], _rounded(X[b], lengths[b], scale), threads=1)
    indices = np.zeros((len(queries), n_neighbors), np.int64)
    similarity = np.empty(indices.shape, np.float32)
    short = np.zeros(len(queries), bool)
    for b in _blocks(len(queries)):
        rows, own = queries[b], _lengths(queries[b])
        candidates, short[b] = _candidates(graph, _rounded(rows, own, scale), n_neighbors)
        cosines = _cosines(rows, X, candidates) / own[:, None] / lengths[candidates]
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :n_neighbors]
        indices[b] = np.take_along_axis(candidates, order, 1)
        similarity[b] = np.take_along_axis(cosines, order, 1)
    return indices, similarity, np.flatnonzero(short)


def _candidates(graph: Any, rounded: Array, k: int) -> tuple[Int, Array]:
    """Return some rows for each query, in ascending order, and which queries have too few."""
    wanted = min(_CANDIDATES * k, len(graph))
    matches = graph.search(rounded, wanted, threads=usable_cores())
    keys = np.asarray(matches.keys, np.int64).reshape(len(rounded), wanted)
    short = np.broadcast_to(getattr(matches, "counts", len(matches)), len(rounded)) < wanted
    return np.sort(np.where(short[:, None], 0, keys), axis=1), short


def _cosines(rows: Float32, X: Float32, candidates: Int) -> Float32:
    """Return the products of each row with its candidates."""
    columns = [np.einsum("nd,nd->n", rows, X[column]) for column in candidates.T]
    return np.stack(columns, axis=1)  # all candidates at once would take as many times the memory


def _blocks(n: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, n, _BLOCK)]


def _lengths(X: Float32) -> Float32:
    return np.maximum(np.sqrt(np.einsum("nd,nd->n", X, X)), np.float32(1e-12))


def _largest(X: Float32, lengths: Float32) -> float:
    return float((np.abs(X).max(axis=1) / lengths).max())


def _rounded(X: Float32, lengths: Float32, scale: float) -> Array:
    """Return the unit rows as int8; 127 is the largest entry of all."""
    return np.clip(np.rint(X * (scale / lengths)[:, None]), -127, 127).astype(np.int8)
