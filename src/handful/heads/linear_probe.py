"""The default head: logistic regression whose regularisation needs no validation set."""

from __future__ import annotations

from numbers import Real
from typing import Self

import numpy as np
import onnx
from sklearn.base import BaseEstimator

from handful.core import Array, Float32, Float64, Int
from handful.heads.logits import (
    LogitsClassifierMixin,
    checked_fit,
    checked_query,
    linear,
    log_losses,
)
from handful.heads.multinomial import Solution, Span
from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.vectors import add_transform, transformed

_GRID = (1.0, 10.0, 100.0, 1000.0)
_UNINFORMED = 100.0  # C where no class has two rows, so that leaving one out says nothing


class LinearProbe(LogitsClassifierMixin, BaseEstimator):
    """Multinomial logistic regression with C chosen by leave-one-out log loss.

    Parameters
    ----------
    C : float, default=None
        Inverse strength of the squared penalty, as in scikit-learn, above 0.
        None: chosen.
    power : float, default=0.5
        Vectors first become ``sign(x)·|x|**power``, above 0.
    unit_norm : bool, default=True
        Then their rows are scaled to length 1.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    C_ : float
    coef_ : ndarray of shape (n_classes, n_features), float32
    intercept_ : ndarray of shape (n_classes,), float32
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every training row from a fit without it, by the approximation
        of Rad and Maleki.
    n_features_in_ : int

    Examples
    --------
    >>> X = [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.8]]
    >>> LinearProbe().fit(X, ["cat", "cat", "dog", "dog"]).predict([[0.2, 3.0]])
    array(['dog'], dtype='<U3')
    """

    def __init__(
        self, C: float | None = None, *, power: float = 0.5, unit_norm: bool = True
    ) -> None:
        self.C = C
        self.power = power
        self.unit_norm = unit_norm

    def fit(self, X: Array, y: Array) -> Self:
        """Fit, choosing C where it is not given.

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
        span = Span(self._rows(X), codes, len(self.classes_))
        self.C_, start = self._chosen(span, codes)
        solution = span.solve(1 / self.C_, start, tolerance=1e-4)
        self._set(span, solution)
        self.loo_logits_ = span.leave_one_out(solution, 1 / self.C_).astype(np.float32)
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        return linear(self._rows(checked_query(self, X)), self.coef_.T, self.intercept_)

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        checked_query(self, np.zeros((1, getattr(self, "n_features_in_", 1))))
        form = OnnxForm("linear_probe")
        x = add_transform(form, INPUT, power=self.power, unit_norm=self.unit_norm)
        logits = form.linear(x, self.coef_.T, self.intercept_)
        return form.model(logits, "logits", self.n_features_in_, len(self.classes_))

    def _check(self) -> None:
        for name in ("C", "power"):
            value = getattr(self, name)
            if value is None and name == "C":
                continue
            if not isinstance(value, Real) or not 0 < value < np.inf:
                raise ValueError(
                    f"The {name!r} parameter of LinearProbe must be a finite number above 0. "
                    f"Got {value!r} instead."
                )

    def _rows(self, X: Array) -> Float32:
        return transformed(X, power=self.power, unit_norm=self.unit_norm)

    def _chosen(self, span: Span, codes: Int) -> tuple[float, Solution | None]:
        """Return C and a solution near the final one."""
        if self.C is not None:
            return float(self.C), None
        informed = np.bincount(codes)[codes] > 1
        if len(self.classes_) < 2 or not informed.any():
            return _UNINFORMED, None
        best: tuple[float, float, Solution | None] = (np.inf, _UNINFORMED, None)
        solution: Solution | None = None
        for C in _GRID:
            solution = span.solve(1 / C, solution, tolerance=1e-2)
            losses: Float64 = log_losses(span.leave_one_out(solution, 1 / C), codes)
            loss = float(losses[informed].mean())
            if loss < best[0]:
                best = (loss, C, solution)
        return best[1], best[2]

    def _set(self, span: Span, solution: Solution) -> None:
        weight = span.axes @ solution.weight
        self.coef_ = np.ascontiguousarray(weight.T, dtype=np.float32)
        self.intercept_ = (solution.bias - span.mean @ weight).astype(np.float32)
