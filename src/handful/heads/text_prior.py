"""What the adapters share: unit text vectors of all classes, few labels of some of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from handful.core import Array, Float32, Float64, Int, did_you_mean, listed
from handful.embeddings import unit
from handful.heads.linear_form import LinearFormMixin


class TextPriorMixin(LinearFormMixin):
    """A linear classifier of unit vectors, ``coef_`` and ``intercept_``, that began with texts."""

    power = 1.0
    text: Array
    class_names: Sequence[object]
    logit_scale: float

    def _checked(self, X: Array, y: Array) -> tuple[Float64, Int, Float64]:
        """Return unit vectors, class numbers and unit texts, float64; set ``classes_``, sorted.

        Raises ValueError where a label is not among the classes, or shapes do not fit.
        """
        X, y = validate_data(self, X, y, dtype=np.float32)
        classes, codes, texts = checked_texts(self, self.text, self.class_names, y)
        if texts.shape[1] != X.shape[1]:
            raise ValueError(
                f"The 'text' of {type(self).__name__} must have {X.shape[1]} features, as X. "
                f"Got {texts.shape[1]}. Embed both with the same model."
            )
        self.classes_ = classes
        return unit(X).astype(np.float64), codes, unit(texts).astype(np.float64)

    def _keep(self, weight: Float64, bias: Float64 | float = 0.0) -> None:
        self.coef_ = weight.astype(np.float32)
        self.intercept_ = np.broadcast_to(bias, len(weight)).astype(np.float32)


def checked_texts(
    estimator: Any, text: Array, class_names: Sequence[object], y: Array
) -> tuple[Array, Int, Float32]:
    """Return the classes sorted, the number of each label among them, and the texts in their order."""
    name = type(estimator).__name__
    names, rows = np.asarray(class_names), np.asarray(text, np.float32)
    classes, order = np.unique(names, return_index=True)
    if len(classes) != len(names) or rows.ndim != 2 or len(rows) != len(names):
        raise ValueError(
            f"The 'class_names' of {name} must differ and name each row of 'text'. "
            f"Got {listed(names)} for texts of shape {rows.shape}."
        )
    return classes, class_numbers(name, classes, y), rows[order]


def class_numbers(estimator: str, classes: Array, y: Array) -> Int:
    """Return the place of each label among sorted classes.

    Raises
    ------
    ValueError
        If a label is not among them.
    """
    strange = sorted(set(np.asarray(y).tolist()) - set(classes.tolist()))
    if strange:
        near = did_you_mean(str(strange[0]), map(str, classes))
        raise ValueError(
            f"{estimator} got the label {strange[0]!r}, which is not among its classes{near}. "
            f"Classes: {listed(classes)}."
        )
    return np.searchsorted(classes, y).astype(np.int64)
