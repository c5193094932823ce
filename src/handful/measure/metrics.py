"""Figures of a classifier on labelled images: per class, balanced, and of its probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handful.core import Array, Estimate, Float64, Int, MeasureError, did_you_mean, listed, stream
from handful.measure.calibration import ReliabilityBin, calibration_error, reliability
from handful.measure.intervals import share, wilson_of_share

N_RESAMPLES = 500


@dataclass(frozen=True)
class ClassFigures:
    """What a classifier does with one class.

    Parameters
    ----------
    name : str
        The class.
    n : int
        Number of labelled images of the class, tested or not.
    recall : Estimate
        Share of the images of the class that are found.
    precision : Estimate
        Share of the images given the class that are of it.
    """

    name: str
    n: int
    recall: Estimate
    precision: Estimate


@dataclass(frozen=True)
class TestFigures:
    """Every figure of a classifier on a held-out test split.

    Parameters
    ----------
    n : int
        Number of test images.
    accuracy, balanced_accuracy, macro_f1, ece : Estimate
        The figures.
    per_class : list of ClassFigures
        One a class, in the order of ``classes``.
    confusion : ndarray of shape (n_classes, n_classes), int
        Images of class ``i`` given class ``j``.
    reliability : list of ReliabilityBin
        By rising confidence.
    """

    __test__ = False  # not a test case, whatever its name says to pytest

    n: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_f1: Estimate
    ece: Estimate
    per_class: list[ClassFigures]
    confusion: Int
    reliability: list[ReliabilityBin]


def test_accuracy(
    y_true: Array,
    proba: Float64,
    classes: Sequence[Any],
    *,
    random_state: int = 0,  # noqa: PT028
) -> TestFigures:
    """Return the figures of a classifier on images that no label of training touched.

    Parameters
    ----------
    y_true : array of shape (n_samples,)
        True class of each image, each one of ``classes``.
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities, columns in the order of ``classes``.
    classes : sequence of shape (n_classes,)
        The classes.
    random_state : int, default=0
        Seed of the noise by which macro F1 and the calibration error are bounded.

    Raises
    ------
    MeasureError
        If a label is not one of ``classes``.
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> figures = test_accuracy(np.array(["a", "b", "b"]), proba, ["a", "b"])
    >>> round(figures.accuracy.value, 2), figures.confusion.tolist()
    (0.67, [[1, 0], [1, 1]])
    """
    codes = encode(y_true, classes)
    if proba.shape != (len(codes), len(classes)):
        raise ValueError(
            f"The 'proba' must have the shape {(len(codes), len(classes))}: one row an image, "
            f"one column a class. Got {proba.shape} instead."
        )
    how = "test split"
    predicted = proba.argmax(axis=1) if len(codes) else codes
    counts = confusion(codes, predicted, len(classes))
    hits = (predicted == codes).astype(np.float64)
    confidence = proba.max(axis=1)
    return TestFigures(
        n=len(codes),
        accuracy=share(int(hits.sum()), len(codes), "accuracy", how),
        balanced_accuracy=balanced_accuracy(counts, how),
        macro_f1=macro_f1(codes, predicted, len(classes), how, random_state=random_state),
        ece=calibration_error(confidence, hits, how, random_state=random_state),
        per_class=class_figures(counts, classes, counts.sum(axis=1), how),
        confusion=counts,
        reliability=reliability(confidence, hits),
    )


test_accuracy.__test__ = False  # type: ignore[attr-defined]


def encode(y: Array, classes: Sequence[Any]) -> Int:
    """Return the position of each label in ``classes``.

    Raises
    ------
    MeasureError
        Naming the labels that are none of ``classes``.

    Examples
    --------
    >>> encode(np.array(["b", "a"]), ["a", "b"]).tolist()
    [1, 0]
    """
    position = {name: code for code, name in enumerate(np.asarray(classes).tolist())}
    labels = np.asarray(y).tolist()
    strange = sorted({str(label) for label in labels if label not in position})
    if strange:
        known = [str(name) for name in position]
        hints = [f"{name!r}{did_you_mean(name, known)}" for name in strange]
        raise MeasureError(
            f"{len(strange)} classes of the test images are unknown to the model: {listed(hints)}. "
            "Every test label must be a class of training. Label images of these classes, or "
            "leave them out of the test."
        )
    return np.array([position[label] for label in labels], dtype=np.int64)


def confusion(codes: Int, predicted: Int, n_classes: int) -> Int:
    """Return how many images of each class (row) were given each class (column)."""
    flat = np.bincount(codes * n_classes + predicted, minlength=n_classes * n_classes)
    return flat.reshape(n_classes, n_classes)


def class_figures(
    counts: Int, classes: Sequence[Any] | Array, n: Int, how: str
) -> list[ClassFigures]:
    """Return recall and precision of each class from a confusion matrix.

    Parameters
    ----------
    counts : ndarray of shape (n_classes, n_classes), int
        Confusion matrix of whole images, true classes in rows.
    classes : sequence of shape (n_classes,)
        The names.
    n : ndarray of shape (n_classes,), int
        Labelled images of each class.
    how : str
        Where the predictions come from.
    """
    figures = []
    for code, name in enumerate(classes):
        hits, found, given = (
            int(counts[code, code]), int(counts[code].sum()), int(counts[:, code].sum()),
        )  # fmt: skip
        recall = share(hits, found, f"recall of {name}", how)
        precision = share(hits, given, f"precision of {name}", how)
        figures.append(ClassFigures(str(name), int(n[code]), recall, precision))
    return figures


def balanced_accuracy(counts: Int, how: str) -> Estimate:
    """Return the mean recall of the classes that were tested.

    Its variance adds those of the recalls, each shrunk towards the accuracy so
    that a class with few images, all right, is not taken for certain; Wilson's
    formula with the number of images that has this variance gives the interval.
    """
    n = counts.sum(axis=1)
    tested = n > 0
    if not tested.any():
        return Estimate.not_measurable("balanced accuracy", f"{how}: no image to measure it on")
    hits = np.diag(counts)[tested].astype(np.float64)
    n = n[tested]
    weights = np.full(len(n), 1 / len(n))
    value = float(np.mean(hits / n))
    low, high = weighted_interval(hits, n.astype(np.float64), weights)
    missing = "" if tested.all() else f", over the {tested.sum()} of {len(tested)} classes tested"
    return Estimate(
        value, min(low, value), max(high, value), int(n.sum()), "balanced accuracy",
        f"{how}, Wilson interval at the effective number of images{missing}",
    )  # fmt: skip


def weighted_interval(hits: Float64, n: Float64, weights: Float64) -> tuple[float, float]:
    """Return Wilson's interval of a weighted mean of shares, at its effective number of images.

    Parameters
    ----------
    hits, n : ndarray of shape (n_strata,)
        Successes and images of each stratum, ``n`` above 0.
    weights : ndarray of shape (n_strata,)
        Weight of each stratum; they sum to 1.

    Examples
    --------
    >>> low, high = weighted_interval(np.array([9.0]), np.array([10.0]), np.array([1.0]))
    >>> round(low, 2), round(high, 2)
    (0.6, 0.98)
    """
    value = float(np.clip(weights @ (hits / n), 0, 1))
    pooled = (hits.sum() + 1) / (n.sum() + 2)
    shrunk = (hits + 2 * pooled) / (n + 2)
    variance = float(np.sum(weights**2 * shrunk * (1 - shrunk) / n))
    n_effective = min(pooled * (1 - pooled) / variance, float(n.sum()))
    return wilson_of_share(value, n_effective)


def macro_f1(
    codes: Int, predicted: Int, n_classes: int, how: str, *, random_state: int = 0
) -> Estimate:
    """Return the mean F1 of the classes with a bootstrap interval.

    Images are drawn with replacement within each class, `N_RESAMPLES` times; the
    standard deviation over the draws gives the number of images whose Wilson
    interval is reported. A class that was never tested is left out.
    """
    if len(codes) == 0:
        return Estimate.not_measurable("macro F1", f"{how}: no image to measure it on")
    tested = np.bincount(codes, minlength=n_classes) > 0
    counts = confusion(codes, predicted, n_classes)
    value = float(_f1(counts)[tested].mean())
    draws = _resampled_confusions(counts, stream(random_state, "macro F1"))
    spread = float(np.std(_f1(draws)[:, tested].mean(axis=1)))
    low, high = wilson_at_spread(value, spread, len(codes))
    return Estimate(
        value, low, high, len(codes), "macro F1",
        f"{how}, bootstrap of {N_RESAMPLES} stratified draws, Wilson interval at its spread",
    )  # fmt: skip


def wilson_at_spread(value: float, spread: float, n_samples: int) -> tuple[float, float]:
    """Return Wilson's interval at the number of images that has this standard deviation.

    Examples
    --------
    >>> low, high = wilson_at_spread(0.5, 0.05, 100)
    >>> round(low, 2), round(high, 2)
    (0.4, 0.6)
    """
    pooled = (value * n_samples + 1) / (n_samples + 2)
    n_effective = min(pooled * (1 - pooled) / max(spread**2, 1e-12), float(n_samples))
    return wilson_of_share(value, n_effective)


def _f1(counts: Int) -> Float64:
    """Return the F1 of each class from confusion matrices on the last two axes."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    touched = counts.sum(axis=-2) + counts.sum(axis=-1)
    return np.asarray(2 * hits / np.maximum(touched, 1), dtype=np.float64)


def _resampled_confusions(counts: Int, random: np.random.Generator) -> Int:
    n = counts.sum(axis=1)
    shrunk = counts + 0.5 / len(counts) * (n[:, None] > 0)
    rows = [
        random.multinomial(int(m), row / row.sum(), size=N_RESAMPLES)
        if m
        else np.zeros((N_RESAMPLES, len(row)), dtype=np.int64)
        for m, row in zip(n, shrunk, strict=True)
    ]
    return np.stack(rows, axis=1)
