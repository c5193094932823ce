"""The default head: a linear classifier whose regularisation needs no validation set."""

from __future__ import annotations

from numbers import Real
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from handful.core import Array
from handful.heads.linear_form import LinearFormMixin
from handful.heads.logistic import fitted_logistic
from handful.heads.logits import checked_fit
from handful.heads.ridge import fitted_ridge
from handful.heads.span import Span

_TOLERANCE = 3e-3


class LinearProbe(LinearFormMixin, BaseEstimator):
    """Classify by the mean of a ridge and a logistic regression, both linear.

    Few labels in many dimensions make two good linear classifiers err on
    different images. Ridge regression on class indicators adapts to how much the
    dimensions are worth, since the leave-one-out error of every penalty has a
    closed form; multinomial logistic regression is less disturbed by images far
    from the border. The mean of their logits is again one linear classifier.

    Parameters
    ----------
    alpha : float, default=None
        Penalty of the ridge regression in units of the mean squared distance of a
        vector from the mean, above 0. None: the one with the lowest exact
        leave-one-out log loss of nine from 0.003 to 32, pulled weakly to 0.1.
    C : float, default=30.0
        Inverse penalty of the logistic regression as in scikit-learn, in the same
        units, above 0.
    power : float, default=0.5
        Vectors first become ``sign(x)·|x|**power``, above 0.
    unit_norm : bool, default=True
        Then rows are scaled to length 1.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    alpha_ : float
        The penalty of the ridge regression.
    coef_ : ndarray of shape (n_classes, n_features), float32
    intercept_ : ndarray of shape (n_classes,), float32
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every training row from a fit without it: exact for the ridge
        half, one Newton step for the logistic half.
    n_features_in_ : int

    Notes
    -----
    Rows count in the ridge regression by one over the square root of the size of
    their class. ``benchmarks/linear_probe.py`` compares accuracy and time with
    scikit-learn's ``LogisticRegressionCV`` and ``LogisticRegression``.

    References
    ----------
    .. [1] Rifkin, Yeo and Poggio, "Regularized least-squares classification",
       2003; the closed form is their leave-one-out identity.
    .. [2] Rad and Maleki, "A scalable estimate of the out-of-sample prediction
       error via approximate leave-one-out cross-validation", JRSS B 82(4), 2020,
       https://arxiv.org/abs/1801.10243.

    Examples
    --------
    >>> X = [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.8]]
    >>> LinearProbe().fit(X, ["cat", "cat", "dog", "dog"]).predict([[0.2, 3.0]])
    array(['dog'], dtype='<U3')
    """

    def __init__(
        self,
        *,
        alpha: float | None = None,
        C: float = 30.0,
        power: float = 0.5,
        unit_norm: bool = True,
    ) -> None:
        self.alpha = alpha
        self.C = C
        self.power = power
        self.unit_norm = unit_norm

    def fit(self, X: Array, y: Array) -> Self:
        """Fit both regressions and take their mean.

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
        self._check()
        X, codes = checked_fit(self, X, y)
        span = Span(self._rows(X), codes)
        ridge = fitted_ridge(span, self.alpha)
        start = np.vstack([ridge.weight, ridge.bias])
        logistic = fitted_logistic(span, 1 / self.C, start, tolerance=_TOLERANCE)
        weight, bias = span.unfolded(
            (ridge.weight + logistic.weight) / 2, (ridge.bias + logistic.bias) / 2
        )
        self.alpha_ = ridge.alpha
        self.coef_ = np.ascontiguousarray(weight.T, dtype=np.float32)
        self.intercept_ = bias.astype(np.float32)
        self.loo_logits_ = (ridge.loo_logits + logistic.loo_logits) / 2
        return self

    def _check(self) -> None:
        for name in ("alpha", "C", "power"):
            value = getattr(self, name)
            if value is None and name == "alpha":
                continue
            if not isinstance(value, Real) or not 0 < float(value) < np.inf:
                raise ValueError(
                    f"The {name!r} parameter of LinearProbe must be a finite number above 0. "
                    f"Got {value!r} instead."
                )
