"""Which head to ship and how good it is, from the labelled images alone.

All heads are tried on the same folds of repeated, stratified, group-safe
cross-validation. Whatever a head chooses from labels (its regularisation, its
temperature) it chooses inside each training set, so the figures are nested; what
the choice among the heads adds is measured by making it again in each fold (see
`handful.measure.choice`).

What counts how: ``accuracy`` uses all repeats and speaks of the model fitted on
all labels (see `handful.measure.shipped`). Tables of whole images (confusion,
recall, precision, F1, calibration) use the first repeat, in which each image has
one prediction by one model; they are of models that saw fewer labels, hence a
little too low.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handful.core import Array, Estimate, Float64, Int, MeasureError, Progress
from handful.measure.calibration import ReliabilityBin, calibration_error, reliability
from handful.measure.choice import choose, nested_hits
from handful.measure.folds import Fold, is_testable, stratified_folds, unit_ids, units_per_class
from handful.measure.metrics import (
    ClassFigures,
    class_figures,
    confusion,
    macro_f1,
)
from handful.measure.predictions import (
    Design,
    OutOfFold,
    cut_folds,
    nanmean,
    predict_out_of_fold,
    repeat_hits,
)
from handful.measure.shipped import shipped_accuracy, shipped_balanced_accuracy

_REPEATS = ((60, 5), (250, 3), (1000, 2))


@dataclass(frozen=True)
class MethodFigures:
    """Every figure of one head.

    Parameters
    ----------
    name : str
        The name it was given.
    accuracy : Estimate
        Of the head fitted on all labels, on new images mixed like the labels.
    balanced_accuracy : Estimate
        Of the head fitted on all labels, on new images with equally many of each class.
    macro_f1, ece : Estimate
        Of the out-of-fold predictions of the first repeat.
    per_class : list of ClassFigures
        One a class, in the order of the classes.
    confusion : ndarray of shape (n_classes, n_classes), int
        Tested images of class ``i`` given class ``j``, each image once.
    reliability : list of ReliabilityBin
        By rising confidence.
    oof_proba : ndarray of shape (n_samples, n_classes)
        Mean out-of-fold probabilities over the repeats; a row is NaN when the
        image was never tested because its class has no second label.
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
        Accuracy of the shipped model, the choice among the heads accounted
        for. This is the figure to report.
    differences : dict of str to Estimate
        Accuracy of the chosen head minus that of each other head, paired by image.
    how : str
        The folds in words.
    """

    classes: list[Any]
    methods: dict[str, MethodFigures]
    chosen: str
    why: str
    accuracy: Estimate
    differences: dict[str, Estimate]
    how: str


def validate(
    heads: Mapping[str, Any],
    X: Array,
    y: Array,
    *,
    groups: Array | None = None,
    folds: Sequence[Fold] | None = None,
    n_repeats: int | None = None,
    random_state: int = 0,
    quiet: bool = False,
) -> Validation:
    """Compare heads by cross-validation and choose one.

    Parameters
    ----------
    heads : mapping of str to classifier
        Unfitted scikit-learn classifiers, in order of preference: the default, or the simplest, first.
    X : ndarray of shape (n_samples, n_features)
        Vectors of the labelled images.
    y : array of shape (n_samples,)
        Class of each image.
    groups : array of shape (n_samples,), optional
        Images of one group are never on both sides of a split. Numbers, of
        which negative ones mean no group, or names, of which ``None`` does.
    folds : sequence of Fold, optional
        Splits that were made before, each with the vectors of a backbone that
        saw no label of its test rows. By default they are made here.
    n_repeats : int, optional
        How often the folds are drawn, at most; by default more often for fewer images.
    random_state : int, default=0
        Seed of the folds; the same seed gives the same figures.
    quiet : bool, default=False
        Show no progress.

    Returns
    -------
    Validation
        Where no class has a second label, figures are not measurable and the
        first head is chosen.

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
    X, y = np.asarray(X), np.asarray(y)
    if not heads:
        raise ValueError("The 'heads' of validate must name at least one classifier. Got none.")
    check_labels(X, y)
    planned = plan(y, groups, random_state, n_repeats=n_repeats) if folds is None else None
    design = planned or given(y, groups, folds or [])
    steps = len(heads) * (len(design.folds) + len(design.cuts))
    with Progress("validate", steps, unit="fits", quiet=quiet) as progress:
        outcomes = {
            name: predict_out_of_fold(head, X, design, progress) for name, head in heads.items()
        }
    methods = {
        name: _figures(name, outcome, design, random_state) for name, outcome in outcomes.items()
    }
    inflation = _inflation(design)
    choice = choose({name: m.hits for name, m in methods.items()}, inflation=inflation,
                    how=design.how)  # fmt: skip
    accuracy = _chosen_accuracy(outcomes, choice.name, design, inflation)
    return Validation(
        design.classes.tolist(), methods, choice.name, choice.why, accuracy, choice.differences,
        design.how,
    )  # fmt: skip


def plan(
    y: Array, groups: Array | None, random_state: int, *, n_repeats: int | None = None
) -> Design:
    """Return the folds for these labels: as many as classes have labels, five at most.

    The more images, the fewer repeats: they only remove the luck of the folds,
    which is small then.
    """
    classes, codes = np.unique(y, return_inverse=True)
    codes = codes.astype(np.int64)
    numbers = group_numbers(groups, len(codes))
    testable = is_testable(codes, numbers)
    sizes = units_per_class(codes, numbers)[codes][testable]
    n_folds = int(np.clip(np.median(sizes), 2, 5)) if len(sizes) else 2
    usual = next((repeats for most, repeats in _REPEATS if len(codes) <= most), 1)
    n_repeats = usual if n_repeats is None else min(n_repeats, usual)
    folds = list(
        stratified_folds(
            codes, numbers, n_folds=n_folds, n_repeats=n_repeats, random_state=random_state
        )
    )
    whole = ", groups kept whole" if numbers is not None else ""
    how = f"{n_repeats} × {n_folds}-fold stratified cross-validation{whole}"
    cuts = cut_folds(codes, numbers, folds, random_state)
    units = unit_ids(numbers, len(codes))
    return Design(codes, units, classes, folds, cuts, n_repeats, how)


