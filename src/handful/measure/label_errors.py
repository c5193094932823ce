"""Likely label errors: images whose held-out probabilities speak for another class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handful.core import Array, Float64, Int


@dataclass(frozen=True)
class LabelErrors:
    """Labels that are probably wrong, the likeliest first.

    Parameters
    ----------
    rows : ndarray of shape (n_errors,), int64
        Rows of the input.
    proposed : ndarray of shape (n_errors,), int64
        The class that each probably has.
    margin : ndarray of shape (n_errors,), float64
        Probability of the proposed class less that of the given one, in ``(0, 1]``.
    joint : ndarray of shape (n_classes, n_classes), float64
        Estimated share of all images with a given label (row) and a true class
        (column); sums to 1.
    """

    rows: Int
    proposed: Int
    margin: Float64
    joint: Float64


def label_errors(y: Array, proba: Array) -> LabelErrors:
    """Find likely label errors by confident learning.

    An image counts as confidently of a class where its probability reaches the
    mean probability of that class among the images labelled so; where several
    classes reach theirs, the most probable one counts. Those whose confident class is
    not the given one are the likely errors ("confident joint" of the paper).

    Parameters
    ----------
    y : array of shape (n_samples,), int
        Given classes, ``0 … n_classes - 1``.
    proba : array of shape (n_samples, n_classes)
        Probabilities by models that did not see the image's label; a row of NaN
        is left out.

    Returns
    -------
    LabelErrors

    Raises
    ------
    ValueError
        If the shapes do not fit or a class does not exist.

    References
    ----------
    .. [1] Northcutt, Jiang and Chuang, "Confident Learning: Estimating
       Uncertainty in Dataset Labels", JAIR 70, 2021, equations 1, 2 and 3,
       https://arxiv.org/abs/1911.00068. Deviations: errors are ranked by the
       margin between the two classes; one whose margin is not positive is left out.

    Examples
    --------
    >>> proba = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9]]
    >>> found = label_errors([0, 0, 1, 1, 0], proba)
    >>> found.rows.tolist(), found.proposed.tolist()
    ([4], [1])
    """
    y, proba = np.asarray(y, np.int64), np.asarray(proba, np.float64)
    if proba.ndim != 2 or y.shape != (len(proba),):
        raise ValueError(
            "label_errors takes one class and one row of probabilities an image. "
            f"Got shapes {y.shape} and {proba.shape}."
        )
    n_classes = proba.shape[1]
    if len(y) and not (y.min() >= 0 and y.max() < n_classes):
        raise ValueError(f"The classes 'y' must be columns of 'proba', 0 to {n_classes - 1}.")
    rows = np.flatnonzero(~np.isnan(proba).any(axis=1))
    given, p = y[rows], proba[rows]
    confident = _confident(given, p)
    own = p[np.arange(len(p)), given]
    other = p[np.arange(len(p)), confident]
    wrong = np.flatnonzero((confident >= 0) & (confident != given) & (other > own))
    order = wrong[np.argsort(own[wrong] - other[wrong], kind="stable")]
    return LabelErrors(
        rows=rows[order],
        proposed=confident[order],
        margin=(other - own)[order],
        joint=_joint(given, confident, n_classes),
    )


def _confident(given: Int, p: Float64) -> Int:
    """Return the class of which each image confidently is, -1 for none."""
    n_classes = p.shape[1]
    counts = np.bincount(given, minlength=n_classes)
    own = np.bincount(given, weights=p[np.arange(len(p)), given], minlength=n_classes)
    threshold = np.where(counts > 0, own / np.maximum(counts, 1), np.inf)
    reached = np.where(p >= threshold, p, -1.0)
    return np.where(reached.max(axis=1, initial=-1.0) >= 0, reached.argmax(axis=1), -1)


def _joint(given: Int, confident: Int, n_classes: int) -> Float64:
    """Return the confident joint, its rows scaled to the numbers of labels (equation 3)."""
    sure = confident >= 0
    counted = np.zeros((n_classes, n_classes))
    np.add.at(counted, (given[sure], confident[sure]), 1.0)
    counts = np.bincount(given, minlength=n_classes).astype(np.float64)
    totals = counted.sum(axis=1)
    empty = (totals == 0) & (counts > 0)
    counted[empty, empty] = 1.0
    scaled = counted * (counts / np.maximum(counted.sum(axis=1), 1))[:, None]
    joint: Float64 = scaled / max(len(given), 1)
    return joint
