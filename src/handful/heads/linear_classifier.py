"""A linear classifier whose weights were learnt elsewhere, such as together with a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from handful.core import Array, Float32
from handful.heads.logits import LogitsClassifierMixin, linear
from handful.heads.onnx_form import INPUT, OnnxForm


class LinearClassifier(LogitsClassifierMixin):
    """Logits ``X @ weight.T + bias``; there is nothing to fit.

    Parameters
    ----------
    weight : ndarray of shape (n_classes, dim)
    bias : ndarray of shape (n_classes,)
    classes : sequence of str
        Names, in the order of the rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int

    Examples
    --------
    >>> rule = LinearClassifier(np.eye(2), np.zeros(2), ["cat", "dog"])
    >>> rule.predict(np.array([[0.1, 0.9]], np.float32)).tolist()
    ['dog']
    """

    def __init__(self, weight: Array, bias: Array, classes: Sequence[str]) -> None:
        self.weight, self.bias = np.asarray(weight, np.float32), np.asarray(bias, np.float32)
        self.classes_, self.n_features_in_ = np.array(classes), self.weight.shape[1]

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        return linear(np.asarray(X, np.float32), self.weight.T, self.bias)

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        form = OnnxForm("linear_rule")
        logits = form.linear(INPUT, self.weight.T, self.bias)
        return form.model(logits, "logits", self.n_features_in_, len(self.classes_))
