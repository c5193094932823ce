"""Training rows on their principal axes, where ridge and logistic regression are cheap."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from handful.core import Float32, Float64, Int
from handful.heads.logits import one_hot

_RELATIVE_RANK = 1e-6  # squared singular values below this times the largest are rounding


class Span:
    """Rows centred, scaled to a mean squared length of 1, on their principal axes.

    With ``n`` rows of length ``d`` every linear classifier with a squared penalty
    lies in the span of the rows, of ``r <= min(n, d)`` dimensions. Centre, scale
    and axes are those of the weighted rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32
    codes : ndarray of shape (n_samples,)
        Class numbers from 0; every class has a row.

    Attributes
    ----------
    weights : ndarray of shape (n_samples,)
        One over the square root of the size of the row's class, mean 1: half way
        between one vote a row and one vote a class.
    left : ndarray of shape (n_samples, r), float32
        Left singular vectors of the weighted rows.
    mean : ndarray of shape (n_features,), float32
    length : float
        Root mean squared length of the centred, weighted rows.
    energy : ndarray of shape (r,), float32
        Squared singular values, descending; they sum to ``n_samples``.
    rows : ndarray of shape (n_samples, r), float32
        The rows, not weighted, on the axes.
    indicator : ndarray of shape (n_samples, n_classes), float32
    """

    def __init__(self, X: Float32, codes: Int) -> None:
        counts = np.bincount(codes)
        weights = counts[codes] ** -0.5
        self.weights: Float64 = weights / weights.mean()
        self.codes = codes
        self.indicator = one_hot(codes, len(counts))
        self.mean = np.average(X, axis=0, weights=self.weights)
        root = np.sqrt(self.weights).astype(np.float32)[:, None]
        centred = (X - self.mean.astype(np.float32)) * root
        length = np.sqrt(np.square(centred).sum(dtype=np.float64) / len(X)) or 1.0
        self.length = np.float32(length)
        self._centred: Float32 = centred / self.length
        self.energy, self.left, self._right = _singular(self._centred)
        self.rows: Float32 = self.left * np.sqrt(self.energy) / root

    def unfolded(self, weight: Float64, bias: Float64) -> tuple[Float64, Float64]:
        """Return the weight [d, k] and bias [k], for vectors, of a solution on the axes."""
        if self._right is None:
            weight = self._centred.T @ (self.left @ (weight / np.sqrt(self.energy)[:, None]))
        else:
            weight = self._right @ weight
        weight = weight / self.length
        return weight, bias - self.mean @ weight


def _singular(rows: Float32) -> tuple[Float32, Float32, Float32 | None]:
    """Return squared singular values [r], left [n, r] and, if few, right [d, r] vectors."""
    wide = rows.shape[0] <= rows.shape[1]
    gram = rows @ rows.T if wide else rows.T @ rows
    energy, vectors = eigh(gram, driver="evd", overwrite_a=True, check_finite=False)
    keep = np.flatnonzero(energy > max(energy[-1], 1e-30) * _RELATIVE_RANK)[::-1]
    energy, vectors = energy[keep], np.ascontiguousarray(vectors[:, keep])
    return (energy, vectors, None) if wide else (energy, rows @ vectors / np.sqrt(energy), vectors)
