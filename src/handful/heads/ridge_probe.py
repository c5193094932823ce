"""Ridge regression on class indicators as a head of its own."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from handful.core import Array
from handful.heads.linear_form import LinearFormMixin
from handful.heads.logits import checked_fit
from handful.heads.ridge import fitted_ridge
from handful.heads.span import Span
from handful.heads.unlabelled import check_numbers


class RidgeProbe(LinearFormMixin, BaseEstimator):
    """Classify by ridge regression on class indicators, the closed-form half of `LinearProbe`.

    It is fitted in closed form, which makes it the linear classifier of choice for thousands of
    small tasks [1]_.

    Parameters
    ----------
    alpha : float, default=None
        Penalty in units of the mean squared distance of a vector from the mean, above 0. None: the
        one with the lowest exact leave-one-out log loss, as for `LinearProbe`.
    power : float, default=0.5
        Vectors first become ``sign(x)·|x|**power``, above 0, of unit length.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    alpha_ : float
    coef_ : ndarray of shape (n_classes, n_features), float32
    intercept_ : ndarray of shape (n_classes,), float32
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every training row from a fit without it, exact but for centre and scale.
    n_features_in_ : int

    References
    ----------
    .. [1] Bertinetto, Henriques, Torr and Vedaldi, "Meta-learning with differentiable closed-form
       solvers", ICLR 2019, section 3.1, https://arxiv.org/abs/1805.08136. Deviations: penalty and
       scale come from leave-one-out instead of being learned on other tasks; the vectors are centred.

    Examples
    --------
    >>> X = [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.8]]
    >>> RidgeProbe().fit(X, ["cat", "cat", "dog", "dog"]).predict([[0.2, 3.0]])
    array(['dog'], dtype='<U3')
    """

    def __init__(self, alpha: float | None = None, *, power: float = 0.5) -> None:
        self.alpha = alpha
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
        check_numbers(self, power=(0.0, np.inf))
        if self.alpha is not None:
            check_numbers(self, alpha=(0.0, np.inf))
        X, codes = checked_fit(self, X, y)
        span = Span(self._rows(X), codes)
        ridge = fitted_ridge(span, self.alpha)
        weight, bias = span.unfolded(ridge.weight, ridge.bias)
        self.alpha_, self.loo_logits_ = ridge.alpha, ridge.loo_logits
        self.coef_ = np.ascontiguousarray(weight.T, dtype=np.float32)
        self.intercept_ = bias.astype(np.float32)
        return self
