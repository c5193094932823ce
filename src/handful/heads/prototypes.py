"""Nearest prototype: one vector a class, from its images or given, such as text vectors."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Self

import numpy as np
import onnx
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from handful.core import Array, Float32, Float64, Int, listed
from handful.heads.logits import LogitsClassifierMixin, checked_fit, checked_query, linear, one_hot
from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.vectors import add_transform, transformed

_METRICS = ("cosine", "euclidean")
_TINY = 1e-30


class PrototypeClassifier(LogitsClassifierMixin, BaseEstimator):
    """Classify by the nearest class prototype.

    The prototype of a class is the mean of its vectors, as in prototypical
    networks [1]_; it can be pulled towards the mean of all prototypes, which
    helps when a class has few images.

    Parameters
    ----------
    metric : {"cosine", "euclidean"}, default="cosine"
        Cosine: vectors are scaled to unit length first, a logit is the cosine
        to the prototype times ``logit_scale``. Euclidean: a logit is
        ``-logit_scale`` times the squared distance, up to a number that is the
        same for all classes of a row.
    shrinkage : float, default=0.0
        How far each prototype moves towards the mean of all, in ``[0, 1)``.
    logit_scale : float, default=None
        Multiplies similarities, above 0. None: 20 for cosine, 1 for Euclidean.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    prototypes_ : ndarray of shape (n_classes, n_features), float32
        Of unit length under cosine.
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every training row from prototypes without that row. A class
        whose only row is left out sits at the mean of the others, so its own
        row can't find it. Absent after `from_prototypes`.
    n_features_in_ : int

    References
    ----------
    .. [1] Snell, Swersky and Zemel, "Prototypical Networks for Few-shot
       Learning", NeurIPS 2017, equations 1 and 2,
       https://arxiv.org/abs/1703.05175. Deviations: cosine is the default, and
       ``shrinkage``.

    Examples
    --------
    >>> X = [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0]]
    >>> PrototypeClassifier().fit(X, ["cat", "cat", "dog"]).predict([[2.0, 0.3]])
    array(['cat'], dtype='<U3')
    """

    def __init__(
        self,
        metric: str = "cosine",
        *,
        shrinkage: float = 0.0,
        logit_scale: float | None = None,
    ) -> None:
        self.metric = metric
        self.shrinkage = shrinkage
        self.logit_scale = logit_scale

    @classmethod
    def from_prototypes(
        cls,
        prototypes: Array,
        class_names: Sequence[object],
        *,
        metric: str = "cosine",
        logit_scale: float | None = None,
    ) -> Self:
        """Return a fitted classifier with given prototypes, such as text vectors.

        Parameters
        ----------
        prototypes : array-like of shape (n_classes, n_features)
        class_names : sequence of length n_classes
            Names without repetition, one a row.
        metric, logit_scale
            As for the class.

        Raises
        ------
        ValueError
            If the names do not fit the rows.

        Examples
        --------
        >>> head = PrototypeClassifier.from_prototypes([[0.0, 1.0], [1.0, 0.0]], ["b", "a"])
        >>> head.predict([[0.2, 3.0]])
        array(['b'], dtype='<U1')
        """
        head = cls(metric, logit_scale=logit_scale)
        X, codes = checked_fit(head, prototypes, np.asarray(class_names))
        if len(head.classes_) != len(X):
            raise ValueError(
                f"The 'class_names' of from_prototypes must differ. Got {listed(class_names)}. "
                "Give every prototype its own name, or fit on the vectors instead."
            )
        head._scale()
        head._set_prototypes(head._rows(X)[np.argsort(codes)].astype(np.float64))
        return head

    def fit(self, X: Array, y: Array) -> Self:
        """Compute the prototypes.

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
        self._scale()
        X, codes = checked_fit(self, X, y)
        rows = self._rows(X)
        indicator = one_hot(codes, len(self.classes_)).astype(np.float64)
        counts = indicator.sum(axis=0)
        means = indicator.T @ rows / counts[:, None]
        self._set_prototypes(self._shrunk(means))
        self.loo_logits_ = self._leave_one_out(rows, codes, means, counts)
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        return linear(checked_query(self, X), self._weight, self._bias, self._rows)

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        check_is_fitted(self)
        form = OnnxForm("prototypes")
        x = add_transform(form, INPUT, power=1.0, unit_norm=self.metric == "cosine")
        logits = form.linear(x, self._weight, self._bias)
        return form.model(logits, "logits", self.n_features_in_, len(self.classes_))

    def _scale(self) -> float:
        """Check the parameters; return the scale of the logits."""
        if self.metric not in _METRICS:
            raise ValueError(
                "The 'metric' parameter of PrototypeClassifier must be one of "
                f"{listed(map(repr, _METRICS))}. Got {self.metric!r} instead."
            )
        if not isinstance(self.shrinkage, Real) or not 0 <= float(self.shrinkage) < 1:
            raise ValueError(
                "The 'shrinkage' parameter of PrototypeClassifier must be in [0, 1). "
                f"Got {self.shrinkage!r} instead."
            )
        if self.logit_scale is None:
            return 20.0 if self.metric == "cosine" else 1.0
        if not isinstance(self.logit_scale, Real) or not float(self.logit_scale) > 0:
            raise ValueError(
                "The 'logit_scale' parameter of PrototypeClassifier must be above 0. "
                f"Got {self.logit_scale!r} instead."
            )
        return float(self.logit_scale)

    def _rows(self, X: Array) -> Float32:
        return transformed(X, unit_norm=self.metric == "cosine")

    def _shrunk(self, means: Float64) -> Float64:
        return means + self.shrinkage * (means.mean(axis=0) - means)

    def _set_prototypes(self, prototypes: Float64) -> None:
        prototypes = self._normalised(prototypes)
        self.prototypes_ = prototypes.astype(np.float32)
        weight, bias = self._affine(prototypes)
        self._weight, self._bias = weight.T.astype(np.float32), bias.astype(np.float32)

    def _normalised(self, prototypes: Float64) -> Float64:
        if self.metric == "euclidean":
            return prototypes
        return prototypes / np.maximum(np.linalg.norm(prototypes, axis=1, keepdims=True), _TINY)

    def _affine(self, prototypes: Float64) -> tuple[Float64, Float64]:
        """Return weight and bias, one row a class, that turn a vector into its logits."""
        scale = self._scale()
        if self.metric == "cosine":
            return scale * prototypes, np.zeros(len(prototypes))
        return 2 * scale * prototypes, -scale * np.square(prototypes).sum(axis=1)

    def _leave_one_out(self, rows: Float32, codes: Int, means: Float64, counts: Float64) -> Float32:
        """Return logits of every row after the step that leaving it out moves its class's mean."""
        n_classes, x, own = len(means), rows.astype(np.float64), means[codes]
        others = counts[codes, None] - 1
        to_rest = n_classes * (means.mean(axis=0) - own) / max(n_classes - 1, 1)
        alone = to_rest if n_classes > 1 else -own
        step = np.where(others > 0, (own - x) / np.maximum(others, 1), alone)
        moved = self.shrinkage / n_classes + (1 - self.shrinkage) * one_hot(codes, n_classes)
        prototypes = self._shrunk(means)
        dots = x @ prototypes.T + moved * _row_dots(x, step)
        squares = np.square(prototypes).sum(axis=1) + 2 * moved * (step @ prototypes.T)
        squares = np.maximum(squares + np.square(moved) * _row_dots(step, step), 0)
        if self.metric == "cosine":
            return (self._scale() * dots / np.sqrt(np.maximum(squares, _TINY))).astype(np.float32)
        return (self._scale() * (2 * dots - squares)).astype(np.float32)


def _row_dots(a: Float64, b: Float64) -> Float64:
    return np.einsum("ij,ij->i", a, b)[:, None]
