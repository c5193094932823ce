"""The accuracy of the shipped model, carried from folds whose models saw fewer labels.

The question is: how often is the model that was fitted on all ``n`` labels right
on new images mixed like the labels? Cross-validation answers another one, for
models fitted on a part of the labels. Four things stand between the two, and
each is treated apart:

1. *Fewer labels.* Log-odds of accuracy rise almost in line with the logarithm of
   the number of labels. On clothing, EuroSAT and TrashNet, with prototypes and
   with logistic regression, the rise by a doubling was 0.3 to 0.4 from one or two
   labels a class and 0.1 to 0.3 from twenty. `usual_rise` is used as prior
   knowledge, with its error; measured on the folds at hand, the slope would be
   many times noisier. The folds are kept balanced (as many as the classes have
   labels, five at most): leaving out one of two labels while all other classes
   keep both makes logistic regression find the class in 15 % of cases instead
   of 50 %.
2. *Classes with a single label* cannot be tested: held out, they do not exist in
   training. They stay in every training set, and their recall is taken from
   other classes cut down to one label for the purpose (with half of the classes
   at one label and the others at 5 or 10 this came within 0.06 of the truth).
3. *Few images to test on.* Each image counts once, however many repeats, and a
   class's variance is binomial. Its rate is taken with `PRIOR_IMAGES` more
   images at the mean rate, so that a class with few hits is not certain. Images
   of one group err together: the variance is enlarged by the design effect
   measured on the hits [2]_.
4. *This model, not the average one.* The accuracy of models from equal draws
   varies, and cross-validation sees the average of them [1]_: a variance of
   `DRAW` times the binomial one, at 2 as at 20 labels a class. And where a class
   has few images, an odd one is a miss when tested and spoils its class when
   trained on: the variance of a class with ``m`` tested images is enlarged by
   ``1 + DRAW + CLASSMATES / m``.

The variances are added, and Wilson's interval is taken at the number of images
that would have this variance, which is at most the number tested.

The constants were chosen on draws of the three sets named above, and `DRAW` was
raised from 0 after a first run of ``benchmarks/interval_coverage.py``, which
measures the coverage on new draws of them and of digits.

References
----------
.. [1] Bates, Hastie and Tibshirani, "Cross-validation: what does it estimate and
   how well does it do it?", JASA 119, 2024, https://arxiv.org/abs/2104.00673
   (cross-validation estimates the average model's error).
.. [2] Kish, "Survey Sampling", 1965, section 5.4 (the design effect).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from handful.core import Array, Bool, Estimate, Float64, Int
from handful.measure.intervals import wilson_of_share

DRAW = 0.09
"""Variance of the accuracy between models of equal draws, over the binomial variance."""
CLASSMATES = 1.0
"""Variance that the few images a class is learnt from add, times its images."""
PRIOR_IMAGES = 10
"""Images at the mean rate that are added to each class's, for the variance alone."""


@dataclass(frozen=True)
class Trial:
    """What the folds say of one head, in the terms of the module's text.

    Parameters
    ----------
    hits : ndarray of shape (n_samples,)
        Share of the repeats in which the image was right; NaN when never tested.
    codes : ndarray of shape (n_samples,)
        Class of each image, from 0.
    units : ndarray of shape (n_samples,)
        Group of each image, from 0; an image without a group is its own.
    n_train : float
        Mean number of labels that the models of the folds saw.
    alone : ndarray of shape (n_classes,)
        Recall of each class when cut down to one label; NaN when not measured.
    """

    hits: Float64
    codes: Int
    units: Int
    n_train: float
    alone: Float64

    @property
    def tested(self) -> Bool:
        """Which images were tested."""
        return ~np.isnan(self.hits)


def shipped_accuracy(trial: Trial, how: str, *, choice_error: float = 0.0) -> Estimate:
    """Return the accuracy of the model fitted on all labels, on images mixed like them.

    Parameters
    ----------
    trial : Trial
        The folds' results.
    how : str
        The folds in words.
    choice_error : float, default=0.0
        Standard deviation to add for the choice among heads, a fraction.

    Returns
    -------
    Estimate
        Not measurable when no image could be tested. ``n`` counts tested images.

    Examples
    --------
    >>> codes = np.repeat([0, 1], 20)
    >>> hits = np.where(np.arange(40) % 5 > 0, 1.0, 0.0)
    >>> trial = Trial(hits, codes, np.arange(40), 32.0, np.full(2, np.nan))
    >>> shipped_accuracy(trial, "5-fold cross-validation").percent
    '81.0 % (65.1–90.7)'
    """
    n_class = np.bincount(trial.codes, minlength=len(trial.alone))
    return _carried(trial, n_class / len(trial.codes), "accuracy", how, choice_error)


def shipped_balanced_accuracy(trial: Trial, how: str) -> Estimate:
    """Return the mean recall of the model fitted on all labels (see `shipped_accuracy`)."""
    n_classes = len(trial.alone)
    return _carried(trial, np.full(n_classes, 1 / n_classes), "balanced accuracy", how)


