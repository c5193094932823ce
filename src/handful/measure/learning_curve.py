"""How accuracy rose with the number of labels, and what more labels are expected to bring.

Within each fold the training set is cut to ever larger, nested parts that keep
the mix of the classes; all are tested on the same images, so steps of the curve
are paired. The forecast carries the accuracy one doubling further, by a rise of
the log-odds that combines what is known of such curves (see
`handful.measure.shipped`) with the last step measured here, each weighted by its
precision. A curve at the level of guessing forecasts nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit, logit

from handful.core import Array, Estimate, Float64, Int, Progress, stream
from handful.measure.folds import Fold
from handful.measure.intervals import normal_quantile, paired_error, paired_interval
from handful.measure.predictions import Design, OutOfFold, predict_out_of_fold
from handful.measure.shipped import DRAW, Trial, raised, shipped_accuracy, usual_rise
from handful.measure.validation import check_labels, plan

BEYOND = 1.5
"""Factor of the error of the usual rise for a doubling beyond all labels."""
_PARTS = (1 / 8, 1 / 4, 1 / 2, 1.0)


@dataclass(frozen=True)
class CurvePoint:
    """Accuracy of models fitted on a number of labels.

    Parameters
    ----------
    labels : int
        Labels of all classes together, the mean over the folds.
    accuracy : Estimate
        Of those models.
    """

    labels: int
    accuracy: Estimate


@dataclass(frozen=True)
class LearningCurve:
    """Accuracy at increasing numbers of labels, and the forecast.

    Parameters
    ----------
    points : list of CurvePoint
        By rising number of labels; the last one is the model fitted on all
        labels, carried there from the folds.
    last_step : Estimate
        Measured gain of the last doubling within the folds, a fraction.
    more_labels : int
        Labels to add, as many as there are.
    gain : Estimate
        Expected gain in accuracy of adding them, a fraction; not measurable
        when the accuracy is that of guessing or there is no curve.
    sentence : str
        All of this in words.
    """

    points: list[CurvePoint]
    last_step: Estimate
    more_labels: int
    gain: Estimate
    sentence: str


def learning_curve(
    head: Any,
    X: Array,
    y: Array,
    *,
    groups: Array | None = None,
    n_sizes: int = 4,
    random_state: int = 0,
    quiet: bool = False,
) -> LearningCurve:
    """Measure accuracy at increasing numbers of labels.

    Parameters
    ----------
    head : classifier
        Unfitted scikit-learn classifier.
    X : ndarray of shape (n_samples, n_features)
        Vectors of the labelled images.
    y : array of shape (n_samples,)
        Class of each image.
    groups : array of shape (n_samples,), optional
        Groups that are never split, as for `validate`.
    n_sizes : int, default=4
        Sizes of training sets at most, each half of the next, 1 to 4.
    random_state : int, default=0
        Seed of folds and parts.
    quiet : bool, default=False
        Show no progress.

    Raises
    ------
    MeasureError
        If there are fewer than two classes.
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> random = np.random.default_rng(0)
    >>> y = np.repeat(["a", "b"], 40)
    >>> X = random.normal(size=(80, 4)) + (y == "b")[:, None]
    >>> curve = learning_curve(GaussianNB(var_smoothing=0.1), X, y, quiet=True)
    >>> [point.labels for point in curve.points], curve.more_labels
    ([8, 16, 32, 64, 80], 80)
    """
    X, y = np.asarray(X), np.asarray(y)
    check_labels(X, y)
    design = plan(y, groups, random_state, n_repeats=1)
    sizes = _sizes(design)[-n_sizes:]
    designs = [_cut_to(design, part, random_state) for part in sizes]
    steps = sum(len(d.folds) + len(d.cuts) for d in designs)
    with Progress("learning curve", steps, unit="fits", quiet=quiet) as progress:
        outcomes = [predict_out_of_fold(head, X, d, progress) for d in designs]
    return _curve(design, outcomes)


def gain_of_labels(curve: LearningCurve, more: int) -> Estimate:
    """Return the expected gain of some more labels, from that of a doubling.

    The log-odds of the accuracy rise in line with the logarithm of the number of labels.

    Parameters
    ----------
    curve : LearningCurve
    more : int
        Labels to add, at least 1.

    Returns
    -------
    Estimate
        A fraction; not measurable where the curve has no forecast.

    Examples
    --------
    >>> final = Estimate(0.8, 0.7, 0.87, 100, "accuracy", "folds")
    >>> gain = Estimate(0.04, -0.02, 0.1, 100, "gain in accuracy", "curve")
    >>> curve = LearningCurve([CurvePoint(100, final)], gain, 100, gain, "")
    >>> round(gain_of_labels(curve, 50).value, 3)
    0.024
    """
    if more < 1:
        raise ValueError(f"The labels to add must be at least 1. Got {more!r}.")
    what = f"gain in accuracy of {more} more labels"
    final, doubling = curve.points[-1].accuracy, curve.gain
    if not doubling.is_measured:
        return replace(doubling, what=what)
    part = math.log2(1 + more / curve.more_labels)
    sure = (final.value * final.n + 0.5) / (final.n + 1)

    def scaled(gain: float) -> float:
        reached = min(max(sure + gain, 1e-6), 1 - 1e-6)
        return float(expit(logit(sure) + part * (logit(reached) - logit(sure))) - sure)

    low, value, high = map(scaled, (doubling.low, doubling.value, doubling.high))
    return replace(doubling, value=value, low=low, high=high, what=what)


def _sizes(design: Design) -> list[float]:
    """Return the parts of a training set, each with more labels than the one before."""
    if not design.folds:
        return []
    counts = np.bincount(design.codes[design.folds[0].train])
    totals = [int(np.maximum(1, np.ceil(part * counts)).sum()) for part in _PARTS]
    return [
        part
        for part, total, larger in zip(_PARTS, totals, [*totals[1:], math.inf], strict=True)
        if total * 1.4 <= larger
    ]


def _cut_to(design: Design, part: float, random_state: int) -> Design:
    """Return the design with every training set cut to nested parts of each class."""
    if part == 1.0:
        return design
    random = stream(random_state, "learning curve")
    rank = random.random(design.units.max() + 1)[design.units]
    folds = [replace(fold, train=_part(design.codes, fold, rank, part)) for fold in design.folds]
    return replace(design, folds=folds, cuts=[])


def _part(codes: Int, fold: Fold, rank: Float64, part: float) -> Int:
    order = fold.train[np.lexsort((rank[fold.train], codes[fold.train]))]
    sizes = np.bincount(codes[order])
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[place < np.ceil(part * sizes[codes[order]])])


def _curve(design: Design, outcomes: Sequence[OutOfFold]) -> LearningCurve:
    n = len(design.codes)
    if not outcomes:
        why = "no class has a second label to test on"
        nothing = Estimate.not_measurable("accuracy", why)
        gain = Estimate.not_measurable("gain in accuracy", why)
        return LearningCurve([CurvePoint(n, nothing)], gain, n, gain, f"No learning curve: {why}.")
    points = [_point(outcome.trial, design.how) for outcome in outcomes]
    final = shipped_accuracy(outcomes[-1].trial, design.how)
    points.append(CurvePoint(n, final))
    step, slope, error = _last_step([outcome.trial for outcome in outcomes], design)
    gain = _forecast(final, points[-2].accuracy, design.codes, slope, error)
    return LearningCurve(points, step, n, gain, _sentence(n, step, gain))


def _point(trial: Trial, how: str) -> CurvePoint:
    """Return the accuracy of the folds' models as they are, on the classes that are tested."""
    tested = trial.tested
    there = Trial(
        trial.hits[tested], trial.codes[tested], trial.units[tested], float(tested.sum()),
        trial.alone,
    )  # fmt: skip
    words = f"{how}, models fitted on {trial.n_train:.0f} labels"
    return CurvePoint(round(trial.n_train), replace(shipped_accuracy(there, how), how=words))


