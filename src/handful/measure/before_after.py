"""Whether another backbone is better: the same head on both vectors, the same folds, paired by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from handful.core import Array, Estimate, Progress
from handful.measure.folds import Fold
from handful.measure.intervals import paired_interval
from handful.measure.predictions import predict_out_of_fold
from handful.measure.shipped import shipped_accuracy
from handful.measure.validation import check_labels, given, plan


@dataclass(frozen=True)
class BeforeAfter:
    """Accuracy with the vectors before and after.

    Parameters
    ----------
    before, after : Estimate
        Accuracy of the head fitted on all labels.
    gain : Estimate
        After minus before, paired by image.
    """

    before: Estimate
    after: Estimate
    gain: Estimate


def before_after(
    head: Any,
    before: Array,
    after: Array | None,
    y: Array,
    *,
    head_before: Any = None,
    groups: Array | None = None,
    folds: Sequence[Fold] | None = None,
    random_state: int = 0,
) -> BeforeAfter:
    """Compare one head on two kinds of vectors of the same images.

    Parameters
    ----------
    head : classifier
        Unfitted.
    before, after : ndarray of shape (n_samples, n_features)
        Vectors. ``after`` may be None where each fold brings its own.
    y : array of shape (n_samples,)
    head_before : classifier, optional
        Another one for the vectors before.
    groups : array of shape (n_samples,), optional
    folds : sequence of Fold, optional
        With the vectors of a backbone that saw no label of the test rows; for
        a backbone that saw no label at all they are made here.
    random_state : int, default=0

    Returns
    -------
    BeforeAfter
        Not measurable where no image can be tested.

    Raises
    ------
    MeasureError
        If there are fewer than two classes.
    """
    check_labels(np.asarray(before), np.asarray(y))
    design = plan(y, groups, random_state) if folds is None else given(y, groups, folds)
    shared = replace(design, folds=[replace(fold, X=None) for fold in design.folds])
    with Progress("compare", 1, quiet=True) as progress:
        old = predict_out_of_fold(head_before or head, before, shared, progress).trial
        new = predict_out_of_fold(head, before if after is None else after, design, progress).trial
    differences = (new.hits - old.hits)[old.tested]
    what, how = "gain in accuracy", f"{design.how}, paired by image"
    if not len(differences):
        gain = Estimate.not_measurable(what, "no class has a second label to test on")
    else:
        inflation = 1 + float(np.mean([len(f.test) / len(f.train) for f in design.folds]))
        gain = Estimate(
            *paired_interval(differences, inflation=inflation), len(differences), what, how
        )
    return BeforeAfter(shipped_accuracy(old, design.how), shipped_accuracy(new, design.how), gain)
