"""Dropout on the features of a linear rule: how far its answers depend on single features."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from handful.core import Array, Float32, Float64, Int, stream
from handful.heads.linear_form import LinearFormMixin
from handful.heads.logits import (
    BLOCK,
    checked_fit,
    checked_query,
    one_hot,
    softmax,
)
from handful.heads.pool import USUAL_SCALE, principal
from handful.heads.scale import fitted_scale, informed

_RATES = (0.1, 0.2, 0.5, 0.8, 0.9)
_USUAL_RATE = 0.5


class DropoutProbe(LinearFormMixin, BaseEstimator):
    """Classify by a linear rule that was trained with dropout, and sample it with dropout.

    Regression on class indicators, every feature being left out at random. The mean of
    the squared loss over all masks is known in closed form: it is a ridge regression
    whose penalty on a feature is in proportion to the feature's energy [1]_. Masks drawn
    again at prediction are Monte Carlo dropout [2]_, in the last layer alone.

    Parameters
    ----------
    rate : float, default=None
        Probability of leaving a feature out, above 0 and below 1. None: the one of five
        from 0.1 to 0.9 with the lowest leave-one-out log loss.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    rate_ : float
    coef_ : ndarray of shape (n_classes, n_features), float32
        Of the rule without masks, the mean over them.
    intercept_ : ndarray of shape (n_classes,), float32
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every training row from a fit without it, exact but for centre, energies
        and scale.
    n_features_in_ : int

    References
    ----------
    .. [1] Wager, Wang and Liang, "Dropout Training as Adaptive Regularization", NIPS 2013,
       https://arxiv.org/abs/1307.1493, section 2. Deviation: squared loss, for which it is exact.
    .. [2] Gal and Ghahramani, "Dropout as a Bayesian Approximation", ICML 2016,
       https://arxiv.org/abs/1506.02142.

    Examples
    --------
    >>> X = [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.8]]
    >>> head = DropoutProbe().fit(X, ["cat", "cat", "dog", "dog"])
    >>> head.predict([[0.2, 3.0]]), head.sample_proba([[0.2, 3.0]], 3).shape
    (array(['dog'], dtype='<U3'), (3, 1, 2))
    """

    def __init__(self, rate: float | None = None) -> None:
        self.rate = rate

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the rule.

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
        if self.rate is not None and not 0 < self.rate < 1:
            raise ValueError(
                "The 'rate' parameter of DropoutProbe must be a number above 0 and below 1. "
                f"Got {self.rate!r} instead."
            )
        X, codes = checked_fit(self, X, y)
        path, known = _Path(self._rows(X), codes), informed(codes)
        rates = (_USUAL_RATE,) if not known.any() else _RATES
        fits = []
        for rate in rates if self.rate is None else (float(self.rate),):
            scores = path.leave_one_out(rate)
            scale, loss = fitted_scale(scores[known], codes[known], centre=USUAL_SCALE)
            fits.append((loss, rate, scale, scores))
        _, self.rate_, scale, scores = min(fits, key=lambda fit: fit[0])
        weight, bias = path.solution(self.rate_)
        self.coef_ = np.ascontiguousarray((scale * weight).T, dtype=np.float32)
        self.intercept_ = (scale * bias).astype(np.float32)
        self.loo_logits_ = (scale * scores).astype(np.float32)
        return self

    def sample_proba(self, X: Array, n_samples: int = 10, *, random_state: int = 0) -> Float32:
        """Draw masks, and return the probabilities that the rule gives with each.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
        n_samples : int, default=10
            Masks; each is one set of features for all rows.
        random_state : int, default=0

        Returns
        -------
        ndarray of shape (n_samples, n_queries, n_classes), float32
        """
        rows = self._rows(checked_query(self, X))
        random = stream(random_state, "dropout")
        out = np.empty((n_samples, len(rows), len(self.classes_)), np.float32)
        for member in range(n_samples):
            kept = random.random((rows.shape[1], 1), np.float32) >= self.rate_
            weight = self.coef_.T * kept / np.float32(1 - self.rate_)
            for start in range(0, len(rows), BLOCK):
                block = slice(start, start + BLOCK)
                out[member, block] = softmax(rows[block] @ weight + self.intercept_)
        return out


class _Path:
    """The regressions of one training set for any rate, from one decomposition."""

    def __init__(self, rows: Float32, codes: Int) -> None:
        energy = np.einsum("ij,ij->j", rows, rows, dtype=np.float64)
        self.unit = np.divide(1, np.sqrt(energy), out=np.zeros_like(energy), where=energy > 0)
        self.centre = rows.mean(axis=0, dtype=np.float64)
        self.rows = ((rows - self.centre) * self.unit).astype(np.float32)
        self.energy, self.axes = principal(self.rows)
        self.left = (self.rows @ self.axes) / np.sqrt(self.energy)
        self.targets = one_hot(codes, int(codes.max()) + 1).astype(np.float64)
        self.mean: Float64 = self.targets.mean(axis=0)
        self.projected = self.left.T @ (self.targets - self.mean)

    def solution(self, rate: float) -> tuple[Float64, Float64]:
        """Return weight [d, k] and bias [k]."""
        filtered = np.sqrt(self.energy) / (self.energy + _penalty(rate))
        weight = self.unit[:, None] * (self.axes @ (filtered[:, None] * self.projected))
        return weight, self.mean - self.centre @ weight

    def leave_one_out(self, rate: float) -> Float64:
        """Return every row's scores by the regression without it, ``(f - h·t) / (1 - h)``."""
        kept = self.energy / (self.energy + _penalty(rate))
        fitted = self.mean + self.left @ (kept[:, None] * self.projected)
        leverage = np.square(self.left) @ kept + 1 / len(self.rows)
        leverage = np.minimum(leverage, 1 - 1e-6)[:, None]
        scores: Float64 = (fitted - leverage * self.targets) / (1 - leverage)
        return scores


def _penalty(rate: float) -> float:
    """Return the variance of a mask whose mean is 1."""
    return rate / (1 - rate)
