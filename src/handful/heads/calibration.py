"""Temperature: probabilities that mean what they say, from leave-one-out logits."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import onnx
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils.validation import check_is_fitted

from handful.core import Array, Float32
from handful.heads.logits import LogitsClassifierMixin, checked_fit, checked_query
from handful.heads.onnx_form import divided
from handful.heads.scale import fitted_scale, informed, with_class_shares_kept


class TemperatureScaled(LogitsClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A head whose logits are divided by a temperature fitted without a validation set.

    The temperature minimises the log loss of ``loo_logits_`` [1]_ plus a weak
    pull towards 1: a log-normal prior of standard deviation 0.5, which decides
    where there are few labels. Rows whose class has no other row are left aside,
    since no fit without them knows their class; with one label a class the
    temperature is 1.

    Parameters
    ----------
    head : classifier
        Any head of this room; it is cloned, then fitted.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    head_ : classifier
        The fitted head.
    temperature_ : float
        Above 0; above 1 makes answers softer.
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Of the head, divided by the temperature.
    n_features_in_ : int

    References
    ----------
    .. [1] Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural
       Networks", ICML 2017, section 4.2, https://arxiv.org/abs/1706.04599.
       Deviations: leave-one-out logits instead of a validation set, with the
       share of the row's class kept; the prior.

    Examples
    --------
    >>> from handful.heads import PrototypeClassifier
    >>> X = [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.8]]
    >>> head = TemperatureScaled(PrototypeClassifier()).fit(X, ["cat", "cat", "dog", "dog"])
    >>> head.predict([[0.2, 3.0]])
    array(['dog'], dtype='<U3')
    """

    def __init__(self, head: Any) -> None:
        self.head = head

    @classmethod
    def at(cls, head: Any, temperature: float) -> Self:
        """Return a fitted head at a temperature that was found otherwise.

        Parameters
        ----------
        head : classifier
            Fitted; it is not cloned.
        temperature : float
            Above 0.
        """
        scaled = cls(head)
        scaled.head_, scaled.temperature_ = head, temperature
        scaled.classes_, scaled.n_features_in_ = head.classes_, head.n_features_in_
        return scaled

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the head, then the temperature.

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
            If the data cannot be used.
        """
        X, codes = checked_fit(self, X, y)
        self.head_ = clone(self.head).fit(X, self.classes_[codes])
        rows = informed(codes)
        logits = with_class_shares_kept(self.head_.loo_logits_, codes)
        scale, _ = fitted_scale(logits[rows], codes[rows])
        self.temperature_ = 1 / scale
        self.loo_logits_ = self.head_.loo_logits_ / np.float32(self.temperature_)
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        X = checked_query(self, X)
        return self.head_.predict_logits(X) / np.float32(self.temperature_)

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        check_is_fitted(self)
        return divided(self.head_.to_onnx(), self.temperature_)
