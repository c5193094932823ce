"""Gaussian-process classification on vectors: least squares with a kernel chosen by evidence."""

from __future__ import annotations

from numbers import Integral
from typing import Self

import numpy as np
import onnx
from sklearn.base import BaseEstimator
from sklearn.cluster import kmeans_plusplus
from sklearn.utils.validation import check_is_fitted

from handful.core import Array, Float32, Float64, Int, stream
from handful.heads.logits import (
    BLOCK,
    LogitsClassifierMixin,
    checked_fit,
    checked_query,
    one_hot,
    softmax,
)
from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.process import Process, fitted_process, squared_distances
from handful.heads.scale import fitted_scale, informed
from handful.heads.vectors import add_transform, transformed

_POWER = 0.5
_USUAL_SCALE = 12.0
_DOUBTS = (0.0, 1.0, 4.0, 16.0)  # how much a variance as large as the prior's lowers a logit
_USUAL_DOUBT = 1.0


class GaussianProcess(LogitsClassifierMixin, BaseEstimator):
    """Classify by a Gaussian process on class indicators, unsure far from all labels.

    Each class has a process over its indicator, all with one kernel
    ``exp(-distance² / 2 width²)`` [1]_. Width and noise are those of the largest
    evidence on a grid. A logit is the mean of the class's process, scaled, and smaller
    where the variance is large [2]_; scale and doubt have the lowest leave-one-out log
    loss. An image unlike all labelled ones gets about the shares of the classes.

    Parameters
    ----------
    max_inducing : int, default=1000
        Labels up to which the process is exact, at least 2; beyond, so many inducing
        rows, drawn by k-means++, stand for all [3]_.
    random_state : int, default=0
        Seed of that draw; nothing else is random.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    process_ : Process
        With its ``width`` (on vectors of length 1), ``noise``, ``amplitude`` and
        ``log_evidence``, a bound from below where rows are induced.
    scale_, doubt_ : float
        From processes to logits; by how much a variance as large as the prior's lowers them.
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every training row from the process without it, with the kernel and
        the scale of all.
    n_features_in_ : int

    References
    ----------
    .. [1] Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006,
       section 6.5 (least-squares classification) and equations 5.10 to 5.12,
       http://gaussianprocess.org/gpml/. Deviation: one amplitude for all classes,
       in closed form.
    .. [2] MacKay, "The Evidence Framework Applied to Classification Networks",
       Neural Computation 4(5), 1992. Deviation: how much the variance counts is fitted,
       since that of a regression on indicators is no variance of logits.
    .. [3] Titsias, "Variational Learning of Inducing Variables in Sparse Gaussian
       Processes", AISTATS 2009, equation 9, https://proceedings.mlr.press/v5/titsias09a.html.

    Examples
    --------
    >>> X = [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.8]]
    >>> GaussianProcess().fit(X, ["cat", "cat", "dog", "dog"]).predict([[0.2, 3.0]])
    array(['dog'], dtype='<U3')
    """

    def __init__(self, max_inducing: int = 1000, *, random_state: int = 0) -> None:
        self.max_inducing = max_inducing
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        """Choose the kernel and condition the process.

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
        if not isinstance(self.max_inducing, Integral) or self.max_inducing < 2:
            raise ValueError(
                "The 'max_inducing' parameter of GaussianProcess must be an int of at least 2. "
                f"Got {self.max_inducing!r} instead."
            )
        self.scale_: float
        self.doubt_: float
        X, codes = checked_fit(self, X, y)
        rows, n_classes = transformed(X, power=_POWER), len(self.classes_)
        self._inducing: Float32 = self._induced(rows)
        self._shares: Float64 = np.bincount(codes, minlength=n_classes) / len(codes)
        self.process_: Process = fitted_process(
            rows, self._inducing, one_hot(codes, n_classes) - self._shares
        )
        mean, variance = self._shares + self.process_.loo_mean, self.process_.loo_variance
        unknown = variance / self.process_.amplitude
        self.scale_, self.doubt_ = _calibration(mean, unknown, codes)
        self.loo_logits_ = moderated(mean, unknown, self.scale_, self.doubt_)
        self._to_mean: Float64 = self.process_.whitening @ self.process_.weights
        self._to_explained: Float64 = self.process_.explained
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        rows = transformed(checked_query(self, X), power=_POWER)
        out = np.empty((len(rows), len(self.classes_)), np.float32)
        for start in range(0, len(rows), BLOCK):
            kernel = self._kernel(rows[start : start + BLOCK])
            explained = np.square(kernel @ self._to_explained).sum(axis=1)
            unknown = np.maximum(1 - explained / self.process_.amplitude, 0)
            mean = self._shares + kernel @ self._to_mean
            out[start : start + BLOCK] = moderated(mean, unknown, self.scale_, self.doubt_)
        return out

    def sample_proba(self, X: Array, n_samples: int = 10, *, random_state: int = 0) -> Float32:
        """Draw processes, and return the probabilities that each gives.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
        n_samples : int, default=10
            Draws; each is one process for all rows.
        random_state : int, default=0

        Returns
        -------
        ndarray of shape (n_samples, n_queries, n_classes), float32
        """
        rows, random = transformed(checked_query(self, X), power=_POWER), stream(random_state, "gp")
        process, n_classes = self.process_, len(self.classes_)
        steps = random.normal(size=(n_samples, process.root.shape[1], n_classes))
        weights = process.whitening @ (process.weights + process.root @ steps)
        out = np.empty((n_samples, len(rows), n_classes), np.float32)
        for start in range(0, len(rows), BLOCK):
            kernel = self._kernel(rows[start : start + BLOCK])
            beyond = process.amplitude * (1 - np.square(kernel @ process.whitening).sum(axis=1))
            own = np.sqrt(np.maximum(beyond, 0))[:, None]
            for member in range(n_samples):
                noise = random.normal(size=(len(kernel), n_classes))
                drawn = self._shares + kernel @ weights[member] + own * noise
                out[member, start : start + BLOCK] = softmax(self.scale_ * drawn)
        return out

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        check_is_fitted(self)
        form = OnnxForm("gaussian_process")
        x = add_transform(form, INPUT, power=_POWER, unit_norm=True)
        cross = form.node("MatMul", x, form.constant(-2 * self._inducing.T))
        own = form.node("ReduceSumSquare", x, axes=[1], keepdims=1)
        lengths = form.constant(np.square(self._inducing).sum(axis=1))
        apart = form.node("Add", form.node("Add", cross, own), lengths)
        apart = form.node("Max", apart, form.constant(0.0))
        kernel = form.node(
            "Exp", form.node("Mul", apart, form.constant(-0.5 / self.process_.width**2))
        )
        mean = form.linear(kernel, self._to_mean, self._shares)
        to_explained = self._to_explained / np.sqrt(self.process_.amplitude)
        explained = form.node("MatMul", kernel, form.constant(to_explained))
        explained = form.node("ReduceSumSquare", explained, axes=[1], keepdims=1)
        unknown = form.node("Sub", form.constant(1.0), explained)
        unknown = form.node("Max", unknown, form.constant(0.0))
        spread = form.node("Mul", unknown, form.constant(self.doubt_))
        root = form.node("Sqrt", form.node("Add", spread, form.constant(1.0)))
        logits = form.node("Div", form.node("Mul", mean, form.constant(self.scale_)), root)
        return form.model(logits, "logits", self.n_features_in_, len(self.classes_))

    def _induced(self, rows: Float32) -> Float32:
        if len(rows) <= self.max_inducing:
            return rows
        seed = int(stream(self.random_state, "inducing").integers(2**31))
        return np.asarray(kmeans_plusplus(rows, self.max_inducing, random_state=seed)[0])

    def _kernel(self, rows: Float32) -> Float64:
        apart = squared_distances(rows.astype(np.float64), self._inducing.astype(np.float64))
        return np.exp(apart / (-2 * self.process_.width**2))


def moderated(mean: Float64, unknown: Float64, scale: float, doubt: float) -> Float32:
    """Return logits ``scale · mean``, smaller the larger the unknown share of the variance."""
    return (scale * mean / np.sqrt(1 + doubt * unknown)[:, None]).astype(np.float32)


def _calibration(mean: Float64, unknown: Float64, codes: Int) -> tuple[float, float]:
    """Return scale and doubt of the lowest leave-one-out log loss, pulled weakly to the usual."""
    rows = informed(codes)
    fits = [
        (
            *fitted_scale(
                moderated(mean, unknown, 1.0, doubt)[rows], codes[rows], centre=_USUAL_SCALE
            ),
            doubt,
        )
        for doubt in (_DOUBTS if rows.any() else (_USUAL_DOUBT,))
    ]
    scale, _, doubt = min(fits, key=lambda fit: fit[1])
    return scale, doubt
