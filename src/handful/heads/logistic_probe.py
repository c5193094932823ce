"""Multinomial logistic regression as a head of its own."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from handful.core import Array
from handful.heads.linear_form import LinearFormMixin
from handful.heads.logistic import fitted_logistic
from handful.heads.logits import checked_fit
from handful.heads.span import Span
from handful.heads.unlabelled import check_numbers

_TOLERANCE = 3e-3


class LogisticProbe(LinearFormMixin, BaseEstimator):
    """Classify by multinomial logistic regression, the other half of `LinearProbe`.

    The classical baseline on frozen vectors [1]_.

    Parameters
    ----------
    C : float, default=30.0
        Inverse penalty as in scikit-learn, for rows of mean squared length 1 about their mean,
        above 0.
    power : float, default=0.5
        Vectors first become ``sign(x)·|x|**power``, above 0, of unit length.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, n_features), float32
    intercept_ : ndarray of shape (n_classes,), float32
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every training row after one Newton step without it.
    n_features_in_ : int

    References
    ----------
    .. [1] Tian, Wang, Krishnan, Tenenbaum and Isola, "Rethinking Few-Shot Image Classification:
       a Good Embedding Is All You Need?", ECCV 2020, section 3.3,
       https://arxiv.org/abs/2003.11539. Deviation: the vectors are centred and take a square root.

    Examples
    --------
    >>> X = [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.8]]
    >>> LogisticProbe().fit(X, ["cat", "cat", "dog", "dog"]).predict([[0.2, 3.0]])
    array(['dog'], dtype='<U3')
    """

    def __init__(self, C: float = 30.0, *, power: float = 0.5) -> None:
        self.C = C
        self.power = power

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the regression.

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
        check_numbers(self, C=(0.0, np.inf), power=(0.0, np.inf))
        X, codes = checked_fit(self, X, y)
        span = Span(self._rows(X), codes)
        start = np.zeros((span.rows.shape[1] + 1, len(self.classes_)))
        logistic = fitted_logistic(span, 1 / self.C, start, tolerance=_TOLERANCE)
        weight, bias = span.unfolded(logistic.weight, logistic.bias)
        self.loo_logits_ = logistic.loo_logits
        self.coef_ = np.ascontiguousarray(weight.T, dtype=np.float32)
        self.intercept_ = bias.astype(np.float32)
        return self
