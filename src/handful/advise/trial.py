"""What the labels at hand say of each plan on vectors, before any time is spent on it.

Prototypes and the probe are compared on balanced folds, not with one label left out: of few labels
a class, one that is missing harms the probe much and a mean little, by up to 15 points at two.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from handful.core import Array, Estimate, Float32, stream
from handful.heads import (
    LinearProbe,
    PrototypeClassifier,
    SpreadingProbe,
    TemperatureScaled,
    TextAndLabels,
    Verdict,
    WithPool,
    softmax,
)
from handful.measure import (
    LabelErrors,
    LearningCurve,
    Validation,
    gain_of_labels,
    label_errors,
    learning_curve,
    paired_interval,
    validate,
)

MORE = 50
"""Labels of the plan to label more first."""
USUAL_SKILL = 0.36
"""Of names of which nothing is known: share of the way from guessing to perfection."""
MOST_POOL = 2000
"""Unlabelled vectors that are tried, drawn at random: a verdict needs no more."""
_NAMES = "names_and_labels"
AS_METHODS = {
    "probe": "linear_probe",
    "prototypes": "prototypes",
    "semi_supervised": "spreading_probe",
    _NAMES: _NAMES,
}
"""Plans by the ``--method`` of `handful fit`."""
_FITS = 20  # of a head in a validation, about
_FOLDS = 1.25  # factor of the variance for five folds that share labels
_SIDE = 2 * 1.96  # standard errors in a 95 % interval


@dataclass(frozen=True)
class Gain:
    """A difference of shares with its standard error.

    Parameters
    ----------
    value : float
        In ``[-1, 1]``.
    error : float
        Standard error over the images.
    n : int
        Labelled images compared.
    """

    value: float
    error: float
    n: int


@dataclass(frozen=True)
class Trial:
    """What was measured on the labels at hand.

    Parameters
    ----------
    probe : Estimate
        Accuracy of the linear probe by cross-validation.
    gains : dict of str to Gain
        Accuracy of each other plan that could be tried less that of the probe, on the same labels
        that neither had seen.
    surer : Gain or None
        Mean confidence of the probe in unlabelled images less that in labelled ones left out:
        below 0 where the unlabelled ones are of a harder kind [1]_.
    more : Estimate
        Gain of the probe by `MORE` labels.
    verdict : Verdict or None
        Whether unlabelled images help, None without any.
    errors : LabelErrors or None
        Labels that are probably wrong.
    seconds : dict of str to float
        Of one fit of each plan, about.

    References
    ----------
    .. [1] Guillory et al., "Predicting with Confidence on Unseen Distributions", ICCV 2021,
       https://arxiv.org/abs/2107.03315 (the difference of confidences).
    """

    probe: Estimate
    gains: dict[str, Gain] = field(default_factory=dict)
    more: Estimate = field(
        default_factory=lambda: Estimate.not_measurable("gain in accuracy", "no label")
    )
    surer: Gain | None = None
    verdict: Verdict | None = None
    errors: LabelErrors | None = field(default=None, repr=False)
    seconds: dict[str, float] = field(default_factory=dict)


def try_out(
    X: Array,
    y: Array,
    *,
    pool: Float32 | None = None,
    text: Any = None,
    skill: float = USUAL_SKILL,
    groups: Array | None = None,
    random_state: int = 0,
) -> Trial:
    """Measure the plans on vectors by the labels there are.

    The probe is measured by cross-validation, and other plans are compared with it on the same folds.
    What learns from unlabelled images is fitted once, and compared on labels that were left out of
    that fit.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32
        Vectors of the labelled images.
    y : array of shape (n_samples,)
        Their classes.
    pool : ndarray of shape (n_unlabelled, n_features), float32, optional
        Vectors of unlabelled images; of more than 2,000 so many are drawn.
    text : classifier, optional
        Of the classes' names, fitted.
    skill : float, default=0.36
        What is expected of it, as for `handful.heads.TextAndLabels`.
    groups : array of shape (n_samples,), optional
        Images that are never on both sides of a split, as for `handful.measure.validate`.
    random_state : int, default=0

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> y = np.repeat(["a", "b"], 20)
    >>> X = (random.random((40, 4)) + 2 * (y == "b")[:, None]).astype(np.float32)
    >>> trial = try_out(X, y)
    >>> trial.probe.is_measured, list(trial.gains)
    (True, ['prototypes'])
    """
    X, y = np.asarray(X, np.float32), np.asarray(y)
    if len(np.unique(y)) < 2:
        why = "there is no label" if not len(y) else "there is one class: nothing to tell it from"
        return Trial(Estimate.not_measurable("accuracy", why))
    heads: dict[str, Any] = {"probe": LinearProbe(), "prototypes": PrototypeClassifier()}
    use_pool = pool is not None and len(pool) > 0
    if text is not None and not use_pool:
        heads[_NAMES] = TextAndLabels(LinearProbe(), text, skill=skill)
    folds = validate(heads, X, y, groups=groups, random_state=random_state, quiet=True)
    curve = learning_curve(
        LinearProbe(), X, y, groups=groups, random_state=random_state, quiet=True
    )
    trial = trial_of(folds, curve, None, y, methods={name: name for name in heads})
    if pool is None or not use_pool:
        return trial
    pool = _some(pool, random_state)
    blend = None
    if text is not None:
        blend = TextAndLabels(WithPool(SpreadingProbe(), pool), text, skill=skill)
    return _with_pool(trial, X, y, pool, blend)


def trial_of(
    validation: Validation,
    curve: LearningCurve | None,
    verdict: Verdict | None,
    y: Array,
    *,
    methods: Mapping[str, str] = AS_METHODS,
) -> Trial:
    """Return what a validation said of the plans.

    Parameters
    ----------
    validation : Validation
        Of several heads on the same folds, the linear probe among them.
    curve : LearningCurve or None
    verdict : Verdict or None
        Of the spreading probe.
    y : array of shape (n_samples,)
        The classes that were validated on.
    methods : mapping of str to str
        What each plan is called there; by default the ``--method`` of `handful fit`.
    """
    found = {
        plan: validation.methods[name]
        for plan, name in methods.items()
        if name in validation.methods
    }
    probe = found["probe"]
    tested = ~np.isnan(probe.hits)
    others = {plan: head for plan, head in found.items() if plan != "probe" and tested.any()}
    trial = Trial(
        probe=probe.accuracy,
        gains={
            plan: _gain(head.hits[tested] - probe.hits[tested], inflation=_FOLDS)
            for plan, head in others.items()
        },
        verdict=verdict,
        errors=label_errors(np.searchsorted(np.array(validation.classes), y), probe.oof_proba),
        seconds={plan: round(head.seconds / _FITS, 3) for plan, head in found.items()},
    )
    return replace(trial, more=gain_of_labels(curve, MORE)) if curve else trial


def _with_pool(trial: Trial, X: Float32, y: Array, pool: Float32, blend: Any) -> Trial:
    """Add what unlabelled images bring, by one fit, and whether they are of a harder kind."""
    start = time.perf_counter()
    codes = np.unique(y, return_inverse=True)[1]
    probe = TemperatureScaled(LinearProbe()).fit(X, y)
    spreading = WithPool(SpreadingProbe(), pool).fit(X, y)
    seconds = {**trial.seconds, "semi_supervised": round(time.perf_counter() - start, 3)}
    verdict, gains = spreading.rule_.verdict_, dict(trial.gains)
    rows = np.flatnonzero(np.bincount(codes)[codes] > 1)
    if len(rows) > 1 and not np.isnan(verdict.accuracy):
        mean = verdict.accuracy - verdict.probe_accuracy  # both from fits without the same labels
        gains["semi_supervised"] = replace(_left_out(spreading, probe, codes, rows), value=mean)
    if blend is not None:
        blend.fit(X, y)
        seconds[_NAMES] = round(time.perf_counter() - start, 3)
        if semi := gains.get("semi_supervised"):
            more = _left_out(blend, blend.head_, codes, rows)
            error = math.hypot(semi.error, more.error)
            gains[_NAMES] = Gain(semi.value + more.value, error, more.n)
    surer = _surer(probe, rows, pool)
    return replace(trial, gains=gains, verdict=verdict, seconds=seconds, surer=surer)


def _some(pool: Float32, random_state: int) -> Float32:
    if len(pool) <= MOST_POOL:
        return pool
    rows = stream(random_state, "advise").choice(len(pool), MOST_POOL, replace=False)
    return pool[np.sort(rows)]


def _left_out(head: Any, other: Any, codes: Array, rows: Array) -> Gain:
    """Compare two fitted heads on labels that each was fitted without."""
    names = np.unique(other.classes_)
    ours, theirs = (
        np.searchsorted(names, each.classes_[each.loo_logits_[rows].argmax(axis=1)]) == codes[rows]
        for each in (head, other)
    )
    return _gain(ours.astype(np.float64) - theirs)


def _gain(differences: Array, *, inflation: float = 1.0) -> Gain:
    value, low, high = paired_interval(differences, inflation=inflation)
    return Gain(value, (high - low) / _SIDE, len(differences))


def _surer(probe: TemperatureScaled, rows: Array, pool: Float32) -> Gain | None:
    """Compare the probe's confidence in the pool with that in labelled images left out."""
    if len(pool) < 2 or len(rows) < 2:
        return None
    here = softmax(probe.loo_logits_[rows]).max(axis=1).astype(np.float64)
    there = probe.predict_proba(pool).max(axis=1).astype(np.float64)
    error = np.sqrt(here.var(ddof=1) / len(here) + there.var(ddof=1) / len(there))
    return Gain(float(there.mean() - here.mean()), float(error), len(here))
