"""The space in which images are compared: whitened principal axes."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from handful.core import Array, Float32, stream
from handful.heads import transformed

_FIT_ON, _BLOCK = 20_000, 65_536
_RELATIVE_RANK = 1e-6


def prepared(X: Array, *, n_axes: int = 128, random_state: int = 0) -> Float32:
    """Return vectors in which distances mean more than in those of a backbone.

    Signed square roots of unit length, on their first principal axes, each
    scaled to the same variance: frequent directions, such as the light of a
    scene, no longer decide which images are near.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Vectors of a backbone.
    n_axes : int, default=128
        Axes at most.
    random_state : int, default=0
        Seed of the 20,000 rows from which the axes of a larger pool are found.

    Returns
    -------
    ndarray of shape (n_samples, min(n_axes, rank)), float32

    Examples
    --------
    >>> X = np.random.default_rng(0).random((50, 8), np.float32)
    >>> prepared(X, n_axes=3).std(axis=0).round(2).tolist()
    [1.0, 1.0, 1.0]
    """
    X = np.asarray(X, np.float32)
    chosen = stream(random_state, "prepared").permutation(len(X))[:_FIT_ON]
    sample = transformed(X[np.sort(chosen)], power=0.5)
    mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    sample = sample - mean
    energy, axes = _principal(sample, n_axes)
    axes /= np.sqrt(energy / max(len(sample), 1))
    out = np.empty((len(X), axes.shape[1]), np.float32)
    for start in range(0, len(X), _BLOCK):  # a copy of all rows could fill the memory
        rows = transformed(X[start : start + _BLOCK], power=0.5)
        out[start : start + _BLOCK] = (rows - mean) @ axes
    return out


def _principal(rows: Float32, n_axes: int) -> tuple[Float32, Float32]:
    """Return the largest squared singular values [r] and right singular vectors [d, r]."""
    wide = rows.shape[0] < rows.shape[1]
    gram = rows @ rows.T if wide else rows.T @ rows
    least = max(0, len(gram) - n_axes)
    energy, vectors = eigh(gram, subset_by_index=[least, len(gram) - 1], check_finite=False)
    keep = np.flatnonzero(energy > max(float(energy[-1]), 1e-30) * _RELATIVE_RANK)[::-1]
    energy, vectors = energy[keep], vectors[:, keep]
    if wide:
        vectors = (rows.T @ vectors) / np.sqrt(energy)
    return energy, np.ascontiguousarray(vectors)
