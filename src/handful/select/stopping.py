"""When to stop labelling: the target is reached with confidence, or nothing changes any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handful.core import Array, Estimate

_STABLE, _ROUNDS = 0.99, 3
_SMALL_GAIN = 0.005


@dataclass(frozen=True)
class Stop:
    """Whether to stop, and why.

    Parameters
    ----------
    now : bool
    reason : str
        One sentence.
    """

    now: bool
    reason: str


def agreement(before: Array, after: Array) -> float:
    """Return Cohen's kappa of two models' predictions on the same images, at most 1.

    Parameters
    ----------
    before, after : ndarray of shape (n_samples,)
        Classes.

    Examples
    --------
    >>> agreement(["a", "a", "b", "b"], ["a", "b", "b", "b"])
    0.5
    """
    before, after = np.asarray(before), np.asarray(after)
    same = float((before == after).mean())
    names = np.union1d(before, after)
    chance = float(sum((before == name).mean() * (after == name).mean() for name in names))
    return 1.0 if chance == 1 else (same - chance) / (1 - chance)


def stop_rule(
    accuracy: Estimate,
    *,
    target: float | None = None,
    agreements: Sequence[float] = (),
    gain: Estimate | None = None,
) -> Stop:
    """Return whether more labels are worth their time.

    Stops when the lower bound of the accuracy reaches the target; or when the last
    three models agreed with the one before each at a mean kappa of 0.99 [1]_ and
    no measured gain of half a point is promised.

    Parameters
    ----------
    accuracy : Estimate
        With an interval that holds for every look, such as that of
        `handful.measure.audited_accuracy`.
    target : float, default=None
        Accuracy wanted, a fraction.
    agreements : sequence of float, default=()
        `agreement` of each model with the one before, the latest last.
    gain : Estimate, default=None
        Expected gain of the next labels, such as that of `handful.measure.gain_of_labels`.

    References
    ----------
    .. [1] Bloodgood and Vijay-Shanker, "A Method for Stopping Active Learning Based on
       Stabilizing Predictions and the Need for User-Adjustable Stopping", CoNLL 2009,
       https://arxiv.org/abs/1409.5165. Deviation: the expected gain has a say.

    Examples
    --------
    >>> stop_rule(Estimate(0.95, 0.91, 0.98, 200, "accuracy", "audits"), target=0.9).now
    True
    """
    if target is not None and accuracy.is_measured and accuracy.low >= target:
        sure = f"{100 * accuracy.confidence:.0f} % sure"
        return Stop(True, f"The accuracy is at least {100 * target:g} %, {sure}.")
    flat = len(agreements) >= _ROUNDS and float(np.mean(agreements[-_ROUNDS:])) >= _STABLE
    hope = gain is not None and gain.is_measured and gain.value >= _SMALL_GAIN
    if flat and not hope:
        return Stop(True, f"The last {_ROUNDS} rounds of labels changed almost no prediction.")
    return Stop(False, "More labels still change the model.")
