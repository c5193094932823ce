"""What ``fit`` measures: the methods on the same folds, the learning curve, a test split, thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from handful.core import Array, Float64, Int
from handful.heads import ConformalSets
from handful.jobs.labelled import Labelled
from handful.jobs.methods import POOLED
from handful.measure import (
    BeforeAfter,
    Fold,
    LearningCurve,
    OperatingPoint,
    TestFigures,
    Validation,
    learning_curve,
    operating_point,
    test_accuracy,
    validate,
)

_WITH_POOL = (
    2,
    3,
)  # repeats of the folds and sizes of the curve: each fit with a pool takes a second
SETS_ALPHA = 0.1  # prediction sets miss the right class this often


@dataclass(frozen=True)
class Measured:
    """Everything that was measured, for the report and the bundle; None where it cannot be."""

    validation: Validation | None = None
    curve: LearningCurve | None = None
    point: OperatingPoint | None = None
    sets: ConformalSets | None = None
    adapted: BeforeAfter | None = None


def measure(
    candidates: dict[str, Any],
    data: Labelled,
    max_miss: tuple[str, float] | None,
    folds: list[Fold] | None,
    random_state: int,
    quiet: bool,
) -> Measured:
    """Compare the heads on the labels outside the test split; with one class there is nothing to measure.

    With the ``folds`` of a backbone that saw labels there is no learning curve:
    it would need a training for each number of labels.
    """
    train = ~data.is_test
    X, y, groups = data.X[train], data.y[train], data.groups[train]
    if len(set(y)) < 2:
        return Measured()
    repeats, sizes = _WITH_POOL if candidates.keys() & set(POOLED) else (None, 4)
    validation = validate(
        candidates, X, y, groups=groups, folds=folds, n_repeats=repeats, random_state=random_state, quiet=quiet
    )  # fmt: skip
    head = candidates[validation.chosen]
    curve = None
    if folds is None:
        curve = learning_curve(
            head, X, y, groups=groups, n_sizes=sizes, random_state=random_state, quiet=quiet
        )
    proba = validation.methods[validation.chosen].oof_proba
    seen = ~np.isnan(proba).any(axis=1)
    if not seen.any():
        return Measured(validation, curve)
    codes = np.searchsorted(validation.classes, y)
    sets = ConformalSets(SETS_ALPHA).fit(proba[seen], codes[seen])
    point = None
    if max_miss:
        rows = _one_a_group(proba, y, groups, validation.classes.index(max_miss[0]), max_miss[0])
        point = operating_point(proba[rows], y[rows], *max_miss, classes=validation.classes)
    return Measured(validation, curve, point, sets)


def measure_test(head: Any, data: Labelled) -> TestFigures | None:
    """Return the accuracy of a fitted head on the user's own test split, of which it saw nothing."""
    test = data.is_test
    if not test.any():
        return None
    proba = head.predict_proba(data.X[test])
    return test_accuracy(data.y[test], proba, classes=list(head.classes_))


def _one_a_group(proba: Float64, y: Array, groups: Int, column: int, name: str) -> Int:
    """Return one tested row of each group, the worst one: copies are no further evidence.

    For the class that must be found that is the least probable one, for the
    others the one most like it.
    """
    tested = np.flatnonzero(~np.isnan(proba).any(axis=1))
    p = proba[tested, column]
    order = tested[np.lexsort((np.where(y[tested] == name, p, -p), y[tested] != name))]
    return np.sort(order[np.unique(groups[order], return_index=True)[1]])