def _last_step(trials: Sequence[Trial], design: Design) -> tuple[Estimate, float, float]:
    """Return the last measured step, its rise in log-odds a doubling, and the error of that."""
    what = "gain in accuracy of the last doubling"
    if len(trials) < 2:
        return Estimate.not_measurable(what, "too few labels for two sizes"), 0.0, math.inf
    small, large = trials[-2:]
    tested = large.tested
    differences = large.hits[tested] - small.hits[tested]
    inflation = 1 + float(np.mean([len(fold.test) / len(fold.train) for fold in design.folds]))
    value, low, high = paired_interval(differences, inflation=inflation)
    step = Estimate(
        value, low, high, int(tested.sum()), what,
        f"from {small.n_train:.0f} to {large.n_train:.0f} labels on the same folds, "
        f"paired by image; {design.how}",
    )  # fmt: skip
    _, error = paired_error(differences, inflation=inflation)
    n = len(differences)
    sure = [(float(t.hits[tested].sum()) + 1) / (n + 2) for t in (small, large)]
    doublings = math.log2(large.n_train / small.n_train)
    steepness = sure[1] * (1 - sure[1])
    return step, float(logit(sure[1]) - logit(sure[0])) / doublings, error / steepness / doublings


def _forecast(
    final: Estimate, measured: Estimate, codes: Int, slope: float, error: float
) -> Estimate:
    """Return the gain of doubling the labels."""
    what = "gain in accuracy of twice as many labels"
    guessing = float(np.bincount(codes).max()) / len(codes)
    if measured.low <= guessing:
        why = f"the accuracy is not shown to be above that of guessing, {100 * guessing:.0f} %"
        return Estimate.not_measurable(what, why, measured.n)
    usual, usual_error = usual_rise(len(codes) / len(np.unique(codes)))
    weights = np.array([(BEYOND * usual_error) ** -2, 0.0 if math.isinf(error) else error**-2])
    rise = float(weights @ [usual, slope] / weights.sum())
    value = raised(final.value, rise, final.n) - final.value
    sure = (final.value * final.n + 0.5) / (final.n + 1)
    spread = sure * (1 - sure)
    variance = spread**2 / weights.sum() + DRAW * spread / len(codes)
    half = normal_quantile(0.95) * math.sqrt(variance)
    how = "log-odds of accuracy carried one doubling on: earlier image sets and the last step here"
    return Estimate(value, value - half, value + half, final.n, what, how)


def _sentence(n: int, step: Estimate, gain: Estimate) -> str:
    said = ""
    if step.is_measured and step.low <= 0:
        said = f"The last doubling within the folds did not help measurably: {_points(step)}. "
    if not gain.is_measured:
        return said + f"No forecast: {gain.how}."
    hope = "may not help" if gain.low <= 0 else "should help"
    return said + f"{n} more labels {hope}: {_points(gain)} expected."


def _points(estimate: Estimate) -> str:
    value, low, high = (100 * x for x in (estimate.value, estimate.low, estimate.high))
    return f"{value:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})"
