"""Matching: the attention that a vector pays to the labelled ones, summed by class."""

from __future__ import annotations

from typing import Self

import numpy as np
import onnx
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from handful.core import Array, Float32
from handful.heads.logits import BLOCK, LogitsClassifierMixin, checked_fit, checked_query, one_hot
from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.unlabelled import check_numbers
from handful.heads.vectors import add_transform, transformed

_LEAST = np.float32(1e-30)


class MatchingClassifier(LogitsClassifierMixin, BaseEstimator):
    """Classify by a softmax over the cosines to all labelled vectors, summed by class [1]_.

    Between nearest neighbours (temperature near 0) and prototypes (high). A class with more
    labels gets more attention.

    Parameters
    ----------
    temperature : float, default=0.07
        Divides cosines, above 0.005; higher spreads the attention. The paper's 1 is meant for
        vectors trained with it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every training row by its attention to the others. A class without another row
        is as far as can be.
    n_features_in_ : int

    References
    ----------
    .. [1] Vinyals, Blundell, Lillicrap, Kavukcuoglu and Wierstra, "Matching Networks for One
       Shot Learning", NeurIPS 2016, equation 1, https://arxiv.org/abs/1606.04080. Deviations:
       the temperature; no full-context embeddings, which have weights of their own to be
       trained on episodes, so that a rule on given vectors can't have them.

    Examples
    --------
    >>> head = MatchingClassifier().fit([[1.0, 0.1], [0.1, 1.0]], ["cat", "dog"])
    >>> head.predict([[0.2, 3.0]])
    array(['dog'], dtype='<U3')
    """

    def __init__(self, temperature: float = 0.07) -> None:
        self.temperature = temperature

    def fit(self, X: Array, y: Array) -> Self:
        """Store the vectors.

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
        check_numbers(self, temperature=(0.005, np.inf))
        X, codes = checked_fit(self, X, y)
        self._rows, self._codes = transformed(X), codes
        self.loo_logits_ = self._logits(self._rows, leave_out_self=True)
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return the logarithm of the attention to each class, up to a number a row, (n_samples, n_classes)."""
        return self._logits(transformed(checked_query(self, X)))

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        check_is_fitted(self)
        form = OnnxForm("matching")
        x = add_transform(form, INPUT, power=1.0, unit_norm=True)
        scores = form.node("MatMul", x, form.constant(self._rows.T))
        scores = form.node("Div", scores, form.constant(self.temperature))
        below = form.node("Sub", scores, form.node("ReduceMax", scores, axes=[1], keepdims=1))
        indicator = form.constant(one_hot(self._codes, len(self.classes_)))
        votes = form.node("MatMul", form.node("Exp", below), indicator)
        logits = form.node("Log", form.node("Max", votes, form.constant(_LEAST)))
        return form.model(logits, "logits", self.n_features_in_, len(self.classes_))

    def _logits(self, rows: Float32, *, leave_out_self: bool = False) -> Float32:
        out = np.empty((len(rows), len(self.classes_)), np.float32)
        indicator, columns = one_hot(self._codes, len(self.classes_)), self._rows.T
        for start in range(0, len(rows), BLOCK):
            scores = rows[start : start + BLOCK] @ columns / np.float32(self.temperature)
            if leave_out_self:
                own = np.arange(len(scores))
                scores[own, start + own] = -2 / np.float32(self.temperature)
            votes = np.exp(scores - scores.max(axis=1, keepdims=True)) @ indicator
            out[start : start + BLOCK] = np.log(np.maximum(votes, _LEAST))
        return out
