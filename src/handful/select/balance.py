"""Images of classes that have few labels, and images like given ones."""

from __future__ import annotations

import numpy as np

from handful.core import Array, Float32, Int, listed
from handful.select.clusters import squares
from handful.select.picks import Picks, Pool, lowest, opened
from handful.select.scores import margins

_TINY = np.float32(1e-30)


def class_balanced(
    *,
    proba: Array | None,
    X: Array | None = None,
    labelled: Array | None = None,
    y: Array | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Pick unsure images so that predicted classes get equally many labels.

    Each pick is of the class with the fewest labels and picks so far, among
    those that the model predicts for any image left; of it the smallest margin.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes), or None
        None, while there is no model: the picks are random.
    X, labelled, n, random_state
        As for `margin`.
    y : ndarray of shape (n_labelled,), int, default=None
        Column of the class of every labelled row, in the order of ``labelled``.
        None: no class has a label.

    Returns
    -------
    Picks
        ``q`` is NaN.

    Raises
    ------
    ValueError
        If the arrays do not fit.

    References
    ----------
    .. [1] Bang, Ahn and Lee., "Active Prompt
       Learning in Vision Language Models", CVPR 2024, section 3.2 (PCB),
       https://arxiv.org/abs/2311.11178. Deviation: greedy, one pick at a time.

    Examples
    --------
    >>> proba = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.1, 0.9]]
    >>> class_balanced(proba=proba, labelled=[0], y=[0], n=2).indices
    array([2, 1])
    """
    pool = opened(
        "class_balanced", X=X, proba=proba, labelled=labelled, n=n, random_state=random_state
    )
    if pool.proba is None:
        return Picks.certain(pool.random.choice(pool.free, pool.n, replace=False))
    counts = _counts("class_balanced", y, labelled, pool)
    order = lowest(margins(pool.proba), _whole(pool))
    predicted = pool.proba.argmax(axis=1)[order]
    queues = [list(order[predicted == column][::-1]) for column in range(len(counts))]
    chosen: list[int] = []
    while len(chosen) < pool.n:
        waiting = np.array([bool(queue) for queue in queues])
        column = int(np.where(waiting, counts, np.inf).argmin())
        chosen.append(queues[column].pop())
        counts[column] += 1
    return Picks.certain(np.array(chosen, np.int64))


def rare_class(
    *,
    proba: Array | None,
    X: Array | None = None,
    labelled: Array | None = None,
    y: Array | None = None,
    column: int | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Pick the images most probably of one class, to find more of it.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes), or None
        None, while there is no model: the picks are random.
    X, labelled, n, random_state
        As for `margin`.
    y : ndarray of shape (n_labelled,), int, default=None
        As for `class_balanced`.
    column : int, default=None
        The class. None: the one with the fewest labels.

    Returns
    -------
    Picks
        ``q`` is NaN; the most probable first.

    Raises
    ------
    ValueError
        If the arrays do not fit or there is no such column.

    Examples
    --------
    >>> rare_class(proba=[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], column=1, n=2).indices
    array([2, 1])
    """
    pool = opened("rare_class", X=X, proba=proba, labelled=labelled, n=n, random_state=random_state)
    if pool.proba is None:
        return Picks.certain(pool.random.choice(pool.free, pool.n, replace=False))
    if column is None:
        column = int(_counts("rare_class", y, labelled, pool).argmin())
    if not 0 <= column < pool.proba.shape[1]:
        raise ValueError(
            f"The 'column' of select.rare_class must be one of the {pool.proba.shape[1]} columns "
            f"of 'proba', from 0. Got {column!r}."
        )
    return Picks.certain(lowest(-pool.proba[:, column], pool))


def more_like_these(
    *,
    examples: Array,
    proba: Array | None = None,
    X: Array | None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Pick the images most similar to the nearest of some examples.

    Parameters
    ----------
    examples : array of int
        Rows of the pool; they are not picked.
    proba : None
        Not used.
    X, labelled, n, random_state
        As for `k_center`.

    Returns
    -------
    Picks
        ``q`` is NaN; by falling cosine.

    Raises
    ------
    ValueError
        If the arrays do not fit or there is no example.

    Examples
    --------
    >>> X = [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]
    >>> more_like_these(examples=[0], X=X, n=1).indices
    array([1])
    """
    rows = np.unique(np.asarray(examples, np.int64))
    if not len(rows):
        raise ValueError("The 'examples' of select.more_like_these must name an image. Got none.")
    seen = np.asarray([] if labelled is None else labelled)
    seen = np.flatnonzero(seen) if seen.dtype == np.bool_ else seen.astype(np.int64)
    pool = opened(
        "more_like_these", X=X, proba=None, labelled=np.concatenate([rows, seen]), n=n,
        random_state=random_state, uses_X=True,
    )  # fmt: skip
    return Picks.certain(lowest(-_similarity(pool.vectors, rows), pool))


def _similarity(X: Float32, rows: Int) -> Float32:
    """Return the cosine of every row to the nearest of some."""
    length = np.sqrt(np.maximum(squares(X), _TINY))
    examples = X[rows] / length[rows, None]
    best = np.full(len(X), -np.inf, np.float32)
    for start in range(0, len(examples), 64):
        np.maximum(best, (X @ examples[start : start + 64].T).max(axis=1), out=best)
    return np.asarray(best / length, np.float32)


def _counts(rule: str, y: Array | None, labelled: Array | None, pool: Pool) -> Int:
    """Return how many labels every column has."""
    assert pool.proba is not None
    codes, n_classes = np.asarray([] if y is None else y, np.int64), pool.proba.shape[1]
    n_rows = 0 if labelled is None else len(pool.labelled)
    if y is not None and len(codes) != n_rows:
        raise ValueError(
            f"The 'y' of select.{rule} must have a class for each of the {n_rows} labelled rows. "
            f"Got {len(codes)}."
        )
    if len(codes) and not (codes.min() >= 0 and codes.max() < n_classes):
        raise ValueError(
            f"The 'y' of select.{rule} must be columns of 'proba', 0 to {n_classes - 1}. "
            f"Got {listed(np.unique(codes).tolist())}."
        )
    return np.bincount(codes, minlength=n_classes)


def _whole(pool: Pool) -> Pool:
    return Pool(pool.X, pool.proba, pool.labelled, pool.free, len(pool.free), pool.random)
