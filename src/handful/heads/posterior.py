"""Normal approximations of the posterior of a logistic regression's weights on the axes of a span."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.linalg import cholesky, eigh, solve_triangular

from handful.core import Float64
from handful.heads.logistic import fitted_logistic
from handful.heads.logits import log_losses, softmax
from handful.heads.onnx_form import OnnxForm
from handful.heads.span import Span

_MOST_FULL = 600  # weights up to which the Hessian is kept whole
_TOLERANCE = 3e-3


class Curvature(Protocol):
    """The inverse Hessian, without the direction that moves all logits alike."""

    log_determinant: float

    def variance(self, rows: Float64) -> Float64:
        """Return the variance of every centred logit, of shape (n_samples, n_classes)."""
        ...

    def draws(self, n: int, random: np.random.Generator) -> Float64:
        """Return steps from the mean, of shape (n, r, n_classes)."""
        ...

    def add_variance(self, form: OnnxForm, rows: str) -> str:
        """Add the nodes of `variance` to a graph; return the name of the result."""
        ...


class Full:
    """The whole Hessian.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, r)
    proba : ndarray of shape (n_samples, n_classes)
    precision : float
        Of the prior.
    """

    def __init__(self, rows: Float64, proba: Float64, precision: float) -> None:
        n_classes, r = proba.shape[1], rows.shape[1]
        spread = np.einsum("nc,cd->ncd", proba, np.eye(n_classes))
        spread -= proba[:, :, None] * proba[:, None]
        hessian = np.einsum("ncd,ni,nj->cidj", spread, rows, rows, optimize=True)
        hessian = hessian.reshape(n_classes * r, n_classes * r)
        hessian[np.diag_indices_from(hessian)] += precision
        lower = cholesky(hessian, lower=True)
        self.log_determinant = 2 * float(np.log(np.diag(lower)).sum())
        root = solve_triangular(lower, np.eye(len(lower)), lower=True).T
        root = root.reshape(n_classes, r, n_classes * r)
        self._root = root - root.mean(axis=0)

    def variance(self, rows: Float64) -> Float64:
        """Return variances of shape (n_samples, n_classes)."""
        return np.stack([np.square(rows @ part).sum(axis=1) for part in self._root], axis=1)

    def draws(self, n: int, random: np.random.Generator) -> Float64:
        """Return steps of shape (n, r, n_classes)."""
        steps = random.normal(size=(self._root.shape[2], n))
        return np.asarray((self._root @ steps).transpose(2, 1, 0))

    def add_variance(self, form: OnnxForm, rows: str) -> str:
        """Add the nodes of `variance`."""
        columns = []
        for part in self._root:
            spread = form.node("MatMul", rows, form.constant(part))
            columns.append(form.node("ReduceSumSquare", spread, axes=[1], keepdims=1))
        return form.node("Concat", *columns, axis=1)


class Kronecker:
    """The Hessian as the product of a matrix of classes and one of axes, the prior added exactly.

    Parameters
    ----------
    rows, proba, precision
        As for `Full`.
    """

    def __init__(self, rows: Float64, proba: Float64, precision: float) -> None:
        spread = np.diag(proba.mean(axis=0)) - proba.T @ proba / len(proba)
        between, self._classes = eigh(spread)
        energy, self._axes = eigh(rows.T @ rows)
        curvature = np.maximum(energy[:, None] * between, 0) + precision
        self.log_determinant = float(np.log(curvature).sum())
        self._deviation = 1 / np.sqrt(curvature)
        self._deviation[:, 0] = 0.0  # the smallest eigenvalue is that of all logits alike
        self._to_variance = np.square(self._deviation) @ np.square(self._classes).T

    def variance(self, rows: Float64) -> Float64:
        """Return variances of shape (n_samples, n_classes)."""
        return np.asarray(np.square(rows @ self._axes) @ self._to_variance)

    def draws(self, n: int, random: np.random.Generator) -> Float64:
        """Return steps of shape (n, r, n_classes)."""
        steps = random.normal(size=(n, *self._deviation.shape)) * self._deviation
        return np.asarray(self._axes @ steps @ self._classes.T)

    def add_variance(self, form: OnnxForm, rows: str) -> str:
        """Add the nodes of `variance`."""
        turned = form.node("MatMul", rows, form.constant(self._axes))
        squared = form.node("Mul", turned, turned)
        return form.node("MatMul", squared, form.constant(self._to_variance))


class Posterior:
    """The posterior under one prior, and its evidence.

    Parameters
    ----------
    span : Span
        The labelled rows.
    precision : float
        Of the prior.

    Attributes
    ----------
    mean : Logistic
    curvature : Curvature
    log_evidence : float
        In nats, by Laplace's approximation.
    """

    def __init__(self, span: Span, precision: float) -> None:
        rows, n_classes = span.rows.astype(np.float64), span.indicator.shape[1]
        start = np.zeros((rows.shape[1] + 1, n_classes))
        self.precision = precision
        self.mean = fitted_logistic(span, precision, start, tolerance=_TOLERANCE)
        logits = rows @ self.mean.weight + self.mean.bias
        self._proba = softmax(logits).astype(np.float64)
        kind = Full if self.mean.weight.size <= _MOST_FULL else Kronecker
        self.curvature: Curvature = kind(rows, self._proba, precision)
        size = precision * np.square(self.mean.weight).sum()
        size += self.curvature.log_determinant - self.mean.weight.size * np.log(precision)
        self.log_evidence = float(-log_losses(logits, span.codes).sum() - size / 2)
        self._own = self.curvature.variance(rows)

    def left_out_variance(self) -> Float64:
        """Return the variance of every training row's logits without its own curvature."""
        own = self._proba * (1 - self._proba) * self._own
        return self._own / (1 - np.minimum(own, 0.99))

    def beyond(self, n_classes: int) -> float:
        """Return the variance of a centred logit a squared length outside the span."""
        return (1 - 1 / n_classes) / self.precision
