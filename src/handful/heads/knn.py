"""Nearest neighbours: the vote of the most similar labelled images."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Self

import numpy as np
import onnx
from onnx import TensorProto
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from handful.core import Array, Float32
from handful.heads.logits import (
    BLOCK,
    LogitsClassifierMixin,
    checked_fit,
    checked_query,
    one_hot,
)
from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.vectors import add_transform, transformed

_TIE = np.float32(1e-6)


class NearestNeighbours(LogitsClassifierMixin, BaseEstimator):
    """Classify by the vote of the nearest labelled vectors under cosine.

    Every vector at least as similar as the ``n_neighbors``-th votes, so that
    ties do not depend on the order of the rows. The most similar has one vote,
    the others ``exp((cosine - largest cosine) / temperature)`` [2]_. The logit of
    a class is the logarithm of its votes plus ``smoothing``.

    Parameters
    ----------
    n_neighbors : int, default=10
        Number of votes, at least 1; with fewer vectors all of them vote.
    temperature : float, default=0.07
        Divides cosines, above 0; higher makes votes more equal. None: all equal.
    smoothing : float, default=0.1
        Votes that every class has from the start, above 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every training row by the votes of the others.
    n_features_in_ : int

    References
    ----------
    .. [1] Cover and Hart, "Nearest Neighbor Pattern Classification", IEEE
       Transactions on Information Theory 13(1), 1967,
       https://doi.org/10.1109/TIT.1967.1053964. Deviations: cosine, ties share
       the vote, smoothing.
    .. [2] Wu, Xiong, Yu and Lin, "Unsupervised Feature Learning via
       Non-parametric Instance Discrimination", CVPR 2018, section 3.4,
       https://arxiv.org/abs/1805.01978.

    Examples
    --------
    >>> head = NearestNeighbours(n_neighbors=1).fit([[1.0, 0.1], [0.1, 1.0]], ["cat", "dog"])
    >>> head.predict([[0.2, 3.0]])
    array(['dog'], dtype='<U3')
    """

    def __init__(
        self,
        n_neighbors: int = 10,
        *,
        temperature: float | None = 0.07,
        smoothing: float = 0.1,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.temperature = temperature
        self.smoothing = smoothing

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
        self._check()
        X, codes = checked_fit(self, X, y)
        self._rows, self._codes = transformed(X), codes
        self.loo_logits_ = self._logits(self._rows, leave_out_self=True)
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        return self._logits(transformed(checked_query(self, X)))

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        check_is_fitted(self)
        form = OnnxForm("neighbours")
        x = add_transform(form, INPUT, power=1.0, unit_norm=True)
        similarity = form.node("MatMul", x, form.constant(self._rows.T))
        n_votes = form.constant(np.array([self._n_votes(len(self._rows))]), np.int64)
        top, _ = form.nodes("TopK", similarity, n_votes, n_outputs=2, axis=1)
        least = form.node("ReduceMin", top, axes=[1], keepdims=1)
        threshold = form.node("Sub", least, form.constant(_TIE))
        far = form.node("Less", similarity, threshold)
        near = form.node("Cast", form.node("Not", far), to=TensorProto.FLOAT)
        if self.temperature is not None:
            below = form.node("Sub", similarity, form.node("ReduceMax", top, axes=[1], keepdims=1))
            weight = form.node("Exp", form.node("Div", below, form.constant(self.temperature)))
            near = form.node("Mul", near, weight)
        votes = form.node("MatMul", near, form.constant(self._indicator()))
        logits = form.node("Log", form.node("Add", votes, form.constant(self.smoothing)))
        return form.model(logits, "logits", self.n_features_in_, len(self.classes_))

    def _check(self) -> None:
        if not isinstance(self.n_neighbors, Integral) or self.n_neighbors < 1:
            raise ValueError(
                "The 'n_neighbors' parameter of NearestNeighbours must be an int of at least 1. "
                f"Got {self.n_neighbors!r} instead."
            )
        for name in ("temperature", "smoothing"):
            value = getattr(self, name)
            if value is None and name == "temperature":
                continue
            if not isinstance(value, Real) or not float(value) > 0:
                raise ValueError(
                    f"The {name!r} parameter of NearestNeighbours must be above 0. "
                    f"Got {value!r} instead."
                )

    def _n_votes(self, n_candidates: int) -> int:
        return min(int(self.n_neighbors), n_candidates)

    def _indicator(self) -> Float32:
        return one_hot(self._codes, len(self.classes_))

    def _logits(self, rows: Float32, *, leave_out_self: bool = False) -> Float32:
        votes = np.zeros((len(rows), len(self.classes_)), np.float32)
        n_votes = self._n_votes(len(self._rows) - leave_out_self)
        indicator, columns = self._indicator(), self._rows.T
        for start in range(0, len(rows) if n_votes else 0, BLOCK):
            similarity = rows[start : start + BLOCK] @ columns
            if leave_out_self:
                own = np.arange(len(similarity))
                similarity[own, start + own] = -np.inf
            votes[start : start + BLOCK] = self._votes(similarity, n_votes) @ indicator
        return np.log(votes + np.float32(self.smoothing))

    def _votes(self, similarity: Float32, n_votes: int) -> Float32:
        """Return the vote of each vector: 0 below the ``n_votes`` most similar of its row."""
        kth = similarity.shape[1] - n_votes
        least = np.partition(similarity, kth, axis=1)[:, kth, None]
        near = (similarity >= least - _TIE).astype(np.float32)
        if self.temperature is None:
            return near
        below = similarity - similarity.max(axis=1, keepdims=True)
        return near * np.exp(below / np.float32(self.temperature))
