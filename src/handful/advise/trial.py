"""What the labels at hand say of each plan on vectors, before any time is spent on it."""

from __future__ import annotations

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
MOST_POOL = 2000
"""Unlabelled vectors that are tried, drawn at random: a verdict needs no more."""
_AS_METHODS = {
    "probe": "linear_probe",
    "prototypes": "prototypes",
    "semi_supervised": "spreading_probe",
    "names_and_labels": "names_and_labels",
}
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
        Accuracy of each other plan that could be tried less that of the probe on the same labels,
        each left out in turn.
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
        Of one fit of each plan.

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
    groups: Array | None = None,
    random_state: int = 0,
) -> Trial:
    """Measure the plans on vectors by the labels there are.

    The probe is measured by cross-validation; every other plan is compared with it on labels that
    neither had seen, by one fit of each.

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
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        why = "there is no label" if not len(y) else "there is one class: nothing to tell it from"
        return Trial(Estimate.not_measurable("accuracy", why))
    probe = TemperatureScaled(LinearProbe())
    heads: dict[str, Any] = {"probe": probe, "prototypes": PrototypeClassifier()}
    best: Any = LinearProbe()
    if pool is not None and len(pool):
        pool = _some(pool, random_state)
        best = heads["semi_supervised"] = WithPool(SpreadingProbe(), pool)
    if text is not None:
        heads["names_and_labels"] = TextAndLabels(best, text)
    fitted, seconds = _fitted(heads, X, y)
    gains = _gains(fitted, y, codes)
    spreading = fitted.get("semi_supervised")
    verdict = None if spreading is None else spreading.rule_.verdict_
    if verdict is not None and not np.isnan(verdict.accuracy) and "semi_supervised" in gains:
        own = verdict.accuracy - verdict.probe_accuracy  # of fits without the same labels
        gains["semi_supervised"] = replace(gains["semi_supervised"], value=own)
    found = validate(
        {"probe": LinearProbe()}, X, y, groups=groups, random_state=random_state, quiet=True
    )
    curve = learning_curve(
        LinearProbe(), X, y, groups=groups, random_state=random_state, quiet=True
    )
    return Trial(
        probe=found.accuracy,
        gains=gains,
        more=gain_of_labels(curve, MORE),
        surer=_surer(probe, codes, pool),
        verdict=verdict,
        errors=_errors(fitted["probe"], codes),
        seconds=seconds,
    )


def trial_of(
    validation: Validation, curve: LearningCurve | None, verdict: Verdict | None, y: Array
) -> Trial | None:
    """Return what a validation said of the plans, None where the probe had no part in it.

    Parameters
    ----------
    validation : Validation
        Of the heads by their ``--method``, on the same folds.
    curve : LearningCurve or None
    verdict : Verdict or None
    y : array of shape (n_samples,)
        The classes that were validated on.
    """
    probe = validation.methods.get(_AS_METHODS["probe"])
    if probe is None or not probe.accuracy.is_measured:
        return None
    tested = ~np.isnan(probe.hits)
    others = {plan: validation.methods.get(name) for plan, name in _AS_METHODS.items()}
    gains = {
        plan: _gain(found.hits[tested] - probe.hits[tested], inflation=_FOLDS)
        for plan, found in others.items()
        if found is not None and plan != "probe"
    }
    trial = Trial(probe.accuracy, gains, verdict=verdict)
    codes = np.searchsorted(np.array(validation.classes), y)
    trial = replace(trial, errors=label_errors(codes, probe.oof_proba))
    return replace(trial, more=gain_of_labels(curve, MORE)) if curve else trial


def _some(pool: Float32, random_state: int) -> Float32:
    if len(pool) <= MOST_POOL:
        return pool
    rows = stream(random_state, "advise").choice(len(pool), MOST_POOL, replace=False)
    return pool[np.sort(rows)]


def _fitted(
    heads: Mapping[str, Any], X: Float32, y: Array
) -> tuple[dict[str, Any], dict[str, float]]:
    fitted, seconds = {}, {}
    for name, head in heads.items():
        start = time.perf_counter()
        fitted[name] = head.fit(X, y)
        seconds[name] = round(time.perf_counter() - start, 3)
    return fitted, seconds


def _gains(fitted: Mapping[str, Any], y: Array, codes: Array) -> dict[str, Gain]:
    """Compare each head with the probe where its class has another label."""
    rows = np.flatnonzero(np.bincount(codes)[codes] > 1)
    if len(rows) < 2:
        return {}
    hits = {
        name: (head.classes_[head.loo_logits_[rows].argmax(axis=1)] == y[rows]).astype(np.float64)
        for name, head in fitted.items()
    }
    probe = hits.pop("probe")
    return {name: _gain(right - probe) for name, right in hits.items()}


def _gain(differences: Array, *, inflation: float = 1.0) -> Gain:
    value, low, high = paired_interval(differences, inflation=inflation)
    return Gain(value, (high - low) / _SIDE, len(differences))


def _surer(probe: TemperatureScaled, codes: Array, pool: Float32 | None) -> Gain | None:
    """Compare the probe's confidence in the pool with that in labelled images left out."""
    rows = np.bincount(codes)[codes] > 1
    if pool is None or len(pool) < 2 or rows.sum() < 2:
        return None
    here = softmax(probe.loo_logits_[rows]).max(axis=1).astype(np.float64)
    there = probe.predict_proba(pool).max(axis=1).astype(np.float64)
    error = np.sqrt(here.var(ddof=1) / len(here) + there.var(ddof=1) / len(there))
    return Gain(float(there.mean() - here.mean()), float(error), len(here))


def _errors(probe: TemperatureScaled, codes: Array) -> LabelErrors:
    proba = softmax(probe.loo_logits_).astype(np.float64)
    proba[np.bincount(codes)[codes] < 2] = np.nan  # nothing else shows what their class is like
    return label_errors(codes, proba)
