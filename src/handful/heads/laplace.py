"""A Bayesian last layer: the logistic probe, and how sure the labels make it."""

from __future__ import annotations

from typing import Self

import numpy as np
import onnx
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from handful.core import Array, Float32, Float64, Int, stream
from handful.heads.logits import (
    BLOCK,
    LogitsClassifierMixin,
    checked_fit,
    checked_query,
    log_losses,
    softmax,
)
from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.posterior import Posterior
from handful.heads.scale import informed
from handful.heads.span import Span
from handful.heads.vectors import add_transform, transformed

_POWER = 0.5
_TEMPERATURES = tuple(10.0 ** (-step / 2) for step in range(7))
_PRECISIONS = tuple(10.0 ** (step / 2) for step in range(-4, 5))


class LaplaceProbe(LogitsClassifierMixin, BaseEstimator):
    """Classify by a logistic regression whose weights are known to be uncertain.

    The posterior of the weights is approximated by a normal distribution at its
    maximum [1]_ [2]_. Its covariance is the inverse of the whole Hessian while there
    are at most 600 weights on the principal axes of the labelled vectors, and of
    its Kronecker factorisation beyond [3]_. Directions that no labelled vector has keep
    the variance of the prior, whose precision is the one of the largest
    evidence. A logit is moderated by its variance [1]_. In a thousand dimensions that
    variance is far too large for most images, so it is first cooled [4]_ by the factor
    of the lowest leave-one-out log loss. It stays too modest: for probabilities that are
    to be believed wrap it in `TemperatureScaled`.

    Parameters
    ----------
    precision : float, default=None
        Of the prior of each weight, in units of the mean squared distance of a vector
        from the mean, above 0. None: the one of nine from 0.01 to 100 with the
        largest evidence.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    precision_ : float
    log_evidence_ : float
        In nats.
    temperature_ : float
        Multiplies the covariance, in ``(0, 1]``.
    coef_ : ndarray of shape (n_classes, n_features), float32
    intercept_ : ndarray of shape (n_classes,), float32
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every training row from a fit without it, by one Newton step; the
        variance, by taking the row's own curvature out, class by class.
    n_features_in_ : int

    References
    ----------
    .. [1] MacKay, "The Evidence Framework Applied to Classification Networks",
       Neural Computation 4(5), 1992, equation 10; moderated by the variance of a difference of two logits.
    .. [2] Daxberger et al., "Laplace Redux: Effortless Bayesian Deep Learning",
       NeurIPS 2021, https://arxiv.org/abs/2106.14806 (the last-layer case).
       Deviations: the bias is taken for certain; the span of the vectors.
    .. [3] Ritter, Botev and Barber, "A Scalable Laplace Approximation for Neural
       Networks", ICLR 2018, https://openreview.net/forum?id=Skdvd2xAZ.
    .. [4] Wenzel et al., "How Good is the Bayes Posterior in Deep Neural Networks
       Really?", ICML 2020, https://arxiv.org/abs/2002.02405.

    Examples
    --------
    >>> X = [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.8]]
    >>> LaplaceProbe().fit(X, ["cat", "cat", "dog", "dog"]).predict([[0.2, 3.0]])
    array(['dog'], dtype='<U3')
    """

    def __init__(self, precision: float | None = None) -> None:
        self.precision = precision

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the regression and the curvature at its solution.

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
        if self.precision is not None and not 0 < self.precision < np.inf:
            raise ValueError(
                "The 'precision' parameter of LaplaceProbe must be a finite number above 0. "
                f"Got {self.precision!r} instead."
            )
        self.temperature_: float
        X, codes = checked_fit(self, X, y)
        span = Span(transformed(X, power=_POWER), codes)
        tried = _PRECISIONS if self.precision is None else (float(self.precision),)
        posterior = max(
            (Posterior(span, precision) for precision in tried), key=lambda fit: fit.log_evidence
        )
        self.precision_, self.log_evidence_ = posterior.precision, posterior.log_evidence
        self._posterior: Posterior = posterior
        self._keep(span, posterior)
        self._cool(posterior, codes)
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        rows = transformed(checked_query(self, X), power=_POWER)
        out = np.empty((len(rows), len(self.classes_)), np.float32)
        for start in range(0, len(rows), BLOCK):
            centred = self._centred(rows[start : start + BLOCK])
            mean = centred @ self._weight + self._posterior.mean.bias
            out[start : start + BLOCK] = mean / np.sqrt(
                1 + self._moderation * self._variance(centred)
            )
        return out

    def sample_proba(self, X: Array, n_samples: int = 10, *, random_state: int = 0) -> Float32:
        """Draw weights from the posterior, and return the probabilities that each gives.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
        n_samples : int, default=10
            Draws; each is one set of weights for all rows.
        random_state : int, default=0

        Returns
        -------
        ndarray of shape (n_samples, n_queries, n_classes), float32
        """
        rows, random = (
            transformed(checked_query(self, X), power=_POWER),
            stream(random_state, "laplace"),
        )
        inside = self._axes @ self._posterior.curvature.draws(n_samples, random)
        beyond = random.normal(size=(n_samples, rows.shape[1], len(self.classes_)))
        beyond -= beyond.mean(axis=2, keepdims=True)
        beyond -= self._axes @ (self._axes.T @ beyond)
        step = inside + beyond / np.sqrt(self.precision_)
        weights = self._weight + np.sqrt(self.temperature_) * step
        out = np.empty((n_samples, len(rows), len(self.classes_)), np.float32)
        for start in range(0, len(rows), BLOCK):
            centred = self._centred(rows[start : start + BLOCK])
            for member, weight in enumerate(weights):
                logits = centred @ weight + self._posterior.mean.bias
                out[member, start : start + BLOCK] = softmax(logits)
        return out

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        check_is_fitted(self)
        form = OnnxForm("laplace_probe")
        x = add_transform(form, INPUT, power=_POWER, unit_norm=True)
        x = form.node("Sub", x, form.constant(self._centre))
        x = form.node("Mul", x, form.constant(1 / self._length))
        mean = form.linear(x, self._weight, self._posterior.mean.bias)
        inside = form.node("MatMul", x, form.constant(self._axes))
        variance = self._posterior.curvature.add_variance(form, inside)
        whole, known = (
            form.node("ReduceSumSquare", part, axes=[1], keepdims=1) for part in (x, inside)
        )
        beyond = form.node("Max", form.node("Sub", whole, known), form.constant(0.0))
        beyond = form.node("Mul", beyond, form.constant(self._beyond))
        spread = form.node(
            "Mul", form.node("Add", variance, beyond), form.constant(self._moderation)
        )
        root = form.node("Sqrt", form.node("Add", spread, form.constant(1.0)))
        logits = form.node("Div", mean, root)
        return form.model(logits, "logits", self.n_features_in_, len(self.classes_))

    def _keep(self, span: Span, posterior: Posterior) -> None:
        """Keep what turns vectors into rows on the axes, and back."""
        r = len(span.energy)
        self._centre: Float64 = span.mean.astype(np.float64)
        self._length: float = float(span.length)
        axes, _ = span.unfolded(np.eye(r), np.zeros(r))
        self._axes: Float64 = axes * self._length
        self._weight: Float64 = self._axes @ posterior.mean.weight
        self._beyond: float = posterior.beyond(len(self.classes_))
        coef, intercept = span.unfolded(posterior.mean.weight, posterior.mean.bias)
        self.coef_ = np.ascontiguousarray(coef.T, dtype=np.float32)
        self.intercept_ = intercept.astype(np.float32)

    @property
    def _moderation(self) -> float:
        """π/8 times the cooled variance of the difference of two logits over that of a centred one."""
        return self.temperature_ * np.pi / 8 * 2 / max(1 - 1 / len(self.classes_), 0.5)

    def _cool(self, posterior: Posterior, codes: Int) -> None:
        """Choose the temperature and set the leave-one-out logits."""
        mean, variance = posterior.mean.loo_logits, posterior.left_out_variance()
        rows, fits = informed(codes), []
        for temperature in _TEMPERATURES:
            self.temperature_ = temperature
            logits = (mean / np.sqrt(1 + self._moderation * variance)).astype(np.float32)
            fits.append((float(log_losses(logits[rows], codes[rows]).sum()), temperature, logits))
        _, self.temperature_, self.loo_logits_ = min(fits, key=lambda fit: fit[0])

    def _centred(self, rows: Float32) -> Float64:
        return np.asarray((rows.astype(np.float64) - self._centre) / self._length)

    def _variance(self, centred: Float64) -> Float64:
        """Return the variance of every logit."""
        inside = centred @ self._axes
        beyond = np.square(centred).sum(axis=1) - np.square(inside).sum(axis=1)
        variance = self._posterior.curvature.variance(inside)
        return variance + self._beyond * np.maximum(beyond, 0)[:, None]
