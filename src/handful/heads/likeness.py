"""Whether unlabelled images are of the labelled ones' kind: labelled rows among the pool's own neighbours."""

from __future__ import annotations

import math

import numpy as np

from handful.core import Float32
from handful.embeddings import nearest

_K = 5  # the neighbour that counts
_SAMPLE = 500  # pool rows that labelled ones are compared with
_LOW = 0.2  # likeness under which a pool is of another kind, if it is no chance
_SURE = 3.0  # standard errors under one half


def likeness(labelled: Float32, pool: Float32) -> float:
    """Return how often a labelled row is nearer to the pool than a row of the pool itself is.

    Nearer by the cosine of the fifth nearest row of the pool; the Mann–Whitney
    statistic over its size [1]_. One half is expected where the labelled images were
    drawn from the pool.

    Parameters
    ----------
    labelled : ndarray of shape (n_labelled, n_features), float32
    pool : ndarray of shape (n_pool, n_features), float32
        Of more than 500 rows, so many spread evenly are compared with.

    Returns
    -------
    float
        In ``[0, 1]``; NaN with fewer than two rows in the pool.

    References
    ----------
    .. [1] Mann and Whitney, "On a test of whether one of two random variables is
       stochastically larger than the other", Annals of Mathematical Statistics 18, 1947.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    >>> 0.3 < likeness(rows[:20], rows[20:]) < 0.7
    True
    >>> likeness(-np.abs(rows[:20]), np.abs(rows[20:]))
    0.0
    """
    if len(pool) < 2:
        return math.nan
    k = min(_K, len(pool) - 1)
    some = np.unique(np.linspace(0, len(pool) - 1, _SAMPLE).astype(np.int64))
    own = nearest(labelled, pool, k)[1][:, -1]
    others = nearest(pool[some], pool, k + 1)[1][:, -1]
    above, equal = own[:, None] > others, own[:, None] == others
    return float(above.mean() + equal.mean() / 2)


def is_foreign(share: float, n_labelled: int) -> bool:
    """Return whether a likeness is low, and lower than chance lets it be for so many rows.

    Examples
    --------
    >>> is_foreign(0.02, 10), is_foreign(0.15, 2), is_foreign(0.4, 10_000)
    (True, False, False)
    """
    return share < _LOW and 0.5 - share > _SURE / math.sqrt(12 * n_labelled)
