"""Labelled and unlabelled rows together: their axes, and the linear rule that soft labels give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
from scipy.linalg import eigh

from handful.core import Array, Float32, Float64, Int
from handful.heads.logits import BLOCK, linear
from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.scale import fitted_scale, informed
from handful.heads.vectors import add_transform, transformed

POWER = 0.5
PENALTY = 0.5  # of the ridge regression, in units of the mean squared length of a row
_N_FOLDS = 10
_RELATIVE_RANK = 1e-6  # squared singular values below this times the largest are rounding
USUAL_SCALE = 12.0  # of ridge scores, as for labelled rows alone


@dataclass(frozen=True)
class LinearRule:
    """What a semi-supervised head keeps: one linear classifier of transformed vectors.

    Parameters
    ----------
    weight : ndarray of shape (n_features, n_classes), float32
    bias : ndarray of shape (n_classes,), float32
    """

    weight: Float32
    bias: Float32

    def predict_logits(self, X: Float32) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        return linear(X, self.weight, self.bias, partial(transformed, power=POWER))

    def blended(self, other: LinearRule, share: float) -> LinearRule:
        """Return the mean of two rules' logits, ``share`` of this one; again a linear rule."""
        rest = np.float32(1 - share)
        return LinearRule(
            np.float32(share) * self.weight + rest * other.weight,
            np.float32(share) * self.bias + rest * other.bias,
        )

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        form = OnnxForm("linear_rule")
        x = add_transform(form, INPUT, power=POWER, unit_norm=True)
        return form.model(form.linear(x, self.weight, self.bias), "logits", *self.weight.shape)


class Pool:
    """Rows transformed, centred, scaled to a mean squared length of 1.

    Parameters
    ----------
    labelled : ndarray of shape (n_labelled, n_features), float32
        They are the first rows of the pool.
    unlabelled : ndarray of shape (n_unlabelled, n_features), float32

    Attributes
    ----------
    rows : ndarray of shape (n_samples, n_features), float32
    energy : ndarray of shape (r,)
        Squared singular values, descending; they sum to ``n_samples``.
    axes : ndarray of shape (n_features, r), float32
        Right singular vectors.
    """

    def __init__(self, labelled: Float32, unlabelled: Float32) -> None:
        self.n_labelled = len(labelled)
        self.rows = _transformed_in_blocks(labelled, unlabelled)
        self._mean = self.rows.mean(axis=0, dtype=np.float64)
        self.rows -= self._mean.astype(np.float32)
        squares = np.einsum("ij,ij->", self.rows, self.rows, dtype=np.float64)
        self._length = float(np.sqrt(squares / len(self.rows))) or 1.0
        self.rows /= np.float32(self._length)
        self.energy, self.axes = principal(self.rows)

    def on_axes(self, n_axes: int) -> Float32:
        """Return the rows on their first axes."""
        return self.rows @ self.axes[:, :n_axes]

    def ridge(self, targets: Float32, penalty: float) -> tuple[Float32, Float32]:
        """Return weight [d, k] and bias [k], for ``rows``, of the ridge regression on targets."""
        mean = targets.mean(axis=0, dtype=np.float64)
        votes = self.rows.T @ (targets - mean.astype(np.float32))
        filtered = (self.axes.T @ votes) / (self.energy + penalty)[:, None]
        return self.axes @ filtered.astype(np.float32), mean.astype(np.float32)

    def held_out(self, targets: Float32, penalty: float, rows: Int) -> Float64:
        """Return scores of some rows by the ridge regression without them, one at a time.

        The identity ``(f - h·t) / (1 - h)`` takes a row's own target out [1]_; the
        centre of the rows stays.

        References
        ----------
        .. [1] Rifkin, Yeo and Poggio, "Regularized least-squares classification", 2003.
        """
        weight, bias = self.ridge(targets, penalty)
        fitted = (self.rows[rows] @ weight + bias).astype(np.float64)
        squared = np.square(self.rows[rows] @ self.axes, dtype=np.float64)
        leverage = (squared / (self.energy + penalty)).sum(axis=1) + 1 / len(self.rows)
        leverage = np.minimum(leverage, 1 - 1e-6)[:, None]
        return (fitted - leverage * targets[rows]) / (1 - leverage)

    def rule(self, targets: Float32, penalty: float, scale: float) -> LinearRule:
        """Return the ridge regression on targets as a rule for vectors, its scores times scale."""
        weight, bias = self.ridge(targets, penalty)
        slope = scale * weight.astype(np.float64) / self._length
        offset = scale * bias - self._mean @ slope
        return LinearRule(slope.astype(np.float32), offset.astype(np.float32))


def cross_fitted(codes: Int, n_classes: int, scores: Callable[[Int, Int], Float64]) -> Float64:
    """Return scores of every labelled row from fits that do not see its label.

    Up to ten labels are left out one at a time, more in ten groups that spread
    every class.

    Parameters
    ----------
    codes : ndarray of shape (n_labelled,)
    n_classes : int
    scores : callable
        Of the kept and the left-out rows, to scores (n_left_out, n_classes).
    """
    n_folds = min(_N_FOLDS, len(codes))
    fold = np.empty(len(codes), np.int64)
    fold[np.argsort(codes, kind="stable")] = np.arange(len(codes)) % n_folds
    out = np.zeros((len(codes), n_classes))
    for number in range(n_folds if len(codes) > 1 else 0):
        left_out = np.flatnonzero(fold == number)
        out[left_out] = scores(np.flatnonzero(fold != number), left_out)
    return out


def scale_of(scores: Float64, codes: Int, *, centre: float = USUAL_SCALE) -> float:
    """Return the factor that turns held-out scores into calibrated logits."""
    rows = informed(codes)
    return fitted_scale(scores[rows], codes[rows], centre=centre)[0]


def _transformed_in_blocks(*parts: Array) -> Float32:
    out = np.empty((sum(map(len, parts)), parts[0].shape[1]), np.float32)
    stop = 0
    for part in parts:
        for start in range(0, len(part), BLOCK):
            block = transformed(part[start : start + BLOCK], power=POWER)
            start, stop = stop, stop + len(block)
            out[start:stop] = block
    return out


def principal(rows: Float32) -> tuple[Float64, Float32]:
    """Return squared singular values [r] and right singular vectors [d, r] of rows."""
    wide = rows.shape[0] < rows.shape[1]
    gram = rows @ rows.T if wide else rows.T @ rows
    energy, vectors = eigh(gram, driver="evd", overwrite_a=True, check_finite=False)
    keep = np.flatnonzero(energy > max(energy[-1], 1e-30) * _RELATIVE_RANK)[::-1]
    energy, vectors = energy[keep], np.ascontiguousarray(vectors[:, keep])
    if wide:
        vectors = (rows.T @ vectors) / np.sqrt(energy)
    return energy.astype(np.float64), vectors.astype(np.float32)
