"""What all heads share: checked input, and answers that follow from logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np
import onnx
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from handful.core import Array, Float32, Float64, Int

BLOCK = 2048  # rows handled at once, so that memory does not grow with the pool


class Head(Protocol):
    """A classifier on vectors that can be calibrated, measured and served."""

    classes_: Array
    loo_logits_: Float32
    n_features_in_: int

    def fit(self, X: Array, y: Array) -> Self:
        """Learn from vectors and their labels."""
        ...

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        ...

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        ...


class LogitsClassifierMixin(ClassifierMixin):
    """``predict`` and ``predict_proba`` of a classifier that has ``predict_logits``."""

    def predict_proba(self, X: Array) -> Float32:
        """Return the probability of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float32
            Rows sum to 1; columns follow ``classes_``.
        """
        return softmax(self.predict_logits(X))

    def predict(self, X: Array) -> Array:
        """Return the most probable class of every vector.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        logits = self.predict_logits(X)
        return self.classes_[logits.argmax(axis=1)]


def checked_fit(estimator: Any, X: Array, y: Array) -> tuple[Float32, Int]:
    """Check training data, set ``classes_``; return X as float32 and y as class numbers."""
    X, y = validate_data(estimator, X, y, dtype=np.float32)
    check_classification_targets(y)
    estimator.classes_, codes = np.unique(y, return_inverse=True)
    return X, codes.astype(np.int64)


def checked_query(estimator: Any, X: Array) -> Float32:
    """Check vectors to be classified; return them as float32."""
    check_is_fitted(estimator)
    return validate_data(estimator, X, dtype=np.float32, reset=False)


def linear(
    X: Float32, weight: Array, bias: Array, transform: Callable[[Array], Float32] = np.asarray
) -> Float32:
    """Return ``transform(X) @ weight + bias``, summed in float64 so that no row depends on its batch.

    ``transform`` looks at each row alone; it is called on some rows at a time, so that a million take
    no more memory than the answer.
    """
    out = np.empty((len(X), weight.shape[1]), np.float32)
    weight, bias = weight.astype(np.float64), bias.astype(np.float64)
    for start in range(0, len(X), BLOCK):
        rows = slice(start, start + BLOCK)
        out[rows] = transform(X[rows]).astype(np.float64) @ weight + bias
    return out


def softmax(logits: Array) -> Float32:
    """Return probabilities, float32, whose rows sum to 1."""
    return exact_softmax(logits).astype(np.float32)


def exact_softmax(logits: Array) -> Array:
    """Return probabilities as exact as the logits are, for sums over many rows."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def log_losses(logits: Array, codes: Int) -> Float64:
    """Return minus the log probability of the true class, in nats, row by row."""
    logits = np.asarray(logits, np.float64)
    top = logits.max(axis=1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return total - logits[np.arange(len(codes)), codes]


def one_hot(codes: Int, n_classes: int) -> Float32:
    """Return indicator rows of shape (n_samples, n_classes)."""
    return np.eye(n_classes, dtype=np.float32)[codes]
