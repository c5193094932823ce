"""An ensemble of one head on resampled labels: where its members differ, labels are worth most."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone

from handful.core import Array, Float32, Int, stream
from handful.heads.logits import LogitsClassifierMixin, checked_fit, checked_query

_TINY = np.float32(1e-12)


class BootstrapEnsemble(LogitsClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Average the probabilities of heads fitted on bootstrap samples of the labels.

    Each member draws, class by class, as many labels as there are, with
    replacement, so that no class is lost [1]_. It costs a fit a member and has no ONNX
    form: it is for choosing images (`handful.select.bald`) and for looking at
    uncertainty, not for serving.

    Parameters
    ----------
    head : classifier
        Any head of this room; it is cloned.
    n_members : int, default=10
        At least 1.
    random_state : int, default=0

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    members_ : list of classifier
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logarithm of the mean probability by the members that did not draw the row; of
        a row that all drew, such as the only one of its class, the
        leave-one-out logits of one head on all labels.
    n_features_in_ : int

    References
    ----------
    .. [1] Breiman, "Bagging Predictors", Machine Learning 24, 1996,
       https://doi.org/10.1007/BF00058655. Deviation: classes keep their number of labels.

    Examples
    --------
    >>> from handful.heads import LinearProbe
    >>> X = [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.8]]
    >>> head = BootstrapEnsemble(LinearProbe(), 3).fit(X, ["cat", "cat", "dog", "dog"])
    >>> head.predict([[0.2, 3.0]]), head.sample_proba([[0.2, 3.0]]).shape
    (array(['dog'], dtype='<U3'), (3, 1, 2))
    """

    def __init__(self, head: Any, n_members: int = 10, *, random_state: int = 0) -> None:
        self.head = head
        self.n_members = n_members
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the members.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range or the data cannot be used.
        """
        if not isinstance(self.n_members, Integral) or self.n_members < 1:
            raise ValueError(
                "The 'n_members' parameter of BootstrapEnsemble must be an int of at least 1. "
                f"Got {self.n_members!r} instead."
            )
        X, codes = checked_fit(self, X, y)
        random = stream(self.random_state, "bootstrap")
        total = np.zeros((len(codes), len(self.classes_)), np.float32)
        times = np.zeros((len(codes), 1), np.float32)
        self.members_: list[Any] = []
        for _ in range(self.n_members):
            rows = resampled(codes, random)
            member = clone(self.head).fit(X[rows], self.classes_[codes[rows]])
            out = np.setdiff1d(np.arange(len(codes)), rows)
            if len(out):
                total[out] += member.predict_proba(X[out])
                times[out] += 1
            self.members_.append(member)
        self.loo_logits_: Float32 = np.log(np.maximum(total / np.maximum(times, 1), _TINY))
        never = times[:, 0] == 0
        if never.any():
            whole = clone(self.head).fit(X, self.classes_[codes])
            self.loo_logits_[never] = whole.loo_logits_[never]
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return the logarithm of the mean probability, of shape (n_samples, n_classes)."""
        X = checked_query(self, X)
        total = np.zeros((len(X), len(self.classes_)), np.float32)
        for member in self.members_:
            total += member.predict_proba(X)
        return np.log(np.maximum(total / np.float32(len(self.members_)), _TINY))

    def sample_proba(
        self, X: Array, n_samples: int | None = None, *, random_state: int = 0
    ) -> Float32:
        """Return the probabilities by each member, or by some drawn at random.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
        n_samples : int, default=None
            Members, at most all of them; None: all.
        random_state : int, default=0
            Seed of the draw.

        Returns
        -------
        ndarray of shape (n_samples, n_queries, n_classes), float32

        Raises
        ------
        ValueError
            If there are not so many members.
        """
        X = checked_query(self, X)
        n = len(self.members_) if n_samples is None else n_samples
        if not 1 <= n <= len(self.members_):
            raise ValueError(
                f"The 'n_samples' must be 1 to {len(self.members_)}, the members there are. Got {n!r}. "
                "Fit with a larger n_members."
            )
        chosen = np.sort(stream(random_state, "members").permutation(len(self.members_))[:n])
        return np.stack([self.members_[member].predict_proba(X) for member in chosen])


def resampled(codes: Int, random: np.random.Generator) -> Int:
    """Return rows drawn with replacement, of each class as many as it has.

    Examples
    --------
    >>> rows = resampled(np.array([0, 0, 1]), np.random.default_rng(0))
    >>> np.array([0, 0, 1])[rows].tolist()
    [0, 0, 1]
    """
    order, counts = np.argsort(codes, kind="stable"), np.bincount(codes)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    drawn = starts + random.integers(0, np.repeat(counts, counts))
    return np.sort(order[drawn])
