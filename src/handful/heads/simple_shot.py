"""SimpleShot: nearest prototype after centring and scaling to unit length."""

from __future__ import annotations

from typing import Self

import numpy as np
import onnx
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from handful.core import Array, Float32
from handful.heads.logits import LogitsClassifierMixin, checked_fit, checked_query, linear, one_hot
from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.prototypes import PrototypeClassifier
from handful.heads.unlabelled import check_numbers
from handful.heads.vectors import add_transform, transformed


class SimpleShot(LogitsClassifierMixin, BaseEstimator):
    """Classify by the nearest prototype after the centre is taken from every vector [1]_.

    Vectors of one backbone share a large common part; without it cosines tell more. It helps
    most with one label a class.

    Parameters
    ----------
    centre : array-like of shape (n_features,), default=None
        Taken from vectors of unit length, such as the mean of many unlabelled ones scaled to unit
        length, or of other classes as in the paper. None: the mean of the means of the classes given to `fit`.
    logit_scale : float, default=10.0
        Multiplies squared distances, above 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    centre_ : ndarray of shape (n_features,), float32
    prototypes_ : ndarray of shape (n_classes, n_features), float32
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every training row from prototypes without that row, but for the centre,
        which saw it.
    n_features_in_ : int

    References
    ----------
    .. [1] Wang, Chao, Weinberger and van der Maaten, "SimpleShot: Revisiting Nearest-Neighbor
       Classification for Few-Shot Learning", 2019, section 3 (CL2N),
       https://arxiv.org/abs/1911.04623. Deviations: vectors are scaled to unit length before
       they are centred, too, and the centre is that of the support unless one is given.

    Examples
    --------
    >>> X = [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0]]
    >>> SimpleShot().fit(X, ["cat", "cat", "dog"]).predict([[2.0, 0.3]])
    array(['cat'], dtype='<U3')
    """

    def __init__(self, *, centre: Array | None = None, logit_scale: float = 10.0) -> None:
        self.centre = centre
        self.logit_scale = logit_scale

    def fit(self, X: Array, y: Array) -> Self:
        """Compute the centre and the prototypes.

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
        check_numbers(self, logit_scale=(0.0, np.inf))
        X, codes = checked_fit(self, X, y)
        rows = transformed(X)
        self.centre_ = self._centre(rows, one_hot(codes, len(self.classes_)))
        inner = PrototypeClassifier("euclidean", logit_scale=self.logit_scale)
        inner.fit(transformed(rows - self.centre_), codes)
        self.prototypes_, self.loo_logits_ = inner.prototypes_, inner.loo_logits_
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes): squared distances but for the row's own length."""
        rows = transformed(transformed(checked_query(self, X)) - self.centre_)
        return linear(rows, *self._affine())

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        check_is_fitted(self)
        form = OnnxForm("simple_shot")
        x = add_transform(form, INPUT, power=1.0, unit_norm=True)
        x = form.node("Sub", x, form.constant(self.centre_))
        x = add_transform(form, x, power=1.0, unit_norm=True)
        logits = form.linear(x, *self._affine())
        return form.model(logits, "logits", self.n_features_in_, len(self.classes_))

    def _affine(self) -> tuple[Float32, Float32]:
        scale = np.float32(self.logit_scale)
        squares = np.square(self.prototypes_).sum(axis=1)
        return 2 * scale * self.prototypes_.T, -scale * squares

    def _centre(self, rows: Float32, indicator: Float32) -> Float32:
        if self.centre is None:
            if len(self.classes_) == 1:
                return np.zeros(rows.shape[1], np.float32)  # nothing would be left of one class
            means = indicator.T.astype(np.float64) @ rows / indicator.sum(axis=0)[:, None]
            return means.mean(axis=0).astype(np.float32)
        centre = np.asarray(self.centre, np.float32)
        if centre.shape != rows.shape[1:] or not np.isfinite(centre).all():
            raise ValueError(
                f"The 'centre' of SimpleShot must be {rows.shape[1]} finite numbers, as X has "
                f"features. Got the shape {centre.shape}. Give the mean of vectors of the same backbone."
            )
        return centre
