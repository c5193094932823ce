"""What the linear heads share: logits of ``coef_`` and ``intercept_`` on transformed vectors, and their graph."""

from __future__ import annotations

import onnx
from sklearn.utils.validation import check_is_fitted

from handful.core import Array, Float32
from handful.heads.logits import LogitsClassifierMixin, checked_query, linear
from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.vectors import add_transform, transformed


class LinearFormMixin(LogitsClassifierMixin):
    """``predict_logits`` and ``to_onnx`` of a classifier that is linear in `transformed` vectors.

    ``power`` and ``unit_norm`` are those of `transformed`; an estimator's parameters of these
    names take their place.
    """

    power: float = 0.5
    unit_norm: bool = True
    coef_: Float32
    intercept_: Float32
    classes_: Array
    n_features_in_: int

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        return linear(checked_query(self, X), self.coef_.T, self.intercept_, self._rows)

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        check_is_fitted(self)
        form = OnnxForm(type(self).__module__.rpartition(".")[2])
        x = add_transform(form, INPUT, power=self.power, unit_norm=self.unit_norm)
        logits = form.linear(x, self.coef_.T, self.intercept_)
        return form.model(logits, "logits", self.n_features_in_, len(self.classes_))

    def _rows(self, X: Array) -> Float32:
        return transformed(X, power=self.power, unit_norm=self.unit_norm)
