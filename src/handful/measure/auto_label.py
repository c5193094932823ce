"""How many images a model may label by itself, at an error that is kept with confidence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from handful.core import Array, Estimate, Float64, Int
from handful.measure.intervals import clopper_pearson, upper_bound

_STEPS = 50  # shares of the pool that are tested, fixed before any audit is looked at


@dataclass(frozen=True)
class AutoLabels:
    """The images whose suggestions can be taken as labels.

    Parameters
    ----------
    rows : ndarray of shape (n_accepted,), int64
        Of the pool; the surest first.
    threshold : float
        Lowest confidence accepted, in ``[0, 1]``; infinity when nothing is.
    error : Estimate
        Share of wrong labels above the threshold, from the audits.
    sentence : str
    """

    rows: Int
    threshold: float
    error: Estimate
    sentence: str


def auto_labels(
    confidences: Array,
    audit_confidences: Array,
    audit_hits: Array,
    *,
    max_error: float = 0.01,
    confidence: float = 0.95,
) -> AutoLabels:
    """Return the largest set of sure images whose error is at most ``max_error``.

    Thresholds are tested from the surest down, each by an exact one-sided test of the
    audits above it; the first that cannot be shown to keep the error ends
    the search, so that the confidence is that of one test [1]_. It begins
    where there are enough audits to pass at all, which depends on no label.

    Parameters
    ----------
    confidences : ndarray of shape (n_samples,)
        Of the model, on the images to be labelled, in ``[0, 1]``.
    audit_confidences : ndarray of shape (n_audits,)
        Of the same model on audits: uniform from the same pool, never learnt from.
    audit_hits : ndarray of shape (n_audits,)
        Whether it was right.
    max_error : float, default=0.01
        Share of wrong labels allowed, in ``(0, 1)``.
    confidence : float, default=0.95
        In ``(0, 1)``.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    .. [1] Angelopoulos, Bates, Candès, Jordan and Lei, "Learn then Test: Calibrating
       Predictive Algorithms to Achieve Risk Control", 2021, section 2.3 (fixed
       sequence testing), https://arxiv.org/abs/2110.01052.

    Examples
    --------
    >>> sure = np.linspace(0.5, 1, 500)
    >>> found = auto_labels(sure, sure, sure > 0.6, max_error=0.05)
    >>> 380 < len(found.rows) < 430, found.sentence
    (True, '411 of 500 images can be labelled at an error of at most 5 %, 95 % sure.')
    """
    sure, audits = np.asarray(confidences, np.float64), np.asarray(audit_confidences, np.float64)
    hits = np.asarray(audit_hits, np.bool_)
    if audits.shape != hits.shape:
        raise ValueError(
            f"Every audit needs a confidence and a hit. Got {audits.shape} and {hits.shape}."
        )
    if not 0 < max_error < 1:
        raise ValueError(f"The 'max_error' must be between 0 and 1. Got {max_error!r}.")
    least = math.ceil(math.log(1 - confidence) / math.log(1 - max_error))
    accepted: float | None = None
    for threshold in _thresholds(sure):
        n = int((audits >= threshold).sum())
        if n < least:
            continue
        wrong = int((~hits[audits >= threshold]).sum())
        if upper_bound(wrong, n, confidence=confidence) > max_error:
            break
        accepted = threshold
    return _result(sure, audits, hits, accepted, least, (max_error, confidence))


def _thresholds(sure: Float64) -> list[float]:
    """Return the confidences that 2 %, 4 %, … of the pool reach, the highest first."""
    if not len(sure):
        return []
    return np.unique(np.quantile(sure, np.arange(_STEPS) / _STEPS, method="lower"))[::-1].tolist()


def _result(
    sure: Float64,
    audits: Float64,
    hits: Array,
    threshold: float | None,
    least: int,
    asked: tuple[float, float],
) -> AutoLabels:
    max_error, confidence = asked
    what, promise = "error of automatic labels", f"{100 * max_error:g} %"
    if threshold is None:
        more = max(0, least - len(audits))
        advice = f" Label {more} more audits." if more else " The surest audits hold errors."
        why = f"no set of images can be shown to have an error of at most {promise}"
        sentence = f"{why[0].upper()}{why[1:]} from {len(audits)} audits.{advice}"
        return AutoLabels(
            np.empty(0, np.int64), math.inf, Estimate.not_measurable(what, why), sentence
        )
    rows = np.flatnonzero(sure >= threshold)
    inside = hits[audits >= threshold]
    wrong = int((~inside).sum())
    low, high = clopper_pearson(wrong, len(inside), confidence=confidence)
    how = "audits above the threshold, exact interval; the threshold by fixed-sequence tests"
    error = Estimate(wrong / len(inside), low, high, len(inside), what, how, confidence)
    sentence = (
        f"{len(rows)} of {len(sure)} images can be labelled at an error of at most {promise}, "
        f"{100 * confidence:g} % sure."
    )
    return AutoLabels(rows[np.argsort(-sure[rows], kind="stable")], threshold, error, sentence)
