"""The accuracy to expect of a plan: what the labels at hand measured, and what other image sets saw."""

from __future__ import annotations

import math
from dataclasses import replace

from handful.advise.evidence import Evidence, Prior, moved
from handful.advise.trial import Gain, Trial
from handful.core import Estimate
from handful.measure import wilson_interval

_Z = 1.96
_FORECAST_WORTH = 5  # labelled images: what its error on other sets amounts to
_SURE = 2.0  # standard errors by which confidence must be lower
_FURTHER = (
    3.0  # accuracy fell by 1.6 to 3.3 times as much where labels came from one side of a class
)
_LEAST_SPREAD = 0.02  # p (1 - p) at least: near 0 and 1 log-odds say little


def probe_accuracy(trial: Trial, evidence: Evidence, labels: float, n_classes: int) -> Estimate:
    """Return the accuracy of the linear probe: measured, else that of other sets at so many labels.

    Parameters
    ----------
    trial : Trial
    evidence : Evidence
    labels : float
        A class.
    n_classes : int
        At least 2.
    """
    if trial.probe.is_measured:
        return _elsewhere(trial.probe, trial.surer)
    prior = evidence.probe(labels)
    if prior is None:
        return trial.probe
    chance = 1 / n_classes
    low, value, high = (
        chance + (1 - chance) * moved(0.5, prior.value + side * _Z * prior.error)
        for side in (-1, 0, 1)
    )
    how = (
        f"not measured, since {trial.probe.how}: what {labels:g} labels a class gave in {prior.where}, "
        "carried over by the way from guessing to perfection; the interval is that of a new set"
    )
    return Estimate(value, low, high, 0, "expected accuracy", how)


def is_harder(surer: Gain | None) -> bool:
    """Return whether the unlabelled images are of a harder kind than the labelled ones, beyond chance."""
    return surer is not None and surer.value < -_SURE * surer.error


def _elsewhere(measured: Estimate, surer: Gain | None) -> Estimate:
    """Return an accuracy for unlabelled images of a harder kind than the labelled ones.

    Confidence falls less than accuracy does: the value follows it, the lower bound goes further.
    """
    if surer is None or not is_harder(surer):
        return measured
    value = max(measured.value + surer.value, 0.0)
    low = max(0.0, measured.low + _FURTHER * surer.value)
    how = (
        f"{measured.how}; lowered, since the probe is {-100 * surer.value:.0f} points less sure of the unlabelled "
        "images than of labelled ones left out: they seem to be of another, harder kind"
    )
    return replace(measured, value=value, low=min(low, value), how=how)


def plan_accuracy(base: Estimate, prior: Prior | None, gain: Gain | None) -> Estimate:
    """Return the accuracy of a plan from that of the probe, and what it gains over it.

    The gain is the mean of the one measured here and the one other sets saw, each weighted by one
    over its variance; so few labels are outvoted by experience, and many outvote it.

    Parameters
    ----------
    base : Estimate
        Of the probe.
    prior : Prior or None
        The gain on other sets.
    gain : Gain or None
        The gain measured here.
    """
    what = "expected accuracy"
    if not base.is_measured:
        return Estimate.not_measurable(what, base.how)
    if prior is None and gain is None:
        why = "no benchmark has tried it on another image set, and it cannot be tried cheaply here"
        return Estimate.not_measurable(what, why)
    gained, error = _combined(base, prior, gain)
    value = min(max(base.value + gained, 0.0), 1.0)
    low = max(0.0, value - math.hypot(base.value - base.low, _Z * error))
    high = min(1.0, value + math.hypot(base.high - base.value, _Z * error))
    return Estimate(value, low, high, base.n, what, _words(base, prior, gain))


def names_accuracy(forecast: Estimate, hits: int, n: int) -> Estimate:
    """Return the accuracy of the classes' names from a forecast and from labels, which they never saw.

    The forecast counts as much as five labelled images.

    Parameters
    ----------
    forecast : Estimate
        Made without a label.
    hits, n : int
        Labelled images that the names get right, and all of them.

    Examples
    --------
    >>> names_accuracy(Estimate(0.6, 0.2, 1.0, 0, "accuracy", "a forecast"), 2, 20).percent
    '20.0 % (8.9–39.1)'
    """
    right, all_of = hits + _FORECAST_WORTH * forecast.value, n + _FORECAST_WORTH
    low, high = wilson_interval(right, all_of)
    how = f"{hits} of {n} labelled images, which the names never saw, and {forecast.how}"
    return Estimate(right / all_of, low, high, n, "accuracy of the names", how)


def _combined(base: Estimate, prior: Prior | None, gain: Gain | None) -> tuple[float, float]:
    """Return the gain and its standard error, fractions."""
    found = [] if prior is None else [_at(base, prior)]
    if gain is not None:
        found.append((gain.value, gain.error))
    weights = [error**-2 for _, error in found]
    value = sum(w * v for w, (v, _) in zip(weights, found, strict=True)) / sum(weights)
    return value, sum(weights) ** -0.5


def _at(base: Estimate, prior: Prior) -> tuple[float, float]:
    """Return a gain of log-odds as one of the accuracy, where that is the base's."""
    sure = (base.value * base.n + 1) / (base.n + 2) if base.n else base.value
    return moved(sure, prior.value) - sure, prior.error * max(sure * (1 - sure), _LEAST_SPREAD)


def _words(base: Estimate, prior: Prior | None, gain: Gain | None) -> str:
    parts = []
    if gain is not None:
        parts.append(f"tried on {gain.n} labels it had not seen, {_points(gain.value, gain.error)}")
    if prior is not None:
        parts.append(f"elsewhere {_points(*_at(base, prior))} ({prior.where})")
    return f"over the linear probe: {'; '.join(parts)}"


def _points(value: float, error: float) -> str:
    return f"{100 * value:+.1f} points, standard error {100 * error:.1f}"
