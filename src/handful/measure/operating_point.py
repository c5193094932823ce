"""The threshold of one class that must hardly ever be missed, and its price in false alarms.

The threshold is an order statistic of the probabilities that the images of the
class were given by models that had not seen them. The share of new images of
the class below the ``r``-th smallest of ``n`` values follows a Beta(r, n - r + 1)
distribution whatever the probabilities look like, and ``r`` depends on ``n`` alone,
so the promise stays exact although the threshold was chosen on the same images
(Wilks, "Determination of Sample Sizes for Setting Tolerance Limits", Ann. Math.
Statist. 12, 1941).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handful.core import Array, Estimate, Float64, MeasureError, did_you_mean, listed
from handful.measure.intervals import share, upper_bound


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it does.

    Parameters
    ----------
    class_name : str
        The class not to be missed.
    threshold : float
        An image is called the class when its probability is at least this.
    max_miss : float
        The miss rate asked for, a fraction.
    is_shown : bool
        Whether these labels are enough to show that the miss rate is no larger.
    labels_needed : int
        Fewest labelled images of the class that can show it.
    miss_rate : Estimate
        Share of the images of the class below the threshold, with a one-sided bound.
    false_alarms : Estimate
        Share of the images of other classes at or above the threshold.
    sentence : str
        All of this in words.
    """

    class_name: str
    threshold: float
    max_miss: float
    is_shown: bool
    labels_needed: int
    miss_rate: Estimate
    false_alarms: Estimate
    sentence: str


def operating_point(
    proba: Float64, y: Array, class_name: Any, max_miss: float, *, classes: Sequence[Any]
) -> OperatingPoint:
    """Return the highest threshold whose miss rate is shown to be small enough.

    When no threshold can be shown to be, for want of images, the smallest
    probability seen for the class is taken and the answer says how many labels
    would be needed.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Out-of-fold probabilities; rows of NaN (never tested) are left out. The
        images must be independent of each other.
    y : array of shape (n_samples,)
        Class of each image.
    class_name : object
        The class that must not be missed, one of ``classes``.
    max_miss : float
        Largest share of its images that may be missed, in ``(0, 1)``.
    classes : sequence of shape (n_classes,)
        The classes in the order of the columns.

    Raises
    ------
    MeasureError
        If the class is unknown or none of its images was tested.
    ValueError
        If ``max_miss`` is out of range or the shapes do not fit.

    Examples
    --------
    >>> proba = np.linspace(0, 1, 401)
    >>> y = np.where(proba >= 0.25, "crack", "fine")
    >>> point = operating_point(np.stack([proba, 1 - proba], axis=1), y, "crack", 0.01,
    ...                         classes=["crack", "fine"])
    >>> point.threshold, point.is_shown
    (0.25, True)
    """
    column = _column(class_name, classes, max_miss)
    if proba.shape != (len(y), len(classes)):
        raise ValueError(
            f"The 'proba' must have the shape {(len(y), len(classes))}: one row an image, one "
            f"column a class. Got {proba.shape} instead."
        )
    tested = ~np.isnan(proba[:, column])
    ours = np.asarray(y) == classes[column]
    scores = np.sort(proba[tested & ours, column])
    if len(scores) == 0:
        raise MeasureError(
            f"No image of class {str(class_name)!r} could be tested, so its miss rate cannot be "
            "measured. It needs at least two labelled images. Label more of them."
        )
    allowed = _allowed_misses(len(scores), max_miss)
    threshold = float(scores[max(allowed, 0)])
    missed = int((scores < threshold).sum())
    others = proba[tested & ~ours, column]
    return _point(
        str(class_name), threshold, max_miss, allowed >= 0, (missed, len(scores)),
        (int((others >= threshold).sum()), len(others)),
    )  # fmt: skip


def labels_needed(max_miss: float, *, confidence: float = 0.95) -> int:
    """Return the fewest images, none missed, that show a miss rate of at most ``max_miss``.

    Examples
    --------
    >>> labels_needed(0.01), labels_needed(0.05)
    (299, 59)
    """
    return math.ceil(math.log(1 - confidence) / math.log(1 - max_miss))


def _allowed_misses(n: int, max_miss: float) -> int:
    """Return how many of ``n`` images may be missed, -1 when even none is too few images."""
    allowed = -1
    while allowed + 1 < n and upper_bound(allowed + 1, n) <= max_miss:
        allowed += 1
    return allowed


def _point(
    name: str, threshold: float, max_miss: float, is_shown: bool,
    misses: tuple[int, int], alarms: tuple[int, int],
) -> OperatingPoint:  # fmt: skip
    high = upper_bound(*misses)
    miss_rate = Estimate(
        misses[0] / misses[1], 0.0, high, misses[1], f"miss rate of {name}",
        "out-of-fold probabilities, exact one-sided bound",
    )  # fmt: skip
    false_alarms = share(
        *alarms, f"false alarms of {name} among other images", "out-of-fold probabilities"
    )
    needed = labels_needed(max_miss)
    sentence = (
        f"Called {name} from a probability of {threshold:.3g}: {misses[0]} of {misses[1]} missed, "
        f"at most {100 * high:.1f} % with 95 % confidence; "
        f"false alarms on {alarms[0]} of {alarms[1]} other images."
    )
    if not is_shown:
        sentence += (
            f" A miss rate of at most {100 * max_miss:g} % cannot be shown with {misses[1]} images "
            f"of {name}: it takes at least {needed}, none of them missed."
        )
    return OperatingPoint(
        name, threshold, max_miss, is_shown, needed, miss_rate, false_alarms, sentence
    )


def _column(class_name: Any, classes: Sequence[Any], max_miss: float) -> int:
    if not 0 < max_miss < 1:
        raise ValueError(
            f"The 'max_miss' of class {str(class_name)!r} must lie between 0 and 1, such as 0.01 "
            f"for 1 %. Got {max_miss!r}."
        )
    names = [str(name) for name in classes]
    if str(class_name) not in names:
        raise MeasureError(
            f"There is no class {str(class_name)!r}{did_you_mean(str(class_name), names)}. "
            f"Choose one of: {listed(names)}."
        )
    return names.index(str(class_name))
