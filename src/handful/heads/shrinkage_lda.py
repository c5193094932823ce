"""Linear discriminant with a shrunk covariance: prototypes under the classes' common spread."""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy.linalg import eigh
from sklearn.base import BaseEstimator

from handful.core import Array, Float32, Float64, Int
from handful.heads.linear_form import LinearFormMixin
from handful.heads.logits import checked_fit, one_hot
from handful.heads.scale import fitted_scale, informed
from handful.heads.unlabelled import check_numbers

LDA_SCALE = 20.0
_NOTHING = 1e-6  # spread within the classes, beside the total, that is rounding
_TINY = 1e-30


class ShrinkageLDA(LinearFormMixin, BaseEstimator):
    """Classify by the nearest class mean under the shrunk covariance within the classes.

    Directions in which images of one class differ among themselves count less. The covariance is
    ``(1 - shrinkage) S + shrinkage (trace(S) / d) I`` with the pooled covariance ``S`` of the
    classes about their means [1]_, [2]_; with one label a class there is no spread to learn from, and
    the rule is that of prototypes. All classes are taken as equally frequent.

    Parameters
    ----------
    shrinkage : float, default=0.8
        In ``(0, 1)``.
    power : float, default=0.5
        Vectors first become ``sign(x)·|x|**power``, above 0, of unit length.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    scale_ : float
        Turns the discriminants into logits; fitted on the leave-one-out ones.
    coef_ : ndarray of shape (n_classes, n_features), float32
    intercept_ : ndarray of shape (n_classes,), float32
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every training row from means and spread without it, exact but for the scale
        and the strength of the shrinkage, which saw it. A class without another row is at the
        mean of the other classes.
    n_features_in_ : int

    References
    ----------
    .. [1] Friedman, "Regularized Discriminant Analysis", JASA 84, 1989, equation 18,
       https://doi.org/10.1080/01621459.1989.10478752. Deviation: one covariance for all classes.
    .. [2] Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
       matrices", J. Multivariate Analysis 88, 2004. Deviation: ``shrinkage`` is given; deviations
       about the means of a few images are not the independent rows that their estimate needs.

    Examples
    --------
    >>> X = [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.8]]
    >>> ShrinkageLDA().fit(X, ["cat", "cat", "dog", "dog"]).predict([[0.2, 3.0]])
    array(['dog'], dtype='<U3')
    """

    def __init__(self, shrinkage: float = 0.8, *, power: float = 0.5) -> None:
        self.shrinkage = shrinkage
        self.power = power

    def fit(self, X: Array, y: Array) -> Self:
        """Compute means, spread and the linear rule.

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
        check_numbers(self, shrinkage=(0.0, 1.0), power=(0.0, np.inf))
        X, codes = checked_fit(self, X, y)
        spread = _Spread(self._rows(X), codes, self.shrinkage)
        held_out, rows = spread.held_out(), informed(codes)
        self.scale_ = fitted_scale(held_out[rows], codes[rows], centre=LDA_SCALE)[0]
        weight, bias = spread.rule()
        self.coef_ = (self.scale_ * weight).astype(np.float32)
        self.intercept_ = (self.scale_ * bias).astype(np.float32)
        self.loo_logits_ = (self.scale_ * held_out).astype(np.float32)
        return self


class _Spread:
    """Class means and the inverse of the shrunk scatter ``I + share Z'Z`` of the deviations ``Z``.

    Scores are ``m'Ax - m'Am / 2`` over the mean squared distance of a row from the mean of all.
    """

    def __init__(self, rows: Float32, codes: Int, shrinkage: float) -> None:
        self.codes, self.counts = codes, np.bincount(codes)
        self.rows = rows.astype(np.float64)
        indicator = one_hot(codes, len(self.counts)).astype(np.float64)
        self.means = indicator.T @ self.rows / self.counts[:, None]
        self.deviations = self.rows - self.means[codes]
        within = float(np.square(self.deviations).sum())
        total = max(float(np.square(self.rows - self.rows.mean(axis=0)).sum()), _TINY)
        if within <= _NOTHING * total:
            self.deviations[:] = 0.0
            within = total
        self.share = (1 - shrinkage) / (shrinkage * within / rows.shape[1])
        self.unit = len(rows) / total
        energy, self._axes = _principal(self.deviations)
        self._kept = self.share * energy / (1 + self.share * energy)

    def solved(self, X: Float64) -> Float64:
        """Return ``A`` times every row."""
        return X - ((X @ self._axes) * self._kept) @ self._axes.T

    def rule(self) -> tuple[Float64, Float64]:
        """Return weight [k, d] and bias [k], less what all classes share."""
        weight = self.unit * self.solved(self.means)
        bias = -np.einsum("kd,kd->k", weight, self.means) / 2
        return weight - weight.mean(axis=0), bias - bias.mean()

    def held_out(self) -> Float64:
        """Return every row's scores from means and scatter without it (Sherman and Morrison)."""
        codes, n = self.codes, self.counts[self.codes].astype(np.float64)
        x, z = self.rows, self.deviations
        means, step = self._means_without(n)
        solved_z = self.solved(z)
        lost = self.share * n / np.maximum(n - 1, 1)  # weight of z'z that leaves the scatter
        slack = np.maximum(1 - lost * np.einsum("nd,nd->n", solved_z, z), 1e-6)
        gain = lost / slack
        own = np.arange(len(codes)), codes
        linear_ = self.solved(x) @ self.means.T
        curved = np.tile(np.einsum("kd,kd->k", self.solved(self.means), self.means), (len(x), 1))
        seen = solved_z @ self.means.T
        linear_[own] += np.einsum("nd,nd->n", self.solved(x), step)
        curved[own] = np.einsum("nd,nd->n", self.solved(means), means)
        seen[own] += np.einsum("nd,nd->n", solved_z, step)
        linear_ += (gain * np.einsum("nd,nd->n", solved_z, x))[:, None] * seen
        curved += gain[:, None] * np.square(seen)
        scores = self.unit * (linear_ - curved / 2)
        return scores - scores.mean(axis=1, keepdims=True)

    def _means_without(self, n: Float64) -> tuple[Float64, Float64]:
        """Return the mean of every row's class without the row, and its step from the mean with it."""
        own, k = self.means[self.codes], len(self.means)
        others = (
            (k * self.means.mean(axis=0) - own) / max(k - 1, 1) if k > 1 else np.zeros_like(own)
        )
        without = np.where(
            n[:, None] > 1, own - (self.rows - own) / np.maximum(n - 1, 1)[:, None], others
        )
        return without, without - own


def _principal(rows: Float64) -> tuple[Float64, Float64]:
    """Return squared singular values [r] and right singular vectors [d, r]."""
    wide = rows.shape[0] < rows.shape[1]
    energy, vectors = eigh(rows @ rows.T if wide else rows.T @ rows, check_finite=False)
    keep = energy > max(float(energy[-1]), _TINY) * 1e-10
    energy, vectors = energy[keep], vectors[:, keep]
    return energy, rows.T @ vectors / np.sqrt(energy) if wide else vectors
