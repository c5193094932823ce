"""How unsure each probability vector is: one number a row."""

from __future__ import annotations

import numpy as np

from handful.core import Float32, Float64

_BLOCK = 8192
_TINY = np.float32(1e-30)


def margins(proba: Float32) -> Float32:
    """Return the largest probability of each row less the second largest; 1 with one class.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes), float32

    Returns
    -------
    ndarray of shape (n_samples,), float32
        In ``[0, 1]``; low is unsure.

    Examples
    --------
    >>> margins(np.array([[0.5, 0.25, 0.25]], np.float32)).tolist()
    [0.25]
    """
    out = np.ones(len(proba), np.float32)
    if proba.shape[1] < 2:
        return out
    for start in range(0, len(proba), _BLOCK):
        columns = np.ascontiguousarray(proba[start : start + _BLOCK].T)
        first, second = np.maximum(columns[0], columns[1]), np.minimum(columns[0], columns[1])
        for column in columns[2:]:
            np.maximum(second, np.minimum(first, column), out=second)
            np.maximum(first, column, out=first)
        out[start : start + _BLOCK] = first - second
    return out


def entropies(proba: Float32) -> Float32:
    """Return the entropy of the last axis in nats, at least 0; high is unsure."""
    logs = np.log(np.maximum(proba, _TINY))
    return np.maximum(-np.einsum("...k,...k->...", proba, logs), 0)


def information(members: Float32) -> Float64:
    """Return what a label is expected to tell about which member is right, in nats.

    The entropy of the mean less the mean of the entropies, equation 2 of Houlsby
    et al., "Bayesian Active Learning for Classification and Preference Learning",
    2011, https://arxiv.org/abs/1112.5745.

    Parameters
    ----------
    members : ndarray of shape (n_members, n_samples, n_classes), float32

    Returns
    -------
    ndarray of shape (n_samples,), float64
        In ``[0, log(n_members)]``.
    """
    out = np.empty(members.shape[1])
    for start in range(0, len(out), _BLOCK):
        block = members[:, start : start + _BLOCK]
        of_mean, of_members = entropies(block.mean(axis=0)), entropies(block).mean(axis=0)
        out[start : start + _BLOCK] = np.maximum(of_mean - of_members, 0)
    return out
