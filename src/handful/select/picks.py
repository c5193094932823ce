"""What every selection returns, and the checked pool it selects from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handful.core import Array, Float32, Float64, Int, stream


@dataclass(frozen=True)
class Picks:
    """The images to label next.

    Parameters
    ----------
    indices : ndarray of shape (n,), int64
        Rows of the pool, distinct, never labelled, the most wanted first.
    q : ndarray of shape (n,), float64
        Probability with which each was drawn, given the picks before it, in
        ``(0, 1]``; NaN where the rule is deterministic or the probability unknown.

    Examples
    --------
    >>> len(Picks.certain(np.array([3, 1])))
    2
    """

    indices: Int
    q: Float64

    def __len__(self) -> int:
        return len(self.indices)

    @classmethod
    def certain(cls, indices: Array) -> Picks:
        """Return picks without a probability."""
        return cls(np.asarray(indices, np.int64), np.full(len(indices), np.nan))


@dataclass(frozen=True)
class Pool:
    """A checked pool.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32, or None
    proba : ndarray of shape (n_samples, n_classes) or (n_members, n_samples, n_classes), or None
    labelled : ndarray of shape (n_labelled,), int64
        Sorted rows.
    free : ndarray of shape (n_free,), int64
        All other rows, sorted.
    n : int
        Picks to make, at most ``n_free``.
    random : Generator
    """

    X: Float32 | None
    proba: Float32 | None
    labelled: Int
    free: Int
    n: int
    random: np.random.Generator

    @property
    def vectors(self) -> Float32:
        """The vectors, of a rule that cannot do without."""
        assert self.X is not None
        return self.X


def opened(
    rule: str,
    *,
    X: Array | None,
    proba: Array | None,
    labelled: Array | None,
    n: int,
    random_state: int,
    uses_X: bool = False,
    of_members: bool = False,
) -> Pool:
    """Check what a rule was given.

    Parameters
    ----------
    rule : str
        Its name, for messages and for the stream of random numbers.
    X, proba, labelled, n, random_state
        As the rules document them.
    uses_X : bool, default=False
        The rule cannot do without ``X``; others do not look into it.
    of_members : bool, default=False
        ``proba`` has one more axis in front, a committee's.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite or a row does not exist.
    """
    if uses_X and X is None:
        raise ValueError(f"select.{rule} needs the vectors of the pool. Got X=None.")
    X = None if X is None else _vectors(rule, X, looks=uses_X)
    proba = None if proba is None else _probabilities(rule, proba, of_members)
    if X is None and proba is None:
        raise ValueError(f"select.{rule} needs 'proba', or 'X' while nothing is labelled.")
    n_samples = len(X) if X is not None else proba.shape[-2]  # type: ignore[union-attr]
    if proba is not None and proba.shape[-2] != n_samples:
        raise ValueError(
            f"'X' and 'proba' of select.{rule} must have a row an image each. "
            f"Got {n_samples} and {proba.shape[-2]} rows."
        )
    if n < 0:
        raise ValueError(f"The 'n' of select.{rule} must be an int of at least 0. Got {n!r}.")
    rows, is_free = _rows(rule, labelled, n_samples), np.ones(n_samples, np.bool_)
    is_free[rows] = False
    free = np.flatnonzero(is_free)
    return Pool(X, proba, rows, free, min(int(n), len(free)), stream(random_state, rule))


def lowest(scores: Array, pool: Pool) -> Int:
    """Return the ``pool.n`` free rows of the lowest score; ties are broken at random.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Of all rows.
    pool : Pool

    Returns
    -------
    ndarray of shape (pool.n,), int64
        By rising score.
    """
    if pool.n == 0:
        return pool.free[:0]
    values = np.asarray(scores)[pool.free]
    last = np.partition(values, pool.n - 1)[pool.n - 1]
    sure, tied = np.flatnonzero(values < last), np.flatnonzero(values == last)
    drawn = pool.random.choice(tied, pool.n - len(sure), replace=False, shuffle=False)
    chosen = pool.random.permutation(np.concatenate([sure, drawn]))
    return pool.free[chosen[np.argsort(values[chosen], kind="stable")]]


def _vectors(rule: str, X: Array, *, looks: bool) -> Float32:
    X = np.asarray(X, np.float32)
    if X.ndim != 2:
        raise ValueError(f"The 'X' of select.{rule} must have 2 axes. Got shape {X.shape}.")
    if looks and not _is_finite(X):
        raise ValueError(f"The 'X' of select.{rule} holds NaN or infinity. Leave these images out.")
    return X


def _probabilities(rule: str, proba: Array, of_members: bool) -> Float32:
    proba, n_axes = np.asarray(proba, np.float32), 2 + of_members
    if proba.ndim != n_axes or not proba.shape[-1]:
        shape = "(n_members, n_samples, n_classes)" if of_members else "(n_samples, n_classes)"
        raise ValueError(
            f"The 'proba' of select.{rule} must be of shape {shape}. Got {proba.shape}."
        )
    if not _is_finite(proba):
        raise ValueError(f"The 'proba' of select.{rule} holds NaN or infinity.")
    return proba


def _is_finite(values: Float32) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())


def _rows(rule: str, labelled: Array | None, n_samples: int) -> Int:
    rows = np.asarray([] if labelled is None else labelled)
    rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else np.unique(rows.astype(np.int64))
    if len(rows) and not (rows[0] >= 0 and rows[-1] < n_samples):
        raise ValueError(
            f"The 'labelled' of select.{rule} must be rows of the pool, 0 to {n_samples - 1}. "
            f"Got {int(rows[0])} to {int(rows[-1])}."
        )
    return rows
