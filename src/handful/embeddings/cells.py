"""Nearest neighbours of many vectors: rows lie in cells, and a query is compared with the nearest cells alone.

A cell holds the rows that one centre is nearest to. How many cells a query must look into is measured: on some
queries that are compared with all rows. So near-duplicates or vectors without structure cost time, not neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from handful.core import Float32, Int
from handful.embeddings.cosine import against, best, compared, highest, unit

_CELLS = 3.0  # times the root of the number of rows
_LEARNT, _ROUNDS = 8, 2  # rows a cell that the centres are learnt from, and rounds of k-means
_TRIED, _FOUND = 500, 0.995  # queries compared with all rows; share of their neighbours to find
_LEAST, _USUAL = 2.5e9, 0.1  # comparisons that take minutes one by one; share that cells leave
_BLOCK = 8192


def pays(n_queries: int, n_samples: int) -> bool:
    """Tell whether cells are faster than comparing each query with each row, by far.

    Examples
    --------
    >>> pays(40_000, 40_000), pays(100_000, 100_000), pays(1_000, 1_000_000)
    (False, True, False)
    """
    every = n_queries * n_samples
    sorting = (n_queries + n_samples) * _CELLS * math.sqrt(n_samples)
    return every > max(_LEAST, 2 * (sorting + _TRIED * n_samples + _USUAL * every))


def search(queries: Float32, X: Float32, n_neighbors: int) -> tuple[Int, Float32]:
    """Return the most similar rows of ``X`` for each query, but for about one of two hundred.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, dim)
    X : ndarray of shape (n_samples, dim)
    n_neighbors : int
        Between 1 and ``n_samples``.

    Returns
    -------
    indices, similarity
        As `nearest`; the cosines are exact.
    """
    centres = _centres(X)
    cell_of = _cells(X, centres)
    rows = np.argsort(cell_of, kind="stable")
    members = np.split(rows, np.searchsorted(cell_of[rows], np.arange(1, len(centres))))
    n_probes = _probes(queries, X, n_neighbors, centres, cell_of)
    indices = np.full((len(queries), n_neighbors), -1, np.int64)
    similarity = np.full(indices.shape, -np.inf, np.float32)
    alike = rows if queries is X else np.argsort(_cells(queries, centres), kind="stable")
    for start in range(0, len(alike), _BLOCK):  # near queries, which look into the same cells
        block = alike[start : start + _BLOCK]
        indices[block], similarity[block] = _looked_into(
            unit(queries[block]), X, n_neighbors, centres, members, n_probes
        )
    short = np.flatnonzero((indices < 0).any(axis=1))  # its cells held too few rows
    if len(short):
        indices[short], similarity[short] = compared(queries[short], X, n_neighbors)
    return indices, similarity


def _looked_into(
    units: Float32, X: Float32, k: int, centres: Float32, members: list[Int], n_probes: int
) -> tuple[Int, Float32]:
    """Return the nearest rows in the nearest cells of some queries; -1 where there are too few."""
    probes = highest(units @ centres.T, n_probes)
    indices = np.full((len(units), k), -1, np.int64)
    similarity = np.full((len(units), k), -np.inf, np.float32)
    for cell, some in _by_cell(probes):
        own = members[cell]
        if not len(own):
            continue
        columns, cosines = against(units[some], unit(X[own]), min(k, len(own)))
        indices[some], similarity[some] = best(
            np.concatenate([indices[some], own[columns]], axis=1),
            np.concatenate([similarity[some], cosines], axis=1), k,
        )  # fmt: skip
    return indices, similarity


def _by_cell(probes: Int) -> Iterator[tuple[int, Int]]:
    """Yield each cell that is looked into, and by which queries."""
    order = np.argsort(probes, axis=None, kind="stable")
    cells, first = np.unique(probes.ravel()[order], return_index=True)
    yield from zip(cells.tolist(), np.split(order // probes.shape[1], first[1:]), strict=True)


def _probes(queries: Float32, X: Float32, k: int, centres: Float32, cell_of: Int) -> int:
    """Return how many cells hold the neighbours of some queries."""
    random = np.random.default_rng(0)
    some = queries[np.sort(random.choice(len(queries), min(_TRIED, len(queries)), replace=False))]
    neighbours, _ = compared(some, X, k)
    nearness = np.argsort(np.argsort(-(unit(some) @ centres.T), axis=1, kind="stable"), axis=1)
    ranks = np.take_along_axis(nearness, cell_of[neighbours], 1)
    return int(np.quantile(ranks, _FOUND, method="higher")) + 1


def _centres(X: Float32) -> Float32:
    """Return the centres of the cells, by k-means on some rows."""
    from scipy import sparse  # a model that is only applied needs none of it

    n_cells = min(len(X), math.ceil(_CELLS * math.sqrt(len(X))))
    random = np.random.default_rng(0)
    some = unit(X[random.choice(len(X), min(len(X), _LEARNT * n_cells), replace=False)])
    centres = some[:n_cells]
    for _ in range(_ROUNDS):
        cells = _cells(some, centres)
        sums = sparse.csr_array((np.ones(len(some), np.float32), (cells, np.arange(len(some)))),
                                shape=(n_cells, len(some))) @ some  # fmt: skip
        held = np.bincount(cells, minlength=n_cells) > 0
        centres = np.where(held[:, None], unit(sums), centres)
    return centres


def _cells(X: Float32, centres: Float32) -> Int:
    """Return the nearest centre of each row."""
    blocks = range(0, len(X), _BLOCK)
    return np.concatenate([(X[b : b + _BLOCK] @ centres.T).argmax(axis=1) for b in blocks])
