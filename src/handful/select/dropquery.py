"""Images whose predicted class changes when parts of their vectors are dropped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from handful.core import Array, Bool
from handful.select.clusters import central, k_means_clusters
from handful.select.picks import Picks, Pool, opened

_BLOCK = 4096
_DROPS = 3


def dropquery(
    *,
    predict_proba: Callable[[Array], Array] | None,
    proba: Array | None = None,
    X: Array | None,
    vectors: Array | None = None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
    dropped: float = 0.75,
) -> Picks:
    """Pick cluster centres among images whose class changes in two of three drops of numbers.

    Parameters
    ----------
    predict_proba : callable, or None
        Probabilities of vectors like ``vectors``. None, while there is no model: every
        image is a candidate.
    proba : ndarray of shape (n_samples, n_classes), default=None
        Of the whole vectors; computed where not given.
    X : ndarray of shape (n_samples, n_features)
        Vectors that are clustered; see `prepared`.
    vectors : ndarray of shape (n_samples, n_inputs), default=None
        Vectors that the model takes, where they are others than ``X``.
    labelled, n, random_state
        As for `k_center`.
    dropped : float, default=0.75
        Share of the numbers that are set to 0, in ``(0, 1)``; the others are
        divided by the share that stays.

    Returns
    -------
    Picks
        ``q`` is NaN. Where there are fewer candidates than picks, the images on
        which fewer drops changed the class follow, at random.

    References
    ----------
    .. [1] Gupte, Aklilu, Nirschl and Yeung-Levy, "Revisiting Active Learning in
       the Era of Vision Foundation Models", TMLR 2024, section 4,
       https://arxiv.org/abs/2401.14555.

    Examples
    --------
    >>> X = np.array([[1.0, 0.9], [1.0, 0.0], [0.0, 1.0]], np.float32)
    >>> dropquery(predict_proba=lambda X: X, X=X, n=1, dropped=0.5).indices
    array([0])
    """
    pool = opened(
        "dropquery", X=X, proba=proba, labelled=labelled, n=n, random_state=random_state,
        uses_X=True,
    )  # fmt: skip
    if pool.n == 0:
        return Picks.certain(pool.free[:0])
    changes = np.full(len(pool.free), _DROPS)
    if predict_proba is not None:
        inputs = pool.vectors if vectors is None else np.asarray(vectors, np.float32)
        changes = _changes(inputs, predict_proba, pool, dropped)
    candidates = pool.free[2 * changes > _DROPS]
    if len(candidates) >= pool.n:
        clusters = k_means_clusters(pool.vectors[candidates], pool.n, pool.random)
        return Picks.certain(candidates[central(clusters, pool.n)])
    order = pool.random.permutation(len(changes))
    return Picks.certain(pool.free[order[np.argsort(-changes[order], kind="stable")]][: pool.n])


def _changes(
    inputs: Array,
    predict_proba: Callable[[Array], Array],
    pool: Pool,
    dropped: float,
) -> Array:
    """Return how many of the drops change the predicted class of every free row."""
    changes = np.zeros(len(pool.free), np.int64)
    for start in range(0, len(pool.free), _BLOCK):
        rows = pool.free[start : start + _BLOCK]
        whole = predict_proba(inputs[rows]) if pool.proba is None else pool.proba[rows]
        codes = np.asarray(whole).argmax(axis=1)
        for _ in range(_DROPS):
            kept = _kept(inputs[rows].shape, dropped, pool.random)
            part = inputs[rows] * (kept * np.float32(1 / (1 - dropped)))
            changes[start : start + _BLOCK] += predict_proba(part).argmax(axis=1) != codes
    return changes


def _kept(shape: tuple[int, ...], dropped: float, random: np.random.Generator) -> Bool:
    """Return which numbers stay; eight random bits a number are enough."""
    return random.integers(0, 256, shape, dtype=np.uint8) >= round(256 * dropped)
