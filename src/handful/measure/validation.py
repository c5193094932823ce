"""Which head to ship and how good it is, from the labelled images alone.

All heads are fitted and tested on the same folds of repeated, stratified,
group-safe cross-validation. Whatever a head chooses from labels (its
regularisation, its temperature) it chooses inside each training set, so the
figures are nested by construction.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from handful.core import Array, Estimate, Float64, Int, MeasureError, Progress
from handful.measure.folds import Fold, stratified_folds
from handful.measure.intervals import paired_error, paired_interval
from handful.measure.metrics import (
    ClassFigures,
    ReliabilityBin,
    balanced_accuracy,
    calibration_error,
    class_figures,
    confusion,
    macro_f1,
    reliability,
)
from handful.measure.shipped import shipped_accuracy


@dataclass(frozen=True)
class MethodFigures:
    """Every figure of one head.

    Parameters
    ----------
    name : str
        The name it was given.
    accuracy : Estimate
        Of the head fitted on all labels, on new images mixed like the labels.
    balanced_accuracy, macro_f1, ece : Estimate
        Of the out-of-fold predictions.
    per_class : list of ClassFigures
        One a class, in the order of the classes.
    confusion : ndarray of shape (n_classes, n_classes), int
        Tested images of class ``i`` given class ``j``, each image once.
    reliability : list of ReliabilityBin
        By rising confidence.
    oof_proba : ndarray of shape (n_samples, n_classes)
        Mean out-of-fold probabilities; NaN rows were never tested.
    hits : ndarray of shape (n_samples,)
        Share of the repeats in which the image was right; NaN when never tested.
    seconds : float
        Time of all fits and predictions.
    """

    name: str
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_f1: Estimate
    ece: Estimate
    per_class: list[ClassFigures]
    confusion: Int
    reliability: list[ReliabilityBin]
    oof_proba: Float64
    hits: Float64
    seconds: float


@dataclass(frozen=True)
class Validation:
    """What cross-validation says of every head, and which to ship.

    Parameters
    ----------
    classes : list
        The classes, sorted; the order of all columns.
    methods : dict of str to MethodFigures
        In the order given.
    chosen : str
        The head to ship.
    why : str
        The reason, in a sentence.
    accuracy : Estimate
        Accuracy of the shipped model, the choice among the heads accounted for.
    differences : dict of str to Estimate
        Accuracy of the chosen head minus that of each other head, paired by image.
    """

    classes: list[Any]
    methods: dict[str, MethodFigures]
    chosen: str
    why: str
    accuracy: Estimate
    differences: dict[str, Estimate]


def validate(
    heads: Mapping[str, Any],
    X: Array,
    y: Array,
    *,
    groups: Array | None = None,
    random_state: int = 0,
    quiet: bool = False,
) -> Validation:
    """Compare heads by cross-validation and choose one.

    Parameters
    ----------
    heads : mapping of str to classifier
        Unfitted scikit-learn classifiers, the simplest first.
    X : ndarray of shape (n_samples, n_features)
        Vectors of the labelled images.
    y : array of shape (n_samples,)
        Class of each image.
    groups : array of shape (n_samples,), optional
        Images of one group are never on both sides of a split.
    random_state : int, default=0
        Seed of the folds.
    quiet : bool, default=False
        Show no progress.

    Raises
    ------
    MeasureError
        If there are fewer than two classes.
    ValueError
        If there is no head or the shapes do not fit.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[0.0], [0.1], [0.2], [1.0], [1.1], [1.2]])
    >>> result = validate({"linear": LogisticRegression(C=100)}, X, np.array(list("aaabbb")),
    ...                   quiet=True)
    >>> result.chosen, result.accuracy.value > 0.8
    ('linear', True)
    """
    classes, codes = _checked(heads, X, y)
    unit = None if groups is None else np.unique(groups, return_inverse=True)[1]
    n_folds, n_repeats = _plan(codes)
    folds = list(
        stratified_folds(
            codes, unit, n_folds=n_folds, n_repeats=n_repeats, random_state=random_state
        )
    )
    how = f"{n_repeats}×{n_folds}-fold cross-validation" + (
        ", groups whole" if groups is not None else ""
    )
    methods = {}
    with Progress("validate", len(heads) * len(folds), unit="fits", quiet=quiet) as progress:
        for name, head in heads.items():
            methods[name] = _figures(name, head, X, codes, classes, folds, n_repeats, how, progress)
    chosen, why, differences = choose(methods, n_folds)
    return Validation(classes, methods, chosen, why, methods[chosen].accuracy, differences)


def choose(
    methods: Mapping[str, MethodFigures], n_folds: int
) -> tuple[str, str, dict[str, Estimate]]:
    """Return the simplest method within one standard error of the best, why, and by how much."""
    names = list(methods)
    hits = {name: method.hits[~np.isnan(method.hits)] for name, method in methods.items()}
    if len(names) == 1 or len(hits[names[0]]) == 0:
        return names[0], "the only method" if len(names) == 1 else "nothing could be tested", {}
    inflation = 1 + 1 / (n_folds - 1)
    best = max(names, key=lambda name: (hits[name].mean(), -names.index(name)))
    for chosen in names:
        value, error = paired_error(hits[best] - hits[chosen], inflation=inflation)
        if value <= error:
            break
    differences = {}
    for name in names:
        if name != chosen:
            value, low, high = paired_interval(hits[chosen] - hits[name], inflation=inflation)
            differences[name] = Estimate(
                value, low, high, len(hits[name]), f"accuracy of {chosen} minus {name}",
                "paired by image",
            )  # fmt: skip
    tied = [name for name, d in differences.items() if d.low <= 0 <= d.high]
    why = (
        f"no winner: the paired intervals of {', '.join(tied)} overlap zero"
        if tied
        else "better than every other method"
    )
    return chosen, why, differences


def _checked(heads: Mapping[str, Any], X: Array, y: Array) -> tuple[list[Any], Int]:
    if not heads:
        raise ValueError("The 'heads' of validate must name at least one classifier. Got none.")
    y = np.asarray(y)
    if X.ndim != 2 or y.shape != (len(X),):
        raise ValueError(
            "validate takes one vector and one label an image. "
            f"Got X of shape {X.shape} and y of shape {y.shape}."
        )
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise MeasureError(
            f"Accuracy needs at least two classes. Got {len(classes)}. Label images of a second class."
        )
    return classes.tolist(), codes.astype(np.int64)


def _plan(codes: Int) -> tuple[int, int]:
    n = len(codes)
    smallest = np.bincount(codes)
    smallest = smallest[smallest > 1].min(initial=n)
    return int(np.clip(smallest, 2, 5)), 5 if n <= 500 else 2


def _figures(
    name: str, head: Any, X: Array, codes: Int, classes: Sequence[Any], folds: list[Fold],
    n_repeats: int, how: str, progress: Progress,
) -> MethodFigures:  # fmt: skip
    start = time.perf_counter()
    proba = np.full((n_repeats, len(codes), len(classes)), np.nan)
    kept = np.full((n_repeats, len(codes)), np.nan)
    total = np.bincount(codes)
    for fold in folds:
        model = clone(head).fit(X[fold.train], codes[fold.train])
        rows = np.zeros((len(fold.test), len(classes)))
        rows[:, model.classes_] = model.predict_proba(X[fold.test])
        proba[fold.repeat, fold.test] = rows
        kept[fold.repeat, fold.test] = (np.bincount(codes[fold.train]) / total)[codes[fold.test]]
        progress.advance()
    return _summary(name, proba, kept, codes, classes, how, time.perf_counter() - start)


def _summary(
    name: str, proba: Float64, kept: Float64, codes: Int, classes: Sequence[Any], how: str,
    seconds: float,
) -> MethodFigures:  # fmt: skip
    tested = ~np.isnan(proba[:, :, 0])
    seen = tested.sum(axis=0)
    some = seen > 0
    hit = np.where(tested, np.nan_to_num(proba, nan=-1).argmax(axis=2) == codes, False)
    divisor = np.where(some, seen, np.nan)
    hits = hit.sum(axis=0) / divisor
    mean = np.nansum(proba, axis=0) / divisor[:, None]
    kept_mean = np.nansum(kept, axis=0) / divisor
    predicted = np.nan_to_num(mean[some], nan=-1).argmax(axis=1)
    counts = confusion(codes[some], predicted, len(classes))
    right = (predicted == codes[some]).astype(np.float64)
    confidence = mean[some].max(axis=1) if some.any() else np.zeros(0)
    return MethodFigures(
        name,
        shipped_accuracy(hits, kept_mean, codes, "accuracy", how),
        balanced_accuracy(counts, how),
        macro_f1(codes[some], predicted, len(classes), how),
        calibration_error(confidence, right, how),
        class_figures(counts, classes, np.bincount(codes), how),
        counts,
        reliability(confidence, right) if some.any() else [],
        mean,
        hits,
        seconds,
    )
