"""How accurate a classifier from texts alone will be, predicted where nothing can be measured."""

from __future__ import annotations

from dataclasses import dataclass

from handful.core import Estimate

_SKILL = 0.432, 1.631, -0.965  # of recognition and likeness, by `benchmarks/zero_shot.py forecast`
# of the skill: 95 % of its errors on image sets that the regression had not seen, the mean over four
# sets; on one of them, clothing, that is 0.65
_ERROR = 0.44
_UNTESTED = (
    "the model's own mean confidence in its answers, since there is no label: nothing has tested how far that holds "
    "here, so the interval leaves everything open that is better than guessing"
)
_HOW = (
    "a prediction, not a measurement, since there is no label: a regression on how far what the backbone "
    "sees resembles the classes' texts and how alike these are; its interval is that of its errors on image "
    "sets that it had not seen"
)


@dataclass(frozen=True)
class Forecast:
    """What to expect of a classifier that no label tested.

    Parameters
    ----------
    accuracy : Estimate
        Of new images in which every class is as common as in the pool; a prediction, as its
        ``how`` says.
    chance : float
        Accuracy of guessing, one over the number of classes.
    skill : float
        Share of the way from guessing to perfection, in ``[0, 1]``.
    is_reliable : bool
        Whether the interval leaves out guessing.
    """

    accuracy: Estimate
    chance: float
    skill: float
    is_reliable: bool


def forecast_accuracy(recognition: float, likeness: float, n_classes: int) -> Forecast:
    """Predict the accuracy of `handful.heads.ZeroShotClassifier` from what needs no label.

    A linear regression of the skill, the share of the way from guessing to perfection, fitted on
    many choices of classes from four image sets. Nothing about the images to be classified is
    measured by it, so its interval is wide.

    Parameters
    ----------
    recognition : float
        Mean of `ZeroShotClassifier.recognition` over the images, in ``[-1, 1]``.
    likeness : float
        Of the two most alike classes' texts, in ``[-1, 1]``.
    n_classes : int
        At least 2.

    Returns
    -------
    Forecast

    Examples
    --------
    >>> print(forecast_accuracy(0.55, 0.8, 10).accuracy.percent)
    60.1 % (20.5–99.7)
    >>> forecast_accuracy(0.2, 0.75, 10).is_reliable
    False
    """
    if n_classes < 2:
        raise ValueError(f"A forecast needs at least 2 classes. Got {n_classes}.")
    constant, by_recognition, by_likeness = _SKILL
    skill = constant + by_recognition * recognition + by_likeness * likeness
    chance = 1 / n_classes
    low, value, high = (
        chance + (1 - chance) * min(max(bound, 0.0), 1.0)
        for bound in (skill - _ERROR, skill, skill + _ERROR)
    )
    accuracy = Estimate(value, low, high, 0, "predicted accuracy", _HOW)
    return Forecast(accuracy, chance, min(max(skill, 0.0), 1.0), low > chance)


def untested_forecast(confidence: float, n_classes: int) -> Forecast:
    """Take an image-text model's mean confidence for its accuracy, with an interval that holds all.

    CLIP's confidences are roughly true on many image sets and badly wrong on others; without a
    label of this set nothing tells which it is.

    Parameters
    ----------
    confidence : float
        Mean of the largest probability, at the scale that the model learnt.
    n_classes : int
        At least 2.

    Returns
    -------
    Forecast

    Examples
    --------
    >>> print(untested_forecast(0.7, 10).accuracy.percent)
    70.0 % (10.0–100.0)
    """
    if n_classes < 2:
        raise ValueError(f"A forecast needs at least 2 classes. Got {n_classes}.")
    chance = 1 / n_classes
    value = min(max(confidence, chance), 1.0)
    accuracy = Estimate(value, chance, 1.0, 0, "predicted accuracy", _UNTESTED)
    return Forecast(accuracy, chance, (value - chance) / (1 - chance), False)
