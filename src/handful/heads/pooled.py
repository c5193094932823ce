"""A semi-supervised head with its unlabelled vectors, where a classifier of X and y is asked for."""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from threadpoolctl import threadpool_limits

from handful.core import Array
from handful.heads.unlabelled import RuleMixin


class WithPool(RuleMixin, MetaEstimatorMixin, BaseEstimator):
    """Fit a head on labelled vectors and on an unlabelled pool that it was given before.

    So cross-validation, which passes on X and y, measures what the pool brings: in
    every fold the head sees the labels of that fold and the same pool.

    Parameters
    ----------
    head : classifier
        Its ``fit`` takes ``X_unlabelled``; it is cloned, then fitted.
    X_unlabelled : ndarray of shape (n_unlabelled, n_features), float32
        Shared by all clones, not copied.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    rule_ : classifier
        The fitted head.
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Of the head.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from handful.heads import LabelSpreading
    >>> X = np.array([[9.0, 1.0], [1.0, 9.0]], np.float32)
    >>> head = WithPool(LabelSpreading(), np.repeat(X, 5, axis=0)).fit(X, ["cat", "dog"])
    >>> head.predict([[5.0, 1.0]])
    array(['cat'], dtype='<U3')
    """

    def __init__(self, head: Any, X_unlabelled: Array) -> None:
        self.head = head
        self.X_unlabelled = X_unlabelled

    def __sklearn_clone__(self) -> WithPool:
        return WithPool(clone(self.head), self.X_unlabelled)

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the head.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self
        """
        with threadpool_limits(1, "blas"):  # many small fits, for which threads only wait
            self.rule_ = clone(self.head).fit(X, y, self.X_unlabelled)
        self.classes_, self.n_features_in_ = self.rule_.classes_, self.rule_.n_features_in_
        self.loo_logits_ = self.rule_.loo_logits_
        return self