def usual_rise(per_class: float) -> tuple[float, float]:
    """Return by how much log-odds of accuracy rise when the labels double, and its error.

    Parameters
    ----------
    per_class : float
        Labels a class before the doubling, above 0.

    Examples
    --------
    >>> [round(usual_rise(m)[0], 2) for m in (1, 4, 16)]
    [0.45, 0.3, 0.2]
    """
    rise = 0.45 * per_class**-0.3
    return rise, 0.4 * rise


def raised(share: float, rise: float, n_samples: float) -> float:
    """Return a share after a rise of its log-odds.

    Parameters
    ----------
    share : float
        Measured, in ``[0, 1]``.
    rise : float
        Of the log-odds.
    n_samples : float
        Images it was measured on; keeps a share of 0 or 1 from being certain.

    Examples
    --------
    >>> round(raised(0.5, 0.3, 100), 3)
    0.574
    """
    sure = (share * n_samples + 0.5) / (n_samples + 1)
    return float(np.clip(share + expit(logit(sure) + rise) - sure, 0, 1))


def _carried(
    trial: Trial, weights: Float64, what: str, how: str, choice_error: float = 0.0
) -> Estimate:
    tested = trial.tested
    n = int(tested.sum())
    if n == 0:
        why = "no class has a second label to test on (or all its images are one group)"
        return Estimate.not_measurable(what, why)
    n_class = np.bincount(trial.codes[tested], minlength=len(weights))
    known = n_class > 0
    n_hits = np.bincount(trial.codes[tested], trial.hits[tested], minlength=len(weights))[known]
    n_class, missing = n_class[known], float(weights[~known].sum())
    weights = weights[known] / (1 - missing)
    measured, alone = float(weights @ (n_hits / n_class)), _alone(trial)
    rise, rise_error = _rise(trial, known)
    value = (1 - missing) * raised(measured, rise, n) + missing * alone

    variance = _test_variance(n_hits, n_class, weights) * _design_effect(trial)
    variance *= (1 - missing + missing * min(1.0, alone / max(measured, 1e-9))) ** 2
    if missing:
        variance += missing**2 * _alone_variance(alone, len(n_class), int((~known).sum()))
    spread = _spread(value, n)
    variance += (spread * rise_error) ** 2 + choice_error**2
    effective = min(spread / variance, float(n))
    low, high = wilson_of_share(value, effective)
    return Estimate(value, low, high, n, what, _words(trial, how, effective, known))


def _rise(trial: Trial, known: Bool) -> tuple[float, float]:
    """Return the rise of the log-odds from the folds to all labels, and its error.

    Only the labels of classes that are tested count: the others are the same.
    """
    of_known = int(known[trial.codes].sum())
    in_training = trial.n_train - (len(trial.codes) - of_known)
    doublings = math.log2(of_known / in_training)
    rise, error = usual_rise(in_training / int(known.sum()))
    return doublings * rise, doublings * error


def _test_variance(n_hits: Array, n_class: Int, weights: Float64) -> float:
    """Return the variance of a weighted mean of recalls (points 3 and 4 of the module's text)."""
    mean = (n_hits.sum() + 0.5) / (n_class.sum() + 1)
    rate = (n_hits + PRIOR_IMAGES * mean) / (n_class + PRIOR_IMAGES)
    return float(
        np.sum(weights**2 * rate * (1 - rate) / n_class * (1 + DRAW + CLASSMATES / n_class))
    )


def _alone(trial: Trial) -> float:
    measured = trial.alone[~np.isnan(trial.alone)]
    return float(measured.mean()) if len(measured) else 0.5


def _alone_variance(alone: float, n_known: int, n_missing: int) -> float:
    """Variance of a mean recall of other classes: classes differ by half of what they can."""
    return _spread(alone, n_known) / 2 * (1 / n_known + 1 / n_missing)


def _spread(share: float, n: int) -> float:
    """Return ``p (1 - p)`` of a share that is never quite 0 or 1."""
    sure = (share * n + 0.5) / (n + 1)
    return sure * (1 - sure)


def _design_effect(trial: Trial) -> float:
    """Return by how much groups enlarge the variance of the mean, at least 1."""
    hits, units = trial.hits[trial.tested], trial.units[trial.tested]
    rest = hits - hits.mean()
    total = float(rest @ rest)
    if total == 0.0:
        return len(units) / len(np.unique(units))
    sums = np.bincount(units, rest)
    return max(1.0, float(sums @ sums) / total)


def _words(trial: Trial, how: str, effective: float, known: Bool) -> str:
    words = (
        f"{how}, carried from {trial.n_train:.0f} to all {len(trial.codes)} labels, "
        f"Wilson interval at {effective:.0f} effective images"
    )
    single = int((~known).sum())
    if single:
        words += (
            f"; {single} {'class' if single == 1 else 'classes'} with a single label or group: "
            "recall taken from other classes cut down to one"
        )
    return words