def given(y: Array, groups: Array | None, folds: Sequence[Fold]) -> Design:
    """Return the design of splits that were made before a backbone was trained on their labels."""
    classes, codes = np.unique(y, return_inverse=True)
    units = unit_ids(group_numbers(groups, len(codes)), len(codes))
    share = sum(len(fold.test) for fold in folds) / len(codes)
    times = f"{len(folds)} times" if len(folds) > 1 else "once"
    how = f"backbone trained {times} without the labels it is tested on, {100 * share:.0f} % of all"
    return Design(codes.astype(np.int64), units, classes, list(folds), [], 1, how)


def held_out_folds(
    y: Array, groups: Array | None, *, n_folds: int, random_state: int
) -> list[Fold]:
    """Return one stratified, group-safe partition, to train a backbone in each training set.

    Parameters
    ----------
    y : array of shape (n_samples,)
    groups : array of shape (n_samples,), optional
        As in `validate`.
    n_folds : int
        At least 2; each tests one part in ``n_folds`` of the images.
    random_state : int
    """
    codes = np.unique(y, return_inverse=True)[1].astype(np.int64)
    numbers = group_numbers(groups, len(codes))
    return list(
        stratified_folds(codes, numbers, n_folds=n_folds, n_repeats=1, random_state=random_state)
    )


def group_numbers(groups: Array | None, n_samples: int) -> Int | None:
    """Return groups as numbers, negative for none; ``None`` when no image has a group.

    Raises
    ------
    ValueError
        If there is not one group an image.

    Examples
    --------
    >>> group_numbers(np.array(["b", None, "b"], dtype=object), 3).tolist()
    [0, -1, 0]
    """
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.shape != (n_samples,):
        raise ValueError(
            f"The 'groups' must have one entry an image, {n_samples} in all. "
            f"Got the shape {groups.shape}."
        )
    if groups.dtype.kind in "iu":
        numbers = groups.astype(np.int64)
    else:
        names = {
            name: i for i, name in enumerate(dict.fromkeys(groups.tolist())) if name is not None
        }
        numbers = np.array([names.get(name, -1) for name in groups.tolist()], dtype=np.int64)
    return numbers if (numbers >= 0).any() else None


def check_labels(X: Array, y: Array) -> None:
    """Raise when there is not one label a vector, or only one class."""
    if X.ndim != 2 or y.shape != (len(X),):
        raise ValueError(
            "Measuring takes one vector and one label an image. "
            f"Got X of shape {X.shape} and y of shape {y.shape}."
        )
    classes = np.unique(y)
    if len(classes) < 2:
        raise MeasureError(
            f"Accuracy needs at least two classes. Got {len(classes)}: {classes.tolist()}. "
            "Label images of a second class."
        )


def _inflation(design: Design) -> float:
    """Return ``1 + test / training`` of the folds, the factor of Nadeau and Bengio."""
    if not design.folds:
        return 1.0
    return 1 + float(np.mean([len(fold.test) / len(fold.train) for fold in design.folds]))


def _chosen_accuracy(
    outcomes: Mapping[str, OutOfFold], chosen: str, design: Design, inflation: float
) -> Estimate:
    """Return the accuracy of the chosen head, the luck of having been chosen in its interval."""
    trial, how, luck = outcomes[chosen].trial, design.how, 0.0
    if len(outcomes) > 1 and design.folds:
        repeats = {name: repeat_hits(o.proba, design.codes) for name, o in outcomes.items()}
        nested = nanmean(nested_hits(repeats, design.folds, inflation=inflation))
        luck = abs(float(np.mean((trial.hits - nested)[trial.tested])))
        how += f", widened for the choice among {len(outcomes)} methods"
    return shipped_accuracy(trial, how, choice_error=luck)


def _figures(name: str, outcome: OutOfFold, design: Design, random_state: int) -> MethodFigures:
    first, k = outcome.proba[0], len(design.classes)
    some = ~np.isnan(first[:, 0])
    codes, predicted = design.codes[some], first[some].argmax(axis=1)
    counts = confusion(codes, predicted, k)
    confidence, right = first[some].max(axis=1), (predicted == codes).astype(np.float64)
    how = f"out-of-fold predictions, first of {design.how}" if design.n_repeats > 1 else design.how
    if outcome.has_proba:
        ece = calibration_error(confidence, right, how, random_state=random_state)
    else:
        ece = Estimate.not_measurable("calibration error", f"{name} gives no probabilities")
    return MethodFigures(
        name=name,
        accuracy=shipped_accuracy(outcome.trial, design.how),
        balanced_accuracy=shipped_balanced_accuracy(outcome.trial, design.how),
        macro_f1=macro_f1(codes, predicted, k, how, random_state=random_state),
        ece=ece,
        per_class=class_figures(
            counts, design.classes, np.bincount(design.codes, minlength=k), how
        ),
        confusion=counts,
        reliability=reliability(confidence, right) if outcome.has_proba and len(codes) else [],
        oof_proba=np.stack(
            [nanmean(column) for column in np.moveaxis(outcome.proba, 2, 0)], axis=1
        ),
        hits=outcome.trial.hits,
        seconds=outcome.seconds,
    )
